package kv

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Limits of every Store.
const (
	MaxKey         = 1024              // bytes of a key or prefix, in UTF-8
	MaxValue       = 1 << 20           // bytes of a value
	MaxTTL         = 100 * 365 * 86400 // seconds
	MaxList        = 1000              // entries of a page
	DefaultList    = 100               // entries of a page whose limit is 0
	MaxListBytes   = 4 << 20           // bytes of a page: one that reaches it ends there and gives a cursor
	maxProgramName = 128               // bytes
)

// Store is one program's keys and values: what a guest sees as context.aleph.store (abi/SPEC.md, operations 16 to 22).
//
// Keys are 1 to MaxKey bytes of UTF-8, ordered by their bytes. Each operation is atomic and happens at one moment between its
// call and its return; a write has reached the disk when it returns. Errors are *Error, with one of the codes invalid_argument,
// not_a_counter, quota_exceeded, value_too_large and unavailable; after unavailable a write may have happened or not.
// Methods may be called at the same time. All Stores of one program are one store.
type Store interface {
	// Get returns the value of key, and whether there is one. The value is the caller's.
	Get(key string) (Value, bool, error)

	// AppendGet is Get that appends the value's data to dst and returns the longer slice and the value's kind. Without
	// a value it returns dst.
	AppendGet(dst []byte, key string) ([]byte, Kind, bool, error)

	// Set writes a value that expires ttl seconds from now, up to MaxTTL, or never if ttl is 0. It replaces value and
	// expiry of what was there.
	Set(key string, v Value, ttl uint64) error

	// Delete removes key and tells whether it was there.
	Delete(key string) (existed bool, err error)

	// List returns entries whose keys begin with prefix, which may be empty, in order: up to limit (0: DefaultList, at
	// most MaxList) or MaxListBytes of them. cursor is empty for the first page, then the next that the page before gave;
	// next is empty on the last page. Pages see what is there when they are read.
	List(prefix string, limit int, cursor string) (entries []Entry, next string, err error)

	// Increment adds delta to a counter, which begins at 0 if key is absent, and returns the new number. A JSON number that
	// is an integer becomes a counter; anything else is not_a_counter. Beyond int64 it is invalid_argument. An expiry stays.
	Increment(key string, delta int64) (int64, error)

	// CompareAndSet sets key as Set does, if its value equals expected, or if it is absent where expected is nil. Values
	// are equal as Value.Equal says.
	CompareAndSet(key string, expected *Value, v Value, ttl uint64) (swapped bool, err error)

	// Watch waits for the next change below prefix: see Watch. It begins before it returns; no change that another call
	// makes after that is missed. What changes between two watches is not replayed.
	Watch(prefix string) (*Watch, error)
}

// Kind is what a value is. The numbers are those of abi/SPEC.md.
type Kind uint8

const (
	Bytes   Kind = 0
	JSON    Kind = 1 // Data is a JSON text in UTF-8
	Counter Kind = 2 // Data is an int64, 8 bytes, little-endian
)

// Value is what a key holds.
type Value struct {
	Kind Kind
	Data []byte
}

// CounterValue is the counter n.
func CounterValue(n int64) Value {
	return Value{Counter, binary.LittleEndian.AppendUint64(nil, uint64(n))}
}

// Number returns the number of a counter; false if v is not one.
func (v Value) Number() (int64, bool) {
	if v.Kind != Counter || len(v.Data) != 8 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(v.Data)), true
}

// Equal compares bytes by bytes and JSON by meaning: white space, the order of an object's keys and the spelling of a number or
// string do not matter, and of a key given twice the last counts. Numbers are equal if they are the same decimal number. A
// counter equals its JSON number. Bytes equal nothing but bytes. JSON with half a surrogate pair equals only its own spelling.
func (v Value) Equal(w Value) bool {
	if v.Kind == Bytes || w.Kind == Bytes {
		return v.Kind == w.Kind && string(v.Data) == string(w.Data)
	}
	return equalJSON(v.text(), w.text())
}

// text is a counter's or JSON value's JSON text.
func (v Value) text() []byte {
	if n, ok := v.Number(); ok {
		return strconv.AppendInt(nil, n, 10)
	}
	return v.Data
}

// integer is the number that Increment begins with; false if v is not a counter.
func (v Value) integer() (int64, bool) {
	if v.Kind == JSON {
		return jsonInteger(v.Data)
	}
	return v.Number()
}

// Entry is a key and its value.
type Entry struct {
	Key   string
	Value Value
}

// Change is what a Watch reports: the key's new value, or that it was deleted. Expiry is not reported.
type Change struct {
	Key     string
	Value   Value
	Deleted bool
}

// Watch is one wait for one change. Stop must be called, by Wait or else.
type Watch struct {
	// C gives the first change and nothing more. It is closed without one when the database closes or the program's
	// store is dropped.
	C <-chan Change

	// Stop ends the watch and gives its place back. It may be called again.
	Stop func()
}

// Wait waits for the change or for ctx, and stops the watch.
func (w *Watch) Wait(ctx context.Context) (Change, error) {
	defer w.Stop()
	select {
	case c, ok := <-w.C:
		if !ok {
			return Change{}, fail(ErrUnavailable, "watch: the store was closed")
		}
		return c, nil
	case <-ctx.Done():
		return Change{}, ctx.Err()
	}
}

// Quota bounds one program's store. A zero field has its default.
type Quota struct {
	// Bytes of keys and values together. The default is 256 MiB.
	Bytes int64
	// Keys is the number of entries. The default is 1,000,000.
	Keys int64
	// Watches at the same time. The default is 256.
	Watches int
}

func (q Quota) withDefaults() Quota {
	if q.Bytes == 0 {
		q.Bytes = 256 << 20
	}
	if q.Keys == 0 {
		q.Keys = 1_000_000
	}
	if q.Watches == 0 {
		q.Watches = 256
	}
	return q
}

func checkKey(key string) error {
	if key == "" {
		return fail(ErrInvalidArgument, "key: 0 bytes, at least 1")
	}
	return checkText("key", key)
}

func checkText(field, s string) error {
	if len(s) > MaxKey {
		return fail(ErrInvalidArgument, "%s: %d bytes, limit %d", field, len(s), MaxKey)
	}
	if !utf8.ValidString(s) {
		return fail(ErrInvalidArgument, "%s: not UTF-8", field)
	}
	return nil
}

func checkValue(field string, v Value) error {
	if len(v.Data) > MaxValue {
		return fail(ErrValueTooLarge, "%s: %d bytes, limit %d", field, len(v.Data), MaxValue)
	}
	switch v.Kind {
	case Bytes:
	case JSON:
		if !json.Valid(v.Data) || !utf8.Valid(v.Data) {
			return fail(ErrInvalidArgument, "%s: not a JSON text", field)
		}
	case Counter:
		if len(v.Data) != 8 {
			return fail(ErrInvalidArgument, "%s: a counter of %d bytes, must be 8", field, len(v.Data))
		}
	default:
		return fail(ErrInvalidArgument, "%s: kind %d, must be 0 (bytes), 1 (JSON) or 2 (counter)", field, v.Kind)
	}
	return nil
}

func checkTTL(ttl uint64) error {
	if ttl > MaxTTL {
		return fail(ErrInvalidArgument, "ttl: %d s, limit %d s", ttl, uint64(MaxTTL))
	}
	return nil
}
