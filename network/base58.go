package network

import (
	"math/big"
	"strings"
)

// base58Alphabet is Bitcoin's, which Solana and IPFS use.
const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// decodeBase58 reads exactly size bytes; leading zero bytes are leading ones in the text.
func decodeBase58(text string, size int) ([]byte, bool) {
	if len(text) > 2*size {
		return nil, false
	}
	number, radix := new(big.Int), big.NewInt(58)
	for i := range len(text) {
		digit := strings.IndexByte(base58Alphabet, text[i])
		if digit < 0 {
			return nil, false
		}
		number.Add(number.Mul(number, radix), big.NewInt(int64(digit)))
	}
	zeros := len(text) - len(strings.TrimLeft(text, "1"))
	if zeros+(number.BitLen()+7)/8 != size {
		return nil, false
	}
	return number.FillBytes(make([]byte, size)), true
}
