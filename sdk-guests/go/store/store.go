// Package store is the program's own data on its node: keys in the order of their bytes, of 1 to 1,024 bytes, with values of up to
// 1 MiB. All instances of the program see the same; a change is there as soon as the call returns.
//
// Errors are *alephguest.Error. A program that runs outside of a node (go run) has a store in memory, empty at its begin.
package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"iter"
	"time"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/host"
)

// Kind is what a value is.
type Kind uint32

// The kinds. Absent is that of a key without a value.
const (
	KindBytes   Kind = frame.KindBytes
	KindJSON    Kind = frame.KindJSON
	KindCounter Kind = frame.KindCounter
	Absent      Kind = frame.KindAbsent
)

// A Value is what a key holds. Data is the bytes, the JSON text, or a counter's eight bytes.
type Value struct {
	Kind Kind
	Data []byte
}

// Bytes is a value of bytes.
func Bytes[T ~[]byte | ~string](data T) Value { return Value{KindBytes, []byte(data)} }

// JSON is v as JSON: what functions in other languages read as objects, lists, strings.
func JSON(v any) (Value, error) {
	text, err := json.Marshal(v)
	return Value{KindJSON, text}, err
}

// Counter is a number that Increment can go on with.
func Counter(n int64) Value {
	return Value{KindCounter, binary.LittleEndian.AppendUint64(nil, uint64(n))}
}

// Number is a counter's number; 0 of all others.
func (v Value) Number() int64 {
	if v.Kind != KindCounter || len(v.Data) != 8 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(v.Data))
}

// Decode reads a value of JSON, or a counter as a number, into what to points to, as json.Unmarshal does.
func (v Value) Decode(to any) error {
	if v.Kind == KindCounter {
		n, err := json.Marshal(v.Number())
		if err != nil {
			return err
		}
		return json.Unmarshal(n, to)
	}
	return json.Unmarshal(v.Data, to)
}

// An Entry is a key and its value.
type Entry struct {
	Key string
	Value
}

func key(key string) []byte { return frame.Bytes(frame.Begin(nil), frame.Key, key) }

func put(b []byte, v Value, ttl time.Duration) []byte {
	b = frame.U32(frame.Bytes(b, frame.Value, v.Data), frame.ValueKind, uint32(v.Kind))
	if ttl > 0 {
		b = frame.U64(b, frame.TTL, uint64((ttl+time.Second-1)/time.Second))
	}
	return b
}

// Get gives the key's value; one of kind Absent if there is none.
func Get(ctx context.Context, name string) (Value, error) {
	v := Value{Kind: Absent}
	result, err := host.Call(ctx, frame.StoreGet, key(name))
	if err != nil {
		return v, err
	}
	r := frame.Read(result)
	for r.Next() {
		switch r.Tag {
		case frame.Value:
			v.Data = r.Value
		case frame.ValueKind:
			v.Kind = Kind(r.U32())
		}
	}
	return v, r.Err()
}

// GetJSON gives the key's value decoded; false if there is none.
func GetJSON[T any](ctx context.Context, name string) (value T, found bool, err error) {
	v, err := Get(ctx, name)
	if err != nil || v.Kind == Absent {
		return value, false, err
	}
	err = v.Decode(&value)
	return value, true, err
}

// Set sets a key. After ttl, in whole seconds, it is gone; 0: never.
func Set(ctx context.Context, name string, value Value, ttl time.Duration) error {
	_, err := host.Call(ctx, frame.StoreSet, put(key(name), value, ttl))
	return err
}

// SetJSON sets a key to v as JSON.
func SetJSON(ctx context.Context, name string, v any, ttl time.Duration) error {
	value, err := JSON(v)
	if err != nil {
		return err
	}
	return Set(ctx, name, value, ttl)
}

// Delete deletes a key, and says whether it was there.
func Delete(ctx context.Context, name string) (existed bool, err error) {
	result, err := host.Call(ctx, frame.StoreDelete, key(name))
	if err != nil {
		return false, err
	}
	return flag(result)
}

// Increment adds to a counter, which begins at 0, and gives its new number. Another kind of value is alephguest.NotACounter.
func Increment(ctx context.Context, name string, delta int64) (number int64, err error) {
	result, err := host.Call(ctx, frame.StoreAdd, frame.U64(key(name), frame.Delta, uint64(delta)))
	if err != nil {
		return 0, err
	}
	r := frame.Read(result)
	for r.Next() {
		if r.Tag == frame.Delta {
			number = int64(r.U64())
		}
	}
	return number, r.Err()
}

// CompareAndSet sets a key if its value is expected (its kind Absent: if it is absent), and says whether it was.
func CompareAndSet(ctx context.Context, name string, expected, value Value, ttl time.Duration) (swapped bool, err error) {
	request := put(key(name), value, ttl)
	if expected.Kind != Absent {
		request = frame.U32(frame.Bytes(request, frame.Expected, expected.Data), frame.ExpectedKind, uint32(expected.Kind))
	}
	result, err := host.Call(ctx, frame.StoreCompare, request)
	if err != nil {
		return false, err
	}
	return flag(result)
}

// Update sets a key to what change makes of its value, which is T's zero value if it is absent. It does so again while others change
// the key at the same time. An error of change ends it.
func Update[T any](ctx context.Context, name string, ttl time.Duration, change func(old T) (T, error)) (T, error) {
	for {
		var next T
		old, err := Get(ctx, name)
		if err == nil && old.Kind != Absent {
			err = old.Decode(&next)
		}
		if err == nil {
			next, err = change(next)
		}
		if err != nil {
			return next, err
		}
		value, err := JSON(next)
		if err != nil {
			return next, err
		}
		if swapped, err := CompareAndSet(ctx, name, old, value, ttl); swapped || err != nil {
			return next, err
		}
	}
}

func flag(result []byte) (is bool, err error) {
	r := frame.Read(result)
	for r.Next() {
		if r.Tag == frame.Flag {
			is = r.U32() == 1
		}
	}
	return is, r.Err()
}

// List gives the entries whose keys begin with the prefix, in the order of their keys, read as far as the loop goes. An error is the last
// that it gives.
func List(ctx context.Context, prefix string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for cursor := ""; ; {
			request := key(prefix)
			if cursor != "" {
				request = frame.Bytes(request, frame.Cursor, cursor)
			}
			result, err := host.Call(ctx, frame.StoreList, request)
			cursor = ""
			r := frame.Read(result)
			for err == nil && r.Next() {
				switch r.Tag {
				case frame.ListEntry:
					if e := entry(&r); r.Err() == nil && !yield(e, nil) {
						return
					}
				case frame.Cursor:
					cursor = string(r.Value)
				}
			}
			if err == nil {
				err = r.Err()
			}
			if err != nil {
				yield(Entry{}, err)
			}
			if err != nil || cursor == "" {
				return
			}
		}
	}
}

func entry(r *frame.Reader[[]byte]) Entry {
	name, kind, value := r.Entry()
	return Entry{string(name), Value{Kind(kind), value}}
}

// A Watcher waits for changes below a prefix.
type Watcher struct {
	prefix string
	next   *host.Operation
	err    error
}

// Watch begins to wait for changes of keys that begin with the prefix, by whomever. Close the Watcher.
func Watch(prefix string) *Watcher {
	w := &Watcher{prefix: prefix}
	w.next, w.err = host.Start(frame.StoreWatch, key(prefix))
	return w
}

// Next waits for the next change; a deleted key has a value of kind Absent. An expiry is not told, and of changes that come at the same
// moment some may be missed.
func (w *Watcher) Next(ctx context.Context) (e Entry, err error) {
	if w.err != nil {
		return e, w.err
	}
	result, err := w.next.Wait(ctx)
	w.next, w.err = host.Start(frame.StoreWatch, key(w.prefix))
	if err != nil {
		return e, err
	}
	r := frame.Read(result)
	for r.Next() {
		if r.Tag == frame.ListEntry {
			e = entry(&r)
		}
	}
	return e, r.Err()
}

// Close ends the waiting.
func (w *Watcher) Close() {
	if w.err == nil {
		w.next.Cancel()
	}
	w.next, w.err = nil, host.Closed
}
