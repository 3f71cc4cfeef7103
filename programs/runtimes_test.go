package programs

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// reciter is an engine: what a program in it answers is its load frame, behind that of the runtime.
const reciter = `(module
	(import "aleph_v1" "event_read" (func $read (param i32 i32 i32) (result i32)))
	(import "aleph_v1" "respond" (func $respond (param i32 i32)))
	(memory (export "memory") 2)
	(global $initialised (mut i32) (i32.const 0))
	(data (i32.const 512) "alv1\14\00\00\00")
	(func $take (param $n i32)
		(drop (call $read (i32.add (i32.const 524) (i32.load (i32.const 520))) (i32.const 0) (local.get $n)))
		(i32.store (i32.const 520) (i32.add (i32.load (i32.const 520)) (local.get $n))))
	(func (export "aleph_init") (param $n i32)
		(global.set $initialised (i32.const 1))
		(call $take (local.get $n)))
	(func (export "aleph_load") (param $n i32)
		(if (i32.eqz (global.get $initialised)) (then unreachable))
		(call $take (local.get $n)))
	(func (export "aleph_handle") (param i32)
		(call $respond (i32.const 512) (i32.add (i32.const 12) (i32.load (i32.const 520))))))`

// shower is a command that answers with its second argument, and what is in the file of that name.
const shower = `(module
	(import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 256) "content-type: text/plain\0a\0a")
	(func $print (param $at i32) (param $n i32)
		(i32.store (i32.const 0) (local.get $at))
		(i32.store (i32.const 4) (local.get $n))
		(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
	(func (export "_start") (local $name i32) (local $n i32)
		(drop (call $sizes (i32.const 16) (i32.const 20)))
		(drop (call $args (i32.const 24) (i32.const 1024)))
		(local.set $name (i32.load (i32.const 28)))
		(local.set $n (i32.sub (i32.add (i32.const 1023) (i32.load (i32.const 20))) (local.get $name)))
		(call $print (i32.const 256) (i32.const 26))
		(call $print (local.get $name) (local.get $n))
		(if (call $open (i32.const 3) (i32.const 1) (i32.add (local.get $name) (i32.const 1)) (i32.sub (local.get $n) (i32.const 1)) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)) (then unreachable))
		(i32.store (i32.const 0) (i32.const 4096))
		(i32.store (i32.const 4) (i32.const 1000))
		(drop (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 8)))
		(call $print (i32.const 4096) (i32.load (i32.const 8)))))`

// stored keeps a module as a runtime.
func (w *world) stored(text string) *Runtime {
	w.t.Helper()
	module, err := wasm.WAT(text)
	if err != nil {
		w.t.Fatal(err)
	}
	d := w.deployment("", string(module))
	return &Runtime{CodeHash: d.Version.CodeHash, Encoding: "plain", Entrypoint: "engine.wasm", Of: "wasm"}
}

// in is a program in a stored runtime.
func (w *world) in(id, code string, r *Runtime) Deployment {
	d := w.deployment(id, code)
	d.Version.Runtime, d.Version.Entrypoint, d.Version.Memory, d.Version.Stored = "abc", "main.txt", 16, r
	return d
}

// reply is call of any kind of program.
func (w *world) reply(id string) string {
	w.t.Helper()
	s, err := w.registry.Lookup(id).Serving(context.Background())
	if err != nil {
		return err.Error()
	}
	i, err := s.Guest.Acquire()
	if err != nil {
		return err.Error()
	}
	defer i.Release()
	status, err := i.Start(context.Background(), event(""))
	for err == nil && status == wasm.Yielded {
		status, err = i.Resume(context.Background())
	}
	if err != nil || status != wasm.Done {
		return i.Fault().Message
	}
	reply, _, err := i.Reply()
	if err != nil {
		return err.Error()
	}
	return string(reply.Body)
}

// files counts what is kept, by its kind.
func (w *world) files() (code, images int) {
	w.t.Helper()
	for pattern, n := range map[string]*int{"*.code": &code, "*.image": &images} {
		found, err := filepath.Glob(filepath.Join(w.folder, "images", pattern))
		if err != nil {
			w.t.Fatal(err)
		}
		*n = len(found)
	}
	return code, images
}

// TestStoredRuntime has programs share an engine that somebody deployed, over restarts, losses and removals. None sees what another
// brought.
func TestStoredRuntime(t *testing.T) {
	folder := t.TempDir()
	w := newWorld(t, folder)
	engine := w.stored(reciter)
	engine.Variables = map[string]string{"OF": "the engine"}
	texts := map[string]string{"a": "the first program's", "b": "the second one's"}
	for id, text := range texts {
		if err := w.deploy(w.in(id, text, engine)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(ids ...string) {
		t.Helper()
		for _, id := range ids {
			for range 2 {
				got := w.reply(id)
				if !strings.Contains(got, texts[id]) || !strings.Contains(got, "main.txt") || !strings.Contains(got, "the engine") || strings.Count(got, "alv1") != 2 {
					t.Errorf("%s: %q", id, got)
				}
				for other, text := range texts {
					if other != id && strings.Contains(got, text) {
						t.Errorf("%s sees the code of %s: %q", id, other, got)
					}
				}
			}
		}
	}
	check("a", "b")
	if code, images := w.files(); code != 1 || images != 3 {
		t.Errorf("%d machine codes and %d images are kept", code, images)
	}
	if n := len(w.registry.builder.cache.bases.open); n != 1 {
		t.Errorf("%d runtimes are open", n)
	}
	w.close()
	if n := len(w.registry.builder.cache.bases.open); n != 0 {
		t.Errorf("%d runtimes are open after the end", n)
	}

	w = newWorld(t, folder)
	if code, images := w.files(); code != 1 || images != 3 {
		t.Errorf("after a restart %d machine codes and %d images are kept", code, images)
	}
	check("a", "b")
	w.close()

	for _, lost := range []string{"*.code", "*.image"} {
		found, err := filepath.Glob(filepath.Join(folder, "images", lost))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		w = newWorld(t, folder)
		check("a", "b")
		w.close()
	}

	w = newWorld(t, folder)
	defer w.close()
	check("a")
	remove := func(id string) {
		t.Helper()
		c, err := w.registry.PrepareRemoval(id)
		if err == nil {
			err = w.db.Update(c.Commit)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Applied()
	}
	remove("a")
	check("b")
	remove("b")
	if code, images := w.files(); code != 0 || images != 0 || len(w.registry.builder.cache.bases.open) != 0 {
		t.Errorf("%d machine codes and %d images are kept, and %d runtimes open, of nothing", code, images, len(w.registry.builder.cache.bases.open))
	}
}

// TestCommandRuntime gives code to a command, which finds it among its files, over those that the runtime brings.
func TestCommandRuntime(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.close()
	if err := w.deploy(w.in("plain", "what there is", w.stored(shower))); err != nil {
		t.Fatal(err)
	}
	if got := w.reply("plain"); got != "/main.txtwhat there is" {
		t.Errorf("got %q", got)
	}
	module, err := wasm.WAT(shower)
	if err != nil {
		t.Fatal(err)
	}
	packed := func(files map[string]string) string {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, text := range files {
			f, err := z.Create(name)
			if err == nil {
				_, err = f.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	library := w.deployment("", packed(map[string]string{"bin/engine.wasm": string(module), "lib/own.txt": "the runtime's", "main.txt": "hidden"}))
	r := &Runtime{CodeHash: library.Version.CodeHash, Encoding: "zip", Entrypoint: "bin/engine.wasm"}
	for start, want := range map[string]string{"main.txt": "/main.txtabove", "lib/own.txt": "/lib/own.txtthe runtime's"} {
		d := w.in(start, packed(map[string]string{"main.txt": "above"}), r)
		d.Version.Encoding, d.Version.Entrypoint = "zip", start
		if err := w.deploy(d); err != nil {
			t.Fatal(err)
		}
		if got := w.reply(start); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestStoredRuntimeRefusals deploys programs in what is no runtime.
func TestStoredRuntimeRefusals(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.close()
	const handle = `(func (export "aleph_handle") (param i32))`
	for name, test := range map[string]struct {
		runtime *Runtime
		text    string
	}{
		"a program":          {w.stored(`(module (memory (export "memory") 1) ` + handle + `)`), "aleph_load"},
		"one in a language":  {func() *Runtime { r := w.stored(reciter); r.Of = "nodejs20"; return r }(), "nodejs20"},
		"no module":          {&Runtime{CodeHash: w.deployment("", "text").Version.CodeHash, Encoding: "plain", Entrypoint: "x"}, "WebAssembly"},
		"a trap":             {w.stored(`(module (memory (export "memory") 1) (func (export "aleph_init") (param i32) unreachable) (func (export "aleph_load") (param i32)) ` + handle + `)`), "unreachable"},
		"changed globals":    {w.stored(`(module (memory (export "memory") 1) (global $g (mut i32) (i32.const 0)) (func (export "aleph_load") (param i32) (global.set $g (i32.const 1))) ` + handle + `)`), "globals"},
		"more than is left":  {w.stored(`(module (memory (export "memory") 300) (func (export "aleph_load") (param i32)) ` + handle + `)`), "begins with 19 MiB"},
		"aleph_load's type":  {w.stored(`(module (memory (export "memory") 1) (func (export "aleph_load")) ` + handle + `)`), "aleph_load"},
		"load that is a lie": {w.stored(`(module (memory (export "memory") 1) (func (export "aleph_load") (param i32) (drop (memory.grow (i32.const 4000))) unreachable) ` + handle + `)`), "memory_limit: 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			err := w.deploy(w.in(name, "code", test.runtime))
			var fault *BuildError
			if !errors.As(err, &fault) || !strings.Contains(fault.Message, test.text) || strings.Contains(fault.Message, "\n") {
				t.Errorf("got %v", err)
			} else if fault.Hint == "" && fault.Code.Hint == "" {
				t.Errorf("no hint at %v", err)
			}
		})
	}
	if code, _ := w.files(); code > 4 {
		t.Errorf("%d machine codes are kept of runtimes that nothing is in", code)
	}
}
