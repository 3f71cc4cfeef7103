package wasm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// finish resumes a run through its slices.
func finish(s *Slot, status Status) Status {
	for status == Yielded {
		status = s.Resume()
	}
	return status
}

// TestGuardEdges: every access that leaves the memory traps, wherever the memory ends, however the address is made, and the
// process lives on.
func TestGuardEdges(t *testing.T) {
	e := newEngine(t, Config{})
	for _, pages := range []uint32{1, 2, 1024} {
		end := uint64(pages) << 16
		for _, access := range []struct {
			address uint32
			offset  uint32
			traps   bool
		}{
			{uint32(end - 4), 0, false}, {uint32(end - 3), 0, true}, {uint32(end), 0, true}, {0, uint32(end - 4), false},
			{0, uint32(end - 3), true}, {0, uint32(end), true}, {0xffffffff, 0, true}, {0xfffffffc, 0, true}, {0x7fffffff, 0, true},
			{0x80000000, 0, true}, {0xffffffff, 0xffffffff, true}, {0, 0xffffffff, true}, {uint32(end), 0x01ffffff, true},
			{0xffffffff, 0x02000000, true}, {0xffff0000, 0x0000ffff, true}, {1, 0xfffffffc, true},
		} {
			for _, instruction := range []string{"i32.store offset=%d (i32.const %d) (i32.const 1)", "drop (i32.load offset=%d (i32.const %d))"} {
				body := fmt.Sprintf(`(func (export "aleph_handle") (param i32) (`+instruction+`))`, access.offset, int32(access.address))
				m := load(t, e, module(int(pages), body))
				s := e.Acquire()
				if err := s.Map(image(t, e, int(pages), nil), end); err != nil {
					t.Fatal(err)
				}
				s.SetLimits(time.Second, 1024)
				status := finish(s, s.Start(m, "aleph_handle", nil))
				if got := status == Failed; got != access.traps {
					t.Errorf("%d pages, %s: trapped %v", pages, fmt.Sprintf(instruction, access.offset, access.address), got)
				}
				s.Release()
			}
		}
	}
}

// TestHostRanges: host functions refuse addresses outside of the memory as it is at that moment.
func TestHostRanges(t *testing.T) {
	e := newEngine(t, Config{})
	for _, call := range []string{
		"(drop (call $event_read (i32.const 65530) (i32.const 0) (i32.const 7)))", "(call $respond (i32.const 65536) (i32.const 1))",
		"(call $respond (i32.const -1) (i32.const -1))", "(call $log (i32.const 1) (i32.const 0) (i32.const 65537))",
		"(call $random (i32.const 65535) (i32.const 2))", "(drop (memory.grow (i32.const 1))) (call $random (i32.const 0) (i32.const 65537))", "(drop (call $op_start (i32.const 1) (i32.const 1) (i32.const 65536)))",
		"(drop (call $op_wait (i32.const 77)))", "(drop (call $op_take (i32.const 1) (i32.const 0) (i32.const 0)))",
	} {
		m := load(t, e, module(1, `(func (export "aleph_handle") (param i32) `+call+`)`))
		s := slot(t, e, image(t, e, 1, nil), 2<<16)
		if status := finish(s, s.Start(m, "aleph_handle", []byte("seven bytes"))); status != Failed || s.Fault().Cause != Violation || !strings.HasPrefix(s.Fault().Message, "abi: ") {
			t.Errorf("%s: status %d, %v", call, status, s.Fault())
		}
	}
	inside := module(1, `(func (export "aleph_handle") (param i32) (call $respond (i32.const 65536) (i32.const 0))
	  (drop (memory.grow (i32.const 1))) (call $random (i32.const 65536) (i32.const 65536)) (call $respond (i32.const 131071) (i32.const 1)))`)
	s := slot(t, e, image(t, e, 1, nil), 2<<16)
	if status := finish(s, s.Start(load(t, e, inside), "aleph_handle", nil)); status != Done {
		t.Errorf("status %d: %v", status, s.Fault())
	}
}

// dirty writes everywhere it can, grows, writes there, and answers with what the first bytes were before.
const dirty = `(func (export "aleph_handle") (param $n i32) (local $i i32)
  (local.set $i (i32.const 65532))
  (loop $next
    (if (i32.ne (i32.load (local.get $i)) (i32.const 0)) (then (i32.store (i32.const 65528) (i32.load (local.get $i)))))
    (br_if $next (local.tee $i (i32.sub (local.get $i) (i32.const 4)))))
  (call $respond (i32.const 65528) (i32.const 8))
  (drop (memory.grow (i32.const 1)))
  (memory.fill (i32.const 8) (i32.const 0xAB) (i32.const 65512))
  (memory.fill (i32.const 65536) (i32.const 0xCD) (i32.const 65536)))`

// TestIsolation: no byte of another program, or of the request before, is in a slot, on both ways of restoring, whether the
// program before ended, grew, trapped or was cancelled.
func TestIsolation(t *testing.T) {
	for _, discard := range []bool{false, true} {
		for _, copyLimit := range []int{0, 2} {
			t.Run(fmt.Sprintf("discard=%v,copy=%d", discard, copyLimit), func(t *testing.T) {
				e := newEngine(t, Config{Discard: discard, CopyLimit: copyLimit, Slots: 4})
				writer := load(t, e, module(1, dirty))
				trapping := load(t, e, module(1, strings.Replace(dirty, "(memory.fill (i32.const 65536)", "(unreachable) (memory.fill (i32.const 65536)", 1)))
				looping := load(t, e, module(1, `(func (export "aleph_handle") (param i32) (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536)) (loop $l (br $l)))`))
				s := e.Acquire()
				defer s.Release()
				s.SetLimits(time.Second, 1024)
				a, b := image(t, e, 1, nil), image(t, e, 1, nil)
				for round := range 12 {
					img := []*Image{a, b}[round%2]
					if round%3 == 0 || s.Image() == nil {
						if err := s.Map(img, 2<<16); err != nil {
							t.Fatal(err)
						}
					}
					if status := finish(s, s.Start(writer, "aleph_handle", nil)); status != Done {
						t.Fatalf("round %d: status %d: %v", round, status, s.Fault())
					}
					if got, _ := s.Response(); !bytes.Equal(got, make([]byte, 8)) {
						t.Fatalf("round %d: found %x", round, got)
					}
					switch round % 4 {
					case 1:
						if status := finish(s, s.Start(trapping, "aleph_handle", nil)); status != Failed {
							t.Fatalf("round %d: status %d", round, status)
						}
					case 2:
						if status := s.Start(looping, "aleph_handle", nil); status != Yielded {
							t.Fatalf("round %d: status %d", round, status)
						}
						s.Cancel()
					case 3:
						if err := s.Settle(); err != nil {
							t.Fatal(err)
						}
						if got := s.Memory(); !bytes.Equal(got, make([]byte, 1<<16)) {
							t.Fatalf("round %d: the settled memory is not the image", round)
						}
					}
				}
				if e.Budget() <= 0 {
					t.Errorf("budget %d", e.Budget())
				}
			})
		}
	}
}

// TestGlobalsAndTablesAreFresh: what is not memory is new for each run, too.
func TestGlobalsAndTablesAreFresh(t *testing.T) {
	e := newEngine(t, Config{})
	m := load(t, e, module(1, `(global $g (mut i32) (i32.const 7)) (table $t 2 funcref) (func $f)  (elem declare func $f)
	 (func (export "aleph_handle") (param i32)
	  (i32.store (i32.const 0) (global.get $g)) (i32.store (i32.const 4) (ref.is_null (table.get $t (i32.const 1))))
	  (global.set $g (i32.const 9)) (table.set $t (i32.const 1) (ref.func $f)) (call $respond (i32.const 0) (i32.const 8)))`))
	s := slot(t, e, image(t, e, 1, nil), 1<<16)
	for range 3 {
		if status := finish(s, s.Start(m, "aleph_handle", nil)); status != Done {
			t.Fatal(s.Fault())
		}
		if got, _ := s.Response(); !bytes.Equal(got, []byte{7, 0, 0, 0, 1, 0, 0, 0}) {
			t.Errorf("%v", got)
		}
	}
}

func TestLimits(t *testing.T) {
	e := newEngine(t, Config{})
	run := func(body string, limit uint64) *Slot {
		s := slot(t, e, image(t, e, 1, nil), limit)
		s.SetLimits(20*time.Millisecond, 1000)
		finish(s, s.Start(load(t, e, module(1, body)), "aleph_handle", nil))
		return s
	}
	t.Run("cpu", func(t *testing.T) {
		s := run(`(func (export "aleph_handle") (param i32) (loop $l (br $l)))`, 1<<16)
		if s.Fault().Cause != OutOfBudget || s.CPU() < 15*time.Millisecond || s.CPU() > time.Second {
			t.Errorf("%+v after %v", s.Fault(), s.CPU())
		}
	})
	t.Run("stack", func(t *testing.T) {
		if s := run(`(func $f (export "aleph_handle") (param i32) (call $f (i32.const 0)) (call $f (i32.const 0)))`, 1<<16); s.Fault().Cause != StackOverflow {
			t.Errorf("%+v", s.Fault())
		}
	})
	t.Run("memory", func(t *testing.T) {
		s := run(`(func (export "aleph_handle") (param i32) (i32.store (i32.const 0) (memory.grow (i32.const 1))) (i32.store (i32.const 4) (memory.grow (i32.const 1)))
		  (call $respond (i32.const 0) (i32.const 8)))`, 2<<16)
		own, node := s.MemoryLimited()
		if got, _ := s.Response(); !own || node || !bytes.Equal(got, []byte{1, 0, 0, 0, 255, 255, 255, 255}) {
			t.Errorf("%v %v %v", got, own, node)
		}
	})
	t.Run("log", func(t *testing.T) {
		s := run(`(func (export "aleph_handle") (param i32) (local $i i32) (loop $l (call $log (i32.const 9) (i32.const 0) (i32.const 10))
		  (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))))`, 1<<16)
		n := 0
		dropped := s.Logs(func(level int, text []byte) {
			if n++; level != 3 || len(text) != 10 {
				t.Errorf("%d %q", level, text)
			}
		})
		if n+dropped != 100 || n != 13 { // 74 bytes each
			t.Errorf("%d entries, %d dropped", n, dropped)
		}
	})
	t.Run("node memory", func(t *testing.T) {
		before := e.Budget()
		s := slot(t, e, image(t, e, 1, nil), 4<<30)
		m := load(t, e, module(1, `(func (export "aleph_handle") (param i32) (drop (memory.grow (i32.const 65535))) (call $respond (i32.const 0) (i32.const 0)))`))
		e.setBudget(1 << 20)
		status := finish(s, s.Start(m, "aleph_handle", nil))
		if _, node := s.MemoryLimited(); status != Done || !node {
			t.Errorf("status %d, node limited %v", status, node)
		}
		e.setBudget(before)
	})
}

// sleeper starts n operations, waits for each, and answers with the sum of the first bytes of their results.
const sleeper = `(func (export "aleph_handle") (param $n i32) (local $i i32) (local $r i64) (local $sum i32)
  (loop $start
    (drop (call $op_start (local.get $i) (i32.const 100) (local.get $i)))
    (br_if $start (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
  (loop $wait
    (local.set $r (call $op_wait (i32.const 0)))
    (drop (call $op_take (i32.wrap_i64 (i64.shr_u (local.get $r) (i64.const 32))) (i32.const 200) (i32.wrap_i64 (local.get $r))))
    (local.set $sum (i32.add (local.get $sum) (i32.load8_u (i32.const 200))))
    (br_if $wait (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
  (i32.store (i32.const 0) (local.get $sum))
  (call $respond (i32.const 0) (i32.const 4)))`

func TestOperations(t *testing.T) {
	e := newEngine(t, Config{Slots: 64})
	m := load(t, e, module(1, sleeper))
	img := image(t, e, 1, nil)
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			s := e.Acquire()
			defer s.Release()
			if err := s.Map(img, 1<<16); err != nil {
				t.Error(err)
				return
			}
			s.SetLimits(time.Second, 1000)
			for round := range 20 {
				const n = 50
				status := finish(s, s.Start(m, "aleph_handle", make([]byte, n)))
				var tickets []Operation
				for status == Waiting {
					s.Started(func(op Operation) {
						if int(op.Op) != len(op.Request) {
							t.Errorf("operation %d has %d bytes", op.Op, len(op.Request))
						}
						tickets = append(tickets, op)
					})
					if s.Ready() {
						t.Error("ready before anything is complete")
					}
					last := tickets[len(tickets)-1]
					tickets = tickets[:len(tickets)-1]
					if !s.Complete(last.Ticket, []byte{byte(last.Op)}) || s.Complete(last.Ticket, nil) {
						t.Error("complete")
					}
					if round%5 == 4 && last.Op == 25 {
						s.Cancel()
						status = Done
						break
					}
					status = finish(s, s.Resume())
				}
				if status != Done {
					t.Errorf("status %d: %v", status, s.Fault())
				}
				if got, ok := s.Response(); round%5 != 4 && (!ok || binary.LittleEndian.Uint32(got) != n*(n-1)/2) {
					t.Errorf("%v", got)
				}
				if s.Outstanding() != 0 {
					t.Errorf("%d outstanding", s.Outstanding())
				}
			}
		})
	}
	group.Wait()
}

func TestTooManyOperations(t *testing.T) {
	e := newEngine(t, Config{})
	m := load(t, e, module(1, `(func (export "aleph_handle") (param i32) (local $i i32) (local $t i32)
	  (loop $l (local.set $t (call $op_start (i32.const 1) (i32.const 0) (i32.const 0)))
	    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 257))))
	  (i32.store (i32.const 0) (local.get $t))
	  (local.set $i (i32.const 0))
	  (loop $c (call $op_cancel (call $op_start (i32.const 1) (i32.const 0) (i32.const 0)))
	    (call $op_cancel (i32.add (i32.const 257) (local.get $i))) ;; generation 1, index i
	    (br_if $c (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
	  (call $respond (i32.const 0) (i32.const 4)))`))
	s := slot(t, e, image(t, e, 1, nil), 1<<16)
	if status := finish(s, s.Start(m, "aleph_handle", nil)); status != Done {
		t.Fatal(s.Fault())
	}
	if got, _ := s.Response(); int32(binary.LittleEndian.Uint32(got)) != -1 {
		t.Errorf("the 257th operation: %d", int32(binary.LittleEndian.Uint32(got)))
	}
}

func TestMonotonicClock(t *testing.T) {
	e := newEngine(t, Config{})
	before := e.Clock()
	e.AdvanceClock(before + int64(time.Hour))
	if now := e.Clock(); now < before+int64(time.Hour) {
		t.Errorf("%d after %d", now, before)
	}
	e.AdvanceClock(0)
	if e.Clock() < before+int64(time.Hour) {
		t.Error("the clock went back")
	}
}

func TestSlotsRunOut(t *testing.T) {
	e := newEngine(t, Config{Slots: MinSlots})
	for range MinSlots {
		s := e.Acquire()
		defer s.Release()
	}
	if e.Acquire() != nil {
		t.Error("a slot too many")
	}
	if _, err := NewEngine(Config{Slots: 1 << 20}); err == nil {
		t.Error("four petabytes were reserved")
	}
	if _, err := NewEngine(Config{Slots: 1}); err == nil {
		t.Error("an engine with one slot was made")
	}
}
