package chain

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

// maxDecoded is how long the decoded arguments of a log may be, in bytes. In the encoding, arrays point to where their elements are, and
// several may point to the same ones: 4 KiB of data hold arrays within arrays with millions of elements. accounts/abi makes them all.
const maxDecoded = 512 << 10

var (
	errShort  = errors.New("the data is shorter than the arguments")
	errBudget = fmt.Errorf("the arguments are longer than %d bytes", maxDecoded)
)

// A decoder writes values of the ABI's encoding as JSON: integers as decimal strings, addresses and bytes in lower-case hex with 0x, bool
// and string as they are, arrays as arrays, tuples as objects.
type decoder struct {
	out   bytes.Buffer
	steps int // bounds what writes next to nothing
}

// decode gives an event's arguments in a log as a JSON object. Indexed ones of dynamic types are the hashes that the log has.
func (e *event) decode(topics []common.Hash, data []byte) ([]byte, error) {
	if !e.anonymous && len(topics) > 0 {
		topics = topics[1:]
	}
	var d decoder
	d.out.WriteByte('{')
	at := 0 // of the next argument in the data
	for i, a := range e.arguments {
		if i > 0 {
			d.out.WriteByte(',')
		}
		d.text(a.name)
		d.out.WriteByte(':')
		if a.indexed {
			if len(topics) == 0 {
				return nil, errors.New("the log has fewer topics than there are indexed arguments")
			}
			if a.typ.hashed() {
				d.hex(topics[0][:])
			} else if err := d.word(a.typ, topics[0][:]); err != nil {
				return nil, fmt.Errorf("%s: %w", a.name, err)
			}
			topics = topics[1:]
			continue
		}
		var err error
		if at, err = d.field(a.typ, data, at); err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
	}
	d.out.WriteByte('}')
	return d.out.Bytes(), nil
}

// field writes the value whose place in data's head is at, and gives the place of the next.
func (d *decoder) field(t *typ, data []byte, at int) (next int, err error) {
	if !t.dynamic() {
		return at + 32*t.words, d.value(t, data, at)
	}
	offset, err := length(data, at)
	if err != nil {
		return 0, err
	}
	return at + 32, d.value(t, data, offset)
}

// value writes the value that begins at at. Offsets within it count from where data begins.
func (d *decoder) value(t *typ, data []byte, at int) error {
	if d.steps++; d.out.Len() > maxDecoded || d.steps > maxDecoded/4 {
		return errBudget
	}
	switch t.kind {
	case bytesKind, stringKind:
		n, err := length(data, at)
		if err != nil {
			return err
		}
		at += 32
		if n > len(data)-at {
			return errShort
		}
		if t.kind == bytesKind {
			d.hex(data[at : at+n])
		} else {
			d.text(string(data[at : at+n]))
		}
		return nil
	case sliceKind:
		n, err := length(data, at)
		if err != nil {
			return err
		}
		at += 32
		if n > (len(data)-at)/32 { // each element has at least a word
			return errShort
		}
		return d.elements(t.elem, n, data[at:])
	case arrayKind:
		if t.dynamic() {
			return d.elements(t.elem, t.size, data[at:])
		}
		d.out.WriteByte('[')
		for i := range t.size {
			if i > 0 {
				d.out.WriteByte(',')
			}
			if err := d.value(t.elem, data, at+i*32*t.elem.words); err != nil {
				return err
			}
		}
		d.out.WriteByte(']')
		return nil
	case tupleKind:
		if t.dynamic() {
			data, at = data[at:], 0
		}
		d.out.WriteByte('{')
		for i, f := range t.fields {
			if i > 0 {
				d.out.WriteByte(',')
			}
			d.text(f.name)
			d.out.WriteByte(':')
			var err error
			if at, err = d.field(f.typ, data, at); err != nil {
				return err
			}
		}
		d.out.WriteByte('}')
		return nil
	}
	if at > len(data)-32 {
		return errShort
	}
	return d.word(t, data[at:at+32])
}

// elements writes an array whose elements' places are at data's begin.
func (d *decoder) elements(t *typ, n int, data []byte) error {
	d.out.WriteByte('[')
	at := 0
	for i := range n {
		if i > 0 {
			d.out.WriteByte(',')
		}
		var err error
		if at, err = d.field(t, data, at); err != nil {
			return err
		}
	}
	d.out.WriteByte(']')
	return nil
}

// length reads a length or an offset, which is never beyond data.
func length(data []byte, at int) (int, error) {
	if at > len(data)-32 {
		return 0, errShort
	}
	word := data[at : at+32]
	for _, b := range word[:28] {
		if b != 0 {
			return 0, errShort
		}
	}
	n := int(word[28])<<24 | int(word[29])<<16 | int(word[30])<<8 | int(word[31])
	if n > len(data) {
		return 0, errShort
	}
	return n, nil
}

// word writes a value of one word. What lies outside of the type's range is refused, as Solidity does.
func (d *decoder) word(t *typ, w []byte) error {
	switch t.kind {
	case uintKind:
		if !all(w[:32-t.size/8], 0) {
			return fmt.Errorf("more than a uint%d", t.size)
		}
		d.quoted(new(big.Int).SetBytes(w).String())
	case intKind:
		n := new(big.Int).SetBytes(w)
		sign := w[0] >> 7 // 1 if it is negative
		first := w[32-t.size/8]
		if !all(w[:32-t.size/8], -sign) || first>>7 != sign {
			return fmt.Errorf("more than an int%d", t.size)
		}
		if sign == 1 {
			n.Sub(n, twoTo256)
		}
		d.quoted(n.String())
	case boolKind:
		if !all(w[:31], 0) || w[31] > 1 {
			return errors.New("no bool")
		}
		d.out.WriteString(strconv.FormatBool(w[31] == 1))
	case addressKind:
		if !all(w[:12], 0) {
			return errors.New("no address")
		}
		d.hex(w[12:])
	case fixedBytesKind:
		d.hex(w[:t.size])
	case functionKind:
		d.hex(w[:24])
	}
	return nil
}

var twoTo256 = new(big.Int).Lsh(big.NewInt(1), 256)

func all(b []byte, is byte) bool {
	for _, c := range b {
		if c != is {
			return false
		}
	}
	return true
}

func (d *decoder) quoted(s string) {
	d.out.WriteByte('"')
	d.out.WriteString(s)
	d.out.WriteByte('"')
}

func (d *decoder) hex(b []byte) {
	d.out.WriteString(`"0x`)
	d.out.Write(hex.AppendEncode(d.out.AvailableBuffer(), b))
	d.out.WriteByte('"')
}

// text writes a string; what is no UTF-8 becomes U+FFFD.
func (d *decoder) text(s string) {
	quoted, _ := json.Marshal(strings.ToValidUTF8(s, "\uFFFD")) // a string has a JSON form
	d.out.Write(quoted)
}
