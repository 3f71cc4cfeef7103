package http

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/abi"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")) // for ever
}

// TestSetHeaders gives replies headers that HTTP has, and has not.
func TestSetHeaders(t *testing.T) {
	for _, test := range []struct {
		name, value string
		fits, sent  bool
	}{
		{"x-one", "1", true, true},
		{"X-!#$%&'*+-.^_`|~9", "tab\tand ünïcode", true, true},
		{"content-type", "text/html", true, true},
		{"x-empty", "", true, true},
		{"", "1", false, false},
		{"x one", "1", false, false},
		{"x:", "1", false, false},
		{"x\r\ny", "1", false, false},
		{"ü", "1", false, false},
		{"x", "a\r\nb: c", false, false},
		{"x", "a\nb", false, false},
		{"x", "a\x00b", false, false},
		{"x", "a\x7fb", false, false},
		{"Connection", "close", true, false},
		{"content-LENGTH", "7", true, false},
		{"transfer-encoding", "chunked", true, false},
		{"keep-alive", "1", true, false},
		{"upgrade", "h2c", true, false},
		{"trailer", "x", true, false},
		{"te", "x", true, false},
		{"tf", "x", true, true},
	} {
		frame := abi.Pair(abi.Frame(nil), abi.TagHeader, test.name, test.value)
		reply, err := abi.ParseResponse(frame)
		if err != nil {
			t.Fatal(err)
		}
		var header fasthttp.ResponseHeader
		failed := setHeaders(&header, &reply)
		if (failed == nil) != test.fits {
			t.Errorf("%q: %q: %v", test.name, test.value, failed)
		}
		if failed != nil && failed.Row != abi.ErrInvalidReply {
			t.Errorf("%q: %q: %v", test.name, test.value, failed)
		}
		if sent := string(header.Peek(test.name)) == test.value && test.value != "" || strings.Contains(header.String(), "X-Empty:"); sent != test.sent {
			t.Errorf("%q: %q: sent is %v, want %v: %s", test.name, test.value, sent, test.sent, header.String())
		}
	}
}

// TestWriteError checks the form of errors.
func TestWriteError(t *testing.T) {
	for _, row := range []*abi.Error{abi.ErrTimeout, abi.ErrNoCapacity, abi.ErrUnavailable, abi.ErrProgramNotFound} {
		for _, id := range []string{"", "0123"} {
			var ctx fasthttp.RequestCtx
			ctx.Response.SetBodyString("what was there before")
			WriteError(&ctx, row, `a <detail> & "more"`, []byte(id))
			var body struct{ Error map[string]string }
			if err := json.Unmarshal(ctx.Response.Body(), &body); err != nil {
				t.Fatalf("%s: %v", ctx.Response.Body(), err)
			}
			e := body.Error
			_, has := e["request_id"]
			if e["code"] != row.Code || e["message"] != row.Text+`: a <detail> & "more"` || e["hint"] != row.Hint || e["request_id"] != id || has != (id != "") {
				t.Errorf("got %v", e)
			}
			if ctx.Response.StatusCode() != row.Status || string(ctx.Response.Header.ContentType()) != "application/json" {
				t.Errorf("%d %s", ctx.Response.StatusCode(), ctx.Response.Header.ContentType())
			}
			if retry := len(ctx.Response.Header.Peek("Retry-After")) > 0; retry != (row.Status == 503) {
				t.Errorf("%s: Retry-After: %v", row.Code, retry)
			}
		}
	}
}

// connected gives both ends of a connection; the server's belongs to a request.
func connected(t *testing.T) (client net.Conn, ctx *fasthttp.RequestCtx) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	ctx = &fasthttp.RequestCtx{}
	ctx.Init2(server, nil, false)
	return client, ctx
}

// TestWatcher has clients leave, write, and stay.
func TestWatcher(t *testing.T) {
	w, err := newWatcher(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	for name, leave := range map[string]func(net.Conn) error{
		"close":             net.Conn.Close,
		"close for writing": func(c net.Conn) error { return c.(*net.TCPConn).CloseWrite() },
		"reset":             func(c net.Conn) error { return errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close()) },
		"write and close": func(c net.Conn) error {
			_, err := c.Write([]byte("GET / HTTP/1.1\r\n"))
			return errors.Join(err, c.Close())
		},
	} {
		client, ctx := connected(t)
		gone := make(chan struct{}, 2)
		stop := (&caller{watcher: w, ctx: ctx}).Watch(func() { gone <- struct{}{} })
		if _, err := client.Write([]byte("x")); err != nil { // is not leaving
			t.Fatal(err)
		}
		select {
		case <-gone:
			t.Errorf("%s: gone before it left", name)
		case <-time.After(20 * time.Millisecond):
		}
		if err := leave(client); err != nil {
			t.Fatal(err)
		}
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: not noticed", name)
		}
		stop()
	}

	t.Run("gone before the watch", func(t *testing.T) {
		client, ctx := connected(t)
		client.Close()
		gone := make(chan struct{})
		defer (&caller{watcher: w, ctx: ctx}).Watch(func() { close(gone) })()
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Error("not noticed")
		}
	})
	t.Run("not watched any more", func(t *testing.T) {
		client, ctx := connected(t)
		var called atomic.Bool
		for range 3 { // a connection is watched once for each of its requests
			(&caller{watcher: w, ctx: ctx}).Watch(func() { called.Store(true) })()
		}
		client.Close()
		other, otherCtx := connected(t)
		gone := make(chan struct{})
		defer (&caller{watcher: w, ctx: otherCtx}).Watch(func() { close(gone) })()
		other.Close()
		<-gone
		if called.Load() {
			t.Error("called after it was stopped")
		}
	})
	if len(w.waiting) != 0 {
		t.Errorf("%d are still watched", len(w.waiting))
	}
}
