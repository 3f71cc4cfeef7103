package queue

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/kv"
)

// TestMain is also the program that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childMain(dir)
	}
	goleak.VerifyTestMain(m)
}

// wallClock is a time that the test moves, either way.
type wallClock struct{ ns atomic.Int64 }

func newWallClock() *wallClock {
	c := new(wallClock)
	c.ns.Store(1_800_000_000_000_000_000)
	return c
}

func (c *wallClock) now() time.Time       { return time.Unix(0, c.ns.Load()) }
func (c *wallClock) move(d time.Duration) { c.ns.Add(int64(d)) }

func openDB(t testing.TB, dir string) *kv.DB {
	t.Helper()
	db, err := kv.Open(dir, kv.Options{InMemory: dir == ""})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func openQueue(t testing.TB, db *kv.DB, opts Options) *Queue {
	t.Helper()
	q, err := Open(db, opts)
	if err != nil {
		t.Fatal(err)
	}
	q.jitter = func(d time.Duration) time.Duration { return d }
	t.Cleanup(q.halt)
	return q
}

// halt closes q at once.
func (q *Queue) halt() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q.Close(ctx)
}

// look has the queue look at its clock, as it does each second.
func (q *Queue) look() { signal(q.tick) }

// hand is a Handler whose runs the test sees and ends.
type hand struct{ runs chan *held }

func newHand() *hand { return &hand{make(chan *held, 1024)} }

type held struct {
	*Delivery
	outcome chan Outcome
}

func (h *hand) Run(ctx context.Context, d *Delivery) Outcome {
	r := &held{d, make(chan Outcome, 1)}
	h.runs <- r
	select {
	case o := <-r.outcome:
		return o
	case <-ctx.Done():
		return Fail(ctx.Err())
	}
}

// next waits for a run.
func (h *hand) next(t testing.TB) *held {
	t.Helper()
	select {
	case r := <-h.runs:
		return r
	case <-t.Context().Done():
	case <-time.After(20 * time.Second):
	}
	t.Fatal("nothing runs")
	return nil
}

// none fails if anything runs within a moment.
func (h *hand) none(t testing.TB) {
	t.Helper()
	select {
	case r := <-h.runs:
		t.Fatalf("%s runs", r.ID)
	case <-time.After(20 * time.Millisecond):
	}
}

func accept(t testing.TB, q *Queue, events ...Event) {
	t.Helper()
	fresh, err := q.Accept(events, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fresh {
		if !f {
			t.Fatalf("event %d of %d is taken for another", i, len(events))
		}
	}
}

func stats(t testing.TB, q *Queue, program string) Stats {
	t.Helper()
	s, err := q.Stats(program)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually waits for done.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}
