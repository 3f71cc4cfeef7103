package pool

import (
	"errors"
	"testing"
)

// acquire takes n instances, which go back with the test.
func acquire(t *testing.T, g *Guest, n int) {
	t.Helper()
	for range n {
		i, err := g.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(i.Release)
	}
}

// TestShare has two guests of one share: together they cannot take the last instance.
func TestShare(t *testing.T) {
	w := newWorld(t, 4, Config{Procs: 1})
	first, second, other := w.guest("first"), w.guest("second"), w.guest("other")
	second.spec.Share = first.spec.Share
	acquire(t, first, 2)
	acquire(t, second, 1)
	for _, g := range []*Guest{first, second} {
		if _, err := g.Acquire(); !errors.Is(err, ErrNoCapacity) {
			t.Errorf("the last instance: %v", err)
		}
	}
	acquire(t, other, 1)
}

// TestSlots has the pool leave slots to others, also where its own are idle.
func TestSlots(t *testing.T) {
	w := newWorld(t, 6, Config{Procs: 1, Slots: 4})
	for n := range 10 {
		i, err := w.guest(string(rune('a' + n))).Acquire()
		if err != nil {
			t.Fatal(err)
		}
		i.Release()
		if s := w.pool.Stats(); s.Slots != 4 || s.InUse != 0 || s.Idle != min(n+1, 4) || w.engine.InUse() != s.Idle {
			t.Fatalf("%+v, and the engine holds %d", s, w.engine.InUse())
		}
	}
}
