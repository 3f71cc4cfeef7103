package node

import (
	"runtime"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestSteadyState handles requests without their connection: in the steady state nothing is allocated.
func TestSteadyState(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has pools forget what they keep")
	}
	w := newWorld(t, Config{})
	compiled := w.deploy(deployment{name: "compiled", runtime: "wasm", source: `(module
		(import "aleph_v1" "event_read" (func $read (param i32 i32 i32) (result i32)))
		(import "aleph_v1" "respond" (func $respond (param i32 i32)))
		(memory (export "memory") 2) (data (i32.const 0) "alv1\14\00\00\00\02\00\00\00ok")
		(func (export "aleph_handle") (param $n i32)
			(drop (call $read (i32.const 4096) (i32.const 0) (local.get $n)))
			(call $respond (i32.const 0) (i32.const 14))))`})
	script := w.js("script", `export default (req) => ({ message: 'Hello, ' + req.query.name })`)
	for name, test := range map[string]struct {
		program
		body string
	}{"compiled": {compiled, "ok"}, "script": {script, `{"message":"Hello, Alice"}`}} {
		var ctx fasthttp.RequestCtx
		var request fasthttp.Request
		request.Header.SetMethod("GET")
		request.SetRequestURI(test.url("/path?name=Alice"))
		request.Header.Set("Host", w.address)
		request.Header.Set("Accept", "*/*")
		ctx.Init(&request, nil, nil)
		once := func() {
			ctx.Response.Reset()
			w.node.server.Handler(&ctx)
			if ctx.Response.StatusCode() != 200 || string(ctx.Response.Body()) != test.body {
				t.Fatalf("%s: %d %s", name, ctx.Response.StatusCode(), ctx.Response.Body())
			}
		}
		for range 500 {
			once()
		}
		runtime.GC()
		if n := testing.AllocsPerRun(1000, once); n != 0 {
			t.Errorf("%s: %v allocations a request", name, n)
		}
	}
}
