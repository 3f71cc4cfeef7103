package schedule

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a wall clock that the test sets.
type clock struct{ ns atomic.Int64 }

func newClock(at string) *clock {
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	c := new(clock)
	c.ns.Store(when.UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.ns.Load()) }
func (c *clock) move(d time.Duration) { c.ns.Add(int64(d)) }

// node is a database, a queue that acknowledges all that is not held, and a trigger that the test steps.
type node struct {
	*Trigger
	clock *clock
	db    *kv.DB
	queue *queue.Queue
	opts  queue.Options

	mu      sync.Mutex
	ran     map[string]int // how often each event was acknowledged, by program and id
	forms   map[string]string
	release chan struct{} // while it is not nil runs wait for it
}

func open(t testing.TB, dir string, c *clock, opts queue.Options) *node {
	n := &node{clock: c, opts: opts, ran: map[string]int{}, forms: map[string]string{}}
	n.start(t, dir)
	t.Cleanup(func() { n.close(t) })
	return n
}

func (n *node) start(t testing.TB, dir string) {
	t.Helper()
	var err error
	if n.db, err = kv.Open(dir, kv.Options{InMemory: dir == "", MinFree: 1}); err != nil {
		t.Fatal(err)
	}
	opts := n.opts
	opts.Handler, opts.Settled = n, n.settled
	if n.queue, err = queue.Open(n.db, opts); err != nil {
		t.Fatal(err)
	}
	if n.Trigger, err = Open(Config{DB: n.db, Queue: n.queue, Now: n.clock.now}); err != nil {
		t.Fatal(err)
	}
}

func (n *node) close(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n.queue.Close(ctx)
	if err := n.db.Close(); err != nil {
		t.Error(err)
	}
}

func (n *node) hold() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.release = make(chan struct{})
}

func (n *node) letGo() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.release)
	n.release = nil
}

func (n *node) Run(ctx context.Context, d *queue.Delivery) queue.Outcome {
	form, err := new(Trigger).Form(ctx, d) // n.Trigger is another after a restart
	if err != nil {
		return queue.Reject(err)
	}
	n.mu.Lock()
	n.forms[d.ID] = string(form.Body)
	release := n.release
	n.mu.Unlock()
	if release != nil {
		select {
		case <-release:
		case <-ctx.Done():
		}
	}
	return queue.Acknowledge(nil)
}

func (n *node) settled(s queue.Settlement) {
	if s.State == queue.Acknowledged {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.ran[s.Program+" "+s.ID]++
	}
}

// settle waits until the queue has nothing of a program, and has told of all that it had.
func (n *node) settle(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		eventually(t, "the events of "+program, func() bool {
			s, err := n.queue.Stats(program)
			if err != nil {
				t.Fatal(err)
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			told := 0
			for id, times := range n.ran {
				if strings.HasPrefix(id, program+" ") {
					told += times
				}
			}
			return s.Pending+s.Running+s.Delayed == 0 && s.Acknowledged == uint64(told)
		})
	}
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// count is how often events ran, each once.
func (n *node) count(t testing.TB) int {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, times := range n.ran {
		if times != 1 {
			t.Errorf("%s ran %d times", id, times)
		}
	}
	return len(n.ran)
}

func (n *node) set(t testing.TB, program string, schedules ...triggers.Schedule) {
	t.Helper()
	d := &triggers.Declaration{Schedules: schedules}
	if err := d.Complete(); err != nil {
		t.Fatal(err)
	}
	if err := Check(d); err != nil {
		t.Fatal(err)
	}
	if err := n.Set(program, n.clock.now(), d); err != nil {
		t.Fatal(err)
	}
}

// records are the keys of the checkpoints that are stored.
func (n *node) records(t testing.TB) string {
	t.Helper()
	var keys []string
	err := n.db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(prefix, "") {
			if err != nil {
				return err
			}
			keys = append(keys, r.Key[len(prefix):])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(keys)
}
