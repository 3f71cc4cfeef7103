package chain

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/internal/devchain"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A liar is a provider that hands calls on to a real one, and spoils them.
type liar struct {
	server *httptest.Server
	behind string

	mu    sync.Mutex
	spoil func(c *call)
	calls map[string]int
}

// A call is one of JSON-RPC, with the real answer.
type call struct {
	Method string            `json:"method"`
	ID     json.RawMessage   `json:"id"`
	Params []json.RawMessage `json:"params"`

	result json.RawMessage
	status int
	err    string
	code   int
}

func newLiar(t testing.TB, behind string, spoil func(*call)) *liar {
	l := &liar{behind: behind, spoil: spoil, calls: map[string]int{}}
	l.server = httptest.NewServer(l)
	t.Cleanup(l.server.Close)
	return l
}

func (l *liar) set(spoil func(*call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spoil = spoil
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c := &call{status: 200, code: -32000}
	if err != nil || json.Unmarshal(body, c) != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	behind := l.behind
	l.mu.Unlock()
	answer, err := http.Post(behind, "application/json", bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	var real struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&real); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if c.result = real.Result; real.Error != nil {
		c.err = real.Error.Message
	}
	l.mu.Lock()
	l.calls[c.Method]++
	spoil := l.spoil
	if spoil != nil {
		spoil(c)
	}
	l.mu.Unlock()
	if c.status != 200 {
		http.Error(w, "spoilt", c.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if c.err != "" {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%q}}`, c.ID, c.code, c.err)
		return
	}
	if len(c.result) == 0 {
		c.result = json.RawMessage("null")
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, c.ID, c.result)
}

// edit changes an answer that is an object.
func (c *call) edit(change func(map[string]any)) {
	var of map[string]any
	if json.Unmarshal(c.result, &of) == nil && of != nil {
		change(of)
		c.result, _ = json.Marshal(of)
	}
}

// halve leaves out the second half of an answer that is a list.
func (c *call) halve() {
	var list []json.RawMessage
	if json.Unmarshal(c.result, &list) == nil {
		c.result, _ = json.Marshal(list[:len(list)/2])
	}
}

// span is how many blocks a call of eth_getLogs asks for; 0 if it is for one by its hash.
func (c *call) span() uint64 {
	var q struct{ FromBlock, ToBlock hexutil.Uint64 }
	if len(c.Params) == 0 || json.Unmarshal(c.Params[0], &q) != nil || c.Method != "eth_getLogs" || strings.Contains(string(c.Params[0]), "blockHash") {
		return 0
	}
	return uint64(q.ToBlock-q.FromBlock) + 1
}

func (c *call) tag(tag string) bool {
	return c.Method == "eth_getBlockByNumber" && len(c.Params) > 0 && string(c.Params[0]) == strconv.Quote(tag)
}

// spoilers are what hostile providers do. Each is tried alone on a chain that is read from its first block and at its end.
var spoilers = []struct {
	name     string
	alone    bool // it must be got along with though there is no other
	thorough bool // it is found out for certain only so
	spoil    func(*call)
}{
	{"drops connections", true, false, func(c *call) {
		if rand.IntN(4) == 0 {
			c.status = 502
		}
	}},
	{"is asked too often", true, false, func(c *call) {
		if rand.IntN(4) == 0 {
			c.status = 429
		}
	}},
	{"limits ranges", true, false, func(c *call) {
		if c.span() > 5 {
			c.err, c.code = "block range is too wide", -32005
		}
	}},
	{"limits results", true, false, func(c *call) {
		var logs []json.RawMessage
		if json.Unmarshal(c.result, &logs) == nil && c.span() > 1 && len(logs) > 10 {
			c.err = "query returned more than 10 results"
		}
	}},
	{"says something else of ranges", true, false, func(c *call) {
		if c.span() > 7 {
			c.err = "try again"
		}
	}},
	{"answers with null", true, false, func(c *call) {
		if rand.IntN(4) == 0 {
			c.result = nil
		}
	}},
	{"answers with rubbish", true, false, func(c *call) {
		if rand.IntN(6) == 0 {
			c.result = json.RawMessage(`{"number":[1],"x":"0x"}`)
		}
	}},
	{"cuts logs off now and then", true, true, func(c *call) {
		if c.Method == "eth_getLogs" && rand.IntN(2) == 0 {
			c.halve()
		}
	}},
	{"cuts logs off", false, true, func(c *call) {
		if c.Method == "eth_getLogs" || c.Method == "eth_getBlockReceipts" {
			c.halve()
		}
	}},
	{"cuts logs off but not receipts, near the end", true, true, func(c *call) {
		if c.Method == "eth_getLogs" && c.span() == 0 {
			c.halve()
		}
	}},
	{"cuts off long answers", false, false, func(c *call) {
		var logs []json.RawMessage
		if c.Method == "eth_getLogs" && json.Unmarshal(c.result, &logs) == nil && len(logs) > 150 {
			c.result, _ = json.Marshal(logs[:150])
		}
	}},
	{"has no logs", false, true, func(c *call) {
		if c.Method == "eth_getLogs" || c.Method == "eth_getBlockReceipts" {
			c.result = json.RawMessage("[]")
		}
	}},
	{"is ahead of the chain", false, false, func(c *call) {
		if c.tag("latest") {
			c.edit(func(h map[string]any) { h["number"], h["hash"] = "0xffff", common.Hash{1}.Hex() })
		}
	}},
	{"goes backwards", true, false, func(c *call) {
		if c.tag("latest") && rand.IntN(2) == 0 {
			c.edit(func(h map[string]any) { h["number"] = "0x1" })
		}
	}},
	{"stands still", false, false, func(c *call) {
		if c.tag("latest") {
			c.edit(func(h map[string]any) { h["number"] = "0x1" })
			c.result = nil
		}
	}},
	{"is of another chain", false, false, func(c *call) {
		if c.Method == "eth_chainId" {
			c.result = json.RawMessage(`"0x5"`)
		}
	}},
	{"gives other blocks' logs", false, false, func(c *call) {
		if c.Method == "eth_getLogs" {
			c.result = bytes.ReplaceAll(c.result, []byte(`"blockHash":"0x`), []byte(`"blockHash":"0xff`))
		}
	}},
	{"knows no finalized block", true, false, func(c *call) {
		if c.tag("finalized") {
			c.err, c.result = "finalized block not found", nil
		}
	}},
	{"leaves out timestamps", true, false, func(c *call) {
		c.result = bytes.ReplaceAll(c.result, []byte(`"blockTimestamp"`), []byte(`"else"`))
	}},
}

// anyone is another address each time. Logs whose topics are all in others leave no trace in a bloom.
func anyone() (a common.Address) {
	binary.BigEndian.PutUint64(a[4:], rand.Uint64())
	return a
}

func TestHostileProviders(t *testing.T) {
	for _, s := range spoilers {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t)
			for i := range 20 { // some with many logs, some with none
				for range i % 4 * 5 {
					w.transfer(anyone(), 1)
				}
				if i%7 == 0 && !s.thorough {
					w.send(&devchain.TokenAddress, nil, devchain.BurstData(anyone(), 80))
				}
				w.chain.Commit()
			}
			for range maxDepth {
				w.chain.Commit()
			}
			first := newLiar(t, w.chain.URL(), s.spoil)
			w.config.URLs = []string{first.server.URL + "/v3/0123456789abcdef0123456789abcdef"}
			if !s.alone {
				w.config.URLs = append(w.config.URLs, w.chain.URL())
			}
			if s.name == "is of another chain" {
				slices.Reverse(w.config.URLs)
			}
			w.config.Thorough = s.thorough
			w.open()
			w.set("p", everyTransfer)
			w.settle("p", "log-1")
			for i := range 5 {
				for j := range 4 {
					w.transfer(anyone(), int64(10*i+j))
				}
				w.chain.Commit()
			}
			w.settle("p", "log-1")
			w.unique()
			for _, s := range w.trigger.List("p") {
				if strings.Contains(s.Error, "0123456789abcdef") {
					t.Errorf("the key is shown: %s", s.Error)
				}
			}
		})
	}
}

// TestFailover takes the provider away, and then the other one.
func TestFailover(t *testing.T) {
	w := newWorld(t)
	dead := func(c *call) { c.status = 500 }
	one, two := newLiar(t, w.chain.URL(), nil), newLiar(t, w.chain.URL(), nil)
	w.config.URLs = []string{one.server.URL, two.server.URL}
	w.open()
	w.set("p", everyTransfer)
	for i, spoil := range [][2]func(*call){{nil, nil}, {dead, nil}, {nil, dead}, {dead, dead}, {nil, nil}} {
		one.set(spoil[0])
		two.set(spoil[1])
		w.transfer(bob, int64(i))
		w.chain.Commit()
		if spoil[0] != nil && spoil[1] != nil {
			w.eventually("it is seen", func() bool { return w.trigger.List("p")[0].State == "failed" })
			continue
		}
		w.settle("p", "log-1")
	}
	w.eventually("it is well", func() bool { return w.trigger.List("p")[0].State == "active" })
	w.unique()
}

// TestRandom makes reorganisations, restarts and faults in random order, and compares with the chain.
func TestRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	noFinal := func(c *call) { // the simulated beacon replaces what it called final
		if c.tag("finalized") || c.tag("safe") {
			c.result = nil
		}
	}
	moody := func(c *call) {
		noFinal(c)
		if rand.IntN(10) == 0 {
			spoilers[rand.IntN(len(spoilers))].spoil(c)
		}
	}
	provider := newLiar(t, w.chain.URL(), noFinal)
	w.config.URLs = []string{provider.server.URL, w.chain.URL()}
	second := newLiar(t, w.chain.URL(), noFinal)
	w.config.URLs[1] = second.server.URL
	w.open()
	later := everyTransfer
	later.Confirmations = triggers.Confirmations{Blocks: 3, Set: true}
	declare := func() {
		w.set("p", everyTransfer, later)
		w.set("q", everyTransfer, triggers.Chain{Name: "block", Block: 1, From: number(1)})
	}
	declare()
	hashes := []common.Hash{w.genesis()}
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for range rounds {
		switch n := r.IntN(12); {
		case n < 6: // blocks
			for range 1 + r.IntN(4) {
				for i := range r.IntN(4) {
					w.transfer(anyone(), int64(i))
				}
				hashes = append(hashes, w.chain.Commit())
			}
		case n < 9: // another branch, or back to one that was left
			if err := w.chain.Fork(hashes[max(0, len(hashes)-1-r.IntN(12))]); err != nil {
				t.Fatal(err)
			}
			if r.IntN(2) == 0 {
				hashes = append(hashes, w.chain.Commit())
			}
		case n < 10:
			provider.set(moody)
		case n < 11:
			provider.set(noFinal)
		default:
			w.close()
			if r.IntN(2) == 0 {
				hashes = append(hashes, w.chain.Commit())
			}
			w.open()
			declare()
		}
		time.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
	}
	provider.set(noFinal)
	for range 16 { // longer than any branch, and past the confirmations
		w.chain.Commit()
	}
	w.settle("p", "log-1")
	w.settle("q", "log-1")
	w.settle("p", "log-2")
	want := map[string]int{}
	for n := range w.head() + 1 {
		var h header
		if err := w.client.Call(&h, "eth_getBlockByNumber", hexutil.Uint64(n), false); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			want["q block 1337:"+h.Hash.Hex()] = 1
		}
	}
	w.eventually("the blocks", func() bool { return w.net("q", "block", want) })
	w.unique()
	removed := 0
	for _, s := range w.seen() {
		if s.removed() {
			removed++
		}
	}
	t.Logf("%d events, %d of them removed", len(w.seen()), removed)
}

// TestKinds has the numbers that records keep.
func TestKinds(t *testing.T) {
	if abi.KindLog != 4 || abi.KindBlock != 5 || abi.KindTransfer != 6 {
		t.Error("records of earlier versions have these")
	}
}
