//go:build !race

// Under the race detector go-ethereum's node would take minutes to compile.

package node

import (
	"fmt"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"github.com/aleph-edge/aleph-edge/internal/devchain"
)

// TestKilledChain kills a node again and again while a chain makes logs: each is counted exactly once.
func TestKilledChain(t *testing.T) {
	t.Parallel()
	kills := 4
	if os.Getenv(longTests) != "" {
		kills = 50
	}
	chain, err := devchain.Open(devchain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	spec := childChain + "=DEV=" + chain.URL() + ",confirmations=0,poll=20ms"
	n := &process{site: site{TB: t, owner: newKey(t)}, data: t.TempDir()}
	n.start(spec)
	t.Cleanup(func() {
		n.leave()
		n.kill()
	})
	p := n.deploy(deployment{name: "chain", triggers: `{"chains":[{"chain":"DEV","address":"` + devchain.TokenAddress.Hex() + `","event":"` + devchain.TransferEvent + `","from":0}],
		"delivery":{"effects":"once","backoff":0.01,"attempts":100}}`, source: `export default async (req, { aleph: { store }, event }) => {
			if (event.kind === 'http') return await store.get('n') ?? 0;
			if (event.log.removed) throw new Error('nothing is taken back here');
			await store.increment('n', Number(event.log.event.args.value));
		}`})
	client, err := rpc.Dial(chain.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	sum := int64(0)
	for range kills {
		stop := time.Now().Add(300 * time.Millisecond)
		for value := int64(1); time.Now().Before(stop); value++ {
			to := devchain.TokenAddress
			if _, err := devchain.Send(t.Context(), client, &to, new(big.Int), devchain.TransferData(devchain.Account(), big.NewInt(value))); err != nil {
				t.Fatal(err)
			}
			sum += value
		}
		n.kill()
		n.start(spec)
	}
	for end := time.Now().Add(3 * patience); ; time.Sleep(20 * time.Millisecond) {
		a := p.get("")
		var counted int64
		if _, err := fmt.Sscan(a.body, &counted); err != nil || counted > sum {
			t.Fatalf("%v of %d", a, sum)
		}
		if counted == sum {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("counted %d of %d", counted, sum)
		}
	}
	if e := p.settle(); e.DeadLetters != 0 {
		t.Errorf("%+v", e)
	}
	p.want("", 200, fmt.Sprint(sum))
}
