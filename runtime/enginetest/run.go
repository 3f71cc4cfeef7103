package enginetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A run is one event in a slot.
type run struct {
	slot   *wasm.Slot
	store  kv.Store
	body   []string // what follows the event
	log    [][2]string
	start  []byte // the head of a streamed reply, as a response frame; nil: it is not streamed
	chunks []string
	ended  bool

	sleeps  []sleep
	changes chan change
	watches int
	ctx     context.Context
}

type sleep struct {
	ticket uint32
	until  time.Time
}

type change struct {
	ticket uint32
	kv.Change
}

var errDeadline = errors.New("the guest waits for nothing")

func entry(level int, text []byte) [2]string {
	return [2]string{[]string{"debug", "info", "warning", "error"}[level], string(text)}
}

func (r *run) handle(m *wasm.Module, event []byte) (abi.Response, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.ctx, r.changes = ctx, make(chan change)
	status := r.slot.Start(m, "aleph_handle", event)
	for {
		r.slot.Logs(func(level int, text []byte) { r.log = append(r.log, entry(level, text)) })
		switch status {
		case wasm.Failed:
			return abi.Response{}, r.slot.Fault()
		case wasm.Done:
			return r.answer()
		case wasm.Waiting:
			r.slot.Started(r.perform)
			for !r.slot.Ready() {
				if err := r.wait(); err != nil {
					r.slot.Cancel()
					return abi.Response{}, err
				}
			}
		}
		status = r.slot.Resume()
	}
}

// answer is what the guest responded with, or what it streamed.
func (r *run) answer() (abi.Response, error) {
	r.slot.Started(r.perform)
	frame, ok := r.slot.Response()
	if ok {
		if reply, err := abi.ParseResponse(bytes.Clone(frame)); err != nil || r.start == nil || reply.ErrorCode != 0 {
			return reply, err
		}
	}
	switch {
	case r.start == nil:
		return abi.Response{}, errors.New("no answer")
	case !r.ended:
		return abi.Response{}, errors.New("the streamed reply has no end")
	}
	return abi.ParseResponse(abi.Bytes(r.start, abi.TagBody, strings.Join(r.chunks, "")))
}

// wait completes the operation that ends next.
func (r *run) wait() error {
	r.sleeps = slices.DeleteFunc(r.sleeps, func(s sleep) bool { return !r.slot.Knows(s.ticket) })
	if r.watches == 0 && len(r.sleeps) == 0 {
		return errDeadline
	}
	slices.SortFunc(r.sleeps, func(a, b sleep) int { return a.until.Compare(b.until) })
	var over <-chan time.Time
	if len(r.sleeps) > 0 {
		over = time.After(time.Until(r.sleeps[0].until))
	}
	select {
	case <-over:
		r.slot.Complete(r.sleeps[0].ticket, succeeded())
		r.sleeps = r.sleeps[1:]
	case c := <-r.changes:
		kind := uint32(c.Value.Kind)
		if c.Deleted {
			kind = abi.EntryKindDeleted
		}
		r.slot.Complete(c.ticket, abi.Entry(succeeded(), c.Key, kind, c.Value.Data))
		r.watches--
	}
	return nil
}

func succeeded() []byte { return abi.U32(abi.Frame(nil), abi.TagOpStatus, abi.OpOK) }

// A request is that of an operation.
type request struct {
	key, cursor     string
	value, expected kv.Value
	hasExpected     bool
	ttl, duration   uint64
	limit, end      uint32
	delta           int64
	body            []byte
	head            []byte
}

func readRequest(frame []byte) (q request) {
	q.head = abi.Frame(nil)
	for f := abi.Read(frame); f.Next(); {
		switch f.Tag {
		case abi.TagKey:
			q.key = string(f.Value)
		case abi.TagCursor:
			q.cursor = string(f.Value)
		case abi.TagValue:
			q.value.Data = bytes.Clone(f.Value)
		case abi.TagValueKind:
			q.value.Kind = kv.Kind(f.U32())
		case abi.TagExpected:
			q.expected.Data, q.hasExpected = bytes.Clone(f.Value), true
		case abi.TagExpectedKind:
			q.expected.Kind = kv.Kind(f.U32())
		case abi.TagTTL:
			q.ttl = f.U64()
		case abi.TagLimit:
			q.limit = f.U32()
		case abi.TagDelta:
			q.delta = int64(f.U64())
		case abi.TagDuration:
			q.duration = f.U64()
		case abi.TagBody:
			q.body = bytes.Clone(f.Value)
		case abi.TagEnd:
			q.end = f.U32()
		case abi.TagHTTPStatus:
			q.head = abi.U32(q.head, abi.TagStatus, f.U32())
		case abi.TagHeader:
			q.head = abi.Bytes(q.head, abi.TagHeader, f.Value)
		}
	}
	return q
}

// perform does one operation, as SPEC.md says.
func (r *run) perform(op wasm.Operation) {
	q := readRequest(op.Request)
	flag := func(b []byte, set bool) []byte { return abi.U32(b, abi.TagFlag, map[bool]uint32{true: 1}[set]) }
	result := succeeded()
	var err error
	switch op.Op {
	case abi.OpSleep:
		r.sleeps = append(r.sleeps, sleep{op.Ticket, time.Now().Add(time.Duration(q.duration))})
		return
	case abi.OpBodyRead:
		if len(r.body) > 0 {
			result = abi.Bytes(result, abi.TagBody, r.body[0])
			r.body = r.body[1:]
		}
		if len(r.body) == 0 {
			result = abi.U32(result, abi.TagEnd, 1)
		}
	case abi.OpReplyStart:
		r.start = q.head
	case abi.OpReplyWrite:
		r.chunks = append(r.chunks, string(q.body))
		r.ended = q.end == 1
	case abi.OpStoreWatch:
		w, failed := r.store.Watch(q.key)
		if err = failed; err == nil {
			r.watches++
			go func() {
				if c, err := w.Wait(r.ctx); err == nil {
					select {
					case r.changes <- change{op.Ticket, c}:
					case <-r.ctx.Done():
					}
				}
			}()
			return
		}
	case abi.OpStoreGet:
		got, found, failed := r.store.Get(q.key)
		if err = failed; found {
			result = abi.U32(abi.Bytes(result, abi.TagValue, got.Data), abi.TagValueKind, uint32(got.Kind))
		}
	case abi.OpStoreSet:
		err = r.store.Set(q.key, q.value, q.ttl)
	case abi.OpStoreDelete:
		existed, failed := r.store.Delete(q.key)
		result, err = flag(result, existed), failed
	case abi.OpStoreList:
		entries, next, failed := r.store.List(q.key, int(q.limit), q.cursor)
		for _, e := range entries {
			result = abi.Entry(result, e.Key, uint32(e.Value.Kind), e.Value.Data)
		}
		if err = failed; next != "" {
			result = abi.Bytes(result, abi.TagCursor, next)
		}
	case abi.OpStoreIncrement:
		n, failed := r.store.Increment(q.key, q.delta)
		result, err = abi.U64(result, abi.TagDelta, uint64(n)), failed
	case abi.OpStoreSwap:
		var old *kv.Value
		if q.hasExpected {
			old = &q.expected
		}
		set, failed := r.store.CompareAndSet(q.key, old, q.value, q.ttl)
		result, err = flag(result, set), failed
	}
	if err != nil {
		status := uint32(abi.OpUnavailable)
		for code, s := range map[kv.Code]uint32{kv.ErrInvalidArgument: abi.OpInvalidArgument, kv.ErrNotACounter: abi.OpNotACounter,
			kv.ErrQuotaExceeded: abi.OpQuotaExceeded, kv.ErrValueTooLarge: abi.OpValueTooLarge} {
			if errors.Is(err, code) {
				status = s
			}
		}
		result = abi.Bytes(abi.U32(abi.Frame(nil), abi.TagOpStatus, status), abi.TagOpMessage, err.Error())
	}
	r.slot.Complete(op.Ticket, result)
}
