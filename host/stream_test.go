package host

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/aleph-edge/aleph-edge/abi"
)

// echo reads its event's body and writes each part as a part of the reply.
//
//go:embed testdata/stream.wat
var echo string

// source is a Body that a test feeds.
type source struct {
	parts chan string // closed: the end
	fault error       // instead of the end
	rest  string
	stop  chan struct{}
	once  sync.Once
}

func newSource(parts ...string) *source {
	s := &source{parts: make(chan string, 100), stop: make(chan struct{})}
	for _, p := range parts {
		s.parts <- p
	}
	return s
}

func (s *source) Read(p []byte) (int, error) {
	if s.rest == "" {
		select {
		case part, more := <-s.parts:
			if !more && s.fault != nil {
				return 0, s.fault
			}
			if !more {
				return 0, io.EOF
			}
			s.rest = part
		case <-s.stop:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *source) Interrupt() { s.once.Do(func() { close(s.stop) }) }

// follow begins an invocation with a body that follows, and runs it to the head of its reply.
func (w *world) follow(id, text string, s *source) *Invocation {
	w.Helper()
	p := w.registry.Lookup(id)
	if p == nil {
		p = w.deploy(id, text)
	}
	inv, failed := w.dispatcher.Begin(context.Background(), p, abi.KindHTTP, 1, nil)
	if failed != nil {
		w.Fatal(failed)
	}
	if !inv.Serving().Reads {
		w.Fatal("it does not read bodies")
	}
	inv.Follow(s)
	reply, failed := inv.Run()
	if failed != nil || !inv.Streams() || reply.Status != 201 {
		w.Fatalf("%+v, %v", reply, failed)
	}
	return inv
}

// TestStream sends parts and looks at each before the next is sent.
func TestStream(t *testing.T) {
	w := newWorld(t, 16)
	s := newSource()
	inv := w.follow("echo", echo, s)
	for i := range 20 {
		text := strings.Repeat(fmt.Sprint(i%10), 1+i*3) // up to 58 bytes, of 64 that a read takes
		s.parts <- text
		part, failed := inv.Next()
		if failed != nil || string(part) != text {
			t.Fatalf("%q, %v", part, failed)
		}
	}
	s.parts <- strings.Repeat("x", 100)
	for _, n := range []int{64, 36} {
		if part, failed := inv.Next(); failed != nil || len(part) != n {
			t.Fatalf("%q, %v", part, failed)
		}
	}
	close(s.parts)
	for range 2 {
		if part, failed := inv.Next(); failed != nil || part != nil {
			t.Fatalf("%q, %v", part, failed)
		}
	}
	inv.Detach()
	w.dispatcher.work.Wait()
	account, err := w.meter.Program("echo")
	if err != nil {
		t.Fatal(err)
	}
	if r := account.Records(1); len(r) != 1 || r[0].Status != 201 || r[0].ErrorClass != "" || r[0].ResponseBytes < 500 || r[0].RequestBytes < 500 {
		t.Errorf("recorded %+v", r)
	}
}

// TestStreamEnds ends streams in every other way.
func TestStreamEnds(t *testing.T) {
	w := newWorld(t, 16)
	t.Run("the caller leaves while the guest reads", func(t *testing.T) {
		s := newSource("abc")
		inv := w.follow("echo", echo, s)
		if part, failed := inv.Next(); failed != nil || string(part) != "abc" {
			t.Fatalf("%q, %v", part, failed)
		}
		inv.Abort()
		inv.End()
	})
	t.Run("the caller leaves before the first part", func(t *testing.T) {
		inv := w.follow("echo", echo, newSource())
		inv.Abort()
		inv.End()
	})
	t.Run("the caller has it while the guest reads on", func(t *testing.T) {
		inv := w.follow("echo", echo, newSource("abc"))
		inv.Detach() // the guest's read fails, and it returns
		w.dispatcher.work.Wait()
	})
	t.Run("the source fails", func(t *testing.T) {
		for _, fault := range []error{io.ErrUnexpectedEOF, fmt.Errorf("%w: 5 bytes", ErrBodyTooLarge)} {
			s := newSource("abc")
			s.fault = fault
			close(s.parts)
			inv := w.follow("echo", echo, s)
			if part, failed := inv.Next(); failed != nil || string(part) != "abc" {
				t.Fatalf("%q, %v", part, failed)
			}
			if _, failed := inv.Next(); failed == nil || failed.Row != abi.ErrNoReply { // it returns without an end
				t.Fatalf("got %v", failed)
			}
			inv.Abort()
			inv.End()
		}
	})
	t.Run("the node closes", func(t *testing.T) {
		inv := w.follow("echo", echo, newSource())
		w.dispatcher.Interrupt()
		if _, failed := inv.Next(); failed == nil || failed.Row != abi.ErrUnavailable {
			t.Fatalf("got %v", failed)
		}
		inv.End()
	})
	if w.dispatcher.InFlight() != 0 || w.pool.Stats().InUse != 0 || w.dispatcher.Operations() != 0 {
		t.Errorf("%d in flight, %d instances, %d operations", w.dispatcher.InFlight(), w.pool.Stats().InUse, w.dispatcher.Operations())
	}
}

// TestStreamMisuse gives the operations what they refuse.
func TestStreamMisuse(t *testing.T) {
	w := newWorld(t, 16)
	// once runs one operation with a request of n bytes at 0 and answers with its result frame as the body.
	once := func(op int, request string) string {
		var data strings.Builder
		for _, c := range []byte(request) {
			fmt.Fprintf(&data, "\\%02x", c)
		}
		p := w.deploy(fmt.Sprintf("op-%d-%x", op, request), fmt.Sprintf(`(module
			(import "aleph_v1" "op_start" (func $start (param i32 i32 i32) (result i32)))
			(import "aleph_v1" "op_wait" (func $wait (param i32) (result i64)))
			(import "aleph_v1" "op_take" (func $take (param i32 i32 i32) (result i32)))
			(import "aleph_v1" "respond" (func $respond (param i32 i32)))
			(memory (export "memory") 1)
			(data (i32.const 0) "%s")
			(data (i32.const 1024) "alv1\14\00\00\00")
			(func (export "aleph_handle") (param i32) (local $t i32)
				(local.set $t (call $start (i32.const %d) (i32.const 0) (i32.const %d)))
				(drop (call $wait (local.get $t)))
				(i32.store (i32.const 1032) (call $take (local.get $t) (i32.const 1036) (i32.const 4096)))
				(call $respond (i32.const 1024) (i32.add (i32.load (i32.const 1032)) (i32.const 12)))))`, data.String(), op, len(request)))
		body, failed := w.run(p, "whole")
		if failed != nil {
			t.Fatalf("%d %q: %v", op, request, failed)
		}
		return body
	}
	status := func(frame string) (status uint32, ends bool) {
		r := abi.Read([]byte(frame))
		for r.Next() {
			switch r.Tag {
			case abi.TagOpStatus:
				status = r.U32()
			case abi.TagEnd:
				ends = r.U32() == 1
			}
		}
		if r.Err() != nil {
			t.Error(r.Err())
		}
		return status, ends
	}
	if s, ends := status(once(abi.OpBodyRead, "alv1")); s != abi.OpOK || !ends {
		t.Errorf("reading where nothing follows: %d, %v", s, ends)
	}
	for name, test := range map[string]struct {
		op      int
		request []byte
	}{
		"a write before the start":   {abi.OpReplyWrite, abi.Frame(nil)},
		"a read with a broken frame": {abi.OpBodyRead, []byte("alv")},
		"a start with status 99":     {abi.OpReplyStart, abi.U32(abi.Frame(nil), abi.TagHTTPStatus, 99)},
		"a start with status 600":    {abi.OpReplyStart, abi.U32(abi.Frame(nil), abi.TagHTTPStatus, 600)},
		"a start with half a header": {abi.OpReplyStart, abi.Bytes(abi.Frame(nil), abi.TagHeader, "abc")},
	} {
		if s, _ := status(once(test.op, string(test.request))); s != abi.OpInvalidArgument {
			t.Errorf("%s: status %d", name, s)
		}
	}
}
