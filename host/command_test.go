package host

import (
	"archive/zip"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// guest reads a built C guest of runtime/wasi.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("../runtime/wasi/testdata/guests", name))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// bundle is a zip of files, given as path and content in turn.
func bundle(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := z.Create(files[i])
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// commands deploys cgi.c with files beside it.
func (w *world) commands() *programs.Program {
	w.Helper()
	code := bundle(w.TB, "cgi.wasm", string(guest(w.TB, "cgi.wasm")), "data.txt", "from the bundle\n", "folder/inner.txt", "inner")
	p, err := w.deployCode("command", code, programs.Version{Memory: 16, Encoding: "zip", Entrypoint: "cgi.wasm",
		Variables: map[string]string{"GREETING": "hello", "HTTP_HOST": "mine", "SERVER_NAME": "mine"}})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// request begins an invocation of a request.
func (w *world) request(p *programs.Program, method, path, query string, headers ...string) *Invocation {
	w.Helper()
	inv, failed := w.dispatcher.Begin(context.Background(), p, abi.KindHTTP, 1, nil)
	if failed != nil {
		w.Fatal(failed)
	}
	inv.Event = abi.Bytes(inv.Event, abi.TagMethod, method)
	inv.Event = abi.Bytes(inv.Event, abi.TagPath, path)
	inv.Event = abi.Bytes(inv.Event, abi.TagRoot, "/vm/command")
	inv.Event = abi.Bytes(inv.Event, abi.TagQuery, query)
	inv.Event = abi.Bytes(inv.Event, abi.TagClient, "[2001:db8::1]:4711")
	for i := 0; i < len(headers); i += 2 {
		inv.Event = abi.Pair(inv.Event, abi.TagHeader, headers[i], headers[i+1])
	}
	return inv
}

// whole runs an invocation to its end and gives the reply's head, its body, and why it failed.
func whole(inv *Invocation) (head abi.Response, headers, body string, failed *Error) {
	defer inv.End()
	reply, failed := inv.Run()
	if failed != nil {
		return head, "", "", failed
	}
	for name, value := range reply.Headers {
		headers += string(name) + ": " + string(value) + "\n"
	}
	if !inv.Streams() {
		return *reply, headers, string(reply.Body), nil
	}
	for {
		part, failed := inv.Next()
		if failed != nil || part == nil {
			return *reply, headers, body, failed
		}
		body += string(part)
	}
}

func TestCommandReplies(t *testing.T) {
	w := newWorld(t, 8)
	p := w.commands()
	const text = "Content-Type: text/plain\n"
	for _, test := range []struct {
		path, query   string
		status        int
		headers, body string
		failed        *abi.Error
	}{
		{"/", "", 200, text, "", nil},
		{"/status", "", 404, "Content-Type: text/html\nX-Twice: a\nX-Twice: b\n", "<p>no</p>", nil},
		{"/redirect", "", 302, "Location: https://example.org/\n", "", nil},
		{"/partial", "", 200, text, "so far", nil},
		{"/large", "1", 200, text, strings.Repeat("x", 8192), nil},
		{"/large", "100", 200, text, strings.Repeat("x", 819200), nil},
		{"/files", "", 200, text, "ok\n", nil},
		{"/files", "", 200, text, "ok\n", nil}, // nothing is left of the run before
		{"/waits", "", 200, text, "ok\n", nil},
		{"/exit", "", 0, "", "", abi.ErrException},
		{"/empty", "", 0, "", "", abi.ErrNoReply},
		{"/headless", "", 0, "", "", abi.ErrInvalidReply},
		{"/abort", "", 0, "", "", abi.ErrTrap},
	} {
		t.Run(test.path+test.query, func(t *testing.T) {
			reply, headers, body, failed := whole(w.request(p, "GET", test.path, test.query))
			if test.failed != nil {
				if failed == nil || failed.Row != test.failed {
					t.Errorf("got %v, want %v", failed, test.failed)
				}
				return
			}
			if failed != nil || reply.Status != test.status || headers != test.headers || body != test.body {
				t.Errorf("got %v, %d, %q, %.200q", failed, reply.Status, headers, body)
			}
		})
	}
}

// TestCommandsAtOnce: runs share the program's files and nothing else.
func TestCommandsAtOnce(t *testing.T) {
	w := newWorld(t, 16)
	p := w.commands()
	var runs sync.WaitGroup
	for range 8 {
		runs.Go(func() {
			for range 10 {
				if _, _, body, failed := whole(w.request(p, "GET", "/files", "")); failed != nil || body != "ok\n" {
					t.Errorf("got %v, %q", failed, body)
				}
			}
		})
	}
	runs.Wait()
}

func TestCommandInput(t *testing.T) {
	w := newWorld(t, 8)
	p := w.commands()
	inv := w.request(p, "POST", "/echo", "")
	long := strings.Repeat("0123456789", 5000)
	inv.Event = abi.Bytes(inv.Event, abi.TagBody, long)
	if _, _, body, failed := whole(inv); failed != nil || body != long {
		t.Errorf("got %v, %d bytes", failed, len(body))
	}

	inv = w.request(p, "POST", "/echo", "")
	if !inv.Serving().Reads {
		t.Error("a command does not take bodies that follow")
	}
	parts, want := make([]string, 40), ""
	for i := range parts {
		parts[i] = strings.Repeat(string(rune('a'+i%26)), 10_000)
		want += parts[i]
	}
	s := newSource(parts...)
	close(s.parts)
	inv.Follow(s)
	if _, _, body, failed := whole(inv); failed != nil || body != want {
		t.Errorf("got %v, %d bytes", failed, len(body))
	}
}

func TestCommandEnvironment(t *testing.T) {
	w := newWorld(t, 8)
	inv := w.request(w.commands(), "PUT", "/env", "a=b%20c&d", "host", "example.org:8080", "content-type", "text/x", "accept", "a", "accept", "b",
		"cookie", "c=1", "cookie", "d=2", "proxy", "evil", "x-a-b", "v")
	inv.Event = abi.Bytes(inv.Event, abi.TagBody, "body")
	id := string(inv.ID[:])
	_, _, body, failed := whole(inv)
	if failed != nil {
		t.Fatal(failed)
	}
	got := map[string]string{}
	for i, line := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
		name, value, found := strings.Cut(line, "=")
		if _, twice := got[name]; twice || i > 0 && !found {
			t.Errorf("%q comes twice, or is nothing", line)
		}
		got[name] = value
	}
	for name, want := range map[string]string{"cgi.wasm": "", "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "aleph",
		"REQUEST_METHOD": "PUT", "SCRIPT_NAME": "/vm/command", "PATH_INFO": "/env", "QUERY_STRING": "a=b%20c&d", "REQUEST_URI": "/vm/command/env?a=b%20c&d",
		"SERVER_NAME": "example.org", "SERVER_PORT": "8080", "REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "4711", "CONTENT_LENGTH": "4",
		"CONTENT_TYPE": "text/x", "HTTP_HOST": "example.org:8080", "HTTP_ACCEPT": "a, b", "HTTP_COOKIE": "c=1; d=2", "HTTP_X_A_B": "v", "GREETING": "hello",
		"ALEPH_EVENT": "http", "ALEPH_REQUEST_ID": id, "ALEPH_ATTEMPT": "1", "ALEPH_PROGRAM": "command"} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("there are %v as well", got)
	}
}

func TestCommandLog(t *testing.T) {
	w := newWorld(t, 8)
	p := w.commands()
	for _, path := range []string{"/log", "/exit", "/headless"} {
		whole(w.request(p, "GET", path, ""))
	}
	entries, err := w.logs.Tail("command", 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Level.String()+" "+e.Message)
	}
	want := []string{"error a line", "error and half of one", "error the end", "error it went wrong",
		"error the command ended with the exit status 3, without a reply", `error invalid reply: standard output: "just text" is not a header line`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
}

// TestGo runs what Go's compiler makes, as it comes: a command, and a reactor whose runtime is in its image.
func TestGo(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds with Go's compiler")
	}
	w := newWorld(t, 8)
	for _, kind := range []string{"command", "reactor"} {
		t.Run(kind, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "guest.wasm")
			mode := map[string]string{"command": "exe", "reactor": "c-shared"}[kind]
			build := exec.Command("go", "build", "-buildmode="+mode, "-ldflags=-s -w", "-o", out, "main.go")
			build.Dir = "testdata/go" + kind
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "CGO_ENABLED=0")
			if text, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			code, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			p, err := w.deployCode("go"+kind, bundle(t, "guest.wasm", string(code), "data.txt", "from the bundle"), programs.Version{Memory: 64, Encoding: "zip",
				Entrypoint: "guest.wasm", Variables: map[string]string{"GREETING": "hello"}})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				inv := w.request(p, "POST", "/a", "q")
				inv.Event = abi.Bytes(inv.Event, abi.TagBody, "the body")
				if _, _, body, failed := whole(inv); failed != nil || body != "hello, from the bundle, written, [a b], slept, the body" {
					entries, _ := w.logs.Tail("go"+kind, 20)
					t.Fatalf("got %v, %q, log %v", failed, body, entries)
				}
			}
		})
	}
}

// TestModulesRefused deploys modules that cannot be served.
func TestModulesRefused(t *testing.T) {
	w := newWorld(t, 8)
	const write = `(import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
		(memory (export "memory") 1) (data (i32.const 0) "tmp/x") (func (export "aleph_handle") (param i32))`
	for name, test := range map[string]struct{ text, want string }{
		"an unknown function":       {`(module (import "wasi_snapshot_preview1" "fd_frobnicate" (func)) (memory (export "memory") 1) (func (export "_start")))`, "wasi_snapshot_preview1::fd_frobnicate"},
		"a function of other types": {`(module (import "wasi_snapshot_preview1" "fd_close" (func)) (memory (export "memory") 1) (func (export "_start")))`, "wasi_snapshot_preview1::fd_close"},
		"an older WASI":             {`(module (import "wasi_unstable" "fd_close" (func (param i32) (result i32))) (memory (export "memory") 1) (func (export "_start")))`, "wasi_unstable::fd_close"},
		"_start of another type":    {`(module (memory (export "memory") 1) (func (export "_start") (param i32)))`, "_start has the type i32 -> ()"},
		"neither":                   {`(module (memory (export "memory") 1))`, "neither the function aleph_handle nor, as a command does, _start"},
		"files left in /tmp": {`(module ` + write + ` (func (export "_initialize") (drop (call $mkdir (i32.const 3) (i32.const 0) (i32.const 5)))))`,
			"leaves files in /tmp (x)"},
		"a file left open": {`(module ` + write + ` (func (export "_initialize") (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 100)))))`,
			"leaves a file open"},
		"an end": {`(module ` + write + ` (func (export "_initialize") (call $exit (i32.const 7))))`, "_initialize ended the program, with the exit status 7"},
	} {
		t.Run(name, func(t *testing.T) {
			code, err := wasm.WAT(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = w.deployCode("refused", code, programs.Version{Memory: 16, Encoding: "plain", Entrypoint: "f.wasm"}); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// BenchmarkCommand is a whole request of hello.c, without HTTP.
func BenchmarkCommand(b *testing.B) {
	w := newWorld(b, 8)
	p, err := w.deployCode("hello", guest(b, "hello.wasm"), programs.Version{Memory: 16, Encoding: "plain", Entrypoint: "hello.wasm"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, body, failed := whole(w.request(p, "GET", "/", "Alice", "host", "example.org", "accept", "*/*")); failed != nil || body != "Hello, Alice\n" {
			b.Fatalf("%v, %q", failed, body)
		}
	}
}
