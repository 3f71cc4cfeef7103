package node

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestMixedLoad serves good programs together with ones that throw, loop and want too much memory, and clients that go away.
// No good call fails, and in the end the node holds what it held before.
func TestMixedLoad(t *testing.T) {
	length := 5 * time.Second
	if long() {
		length = time.Minute
	} else if testing.Short() {
		length = 2 * time.Second
	}
	w := newWorld(t, Config{Instances: 128})
	good := w.js("good", neighbourSource)
	counter := w.js("counter", `export default async (req, { aleph }) => String(await aleph.store.increment('n'));`)
	module := w.deploy(deployment{name: "module", runtime: "wasm", source: `(module
		(import "aleph_v1" "respond" (func $respond (param i32 i32)))
		(memory (export "memory") 1) (data (i32.const 0) "alv1\14\00\00\00\02\00\00\00ok")
		(func (export "aleph_handle") (param i32) (i32.store (i32.const 60000) (i32.const 1)) (call $respond (i32.const 0) (i32.const 14))))`})
	waiting := w.js("waiting", sleeper)
	throwing := w.js("throwing", `export default () => { throw new Error('always'); }`)
	looping := w.deploy(deployment{name: "looping", timeout: 1, source: `export default () => { for (;;); }`})
	hungry := w.js("hungry", `export default () => { const kept = []; for (;;) kept.push(new Uint8Array(1 << 20).fill(1)); }`)
	overflowing := w.js("overflowing", `const f = () => f() + 1; export default () => f();`)
	chatty := w.js("chatty", `export default () => { for (let i = 0; i < 1000; i++) console.log('line ' + i); return 'said'; }`)
	hanging := w.deploy(deployment{name: "hanging", timeout: 30, source: `export default () => new Promise((done) => setTimeout(done, 29000))`})

	type kind struct {
		program
		path    string
		status  int
		body    string // empty: any
		clients int
	}
	kinds := []kind{
		{good, "?n=1", 200, "good 1", 2}, {counter, "", 200, "", 2}, {module, "", 200, "ok", 2}, {waiting, "?ms=20", 200, "slept", 2},
		{throwing, "", 500, "", 1}, {looping, "", 504, "", 2}, {hungry, "", 500, "", 1}, {overflowing, "", 500, "", 1}, {chatty, "", 200, "said", 1},
	}
	for _, k := range kinds { // all have been used before the node's state is looked at
		if a := k.get(k.path); a.status != k.status {
			t.Fatalf("%s: %v", k.name, a)
		}
	}
	idle := w.idle()

	stop := time.Now().Add(length)
	var clients sync.WaitGroup
	var calls [16]atomic.Int64
	for at, k := range kinds {
		for range k.clients {
			clients.Go(func() {
				for time.Now().Before(stop) {
					a, err := k.request("GET", k.url(k.path), nil)
					if err != nil || a.status != k.status || k.body != "" && a.body != k.body {
						t.Errorf("%s: %v, %v", k.name, a, err)
						return
					}
					calls[at].Add(1)
				}
			})
		}
	}
	clients.Go(func() { // one that is gone before its answer
		for time.Now().Before(stop) {
			conn := w.dial()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", hanging.url(""))
			time.Sleep(60 * time.Millisecond)
			conn.Close()
		}
	})
	clients.Wait()
	for at, k := range kinds {
		if n := calls[at].Load(); n == 0 {
			t.Errorf("%s was never answered", k.name)
		} else {
			t.Logf("%s: %d calls", k.name, n)
		}
	}
	var last map[string]int64
	w.await("the node to hold what it held before", func() bool {
		last = w.idle()
		for name, n := range idle {
			if last[name] > n {
				return false
			}
		}
		return true
	}, func() string { return fmt.Sprintf("before %v\nafter  %v", idle, last) })
}

// idle is what a node holds when nothing is under way, without connections.
func (w *world) idle() map[string]int64 {
	w.leave()
	counters := w.counters()
	idle := map[string]int64{"goroutines": goroutines(w)}
	for _, name := range []string{"descriptors", "instances_in_use", "invocations", "guests_running", "operations_waiting"} {
		idle[name] = counters[name]
	}
	return idle
}

// goroutines counts those of this process, without the server's idle workers, which go after a time.
func goroutines(t testing.TB) (n int64) {
	t.Helper()
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if !strings.Contains(stack, "fasthttp.(*workerPool).workerFunc") {
			n++
		}
	}
	return n
}

// TestManyWaiting has a hundred guests wait at once: they need no thread each, and one write wakes them all.
func TestManyWaiting(t *testing.T) {
	w := newWorld(t, Config{Instances: 256})
	p := w.deploy(deployment{name: "waiting", timeout: 60, source: `export default async (req, { aleph: { store } }) =>
		req.path === '/go' ? (await store.set('go', 1), 'gone') : (await store.watch('go')).key`})
	p.want("/go", 200, "gone")
	before := w.counters()["threads"]
	answers := make(chan error, 100)
	for range cap(answers) {
		go func() {
			a, err := p.request("GET", p.url(""), nil)
			if err == nil && (a.status != 200 || a.body != "go") {
				err = fmt.Errorf("got %v", a)
			}
			answers <- err
		}()
	}
	w.counting("operations_waiting", int64(cap(answers)))
	if threads := w.counters()["threads"]; threads > before+20 {
		t.Errorf("%d threads, %d before", threads, before)
	}
	p.want("/go", 200, "gone")
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	w.counting("operations_waiting", 0)
	w.counting("instances_in_use", 0)
}
