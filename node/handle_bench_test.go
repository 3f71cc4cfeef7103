package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/network"
)

// deployFile publishes a file as a program, as clients do.
func deployFile(t testing.TB, n *Node, name, runtime, file string) (id string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	code, err := os.ReadFile(file)
	must(err)
	key, err := crypto.ToECDSA(make32(0x11))
	must(err)
	hash, err := n.network.Upload(code)
	must(err)
	accept := func(kind network.Type, content any) string {
		t.Helper()
		m, err := network.Sign(key, kind, content, network.Options{})
		must(err)
		status, err := n.network.Accept(context.Background(), m)
		must(err)
		if status != network.StatusProcessed {
			t.Fatal(status)
		}
		return m.ItemHash
	}
	owner := network.Address(key)
	store := accept(network.TypeStore, map[string]any{"address": owner, "time": 1.7e9, "item_type": "storage", "item_hash": hash})
	return accept(network.TypeProgram, map[string]any{"address": owner, "time": 1.7e9, "type": "vm-function", "allow_amend": true,
		"metadata": map[string]any{"name": name}, "on": map[string]any{"http": true, "persistent": false}, "environment": map[string]any{"internet": true},
		"resources": map[string]any{"vcpus": 1, "memory": 128, "seconds": 10}, "runtime": map[string]any{"ref": runtime, "use_latest": true, "comment": ""},
		"volumes": []any{}, "variables": map[string]any{},
		"code": map[string]any{"encoding": "plain", "entrypoint": filepath.Base(file), "ref": store, "use_latest": true}})
}

func make32(b byte) []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = b
	}
	return key
}

// BenchmarkHandle is a request without its connection: what the node adds to fasthttp.
func BenchmarkHandle(b *testing.B) {
	n, err := Open(Config{Listen: "127.0.0.1:0", Data: b.TempDir(), Instances: 64})
	if err != nil {
		b.Fatal(err)
	}
	defer n.close()
	programs := map[string]string{ // both before the first is measured: the engine compiles in the background
		"javascript": deployFile(b, n, "javascript", "nodejs20", "../examples/hello/function.js"),
		"compiled":   deployFile(b, n, "compiled", "wasm", "../bench/guests/echo.wasm"),
		"python3.11": deployFile(b, n, "python3.11", "python3.11", "../bench/functions/hello.py"),
		"python3.13": deployFile(b, n, "python3.13", "python3.13", "../bench/functions/hello.py"),
	}
	for _, name := range []string{"compiled", "javascript", "python3.11", "python3.13"} {
		id := programs[name]
		b.Run(name, func(b *testing.B) {
			var ctx fasthttp.RequestCtx
			var request fasthttp.Request
			request.Header.SetMethod("GET")
			request.SetRequestURI(fmt.Sprintf("/api/v0/run/%s?name=Alice", id))
			request.Header.Set("Host", "127.0.0.1:4020")
			request.Header.Set("User-Agent", "benchmark")
			request.Header.Set("Accept", "*/*")
			ctx.Init(&request, nil, nil)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				n.handler(&ctx)
				if ctx.Response.StatusCode() != 200 {
					b.Fatal(ctx.Response.StatusCode(), string(ctx.Response.Body()))
				}
			}
		})
	}
}
