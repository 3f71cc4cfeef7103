// Package gotest runs the Go SDK's guests on a node, and its codec on the machine of the test. It is beside the SDK's folder, for that is a
// module of its own, which knows nothing of the node.
package gotest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

// goCommand runs the go command in a folder.
func goCommand(t testing.TB, folder string, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = folder, append(append(os.Environ(), "GOWORK=off", "GOFLAGS="), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestModule runs the SDK's own checks and tests.
func TestModule(t *testing.T) {
	goCommand(t, "../go", nil, "mod", "tidy", "-diff")
	goCommand(t, "../go", nil, "vet", "./...")
	goCommand(t, "../go", []string{"GOOS=wasip1", "GOARCH=wasm"}, "vet", "./...")
	goCommand(t, "../go", nil, "test", "./...")
}

// built is a folder with the guests.
func built(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := exec.Command("../go/build", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return folder
}

func TestGuests(t *testing.T) {
	if testing.Short() {
		t.Skip("the node compiles megabytes of WebAssembly for it")
	}
	folder := built(t)
	t.Run("examples", func(t *testing.T) { nodetest.Examples(t, folder) })
	t.Run("everything", func(t *testing.T) { everything(t, filepath.Join(folder, "everything.wasm")) })
}

// everything calls the SDK's internal/guests/everything, which uses what the examples do not.
func everything(t *testing.T, module string) {
	done := make(chan struct{})
	outside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			if r.URL.RawQuery == "head" {
				rw.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(rw).Flush()
			}
			select {
			case <-r.Context().Done():
			case <-done:
			}
			return
		case "/there":
			http.Redirect(rw, r, "/here", http.StatusSeeOther)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		rw.Header().Set("X-Back", r.Header.Get("X-From")+" back")
		rw.WriteHeader(http.StatusAccepted)
		_, _ = rw.Write(body)
	}))
	defer outside.Close()
	defer close(done)
	s := nodetest.Start(t)
	guest := s.MustDeploy(module, map[string]string{"V": "variable"})
	at := func(path, name, value string) string {
		return guest + path + "?" + url.Values{name: {value}}.Encode()
	}

	if a := s.Call(guest+"/request/a%2Fb%20c?q=x+y&q=z", strings.NewReader("body"), "X-A", "a header"); a.Body !=
		`POST /request/a/b c /request/a%2Fb%20c "a/b c" ["x y" "z"] true ["a header"] 4 http true variable` {
		t.Errorf("the request is %q", a.Body)
	}
	s.Want(guest+"/store", 200, `true <nil>
<nil>
true 3 <nil>
<nil>
map[a:1] true <nil>
false <nil>
true <nil>
-42 <nil>
true
[one] <nil>
[one two] <nil>
120
w/1 new <nil>
true <nil>
w/1 true <nil>
context deadline exceeded
`)
	s.Want(at("/errors", "slow", outside.URL+"/slow"), 200, "true\ntrue\ntrue\ntrue\ntrue\n")
	s.Want(guest+"/time", 200, "50 <nil> true true")
	s.Want(at("/redirect", "url", outside.URL+"/there"), 200, "GET /here 202  <nil>")

	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	if a := s.Call(at("/proxy", "url", outside.URL), io.MultiReader(strings.NewReader(large))); a.Status != http.StatusAccepted || a.Body != large ||
		a.Header.Get("X-Back") != "go back" || a.Err != nil {
		t.Errorf("handed on: %d, %d bytes, %v, %v", a.Status, len(a.Body), a.Header, a.Err)
	}
	for _, size := range []int{0, 1, 60_000, 70_000, 1 << 20} {
		if a := s.Call(guest+"/body", strings.NewReader(large[:size])); a.Status != 200 || a.Body != large[:size] || a.Err != nil {
			t.Errorf("a body of %d bytes: %d, %d bytes, %v", size, a.Status, len(a.Body), a.Err)
		}
	}
	s.Want(guest+"/large", 200, strings.Repeat("0123456789", 30_000))
	s.Want(guest+"/empty", 204, "")
	if a := s.Call(guest+"/sniff", nil); a.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("the type is %q", a.Header.Get("Content-Type"))
	}
	for path, code := range map[string]string{"/short": "invalid_reply", "/panic": "exception"} {
		if a := s.Call(guest+path, nil); a.Status != 500 && a.Status != 502 || !strings.Contains(a.Body, `"`+code+`"`) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := s.Call(guest+"/abort", nil); a.Body != "some" || a.Err == nil {
		t.Errorf("a reply that is cut off: %+v", a)
	}
	s.Want(guest+"/log", 200, "")
	if resp, err := http.Head(guest + "/sniff"); err != nil || resp.ContentLength != 15 {
		t.Errorf("HEAD: %+v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	for variable, refusal := range map[string]string{"FAIL": "load_exception: panic: not today", "RETURN": "no_handler: main returned"} {
		if _, err := s.Deploy(module, map[string]string{variable: "not today"}); !strings.Contains(nodetest.Refusal(err), refusal) {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

// TestCGI: a main of Go that knows nothing of nodes serves as it is, and so does one with net/http/cgi.
func TestCGI(t *testing.T) {
	if testing.Short() {
		t.Skip("the node compiles megabytes of WebAssembly for it")
	}
	s := nodetest.Start(t)
	deploy := func(name string) string {
		module := filepath.Join(t.TempDir(), name+".wasm")
		goCommand(t, ".", []string{"GOOS=wasip1", "GOARCH=wasm"}, "build", "-trimpath", "-ldflags=-s -w", "-o", module, "./testdata/"+name)
		return s.MustDeploy(module, nil)
	}
	s.Want(deploy("plain")+"?Alice", 200, "Hello, Alice!\n")
	if a := s.Call(deploy("cgi")+"/p?q=1", strings.NewReader("the body"), "X-A", "a header"); a.Status != 202 || a.Body != `POST q=1 "a header" the body <nil>` {
		t.Errorf("%+v", a)
	}
}
