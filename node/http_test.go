package node

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/network"
)

// echoSource shows the request and the context as a handler gets them.
const echoSource = `export default (req, context) => ({
	req: { ...req }, keys: Object.keys(req), raw: [...req.rawBody].slice(0, 20), isBytes: req.rawBody instanceof Uint8Array,
	context: { ...context, aleph: Object.keys(context.aleph) },
});`

// echoed is what echoSource answers.
type echoed struct {
	Req struct {
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Query   map[string]any    `json:"query"`
		Headers map[string]string `json:"headers"`
		Body    any               `json:"body"`
	} `json:"req"`
	Keys    []string `json:"keys"`
	Raw     []int    `json:"raw"`
	IsBytes bool     `json:"isBytes"`
	Context struct {
		FunctionID string   `json:"functionId"`
		NodeID     string   `json:"nodeId"`
		Account    string   `json:"account"`
		RequestID  string   `json:"requestId"`
		Aleph      []string `json:"aleph"`
	} `json:"context"`
}

func (a answer) echoed(t testing.TB) (e echoed) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != 200 {
		t.Fatalf("%v: %v", a, err)
	}
	return e
}

// TestRequest checks what a handler is given.
func TestRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("echo", echoSource)

	t.Run("addresses", func(t *testing.T) {
		raw, err := hex.DecodeString(p.id)
		if err != nil {
			t.Fatal(err)
		}
		label := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
		for _, test := range []struct{ target, host, path string }{
			{p.url(""), "", "/"},
			{p.url("/"), "", "/"},
			{p.url("/users/7"), "", "/users/7"},
			{p.url("/users/7/?x=1"), "", "/users/7/"},
			{p.url("//a/../b"), "", "//a/../b"},
			{p.url("/a%2Fb%20c"), "", "/a%2Fb%20c"},
			{p.url("?x=/y"), "", "/"},
			{"/vm/" + p.id, "", "/"},
			{"/vm/" + p.id + "/", "", "/"},
			{"/vm/" + p.id + "/users/7", "", "/users/7"},
			{"/", label + ".example.org", "/"},
			{"/users/7", label + ".example.org:4020", "/users/7"},
			{"/api/v0/node", label + ".localhost", "/api/v0/node"},
			{"/about/usage/system", strings.ToUpper(label) + ".localhost", "/about/usage/system"},
		} {
			var header []string
			if test.host != "" {
				header = []string{"Host", test.host}
			}
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"} {
				e := w.do(method, test.target, "", header...).echoed(t)
				if e.Req.Path != test.path || e.Req.Method != method {
					t.Errorf("%s %s%s: %s %s, want the path %s", method, test.host, test.target, e.Req.Method, e.Req.Path, test.path)
				}
			}
		}
		for _, host := range []string{label + "x.example.org", label[:51] + ".example.org", strings.Repeat("1", 52) + ".example.org", "localhost"} {
			if a := w.do("GET", "/users/7", "", "Host", host); a.status != 404 || a.fault(t).Code != "not_found" {
				t.Errorf("%s: %v", host, a)
			}
		}
		if a := w.do("GET", "/", "", "Host", strings.Repeat("a", 52)+".example.org"); a.status != 404 || a.fault(t).Code != "program_not_found" {
			t.Error(a)
		}
	})

	t.Run("absolute address", func(t *testing.T) { // as requests through a proxy have
		s := w.site
		s.TB = t
		for target, want := range map[string]string{
			"http://example.org" + p.url("/x/y?z=1"): "/x/y",
			"HTTP://example.org:80" + p.url(""):      "/",
		} {
			conn := s.dial()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: example.org\r\n\r\n", target)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if e := (answer{resp.StatusCode, resp.Header, string(body)}).echoed(t); e.Req.Path != want {
				t.Errorf("%s: the path is %s, want %s", target, e.Req.Path, want)
			}
		}
	})

	t.Run("query", func(t *testing.T) {
		for query, want := range map[string]map[string]any{
			"":                         {},
			"?":                        {},
			"?a=1":                     {"a": "1"},
			"?a=1&b=2&a=3":             {"a": []any{"1", "3"}, "b": "2"},
			"?a=1&a=2&a=3":             {"a": []any{"1", "2", "3"}},
			"?a":                       {"a": ""},
			"?a=&b":                    {"a": "", "b": ""},
			"?a=x%20y+z&%C3%BC=%C3%A9": {"a": "x y z", "ü": "é"},
			"?a=b=c":                   {"a": "b=c"},
			"?__proto__=1":             {"__proto__": "1"},
			"?toString=1":              {"toString": "1"},
			"?a=%":                     {"a": "%"},
			"?a=%F0%9F%98%80":          {"a": "😀"},
		} {
			a := p.get(query)
			if e := a.echoed(t); !reflect.DeepEqual(e.Req.Query, want) && !strings.Contains(query, "__proto__") {
				t.Errorf("%s: got %v, want %v", query, e.Req.Query, want)
			}
		}
	})

	t.Run("headers and body", func(t *testing.T) {
		for _, test := range []struct {
			kind, body string
			want       any
		}{
			{"application/json", `{"n":1,"l":[null,true]}`, map[string]any{"n": 1.0, "l": []any{nil, true}}},
			{"application/json; charset=utf-8", `[1,2]`, []any{1.0, 2.0}},
			{"APPLICATION/JSON", `7`, 7.0},
			{"application/vnd.api+json", `{}`, map[string]any{}},
			{"application/json", `null`, nil},
			{"text/plain", `{"n":1}`, `{"n":1}`},
			{"", `{"n":1}`, `{"n":1}`},
			{"text/plain", "grüße", "grüße"},
			{"application/x-www-form-urlencoded", "a=1&b=2", "a=1&b=2"},
		} {
			e := p.do("POST", p.url("/x"), test.body, "Content-Type", test.kind, "X-Test", "one", "X-TEST", "two").echoed(t)
			if !reflect.DeepEqual(e.Req.Body, test.want) {
				t.Errorf("%s %s: got %#v, want %#v", test.kind, test.body, e.Req.Body, test.want)
			}
			if !e.IsBytes || len(e.Raw) != min(20, len(test.body)) || len(e.Raw) > 0 && byte(e.Raw[0]) != test.body[0] {
				t.Errorf("%s: rawBody is %v", test.body, e.Raw)
			}
			if e.Req.Headers["content-type"] != test.kind || e.Req.Headers["x-test"] != "one, two" || e.Req.Headers["host"] != w.address {
				t.Errorf("the headers are %v", e.Req.Headers)
			}
			if want := []string{"method", "path", "query", "headers", "body"}; !reflect.DeepEqual(e.Keys, want) {
				t.Errorf("req has %v, want %v", e.Keys, want)
			}
		}
		if e := p.do("POST", p.url(""), "", "X-Nothing", "").echoed(t); len(e.Raw) != 0 {
			t.Errorf("no body: %+v", e.Req)
		}
	})

	t.Run("context", func(t *testing.T) {
		a := p.get("")
		e := a.echoed(t)
		if e.Context.FunctionID != p.id || e.Context.NodeID != w.node.ID() || e.Context.Account != network.Address(w.owner) ||
			e.Context.RequestID != a.header.Get("Aleph-Request-Id") || len(e.Context.RequestID) != 32 || !reflect.DeepEqual(e.Context.Aleph, []string{"store"}) {
			t.Errorf("the context is %+v, the headers %v", e.Context, a.header)
		}
		if again := p.get("").echoed(t); again.Context.RequestID == e.Context.RequestID {
			t.Error("two requests have one id")
		}
		if a.header.Get("Aleph-Program-ItemHash") != p.id || a.header.Get("Aleph-Program-Code-Ref") != p.store {
			t.Errorf("the headers are %v", a.header)
		}
	})

	t.Run("broken JSON", func(t *testing.T) {
		if a := p.do("POST", p.url(""), `{"n":`, "Content-Type", "application/json"); a.status >= 500 {
			t.Errorf("a broken body is the node's or the program's fault: %v", a)
		}
	})
}

// TestReplies checks what becomes of what handlers return.
func TestReplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("replies", `const replies = {
		'/object': () => ({ message: 'Hëllo' }), '/array': () => [1, 'a', null], '/number': () => 1.5, '/boolean': () => false, '/null': () => null,
		'/text': () => 'plain tëxt', '/empty': () => '', '/nothing': () => undefined,
		'/bytes': () => new Uint8Array([0, 255, 10, 13]), '/buffer': () => new Uint8Array([1, 2]).buffer,
		'/async': async () => { await new Promise((done) => setTimeout(done, 5)); return { late: true }; },
		'/thenable': () => ({ then(done) { done('then'); } }),
		'/status': () => ({ status: 201, headers: { 'X-One': '1', 'Set-Cookie': ['a=1; Path=/x', 'a=2; Path=/y'] }, body: 'made' }),
		'/statusCode': () => ({ statusCode: 404, headers: { 'content-type': 'text/html' }, body: '<p>none</p>' }),
		'/status-json': () => ({ status: 200, headers: {}, body: { a: 1 } }),
		'/status-bytes': () => ({ status: 200, headers: { 'content-type': 'image/png' }, body: new Uint8Array([137, 80, 78, 71]) }),
		'/status-only': () => ({ status: 204 }), '/no-body': () => ({ status: 204, headers: {}, body: 'never sent' }), '/not-modified': () => ({ status: 304, headers: { etag: '"e"' }, body: 'never sent' }),
		'/not-a-response': () => ({ status: 'active', body: 'x' }),
		'/response': () => new Response('real', { status: 203, headers: { 'X-Real': 'yes' } }),
		'/response-json': () => Response.json({ a: [1] }, { status: 418 }),
		'/response-bytes': () => new Response(new Uint8Array([0, 1, 2])),
		'/redirect': () => Response.redirect('https://example.org/x', 307),
		'/redirect-plain': () => ({ status: 302, headers: { location: '/elsewhere' } }),
		'/connection': () => ({ status: 200, headers: { Connection: 'close', 'Transfer-Encoding': 'chunked', 'Content-Length': '999', 'Keep-Alive': 'x', Upgrade: 'h2c', TE: 'x', Trailer: 'x' }, body: 'whole' }),
		'/split': () => ({ status: 200, headers: { 'X-A': 'a\r\nX-Injected: yes' }, body: '' }),
		'/split-name': () => ({ status: 200, headers: { 'X-A: b\r\nX-Injected': 'yes' }, body: '' }),
		'/nul': () => ({ status: 200, headers: { 'X-A': 'a\0b' }, body: '' }),
		'/large': () => 'x'.repeat(5e6),
	};
	export default (req) => replies[req.path]();`)
	for _, test := range []struct {
		path   string
		status int
		kind   string
		body   string
		header map[string]string
	}{
		{"/object", 200, "application/json", `{"message":"Hëllo"}`, nil},
		{"/array", 200, "application/json", `[1,"a",null]`, nil},
		{"/number", 200, "application/json", `1.5`, nil},
		{"/boolean", 200, "application/json", `false`, nil},
		{"/null", 200, "application/json", `null`, nil},
		{"/text", 200, "text/plain; charset=utf-8", "plain tëxt", nil},
		{"/empty", 200, "text/plain; charset=utf-8", "", nil},
		{"/nothing", 204, "", "", nil},
		{"/bytes", 200, "application/octet-stream", "\x00\xff\n\r", nil},
		{"/buffer", 200, "application/octet-stream", "\x01\x02", nil},
		{"/async", 200, "application/json", `{"late":true}`, nil},
		{"/thenable", 200, "text/plain; charset=utf-8", "then", nil},
		{"/status", 201, "text/plain; charset=utf-8", "made", map[string]string{"X-One": "1"}},
		{"/statusCode", 404, "text/html", "<p>none</p>", nil},
		{"/status-json", 200, "application/json", `{"a":1}`, nil},
		{"/status-bytes", 200, "image/png", "\x89PNG", nil},
		{"/status-only", 204, "", "", nil},
		{"/no-body", 204, "text/plain; charset=utf-8", "", nil},
		{"/not-modified", 304, "text/plain; charset=utf-8", "", map[string]string{"Etag": `"e"`}},
		{"/not-a-response", 200, "application/json", `{"status":"active","body":"x"}`, nil},
		{"/response", 203, "text/plain;charset=UTF-8", "real", map[string]string{"X-Real": "yes"}},
		{"/response-json", 418, "application/json", `{"a":[1]}`, nil},
		{"/response-bytes", 200, "application/octet-stream", "\x00\x01\x02", nil},
		{"/redirect", 307, "", "", map[string]string{"Location": "https://example.org/x"}},
		{"/redirect-plain", 302, "", "", map[string]string{"Location": "/elsewhere"}},
		{"/connection", 200, "text/plain; charset=utf-8", "whole", map[string]string{"Connection": "", "Keep-Alive": "", "Upgrade": "", "Te": "", "Trailer": "", "Content-Length": "5"}},
		{"/large", 200, "text/plain; charset=utf-8", strings.Repeat("x", 5e6), nil},
	} {
		t.Run(test.path[1:], func(t *testing.T) {
			a := p.get(test.path)
			if a.status != test.status || a.body != test.body {
				t.Errorf("got %v, want %d %.100s", a, test.status, test.body)
			}
			if kind := a.header.Get("Content-Type"); kind != test.kind {
				t.Errorf("the content type is %q, want %q", kind, test.kind)
			}
			for name, value := range test.header {
				if a.header.Get(name) != value {
					t.Errorf("%s is %q, want %q", name, a.header.Get(name), value)
				}
			}
			if test.path == "/status" && !reflect.DeepEqual(a.header["Set-Cookie"], []string{"a=1; Path=/x", "a=2; Path=/y"}) {
				t.Errorf("the cookies are %v", a.header["Set-Cookie"])
			}
			if a.header.Get("Server") != "" || a.header.Get("Date") == "" {
				t.Errorf("the headers are %v", a.header)
			}
			head := p.do("HEAD", p.url(test.path), "")
			if head.status != test.status || head.body != "" || head.header.Get("Content-Type") != test.kind {
				t.Errorf("HEAD: %v, %v", head, head.header)
			}
			if n := head.header.Get("Content-Length"); test.status == 200 && test.body != "" && n != fmt.Sprint(len(test.body)) {
				t.Errorf("HEAD: the length is %q, want %d", n, len(test.body))
			}
		})
	}
	for _, path := range []string{"/split", "/split-name", "/nul"} {
		a := p.get(path)
		if a.status != 502 || a.fault(t).Code != "invalid_reply" || a.header.Get("X-Injected") != "" || a.header.Get("X-A") != "" {
			t.Errorf("%s: %v, %v", path, a, a.header)
		}
	}
}

// TestBodies sends bodies up to the limit and over it, in every way that HTTP has.
func TestBodies(t *testing.T) {
	t.Parallel()
	const limit = 10 << 20
	w := newWorld(t, Config{})
	p := w.js("size", `export default (req) => { const b = req.rawBody; let sum = 0; for (let i = 0; i < b.length; i += 4096) sum += b[i]; return [b.length, sum, b[b.length - 1]].join(); }`)
	fill := func(n int) []byte {
		b := bytes.Repeat([]byte{1}, n)
		b[n-1] = 7
		return b
	}
	want := fmt.Sprintf("%d,%d,7", limit, limit/4096)
	over := func(name string, a answer) {
		t.Helper()
		if f := a.fault(t); a.status != 413 || f.Code != "body_too_large" || !strings.Contains(f.Message, fmt.Sprint(limit)) {
			t.Errorf("%s: %v", name, a)
		}
	}
	full := fill(limit)
	if a := w.do("POST", p.url(""), string(full)); a.status != 200 || a.body != want {
		t.Errorf("the limit: %v", a)
	}
	over("one byte more", w.do("POST", p.url(""), string(fill(limit+1))))
	chunked := func(body []byte) answer {
		a, err := w.request("PUT", p.url(""), struct{ io.Reader }{bytes.NewReader(body)}) // without a known length
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := chunked(full); a.status != 200 || a.body != want {
		t.Errorf("the limit in chunks: %v", a)
	}
	over("one byte more in chunks", chunked(fill(limit+1)))
	if a := w.do("GET", p.url(""), "abc"); a.body != "3,97,99" {
		t.Errorf("GET with a body: %v", a)
	}

	t.Run("expect", func(t *testing.T) {
		s := w.site
		s.TB = t
		conn := s.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", p.url(""))
		reader := bufio.NewReader(conn)
		if line, err := reader.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
			t.Fatalf("%q, %v", line, err)
		}
		if line, err := reader.ReadString('\n'); err != nil || line != "\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		io.WriteString(conn, "abc")
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || string(body) != "3,97,99" {
			t.Errorf("%d %s %v", resp.StatusCode, body, err)
		}
	})
	t.Run("far over", func(t *testing.T) { // refused by its length, before it is sent
		s := w.site
		s.TB = t
		conn := s.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n", p.url(""))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != 413 {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("malformed", func(t *testing.T) {
		s := w.site
		s.TB = t
		for _, text := range []string{
			"nonsense\r\n\r\n",
			"GET " + p.url("") + " HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n",
			"POST " + p.url("") + " HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
			"POST " + p.url("") + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
			"POST " + p.url("") + " HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
			"POST " + p.url("") + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1\r\nx\r\n0\r\n\r\n",
			"GET " + p.url("") + " HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 20<<10) + "\r\n\r\n",
		} {
			conn := s.dial()
			io.WriteString(conn, text)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%.60q: %v", text, err)
				continue
			}
			if resp.Body.Close(); resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("%.60q: status %d", text, resp.StatusCode)
			}
			conn.Close()
		}
	})
	t.Run("another limit", func(t *testing.T) {
		small := newWorld(t, Config{MaxBody: 1000})
		p := small.js("size", `export default (req) => String(req.rawBody.length)`)
		if a := small.do("POST", p.url(""), strings.Repeat("x", 1000)); a.body != "1000" {
			t.Error(a)
		}
		if a := small.do("POST", p.url(""), strings.Repeat("x", 1001)); a.status != 413 || !strings.Contains(a.body, "1000") {
			t.Error(a)
		}
	})
}

// TestIsolation looks in one request for what the one before left.
func TestIsolation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("left", `let calls = 0; globalThis.seen = []; const kept = new Map();
		export default (req) => { calls++; seen.push(req.query.n); kept.set(req.query.n, 1); Array.prototype['x' + req.query.n] = 1;
			return [calls, seen.length, kept.size, Object.keys(Array.prototype).length].join(); }`)
	random := w.js("random", `const early = Math.random(); export default () => [early, Math.random(), crypto.randomUUID()].join();`)
	seen := map[string]bool{}
	for n := range 20 {
		p.want(fmt.Sprintf("?n=%d", n), 200, "1,1,1,1")
		parts := strings.Split(random.get("").body, ",")
		for _, part := range parts[1:] {
			if seen[part] {
				t.Errorf("%s came twice", part)
			}
			seen[part] = true
		}
	}
}

// TestNodeRoutes asks for what is the node's own.
func TestNodeRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	code := neighbourSource
	p := w.js("one", code)
	digest := sha256.Sum256([]byte(code))
	for _, test := range []struct {
		method, path string
		status       int
		text         string // in the body
		allow        string
	}{
		{"GET", "/api/v0/node", 200, `"node_id":"` + w.node.ID() + `"`, ""},
		{"HEAD", "/api/v0/node", 200, "", ""},
		{"POST", "/api/v0/node", 405, "method_not_allowed", "GET, HEAD"},
		{"GET", "/api/v0/programs", 200, `"item_hash":"` + p.id + `"`, ""},
		{"GET", "/api/v0/programs?owner=" + network.Address(w.owner), 200, p.id, ""},
		{"GET", "/api/v0/programs?owner=0x0000000000000000000000000000000000000000", 200, `{"programs":[]}`, ""},
		{"GET", "/api/v0/programs/" + p.id, 200, `"endpoint":"http://` + w.address + p.url("") + `"`, ""},
		{"DELETE", "/api/v0/programs/" + p.id, 405, "method_not_allowed", "GET, HEAD"},
		{"HEAD", "/api/v0/programs/" + p.id, 200, "", ""},
		{"GET", "/api/v0/programs/" + p.id + "/rollback", 405, "method_not_allowed", "POST"},
		{"POST", "/api/v0/programs/" + p.id + "/logs", 405, "method_not_allowed", "GET"},
		{"GET", "/api/v0/programs/" + p.id + "/nothing", 404, "not_found", ""},
		{"GET", "/api/v0/programs/x", 404, "program_not_found", ""},
		{"GET", "/api/v0/messages", 405, "method_not_allowed", "POST"},
		{"GET", "/api/v0/messages/" + p.id, 200, `"status":"processed"`, ""},
		{"GET", "/api/v0/messages/" + strings.Repeat("0", 64), 404, `"error"`, ""},
		{"POST", "/api/v0/messages/" + p.id, 405, "method_not_allowed", "GET, HEAD"},
		{"POST", "/api/v0/messages", 400, `"error"`, ""},
		{"GET", "/api/v0/storage/raw/" + hex.EncodeToString(digest[:]), 200, code, ""},
		{"GET", "/api/v0/storage/add_file", 405, "method_not_allowed", "POST"},
		{"GET", "/about/usage/system", 200, `"instances_in_use":`, ""},
		{"GET", "/", 404, "not_found", ""},
		{"GET", "/api/v1/node", 404, "not_found", ""},
		{"GET", "/../api/v0/node", 404, "not_found", ""},
	} {
		a := w.do(test.method, test.path, "")
		if a.status != test.status && !(test.status == 400 && a.status == 422) || !strings.Contains(a.body, test.text) || a.header.Get("Allow") != test.allow {
			t.Errorf("%s %s: got %v (Allow: %s), want %d %s", test.method, test.path, a, a.header.Get("Allow"), test.status, test.text)
		}
		if test.status >= 400 {
			a.fault(t)
		}
	}
}
