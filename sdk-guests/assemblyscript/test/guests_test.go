// Package test runs the AssemblyScript SDK's guests on a node.
package test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

// TestBuild: the committed guests are small, and where the compiler is they are what it makes of their sources.
func TestBuild(t *testing.T) {
	examples := []string{"../examples/hello.wasm", "../examples/counter.wasm", "../examples/parallel.wasm"}
	nodetest.Small(t, 50<<10, examples...)
	if _, err := os.Stat("../node_modules/assemblyscript"); err != nil {
		t.Skip("not compared: npm ci brings the compiler: ", err)
	}
	nodetest.Rebuilt(t, "../build", []string{"node"}, append(examples, "guest/everything.wasm", "guest/collected.wasm")...)
}

func TestExamples(t *testing.T) { nodetest.Examples(t, "../examples") }

// TestEverything calls guest/everything.ts, which uses what the examples do not, as it is built here and with a garbage collector.
func TestEverything(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(answer))
	defer outside.Close()
	s := nodetest.Start(t)
	for _, guest := range []string{"everything", "collected"} {
		t.Run(guest, func(t *testing.T) {
			path := "guest/" + guest + ".wasm"
			everything(t, s, s.MustDeploy(path, map[string]string{"V": "variable"}), outside.URL)
			if _, err := s.Deploy(path, map[string]string{"FAIL": "not today"}); !strings.Contains(nodetest.Refusal(err), "_initialize ended the program, with the exit status 1") {
				t.Errorf("a failure at the top of the file: %v", err)
			}
		})
	}
}

// answer is the server outside: it sends a body back, or never answers.
func answer(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slow" {
		<-r.Context().Done()
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	rw.Header().Set("X-Back", r.Header.Get("X-From")+" back")
	rw.WriteHeader(http.StatusAccepted)
	_, _ = rw.Write(body)
}

func everything(t *testing.T, s *nodetest.Site, guest, outside string) {
	want := func(path string, status int, body string) {
		t.Helper()
		if a := s.Call(guest+path, nil); a.Status != status || a.Body != body || a.Err != nil {
			t.Errorf("%s: got %d %q, %v\nwant %d %q", path, a.Status, a.Body, a.Err, status, body)
		}
	}
	if a := s.Call(guest+"/a%20b?q=x+y%21&%22=&flag", strings.NewReader("x"), "X-A", "a header"); a.Body !=
		`POST /a%20b /a b "q""x y!""\"""""flag""" x a header none whole prepared variable none` {
		t.Errorf("the request is %q", a.Body)
	}
	want("/store", 200, `null ok three {"a":1} ok no yes -2 not_a_counter said j=[2]; k=a`+"\x00"+`b; |n=-2; w/1 new true 3 null`)
	if a := s.Call(guest+"/written", nil); a.Status != 500 || !strings.Contains(a.Body, `"exception"`) {
		t.Errorf("a failed write that nobody waited for: %+v", a)
	}
	if a := s.Call(guest+"/written?ok", nil); a.Status != 200 || s.Call(guest+"/was-written", nil).Body != "yes" {
		t.Errorf("a write that nobody waited for: %+v", a)
	}
	want("/errors?"+url.Values{"slow": {outside + "/slow"}}.Encode(), 200,
		"forbidden invalid_argument timeout unknown_operation 256 too_many cancelled order random on ")
	want("/globals", 200, "time fresh random elapsed")
	if a, b := s.Call(guest+"/random", nil), s.Call(guest+"/random", nil); a.Body == b.Body || !strings.HasPrefix(a.Body, "0.") {
		t.Errorf("Math.random gives %q and %q", a.Body, b.Body)
	}

	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	if a := s.Call(guest+"/proxy?url="+url.QueryEscape(outside), io.MultiReader(strings.NewReader(large))); a.Status != http.StatusAccepted || a.Body != large ||
		a.Header.Get("X-Back") != "as back" || a.Err != nil {
		t.Errorf("handed on: %d, %d bytes, %v, %v", a.Status, len(a.Body), a.Header, a.Err)
	}
	for _, size := range []int{0, 1, 60000, 70000, 300000} {
		if a := s.Call(guest+"/body", strings.NewReader(large[:size])); a.Status != 200 || a.Body != large[:size] {
			t.Errorf("a body of %d bytes: %d, %d bytes", size, a.Status, len(a.Body))
		}
	}
	want("/quote", 200, `"a\"\\\n\u0001\ud83dé😀"`)
	want("/ended", 200, "all of it")
	for path, code := range map[string]string{"/fail": "exception", "/out-of-memory": "memory_limit"} {
		if a := s.Call(guest+path, nil); a.Status != 500 || !strings.Contains(a.Body, `"`+code+`"`) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := s.Call(guest+"/cut", nil); a.Body != "some" || a.Err == nil {
		t.Errorf("a reply that is cut off: %+v", a)
	}
}

// TestVectors has the guest read and write abi/vectors, and what is no frame at all.
func TestVectors(t *testing.T) {
	s := nodetest.Start(t)
	guest := s.MustDeploy("guest/everything.wasm", nil)
	ask := func(t testing.TB, line string) string {
		t.Helper()
		a := s.Call(guest+"/codec", strings.NewReader(line))
		if a.Status != 200 {
			t.Fatalf("%s: %d %s", line, a.Status, a.Body)
		}
		return strings.TrimSpace(a.Body)
	}
	nodetest.Vectors(t, ask)
	frames := nodetest.Frames(t, "frames.txt")
	for name, want := range map[string]string{
		"event-full":     "0 1 1700000010123 1700000000123 0123456789abcdef POST /a%20b/gr%c3%bc%C3%9F /a b/grüß Alice a b&c %é%4 text/html none",
		"event-http":     "0 1 1700000000123 0 r1 GET / / none none none none none",
		"event-schedule": `1 2 18446744073709 0 nightly@1700000000 POST / / none none none none "2023-11-14T22:13:20Z"`,
		"event-unknown":  "0 1 1700000000123 0 r5 PUT / / none none none none none",
	} {
		if got := ask(t, "event "+frames[name]); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}
