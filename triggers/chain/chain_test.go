package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/aleph-edge/aleph-edge/internal/devchain"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A world is a real chain, with a database, a queue and a trigger that read it.
type world struct {
	t      testing.TB
	chain  *devchain.Chain
	client *rpc.Client
	db     *kv.DB
	config Chain
	limits queue.Options

	queue   *queue.Queue
	trigger *Trigger
	stop    func()

	mu     sync.Mutex
	events []seen
	counts map[string]int // how often each was seen, those that were removed taken away
	hold   bool           // programs do not end
}

// seen is an event that a program was given.
type seen struct {
	program, trigger, id string
	form                 map[string]any
}

func (s *seen) removed() bool { return s.form["removed"].(bool) }

// what is the event without how often and in which direction it was seen.
func (s *seen) what() string { return s.program + " " + s.trigger + " " + s.form["id"].(string) }

func newWorld(t testing.TB, urls ...string) *world {
	t.Helper()
	chain, err := devchain.Open(devchain.Config{Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, chain: chain, client: chain.Client(), counts: map[string]int{}}
	w.config = Chain{Name: "ETH", URLs: urls, Confirmations: triggers.Confirmations{Set: true}, Poll: 10 * time.Millisecond, Timeout: 10 * time.Second}
	if len(urls) == 0 {
		w.config.URLs = []string{chain.URL()}
	}
	if w.db, err = kv.Open("", kv.Options{InMemory: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.close()
		w.client.Close()
		if err := errors.Join(w.db.Close(), chain.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// open starts the trigger on what the database has.
func (w *world) open() {
	w.t.Helper()
	w.limits.Handler = w
	var err error
	if w.queue, err = queue.Open(w.db, w.limits); err != nil {
		w.t.Fatal(err)
	}
	if w.trigger, err = Open(Config{DB: w.db, Queue: w.queue, Chains: []Chain{w.config}, Log: slog.New(slog.NewTextHandler(testLog{w.t}, nil))}); err != nil {
		w.t.Fatal(err)
	}
	w.trigger.backoff = 5 * time.Millisecond
	for _, f := range w.trigger.followers {
		f.pool.setRest(5 * time.Millisecond)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.trigger.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	w.stop = func() {
		cancel()
		<-done
		now, end := context.WithCancel(context.Background())
		end()
		w.queue.Close(now)
	}
}

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (w *world) close() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// Run is the handler of all programs: it keeps what it is given.
func (w *world) Run(_ context.Context, d *queue.Delivery) queue.Outcome {
	w.mu.Lock()
	hold := w.hold
	w.mu.Unlock()
	if hold {
		return queue.Defer(nil)
	}
	form, err := Form(d)
	if err != nil {
		w.t.Error(err)
		return queue.Reject(err)
	}
	s := seen{program: d.Program, trigger: d.Trigger, id: d.ID}
	if err := json.Unmarshal(form.Body, &s.form); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, s)
	if s.removed() {
		w.counts[s.what()]--
	} else {
		w.counts[s.what()]++
	}
	if w.counts[s.what()] == 0 {
		delete(w.counts, s.what())
	}
	return queue.Acknowledge(nil)
}

// net is how often each of a trigger's events was seen, those that were removed taken away, and whether that is what is wanted.
func (w *world) net(program, trigger string, want map[string]int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := 0
	for key, n := range w.counts {
		if strings.HasPrefix(key, program+" "+trigger+" ") {
			if found++; want[key] != n {
				return false
			}
		}
	}
	return found == len(want)
}

func (w *world) seen() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]seen(nil), w.events...)
}

// unique fails if a program was given an id twice.
func (w *world) unique() {
	w.t.Helper()
	ids := map[string]bool{}
	for _, s := range w.seen() {
		if ids[s.program+" "+s.id] {
			w.t.Errorf("%s was given %s twice", s.program, s.id)
		}
		ids[s.program+" "+s.id] = true
	}
}

func (w *world) set(program string, chains ...triggers.Chain) {
	w.t.Helper()
	d := &triggers.Declaration{Chains: chains}
	for i := range d.Chains {
		if d.Chains[i].Chain == "" {
			d.Chains[i].Chain = "ETH"
		}
		if d.Chains[i].Name == "" {
			d.Chains[i].Name = fmt.Sprintf("log-%d", i+1)
		}
	}
	if err := Check(d, []string{"ETH"}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.trigger.Set(program, time.Now().Add(-time.Hour), d); err != nil {
		w.t.Fatal(err)
	}
}

var (
	alice = common.HexToAddress("0xA11cE00000000000000000000000000000000001")
	bob   = common.HexToAddress("0xb0b0000000000000000000000000000000000002")
)

// transfer sends a transfer of the token; a block has to follow.
func (w *world) transfer(to common.Address, value int64) {
	w.t.Helper()
	w.send(&devchain.TokenAddress, nil, devchain.TransferData(to, big.NewInt(value)))
}

func (w *world) send(to *common.Address, value *big.Int, data []byte) common.Hash {
	w.t.Helper()
	hash, err := devchain.Send(w.t.Context(), w.client, to, value, data)
	if err != nil {
		w.t.Fatal(err)
	}
	return hash
}

// logs are the chain's, as the provider gives them.
func (w *world) logs() []contractLog {
	w.t.Helper()
	var logs []contractLog
	if err := w.client.CallContext(w.t.Context(), &logs, "eth_getLogs", map[string]any{"fromBlock": "0x0", "toBlock": "latest", "address": devchain.TokenAddress}); err != nil {
		w.t.Fatal(err)
	}
	return logs
}

// want is the net effect that a trigger of all the token's transfers must have had.
func (w *world) want(program, trigger string) map[string]int {
	want := map[string]int{}
	for _, l := range w.logs() {
		want[fmt.Sprintf("%s %s 1337:%s:%s:%d", program, trigger, l.BlockHash, l.TxHash, uint64(l.Index))] = 1
	}
	return want
}

func (w *world) head() uint64 {
	w.t.Helper()
	n, err := ethclient.NewClient(w.client).BlockNumber(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// eventually waits for done.
func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	for begun := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			for _, name := range []string{"p", "q", "busy", "calm"} {
				w.t.Logf("%s: %+v", name, w.trigger.List(name))
			}
			w.t.Fatalf("%s: not within 60 s; %d events", what, len(w.seen()))
		}
	}
}

// settle waits until the net effect is that of the chain, for a trigger of all transfers.
func (w *world) settle(program, trigger string) {
	w.t.Helper()
	want := w.want(program, trigger)
	w.eventually("the chain's logs for "+program, func() bool { return w.net(program, trigger, want) })
}

func number(n uint64) *uint64 { return &n }

var everyTransfer = triggers.Chain{Address: devchain.TokenAddress.Hex(), Event: devchain.TransferEvent, From: number(0)}

func TestLog(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.set("p", triggers.Chain{Address: devchain.TokenAddress.Hex(), Event: devchain.TransferEvent, Args: map[string]any{"to": alice.Hex()}})
	w.transfer(alice, 1000)
	w.transfer(bob, 1)
	w.chain.Commit()
	w.eventually("an event", func() bool { return len(w.seen()) == 1 })
	s := w.seen()[0]
	want := map[string]any{"from": strings.ToLower(devchain.Account().Hex()), "to": strings.ToLower(alice.Hex()), "value": "1000"}
	event := s.form["event"].(map[string]any)
	if fmt.Sprint(event["args"]) != fmt.Sprint(want) || event["signature"] != "Transfer(address,address,uint256)" || s.form["type"] != "blockchain.event" {
		t.Errorf("%v", s.form)
	}
	if s.id != s.form["id"].(string)+":log-1" {
		t.Errorf("id %q, form's %q", s.id, s.form["id"])
	}
	w.eventually("a state", func() bool {
		l := w.trigger.List("p")
		return len(l) == 1 && l[0].State == "active" && l[0].Position == 1 && l[0].Kind == "log" && !l[0].Last.IsZero()
	})
}

// TestDeployedContract: a contract that a transaction deploys, whose block a reorganisation takes back, and another of the same code.
func TestDeployedContract(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.set("p", triggers.Chain{Event: devchain.TransferEvent}) // of any contract
	parent := w.chain.Commit()
	receipt := func(hash common.Hash) *types.Receipt {
		w.chain.Commit()
		r, err := ethclient.NewClient(w.client).TransactionReceipt(t.Context(), hash)
		if err != nil || r.Status != types.ReceiptStatusSuccessful {
			t.Fatalf("%+v, %v", r, err)
		}
		return r
	}
	contract := receipt(w.send(nil, nil, devchain.Deploy(devchain.TokenCode()))).ContractAddress
	if contract == (common.Address{}) || contract == devchain.TokenAddress {
		t.Fatal(contract)
	}
	w.send(&contract, nil, devchain.TransferData(alice, big.NewInt(3)))
	w.chain.Commit()
	w.eventually("the contract's event", func() bool { return len(w.seen()) == 1 })
	if l := w.seen()[0].form["log"].(map[string]any); l["address"] != strings.ToLower(contract.Hex()) {
		t.Errorf("%v", l)
	}
	if err := w.chain.Fork(parent); err != nil {
		t.Fatal(err)
	}
	for range 4 { // the branch without the contract becomes the longer one
		w.chain.Commit()
	}
	w.eventually("that it is taken back", func() bool { return len(w.seen()) >= 2 && w.seen()[1].removed() })
}

func TestTransfersAndBlocks(t *testing.T) {
	for _, deep := range []bool{false, true} {
		t.Run(fmt.Sprintf("deep %t", deep), func(t *testing.T) {
			w := newWorld(t)
			if !deep {
				w.open()
				w.set("p", triggers.Chain{Name: "coins", Address: alice.Hex(), Transfer: true, From: number(0)}, triggers.Chain{Name: "block", Block: 2, From: number(1)})
			}
			w.send(&alice, big.NewInt(5), nil)
			w.send(&bob, big.NewInt(6), nil)
			w.send(&devchain.TokenAddress, big.NewInt(7), nil) // reverted
			w.send(&alice, big.NewInt(0), nil)
			w.chain.Commit()
			for range 4 {
				w.chain.Commit()
			}
			if deep {
				for range maxDepth + 3 {
					w.chain.Commit()
				}
				w.open()
				w.set("p", triggers.Chain{Name: "coins", Address: []any{alice.Hex(), devchain.TokenAddress.Hex()}, Transfer: true, From: number(0)},
					triggers.Chain{Name: "block", Block: 2, From: number(1)})
			}
			blocks := int(w.head() / 2)
			w.eventually("all events", func() bool { return len(w.seen()) == 1+blocks })
			for _, s := range w.seen() {
				switch s.trigger {
				case "coins":
					if got := s.form["transfer"].(map[string]any); got["value"] != "5" || got["to"] != strings.ToLower(alice.Hex()) || s.form["type"] != "blockchain.transfer" {
						t.Errorf("%v", s.form)
					}
				case "block":
					if b := s.form["block"].(map[string]any); int(b["number"].(float64))%2 != 0 || b["parentHash"] == "" || s.form["type"] != "blockchain.block" {
						t.Errorf("%v", s.form)
					}
				}
			}
			w.unique()
		})
	}
}

func TestReorganisation(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.set("p", everyTransfer)
	base := w.chain.Commit()
	w.transfer(alice, 1)
	first := w.chain.Commit()
	w.transfer(alice, 2)
	second := w.chain.Commit()
	w.settle("p", "log-1")
	for i, to := range []common.Hash{base, second, first, second} {
		if err := w.chain.Fork(to); err != nil {
			t.Fatal(err)
		}
		if to == base || to == first {
			w.transfer(bob, int64(10+i))
			w.chain.Commit()
			w.chain.Commit()
		}
		w.settle("p", "log-1")
	}
	w.unique()
	again := 0
	for _, s := range w.seen() {
		if strings.Contains(s.id, ":again-") {
			again++
		}
	}
	if again == 0 {
		t.Error("no block came back")
	}
}

func TestConfirmations(t *testing.T) {
	w := newWorld(t)
	w.open()
	two := everyTransfer
	two.Confirmations = triggers.Confirmations{Blocks: 2, Set: true}
	final := everyTransfer
	final.Confirmations = triggers.Confirmations{Tag: "finalized", Set: true}
	safe := everyTransfer
	safe.Confirmations = triggers.Confirmations{Tag: "safe", Set: true}
	w.set("p", two, final, safe)
	base := w.chain.Commit()
	w.transfer(alice, 1)
	w.chain.Commit()
	w.settle("p", "log-3")
	w.eventually("the head", func() bool { return w.trigger.List("p")[0].Head == 2 })
	if err := w.chain.Fork(base); err != nil {
		t.Fatal(err)
	}
	for len(w.seen()) == 0 || w.head() < 40 {
		w.chain.Commit()
	}
	w.transfer(alice, 2)
	w.chain.Commit()
	w.settle("p", "log-3")
	for range 2 {
		w.chain.Commit()
	}
	w.settle("p", "log-1")
	for w.head() < 70 {
		w.chain.Commit()
	}
	w.settle("p", "log-2")
	for _, s := range w.seen() {
		if s.removed() && s.trigger != "log-3" {
			t.Errorf("%s was told of a block that went", s.trigger)
		}
	}
	w.unique()
}

// TestJoin has a trigger read what was before, and then read on with the others.
func TestJoin(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.transfer(alice, int64(i))
		w.chain.Commit()
	}
	for range maxDepth {
		w.chain.Commit()
	}
	w.open()
	w.set("p", everyTransfer)
	w.settle("p", "log-1")
	late := everyTransfer
	late.Address = nil
	w.set("q", late)
	w.settle("q", "log-1")
	w.transfer(bob, 1)
	w.chain.Commit()
	w.settle("p", "log-1")
	w.settle("q", "log-1")
	w.eventually("one cursor", func() bool {
		w.trigger.mu.Lock()
		defer w.trigger.mu.Unlock()
		return len(w.trigger.followers["ETH"].cursors) == 1
	})
	w.unique()
}

// TestCrowdedBlock has a block with 10,000 logs.
func TestCrowdedBlock(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.set("p", everyTransfer)
	for range 2 {
		w.send(&devchain.TokenAddress, nil, devchain.BurstData(alice, 5000))
	}
	w.chain.Commit()
	if n := len(w.logs()); n != 10_000 {
		t.Fatalf("%d logs", n)
	}
	w.settle("p", "log-1")
	if err := w.chain.Fork(w.genesis()); err != nil {
		t.Fatal(err)
	}
	w.chain.Commit()
	w.chain.Commit()
	w.settle("p", "log-1")
	w.unique()
}

func (w *world) genesis() common.Hash {
	var h header
	if err := w.client.Call(&h, "eth_getBlockByNumber", "0x0", false); err != nil {
		w.t.Fatal(err)
	}
	return h.Hash
}

// TestQuota has one program that takes no more events, while others' go on.
func TestQuota(t *testing.T) {
	w := newWorld(t)
	w.limits.Events = 10
	w.hold = true
	w.limits.Policy = func(program string) queue.Policy {
		if program == "calm" {
			return queue.Policy{}
		}
		return queue.Policy{MaxAttempts: 1000, Backoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond}
	}
	w.open()
	w.set("busy", everyTransfer)
	calm := everyTransfer
	calm.Args = map[string]any{"to": bob.Hex()}
	w.set("calm", calm)
	for i := range 30 {
		w.transfer(alice, int64(i))
		w.chain.Commit()
	}
	w.eventually("it waits", func() bool { return w.trigger.List("busy")[0].State == "waiting" })
	w.transfer(bob, 77)
	w.chain.Commit()
	head := w.head()
	w.eventually("the others are there", func() bool { return w.trigger.List("calm")[0].Position == head })
	if l := w.trigger.List("busy")[0]; !strings.Contains(l.Error, "quota") || l.Lag == 0 {
		t.Errorf("%+v", l)
	}
	w.mu.Lock()
	w.hold = false
	w.mu.Unlock()
	w.settle("busy", "log-1")
	w.eventually("the other's event", func() bool { return w.net("calm", "log-1", map[string]int{"calm log-1 " + w.lastID(): 1}) })
	w.unique()
}

func (w *world) lastID() string {
	logs := w.logs()
	l := logs[len(logs)-1]
	return fmt.Sprintf("1337:%s:%s:%d", l.BlockHash, l.TxHash, uint64(l.Index))
}

// TestWebSocket has a provider wake the trigger, which would not look again by itself.
func TestWebSocket(t *testing.T) {
	w := newWorld(t)
	w.config.URLs = []string{w.chain.WebSocketURL()}
	w.config.Poll = time.Hour
	w.open()
	w.set("p", everyTransfer)
	for i := range 3 {
		w.eventually("it has looked", func() bool { s := w.trigger.List("p")[0]; return s.Position == uint64(i) && w.subscribed() })
		w.transfer(alice, int64(i))
		w.chain.Commit()
		w.settle("p", "log-1")
	}
	w.unique()
}

// subscribed tells whether the subscription is there.
func (w *world) subscribed() bool { return w.trigger.followers["ETH"].subscribed.Load() > 0 }

// TestNewChain has a development chain begin anew.
func TestNewChain(t *testing.T) {
	w := newWorld(t)
	provider := newLiar(t, w.chain.URL(), nil)
	w.config.URLs = []string{provider.server.URL}
	w.open()
	w.set("p", everyTransfer)
	for range 3 {
		w.transfer(alice, 1)
		w.chain.Commit()
	}
	w.settle("p", "log-1")
	before := len(w.seen())

	other := newWorld(t)
	other.transfer(bob, 2)
	other.chain.Commit()
	provider.set(func(c *call) { c.status = 503 })
	w.eventually("it fails", func() bool { return w.trigger.List("p")[0].State == "failed" })
	provider.mu.Lock()
	provider.behind, provider.spoil = other.chain.URL(), nil
	provider.mu.Unlock()
	w.eventually("the new chain's event", func() bool { return len(w.seen()) == before+1 })
	other.transfer(bob, 3)
	other.chain.Commit()
	w.eventually("the new chain's next event", func() bool { return len(w.seen()) == before+2 })
	w.unique()
}
