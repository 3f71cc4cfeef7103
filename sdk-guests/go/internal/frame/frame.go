// Package frame is the codec of aleph_v1's frames, as abi/SPEC.md has them. Writing appends to the caller's bytes; what a Reader
// gives is a view of its input.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const magic = "alv1"

// ErrFrame is wrapped by every error about a frame that cannot be read.
var ErrFrame = errors.New("invalid frame")

// Text is what a field's value may be given as, and read as.
type Text interface{ ~string | ~[]byte }

// Begin begins a frame at the end of b.
func Begin(b []byte) []byte { return append(b, magic...) }

// Bytes appends a field to the frame that ends b.
func Bytes[T Text](b []byte, tag uint32, value T) []byte {
	return append(Field(b, tag, len(value)), value...)
}

// U32 appends a field that holds a number.
func U32(b []byte, tag, value uint32) []byte {
	return binary.LittleEndian.AppendUint32(Field(b, tag, 4), value)
}

// U64 appends a field that holds a number; an i64 is given in two's complement.
func U64(b []byte, tag uint32, value uint64) []byte {
	return binary.LittleEndian.AppendUint64(Field(b, tag, 8), value)
}

// Pair appends a name and a value.
func Pair[N, V Text](b []byte, tag uint32, name N, value V) []byte {
	b = Field(b, tag, 4+len(name)+len(value))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	return append(append(b, name...), value...)
}

// Entry appends an entry of a store listing.
func Entry[K, V Text](b []byte, tag uint32, key K, kind uint32, value V) []byte {
	b = Field(b, tag, 8+len(key)+len(value))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(key)))
	b = binary.LittleEndian.AppendUint32(append(b, key...), kind)
	return append(b, value...)
}

// Field appends a field's head; its value, of length bytes, is what the caller appends next.
func Field(b []byte, tag uint32, length int) []byte {
	b = binary.LittleEndian.AppendUint32(b, tag)
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}

// A Reader walks the fields of a frame:
//
//	r := frame.Read(text)
//	for r.Next() { switch r.Tag { … r.Value … } }
//	if r.Err() != nil { … }
type Reader[T Text] struct {
	Tag   uint32
	Value T

	rest T
	err  error
}

// Read starts in front of the frame's first field.
func Read[T Text](text T) Reader[T] {
	if len(text) < len(magic) || string(text[:len(magic)]) != magic {
		return Reader[T]{err: fmt.Errorf("%w: it does not begin with %q", ErrFrame, magic)}
	}
	return Reader[T]{rest: text[len(magic):]}
}

// Next moves to the next field; false at the end and at the first fault.
func (r *Reader[T]) Next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	if len(r.rest) < 8 {
		r.err = fmt.Errorf("%w: %d bytes where a field's head needs 8", ErrFrame, len(r.rest))
		return false
	}
	tag, length := number(r.rest), number(r.rest[4:])
	if uint64(length) > uint64(len(r.rest)-8) {
		r.err = fmt.Errorf("%w: field %d has length %d, %d bytes are left", ErrFrame, tag, length, len(r.rest)-8)
		return false
	}
	r.Tag, r.Value, r.rest = tag, r.rest[8:8+length], r.rest[8+length:]
	return true
}

// Err is the fault that ended the walk, or nil.
func (r *Reader[T]) Err() error { return r.err }

// U32 is the field's value as a number.
func (r *Reader[T]) U32() uint32 {
	if len(r.Value) != 4 {
		r.fail("4")
		return 0
	}
	return number(r.Value)
}

// U64 is the field's value as a number.
func (r *Reader[T]) U64() uint64 {
	if len(r.Value) != 8 {
		r.fail("8")
		return 0
	}
	return uint64(number(r.Value)) | uint64(number(r.Value[4:]))<<32
}

// Pair is the field's value as a name and a value.
func (r *Reader[T]) Pair() (name, value T) {
	if len(r.Value) < 4 || uint64(number(r.Value)) > uint64(len(r.Value)-4) {
		r.fail("a name within its")
		return name, value
	}
	n := 4 + int(number(r.Value))
	return r.Value[4:n], r.Value[n:]
}

// Entry is the field's value as an entry of a store listing.
func (r *Reader[T]) Entry() (key T, kind uint32, value T) {
	name, rest := r.Pair()
	if r.err == nil && len(rest) < 4 {
		r.fail("a kind within its")
	}
	if r.err != nil {
		return key, 0, value
	}
	return name, number(rest), rest[4:]
}

func (r *Reader[T]) fail(want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: field %d needs %s bytes, it has %d", ErrFrame, r.Tag, want, len(r.Value))
	}
	r.rest = r.rest[:0]
}

func number[T Text](b T) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
