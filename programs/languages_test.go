package programs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aleph-edge/aleph-edge/runtime/pool"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// steps are those that the world was told of.
func (w *world) steps() (steps []string) {
	for _, p := range w.told {
		steps = append(steps, p.Language+" "+p.Step)
	}
	return steps
}

// TestEnginesAreKept: machine code is made once, for all nodes that share the folder, and a restart makes nothing.
func TestEnginesAreKept(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "shared")
	made := []string{"javascript compiling", "javascript initialising", "javascript ready"}
	first, second := t.TempDir(), t.TempDir()
	for _, test := range []struct {
		folder string
		want   []string
	}{{first, made}, {first, nil}, {second, nil}} {
		w := newWorldWith(t, test.folder, Config{Engines: shared})
		if states := w.registry.Languages(); len(states) != 1 || states[0].State != "waiting" {
			t.Errorf("%+v", states)
		}
		if err := w.registry.Warm(context.Background()); err != nil {
			t.Fatal(err)
		}
		if states := w.registry.Languages(); states[0].Name != "javascript" || states[0].State != "ready" {
			t.Errorf("%+v", states)
		}
		if w.registry.Lookup("p") == nil {
			if err := w.deploy(w.deployment("p", hello)); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.call("p", "name=Alice"); got != `{"message":"Hello, Alice!"}` {
			t.Error(got)
		}
		if !slices.Equal(w.steps(), test.want) {
			t.Errorf("%v", w.steps())
		}
		w.close()
	}
}

// TestLostBase: where the engine's image was made anew, programs' images of the old one are made anew as well.
func TestLostBase(t *testing.T) {
	folder := t.TempDir()
	w := newWorld(t, folder)
	if err := w.deploy(w.deployment("p", hello)); err != nil {
		t.Fatal(err)
	}
	w.close()
	bases, err := filepath.Glob(filepath.Join(folder, "engines", "*.image"))
	if err != nil || len(bases) != 1 {
		t.Fatal(bases, err)
	}
	if err := os.Remove(bases[0]); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, folder)
	defer w.close()
	if got := w.call("p", "name=Alice"); got != `{"message":"Hello, Alice!"}` {
		t.Error(got)
	}
	if !slices.Equal(w.steps(), []string{"javascript initialising", "javascript ready"}) {
		t.Errorf("%v", w.steps())
	}
}

// answersInit is a language whose programs answer with what aleph_init was given.
func answersInit(name, content string, fail *bool) Language {
	return Language{Name: name, Runtimes: []string{name}, Version: "1", Init: []File{{Path: "file", Content: []byte(content)}},
		Module: func() ([]byte, error) {
			if fail != nil && *fail {
				return nil, errors.New("it is not there")
			}
			return wasm.WAT(`(module (import "aleph_v1" "event_read" (func $read (param i32 i32 i32) (result i32)))
			  (import "aleph_v1" "respond" (func $respond (param i32 i32))) (memory (export "memory") 1) (data (i32.const 92) "alv1\14\00\00\00\04\00\00\00")
			  (func (export "aleph_init") (param $n i32) (drop (call $read (i32.const 104) (i32.sub (local.get $n) (i32.const 4)) (i32.const 4))))
			  (func (export "aleph_load") (param i32))
			  (func (export "aleph_handle") (param i32) (call $respond (i32.const 92) (i32.const 16))))`)
		}}
}

// TestInit: the files of a language come with aleph_init, and programs are made anew when they change.
func TestInit(t *testing.T) {
	folder := t.TempDir()
	for _, content := range []string{"some", "more"} {
		w := newWorldWith(t, folder, Config{Languages: []Language{answersInit("echo", content, nil)}})
		if w.registry.Lookup("p") == nil {
			d := w.deployment("p", hello)
			d.Version.Runtime = "echo"
			if err := w.deploy(d); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.call("p", ""); got != content {
			t.Errorf("%q, want %q", got, content)
		}
		w.close()
	}
}

// TestLanguageFails: what cannot be made ready is said, does not keep others from it, and is tried again.
func TestLanguageFails(t *testing.T) {
	fail := true
	w := newWorldWith(t, t.TempDir(), Config{Languages: []Language{answersInit("bad", "some", &fail), answersInit("good", "more", nil)}})
	defer w.close()
	if err := w.registry.Warm(context.Background()); err == nil || !strings.Contains(err.Error(), "the engine bad: it is not there") {
		t.Error(err)
	}
	if states := w.registry.Languages(); states[0].State != "failed" || states[1].State != "ready" {
		t.Errorf("%+v", states)
	}
	fail = false
	d := w.deployment("p", hello)
	d.Version.Runtime = "bad"
	if err := w.deploy(d); err != nil {
		t.Error(err)
	}
	if states := w.registry.Languages(); states[0].State != "ready" {
		t.Errorf("%+v", states)
	}
}

// TestCloseWhilePreparing closes the registry in the middle: nobody waits on, and what is used is freed by nobody.
func TestCloseWhilePreparing(t *testing.T) {
	w := newWorldWith(t, t.TempDir(), Config{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.registry.Warm(ctx) }()
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.close()
}

// TestFewAreOpen: programs beyond the bound are closed, those first that were not called, and answer all the same.
func TestFewAreOpen(t *testing.T) {
	w := newWorldWith(t, t.TempDir(), Config{Open: 3})
	defer w.close()
	const programs = 8
	for n := range programs {
		if err := w.deploy(w.deployment(fmt.Sprint(n), fmt.Sprintf(`export default () => 'program %d'`, n))); err != nil {
			t.Fatal(err)
		}
	}
	open := func() (n int) {
		for id := range programs {
			if w.registry.Lookup(fmt.Sprint(id)).serving.Load() != nil {
				n++
			}
		}
		return n
	}
	for round := range 3 {
		for n := range programs {
			for _, id := range []int{n, 0} {
				if got := w.call(fmt.Sprint(id), ""); got != fmt.Sprintf("program %d", id) {
					t.Errorf("round %d: %s", round, got)
				}
			}
			if got := open(); got > 3 {
				t.Errorf("%d programs are open", got)
			}
		}
	}
	if w.registry.Lookup("0").serving.Load() == nil {
		t.Error("the program that is always called was closed")
	}
	s, err := w.registry.Lookup("5").Serving(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.Guest.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	for n := range programs {
		w.call(fmt.Sprint(n), "")
	}
	if w.registry.Lookup("5").serving.Load() != s {
		t.Error("a program that runs was closed")
	}
	held.Release()
}

// TestClosedWhileCalled calls more programs than are kept open at once: none is missed.
func TestClosedWhileCalled(t *testing.T) {
	w := newWorldWith(t, t.TempDir(), Config{Open: 2})
	defer w.close()
	for n := range 6 {
		if err := w.deploy(w.deployment(fmt.Sprint(n), fmt.Sprintf(`export default () => 'program %d'`, n))); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := range 300 {
				id := (n*5 + worker) % 6
				for {
					s, err := w.registry.Lookup(fmt.Sprint(id)).Serving(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					i, err := s.Guest.Acquire()
					if errors.Is(err, pool.ErrClosed) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					status, err := i.Start(context.Background(), event(""))
					for err == nil && status == wasm.Yielded {
						status, err = i.Resume(context.Background())
					}
					if got, _ := i.Response(); err != nil || !strings.Contains(string(got), fmt.Sprintf("program %d", id)) {
						t.Errorf("%d: %q, %v, %v", id, got, status, err)
					}
					i.Release()
					break
				}
			}
		})
	}
	group.Wait()
}
