package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/egress"
	"github.com/aleph-edge/aleph-edge/programs"
)

// scripted does what its event's body says, a list of steps of three numbers and as many bytes as the last says:
//
//	0 op length   starts the operation, waits for it and takes it
//	1 op length   starts it
//	2 n 0         waits for the n-th that was started by 1, and takes it
//	3 n 0         cancels it
//
// It answers with the results that it took, each after its length.
const scripted = `(module
	(import "aleph_v1" "event_read" (func $read (param i32 i32 i32) (result i32)))
	(import "aleph_v1" "respond" (func $respond (param i32 i32)))
	(import "aleph_v1" "op_start" (func $start (param i32 i32 i32) (result i32)))
	(import "aleph_v1" "op_wait" (func $wait (param i32) (result i64)))
	(import "aleph_v1" "op_take" (func $take (param i32 i32 i32) (result i32)))
	(import "aleph_v1" "op_cancel" (func $cancel (param i32)))
	(memory (export "memory") 2400)
	(data (i32.const 0) "alv1\14\00\00\00")
	(global $out (mut i32) (i32.const 12))          ;; the end of the response, which begins at 0
	(global $tickets (mut i32) (i32.const 0))
	(func $finish (param $ticket i32) (local $n i32)
		(local.set $n (i32.wrap_i64 (call $wait (local.get $ticket))))
		(i32.store (global.get $out) (local.get $n))
		(drop (call $take (local.get $ticket) (i32.add (global.get $out) (i32.const 4)) (local.get $n)))
		(global.set $out (i32.add (global.get $out) (i32.add (local.get $n) (i32.const 4)))))
	(func $ticket (param $n i32) (result i32)
		(i32.load (i32.add (i32.const 0x6000000) (i32.shl (local.get $n) (i32.const 2)))))
	(func (export "aleph_handle") (param $length i32) (local $at i32) (local $end i32) (local $action i32) (local $number i32)
		(drop (call $read (i32.const 0x6100000) (i32.const 0) (local.get $length)))
		(local.set $at (i32.const 0x6100004))
		(local.set $end (i32.add (i32.const 0x6100000) (local.get $length)))
		(block $found (loop $fields                 ;; the body's field
			(br_if $found (i32.eq (i32.load (local.get $at)) (i32.const 20)))
			(local.set $at (i32.add (local.get $at) (i32.add (i32.const 8) (i32.load offset=4 (local.get $at)))))
			(br $fields)))
		(local.set $at (i32.add (local.get $at) (i32.const 8)))
		(block $done (loop $steps
			(br_if $done (i32.ge_u (local.get $at) (local.get $end)))
			(local.set $action (i32.load (local.get $at)))
			(local.set $number (i32.load offset=4 (local.get $at)))
			(if (i32.eq (local.get $action) (i32.const 0)) (then
				(call $finish (call $start (local.get $number) (i32.add (local.get $at) (i32.const 12)) (i32.load offset=8 (local.get $at))))))
			(if (i32.eq (local.get $action) (i32.const 1)) (then
				(i32.store (i32.add (i32.const 0x6000000) (i32.shl (global.get $tickets) (i32.const 2)))
					(call $start (local.get $number) (i32.add (local.get $at) (i32.const 12)) (i32.load offset=8 (local.get $at))))
				(global.set $tickets (i32.add (global.get $tickets) (i32.const 1)))))
			(if (i32.eq (local.get $action) (i32.const 2)) (then (call $finish (call $ticket (local.get $number)))))
			(if (i32.eq (local.get $action) (i32.const 3)) (then (call $cancel (call $ticket (local.get $number)))))
			(local.set $at (i32.add (local.get $at) (i32.add (i32.const 12) (i32.load offset=8 (local.get $at)))))
			(br $steps)))
		(i32.store (i32.const 8) (i32.sub (global.get $out) (i32.const 12)))
		(call $respond (i32.const 0) (global.get $out))))`

// A script is what the scripted guest does.
type script []byte

func (s script) step(action, number uint32, frame []byte) script {
	s = binary.LittleEndian.AppendUint32(s, action)
	s = binary.LittleEndian.AppendUint32(s, number)
	s = binary.LittleEndian.AppendUint32(s, uint32(len(frame)))
	return append(s, frame...)
}

func (s script) do(op uint32, fields ...field) script    { return s.step(0, op, operation(fields...)) }
func (s script) start(op uint32, fields ...field) script { return s.step(1, op, operation(fields...)) }
func (s script) wait(n uint32) script                    { return s.step(2, n, nil) }
func (s script) cancel(n uint32) script                  { return s.step(3, n, nil) }
func (s script) sleep(d time.Duration) script {
	return s.do(abi.OpSleep, func(b []byte) []byte { return abi.U64(b, abi.TagDuration, uint64(d)) })
}

// A field is one of a request's frame.
type field func([]byte) []byte

func text(tag uint32, value string) field {
	return func(b []byte) []byte { return abi.Bytes(b, tag, value) }
}

func number(tag, value uint32) field {
	return func(b []byte) []byte { return abi.U32(b, tag, value) }
}

func header(name, value string) field {
	return func(b []byte) []byte { return abi.Pair(b, abi.TagHeader, name, value) }
}

func patienceOf(d time.Duration) field {
	return func(b []byte) []byte { return abi.U64(b, abi.TagDuration, uint64(d)) }
}

func url(value string) field { return text(abi.TagURL, value) }

func operation(fields ...field) []byte {
	b := abi.Frame(nil)
	for _, f := range fields {
		b = f(b)
	}
	return b
}

// A result is what an operation answered.
type result struct {
	status  uint32
	message string
	code    uint32 // HTTP's
	url     string
	headers []string // name: value
	body    string
	end     bool
}

func parseResult(t testing.TB, frame []byte) (q result) {
	t.Helper()
	r := abi.Read(frame)
	for r.Next() {
		switch r.Tag {
		case abi.TagOpStatus:
			q.status = r.U32()
		case abi.TagOpMessage:
			q.message = string(r.Value)
		case abi.TagHTTPStatus:
			q.code = r.U32()
		case abi.TagURL:
			q.url = string(r.Value)
		case abi.TagHeader:
			name, value := r.Pair()
			q.headers = append(q.headers, fmt.Sprintf("%s: %s", name, value))
		case abi.TagBody:
			q.body = string(r.Value)
		case abi.TagEnd:
			q.end = r.U32() == 1
		}
	}
	if r.Err() != nil {
		t.Fatalf("%v in %q", r.Err(), frame)
	}
	return q
}

func (q result) header(name string) string {
	var values []string
	for _, h := range q.headers {
		if value, ok := strings.CutPrefix(h, name+": "); ok {
			values = append(values, value)
		}
	}
	return strings.Join(values, "|")
}

// perform runs a script and gives the results that the guest took.
func (w *world) perform(p *programs.Program, s script) []result {
	w.Helper()
	reply, failed := w.run(p, string(s))
	if failed != nil {
		w.Fatalf("the guest failed: %v", failed)
	}
	var results []result
	for b := []byte(reply); len(b) > 0; {
		n := binary.LittleEndian.Uint32(b)
		results = append(results, parseResult(w, b[4:4+n]))
		b = b[4+n:]
	}
	return results
}

// loopback allows the tests' servers.
func loopback(t testing.TB) egress.Config {
	t.Helper()
	allow, errs := egress.ParseAllow([]string{"127.0.0.0/8"})
	if errs != nil {
		t.Fatal(errs)
	}
	return egress.Config{Allow: allow}
}

// outside is a world whose programs may reach loopback, and a server there.
func outside(t *testing.T, handler http.HandlerFunc) (*world, *programs.Program, string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w := newWorldWith(t, 8, loopback(t))
	return w, w.deployVersion("scripted", scripted, programs.Version{Memory: 200}), server.URL
}

// TestFetchWhole makes requests whose answers come whole.
func TestFetchWhole(t *testing.T) {
	w, p, base := outside(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			rw.Header().Add("X-Two", "a")
			rw.Header().Add("X-Two", "b")
			rw.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(rw, "%s %s %v %v %v %v %s", r.Method, r.RequestURI, r.Header["X-Mine"], r.Header["User-Agent"], r.Header["Accept-Encoding"], r.ContentLength, body)
		case "/nothing":
			rw.WriteHeader(http.StatusNoContent)
		case "/large":
			_, _ = rw.Write(make([]byte, maxAnswer))
		case "/larger":
			_, _ = rw.Write(make([]byte, maxAnswer))
			_, _ = rw.Write([]byte{0})
		case "/known-larger":
			rw.Header().Set("Content-Length", fmt.Sprint(maxAnswer+1))
		case "/break":
			rw.Header().Set("Content-Length", "10")
			_, _ = rw.Write([]byte("half"))
		case "/redirect":
			http.Redirect(rw, r, "/echo?after", http.StatusFound)
		}
	})
	var s script
	s = s.do(abi.OpFetch, url(base+"/echo?a=b"), text(abi.TagMethod, "PUT"), header("x-mine", "1"), header("X-Mine", "2"), text(abi.TagBody, "content"))
	s = s.do(abi.OpFetch, url(base+"/nothing"))
	s = s.do(abi.OpFetch, url(base+"/large"))
	s = s.do(abi.OpFetch, url(base+"/larger"))
	s = s.do(abi.OpFetch, url(base+"/known-larger"))
	s = s.do(abi.OpFetch, url(base+"/break"))
	s = s.do(abi.OpFetch, url(base+"/redirect"))
	s = s.do(abi.OpFetch, url(base+"/redirect"), number(abi.TagRedirects, 20))
	s = s.do(abi.OpFetch, url("ftp://example.org/"))
	s = s.do(abi.OpFetch, url(base), number(abi.TagMore, 1))
	s = s.do(abi.OpFetch, url(base), number(abi.TagRedirects, 21))
	r := w.perform(p, s)
	if got := r[0]; got.code != 418 || got.message != "I'm a teapot" || got.body != "PUT /echo?a=b [1 2] [] [] 7 content" || got.header("x-two") != "a|b" || !got.end || got.url != base+"/echo?a=b" {
		t.Errorf("echo: %+v", got)
	}
	if got := r[1]; got.code != 204 || got.body != "" || !got.end {
		t.Errorf("nothing: %+v", got)
	}
	if got := r[2]; got.code != 200 || len(got.body) != maxAnswer {
		t.Errorf("large: %d, %d bytes, %s", got.code, len(got.body), got.message)
	}
	if got := r[6]; got.code != 302 || got.header("location") != "/echo?after" {
		t.Errorf("not followed: %+v", got)
	}
	if got := r[7]; got.code != 418 || got.url != base+"/echo?after" {
		t.Errorf("followed: %+v", got)
	}
	for n, want := range map[int]result{
		3:  {status: abi.OpValueTooLarge, message: "the answer's body is over 16 MiB"},
		4:  {status: abi.OpValueTooLarge, message: "the answer's body is over 16 MiB"},
		5:  {status: abi.OpNetwork, message: "127.0.0.1 closed the connection before the answer's end"},
		8:  {status: abi.OpInvalidArgument, message: `url: "ftp" is not http: or https:`},
		9:  {status: abi.OpInvalidArgument, message: "more: a body that continues needs a stream"},
		10: {status: abi.OpInvalidArgument, message: "redirects: 21, limit 20"},
	} {
		if r[n].status != want.status || !strings.HasPrefix(r[n].message, want.message) {
			t.Errorf("%d: %d %s, want %d %s", n, r[n].status, r[n].message, want.status, want.message)
		}
	}
	if n := w.dispatcher.config.Egress.Connections(); n > 8 {
		t.Errorf("%d connections for requests that came one after the other", n)
	}
	record := w.records("scripted")[0]
	if record.Fetches != 9 || record.OutboundBytes < 100 || record.InboundBytes < 2*maxAnswer {
		t.Errorf("counted %d requests, %d bytes out, %d in", record.Fetches, record.OutboundBytes, record.InboundBytes)
	}
}

// TestFetchStream reads an answer as it comes, while the request's body is still being sent.
func TestFetchStream(t *testing.T) {
	w, p, base := outside(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/upper":
			_ = http.NewResponseController(rw).EnableFullDuplex()
			rw.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(rw).Flush()
			buffer := make([]byte, 100)
			for {
				n, err := r.Body.Read(buffer)
				_, _ = rw.Write(bytes.ToUpper(buffer[:n]))
				_ = http.NewResponseController(rw).Flush()
				if err != nil {
					return
				}
			}
		case "/small":
			fmt.Fprint(rw, "small")
		case "/stop":
			rw.WriteHeader(http.StatusRequestEntityTooLarge)
		case "/length":
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(rw, "%d %s", r.ContentLength, body)
		}
	})
	on := func(n uint32) field { return number(abi.TagStream, n) }
	var s script
	s = s.do(abi.OpFetch, url(base+"/upper"), text(abi.TagMethod, "POST"), text(abi.TagBody, "first "), on(7), number(abi.TagMore, 1)) // 0
	s = s.do(abi.OpFetchRead, on(7))
	s = s.do(abi.OpFetchWrite, on(7), text(abi.TagBody, "second"))
	s = s.do(abi.OpFetchRead, on(7), number(abi.TagLimit, 3))
	s = s.do(abi.OpFetchRead, on(7))
	s = s.do(abi.OpFetchWrite, on(7), number(abi.TagEnd, 1)) // 5
	s = s.do(abi.OpFetchRead, on(7))
	s = s.do(abi.OpFetch, url(base+"/small"), on(7)) // the number is free again
	s = s.do(abi.OpFetchRead, on(7))
	s = s.do(abi.OpFetchClose, on(7))
	s = s.do(abi.OpFetchRead, on(7)) // 10
	s = s.do(abi.OpFetchClose, on(9))
	s = s.do(abi.OpFetch, url(base+"/length"), text(abi.TagMethod, "POST"), header("Content-Length", "3"), text(abi.TagBody, "abc"), on(1), number(abi.TagMore, 1)) // needs no end
	s = s.do(abi.OpFetchRead, on(1))
	s = s.do(abi.OpFetch, url("http://127.0.0.1:1/"), on(2))
	s = s.do(abi.OpFetchRead, on(2))
	s = s.do(abi.OpFetchWrite, on(7), text(abi.TagBody, "x")) // 16
	r := w.perform(p, s)
	if r[0].code != 200 || r[0].end || r[0].body != "" {
		t.Errorf("head: %+v", r[0])
	}
	if r[1].body != "FIRST " || r[3].body != "SEC" || r[4].body != "OND" || r[6].body != "" || !r[6].end {
		t.Errorf("parts: %+v", r[1:7])
	}
	if r[7].body+r[8].body != "small" || !r[8].end || r[8].status != 0 {
		t.Errorf("small: %+v", r[7:9])
	}
	if r[9].status != 0 || r[10].status != abi.OpClosed || r[11].status != 0 {
		t.Errorf("closed: %+v", r[9:12])
	}
	if r[12].body+r[13].body != "3 abc" {
		t.Errorf("of a known length: %+v", r[12:14])
	}
	if r[14].status != abi.OpNetwork || r[14].message != "connecting to 127.0.0.1: connection refused" || r[15].status != abi.OpNetwork {
		t.Errorf("refused: %+v", r[14:16])
	}
	if r[16].status != abi.OpClosed {
		t.Errorf("write to a closed stream: %+v", r[16])
	}
}

// TestFetchRefused: addresses, programs without internet access, and times.
func TestFetchRefused(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	w, p, base := outside(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	})
	var s script
	s = s.do(abi.OpFetch, url("http://10.0.0.1/"))
	s = s.do(abi.OpFetch, url(base), patienceOf(10*time.Millisecond))
	s = s.do(abi.OpFetch, url(base), patienceOf(10*time.Millisecond), number(abi.TagStream, 1))
	s = s.step(0, abi.OpFetch, []byte("no frame"))
	r := w.perform(p, s)
	for n, want := range []result{
		{status: abi.OpForbidden, message: "10.0.0.1 is a private address; the operator can allow it with --allow-egress"},
		{status: abi.OpTimeout, message: "no answer within 10ms"},
		{status: abi.OpTimeout, message: "no answer within 10ms"},
		{status: abi.OpInvalidArgument, message: `invalid frame: it does not begin with "alv1"`},
	} {
		if r[n].status != want.status || r[n].message != want.message {
			t.Errorf("%d: %d %s, want %s", n, r[n].status, r[n].message, want.message)
		}
	}
	offline := w.deployVersion("offline", scripted, programs.Version{Memory: 200, NoInternet: true})
	for _, q := range w.perform(offline, script{}.do(abi.OpFetch, url(base)).do(abi.OpFetchRead, number(abi.TagStream, 1))) {
		if q.status != abi.OpForbidden || q.message != "this program has no internet access (internet: false)" {
			t.Errorf("%+v", q)
		}
	}
}

// TestFetchCancel cancels operations: the exchange ends for a request and a write, a read loses nothing.
func TestFetchCancel(t *testing.T) {
	gone := make(chan string, 10)
	more, proceed := make(chan struct{}), make(chan struct{})
	var reached, begun sync.WaitGroup
	reached.Add(2)
	begun.Add(1)
	w, p, base := outside(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait", "/wait-streamed":
			reached.Done()
			<-r.Context().Done()
			gone <- r.URL.Path
		case "/reached":
			reached.Wait()
		case "/begun":
			begun.Wait()
		case "/slow":
			rw.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(rw).Flush()
			<-more
			fmt.Fprint(rw, "all of it")
		case "/full":
			_, _ = r.Body.Read(make([]byte, 1))
			begun.Done()
			<-proceed
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				gone <- r.URL.Path
			}
		}
	})
	on := func(n uint32) field { return number(abi.TagStream, n) }
	var s script
	s = s.start(abi.OpFetch, url(base+"/wait"))                 // 0
	s = s.start(abi.OpFetch, url(base+"/wait-streamed"), on(1)) // 1
	s = s.do(abi.OpFetch, url(base+"/reached"))
	s = s.cancel(0).cancel(1)
	s = s.sleep(50 * time.Millisecond)
	r := w.perform(p, s)
	for range 2 {
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatal("a request that was cancelled goes on")
		}
	}
	if len(r) != 2 {
		t.Errorf("%+v", r)
	}

	s = script{}.do(abi.OpFetch, url(base+"/slow"), on(1))
	s = s.start(abi.OpFetchRead, on(1)) // 0
	s = s.do(abi.OpFetchRead, on(1))    // refused
	s = s.cancel(0)
	s = s.start(abi.OpFetchRead, on(1)) // 1
	s = s.sleep(time.Millisecond)
	time.AfterFunc(100*time.Millisecond, func() { close(more) })
	s = s.cancel(1)
	s = s.do(abi.OpFetchRead, on(1), number(abi.TagLimit, 3))
	s = s.do(abi.OpFetchRead, on(1))
	r = w.perform(p, s)
	if r[1].status != abi.OpInvalidArgument || r[3].body != "all" || r[4].body != " of it" {
		t.Errorf("%+v", r)
	}

	s = script{}.start(abi.OpFetch, url(base+"/full"), text(abi.TagMethod, "POST"), on(1), number(abi.TagMore, 1)) // 0
	large := text(abi.TagBody, strings.Repeat("x", 12<<20))
	s = s.start(abi.OpFetchWrite, on(1), large) // 1: more than buffers take
	s = s.do(abi.OpFetchWrite, on(1), text(abi.TagBody, "x"))
	s = s.do(abi.OpFetch, url(base+"/begun"))
	s = s.cancel(1)
	s = s.wait(0)
	r = w.perform(p, s)
	if r[0].status != abi.OpInvalidArgument || r[1].code != http.StatusOK || r[2].status != abi.OpClosed {
		t.Errorf("%+v", r)
	}
	close(proceed)
	if path := <-gone; path != "/full" {
		t.Error(path)
	}
	w.idle()
}

// idle waits until nothing is under way any more.
func (w *world) idle() {
	w.Helper()
	for deadline := time.Now().Add(10 * time.Second); w.dispatcher.Operations() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("%d operations are still under way", w.dispatcher.Operations())
		}
	}
}

// TestFetchEnds: an invocation that ends takes its exchanges with it.
func TestFetchEnds(t *testing.T) {
	gone := make(chan struct{}, 100)
	w, p, base := outside(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(rw).Flush()
		for r.Context().Err() == nil {
			if _, err := rw.Write(make([]byte, 64<<10)); err != nil {
				break
			}
		}
		gone <- struct{}{}
	})
	var s script
	for n := range uint32(maxStreams) {
		s = s.do(abi.OpFetch, url(base), number(abi.TagStream, n))
	}
	s = s.do(abi.OpFetch, url(base), number(abi.TagStream, maxStreams))
	s = s.do(abi.OpFetch, url(base), number(abi.TagStream, 3))
	s = s.do(abi.OpFetchClose, number(abi.TagStream, 3))
	s = s.do(abi.OpFetch, url(base), number(abi.TagStream, 3))
	s = s.do(abi.OpFetchRead, number(abi.TagStream, 3), number(abi.TagLimit, 1<<30))
	s = s.do(abi.OpFetchClose, number(abi.TagStream, 3))
	for range maxStreams + 1 { // one that fails is not open
		s = s.do(abi.OpFetch, url("http://127.0.0.1:1"), number(abi.TagStream, 3))
	}
	r := w.perform(p, s)
	for _, q := range r[maxStreams+6:] {
		if q.status != abi.OpNetwork {
			t.Errorf("after others that failed: %+v", q)
		}
	}
	if q := r[maxStreams]; q.status != abi.OpUnavailable || q.message != "64 streams are open, the limit" {
		t.Errorf("one too many: %+v", q)
	}
	if q := r[maxStreams+1]; q.status != abi.OpInvalidArgument || q.message != "stream 3 is open" {
		t.Errorf("the same number: %+v", q)
	}
	if q := r[maxStreams+3]; q.code != 200 {
		t.Errorf("after closing one: %+v", q)
	}
	if q := r[maxStreams+4]; len(q.body) == 0 || len(q.body) > readAhead {
		t.Errorf("%d bytes read", len(q.body))
	}
	for range maxStreams + 1 {
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatal("an exchange outlives its invocation")
		}
	}
}

// TestFetchAhead: of a body that the guest does not read, the node reads only so much ahead.
func TestFetchAhead(t *testing.T) {
	var sent atomic.Int64
	w, p, base := outside(t, func(rw http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := rw.Write(make([]byte, 64<<10))
			if err != nil {
				return
			}
			sent.Add(int64(n))
		}
	})
	s := script{}.do(abi.OpFetch, url(base), number(abi.TagStream, 1)).sleep(300 * time.Millisecond)
	w.perform(p, s)
	if n := sent.Load(); n > 32<<20 { // the kernel's buffers are a part of it
		t.Errorf("%d bytes were sent to a guest that read none", n)
	}
	if n := w.records("scripted")[0].InboundBytes; n > readAhead+2*readPiece {
		t.Errorf("%d bytes were read", n)
	}
}

// TestFetchHeld: answers that a guest does not take are bounded.
func TestFetchHeld(t *testing.T) {
	var w *world
	w, p, base := outside(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/settled" {
			for end := time.Now().Add(20 * time.Second); w.dispatcher.Operations() > 1 && time.Now().Before(end); {
				time.Sleep(time.Millisecond) // until this request is the only one under way
			}
			return
		}
		rw.Header().Set("Content-Length", fmt.Sprint(15<<20))
		_, _ = rw.Write(make([]byte, 15<<20))
	})
	var s script
	for range 6 {
		s = s.start(abi.OpFetch, url(base+"/first"))
	}
	s = s.do(abi.OpFetch, url(base+"/settled"))
	for n := range uint32(6) {
		s = s.wait(n)
	}
	full := 0
	for _, q := range w.perform(p, s) {
		if q.status == abi.OpUnavailable {
			full++
		}
	}
	if full == 0 {
		t.Error("90 MiB of answers are held")
	}
	if r := w.perform(p, script{}.do(abi.OpFetch, url(base)).do(abi.OpFetch, url(base))); r[0].code != 200 || r[1].code != 200 {
		t.Error("what was held is not given back")
	}
	if err := w.dispatcher.config.Egress.Program("scripted").Reserve(egress.MaxHeld); err != nil {
		t.Error(err)
	}
}

// FuzzFetchRequest reads frames as guests send them.
func FuzzFetchRequest(f *testing.F) {
	f.Add(operation(url("http://example.org"), header("a", "b"), text(abi.TagBody, "x"), number(abi.TagStream, 1), number(abi.TagMore, 1),
		number(abi.TagRedirects, 20), number(abi.TagLimit, 5), number(abi.TagEnd, 1), patienceOf(time.Second)))
	f.Add([]byte("alv1"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		q, err := readFetch(frame)
		if err == nil && (q.more && !q.streamed || q.limit < 1 || q.limit > readAhead || q.patience < 0 || q.Redirects < 0) {
			t.Errorf("%+v", q)
		}
	})
}
