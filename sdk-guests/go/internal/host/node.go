//go:build !wasip1

package host

import (
	"context"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
)

// An Operation was started, and is waited for once.
type Operation struct {
	result chan []byte
	cancel func()
}

// A value in the store of this process. Its time is over at expires, if that is set.
type value struct {
	kind    uint32
	data    string
	expires time.Time
}

type watcher struct {
	prefix string
	result chan []byte
}

var (
	mu       sync.Mutex
	values   = map[string]value{}
	watchers []*watcher
)

// Log writes an entry of the program's log.
func Log(level int, text []byte) {
	line := append([]byte([]string{"DEBUG ", "INFO ", "WARN ", "ERROR "}[level]), text...)
	if line[len(line)-1] != '\n' {
		line = append(line, '\n')
	}
	_, _ = os.Stderr.Write(line)
}

// Start starts an operation; those of the store are there.
func Start(operation uint32, request []byte) (*Operation, error) {
	o := &Operation{result: make(chan []byte, 1), cancel: func() {}}
	q, err := read(request)
	if err != nil {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	if operation == frame.StoreWatch {
		w := &watcher{q.key, o.result}
		watchers = append(watchers, w)
		o.cancel = func() {
			mu.Lock()
			watchers = slices.DeleteFunc(watchers, func(other *watcher) bool { return other == w })
			mu.Unlock()
		}
		return o, nil
	}
	o.result <- q.answer(operation)
	return o, nil
}

// Wait waits until the operation is complete, and gives its result, or until the context is done, which cancels it.
func (o *Operation) Wait(ctx context.Context) ([]byte, error) {
	select {
	case result := <-o.result:
		return Checked(result)
	case <-ctx.Done():
		o.cancel()
		return nil, context.Cause(ctx)
	}
}

// Cancel forgets an operation that nobody waits for.
func (o *Operation) Cancel() { o.cancel() }

// A query is a request to the store.
type query struct {
	key, cursor string
	value       value
	expected    value
	expects     bool
	limit       uint32
	delta       uint64
}

func read(request []byte) (q query, err error) {
	r := frame.Read(request)
	for r.Next() {
		switch r.Tag {
		case frame.Key:
			q.key = string(r.Value)
		case frame.Value:
			q.value.data = string(r.Value)
		case frame.ValueKind:
			q.value.kind = r.U32()
		case frame.TTL:
			q.value.expires = time.Now().Add(time.Duration(r.U64()) * time.Second)
		case frame.Limit:
			q.limit = r.U32()
		case frame.Cursor:
			q.cursor = string(r.Value)
		case frame.Delta:
			q.delta = r.U64()
		case frame.Expected:
			q.expected.data, q.expects = string(r.Value), true
		case frame.ExpectedKind:
			q.expected.kind, q.expects = r.U32(), true
		}
	}
	return q, r.Err()
}

func refusal(code Code, message string) []byte {
	b := frame.U32(frame.Begin(nil), frame.Status, uint32(code))
	return frame.Bytes(b, frame.Message, message)
}

func (q *query) answer(operation uint32) []byte {
	result := frame.U32(frame.Begin(nil), frame.Status, 0)
	old, there := values[q.key]
	if there && !old.expires.IsZero() && !time.Now().Before(old.expires) {
		delete(values, q.key)
		old, there = value{}, false
	}
	flag := func(is bool) []byte {
		if is {
			return frame.U32(result, frame.Flag, 1)
		}
		return frame.U32(result, frame.Flag, 0)
	}
	if q.key == "" && operation != frame.StoreList || len(q.key) > 1024 {
		return refusal(InvalidArgument, "a key has 1 to 1024 bytes")
	}
	switch operation {
	case frame.StoreGet:
		if there {
			result = frame.U32(frame.Bytes(result, frame.Value, old.data), frame.ValueKind, old.kind)
		}
	case frame.StoreSet:
		q.set(q.value)
	case frame.StoreDelete:
		if there {
			q.set(value{kind: frame.KindAbsent})
		}
		result = flag(there)
	case frame.StoreAdd:
		if there && old.kind != frame.KindCounter {
			return refusal(NotACounter, "")
		}
		if there {
			q.delta += binary.LittleEndian.Uint64([]byte(old.data))
		}
		q.set(value{frame.KindCounter, string(binary.LittleEndian.AppendUint64(nil, q.delta)), old.expires})
		result = frame.U64(result, frame.Delta, q.delta)
	case frame.StoreCompare:
		same := there == q.expects && old.kind == q.expected.kind && old.data == q.expected.data
		if same {
			q.set(q.value)
		}
		result = flag(same)
	case frame.StoreList:
		result = q.list(result)
	default:
		return refusal(UnknownOperation, "beside WebAssembly there is only the store")
	}
	return result
}

// set sets or deletes the key, and tells who watches.
func (q *query) set(v value) {
	if values[q.key] = v; v.kind == frame.KindAbsent {
		delete(values, q.key)
	}
	watchers = slices.DeleteFunc(watchers, func(w *watcher) bool {
		if !strings.HasPrefix(q.key, w.prefix) {
			return false
		}
		w.result <- frame.Entry(frame.U32(frame.Begin(nil), frame.Status, 0), frame.ListEntry, q.key, v.kind, v.data)
		return true
	})
}

func (q *query) list(result []byte) []byte {
	var keys []string
	for key, v := range values {
		if strings.HasPrefix(key, q.key) && key > q.cursor && (v.expires.IsZero() || time.Now().Before(v.expires)) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if q.limit == 0 {
		q.limit = 100
	}
	for i, key := range keys {
		if i == int(q.limit) {
			return frame.Bytes(result, frame.Cursor, keys[i-1])
		}
		result = frame.Entry(result, frame.ListEntry, key, values[key].kind, values[key].data)
	}
	return result
}
