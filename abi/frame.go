// Package abi is the guest contract of SPEC.md as Go knows it: the frame codec, names and numbers.
//
// Writing appends to a caller's slice, reading walks the caller's bytes: neither allocates, and what a reader returns is a
// view of its input, valid as long as that.
package abi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Module is the import module of version 1.
const Module = "aleph_v1"

const magic = "alv1"

// ErrFrame is wrapped by every error about a frame that cannot be read.
var ErrFrame = errors.New("invalid frame")

// Frame begins a frame at the end of b.
func Frame(b []byte) []byte { return append(b, magic...) }

// Bytes appends a field to the frame that ends b.
func Bytes[T ~[]byte | ~string](b []byte, tag uint32, value T) []byte {
	b = header(b, tag, len(value))
	return append(b, value...)
}

// U32 appends a field that holds a number.
func U32(b []byte, tag, value uint32) []byte {
	return binary.LittleEndian.AppendUint32(header(b, tag, 4), value)
}

// U64 appends a field that holds a number; an i64 is given in two's complement.
func U64(b []byte, tag uint32, value uint64) []byte {
	return binary.LittleEndian.AppendUint64(header(b, tag, 8), value)
}

// Pair appends a header, a variable or a file.
func Pair[N, V ~[]byte | ~string](b []byte, tag uint32, name N, value V) []byte {
	b = header(b, tag, 4+len(name)+len(value))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	b = append(b, name...)
	return append(b, value...)
}

// Entry appends one entry of a store listing.
func Entry(b []byte, key string, kind uint32, value []byte) []byte {
	b = header(b, TagEntry, 8+len(key)+len(value))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(key)))
	b = append(b, key...)
	b = binary.LittleEndian.AppendUint32(b, kind)
	return append(b, value...)
}

func header(b []byte, tag uint32, length int) []byte {
	b = binary.LittleEndian.AppendUint32(b, tag)
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}

// A Reader walks the fields of a frame:
//
//	r := abi.Read(frame)
//	for r.Next() { switch r.Tag { … r.Value … } }
//	if r.Err() != nil { … }
type Reader struct {
	Tag   uint32
	Value []byte // a view of the frame

	rest []byte
	err  error
}

// Read starts at the first field of frame.
func Read(frame []byte) Reader {
	if len(frame) < len(magic) || string(frame[:len(magic)]) != magic {
		return Reader{err: fmt.Errorf("%w: it does not begin with %q", ErrFrame, magic)}
	}
	return Reader{rest: frame[len(magic):]}
}

// Next moves to the next field; false at the end and at the first fault.
func (r *Reader) Next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	if len(r.rest) < 8 {
		r.err = fmt.Errorf("%w: %d bytes where a field's header needs 8", ErrFrame, len(r.rest))
		return false
	}
	tag, length := binary.LittleEndian.Uint32(r.rest), binary.LittleEndian.Uint32(r.rest[4:])
	if uint64(length) > uint64(len(r.rest)-8) {
		r.err = fmt.Errorf("%w: field %d has length %d, %d bytes are left", ErrFrame, tag, length, len(r.rest)-8)
		return false
	}
	r.Tag, r.Value, r.rest = tag, r.rest[8:8+length], r.rest[8+length:]
	return true
}

// Err is the fault that ended the walk, or nil.
func (r *Reader) Err() error { return r.err }

// U32 is the field's value as a number.
func (r *Reader) U32() uint32 {
	if len(r.Value) != 4 {
		r.fail("4")
		return 0
	}
	return binary.LittleEndian.Uint32(r.Value)
}

// U64 is the field's value as a number.
func (r *Reader) U64() uint64 {
	if len(r.Value) != 8 {
		r.fail("8")
		return 0
	}
	return binary.LittleEndian.Uint64(r.Value)
}

// Pair is the field's value as a name and a value.
func (r *Reader) Pair() (name, value []byte) {
	if len(r.Value) < 4 || uint64(binary.LittleEndian.Uint32(r.Value)) > uint64(len(r.Value)-4) {
		r.fail("a name within its")
		return nil, nil
	}
	n := binary.LittleEndian.Uint32(r.Value)
	return r.Value[4 : 4+n], r.Value[4+n:]
}

// Entry is the field's value as an entry of a store listing.
func (r *Reader) Entry() (key []byte, kind uint32, value []byte) {
	key, rest := r.Pair()
	if r.err == nil && len(rest) < 4 {
		r.fail("a kind within its")
	}
	if r.err != nil {
		return nil, 0, nil
	}
	return key, binary.LittleEndian.Uint32(rest), rest[4:]
}

func (r *Reader) fail(want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: field %d needs %s bytes, it has %d", ErrFrame, r.Tag, want, len(r.Value))
	}
	r.rest = nil
}
