package host

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// operations is what an invocation has under way for its guest. Reads of the store answer at once; what waits for a disk, a
// clock or another program runs beside the guest and answers through complete.
type operations struct {
	wake    chan struct{}     // one token: complete has something
	running map[uint32]func() // by ticket: what cancels it
	fetches *fetches          // outbound requests; nil: there were none

	mu        sync.Mutex
	complete  []completion
	busy      int // goroutines under way, those of forgotten operations too
	busyBytes int // of their requests
	ended     bool
}

type completion struct {
	ticket uint32
	result []byte
	fetch  *fetch // instead: there is something for its reader
}

// perform begins what the guest started, and hands it what is complete.
func (inv *Invocation) perform() {
	inv.reviewFetches()
	inv.instance.Started(inv.start)
	inv.deliver()
}

// deliver hands complete operations to the guest, which does not run now.
func (inv *Invocation) deliver() {
	if inv.running == nil && inv.body == nil {
		return
	}
	inv.mu.Lock()
	complete := inv.complete
	inv.complete = nil
	inv.mu.Unlock()
	for _, c := range complete {
		if c.fetch != nil {
			inv.fetchNews(c.fetch)
			continue
		}
		if c.ticket == bodyTicket {
			inv.bodyRead()
			continue
		}
		inv.instance.Complete(c.ticket, c.result)
		if cancel := inv.running[c.ticket]; cancel != nil { // else the guest forgot it
			cancel()
			delete(inv.running, c.ticket)
		}
	}
}

// start begins one operation.
func (inv *Invocation) start(op wasm.Operation) {
	switch op.Op {
	case abi.OpSleep:
	case abi.OpBodyRead, abi.OpReplyStart, abi.OpReplyWrite:
		inv.startStream(op)
		return
	case abi.OpFetch, abi.OpFetchRead, abi.OpFetchWrite, abi.OpFetchClose:
		inv.startFetch(op)
		return
	default:
		inv.startStore(op)
		return
	}
	var duration uint64
	r := abi.Read(op.Request)
	for r.Next() {
		if r.Tag == abi.TagDuration {
			duration = r.U64()
		}
	}
	if err := r.Err(); err != nil {
		inv.instance.Complete(op.Ticket, refuse(abi.OpInvalidArgument, err.Error()))
		return
	}
	inv.sleep(op.Ticket, time.Duration(min(duration, math.MaxInt64)))
}

// startStore begins one operation on the program's store. It is kept out of start, whose frame decides the size of the stack
// that a sleeping request holds.
//
//go:noinline
func (inv *Invocation) startStore(op wasm.Operation) {
	request, err := readRequest(op.Request)
	if err != nil {
		inv.instance.Complete(op.Ticket, refuse(abi.OpInvalidArgument, err.Error()))
		return
	}
	store := inv.store
	if store == nil {
		store = inv.attached.store
	}
	r := &inv.record
	switch op.Op {
	case abi.OpStoreGet:
		r.StoreReads++
		value, found, err := store.Get(request.key)
		r.StoreBytes += uint64(len(value.Data))
		inv.instance.Complete(op.Ticket, answer(err, func(b []byte) []byte {
			if found {
				b = appendValue(b, value)
			}
			return b
		}))
	case abi.OpStoreList:
		r.StoreReads++
		entries, next, err := store.List(request.key, int(min(request.limit, math.MaxInt32)), request.cursor)
		inv.instance.Complete(op.Ticket, answer(err, func(b []byte) []byte {
			for _, e := range entries {
				r.StoreBytes += uint64(len(e.Value.Data))
				b = abi.Entry(b, e.Key, uint32(e.Value.Kind), e.Value.Data)
			}
			if next != "" {
				b = abi.Bytes(b, abi.TagCursor, next)
			}
			return b
		}))
	case abi.OpStoreSet:
		inv.write(request)
		inv.beside(op, func(context.Context) []byte {
			return answer(store.Set(request.key, request.value, request.ttl), nil)
		})
	case abi.OpStoreDelete:
		inv.write(request)
		inv.beside(op, func(context.Context) []byte {
			existed, err := store.Delete(request.key)
			return answer(err, flag(existed))
		})
	case abi.OpStoreIncrement:
		inv.write(request)
		inv.beside(op, func(context.Context) []byte {
			n, err := store.Increment(request.key, request.delta)
			return answer(err, func(b []byte) []byte { return abi.U64(b, abi.TagDelta, uint64(n)) })
		})
	case abi.OpStoreSwap:
		inv.write(request)
		inv.beside(op, func(context.Context) []byte {
			swapped, err := store.CompareAndSet(request.key, request.expected, request.value, request.ttl)
			return answer(err, flag(swapped))
		})
	case abi.OpStoreWatch:
		r.StoreReads++
		watch, err := store.Watch(request.key)
		if err != nil {
			inv.instance.Complete(op.Ticket, answer(err, nil))
			return
		}
		if !inv.beside(op, func(ctx context.Context) []byte {
			change, err := watch.Wait(ctx)
			return answer(err, func(b []byte) []byte {
				if change.Deleted {
					return abi.Entry(b, change.Key, abi.EntryKindDeleted, nil)
				}
				return abi.Entry(b, change.Key, uint32(change.Value.Kind), change.Value.Data)
			})
		}) {
			watch.Stop()
		}
	default:
		inv.instance.Complete(op.Ticket, refuse(abi.OpUnknown, "this node has no such operation"))
	}
}

func (inv *Invocation) write(r request) {
	inv.record.StoreWrites++
	inv.record.StoreBytes += uint64(len(r.value.Data))
}

// sleep completes an operation after a time: a timer, no goroutine.
func (inv *Invocation) sleep(ticket uint32, d time.Duration) {
	timer := time.AfterFunc(d, func() { inv.completed(ticket, ok) })
	inv.keep(ticket, func() { timer.Stop() })
}

// keep remembers how an operation under way is cancelled.
func (inv *Invocation) keep(ticket uint32, cancel func()) {
	if inv.running == nil {
		inv.running = map[uint32]func(){}
	}
	if len(inv.running) >= abi.MaxOperations/2 { // some may be forgotten by the guest
		for ticket, cancel := range inv.running {
			if !inv.instance.Knows(ticket) {
				cancel()
				delete(inv.running, ticket)
			}
		}
	}
	inv.running[ticket] = cancel
}

// completed hands a result to the invocation's goroutine, from any other.
func (inv *Invocation) completed(ticket uint32, result []byte) {
	inv.tell(completion{ticket: ticket, result: result})
}

// fetched says, from any goroutine, that there is something for the reader of a fetch.
func (inv *Invocation) fetched(f *fetch) { inv.tell(completion{fetch: f}) }

func (inv *Invocation) tell(c completion) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.ended {
		return
	}
	inv.complete = append(inv.complete, c)
	select {
	case inv.wake <- struct{}{}:
	default:
	}
}

// beside runs an operation in a goroutine of its own. Its context ends when the guest forgets it or the invocation ends; a write
// goes on even then, so that there is a bound of its own: a guest that starts and forgets does not pile them up. False if it is reached: the operation is then complete, refused.
func (inv *Invocation) beside(op wasm.Operation, run func(context.Context) []byte) bool {
	ticket, size := op.Ticket, len(op.Request)
	inv.mu.Lock()
	over := inv.busy >= abi.MaxOperations || inv.busyBytes+size > abi.MaxOperationBytes
	if !over {
		inv.busy++
		inv.busyBytes += size
	}
	inv.mu.Unlock()
	if over {
		inv.instance.Complete(ticket, refuse(abi.OpUnavailable, "operations that were cancelled are still under way; the limit is 256 at once, with 16 MiB"))
		return false
	}
	d := inv.dispatcher
	ctx, cancel := context.WithCancel(context.Background())
	inv.keep(ticket, cancel)
	d.work.Add(1)
	d.waiting.Add(1)
	go func() {
		defer d.work.Done()
		defer d.waiting.Add(-1)
		result := run(ctx)
		inv.mu.Lock()
		inv.busy--
		inv.busyBytes -= size
		inv.mu.Unlock()
		inv.completed(ticket, result)
	}()
	return true
}

// finishOperations lets go of what is still under way. Writes that have begun end as they will.
func (inv *Invocation) finishOperations() {
	inv.finishFetches()
	if inv.running == nil && inv.body == nil {
		return
	}
	inv.mu.Lock()
	inv.ended = true
	inv.mu.Unlock()
	for _, cancel := range inv.running {
		cancel()
	}
}

// A request is an operation's, read and copied.
type request struct {
	key, cursor string
	value       kv.Value
	expected    *kv.Value
	ttl         uint64
	limit       uint32
	delta       int64
}

func readRequest(frame []byte) (request, error) {
	var q request
	var expected kv.Value
	var has, kind bool
	r := abi.Read(frame)
	for r.Next() {
		switch r.Tag {
		case abi.TagKey:
			q.key = string(r.Value)
		case abi.TagValue:
			q.value.Data = append([]byte(nil), r.Value...)
		case abi.TagValueKind:
			q.value.Kind = kindOf(r.U32())
		case abi.TagTTL:
			q.ttl = r.U64()
		case abi.TagLimit:
			q.limit = r.U32()
		case abi.TagCursor:
			q.cursor = string(r.Value)
		case abi.TagDelta:
			q.delta = int64(r.U64())
		case abi.TagExpected:
			expected.Data, has = append([]byte(nil), r.Value...), true
		case abi.TagExpectedKind:
			expected.Kind, kind = kindOf(r.U32()), true
		}
	}
	if has || kind {
		q.expected = &expected
	}
	return q, r.Err()
}

// kindOf keeps what is no kind of value no kind of value.
func kindOf(v uint32) kv.Kind { return kv.Kind(min(v, math.MaxUint8)) }

var ok = abi.U32(abi.Frame(nil), abi.TagOpStatus, abi.OpOK)

func refuse(status uint32, text string) []byte {
	return abi.Bytes(abi.U32(abi.Frame(nil), abi.TagOpStatus, status), abi.TagOpMessage, text)
}

// answer is an operation's result: the error's, or what fill appends.
func answer(err error, fill func([]byte) []byte) []byte {
	if err == nil {
		b := abi.U32(abi.Frame(make([]byte, 0, 64)), abi.TagOpStatus, abi.OpOK)
		if fill != nil {
			b = fill(b)
		}
		return b
	}
	status := uint32(abi.OpUnavailable)
	switch {
	case errors.Is(err, kv.ErrInvalidArgument):
		status = abi.OpInvalidArgument
	case errors.Is(err, kv.ErrNotACounter):
		status = abi.OpNotACounter
	case errors.Is(err, kv.ErrQuotaExceeded):
		status = abi.OpQuotaExceeded
	case errors.Is(err, kv.ErrValueTooLarge):
		status = abi.OpValueTooLarge
	}
	text := err.Error()
	var e *kv.Error
	if errors.As(err, &e) {
		text = e.Text
	}
	return refuse(status, text)
}

func appendValue(b []byte, v kv.Value) []byte {
	return abi.U32(abi.Bytes(b, abi.TagValue, v.Data), abi.TagValueKind, uint32(v.Kind))
}

func flag(set bool) func([]byte) []byte {
	return func(b []byte) []byte {
		var n uint32
		if set {
			n = 1
		}
		return abi.U32(b, abi.TagFlag, n)
	}
}
