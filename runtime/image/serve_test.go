package image

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

const handle = `(func (export "aleph_handle") (param i32))`

// TestServes says which modules' instances are kept, and that both kinds are valid.
func TestServes(t *testing.T) {
	l := newLab(t)
	for body, want := range map[string]bool{
		handle: true,
		`(table 2 funcref) (elem (i32.const 0) 0 0) ` + handle:                                                     true,
		`(table (export "t") 2 funcref) (func (drop (table.get 0 (i32.const 0))) (drop (table.size 0))) ` + handle: true,
		`(data $d "x") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))) ` + handle:                true,
		`(func (memory.fill (i32.const 0) (i32.const 0) (memory.grow (i32.const 1)))) ` + handle:                   true,
		`(global (mut funcref) (ref.func 0)) (global (mut v128) (v128.const i64x2 1 2)) ` + handle:                 true,
		`(global i32 (i32.const 7)) (global (mut i32) (i32.add (i32.const 7) (i32.const 1))) ` + handle:            true,
		`(start $s) (func $s) ` + handle: true,
		`(table 2 funcref) (func (table.set 0 (i32.const 0) (ref.null func))) ` + handle:                                       false,
		`(table 2 funcref) (func (drop (table.grow 0 (ref.null func) (i32.const 1)))) ` + handle:                               false,
		`(table 2 funcref) (func (table.fill 0 (i32.const 0) (ref.null func) (i32.const 1))) ` + handle:                        false,
		`(table 2 funcref) (func (table.copy (i32.const 0) (i32.const 1) (i32.const 1))) ` + handle:                            false,
		`(table 2 funcref) (elem $e func 0) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const 1))) ` + handle:        false,
		`(elem $e func 0) (func (elem.drop $e)) ` + handle:                                                                     false,
		`(data $d "x") (func (data.drop $d)) ` + handle:                                                                        false,
		`(table 1000000 funcref) ` + handle:                                                                                    false, // 8 MB each
		`(func (export "_start"))`:                                                                                             false,
		`(func (export "aleph_handle") (param i64))`:                                                                           false,
		`(func (export "aleph_handle") (param i32) (result i32) (i32.const 0))`:                                                false,
		`(global (export "aleph_handle") i32 (i32.const 0)) (func (export "other") (param i32))`:                               false,
		`(func $f) (export "aleph_handle" (func $respond)) (func (export "other") (param i32))`:                                false,
		`(type (func (param i32))) (table 1 funcref) (func (export "aleph_handle") (param i32) (call_indirect (i32.const 0)))`: true,
	} {
		p, err := l.prepare(head + body + ")")
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if p.Serves() != want {
			t.Errorf("%s: kept is %v", body, p.Serves())
		}
		if err := l.engine.Validate(p.Module); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	imports := `(module (import "other" "g" (global (mut i32))) (memory (export "memory") 1) ` + handle + ")"
	if p, err := l.prepare(imports); err != nil || p.Serves() {
		t.Errorf("a module that imports a global is kept, %v", err)
	}
}

// TestServesTheCaptured: what is kept begins with the globals of the initialisation, not of the source.
func TestServesTheCaptured(t *testing.T) {
	l := newLab(t)
	answer, err := l.capture(head+`(global $g (mut i32) (i32.const 1)) (global $h (mut i64) (i64.const 5)) (start $s)
	 (func $s (global.set $g (i32.const 0x44434241)))
	 (func (export "aleph_handle") (param i32)
	  (i32.store (i32.const 0) (global.get $g)) (i64.store8 (i32.const 4) (i64.add (global.get $h) (i64.const 0x30)))
	  (global.set $g (i32.const 0)) (global.set $h (i64.const 0)) (call $respond (i32.const 0) (i32.const 5))))`, limits)
	if err != nil || answer != "ABCD5" {
		t.Errorf("%q, %v", answer, err)
	}
}

// What an event of leaky asks for, by its bits.
const (
	leakState = 1 << iota // change the globals and the memory
	leakGrow
	leakDeep // use much of the stack
	leakWait
	leakCancel // … and be cancelled in the wait
	leakTrap
	leakExit
	leakOverflow
)

// leaky is a module that answers with what it finds of all its state, and then leaves in it what it can.
func leaky(r *rand.Rand) string {
	var w strings.Builder
	fmt.Fprintf(&w, `(module (import "aleph_v1" "event_read" (func $read (param i32 i32 i32) (result i32)))
	 (import "aleph_v1" "respond" (func $respond (param i32 i32)))
	 (import "aleph_v1" "log" (func $log (param i32 i32 i32)))
	 (import "aleph_v1" "op_start" (func $start (param i32 i32 i32) (result i32)))
	 (import "aleph_v1" "op_wait" (func $wait (param i32) (result i64)))
	 (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
	 (type $number (func (result i32)))
	 (memory (export "memory") 2) (data (i32.const %d) "some bytes") (data $passive "passive")
	 (func $zero (result i32) (i32.const 0)) (func $one (result i32) (i32.const %d))
	 (table $t 4 funcref) (elem (i32.const %d) func $zero $one)
	 (global $function (mut funcref) (ref.func %s))`,
		r.IntN(1000), r.Int32(), r.IntN(3), []string{"$zero", "$one"}[r.IntN(2)])
	kinds := []string{"i32", "i64", "f32", "f64", "v128"}
	var read, write strings.Builder
	at := 2000
	for i := range 1 + r.IntN(12) {
		kind := kinds[r.IntN(len(kinds))]
		constant := func() string {
			if kind == "v128" {
				return fmt.Sprintf("(v128.const i64x2 %d %d)", r.Int64(), r.Int64())
			}
			return fmt.Sprintf("(%s.const %d)", kind, r.Int32())
		}
		initial := constant()
		if kind == "i32" && r.IntN(2) == 0 {
			initial = "(i32.sub (i32.const 7) " + initial + ")"
		}
		fmt.Fprintf(&w, "(global $g%d (mut %s) %s)\n", i, kind, initial)
		fmt.Fprintf(&read, "(%s.store (i32.const %d) (global.get $g%d))\n", kind, at, i)
		fmt.Fprintf(&write, "(global.set $g%d %s)\n", i, constant())
		at += 16
	}
	for range r.IntN(6) {
		fmt.Fprintf(&write, "(i32.store (i32.const %d) (i32.const %d))\n", r.IntN(2<<16-4), r.Int32())
	}
	fmt.Fprintf(&w, `(func $sum (param $i i32) (result i32) (local $n i32)
	  (loop $l (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 31)) (i32.load8_u (local.get $i))))
	    (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 131072)))) (local.get $n))
	 (func $deep (param $n i32) (result i32)
	  (if (result i32) (local.get $n) (then (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1))) (local.get $n))) (else (i32.const 0))))
	 (func $has (param i32) (result i32) (i32.and (local.get 0) (i32.load8_u (i32.const 1999))))
	 (func (export "aleph_handle") (param $n i32) (local $sum i32)
	  (local.set $sum (call $sum (i32.const 0)))
	  (drop (call $read (i32.const 1999) (i32.const 0) (i32.const 1)))
	  %s
	  (i32.store (i32.const %d) (local.get $sum))
	  (i32.store (i32.const %d) (memory.size))
	  (i32.store (i32.const %d) (ref.is_null (global.get $function)))
	  (memory.init $passive (i32.const %d) (i32.const 0) (i32.const 7))
	  (call $respond (i32.const 2000) (i32.const 300))
	  (call $log (i32.const 1) (i32.const 2000) (i32.const 8))
	  (if (call $has (i32.const %d)) (then (global.set $function (ref.null func)) %s))
	  (if (call $has (i32.const %d)) (then (drop (memory.grow (i32.const 1)))))
	  (if (call $has (i32.const %d)) (then (drop (call $deep (i32.const 20000)))))
	  (if (call $has (i32.const %d)) (then (drop (call $wait (call $start (i32.const 1) (i32.const 0) (i32.const 8))))))
	  (if (call $has (i32.const %d)) (then (drop (call_indirect $t (type $number) (i32.const 9)))))
	  (if (call $has (i32.const %d)) (then (call $exit (i32.const 3))))
	  (if (call $has (i32.const %d)) (then (drop (call $deep (i32.const -1)))))))`,
		read.String(), at, at+4, at+8, at+12, leakState, write.String(), leakGrow, leakDeep, leakWait, leakTrap, leakExit, leakOverflow)
	return w.String()
}

// outcome runs an event and says all that can be seen of it.
func outcome(s *wasm.Slot, m *wasm.Module, event byte) string {
	status := s.Start(m, "aleph_handle", []byte{event})
	for status == wasm.Yielded || status == wasm.Waiting {
		if status == wasm.Waiting {
			if event&leakCancel != 0 {
				s.Cancel()
				return "cancelled"
			}
			var ticket uint32
			s.Started(func(op wasm.Operation) { ticket = op.Ticket })
			s.Complete(ticket, []byte("result"))
		}
		status = s.Resume()
	}
	response, responded := s.Response()
	said := fmt.Sprintf("status %d, %q %v", status, response, responded)
	s.Logs(func(level int, text []byte) { said += fmt.Sprintf(", logged %q", text) })
	exit, exited := s.Exited()
	said += fmt.Sprintf(", exited %d %v, %d operations, %d bytes", exit, exited, s.Outstanding(), s.MemorySize())
	if status == wasm.Failed {
		return fmt.Sprintf("%s, fault %d", said, s.Fault().Cause)
	}
	return fmt.Sprintf("%s, %x", said, sum(s.Memory()))
}

func sum(b []byte) (n uint64) {
	for _, c := range b {
		n = n*31 + uint64(c)
	}
	return n
}

// compare runs events in one slot that keeps its instance and in one that has a new instance for each.
func compare(t *testing.T, e *wasm.Engine, seed uint64, events []byte) {
	module, err := wasm.WAT(leaky(rand.New(rand.NewPCG(seed, 0))))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(module)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Serves() {
		t.Fatal("it is not kept")
	}
	l := &lab{t, e}
	m := l.module(p.Module)
	img, err := e.MemoryImage(p.Base, p.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	slot := func() *wasm.Slot {
		s := e.Acquire()
		if s == nil {
			t.Fatal("no slot")
		}
		if err := s.Map(img, 3<<16); err != nil {
			t.Fatal(err)
		}
		s.SetLimits(time.Minute, 1000)
		return s
	}
	kept := slot()
	defer kept.Release()
	for i, event := range events {
		fresh := slot()
		want := outcome(fresh, m, event)
		fresh.Cancel()
		fresh.Release()
		if got := outcome(kept, m, event); got != want {
			t.Fatalf("event %d, %08b, after %08b:\n got %s\nwant %s", i, event, events[:i], got, want)
		}
		left := event & (leakGrow | leakDeep | leakTrap | leakExit | leakOverflow)
		if event&leakWait != 0 {
			left |= event & leakCancel
		}
		if (left == 0) != (kept.Kept() > 0) {
			t.Fatalf("event %08b: the instance takes %d bytes", event, kept.Kept())
		}
		kept.Cancel()
		if err := kept.Settle(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNothingLeft tries each way of leaving something, and some of them together, after each other.
func TestNothingLeft(t *testing.T) {
	var events []byte
	for bit := range 8 {
		for _, with := range []byte{0, leakState, leakState | leakGrow, leakState | leakDeep, leakState | leakWait, leakState | leakWait | leakCancel} {
			events = append(events, 0, 1<<bit|with, 0, leakState, 1<<bit|with)
		}
	}
	for seed, config := range []wasm.Config{{}, {}, {Discard: true}, {CopyLimit: 1}, {Tick: 50 * time.Microsecond}} {
		config.Slots = 8
		e, err := wasm.NewEngine(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprintf("%+v", config), func(t *testing.T) { compare(t, e, uint64(seed), events) })
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// FuzzNothingLeft compares instances that are kept with new ones.
func FuzzNothingLeft(f *testing.F) {
	e, err := wasm.NewEngine(wasm.Config{Slots: 8})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	f.Add(uint64(1), []byte{0, leakState, 0, leakState | leakWait, leakTrap, 0})
	f.Add(uint64(2), []byte{leakGrow, 0, leakDeep, 0, leakWait | leakCancel | leakState, 0, leakExit, 0})
	f.Fuzz(func(t *testing.T, seed uint64, events []byte) { compare(t, e, seed, events[:min(len(events), 30)]) })
}

// TestTwoModules: an instance that is kept serves its own module only, and a module that is gone gives its place to no other.
func TestTwoModules(t *testing.T) {
	l := newLab(t)
	img := l.image(nil, 1<<16)
	s := l.engine.Acquire()
	defer s.Release()
	if err := s.Map(img, 1<<16); err != nil {
		t.Fatal(err)
	}
	s.SetLimits(time.Second, 1000)
	for round := range 20 {
		p, err := l.prepare(fmt.Sprintf(`%s (func (export "aleph_handle") (param i32) (i32.store (i32.const 0) (i32.const %d)) (call $respond (i32.const 0) (i32.const 1))))`, head, round))
		if err != nil {
			t.Fatal(err)
		}
		func() {
			path := t.TempDir() + "/code"
			code, err := l.engine.Compile(p.Module)
			if err == nil {
				err = WriteFile(path, code)
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := l.engine.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close() // while its instance is kept
			for range 2 {
				status := s.Start(m, "aleph_handle", nil)
				for status == wasm.Yielded {
					status = s.Resume()
				}
				if status != wasm.Done {
					t.Fatal(s.Fault())
				}
				if got, _ := s.Response(); got[0] != byte(round) {
					t.Fatalf("module %d answered as %d", round, got[0])
				}
			}
			if s.Kept() == 0 {
				t.Fatal("no instance is kept")
			}
		}()
	}
}
