package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
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
	(memory (export "memory") 1600)
	(data (i32.const 0) "alv1\14\00\00\00")
	(global $out (mut i32) (i32.const 12))          ;; the end of the response, which begins at 0
	(global $tickets (mut i32) (i32.const 0))
	(func $finish (param $ticket i32) (local $n i32)
		(local.set $n (i32.wrap_i64 (call $wait (local.get $ticket))))
		(i32.store (global.get $out) (local.get $n))
		(drop (call $take (local.get $ticket) (i32.add (global.get $out) (i32.const 4)) (local.get $n)))
		(global.set $out (i32.add (global.get $out) (i32.add (local.get $n) (i32.const 4)))))
	(func $ticket (param $n i32) (result i32)
		(i32.load (i32.add (i32.const 0x3000000) (i32.shl (local.get $n) (i32.const 2)))))
	(func (export "aleph_handle") (param $length i32) (local $at i32) (local $end i32) (local $action i32) (local $number i32)
		(drop (call $read (i32.const 0x3100000) (i32.const 0) (local.get $length)))
		(local.set $at (i32.const 0x3100004))
		(local.set $end (i32.add (i32.const 0x3100000) (local.get $length)))
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
				(i32.store (i32.add (i32.const 0x3000000) (i32.shl (global.get $tickets) (i32.const 2)))
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
