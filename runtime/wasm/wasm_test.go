package wasm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// newEngine makes a small engine for a test. Tests do not run in parallel: there is one engine a process.
func newEngine(t testing.TB, config Config) *Engine {
	t.Helper()
	if config.Slots == 0 {
		config.Slots = 16
	}
	e, err := NewEngine(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// load compiles a module in text form.
func load(t testing.TB, e *Engine, wat string) *Module {
	t.Helper()
	wasm, err := WAT(wat)
	if err != nil {
		t.Fatal(err)
	}
	code, err := e.Compile(wasm)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := e.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// image is content as the beginning of a memory of pages × 64 KiB.
func image(t testing.TB, e *Engine, pages int, content []byte) *Image {
	t.Helper()
	img, err := e.MemoryImage(content, uint64(pages)<<16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

// slot gives a slot with the image.
func slot(t testing.TB, e *Engine, img *Image, limit uint64) *Slot {
	t.Helper()
	s := e.Acquire()
	if s == nil {
		t.Fatal("no slot")
	}
	t.Cleanup(s.Release)
	if err := s.Map(img, limit); err != nil {
		t.Fatal(err)
	}
	s.SetLimits(time.Second, 1<<20)
	return s
}

const imports = `
 (import "aleph_v1" "event_read" (func $event_read (param i32 i32 i32) (result i32)))
 (import "aleph_v1" "respond" (func $respond (param i32 i32)))
 (import "aleph_v1" "log" (func $log (param i32 i32 i32)))
 (import "aleph_v1" "clock" (func $clock (param i32) (result i64)))
 (import "aleph_v1" "random" (func $random (param i32 i32)))
 (import "aleph_v1" "op_start" (func $op_start (param i32 i32 i32) (result i32)))
 (import "aleph_v1" "op_wait" (func $op_wait (param i32) (result i64)))
 (import "aleph_v1" "op_poll" (func $op_poll (result i64)))
 (import "aleph_v1" "op_take" (func $op_take (param i32 i32 i32) (result i32)))
 (import "aleph_v1" "op_cancel" (func $op_cancel (param i32)))
`

func module(pages int, body string) string {
	return fmt.Sprintf("(module %s (memory (export \"memory\") %d) %s)", imports, pages, body)
}

const echo = `(func (export "aleph_handle") (param $n i32)
  (drop (call $event_read (i32.const 4096) (i32.const 0) (local.get $n)))
  (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
  (i32.store (i32.const 12000) (i32.const 1))
  (drop (call $clock (i32.const 0)))
  (call $respond (i32.const 4096) (local.get $n)))`

func TestEcho(t *testing.T) {
	for _, discard := range []bool{false, true} {
		t.Run(fmt.Sprintf("discard=%v", discard), func(t *testing.T) {
			e := newEngine(t, Config{Discard: discard})
			m := load(t, e, module(1, echo))
			s := slot(t, e, image(t, e, 1, []byte("image")), 1<<16)
			for i := range 3 {
				event := fmt.Appendf(nil, "event %d", i)
				if status := run(s, m, event); status != Done {
					t.Fatalf("status %d: %v", status, s.Fault())
				}
				if got, ok := s.Response(); !ok || !bytes.Equal(got, event) {
					t.Fatalf("response %q", got)
				}
				if got := s.Memory()[0]; got != 'i'+1 {
					t.Errorf("run %d began from %q", i, got-1)
				}
			}
			t.Log(e.Restores(), s.DirtyPages())
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	e := newEngine(b, Config{})
	m := load(b, e, module(1, echo))
	s := slot(b, e, image(b, e, 1, []byte("image")), 1<<16)
	event := make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		if status := run(s, m, event); status != Done {
			b.Fatalf("status %d: %v", status, s.Fault())
		}
	}
}

// run starts the handler and resumes it through its slices.
func run(s *Slot, m *Module, event []byte) Status {
	status := s.Start(m, "aleph_handle", event)
	for status == Yielded {
		status = s.Resume()
	}
	return status
}
