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

	"github.com/aleph-edge/aleph-edge/abi"
)

// escaped writes bytes as WebAssembly's text has them in a string.
func escaped(b []byte) string {
	var text strings.Builder
	for _, c := range b {
		fmt.Fprintf(&text, "\\%02x", c)
	}
	return text.String()
}

// streams is a guest that begins a reply with the head and writes the parts; the last ends it, if end says so.
func streams(head []byte, end bool, parts ...string) string {
	data := escaped(head)
	at := len(head)
	var calls strings.Builder
	fmt.Fprintf(&calls, "(call $do (i32.const 7) (i32.const 0) (i32.const %d))\n", at)
	for i, part := range parts {
		frame := abi.Bytes(abi.Frame(nil), abi.TagBody, part)
		if end && i == len(parts)-1 {
			frame = abi.U32(frame, abi.TagEnd, 1)
		}
		fmt.Fprintf(&calls, "(call $do (i32.const 8) (i32.const %d) (i32.const %d))\n", at, len(frame))
		data += escaped(frame)
		at += len(frame)
	}
	return fmt.Sprintf(`(module
		(import "aleph_v1" "op_start" (func $start (param i32 i32 i32) (result i32)))
		(import "aleph_v1" "op_wait" (func $wait (param i32) (result i64)))
		(import "aleph_v1" "op_take" (func $take (param i32 i32 i32) (result i32)))
		(memory (export "memory") 1)
		(data (i32.const 0) "%s")
		(func $do (param $op i32) (param $at i32) (param $n i32) (local $t i32)
			(local.set $t (call $start (local.get $op) (local.get $at) (local.get $n)))
			(drop (call $wait (local.get $t)))
			(drop (call $take (local.get $t) (i32.const 32768) (i32.const 100))))
		(func (export "aleph_handle") (param i32) %s))`, data, calls.String())
}

// TestStreams sends and takes bodies part by part.
func TestStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{MaxBody: 1 << 20})
	text, err := os.ReadFile("../host/testdata/stream.wat")
	if err != nil {
		t.Fatal(err)
	}
	echo := w.deploy(deployment{name: "echo", source: string(text), runtime: "wasm", timeout: 5})

	t.Run("both ways at once", func(t *testing.T) {
		for _, length := range []int{-1, 200_000} { // chunked, and announced
			reader, writer := io.Pipe()
			request, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+w.address+echo.url(""), reader)
			if err != nil {
				t.Fatal(err)
			}
			request.ContentLength = int64(length)
			send := func(s string) {
				t.Helper()
				if _, err := io.WriteString(writer, s); err != nil {
					t.Error(err)
				}
			}
			go send("first")
			sent := len("first")
			resp, err := w.http.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 201 || resp.Header.Get("Aleph-Program-Itemhash") != echo.id {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
			take := func(want string) {
				t.Helper()
				got := make([]byte, len(want))
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
					t.Fatalf("%q, %v; want %q", got, err, want)
				}
			}
			take("first")
			for i := range 50 {
				part := strings.Repeat(fmt.Sprint(i%10), i+1)
				send(part)
				take(part)
				sent += len(part)
			}
			rest := strings.Repeat("r", 200_000-sent)
			go func() {
				send(rest)
				writer.Close()
			}()
			take(rest)
			if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("after the end: %d, %v", n, err)
			}
			resp.Body.Close()
		}
	})
	t.Run("whole", func(t *testing.T) { // a short body is in the event: the guest, which reads only what follows, sees none
		if a := echo.do("POST", echo.url(""), "short"); a.status != 201 || a.body != "" {
			t.Error(a)
		}
		if a := echo.get(""); a.status != 201 || a.body != "" {
			t.Error(a)
		}
		if a := echo.do("HEAD", echo.url(""), ""); a.status != 201 || a.body != "" {
			t.Error(a)
		}
	})
	t.Run("over the limit", func(t *testing.T) {
		if a := echo.do("POST", echo.url(""), strings.Repeat("x", 1<<20+1)); a.status != 413 {
			t.Error(a)
		}
		if a, err := w.request("POST", echo.url(""), struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 1<<20+1))}); err == nil {
			t.Error("a body over the limit came to its end:", a.status, len(a.body))
		}
	})
	t.Run("a client that does not go on", func(t *testing.T) { // the program's time ends it
		conn := w.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", echo.url(""))
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(answer), "abc") || strings.Contains(string(answer), "0\r\n\r\n") {
			t.Errorf("%q, %v", answer, err)
		}
	})
	t.Run("a client that leaves", func(t *testing.T) {
		conn := w.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", echo.url(""))
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
	t.Run("broken chunks", func(t *testing.T) {
		conn := w.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", echo.url(""))
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(answer), "abc") || strings.Contains(string(answer), "0\r\n\r\n") {
			t.Errorf("%q, %v", answer, err)
		}
	})

	head := func(length string) []byte {
		frame := abi.U32(abi.Frame(nil), abi.TagHTTPStatus, 200)
		if length != "" {
			frame = abi.Pair(frame, abi.TagHeader, "content-length", length)
		}
		return abi.Pair(frame, abi.TagHeader, "x-mine", "1")
	}
	for _, test := range []struct {
		name, length string
		end, fits    bool
		parts        []string
	}{
		{"chunked", "", true, true, []string{"ab", "cde"}},
		{"announced", "5", true, true, []string{"ab", "cde"}},
		{"empty", "", true, true, []string{""}},
		{"longer than announced", "4", true, false, []string{"ab", "cde"}},
		{"shorter than announced", "6", true, false, []string{"ab", "cde"}},
		{"without an end", "", false, false, []string{"ab", "cde"}},
		{"without a part", "", false, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := w.deploy(deployment{name: test.name, source: streams(head(test.length), test.end, test.parts...), runtime: "wasm"})
			a, err := w.request("GET", p.url(""), nil)
			if (err == nil) != test.fits {
				t.Fatalf("%v, %v", a, err)
			}
			if err == nil && (a.body != strings.Join(test.parts, "") || a.header.Get("X-Mine") != "1" || a.header.Get("Content-Length") != test.length) {
				t.Errorf("%v %v", a, a.header)
			}
			if a := p.do("HEAD", p.url(""), ""); a.status != 200 || a.header.Get("X-Mine") != "1" || a.header.Get("Content-Length") != test.length {
				t.Errorf("HEAD: %v %v", a, a.header)
			}
			conn := w.dial()
			fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: x\r\n\r\n", p.url(""))
			old, err := io.ReadAll(conn)
			if err != nil || test.fits != strings.HasPrefix(string(old), "HTTP/1.1 200") || test.fits && !strings.HasSuffix(string(old), "\r\n\r\n"+strings.Join(test.parts, "")) {
				t.Errorf("HTTP/1.0: %q, %v", old, err)
			}
		})
	}
	for end := time.Now().Add(patience); w.node.dispatcher.InFlight() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d are in flight", w.node.dispatcher.InFlight())
		}
	}
	if n := w.node.pool.Stats().InUse; n != 0 {
		t.Errorf("%d instances are in use", n)
	}
}
