package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
)

// TestRejections deploys what cannot start. The answer says why, and nothing is deployed.
func TestRejections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	beside := w.js("neighbour", neighbourSource).neighbour()
	defer beside.check()
	const handle = `(func (export "aleph_handle") (param i32))`
	for _, test := range []struct {
		name       string
		deployment deployment
		code       string
		texts      []string // in the error's message or hint
	}{
		{"syntax", deployment{source: "export default function(req) {\n  return {;\n}"}, "syntax_error", []string{"function.js:2:11"}},
		{"no default export", deployment{source: "export const x = 1;"}, "no_handler", []string{"default"}},
		{"default is no function", deployment{source: "export default 7;"}, "no_handler", nil},
		{"empty", deployment{source: " "}, "no_handler", nil},
		{"exception", deployment{source: "function early() {\n  throw new Error('not today');\n}\nearly();\nexport default () => 1;"}, "load_exception",
			[]string{"Error: not today", "early (function.js:2:", "function.js:4:"}},
		{"rejected promise", deployment{source: "await Promise.reject(new TypeError('no'));\nexport default () => 1;"}, "load_exception", []string{"TypeError: no"}},
		{"loop", deployment{source: "for (;;);\nexport default () => 1;"}, "load_limit", []string{"cpu_limit: 10s"}},
		{"memory", deployment{source: "const a = [];\nfor (;;) a.push(new Uint8Array(1 << 20).fill(1));\nexport default () => 1;", memory: 16}, "load_limit", []string{"memory_limit: 16 MiB", "larger --memory"}},
		{"runtime", deployment{source: "export default () => 1", runtime: "cobol"}, "unknown_runtime", []string{`"cobol"`, "nodejs16, nodejs18, nodejs20", "wasm"}},
		{"too much memory", deployment{source: "export default () => 1", memory: 1025}, "limit_exceeded", []string{"content.resources.memory", "1025", "1024"}},
		{"no memory", deployment{source: "export default () => 1", memory: -1}, "limit_exceeded", []string{"content.resources.memory"}},
		{"too little memory", deployment{source: "export default () => 1", memory: 1}, "load_limit", []string{"memory_limit: 1 MiB, a program in nodejs16 begins with ", "--memory above"}},
		{"too little memory for Python", deployment{source: "def handler(req):\n  return 1", runtime: "python3.11", memory: 16}, "load_limit",
			[]string{"memory_limit: 16 MiB, a program in python3.11 begins with ", "--memory above"}},
		{"too much time", deployment{source: "export default () => 1", timeout: 61}, "limit_exceeded", []string{"content.resources.seconds", "61", "60"}},
		{"no time", deployment{source: "export default () => 1", timeout: -1}, "limit_exceeded", []string{"content.resources.seconds"}},
		{"no module", deployment{runtime: "wasm", binary: []byte("#!/bin/sh\n")}, "invalid_module", []string{"WebAssembly"}},
		{"half a module", deployment{runtime: "wasm", binary: []byte("\x00asm\x01\x00\x00\x00\x01\x20\x01")}, "invalid_module", nil},
		{"a component", deployment{runtime: "wasm", binary: []byte("\x00asm\x0d\x00\x01\x00")}, "invalid_module", []string{"a component", "wasip1"}},
		{"too large", deployment{runtime: "wasm", binary: make([]byte, 64<<20+1)}, "unsupported_bundle", []string{"the limit is 64 MiB"}},
		{"nothing in it", deployment{runtime: "wasm", source: `(module)`}, "invalid_module", []string{"it has no memory"}},
		{"an unknown import", deployment{runtime: "wasm", source: `(module (import "env" "system" (func)) (memory (export "memory") 1) ` + handle + `)`}, "invalid_module", []string{"imports env::system", "linker"}},
		{"an unknown import of WASI", deployment{runtime: "wasm", source: `(module (import "wasi_unstable" "fd_close" (func (param i32) (result i32))) (memory (export "memory") 1) ` + handle + `)`}, "invalid_module", []string{"wasi_unstable::fd_close", "wasip1"}},
		{"built for a browser", deployment{runtime: "wasm", source: `(module (import "gojs" "runtime.wasmExit" (func (param i32))) (memory (export "memory") 1) ` + handle + `)`}, "invalid_module", []string{"gojs::runtime.wasmExit", "GOOS=wasip1"}},
		{"an imported memory", deployment{runtime: "wasm", source: `(module (import "env" "memory" (memory 1 2)) ` + handle + `)`}, "invalid_module", []string{"env.memory", "brings its own"}},
		{"threads", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1 2 shared) ` + handle + `)`}, "invalid_module", []string{"the module uses threads", "without threads"}},
		{"threads, imported", deployment{runtime: "wasm", source: `(module (import "env" "memory" (memory 1 2 shared)) ` + handle + `)`}, "invalid_module", []string{"the module uses threads", "wasm32-wasip1-threads"}},
		{"atomics", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1) (func (export "aleph_handle") (param i32) (drop (i32.atomic.load (local.get 0)))))`}, "invalid_module", []string{"the module uses threads"}},
		{"64-bit memory", deployment{runtime: "wasm", source: `(module (memory (export "memory") i64 1) ` + handle + `)`}, "invalid_module", []string{"the module uses 64-bit memory", "wasm32"}},
		{"several memories", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1) (memory 1) ` + handle + `)`}, "invalid_module", []string{"the module uses several memories"}},
		{"other pages", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1 (pagesize 1)) ` + handle + `)`}, "invalid_module", []string{"the module uses other page sizes"}},
		{"exceptions", deployment{runtime: "wasm", source: `(module (tag $e) (memory (export "memory") 1) (func (throw $e)) ` + handle + `)`}, "invalid_module", []string{"the module uses exceptions", "-fno-exceptions"}},
		{"garbage collection", deployment{runtime: "wasm", source: `(module (type $s (struct (field i32))) (memory (export "memory") 1) ` + handle + `)`}, "invalid_module", []string{"the module uses garbage collection"}},
		{"references", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1) (func (param externref)) ` + handle + `)`}, "invalid_module", []string{"the module uses garbage collection"}},
		{"wide arithmetic", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1) (func (param i64 i64 i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))) ` + handle + `)`}, "invalid_module", []string{"the module uses wide arithmetic"}},
		{"stack switching", deployment{runtime: "wasm", source: `(module (type $f (func)) (type $c (cont $f)) (memory (export "memory") 1) ` + handle + `)`}, "invalid_module", []string{"the module uses stack switching"}},
		{"a huge table", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1) (table 20000000 funcref) ` + handle + `)`}, "invalid_module", []string{"table", "limit"}},
		{"a memory of another name", deployment{runtime: "wasm", source: `(module (memory (export "mem") 1) ` + handle + `)`}, "invalid_module", []string{`"memory"`}},
		{"an import of another type", deployment{runtime: "wasm", source: `(module (import "aleph_v1" "log" (func (param i64))) (memory (export "memory") 1) ` + handle + `)`}, "invalid_module", []string{"log"}},
		{"aleph_handle of another type", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1) (func (export "aleph_handle")))`}, "invalid_module", []string{"aleph_handle", "() -> ()", "i32 -> ()"}},
		{"no aleph_handle", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1))`}, "invalid_module", []string{"aleph_handle"}},
		{"no memory of its own", deployment{runtime: "wasm", source: `(module ` + handle + `)`}, "invalid_module", []string{"memory"}},
		{"a module's memory over its limit", deployment{runtime: "wasm", source: `(module (memory (export "memory") 3000) ` + handle + `)`}, "invalid_module", []string{"memory_limit: 128 MiB, the module begins with 188 MiB", "--memory above 188"}},
		{"a trap", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1) (func (export "aleph_init") (param i32) unreachable) ` + handle + `)`}, "load_exception", []string{"loaded: wasm `unreachable`", "aleph_init"}},
		{"a trap at start", deployment{runtime: "wasm", source: `(module (memory (export "memory") 1) (func $s unreachable) (start $s) ` + handle + `)`}, "load_exception", []string{"loaded: wasm `unreachable`", "start function"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && test.name == "loop" {
				t.Skip("takes ten seconds of CPU time")
			}
			s := w.site
			s.TB = t
			test.deployment.name = test.name
			p, err := s.publish(test.deployment)
			var rejection *network.Rejection
			if !errors.As(err, &rejection) {
				t.Fatalf("got %v, want a rejection", err)
			}
			if string(rejection.Code) != test.code {
				t.Errorf("the code is %q (%v), want %q", rejection.Code, err, test.code)
			}
			if test.deployment.runtime == "wasm" && rejection.Hint == "" {
				t.Errorf("there is no hint at %s", rejection.Message)
			}
			if first, rest, _ := strings.Cut(rejection.Message, "\n"); strings.Contains(rest, first) {
				t.Errorf("it says its first line twice: %s", rejection.Message)
			}
			said := rejection.Field + " " + rejection.Message + "\n" + rejection.Hint
			for _, text := range test.texts {
				if !strings.Contains(said, text) {
					t.Errorf("it does not say %q: %s", text, said)
				}
			}
			if a := p.get(""); a.status != 404 {
				t.Errorf("a call: %v", a)
			}
			if a := s.do("GET", "/api/v0/messages/"+p.id, ""); a.status == 200 && !strings.Contains(a.body, `"status":"rejected"`) {
				t.Errorf("the message: %v", a)
			}
		})
	}
	list, err := w.api.Programs(t.Context(), "")
	if err != nil || len(list) != 1 {
		t.Errorf("there are %d programs, %v", len(list), err)
	}
}

// TestRejectedUpdate updates a program with what cannot start: it goes on as it was.
func TestRejectedUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("steady", `export default () => 'one'`)
	for _, source := range []string{"export default {;", "throw new Error('no');"} {
		var refused *client.Error
		if err := p.update(source); !errors.As(err, &refused) || refused.Status != 422 {
			t.Errorf("%q: %v", source, err)
		}
		p.want("", 200, "one")
	}
	shown, err := p.api.Program(t.Context(), p.id)
	if err != nil || len(shown.Versions) != 1 || shown.ActiveVersion != 1 {
		t.Errorf("%+v, %v", shown, err)
	}
}

// TestUpdates deploys twenty versions of a program that is called all the time, and goes back to the first. Every call is
// answered, by a version that is not older than what was deployed before the call began; the store stays.
func TestUpdates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	source := func(version int) string {
		return fmt.Sprintf(`export default async (req, { aleph }) => { await aleph.store.increment('calls'); return '%d'; }`, version)
	}
	p := w.js("changing", source(1))
	slow := w.js("slow", sleeper)
	var oldest, newest atomic.Int64 // versions that may answer a call that begins now
	oldest.Store(1)
	newest.Store(1)
	var calls atomic.Int64
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for last := int64(0); ; {
				from := oldest.Load()
				a, err := p.request("GET", p.url(""), nil)
				if err != nil || a.status != 200 {
					t.Errorf("a call failed: %v, %v", a, err)
					return
				}
				calls.Add(1)
				version, _ := strconv.ParseInt(a.body, 10, 64)
				if version < from || version > newest.Load() || version < last {
					t.Errorf("version %d answered; %d was deployed when the call began, %d answered before", version, from, last)
					return
				}
				last = version
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	inFlight := make(chan answer, 1) // on the version before
	go func() {
		a, _ := slow.request("GET", slow.url("?ms=1000"), nil)
		inFlight <- a
	}()
	slow.await("the slow call", func() bool { return slow.inFlight(w) == 1 })
	if err := slow.update(`export default () => 'new'`); err != nil {
		t.Fatal(err)
	}
	slow.want("", 200, "new")
	for version := int64(2); version <= 21; version++ {
		newest.Store(version)
		before := calls.Load()
		if err := p.update(source(int(version))); err != nil {
			t.Fatal(err)
		}
		oldest.Store(version)
		p.await("calls of it", func() bool { return calls.Load() > before+4 || t.Failed() })
	}
	close(stop)
	callers.Wait()
	if a := <-inFlight; a.status != 200 || a.body != "slept" {
		t.Errorf("the call that was under way: %v", a)
	}
	shown, err := p.api.Program(t.Context(), p.id)
	if err != nil || len(shown.Versions) != 21 || shown.ActiveVersion != 21 {
		t.Fatalf("%d versions, active is %d, %v", len(shown.Versions), shown.ActiveVersion, err)
	}
	for _, back := range []struct{ to, want int }{{0, 20}, {0, 19}, {1, 1}, {21, 21}, {7, 7}} {
		shown, err := p.api.Rollback(t.Context(), p.id, back.to)
		if err != nil || shown.ActiveVersion != back.want {
			t.Fatalf("back to %d: %d, %v", back.to, shown.ActiveVersion, err)
		}
		p.want("", 200, strconv.Itoa(back.want))
		calls.Add(1)
	}
	for _, to := range []int{22, 1000} {
		var refused *client.Error
		if _, err := p.api.Rollback(t.Context(), p.id, to); !errors.As(err, &refused) || refused.Status != 400 {
			t.Errorf("back to %d: %v", to, err)
		}
	}
	if err := p.update(`export default (req, { aleph }) => aleph.store.get('calls')`); err != nil {
		t.Fatal(err)
	}
	p.want("", 200, fmt.Sprint(calls.Load()))
	w.counting("instances_in_use", 0)
}

// TestLimitsUpdate changes a program's limits and variables by a PROGRAM that replaces it.
func TestLimitsUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	source := `export default async (req, { aleph }) => ({ n: await aleph.store.increment('n'), v: process.env.V ?? null });`
	p := w.js("limits", source)
	p.want("", 200, `{"n":1,"v":null}`)
	change := deployment{name: "limits", memory: 256, timeout: 2, variables: map[string]string{"V": "x"}}
	if err := p.api.Publish(t.Context(), p.programMessage(change, "function.js", p.store, p.id)); err != nil {
		t.Fatal(err)
	}
	p.want("", 200, `{"n":2,"v":"x"}`)
	shown, err := p.api.Program(t.Context(), p.id)
	if err != nil || shown.Memory != 256 || shown.Timeout != 2 || shown.Variables["V"] != "x" || shown.ActiveVersion != 2 {
		t.Errorf("%+v, %v", shown, err)
	}
	if shown.ItemHash != p.id || !strings.HasSuffix(shown.Endpoint, p.url("")) {
		t.Errorf("the id or URL changed: %+v", shown)
	}

	stranger := w.site
	stranger.owner = newKey(t)
	err = p.api.Publish(t.Context(), stranger.programMessage(change, "function.js", p.store, p.id))
	if rejection := (*network.Rejection)(nil); !errors.As(err, &rejection) {
		t.Errorf("another account's change: %v", err)
	}
	code := []byte(`export default () => 'stolen'`)
	if err := p.api.Upload(t.Context(), stranger.storeMessage(code, p.store), "function.js", code); err == nil {
		t.Error("another account's code was taken")
	}
	forget := stranger.sign(network.TypeForget, network.Forget{Address: network.Address(stranger.owner), Time: messageTime(), Hashes: []string{p.id}})
	if err := p.api.Publish(t.Context(), forget); err == nil {
		t.Error("another account forgot it")
	}
	p.want("", 200, `{"n":3,"v":"x"}`)
}

// TestForget deletes a program while a call is under way: the call ends, then its data is gone. What it used stays to be read.
func TestForget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	const source = `export default async (req, { aleph }) => {
		await aleph.store.set('a', 'x');
		console.log('a line');
		if (req.query.ms) await new Promise((done) => setTimeout(done, Number(req.query.ms)));
		await aleph.store.set('b', 'y');
		return 'done';
	}`
	p := w.js("brief", source)
	p.want("", 200, "done")
	p.logged("a line")
	under := make(chan answer, 1)
	go func() {
		a, _ := p.request("GET", p.url("?ms=500"), nil)
		under <- a
	}()
	w.counting("invocations", 1)
	p.forget(p.store)
	if a := p.get(""); a.status != 410 {
		t.Errorf("a call after it was forgotten: %v", a)
	}
	if a := <-under; a.status != 200 || a.body != "done" {
		t.Errorf("the call under way: %v", a)
	}
	w.await("its data to be dropped", func() bool {
		usage, err := w.node.db.Usage(p.id)
		return err == nil && usage.Keys == 0 && usage.Bytes == 0
	})
	if u := p.usage(0); u.Invocations != 2 {
		t.Errorf("usage is %+v", u)
	}
	if a := w.do("GET", "/api/v0/storage/raw/"+network.HashContent(source), ""); a.status == 200 {
		t.Error("its code is still there")
	}
	again := w.deploy(deployment{name: "brief", source: `export default async (req, { aleph }) => String(await aleph.store.get('a'))`})
	if again.id == p.id {
		t.Error("the same id")
	}
	again.want("", 200, "null")
	w.restart()
	if a := p.get(""); a.status != 410 {
		t.Errorf("after a restart: %v", a)
	}
	again.want("", 200, "null")
}

// TestRestart stops a node and starts it again: everything is as it was.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	counter := w.js("counter", `export default async (req, { aleph }) => 'one ' + await aleph.store.increment('n');`)
	counter.want("", 200, "one 1")
	if err := counter.update(`export default async (req, { aleph }) => 'two ' + await aleph.store.increment('n');`); err != nil {
		t.Fatal(err)
	}
	counter.want("", 200, "two 2")
	if _, err := counter.api.Rollback(t.Context(), counter.id, 1); err != nil {
		t.Fatal(err)
	}
	counter.want("", 200, "one 3")
	module := w.deploy(deployment{name: "module", runtime: "wasm", variables: map[string]string{"A": "b"}, source: `(module
		(import "aleph_v1" "respond" (func $respond (param i32 i32)))
		(memory (export "memory") 1) (data (i32.const 0) "alv1\14\00\00\00\02\00\00\00ok")
		(global $g (mut i32) (i32.const 1))
		(func (export "aleph_init") (param i32) (global.set $g (i32.const 0)))
		(func (export "aleph_handle") (param i32) (call $respond (global.get $g) (i32.const 14))))`})
	module.want("", 200, "ok")
	counter.logs()
	show := func() string {
		list, err := w.api.Programs(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i].Endpoint = ""
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before, id, usage := show(), w.node.ID(), counter.usage(0)
	message := w.do("GET", "/api/v0/messages/"+counter.id, "").body
	for range 2 {
		w.restart()
		if after := show(); after != before {
			t.Errorf("the programs were %s, are %s", before, after)
		}
		if w.node.ID() != id {
			t.Error("the node's id changed")
		}
		if after := counter.usage(0); fmt.Sprint(after) != fmt.Sprint(usage) {
			t.Errorf("usage was %v, is %v", usage, after)
		}
		if after := w.do("GET", "/api/v0/messages/"+counter.id, "").body; after != message {
			t.Errorf("the message was %s, is %s", message, after)
		}
	}
	counter.want("", 200, "one 4")
	module.want("", 200, "ok")
	if _, err := counter.api.Rollback(t.Context(), counter.id, 2); err != nil {
		t.Fatal(err)
	}
	counter.want("", 200, "two 5")
	if err := counter.api.Publish(t.Context(), counter.message); err != nil { // posted again
		t.Error(err)
	}
	counter.want("", 200, "two 6")
}

// TestSignedRequests asks for what is the owner's only.
func TestSignedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("mine", neighbourSource)
	if err := p.update(neighbourSource + " "); err != nil {
		t.Fatal(err)
	}
	stranger := newKey(t)
	for _, request := range []struct{ method, rest, body string }{
		{"GET", "/logs", ""}, {"GET", "/logs?limit=5&follow=1", ""}, {"GET", "/usage", ""}, {"GET", "/usage?records=3", ""}, {"POST", "/rollback", ""}, {"POST", "/rollback", `{"version":1}`},
	} {
		path := "/api/v0/programs/" + p.id + request.rest
		sign := func(method, path, body string) string {
			header, err := network.SignRequest(w.owner, w.node.ID(), method, path, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			return header
		}
		refuse := func(what string, status int, authorization ...string) {
			t.Helper()
			a := w.do(request.method, path, request.body, authorization...)
			if code := map[int]string{401: "unauthorized", 403: "forbidden"}[status]; a.status != status || a.fault(t).Code != code {
				t.Errorf("%s %s %s: got %v, want %d", request.method, request.rest, what, a, status)
			}
		}
		refuse("unsigned", 401)
		refuse("signed otherwise", 401, "Authorization", "Bearer x")
		other, err := network.SignRequest(stranger, w.node.ID(), request.method, path, []byte(request.body))
		if err != nil {
			t.Fatal(err)
		}
		refuse("signed by a stranger", 403, "Authorization", other)
		elsewhere, err := network.SignRequest(w.owner, strings.Repeat("0", 32), request.method, path, []byte(request.body))
		if err != nil {
			t.Fatal(err)
		}
		refuse("signed for another node", 401, "Authorization", elsewhere)
		refuse("signed for another path", 401, "Authorization", sign(request.method, path+"x", request.body))
		refuse("signed for another method", 401, "Authorization", sign("PUT", path, request.body))
		refuse("signed for another body", 401, "Authorization", sign(request.method, path, request.body+" "))
		good := sign(request.method, path, request.body)
		refuse("in another's name", 401, "Authorization", strings.Replace(good, network.Address(w.owner), network.Address(stranger), 1))
		if strings.Contains(request.rest, "follow") {
			continue // it would not end
		}
		want := 200
		if request.rest == "/rollback" && request.body == `{"version":1}` {
			want = 200 // to where it is already
		}
		if a := w.do(request.method, path, request.body, "Authorization", good); a.status != want {
			t.Errorf("%s %s: %v", request.method, request.rest, a)
		}
		refuse("replayed", 401, "Authorization", good)
	}
	authorization, err := network.SignRequest(w.owner, w.node.ID(), "GET", "/api/v0/programs/"+p.id+"/usage", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := w.do("GET", "/api/v0/programs/"+p.id+"/usage", "", "Authorization", authorization); a.status != 200 {
		t.Fatal(a)
	}
	w.restart()
	if a := w.do("GET", "/api/v0/programs/"+p.id+"/usage", "", "Authorization", authorization); a.status != 401 {
		t.Errorf("replayed after a restart: %v", a)
	}
	if a := w.do("GET", "/api/v0/programs/"+p.id, ""); a.status != http.StatusOK { // open to all
		t.Error(a)
	}
}

// TestAllow deploys on a node that names who may.
func TestAllow(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	w := newWorld(t, Config{Allow: []string{strings.ToLower(network.Address(key))}})
	if _, err := w.publish(deployment{name: "no", source: neighbourSource}); err == nil {
		t.Error("any account may deploy")
	}
	w.owner = key
	w.at(w.address)
	w.js("yes", neighbourSource).want("?n=1", 200, "good 1")
}

// TestConfig opens nodes that must not open.
func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		config Config
		texts  []string
	}{
		"others may reach it": {Config{Listen: "0.0.0.0:0"}, []string{"0.0.0.0:0", "--allow-account", "--open"}},
		"no address":          {Config{Listen: "x"}, []string{"--listen", `"x"`}},
		"egress":              {Config{Listen: "127.0.0.1:0", AllowEgress: []string{"10.0.0.1", "x:y", "10.0.0.1/8"}}, []string{"--allow-egress \"x:y\"", "--allow-egress \"10.0.0.1/8\"", "10.0.0.0/8"}},
		"both":                {Config{Listen: "0.0.0.0:0", Open: true, Allow: []string{"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"}}, []string{"--open", "--allow-account"}},
		"all faults":          {Config{Listen: "x", Allow: []string{"y"}, Memory: -1}, []string{`"x"`, `"y"`, "--memory"}},
		"few instances":       {Config{Listen: "127.0.0.1:0", Instances: 1}, []string{"1", "4"}},
	} {
		test.config.Data = t.TempDir()
		n, err := Open(test.config)
		if err == nil {
			n.close()
			t.Errorf("%s: it opened", name)
			continue
		}
		said := err.Error()
		if fault := (*Error)(nil); errors.As(err, &fault) {
			said += fault.Hint
		}
		for _, text := range test.texts {
			if !strings.Contains(said, text) {
				t.Errorf("%s: %q does not say %q", name, said, text)
			}
		}
	}
}
