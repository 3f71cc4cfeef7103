package chain

import (
	"encoding/binary"
	"errors"
	"math/big"
	"strconv"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/aleph-edge/aleph-edge/abi"
)

// maxData is how many bytes of a log's data an event carries; of a longer one it says only how long it is.
const maxData = 128 << 10

// An occurrence is something in a block that triggers wait for: a log, a native transfer, or the block.
type occurrence struct {
	kind  uint32 // abi.KindLog, …
	block blockRef
	tx    common.Hash
	index uint64 // of the log in the block, or of the transaction for a transfer

	// Of a log.
	txIndex  uint64
	address  common.Address
	topics   []common.Hash
	data     []byte
	dataSize uint64 // above len(data) if it was too long

	// Of a transfer.
	from, to common.Address
	value    *big.Int
}

// A blockRef is what an event tells of its block.
type blockRef struct {
	number uint64
	hash   common.Hash
	parent common.Hash // zero in logs
	time   uint64
}

// ordinal is the place in the block: first the block, then its transfers, then its logs.
func (o *occurrence) ordinal() uint64 {
	switch o.kind {
	case abi.KindBlock:
		return 0
	case abi.KindTransfer:
		return 1 + o.index
	}
	return firstLog + o.index
}

const firstLog = 1 << 32

// id is the same wherever and whenever the same thing is seen: 1:0xblock:0xtransaction:12.
func (o *occurrence) id(chain uint64) string {
	id := strconv.FormatUint(chain, 10) + ":" + o.block.hash.Hex()
	if o.kind == abi.KindBlock {
		return id
	}
	id += ":" + o.tx.Hex()
	if o.kind == abi.KindLog {
		id += ":" + strconv.FormatUint(o.index, 10)
	}
	return id
}

func logOccurrence(l *contractLog, time uint64) *occurrence {
	o := &occurrence{kind: abi.KindLog, block: blockRef{number: uint64(l.BlockNumber), hash: l.BlockHash, time: time}, tx: l.TxHash, index: uint64(l.Index),
		txIndex: uint64(l.TxIndex), address: l.Address, topics: l.Topics, data: l.Data, dataSize: uint64(len(l.Data))}
	if len(o.data) > maxData {
		o.data = nil
	}
	return o
}

// log is the other way round, as far as filters look.
func (o *occurrence) log() *contractLog {
	return &contractLog{Address: o.address, Topics: o.topics, BlockNumber: hexutil.Uint64(o.block.number)}
}

const codecVersion = 1

var errRecord = errors.New("a record of a chain is not as this version writes it")

// encode appends o's own form; decodeOccurrence reads it.
func (o *occurrence) encode(b []byte) []byte {
	b = append(b, codecVersion, byte(o.kind))
	b = binary.AppendUvarint(b, o.block.number)
	b = append(b, o.block.hash[:]...)
	b = binary.AppendUvarint(b, o.block.time)
	if o.kind == abi.KindBlock {
		return append(b, o.block.parent[:]...)
	}
	b = append(b, o.tx[:]...)
	b = binary.AppendUvarint(b, o.index)
	if o.kind == abi.KindTransfer {
		b = append(append(b, o.from[:]...), o.to[:]...)
		return appendBytes(b, o.value.Bytes())
	}
	b = binary.AppendUvarint(b, o.txIndex)
	b = append(b, o.address[:]...)
	b = append(b, byte(len(o.topics)))
	for _, topic := range o.topics {
		b = append(b, topic[:]...)
	}
	b = binary.AppendUvarint(b, o.dataSize)
	return appendBytes(b, o.data)
}

func appendBytes(b, value []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// A reader takes a record apart. After a fault everything it gives is zero.
type reader struct {
	rest  []byte
	fault bool
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fault, r.rest = true, nil
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fault, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) hash() common.Hash { return common.BytesToHash(r.bytes(common.HashLength)) }
func (r *reader) address() common.Address {
	return common.BytesToAddress(r.bytes(common.AddressLength))
}

func (r *reader) occurrence() *occurrence {
	if r.byte() != codecVersion {
		r.fault = true
	}
	o := &occurrence{kind: uint32(r.byte())}
	o.block.number = r.number()
	o.block.hash = r.hash()
	o.block.time = r.number()
	if o.kind == abi.KindBlock {
		o.block.parent = r.hash()
		return o
	}
	o.tx = r.hash()
	o.index = r.number()
	if o.kind == abi.KindTransfer {
		o.from, o.to = r.address(), r.address()
		o.value = new(big.Int).SetBytes(r.bytes(r.number()))
		return o
	}
	if o.kind != abi.KindLog {
		r.fault = true
	}
	o.txIndex = r.number()
	o.address = r.address()
	for range min(r.byte(), 4) {
		o.topics = append(o.topics, r.hash())
	}
	o.dataSize = r.number()
	o.data = r.bytes(r.number())
	return o
}

func decodeOccurrence(b []byte) (*occurrence, error) {
	r := &reader{rest: b}
	o := r.occurrence()
	if r.fault || len(r.rest) > 0 {
		return nil, errRecord
	}
	return o, nil
}

// A payload is what the queue keeps of an event: all that its form is made of, so that a later deploy does not change it.
type payload struct {
	chain         string
	chainID       uint64
	removed       bool
	confirmations uint64
	declared      string // the event, of a log
	of            *occurrence
}

func (p *payload) encode() []byte {
	b := make([]byte, 0, 256+len(p.declared)+len(p.of.data)+32*len(p.of.topics))
	removed := byte(0)
	if p.removed {
		removed = 1
	}
	b = append(b, codecVersion, removed)
	b = appendBytes(b, []byte(p.chain))
	b = binary.AppendUvarint(b, p.chainID)
	b = binary.AppendUvarint(b, p.confirmations)
	b = appendBytes(b, []byte(p.declared))
	return p.of.encode(b)
}

func decodePayload(b []byte) (*payload, error) {
	r := &reader{rest: b}
	if r.byte() != codecVersion {
		r.fault = true
	}
	p := &payload{removed: r.byte() == 1}
	p.chain = string(r.bytes(r.number()))
	p.chainID = r.number()
	p.confirmations = r.number()
	p.declared = string(r.bytes(r.number()))
	p.of = r.occurrence()
	if r.fault || len(r.rest) > 0 {
		return nil, errRecord
	}
	return p, nil
}
