package kv

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// parallelism runs body in n goroutines, each with its number.
func parallelism(b *testing.B, n int, body func(goroutine, i int)) {
	var goroutines atomic.Int64
	b.SetParallelism(n) // times GOMAXPROCS, which the caller's -cpu 1 makes n
	b.RunParallel(func(pb *testing.PB) {
		g := int(goroutines.Add(1))
		for i := 0; pb.Next(); i++ {
			body(g, i)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkStoreSet: acknowledged sets of 100 bytes on disk. Run it with -cpu 1, so that writers are as many as they say.
func BenchmarkStoreSet(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{}).Store("p", Quota{})
			v := Value{Bytes, []byte(strings.Repeat("x", 100))}
			b.ResetTimer()
			parallelism(b, writers, func(g, i int) {
				if err := s.Set(fmt.Sprintf("%d/%d", g, i%1000), v, 0); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkUpdate: the same in transactions of their own, which Badger syncs one by one.
func BenchmarkUpdate(b *testing.B) { benchmarkUpdate(b, (*DB).Update) }

// BenchmarkGroupUpdate: the same in transactions that share theirs.
func BenchmarkGroupUpdate(b *testing.B) { benchmarkUpdate(b, (*DB).GroupUpdate) }

func benchmarkUpdate(b *testing.B, update func(*DB, func(*Txn) error) error) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := open(b, b.TempDir(), Options{})
			v := []byte(strings.Repeat("x", 100))
			b.ResetTimer()
			parallelism(b, writers, func(g, i int) {
				if err := update(db, func(t *Txn) error { return t.Set(fmt.Sprintf("queue/%d/%d", g, i%1000), v) }); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkIncrement: one hot counter on disk.
func BenchmarkIncrement(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{}).Store("p", Quota{})
			b.ResetTimer()
			parallelism(b, writers, func(g, i int) {
				if _, err := s.Increment("n", 1); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkGet: reads of 100 bytes among 10,000 keys.
func BenchmarkGet(b *testing.B) {
	s := open(b, b.TempDir(), Options{}).Store("p", Quota{})
	keys := make([]string, 10_000)
	filled := make(chan error)
	for i := range keys {
		keys[i] = fmt.Sprintf("key/%d", i)
		go func() { filled <- s.Set(keys[i], Value{Bytes, []byte(strings.Repeat("x", 100))}, 3600) }()
	}
	for range keys {
		if err := <-filled; err != nil {
			b.Fatal(err)
		}
	}
	var dst []byte
	var ok bool
	var err error
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if dst, _, ok, err = s.AppendGet(dst[:0], keys[i%len(keys)]); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkList: a page of 100 entries of 100 bytes.
func BenchmarkList(b *testing.B) {
	s := open(b, b.TempDir(), Options{}).Store("p", Quota{})
	for i := range 200 {
		set(b, s, fmt.Sprintf("key/%d", i), strings.Repeat("x", 100), 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		if entries, _, err := s.List("key/", 100, ""); err != nil || len(entries) != 100 {
			b.Fatal(len(entries), err)
		}
	}
}
