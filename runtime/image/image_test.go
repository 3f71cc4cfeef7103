package image

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// lab captures modules and runs what was captured.
type lab struct {
	*testing.T
	engine *wasm.Engine
}

func newLab(t *testing.T) *lab {
	e, err := wasm.NewEngine(wasm.Config{Slots: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return &lab{t, e}
}

func (l *lab) prepare(wat string) (*Prepared, error) {
	l.Helper()
	module, err := wasm.WAT(wat)
	if err != nil {
		l.Fatal(err)
	}
	return Prepare(module)
}

func (l *lab) module(wasm []byte) *wasm.Module {
	l.Helper()
	code, err := l.engine.Compile(wasm)
	if err != nil {
		l.Fatal(err)
	}
	path := filepath.Join(l.TempDir(), "code")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		l.Fatal(err)
	}
	m, err := l.engine.Load(path)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(m.Close)
	return m
}

func (l *lab) image(memory []byte, size uint64) *wasm.Image {
	l.Helper()
	path := filepath.Join(l.TempDir(), "base")
	if err := Write(path, memory, size, 0); err != nil {
		l.Fatal(err)
	}
	return l.open(path, nil)
}

func (l *lab) open(path string, base *wasm.Image) *wasm.Image {
	l.Helper()
	img, err := Open(l.engine, path, base)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { img.Close() })
	return img
}

// capture initialises the module and gives what a request to it answers.
func (l *lab) capture(wat string, limits Limits, steps ...Step) (string, error) {
	l.Helper()
	p, err := l.prepare(wat)
	if err != nil {
		return "", err
	}
	path := filepath.Join(l.TempDir(), "image")
	captured, err := Capture(l.engine, p, l.module(p.Module), nil, path, steps, limits, nil, nil)
	if err != nil {
		return "", err
	}
	s := l.engine.Acquire()
	defer s.Release()
	if err := s.Map(l.open(path, nil), limits.Memory); err != nil {
		return "", err
	}
	s.SetLimits(time.Second, 1000)
	m := l.module(captured.Module)
	var answer []byte
	for range 2 { // the second begins from the restored image
		status := s.Start(m, "aleph_handle", nil)
		for status == wasm.Yielded {
			status = s.Resume()
		}
		if status != wasm.Done {
			return "", s.Fault()
		}
		got, _ := s.Response()
		if answer != nil && !bytes.Equal(answer, got) {
			l.Errorf("the second run answered %x, the first %x", got, answer)
		}
		answer = bytes.Clone(got)
	}
	return string(answer), nil
}

const head = `(module (import "aleph_v1" "respond" (func $respond (param i32 i32)))
 (import "aleph_v1" "clock" (func $clock (param i32) (result i64))) (memory (export "memory") 1) `

var limits = Limits{Memory: 4 << 16, CPU: time.Second, Log: 1000}

func TestCapture(t *testing.T) {
	l := newLab(t)
	for name, test := range map[string]struct{ wat, want string }{
		"data": {head + `(data (i32.const 100) "hello") (data (i32.const 102) "LL")
		  (func (export "aleph_handle") (param i32) (call $respond (i32.const 100) (i32.const 5))))`, "heLLo"},
		"passive data": {head + `(data $d "passive") (func (export "aleph_init") (param i32) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 7)))
		  (func (export "aleph_handle") (param i32) (memory.init $d (i32.const 3) (i32.const 0) (i32.const 4)) (call $respond (i32.const 0) (i32.const 7))))`, "paspass"},
		"start, then _initialize, then aleph_init": {head + `(data (i32.const 0) "....")
		  (global $n (mut i32) (i32.const 0))
		  (func $put (param i32) (i32.store8 (global.get $n) (local.get 0)) (global.set $n (i32.add (global.get $n) (i32.const 1))))
		  (func $s (call $put (i32.const 115))) (start $s)
		  (func (export "_initialize") (call $put (i32.const 105))) (func (export "aleph_init") (param i32) (call $put (i32.const 97)))
		  (func (export "aleph_handle") (param i32) (call $put (i32.const 104)) (call $respond (i32.const 0) (i32.const 4))))`, "siah"},
		"globals": {head + `(global $a (mut i64) (i64.const -1)) (global $b (mut f64) (f64.const 0)) (global $c (mut i32) (i32.const 5)) (global $d i32 (i32.const 16))
		  (global $e (mut f32) (f32.const 1)) (global $f (mut v128) (v128.const i64x2 0 0))
		  (func (export "aleph_init") (param i32) (global.set $a (i64.const -1234567890123)) (global.set $b (f64.const 2.5)) (global.set $e (f32.const 0.5))
		    (global.set $f (v128.const i64x2 7 8)))
		  (func (export "aleph_handle") (param i32)
		    (i32.store8 (i32.const 0) (i32.add (i32.const 48) (i64.eq (global.get $a) (i64.const -1234567890123))))
		    (i32.store8 (i32.const 1) (i32.add (i32.const 48) (f64.eq (global.get $b) (f64.const 2.5))))
		    (i32.store8 (i32.const 2) (i32.add (i32.const 48) (i32.eq (global.get $c) (i32.const 5))))
		    (i32.store8 (i32.const 3) (i32.add (i32.const 48) (f32.eq (global.get $e) (f32.const 0.5))))
		    (i32.store8 (i32.const 4) (i32.add (i32.const 48) (i64.eq (i64x2.extract_lane 1 (global.get $f)) (i64.const 8))))
		    (call $respond (i32.const 0) (i32.const 5))))`, "11111"},
		"growth": {head + `(func (export "aleph_init") (param i32) (drop (memory.grow (i32.const 2))) (i32.store8 (i32.const 196607) (i32.const 122)))
		  (func (export "aleph_handle") (param i32) (call $respond (i32.const 196607) (memory.size))))`, "\x7a"},
	} {
		steps := []Step{{Export: "_initialize", Optional: true}, {Export: "aleph_init", Optional: true, Takes: true}}
		got, err := l.capture(test.wat, limits, steps...)
		if name == "growth" { // the answer reaches past the memory's end
			var fault *wasm.Fault
			if !errors.As(err, &fault) || fault.Cause != wasm.Violation {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	l := newLab(t)
	handle := ` (func (export "aleph_handle") (param i32)))`
	for name, test := range map[string]struct{ wat, want string }{
		"table":     {head + `(table 2 funcref) (func $f) (elem declare func $f) (func (export "aleph_init") (param i32) (table.set 0 (i32.const 1) (ref.func $f)))` + handle, "changes its function table"},
		"funcref":   {head + `(global $g (mut funcref) (ref.null func)) (func $f) (elem declare func $f) (func (export "aleph_init") (param i32) (global.set $g (ref.func $f)))` + handle, "a global that holds a function"},
		"no memory": {`(module (func (export "aleph_handle") (param i32)))`, "has no memory"},
		"imported":  {`(module (import "env" "memory" (memory 1)) (func (export "aleph_handle") (param i32)))`, "imports the memory env.memory"},
		"names":     {head + `(func (export "aleph:g0"))` + handle, `names that begin with "aleph:"`},
		"data":      {head + `(data (i32.const 65535) "xy")` + handle, "ends at 65537"},
		"wait":      {strings.Replace(head, "(memory", `(import "aleph_v1" "op_wait" (func $wait (param i32) (result i64))) (memory`, 1) + `(func (export "aleph_init") (param i32) (drop (call $wait (i32.const 0))))` + handle, "while the program is loaded"},
		"trap":      {head + `(func (export "aleph_init") (param i32) unreachable)` + handle, "unreachable"},
		"cpu":       {head + `(func (export "aleph_init") (param i32) (loop $l (br $l)))` + handle, "cpu_limit: 50ms"},
		"memory":    {head + `(func (export "aleph_init") (param i32) (if (i32.eq (memory.grow (i32.const 4)) (i32.const -1)) (then unreachable)))` + handle, "memory_limit: 0 MiB"},
		"missing":   {head + ")", "does not export"},
	} {
		tight := limits
		tight.CPU = 50 * time.Millisecond
		if name == "missing" {
			test.wat = head + `(func (export "other")))`
		}
		_, err := l.capture(test.wat, tight, Step{Export: "aleph_init", Takes: true, Optional: name != "missing"})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, module := range map[string]string{
		"not wasm": "#!/bin/sh\n", "component": "\x00asm\x0d\x00\x01\x00", "version": "\x00asm\x07\x00\x00\x00", "cut": "\x00asm\x01\x00\x00\x00\x01\xff",
		"empty": "",
	} {
		if _, err := Prepare([]byte(module)); !errors.Is(err, ErrModule) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPrepare(f *testing.F) {
	for _, wat := range []string{
		head + `(data (i32.const 1) "abc") (global (mut i32) (i32.const 3)) (table 1 funcref) (func $s) (start $s) (func (export "aleph_handle") (param i32)))`,
		`(module (memory (export "m") 1 2) (global i32 (i32.const 5)) (data (offset (i32.add (i32.const 1) (i32.const 2))) "x"))`,
	} {
		module, err := wasm.WAT(wat)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(module)
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		p, err := Prepare(module)
		if err != nil {
			return
		}
		if uint64(len(p.Base)) > p.Size {
			t.Errorf("%d bytes for a memory of %d", len(p.Base), p.Size)
		}
		if _, err := split(p.Module); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
		values := make([][]byte, len(p.Globals))
		for i := range values {
			values[i] = []byte{0x41, 0, 0x0b}
		}
		if _, err := split(p.WithGlobals(values)); err != nil {
			t.Errorf("what was written with globals cannot be read: %v", err)
		}
	})
}
