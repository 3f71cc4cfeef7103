package pool

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// TestMapsRunOut calls guests in turn where the process has maps for three memories: idle ones give theirs, and who finds
// none is told so.
func TestMapsRunOut(t *testing.T) {
	const guests = 10
	w := newWorldOn(t, wasm.Config{Slots: 8, Maps: guests*(4+1) + 3*(3+2)}, Config{Procs: 1})
	var all []*Guest
	for n := range guests {
		all = append(all, w.guest(fmt.Sprint(n)))
	}
	for round := range 3 {
		for n, g := range all {
			if got, err := run(g, 0); err != nil || got != fmt.Sprint(n) {
				t.Fatalf("round %d, guest %d: %q, %v", round, n, got, err)
			}
		}
	}
	if s := w.pool.Stats(); s.Idle != 3 {
		t.Errorf("%+v", s)
	}
	for _, g := range all[:3] {
		acquire(t, g, 1)
	}
	if _, err := all[3].Acquire(); !errors.Is(err, ErrNoCapacity) {
		t.Errorf("a fourth memory: %v", err)
	}
	if s := w.pool.Stats(); s.InUse != 3 || w.engine.InUse() != 3 {
		t.Errorf("%+v, and the engine holds %d", s, w.engine.InUse())
	}
}
