package chain

import (
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

// A bloom is a header's bloom filter of the addresses and topics of the block's logs (the Yellow Paper, 4.4.3).
type bloom [256]byte

func (b *bloom) UnmarshalJSON(text []byte) error {
	var bytes hexutil.Bytes
	if string(text) == "null" {
		return nil
	}
	if err := bytes.UnmarshalJSON(text); err != nil {
		return err
	}
	*b = bloom{}
	copy(b[:], bytes)
	return nil
}

func (b *bloom) add(of bits) {
	for _, bit := range of {
		b[255-bit/8] |= 1 << (bit % 8)
	}
}

func (b *bloom) has(of bits) bool {
	for _, bit := range of {
		if b[255-bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// bits are the three of a value in a bloom.
type bits [3]uint16

func bitsOf(value []byte) (b bits) {
	sum := crypto.Keccak256(value)
	for i := range b {
		b[i] = (uint16(sum[2*i])<<8 | uint16(sum[2*i+1])) & 2047
	}
	return b
}

// bloomOf is the bloom of a block that has these logs.
func bloomOf(logs []contractLog) (b bloom) {
	known := map[string]bits{} // most logs of a block share their first topic
	add := func(value []byte) {
		of, ok := known[string(value)]
		if !ok {
			of = bitsOf(value)
			known[string(value)] = of
		}
		b.add(of)
	}
	for i := range logs {
		add(logs[i].Address[:])
		for _, topic := range logs[i].Topics {
			add(topic[:])
		}
	}
	return b
}
