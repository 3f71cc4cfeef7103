package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// world is a pool over a real engine.
type world struct {
	testing.TB
	engine *wasm.Engine
	pool   *Pool
	closed atomic.Int32
}

func newWorld(t testing.TB, slots int, config Config) *world {
	return newWorldOn(t, wasm.Config{Slots: slots}, config)
}

func newWorldOn(t testing.TB, on wasm.Config, config Config) *world {
	e, err := wasm.NewEngine(on)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, engine: e, pool: New(e, config)}
	t.Cleanup(func() {
		w.pool.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// guest answers "name" where the image says name; a request of n ticks of work computes for about n × 10 ms.
func (w *world) guest(name string) *Guest {
	w.Helper()
	code, err := wasm.WAT(`(module (import "aleph_v1" "respond" (func $respond (param i32 i32))) (memory (export "memory") 1)
	 (func (export "aleph_handle") (param $n i32) (local $i i32)
	  (block $end (loop $l (br_if $end (i32.ge_u (local.get $i) (i32.mul (local.get $n) (i32.const 4000000))))
	    (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $l)))
	  (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (i32.const 1)))
	  (call $respond (i32.const 0) (i32.const 104))))`)
	if err != nil {
		w.Fatal(err)
	}
	prepared, err := image.Prepare(code)
	if err != nil {
		w.Fatal(err)
	}
	compiled, err := w.engine.Compile(prepared.Module)
	if err != nil {
		w.Fatal(err)
	}
	folder := w.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "code"), compiled, 0o600); err != nil {
		w.Fatal(err)
	}
	if err := image.Write(filepath.Join(folder, "image"), []byte(name), 1<<16, 0); err != nil {
		w.Fatal(err)
	}
	m, err := w.engine.Load(filepath.Join(folder, "code"))
	if err != nil {
		w.Fatal(err)
	}
	img, err := image.Open(w.engine, filepath.Join(folder, "image"), nil)
	if err != nil {
		w.Fatal(err)
	}
	g := w.pool.Add(Spec{Module: m, Image: img, Memory: 1 << 16, CPU: time.Minute, Log: 100, Close: func() {
		img.Close()
		m.Close()
		w.closed.Add(1)
	}})
	w.Cleanup(func() { g.Remove(nil) })
	return g
}

// run runs a whole request and gives the guest's name; the counter in memory must be fresh.
func run(g *Guest, ticks int) (string, error) {
	i, err := g.Acquire()
	if err != nil {
		return "", err
	}
	defer i.Release()
	status, err := i.Start(context.Background(), make([]byte, ticks))
	for err == nil && status == wasm.Yielded {
		status, err = i.Resume(context.Background())
	}
	if err != nil {
		return "", err
	}
	answer, ok := i.Response()
	if status != wasm.Done || !ok || answer[100] != 1 {
		return "", fmt.Errorf("status %d, %v, %v", status, i.Fault(), answer)
	}
	end := 0
	for answer[end] != 0 {
		end++
	}
	return string(answer[:end]), nil
}

// TestManyGuestsFewSlots: guests take slots from each other, and every answer is from the right image.
func TestManyGuestsFewSlots(t *testing.T) {
	w := newWorld(t, 8, Config{Procs: 2})
	var guests []*Guest
	for n := range 20 {
		guests = append(guests, w.guest(fmt.Sprintf("guest %d", n)))
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := range 500 {
				at := (n*7 + worker*3) % len(guests)
				if got, err := run(guests[at], 0); err != nil || got != fmt.Sprintf("guest %d", at) {
					t.Errorf("guest %d: %q, %v", at, got, err)
				}
			}
		})
	}
	group.Wait()
	if s := w.pool.Stats(); s.InUse != 0 || s.Running != 0 || s.Idle == 0 {
		t.Errorf("%+v", s)
	}
	now := time.Now()
	w.pool.Trim(now)
	if n := w.pool.Trim(now); n == 0 || w.pool.Stats().Idle != 0 {
		t.Errorf("trimmed %d, %+v", n, w.pool.Stats())
	}
}

// TestReserve: a guest that holds instances cannot take the last ones from those that hold none.
func TestReserve(t *testing.T) {
	w := newWorld(t, 8, Config{Procs: 2, Reserve: 2})
	greedy, modest, late := w.guest("greedy"), w.guest("modest"), w.guest("late")
	var held []*Instance
	for {
		i, err := greedy.Acquire()
		if err != nil {
			if !errors.Is(err, ErrNoCapacity) {
				t.Fatal(err)
			}
			break
		}
		held = append(held, i)
	}
	if len(held) != 6 {
		t.Errorf("the greedy guest holds %d of 8", len(held))
	}
	for _, g := range []*Guest{modest, late} {
		i, err := g.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, i)
	}
	if _, err := modest.Acquire(); !errors.Is(err, ErrNoCapacity) {
		t.Errorf("nothing is left: %v", err)
	}
	for _, i := range held {
		i.Release()
	}
}

// TestTurns: a guest with many requests that compute does not keep another from its turn.
func TestTurns(t *testing.T) {
	w := newWorld(t, 64, Config{Procs: 1})
	busy, quick := w.guest("busy"), w.guest("quick")
	var group sync.WaitGroup
	var finished atomic.Int32
	for range 20 {
		group.Go(func() {
			if _, err := run(busy, 10); err != nil {
				t.Error(err)
			}
			finished.Add(1)
		})
	}
	for w.pool.Stats().InUse < 20 {
		time.Sleep(time.Millisecond)
	}
	for range 5 {
		if got, err := run(quick, 0); err != nil || got != "quick" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if n := finished.Load(); n == 20 {
		t.Error("the quick guest had to wait for all of the busy one's requests")
	}
	group.Wait()
}

// TestCancelledTurn: who gives up waiting for its turn neither runs nor keeps the place.
func TestCancelledTurn(t *testing.T) {
	w := newWorld(t, 16, Config{Procs: 1})
	g := w.guest("g")
	first, err := g.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	if status, err := first.Start(context.Background(), make([]byte, 1000)); err != nil || status != wasm.Yielded {
		t.Fatal(status, err)
	}
	if err := first.enter(context.Background()); err != nil { // it runs
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			i, err := g.Acquire()
			if err != nil {
				t.Error(err)
				return
			}
			defer i.Release()
			if _, err := i.Start(ctx, nil); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	for w.pool.Stats().InUse < 6 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	group.Wait()
	w.pool.leave()
	first.Release()
	if _, err := run(g, 0); err != nil {
		t.Error(err)
	}
	if s := w.pool.Stats(); s.Running != 0 || s.InUse != 0 {
		t.Errorf("%+v", s)
	}
}

// TestRemove: a guest's module and image are closed once, when nothing runs any more.
func TestRemove(t *testing.T) {
	w := newWorld(t, 8, Config{Procs: 1})
	g := w.guest("g")
	if _, err := run(g, 0); err != nil {
		t.Fatal(err)
	}
	i, err := g.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	then := 0
	g.Remove(func() { then++ })
	if w.closed.Load() != 0 || then != 0 {
		t.Error("closed while it is in use")
	}
	if _, err := g.Acquire(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	i.Release()
	g.Remove(nil)
	if w.closed.Load() != 1 || then != 1 {
		t.Errorf("closed %d times, told %d times", w.closed.Load(), then)
	}
}

// TestIdleMemory: idle instances go when they hold more than they may.
func TestIdleMemory(t *testing.T) {
	const most = 5 * 100 << 10 // five with their pages and what is kept of an instance
	w := newWorld(t, 32, Config{Procs: 1, Idle: most})
	g := w.guest("g")
	for range 3 { // it is known only from the second run on how much one writes
		var held []*Instance
		for range 10 {
			i, err := g.Acquire()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := i.Start(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
			held = append(held, i)
		}
		for _, i := range held {
			i.Release()
		}
	}
	if s := w.pool.Stats(); s.Idle > 5 || s.Resident > most {
		t.Errorf("%+v", s)
	}
}

func TestAllocations(t *testing.T) {
	w := newWorld(t, 8, Config{Procs: 1})
	g := w.guest("g")
	event := make([]byte, 0)
	if n := testing.AllocsPerRun(200, func() {
		i, err := g.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Start(context.Background(), event); err != nil {
			t.Fatal(err)
		}
		i.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRun(b *testing.B) {
	w := newWorld(b, 64, Config{Procs: 2})
	g := w.guest("g")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := run(g, 0); err != nil {
				b.Error(err)
			}
		}
	})
}
