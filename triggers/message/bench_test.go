package message

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/queue"
)

// benchPrograms is how many programs with filters there are. Most name their own channel or sender, or a topic of their own within the
// content; all of them some of what most messages have.
const benchPrograms = 10_000

func benchFilter(i int) map[string]any {
	switch i % 4 {
	case 0:
		return map[string]any{"channel": fmt.Sprint("channel-", i), "type": "POST"}
	case 1:
		return map[string]any{"type": "POST", "content": map[string]any{"type": "chat", "content": map[string]any{"room": fmt.Sprint("room-", i)}}}
	case 2:
		return map[string]any{"channel": []any{"TEST", "MAIN"}, "content": map[string]any{"content": map[string]any{"tags": fmt.Sprint("tag-", i)}}}
	}
	return map[string]any{"chain": "ETH", "sender": fmt.Sprintf("0x%040x", i), "content": map[string]any{"type": []any{"chat", "note"}}}
}

// benchMessage matches one program's filter in most cases.
func benchMessage(w *world, i int) *network.Message {
	n := rand.IntN(benchPrograms)
	return w.sign([]string{"TEST", fmt.Sprint("channel-", n)}[i%2], "chat", map[string]any{"n": i, "room": fmt.Sprint("room-", n/4*4+1),
		"tags": []any{fmt.Sprint("tag-", rand.IntN(benchPrograms)), "x"}, "text": "some text as people write it, a line or two of it"})
}

// BenchmarkMatch: messages as they are read from the log, looked up among 10,000 filters.
func BenchmarkMatch(b *testing.B) {
	w := newWorld(b, openDB(b, ""), queue.Options{})
	x := newIndex()
	for i := range benchPrograms {
		is, text, err := compile(benchFilter(i))
		if err != nil {
			b.Fatal(err)
		}
		x.add(&program{id: fmt.Sprint(i)}, 0, is, text)
	}
	var messages []network.Processed
	for i := range 1000 {
		m := benchMessage(w, i)
		messages = append(messages, network.Processed{Sequence: uint64(i), Hash: m.ItemHash, Message: m, Content: []byte(m.ItemContent)})
	}
	matched := 0
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		document, err := documentOf(&messages[i%len(messages)])
		if err != nil {
			b.Fatal(err)
		}
		x.match(document, func(*filter) { matched++ })
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(matched)/float64(b.N), "matches/message")
}

// BenchmarkMatchAndQueue: from the log on the disk through the filters of 10,000 programs into the queue on the disk, by one
// processor. The programs are paused. Messages are posted before; b.N of them.
func BenchmarkMatchAndQueue(b *testing.B) {
	w := newWorld(b, openDB(b, b.TempDir()), queue.Options{})
	for i := range benchPrograms {
		id := fmt.Sprintf("%064x", i)
		if err := w.queue.Pause(id); err != nil {
			b.Fatal(err)
		}
		if err := w.trigger.Set(id, w.now, declare(benchFilter(i))); err != nil {
			b.Fatal(err)
		}
	}
	work := make(chan int)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range work {
				if _, err := w.network.Accept(context.Background(), benchMessage(w, i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		work <- i
	}
	close(work)
	wg.Wait()
	w.trigger.trimAt = trimAtOnce
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b.ReportAllocs()
	b.ResetTimer()
	w.follow()
	b.StopTimer()
	events := 0
	for id := range w.trigger.programs {
		s, err := w.queue.Stats(id)
		if err != nil {
			b.Fatal(err)
		}
		events += s.Pending
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(events)/float64(b.N), "events/message")
}
