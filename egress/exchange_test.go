package egress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
)

// raw is a server that gives each connection to a function.
func raw(t testing.TB, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			work.Go(func() {
				defer conn.Close()
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return "http://" + listener.Addr().String()
}

// head reads a request up to the empty line.
func head(r *bufio.Reader) string {
	var all strings.Builder
	for {
		line, err := r.ReadString('\n')
		all.WriteString(line)
		if err != nil || line == "\r\n" {
			return all.String()
		}
	}
}

// TestBytes looks at what is sent, byte for byte: what the program gave, and what HTTP needs.
func TestBytes(t *testing.T) {
	sent := make(chan string, 1)
	url := raw(t, func(conn net.Conn, r *bufio.Reader) {
		text := head(r)
		if req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(text), r))); err == nil {
			_, _ = io.Copy(io.Discard, req.Body) // all of it, or closing the connection would break the client's writing
		}
		sent <- text
		fmt.Fprint(conn, "HTTP/1.1 299 Fine by me\r\nConnection: close\r\nKeep-Alive: x\r\nTrailer: y\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")
	})
	host := strings.TrimPrefix(url, "http://")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	p := newClient(t, Config{}, "127.0.0.1").Program("p")
	for _, c := range []struct {
		request Request
		want    string
	}{
		{Request{Method: "GET", URL: url}, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"},
		{Request{Method: "HEAD", URL: url + "/a%20b?c=d#e"}, "HEAD /a%20b?c=d HTTP/1.1\r\nHost: " + host + "\r\n\r\n"},
		{Request{Method: "POST", URL: url}, "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n"},
		{Request{Method: "patch", URL: url, Body: []byte("xyz"), Header: []Field{{"content-length", "3"}, {"Content-Length", " 3 "}}},
			"patch / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 3\r\n\r\n"},
		{Request{Method: "GET", URL: url, Header: []Field{{"host", "other.test"}, {"user-agent", "mine"}, {"x-a", "1"}, {"X-A", "2"}, {"connection", "upgrade"},
			{"Upgrade", "websocket"}, {"TE", "trailers"}, {"transfer-encoding", "chunked"}, {"expect", "100-continue"}, {"keep-alive", "1"}, {"cookie", "c"}}},
			"GET / HTTP/1.1\r\nHost: other.test\r\nUser-Agent: mine\r\nCookie: c\r\nX-A: 1\r\nX-A: 2\r\n\r\n"},
		{Request{Method: "PUT", URL: url, Stream: io.NopCloser(strings.NewReader("stream"))}, "PUT / HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{Request{Method: "PUT", URL: url, Stream: io.NopCloser(strings.NewReader("stream")), Header: []Field{{"content-length", "6"}}},
			"PUT / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 6\r\n\r\n"},
	} {
		resp, body, err := send(p, &c.request)
		if got := <-sent; got != c.want {
			t.Errorf("sent %q, want %q", got, c.want)
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int64{true: 3, false: 0}[c.request.Method != "HEAD"]; resp.Length != want || int64(len(body)) != want || resp.Status != 299 || resp.Reason != "Fine by me" {
			t.Errorf("%+v, %q", resp, body)
		}
		if len(resp.Header) != 2 || resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Content-Length") != "3" {
			t.Errorf("headers %v", resp.Header)
		}
	}
}

// TestInvalid has requests that are refused before anything is sent.
func TestInvalid(t *testing.T) {
	p := newClient(t, Config{}, "all").Program("p")
	long := strings.Repeat("x", MaxURL)
	for _, c := range []struct {
		request Request
		want    string
	}{
		{Request{Method: "", URL: "http://x.test"}, `method: "" is none`},
		{Request{Method: "GE T", URL: "http://x.test"}, `method: "GE T" is none`},
		{Request{Method: "GET\r\nX: y", URL: "http://x.test"}, `method: "GET\r\nX: y" is none`},
		{Request{Method: "connect", URL: "http://x.test"}, "method: connect cannot be used"},
		{Request{Method: "TRACE", URL: "http://x.test"}, "method: TRACE cannot be used"},
		{Request{Method: "GET", URL: ""}, `url: "" is not http: or https:`},
		{Request{Method: "GET", URL: "/path"}, `url: "" is not http: or https:`},
		{Request{Method: "GET", URL: "http:x.test"}, `url: "http:x.test" is not an absolute URL`},
		{Request{Method: "GET", URL: "http:///x"}, "url: it has no host"},
		{Request{Method: "GET", URL: "http://:80/x"}, "url: it has no host"},
		{Request{Method: "GET", URL: "file:///etc/passwd"}, `url: "file" is not http: or https:`},
		{Request{Method: "GET", URL: "gopher://x.test"}, `url: "gopher" is not http: or https:`},
		{Request{Method: "GET", URL: "http://u:p@x.test"}, "url: it has credentials in it; send them in the header authorization"},
		{Request{Method: "GET", URL: "http://x.test:0"}, "url: port 0 is not from 1 to 65535"},
		{Request{Method: "GET", URL: "http://x.test:65536"}, "url: port 65536 is not from 1 to 65535"},
		{Request{Method: "GET", URL: "http://x.test:http"}, `url: "http://x.test:http" is not an absolute URL`},
		{Request{Method: "GET", URL: "http://x.test/\r\nX: y"}, `url: "http://x.test/\r\nX: y" is not an absolute URL`},
		{Request{Method: "GET", URL: "http://[fe80::1%25eth0]/"}, "url: "},
		{Request{Method: "GET", URL: "http://x.test/" + long}, "url: 16398 bytes, limit 16384"},
		{Request{Method: "GET", URL: "http://x.test", Redirects: 21}, "redirects: 21, limit 20"},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"", "x"}}}, `headers: "" is no name of a header`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"a b", "x"}}}, `headers: "a b" is no name of a header`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{":path", "x"}}}, `headers: ":path" is no name of a header`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"a:", "x"}}}, `headers: "a:" is no name of a header`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"a", "x\r\ny: z"}}}, "headers: the value of a has a control character in it"},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"a", "x\x00"}}}, "headers: the value of a has a control character in it"},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"a", strings.Repeat("x", MaxHeaders)}}}, "headers: over 65536 bytes, the limit"},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"host", "a b"}}}, `headers: host: "a b" is not a host's name and port`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"host", "a/b"}}}, `headers: host: "a/b" is not a host's name and port`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"host", "u@h"}}}, `headers: host: "u@h" is not a host's name and port`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"content-length", "-1"}}}, `headers: content-length: "-1" is not the body's length`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"content-length", "3"}, {"content-length", "4"}}}, `headers: content-length: "4" is not the body's length`},
		{Request{Method: "GET", URL: "http://x.test", Header: []Field{{"content-length", "3"}}, Body: []byte("ab")}, "headers: content-length: 3, but the body has 2 bytes"},
	} {
		closed := &closing{Reader: strings.NewReader("x")}
		if c.request.Body == nil && !strings.Contains(c.want, "content-length: 3,") {
			c.request.Stream = closed
		}
		_, _, err := send(p, &c.request)
		fails(t, err, abi.OpInvalidArgument, c.want)
		if c.request.Stream != nil && !closed.closed.Load() {
			t.Errorf("%s: the stream is not closed", c.want)
		}
	}
}

type closing struct {
	io.Reader
	closed atomic.Bool
}

func (c *closing) Close() error {
	c.closed.Store(true)
	return nil
}

// TestRedirects follows redirects as fetch's standard says.
func TestRedirects(t *testing.T) {
	other := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "other %q %q %q", r.Header["Authorization"], r.Header["Cookie"], r.Header["X-Keep"])
	})
	var server string
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var code int
		switch {
		case r.URL.Path == "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case r.URL.Path == "/other":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case r.URL.Path == "/private":
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
		case r.URL.Path == "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		case r.URL.Path == "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case r.URL.Path == "/credentials":
			w.Header().Set("Location", "http://u:p@"+r.Host)
			w.WriteHeader(302)
		case r.URL.Path == "/nowhere":
			w.WriteHeader(302)
		case r.URL.Path == "/large":
			w.Header().Set("Location", "/end")
			w.WriteHeader(302)
			_, _ = w.Write(make([]byte, 1<<20))
		default:
			if n, _ := fmt.Sscanf(r.URL.Path, "/to/%d", &code); n == 1 {
				w.Header().Set("Location", "end?x")
				w.WriteHeader(code)
				return
			}
			fmt.Fprintf(w, "%s %s %q %q %v", r.Method, body, r.Header["Content-Type"], r.Header["Authorization"], r.Host == server)
		}
	})
	server = strings.TrimPrefix(s.URL, "http://")
	p := newClient(t, Config{}, "127.0.0.1").Program("p")
	fields := []Field{{"Content-Type", "text/x"}, {"Authorization", "secret"}, {"Cookie", "c=1"}, {"X-Keep", "k"}}
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/to/301", `GET  ["text/x"] ["secret"] true`},
		{"POST", "/to/301", `GET  [] ["secret"] true`},
		{"POST", "/to/302", `GET  [] ["secret"] true`},
		{"PUT", "/to/302", `PUT body ["text/x"] ["secret"] true`},
		{"PUT", "/to/303", `GET  [] ["secret"] true`},
		{"POST", "/to/307", `POST body ["text/x"] ["secret"] true`},
		{"POST", "/to/308", `POST body ["text/x"] ["secret"] true`},
		{"GET", "/other", `other [] [] ["k"]`},
		{"GET", "/large", `GET  ["text/x"] ["secret"] true`},
	} {
		r := &Request{Method: c.method, URL: s.URL + c.path, Header: fields, Redirects: 1}
		if c.method != "GET" {
			r.Body = []byte("body")
		}
		resp, body, err := send(p, r)
		if err != nil || body != c.want {
			t.Errorf("%s %s: %q, %v, want %q", c.method, c.path, body, err, c.want)
		}
		if err == nil && strings.HasPrefix(c.path, "/to") && resp.URL != s.URL+"/to/end?x" {
			t.Errorf("%s %s: the URL is %s", c.method, c.path, resp.URL)
		}
	}
	for _, c := range []struct {
		path   string
		status uint32
		want   string
	}{
		{"/loop", abi.OpNetwork, "127.0.0.1 redirects once more; the limit is 20"},
		{"/private", abi.OpForbidden, "10.0.0.1 is a private address"},
		{"/metadata", abi.OpForbidden, "169.254.169.254 is a cloud's metadata address"},
		{"/file", abi.OpNetwork, `127.0.0.1 redirects to "file:///etc/passwd", which cannot be requested`},
		{"/credentials", abi.OpNetwork, "127.0.0.1 redirects to "},
	} {
		traffic := &Traffic{}
		_, _, err := send(p, &Request{Method: "GET", URL: s.URL + c.path, Redirects: MaxRedirects, Traffic: traffic})
		fails(t, err, c.status, c.want)
		if c.path == "/loop" && traffic.Requests.Load() != 21 {
			t.Errorf("%d requests of a loop", traffic.Requests.Load())
		}
	}
	if resp, _, err := send(p, &Request{Method: "GET", URL: s.URL + "/nowhere", Redirects: 20}); err != nil || resp.Status != 302 {
		t.Errorf("a redirect to nowhere: %+v, %v", resp, err)
	}
	_, _, err := send(p, &Request{Method: "POST", URL: s.URL + "/to/307", Redirects: 20, Stream: io.NopCloser(strings.NewReader("x"))})
	fails(t, err, abi.OpNetwork, "127.0.0.1 redirects with 307, but a streamed body cannot be sent twice")
	if resp, _, err := send(p, &Request{Method: "POST", URL: s.URL + "/to/303", Redirects: 20, Stream: io.NopCloser(strings.NewReader("x"))}); err != nil || resp.Status != 200 {
		t.Errorf("303 of a streamed body: %v", err)
	}
	if n := len(p.exchanges); n != 0 {
		t.Errorf("%d exchanges are left", n)
	}
}

// TestTLS checks certificates, and speaks HTTP/2 where the server does.
func TestTLS(t *testing.T) {
	n := newNames(t)
	for _, name := range []string{"good.test", "bad.test", "unknown.test", "plain.test"} {
		n.set(name, []netip.Addr{addr("127.0.0.1")})
	}
	a := newAuthority(t)
	soon := time.Now().Add(time.Hour)
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %q %q", r.Proto, body, r.Header["User-Agent"], r.Header["Accept-Encoding"])
	}
	p := newClient(t, Config{Resolver: n.resolver(), Roots: a.roots()}, "127.0.0.1").Program("p")
	for _, http2 := range []bool{false, true} {
		s := a.server("good.test", soon, http2, echo)
		want := map[bool]string{false: "HTTP/1.1 x [] []", true: "HTTP/2.0 x [] []"}[http2]
		for range 3 {
			resp, body, err := send(p, &Request{Method: "POST", URL: "https://good.test:" + port(s), Body: []byte("x")})
			if err != nil || body != want || resp.Reason != "OK" {
				t.Fatalf("%q, %+v, %v, want %q", body, resp, err, want)
			}
		}
		huge := a.server("good.test", soon, http2, func(w http.ResponseWriter, r *http.Request) {
			for i := range 70 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("a", 1000))
			}
		})
		_, _, err := get(p, "https://good.test:"+port(huge))
		fails(t, err, abi.OpNetwork, "the answer's headers are over 64 KiB")
		broken := a.server("good.test", soon, http2, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		_, _, err = get(p, "https://good.test:"+port(broken))
		fails(t, err, abi.OpNetwork, "")
		_, _, err = get(p, "https://bad.test:"+port(s))
		fails(t, err, abi.OpNetwork, "certificate of bad.test: it is of another host")
	}
	_, _, err := get(p, "https://good.test:"+port(a.server("good.test", time.Now().Add(-time.Minute), true, echo)))
	fails(t, err, abi.OpNetwork, "certificate of good.test: certificate has expired or is not yet valid")
	_, _, err = get(p, "https://good.test:"+port(newAuthority(t).server("good.test", soon, true, echo)))
	fails(t, err, abi.OpNetwork, "certificate of good.test: certificate signed by unknown authority")
	_, _, err = get(p, "https://plain.test:"+port(newServer(t, echo)))
	fails(t, err, abi.OpNetwork, "plain.test does not speak TLS at this port")
}

// TestStreams has both bodies under way at once, with HTTP/1.1 and HTTP/2.
func TestStreams(t *testing.T) {
	n := newNames(t)
	n.set("good.test", []netip.Addr{addr("127.0.0.1")})
	a := newAuthority(t)
	upper := func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_ = control.Flush()
		buffer := make([]byte, 100)
		for {
			n, err := r.Body.Read(buffer)
			_, _ = w.Write(bytes.ToUpper(buffer[:n]))
			_ = control.Flush()
			if err != nil {
				return
			}
		}
	}
	p := newClient(t, Config{Resolver: n.resolver(), Roots: a.roots()}, "127.0.0.1").Program("p")
	for _, url := range []string{newServer(t, upper).URL, "https://good.test:" + port(a.server("good.test", time.Now().Add(time.Hour), true, upper))} {
		from, to := io.Pipe()
		resp, err := p.Do(context.Background(), &Request{Method: "POST", URL: url, Stream: from, Traffic: &Traffic{}})
		if err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 10)
		for _, part := range []string{"one", "two", "three"} {
			if _, err := io.WriteString(to, part); err != nil {
				t.Fatal(err)
			}
			if n, err := io.ReadFull(resp.Body, buffer[:len(part)]); err != nil || string(buffer[:n]) != strings.ToUpper(part) {
				t.Fatalf("%q, %v", buffer[:n], err)
			}
		}
		to.Close()
		if _, err := resp.Body.Read(buffer); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		resp.Body.Close()
	}
}

// TestServers has servers that do not behave.
func TestServers(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	p := newClient(t, Config{}, "127.0.0.1").Program("p")
	for name, c := range map[string]struct {
		answer string
		status uint32
		want   string
	}{
		"nothing":        {"", abi.OpNetwork, "127.0.0.1 closed the connection before the answer's end"},
		"no HTTP":        {"SSH-2.0-OpenSSH\r\n\r\n", abi.OpNetwork, "127.0.0.1: malformed HTTP response"},
		"cut head":       {"HTTP/1.1 200 OK\r\nContent-", abi.OpNetwork, "127.0.0.1: malformed MIME header"},
		"huge headers":   {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 70) + "\r\n", abi.OpNetwork, "the answer's headers are over 64 KiB"},
		"endless header": {"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 1<<20), abi.OpNetwork, "the answer's headers are over 64 KiB"},
		"switch":         {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", abi.OpNetwork, "127.0.0.1 switched to another protocol"},
		"bad length":     {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", abi.OpNetwork, "127.0.0.1: "},
		"bad chunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", abi.OpNetwork, "127.0.0.1: "},
		"cut body":       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", abi.OpNetwork, "127.0.0.1 closed the connection before the answer's end"},
	} {
		url := raw(t, func(conn net.Conn, r *bufio.Reader) {
			head(r)
			_, _ = io.WriteString(conn, c.answer)
		})
		_, _, err := get(p, url)
		if fails(t, err, c.status, c.want); t.Failed() {
			t.Fatal(name)
		}
	}

	// One that says nothing, and one that stops in the middle: the context ends the wait.
	for _, answer := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"} {
		begun := make(chan struct{}, 1)
		url := raw(t, func(conn net.Conn, r *bufio.Reader) {
			head(r)
			_, _ = io.WriteString(conn, answer)
			begun <- struct{}{}
			<-stop
		})
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-begun
			cancel()
		}()
		resp, err := p.Do(ctx, &Request{Method: "GET", URL: url, Traffic: &Traffic{}})
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		fails(t, err, abi.OpClosed, "the request was cancelled")
	}
	if n := len(p.exchanges); n != 0 {
		t.Errorf("%d exchanges are left", n)
	}
}

// TestConnections keeps connections for the next request, each program its own, and never has more than there may be.
func TestConnections(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	handler := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr]++
	}
	one, two := newServer(t, handler), newServer(t, handler)
	c := newClient(t, Config{Connections: 1}, "127.0.0.1")
	for range 3 {
		if _, _, err := get(c.Program("a"), one.URL); err != nil {
			t.Fatal(err)
		}
	}
	if len(from) != 1 || c.Connections() != 1 {
		t.Errorf("connections of one program: %v", from)
	}
	if _, _, err := get(c.Program("b"), one.URL); err != nil { // the idle one of a makes room
		t.Fatal(err)
	}
	if _, _, err := get(c.Program("a"), two.URL); err != nil {
		t.Fatal(err)
	}
	if len(from) != 3 {
		t.Errorf("connections of two programs to two hosts: %v", from)
	}
	c.Remove("a")
	for deadline := time.Now().Add(10 * time.Second); c.Connections() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a removed program keeps its connection")
		}
	}
}

// TestExchanges has more requests than a program may have at once.
func TestExchanges(t *testing.T) {
	var now, most atomic.Int64
	handler := func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond)
	}
	n, a := newNames(t), newAuthority(t)
	n.set("good.test", []netip.Addr{addr("127.0.0.1")})
	s := newServer(t, handler)
	secure := a.server("good.test", time.Now().Add(time.Hour), true, handler)
	c := newClient(t, Config{Resolver: n.resolver(), Roots: a.roots()}, "127.0.0.1")
	p := c.Program("p")
	for url, atOnce := range map[string]int64{s.URL: hostConns, "https://good.test:" + port(secure): MaxExchanges} {
		most.Store(0)
		var all sync.WaitGroup
		for range 2 * MaxExchanges {
			all.Go(func() {
				if _, _, err := get(p, url); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most.Load() > atOnce {
			t.Errorf("%d at once to %s", most.Load(), url)
		}
	}
	if c.Connections() > 2*hostConns {
		t.Errorf("%d connections", c.Connections())
	}
	for range MaxExchanges {
		p.exchanges <- struct{}{}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(&Error{abi.OpTimeout, "enough"})
	_, err := p.Do(ctx, &Request{Method: "GET", URL: s.URL, Traffic: &Traffic{}})
	fails(t, err, abi.OpTimeout, "enough")
}

// TestClose ends what is under way.
func TestClose(t *testing.T) {
	reached, stop := make(chan struct{}), make(chan struct{})
	defer close(stop)
	url := raw(t, func(conn net.Conn, r *bufio.Reader) {
		head(r)
		close(reached)
		<-stop
	})
	c := newClient(t, Config{}, "127.0.0.1")
	failed := make(chan error, 1)
	go func() {
		_, _, err := get(c.Program("p"), url)
		failed <- err
	}()
	<-reached
	c.Close()
	if err := <-failed; err == nil {
		t.Error("no error")
	}
	_, _, err := get(c.Program("p"), url)
	fails(t, err, abi.OpUnavailable, "the node is shutting down")
}

func TestHeld(t *testing.T) {
	c := newClient(t, Config{})
	p, q := c.Program("p"), c.Program("q")
	if err := p.Reserve(MaxHeld); err != nil {
		t.Fatal(err)
	}
	fails(t, p.Reserve(1), abi.OpUnavailable, "the program's answers that are not yet taken are over 64 MiB")
	if err := q.Reserve(1); err != nil {
		t.Fatal(err)
	}
	p.Unreserve(MaxHeld)
	for i := range MaxHeldAll / MaxHeld {
		if err := c.Program(fmt.Sprint(i)).Reserve(MaxHeld); (err != nil) != (i == MaxHeldAll/MaxHeld-1) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// FuzzRequest: whatever a program gives, what is sent is one request with that method, or it is refused.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "http://example.org/a?b", "x-a", "b", "body")
	f.Add("POST", "https://[2001:db8::1]:8443/%0d%0a", "host", "x.test:1", "")
	f.Add("PUT", "http://EXAMPLE.org./", "content-length", "4", "body")
	f.Add("G\nT", "http://a b/", "transfer-encoding", "chunked", "0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
	f.Fuzz(func(t *testing.T, method, url, name, value, content string) {
		r := Request{Method: method, URL: url, Header: []Field{{name, value}}, Body: []byte(content)}
		req, err := r.prepare()
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Status != abi.OpInvalidArgument {
				t.Fatalf("%#v", err)
			}
			return
		}
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(content)), int64(len(content))
		var wire bytes.Buffer
		if err := req.Write(&wire); err != nil {
			return // net/http refuses it
		}
		in := bufio.NewReader(&wire)
		got, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("what is sent cannot be read: %v", err)
		}
		body, err := io.ReadAll(got.Body)
		if err != nil || got.Method != method || len(body) != len(content) || in.Buffered() != 0 || wire.Len() != 0 {
			t.Fatalf("%q, %d of %d bytes, %d more, %v", got.Method, len(body), len(content), in.Buffered()+wire.Len(), err)
		}
	})
}
