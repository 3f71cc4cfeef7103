package chain

import (
	"context"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ethereum/go-ethereum"

	"github.com/aleph-edge/aleph-edge/internal/devchain"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
)

// benchBlocks is how many blocks have benchLogs logs each.
const benchBlocks, benchLogs = 400, 100

func benchWorld(b *testing.B) *world {
	w := newWorld(b)
	for i := range benchBlocks {
		w.send(&devchain.TokenAddress, nil, devchain.BurstData(common.BigToAddress(common.Big1), benchLogs))
		if i%2 == 0 {
			w.chain.Commit()
		}
	}
	for range maxDepth + 1 {
		w.chain.Commit()
	}
	return w
}

// BenchmarkBackfill reads 40,000 logs of old blocks into the queue, from a provider in the same process: "provider" by eth_getLogs and
// nothing else, in ranges as large, "trigger" by all that an event goes through, on a database on the disk.
func BenchmarkBackfill(b *testing.B) {
	w := benchWorld(b)
	report := func(b *testing.B) {
		b.ReportMetric(float64(b.N)*benchBlocks*benchLogs/b.Elapsed().Seconds(), "logs/s")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("provider", func(b *testing.B) {
		client, err := rpc.Dial(w.chain.URL())
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
		c := ethclient.NewClient(client)
		for b.Loop() {
			logs := 0
			for from, span := uint64(0), uint64(firstSpan); from <= w.head(); from, span = from+span, min(2*span, 10_000) {
				got, err := c.FilterLogs(context.Background(), ethereum.FilterQuery{FromBlock: new(big.Int).SetUint64(from), ToBlock: new(big.Int).SetUint64(min(from+span-1, w.head())),
					Addresses: []common.Address{devchain.TokenAddress}, Topics: [][]common.Hash{{newEvent(b).topic}}})
				if err != nil {
					b.Fatal(err)
				}
				logs += len(got)
			}
			if logs != benchBlocks*benchLogs {
				b.Fatal(logs)
			}
		}
		report(b)
	})
	b.Run("trigger", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			one := &world{t: b, config: w.config, hold: true}
			db, err := kv.Open(b.TempDir(), kv.Options{})
			if err != nil {
				b.Fatal(err)
			}
			one.db = db
			one.limits.Policy = func(string) queue.Policy { return queue.Policy{Backoff: time.Hour, MaxBackoff: time.Hour} }
			one.open()
			if err := one.queue.Pause("p"); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			one.set("p", everyTransfer)
			for {
				if s := one.trigger.List("p")[0]; s.Head > 0 && s.Position == s.Head {
					break
				}
				time.Sleep(time.Millisecond)
			}
			b.StopTimer()
			if s, err := one.queue.Stats("p"); err != nil || s.Pending != benchBlocks*benchLogs {
				b.Fatalf("%+v, %v", s, err)
			}
			one.close()
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		report(b)
	})
}

func newEvent(b *testing.B) *event {
	e, err := parseEvent(devchain.TransferEvent)
	if err != nil {
		b.Fatal(err)
	}
	return e
}
