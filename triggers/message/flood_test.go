package message

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/queue"
)

// TestFlood posts many messages that match a program which is slow and has room for a few events only, and now and then one for another:
// that one gets its messages soon, the slow one all of them in the end, and the memory stays as it is.
func TestFlood(t *testing.T) {
	messages := 1500
	if os.Getenv("ALEPH_LONG_TESTS") != "" {
		messages = 100_000
	}
	w := newWorld(t, openDB(t, t.TempDir()), queue.Options{Events: messages / 10})
	ran := make(chan string, 1000)
	var mu sync.Mutex
	flooded := map[string]int{}
	w.run = func(d *queue.Delivery) queue.Outcome {
		if d.Program == "other" {
			ran <- d.ID
		} else {
			mu.Lock()
			defer mu.Unlock()
			flooded[d.ID]++
		}
		return queue.Acknowledge(nil)
	}
	w.declare("flooded", declare(map[string]any{"channel": "FLOOD"}))
	w.declare("other", declare(map[string]any{"channel": "OTHER"}))
	if err := w.queue.Pause("flooded"); err != nil {
		t.Fatal(err)
	}
	w.trigger.cfg.Now = time.Now
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.trigger.Run(ctx) }()
	heap := uint64(0)
	look := func() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = max(heap, m.HeapAlloc)
	}
	const turns = 10
	slowest := time.Duration(0)
	for turn := range turns {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := g; i < messages/turns; i += 8 {
					w.accept(w.sign("FLOOD", "flood", turn*messages+i), 0)
				}
			})
		}
		wg.Wait()
		begun := time.Now()
		m := w.post("OTHER", "note", turn)
		select {
		case id := <-ran:
			if id != eventID(m.ItemHash) {
				t.Fatalf("%s ran, not %s", id, m.ItemHash)
			}
			slowest = max(slowest, time.Since(begun))
		case <-time.After(time.Minute):
			t.Fatal("the other program is held up")
		}
		look()
	}
	if s := w.status("flooded"); s.State != "waiting" || s.Lag == 0 {
		t.Errorf("status %+v", s)
	}
	if err := w.queue.Resume("flooded"); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		look()
		mu.Lock()
		n := len(flooded)
		mu.Unlock()
		if n == messages {
			break
		}
		if time.Since(begun) > 10*time.Minute {
			t.Fatalf("%d of %d; %+v", n, messages, w.status("flooded"))
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for id, times := range flooded {
		if times != 1 {
			t.Errorf("%s ran %d times", id, times)
		}
	}
	t.Logf("%d messages; the other program's came within %v; at most %d MiB in use", messages, slowest, heap>>20)
	if heap > 128<<20 { // the database's tables in memory are most of it
		t.Errorf("%d MiB of heap", heap>>20)
	}
	if s := w.status("flooded"); fmt.Sprint(s.State, s.Error) != "active" {
		t.Errorf("status %+v", s)
	}
}
