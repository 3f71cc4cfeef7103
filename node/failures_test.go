package node

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/programs"
)

// longTests is the variable that makes the tests of time take the time that users may: 59 s programs, a minute of load.
const longTests = "ALEPH_LONG_TESTS"

func long() bool { return os.Getenv(longTests) != "" }

// TestFailures has programs fail in every way that there is, while a neighbour is served.
func TestFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	neighbour := w.js("neighbour", neighbourSource)
	for _, test := range []struct {
		name, source string
		timeout      int // seconds; the default is 10
		status       int
		code         string
		message      string   // in the error's message
		logged       []string // in the program's log
	}{
		{"endless loop", `export default () => { for (;;); }`, 1, 504, "timeout", "timeout: 1 s", []string{"stopped: "}},
		{"endless microtasks", `export default async () => { for (;;) await null; }`, 1, 504, "timeout", "timeout: 1 s", []string{"stopped: "}},
		{"endless timers", `export default () => new Promise(() => { const again = () => setTimeout(again, 1); again(); })`, 1, 504, "timeout", "timeout: 1 s", []string{"stopped: "}},
		{"endless store", `export default async (req, { aleph }) => { for (;;) await aleph.store.get('k'); }`, 1, 504, "timeout", "timeout: 1 s", []string{"stopped: "}},
		{"a promise that never settles", `export default () => new Promise(() => {})`, 1, 504, "timeout", "timeout: 1 s", nil},
		{"a wait without an end", `export default (req, { aleph }) => aleph.store.watch('nothing')`, 1, 504, "timeout", "timeout: 1 s", []string{"stopped: "}},
		{"memory, bytes", `export default () => { const kept = []; for (;;) kept.push(new Uint8Array(1 << 20).fill(1)); }`, 0, 500, "memory_limit", "memory_limit: 128 MiB", nil},
		{"memory, objects", `export default () => { const kept = []; for (;;) kept.push({ a: [1] }); }`, 0, 500, "memory_limit", "memory_limit: 128 MiB", nil},
		{"memory, text", `export default () => { let s = 'x'; for (;;) s = (s + s).split('').join(''); }`, 0, 500, "memory_limit", "memory_limit: 128 MiB", nil},
		{"throw", "export default function handler() {\n  const secret = 'a secret';\n  throw new Error(secret);\n}", 0, 500, "exception", "the program failed",
			[]string{"Error: a secret", "handler (function.js:3:"}},
		{"reject", "export default async function handler() {\n  await null;\n  throw new TypeError('later');\n}", 0, 500, "exception", "the program failed",
			[]string{"TypeError: later", "function.js:3:"}},
		{"throw text", `export default () => { throw 'just text'; }`, 0, 500, "exception", "the program failed", []string{"just text"}},
		{"throw nothing", `export default () => { throw undefined; }`, 0, 500, "exception", "the program failed", []string{"undefined"}},
		{"throw from a timer", `export default () => new Promise(() => setTimeout(() => { throw new Error('beside'); }, 1))`, 1, 0, "", "", []string{"Error: beside"}},
		{"deep recursion", "function deeper(n) { return deeper(n + 1) + 1; }\nexport default () => deeper(0)", 0, 500, "exception", "the program failed",
			[]string{"RangeError: Maximum call stack size exceeded", "deeper (function.js:1:"}},
		{"deep data", `export default () => JSON.parse('['.repeat(1e6) + ']'.repeat(1e6)).length`, 0, 500, "", "", nil},
		{"deep pattern", `export default () => /(a+)+$/.test('a'.repeat(64) + 'b')`, 1, 504, "timeout", "timeout: 1 s", nil},
		{"a reply with a cycle", `export default () => { const a = {}; a.a = a; return a; }`, 0, 502, "invalid_reply", "", []string{"circular"}},
		{"a reply that is a function", `export default () => () => 1`, 0, 502, "invalid_reply", "", []string{"function"}},
		{"a reply that is a symbol", `export default () => Symbol('s')`, 0, 502, "invalid_reply", "", []string{"symbol"}},
		{"a reply that is a BigInt", `export default () => 1n`, 0, 502, "invalid_reply", "", []string{"BigInt"}},
		{"a reply that throws", `export default () => ({ toJSON() { throw new Error('not me'); } })`, 0, 502, "invalid_reply", "", []string{"not me"}},
		{"a reply with a bad status", `export default () => ({ status: 99, headers: {}, body: '' })`, 0, 502, "invalid_reply", "", []string{"99"}},
		{"a reply with bad headers", `export default () => ({ status: 200, headers: { 'x y': 'z' }, body: '' })`, 0, 502, "invalid_reply", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := w.site
			s.TB = t
			p := s.deploy(deployment{name: test.name, source: test.source, timeout: test.timeout})
			p.site = &s
			beside := program{&s, neighbour.id, "", nil, "neighbour"}.neighbour()
			defer beside.check()
			a := p.get("")
			if a.header.Get("Aleph-Request-Id") == "" || a.header.Get("Aleph-Program-ItemHash") != p.id || a.header.Get("Aleph-Program-Code-Ref") != p.store {
				t.Errorf("the headers are %v", a.header)
			}
			if test.status == 0 { // how it ends is not said, but it does, and the log tells
				p.logged(test.logged...)
				return
			}
			f := a.fault(t)
			if a.status != test.status || test.code != "" && f.Code != test.code || !strings.Contains(f.Message, test.message) {
				t.Errorf("got %v, want %d %s %q", a, test.status, test.code, test.message)
			}
			if f.RequestID == "" || f.RequestID != a.header.Get("Aleph-Request-Id") {
				t.Errorf("the request's id is %q in the body and %q in the header", f.RequestID, a.header.Get("Aleph-Request-Id"))
			}
			for _, inside := range []string{"function.js", "secret", "later", "runtime/", ".go:"} {
				if strings.Contains(a.body, inside) {
					t.Errorf("the body tells %q: %s", inside, a.body)
				}
			}
			if len(test.logged) > 0 {
				p.logged(append(test.logged, f.RequestID)...)
			}
		})
	}
	w.counting("invocations", 0)
	w.counting("instances_in_use", 0)
	w.counting("operations_waiting", 0)
}

// TestModuleFailures has compiled guests fail.
func TestModuleFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	neighbour := w.js("neighbour", neighbourSource)
	const imports = `(import "aleph_v1" "respond" (func $respond (param i32 i32))) (import "aleph_v1" "op_wait" (func $wait (param i32) (result i64)))
		(import "aleph_v1" "event_read" (func $event (param i32 i32 i32) (result i32)))`
	for _, test := range []struct {
		name, body string
		status     int
		code       string
		logged     string
	}{
		{"unreachable", `unreachable`, 500, "trap", "unreachable"},
		{"division by zero", `(drop (i32.div_u (i32.const 1) (i32.const 0)))`, 500, "trap", "divide by zero"},
		{"out of bounds", `(i32.store (i32.const 65536) (i32.const 1))`, 500, "trap", "out of bounds"},
		{"far out of bounds", `(i32.store offset=4294967295 (i32.const -1) (i32.const 1))`, 500, "trap", "out of bounds"},
		{"recursion", `(call $handle (i32.const 0))`, 500, "stack_overflow", "call stack exhausted"},
		{"loop", `(loop $l (br $l))`, 504, "timeout", "stopped: "},
		{"no reply", ``, 502, "no_reply", ""},
		{"a reply that is no frame", `(call $respond (i32.const 0) (i32.const 16))`, 502, "invalid_reply", "invalid reply"},
		{"a reply out of bounds", `(call $respond (i32.const 65535) (i32.const 2))`, 500, "trap", "abi: "},
		{"an event out of bounds", `(drop (call $event (i32.const 65530) (i32.const 0) (i32.const 100)))`, 500, "trap", "abi: "},
		{"an unknown ticket", `(drop (call $wait (i32.const 7)))`, 500, "trap", "abi: "},
		{"a wait for nothing", `(drop (call $wait (i32.const 0)))`, 504, "timeout", ""},
		{"memory", `(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable`, 500, "memory_limit", "unreachable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := w.site
			s.TB = t
			p := s.deploy(deployment{name: test.name, runtime: "wasm", timeout: 1,
				source: `(module ` + imports + ` (memory (export "memory") 1) (func $handle (export "aleph_handle") (param i32) ` + test.body + `))`})
			beside := program{&s, neighbour.id, "", nil, "neighbour"}.neighbour()
			defer beside.check()
			a := p.get("")
			f := a.fault(t)
			if a.status != test.status || f.Code != test.code {
				t.Errorf("got %v, want %d %s", a, test.status, test.code)
			}
			if test.code == "memory_limit" && !strings.Contains(f.Message, "memory_limit: 128 MiB") {
				t.Errorf("got %v", a)
			}
			if test.logged != "" {
				p.logged(test.logged, f.RequestID)
			}
		})
	}
}

// TestLogLimit has a program log 100,000 lines: the answer comes, the log is cut and says so.
func TestLogLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	beside := w.js("neighbour", neighbourSource).neighbour()
	defer beside.check()
	p := w.js("chatty", `export default () => { for (let i = 0; i < 100000; i++) console.log('line ' + i + ' ' + 'x'.repeat(40)); return 'done'; }`)
	a := p.get("")
	if a.status != 200 || a.body != "done" {
		t.Fatal(a)
	}
	said := fmt.Sprintf("log limit: %d bytes for a request", programs.RunLog)
	p.logged(said, a.header.Get("Aleph-Request-Id"))
	log := p.logs()
	if n := strings.Count(log, "\n"); n < 1000 || n > 50_000 || strings.Contains(log, "line 99999 ") {
		t.Errorf("the log has %d lines", n)
	}
	if strings.Count(log, said) != 1 {
		t.Error("the cap is not said once")
	}
	p.want("", 200, "done") // the cap is a request's, not the program's
}

// TestAddresses calls what is not there.
func TestAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("gone", neighbourSource)
	unknown := strings.Repeat("0", 64)
	for _, id := range []string{unknown, "x", "", strings.ToUpper(p.id), p.id[:63], p.id + "0"} {
		for _, path := range []string{"/api/v0/run/" + id, "/vm/" + id + "/"} {
			if a := w.do("GET", path, ""); a.status != 404 || a.fault(t).Code != "program_not_found" {
				t.Errorf("%s: got %v", path, a)
			}
		}
	}
	p.forget()
	for _, path := range []string{p.url(""), "/vm/" + p.id + "/x", "/api/v0/programs/" + p.id} {
		if a := w.do("GET", path, ""); a.status != 410 || a.fault(t).Code != "program_forgotten" {
			t.Errorf("%s: got %v", path, a)
		}
	}
}

const sleeper = `export default async (req) => { await new Promise((done) => setTimeout(done, Number(req.query.ms))); return 'slept'; }`

// TestNoFreeInstance floods a node that has four instances with one program. Some requests get 503, others are served, and so
// is every other program, also while the flooding one is updated again and again.
func TestNoFreeInstance(t *testing.T) {
	t.Parallel()
	for name, updates := range map[string]int{"flood": 0, "flood with updates": 5} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Config{Instances: 4})
			good := w.js("neighbour", neighbourSource)
			hog := w.js("hog", sleeper)
			beside := good.neighbour()
			answers := make(chan answer, 100)
			flood := func() {
				for range 8 {
					go func() {
						a, err := hog.request("GET", hog.url("?ms=2000"), nil)
						if err != nil {
							a.body = err.Error()
						}
						answers <- a
					}()
				}
			}
			flood()
			for i := range updates {
				w.await("the flood", func() bool { return w.counters()["instances_in_use"] >= 3 })
				if err := hog.update(sleeper + "//" + strings.Repeat(" ", i)); err != nil {
					t.Errorf("update %d: %v", i+1, err)
				}
				flood()
			}
			served, refused := 0, 0
			for range 8 * (1 + updates) {
				switch a := <-answers; {
				case a.status == 200 && a.body == "slept":
					served++
				case a.status == 503 && a.header.Get("Retry-After") != "" && a.fault(t).Code == "no_capacity":
					refused++
				default:
					t.Errorf("got %v, %v", a, a.header)
				}
			}
			if served == 0 || refused == 0 || served > 3*(1+updates) {
				t.Errorf("%d served, %d refused", served, refused)
			}
			beside.check()
			w.counting("instances_in_use", 0)
			hog.want("?ms=1", 200, "slept")
		})
	}
}

// TestMorePrograms deploys and calls more programs than there are instances.
func TestMorePrograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Instances: 4})
	var all []program
	for i := range 10 {
		p := w.js(fmt.Sprintf("p%d", i), fmt.Sprintf(`export default () => 'I am %d'`, i))
		all = append(all, p)
		p.want("", 200, fmt.Sprintf("I am %d", i))
	}
	for i, p := range all {
		p.want("", 200, fmt.Sprintf("I am %d", i))
	}
}

// TestLimitsReached runs programs that use all they may: a memory of 1024 MiB, and most of their time, computing and waiting.
func TestLimitsReached(t *testing.T) {
	if testing.Short() {
		t.Skip("takes time")
	}
	w := newWorld(t, Config{Memory: 2 << 30})
	good := w.js("neighbour", neighbourSource)
	t.Run("1024 MiB", func(t *testing.T) {
		s := w.site
		s.TB = t
		beside := program{&s, good.id, "", nil, "neighbour"}.neighbour()
		defer beside.check()
		module := s.deploy(deployment{name: "all", runtime: "wasm", memory: 1024, timeout: 60, source: `(module
			(import "aleph_v1" "respond" (func $respond (param i32 i32)))
			(memory (export "memory") 1) (data (i32.const 0) "alv1\14\00\00\00\02\00\00\00ok")
			(func (export "aleph_handle") (param i32) (local $at i32)
				(if (i32.eq (memory.grow (i32.const 16383)) (i32.const -1)) (then unreachable))
				(local.set $at (i32.const 1073737728))
				(loop $l
					(i32.store (local.get $at) (local.get $at))
					(br_if $l (i32.gt_u (local.tee $at (i32.sub (local.get $at) (i32.const 4096))) (i32.const 0))))
				(local.set $at (i32.const 1073737728))
				(loop $l
					(if (i32.ne (i32.load (local.get $at)) (local.get $at)) (then unreachable))
					(br_if $l (i32.gt_u (local.tee $at (i32.sub (local.get $at) (i32.const 4096))) (i32.const 0))))
				(if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
				(call $respond (i32.const 0) (i32.const 14))))`})
		for range 2 { // again in memory that is new
			module.want("", 200, "ok")
		}
		script := s.deploy(deployment{name: "most", memory: 1024, timeout: 60, source: `export default () => {
			const parts = [];
			for (let i = 0; i < 1000; i++) parts.push(new Uint8Array(1 << 20).fill(i));
			return String(parts.every((p, i) => p[0] === i % 256 && p[p.length - 1] === i % 256));
		}`})
		script.want("", 200, "true")
	})
	timeout, used := 3, 2
	if long() {
		timeout, used = 60, 59
	}
	for name, source := range map[string]string{
		"waiting":   sleeper,
		"computing": `export default (req) => { const end = Date.now() + Number(req.query.ms); while (Date.now() < end); return 'slept'; }`,
	} {
		t.Run(name, func(t *testing.T) {
			s := w.site
			s.TB = t
			beside := program{&s, good.id, "", nil, "neighbour"}.neighbour()
			defer beside.check()
			p := s.deploy(deployment{name: name, source: source, timeout: timeout})
			p.want(fmt.Sprintf("?ms=%d", used*1000), 200, "slept")
		})
	}
}

// TestClientGone closes connections while programs work for them: within 250 ms the guests are stopped.
func TestClientGone(t *testing.T) {
	w := newWorld(t, Config{})
	good := w.js("neighbour", neighbourSource)
	for name, source := range map[string]string{
		"waiting":             `export default () => new Promise((done) => setTimeout(done, 30000))`,
		"computing":           `export default () => { for (;;); }`,
		"computing, then not": `export default async () => { for (;;) { const end = Date.now() + 20; while (Date.now() < end); await new Promise((f) => setTimeout(f, 5)); } }`,
		"watching":            `export default (req, { aleph }) => aleph.store.watch('')`,
	} {
		t.Run(name, func(t *testing.T) {
			s := w.site
			s.TB = t
			beside := program{&s, good.id, "", nil, "neighbour"}.neighbour()
			p := s.deploy(deployment{name: name, source: source, timeout: 30})
			best := time.Hour
			for try := 0; try < 5 && best >= 250*time.Millisecond; try++ {
				conn := s.dial()
				fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", p.url(""))
				time.Sleep(120 * time.Millisecond)
				s.await("the call", func() bool { return p.inFlight(w) == 1 })
				conn.Close()
				closed := time.Now()
				s.await("the guest to be stopped", func() bool { return p.inFlight(w) == 0 })
				best = min(best, time.Since(closed))
			}
			if best >= 250*time.Millisecond {
				t.Errorf("the guest was stopped after %v", best)
			}
			beside.check()
			p.await("the record", func() bool { return p.usage(0).Errors > 0 })
			if u := p.usage(1); !strings.Contains(string(u.Records[0]), `"error_class":"client_gone"`) {
				t.Errorf("the record is %s", u.Records[0])
			}
		})
	}
	w.counting("invocations", 0)
	w.counting("instances_in_use", 0)
	w.counting("operations_waiting", 0)
}

// inFlight is how many instances of the program work.
func (p program) inFlight(w *world) int {
	serving, err := w.node.registry.Lookup(p.id).Serving(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return serving.Guest.InUse()
}

// TestClientStays keeps connections open in ways that are not leaving: a request that comes early, silence.
func TestClientStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("sleeper", sleeper)
	conn := w.dial()
	for range 2 {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", p.url("?ms=300"))
	}
	reader := bufio.NewReader(conn)
	for range 2 {
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || string(body) != "slept" {
			t.Errorf("%d %s %v", resp.StatusCode, body, err)
		}
	}
}
