package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// recipe is of an engine that stores the first bytes of what aleph_init is given. told gets what takes long.
func (l *lab) recipe(version, event string, told func(step string)) Recipe {
	return Recipe{Version: version, Limits: limits, Progress: told,
		Steps: []Step{{Export: "aleph_init", Takes: true, Event: []byte(event)}},
		Module: func() ([]byte, error) {
			return wasm.WAT(`(module (import "aleph_v1" "event_read" (func $read (param i32 i32 i32) (result i32))) (memory (export "memory") 1)
			  (func (export "aleph_init") (param $n i32) (drop (call $read (i32.const 100) (i32.const 0) (local.get $n)))))`)
		}}
}

// ready opens the base and gives what its memory says.
func (l *lab) ready(folder string, r Recipe) string {
	l.Helper()
	base, err := Ready(context.Background(), l.engine, folder, r)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() {
		if err := base.Close(); err != nil {
			l.Error(err)
		}
	})
	return strings.TrimRight(string(base.Image.Bytes()[100:200]), "\x00")
}

// TestReady: what is kept is used again, and of what is lost, damaged or different only that is made.
func TestReady(t *testing.T) {
	l := newLab(t)
	folder := filepath.Join(t.TempDir(), "new", "cache")
	var steps []string
	told := func(step string) { steps = append(steps, step) }
	first := l.recipe("1", "first", told)
	code, img := filepath.Join(folder, first.codeKey()+".code"), filepath.Join(folder, first.Key()+".image")
	spoil := func(path string) {
		t.Helper()
		// Replaced and not written over: what is mapped must stay as it is.
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("damaged"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name    string
		before  func()
		recipe  Recipe
		want    string
		because []string
	}{
		{"at first", nil, first, "first", []string{"compiling", "initialising"}},
		{"again", nil, first, "first", nil},
		{"other files", nil, l.recipe("1", "second", told), "second", []string{"initialising"}},
		{"other version", nil, l.recipe("2", "first", told), "first", []string{"compiling", "initialising"}},
		{"the first once more", nil, first, "first", nil},
		{"image lost", func() { os.Remove(img) }, first, "first", []string{"initialising"}},
		{"image damaged", func() { spoil(img) }, first, "first", []string{"initialising"}},
		{"code damaged", func() { spoil(code) }, first, "first", []string{"compiling", "initialising"}},
	} {
		steps = nil
		if test.before != nil {
			test.before()
		}
		if got := l.ready(folder, test.recipe); got != test.want || !slices.Equal(steps, test.because) {
			t.Errorf("%s: %q after %v", test.name, got, steps)
		}
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if temporary(entry.Name()) {
			t.Errorf("%s is left", entry.Name())
		}
	}
}

// TestReadyTogether has many want one engine at the same moment, as processes that share the folder do: one makes it.
func TestReadyTogether(t *testing.T) {
	l := newLab(t)
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var steps []string
	ids := map[[32]byte]bool{}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			base, err := Ready(context.Background(), l.engine, folder, l.recipe("1", "event", func(step string) {
				mu.Lock()
				defer mu.Unlock()
				steps = append(steps, step)
			}))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			ids[base.Image.ID()] = true
			mu.Unlock()
			if err := base.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(steps) != 2 || len(ids) != 1 {
		t.Errorf("%v, %d images", steps, len(ids))
	}
}

// TestReadyEnds: who waits for another's lock, or wants to begin the next step, ends with its context.
func TestReadyEnds(t *testing.T) {
	l := newLab(t)
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := l.recipe("1", "event", func(step string) {
		if step == "compiling" {
			cancel()
		} else {
			t.Errorf("%s after the end", step)
		}
	})
	if _, err := Ready(ctx, l.engine, folder, r); !errors.Is(err, context.Canceled) {
		t.Errorf("ended while it compiles: %v", err)
	}
	steps := 0
	r.Progress = func(string) { steps++ }
	if l.ready(folder, r); steps != 1 {
		t.Errorf("%d steps where the machine code is kept", steps)
	}
	other := l.recipe("2", "event", nil)
	unlock, err := lock(context.Background(), filepath.Join(folder, other.codeKey()+".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := Ready(ctx, l.engine, folder, other); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another makes it: %v", err)
	}
}

// TestReadyRefuses names what cannot be an engine, and folders that others can write.
func TestReadyRefuses(t *testing.T) {
	l := newLab(t)
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o770)); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "folder")
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		folder string
		change func(*Recipe)
		want   string
	}{
		"others may write": {open, func(*Recipe) {}, "can be written by others"},
		"no module":        {folder, func(r *Recipe) { r.Module = func() ([]byte, error) { return nil, broken } }, "broken"},
		"not wasm":         {folder, func(r *Recipe) { r.Module = func() ([]byte, error) { return []byte("text"), nil } }, "not WebAssembly"},
		"refused":          {folder, func(r *Recipe) { r.Inspect = func(int, []byte) error { return broken } }, "broken"},
		"globals": {folder, func(r *Recipe) {
			r.Version = "globals"
			r.Module = func() ([]byte, error) {
				return wasm.WAT(`(module (memory (export "memory") 1) (global $g (mut i32) (i32.const 0)) (func (export "aleph_init") (param i32) (global.set $g (i32.const 1))))`)
			}
		}, "changes its globals"},
	} {
		r := l.recipe("1", "event", nil)
		test.change(&r)
		if _, err := Ready(context.Background(), l.engine, test.folder, r); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSweep: what nobody has opened for long goes; other files stay.
func TestSweep(t *testing.T) {
	folder := t.TempDir()
	long := time.Now().Add(-time.Hour)
	for _, name := range []string{"old.code", "old.image", "old.lock", ".tmp-1", "old.txt", "new.code", "new.image", ".tmp-2"} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name, "old") || name == ".tmp-1" {
			if err := os.Chtimes(path, long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(Sweep(folder, time.Minute), Sweep(filepath.Join(folder, "none"), time.Minute)); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if err != nil || !slices.Equal(left, []string{".tmp-2", "new.code", "new.image", "old.txt"}) {
		t.Errorf("%v, %v", left, err)
	}
}
