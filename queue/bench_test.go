package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type handlerFunc func(context.Context, *Delivery) Outcome

func (f handlerFunc) Run(ctx context.Context, d *Delivery) Outcome { return f(ctx, d) }

// BenchmarkAccept: events of 300 bytes, accepted in batches by several producers, each batch a transaction. All programs are paused.
func BenchmarkAccept(b *testing.B) {
	for _, c := range []struct{ producers, batch int }{{1, 1}, {16, 1}, {256, 1}, {1, 100}, {8, 100}} {
		b.Run(fmt.Sprintf("producers=%d/batch=%d", c.producers, c.batch), func(b *testing.B) {
			q := openQueue(b, openDB(b, b.TempDir()), Options{Handler: newHand(), Events: 1 << 30})
			for g := range c.producers {
				if err := q.Pause(fmt.Sprint("program", g)); err != nil {
					b.Fatal(err)
				}
			}
			payload := []byte(strings.Repeat("x", 300))
			var made atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for g := range c.producers {
				wg.Go(func() {
					for made.Add(int64(c.batch)) <= int64(b.N)+int64(c.batch)-1 {
						events := make([]Event, c.batch)
						for i := range events {
							events[i] = Event{Program: fmt.Sprint("program", g), Payload: payload}
						}
						if _, err := q.Accept(events, nil); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkDeliver: from the disk, through a handler that does nothing, to the acknowledgement on the disk.
func BenchmarkDeliver(b *testing.B) {
	for _, c := range []struct{ programs, workers int }{{1, 64}, {100, 64}, {100, 256}} {
		b.Run(fmt.Sprintf("programs=%d/workers=%d", c.programs, c.workers), func(b *testing.B) {
			db := openDB(b, b.TempDir())
			q := openQueue(b, db, Options{Handler: newHand(), Events: 1 << 30})
			var all []Event
			for i := range b.N {
				all = append(all, Event{Program: fmt.Sprint("program", i%c.programs), Payload: []byte(strings.Repeat("x", 300))})
			}
			for g := range c.programs {
				if err := q.Pause(fmt.Sprint("program", g)); err != nil {
					b.Fatal(err)
				}
			}
			for some := range slices.Chunk(all, MaxEvents) {
				if _, err := q.Accept(some, nil); err != nil {
					b.Fatal(err)
				}
			}
			q.halt()
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			q = openQueue(b, db, Options{Workers: c.workers, Policy: func(string) Policy { return Policy{Concurrency: c.workers} },
				Handler: handlerFunc(func(context.Context, *Delivery) Outcome { return Acknowledge(nil) }),
				Settled: func(Settlement) {
					if left.Add(-1) == 0 {
						close(done)
					}
				}})
			b.ResetTimer()
			for g := range c.programs {
				if err := q.Resume(fmt.Sprint("program", g)); err != nil {
					b.Fatal(err)
				}
			}
			<-done
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkLatency: from the call of Accept to the handler, one event at a time.
func BenchmarkLatency(b *testing.B) {
	ran := make(chan time.Time)
	settled := make(chan struct{})
	q := openQueue(b, openDB(b, b.TempDir()), Options{Settled: func(Settlement) { settled <- struct{}{} },
		Handler: handlerFunc(func(context.Context, *Delivery) Outcome {
			ran <- time.Now()
			return Acknowledge(nil)
		})})
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		go func() {
			if _, err := q.Accept([]Event{{Program: "p"}}, nil); err != nil {
				b.Error(err)
			}
		}()
		took = append(took, (<-ran).Sub(begun))
		<-settled
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
