// Package test runs the Rust SDK's guests on a node, and its own tests where cargo is.
package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

const everything = "guest/everything.wasm"

var examples = []string{"../examples/hello.wasm", "../examples/counter.wasm", "../examples/parallel.wasm"}

// TestBuild: the committed guests are small, and where the toolchain is they are what it makes of their sources.
func TestBuild(t *testing.T) {
	nodetest.Small(t, 200<<10, examples...)
	if testing.Short() {
		t.Skip("not compared")
	}
	if err := exec.CommandContext(t.Context(), "../../../scripts/rust", "--there").Run(); err != nil {
		t.Skip("not compared: scripts/rust has not unpacked its compiler")
	}
	nodetest.Rebuilt(t, "../build", []string{"cargo"}, append(examples, everything)...)
}

// TestCargo runs the crate's own tests, on this machine and not on a node.
func TestCargo(t *testing.T) {
	if testing.Short() {
		t.Skip("run without -short")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cargo := func(arguments ...string) error {
		cmd := exec.CommandContext(t.Context(), "cargo", arguments...)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+filepath.Join(cache, "aleph-tools", "rust-tests"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := cargo("fetch", "--locked"); err != nil {
		t.Skip("not run: there is no cargo, or it has not the crates: ", err)
	}
	if err := cargo("test", "--quiet", "--offline", "--locked", "--package", "aleph-guest"); err != nil {
		t.Error(err)
	}
}

func TestExamples(t *testing.T) { nodetest.Examples(t, "../examples") }

// TestVectors has the codec of the built guest read and write abi/vectors.
func TestVectors(t *testing.T) {
	s := nodetest.Start(t)
	guest := s.MustDeploy(everything, nil) + "/codec"
	ask := func(t testing.TB, lines ...string) []string {
		a := s.Call(guest, strings.NewReader(strings.Join(lines, "\n")))
		answers := strings.Split(strings.TrimSuffix(a.Body, "\n"), "\n")
		if a.Status != 200 || len(answers) != len(lines) {
			t.Fatalf("%d lines: %d, %d answers: %s", len(lines), a.Status, len(answers), a.Body)
		}
		return answers
	}
	nodetest.Vectors(t, func(t testing.TB, line string) string { return ask(t, line)[0] })
	for name, want := range map[string]string{
		"event-full":         "/a%20b/gr%c3%bc%C3%9F?name=Alice&name=B%6fb&q=a+b%26c&flag&=none&n=%%c3%a9%4",
		"load-program":       `[("EMPTY", ""), ("GREETING", "Hello, wörld"), ("K", "a=b")]`,
		"result-get-counter": "Ok(())",
		"result-refused":     `Err(OpError { kind: Forbidden, message: "10.0.0.1 is a private address" })`,
		"result-later":       `Err(OpError { kind: Other(77), message: "later" })`,
	} {
		kind, _, _ := strings.Cut(name, "-")
		if got := ask(t, kind+" "+nodetest.Frames(t, "frames.txt")[name])[0]; got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// TestEverything calls guest/, which uses what the examples do not.
func TestEverything(t *testing.T) {
	s := nodetest.Start(t)
	guest := s.MustDeploy(everything, map[string]string{"V": "variable"})

	if a := s.Call(guest+"/a%20b?q=x+y%21&%22=&flag", strings.NewReader("x"), "X-A", "a header"); a.Body != `POST /a%20b /a b "q"="x y!" "\""="" "flag"=""`+
		` Some("a header") None true true Http 1 [] 64 42 Some("prepared, refused") Some("variable") None` {
		t.Errorf("the request is %q", a.Body)
	}
	s.Want(guest+"/store", 200, `None; Some([97, 0, 98]); Alice; false; true; -2 Some(-2); not_a_counter; wrong_type; wrong_type; jk; n Counter(7) None; 3; `+
		`w/1 Some("now"); None true false`)
	s.Want(guest+"/together", 200, `true; soon, Some("now"); true true; true; true`)
	s.Want(guest+"/std", 200, `true in memory Some(1) Ok("variable")`)
	s.Want(guest+"/memory", 200, "101000 "+strings.Repeat("0123456789", 100000))
	s.Want(guest+"/log", 200, "logged\n")
	for route, want := range map[string]string{"/fail": "exception", "/panic": "exception", "/deadlock": "exception", "/out-of-memory": "memory_limit"} {
		if a := s.Call(guest+route, nil); a.Status != 500 || !strings.Contains(a.Body, `"`+want+`"`) {
			t.Errorf("%s: %d %s", route, a.Status, a.Body)
		}
	}
	logged := logOf(s, guest)
	for _, want := range []string{"an error", "formatted and 7", "printed", "no luck in ", "at test/guest/src/lib.rs:", "caused by: the dice",
		"no operation is under way that could wake it"} {
		if !strings.Contains(logged, want) {
			t.Errorf("the log lacks %q:\n%s", want, logged)
		}
	}
}

// logOf is all that a program has logged.
func logOf(s *nodetest.Site, guest string) string {
	var text strings.Builder
	for entry, err := range s.API.Logs(s.Context(), path.Base(guest), 10_000, false) {
		if err != nil {
			s.Fatal(err)
		}
		fmt.Fprintln(&text, entry.Level, entry.Message)
	}
	return text.String()
}

func TestDeployFails(t *testing.T) {
	s := nodetest.Start(t)
	for reason, want := range map[string]string{"not today": "load_exception: not today", "panic": "no more than 1 today"} {
		if _, err := s.Deploy(everything, map[string]string{"FAIL": reason}); !strings.Contains(nodetest.Refusal(err), want) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestBodies(t *testing.T) {
	s := nodetest.Start(t)
	guest := s.MustDeploy(everything, nil)
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for _, size := range []int{0, 1, 60000, 70000, 300000} {
		for name, body := range map[string]io.Reader{"whole": strings.NewReader(large[:size]), "chunked": io.MultiReader(strings.NewReader(large[:size]))} {
			if a := s.Call(guest+"/body", body); a.Status != 200 || a.Body != large[:size] {
				t.Errorf("a %s body of %d bytes: %d, %d bytes", name, size, a.Status, len(a.Body))
			}
		}
	}
	if a := s.Call(guest+"/body", strings.NewReader(large)); a.Status != 413 || a.Body != "value_too_large: the body has more than 300000 bytes\n" {
		t.Errorf("a body over the guest's limit: %d %q", a.Status, a.Body)
	}
	for body, want := range map[string]string{"[1, 2]": "[1,2]", "[1,": "EOF while parsing a value at line 1 column 3\n"} {
		if a := s.Call(guest+"/json", strings.NewReader(body)); a.Body != want || (a.Status == 400) != (body == "[1,") {
			t.Errorf("JSON %s: %d %q", body, a.Status, a.Body)
		}
	}
}

func TestFetch(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-r.Context().Done()
			return
		case "/early": // it answers before it has read
			rw.WriteHeader(http.StatusForbidden)
			fmt.Fprint(rw, "no more")
			return
		}
		rw.Header().Set("X-Back", r.Header.Get("X-From")+" back")
		rw.WriteHeader(http.StatusAccepted)
		if err := http.NewResponseController(rw).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(rw, r.Body)
	}))
	defer outside.Close()
	s := nodetest.Start(t)
	guest := s.MustDeploy(everything, nil)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB, and the program may have 32
	for _, size := range []int{0, 100, 1 << 20, len(large)} {
		a := s.Call(guest+"/proxy?url="+url.QueryEscape(outside.URL), io.MultiReader(bytes.NewReader(large[:size])))
		if a.Status != http.StatusAccepted || a.Body != string(large[:size]) || a.Header.Get("X-Back") != "rust back" || a.Err != nil {
			t.Errorf("%d bytes handed on: %d, %d bytes, %v, %v", size, a.Status, len(a.Body), a.Header, a.Err)
		}
	}
	if a := s.Call(guest+"/proxy?url="+url.QueryEscape(outside.URL+"/early"), bytes.NewReader(large[:1<<20])); a.Status != 403 || a.Body != "no more" {
		t.Errorf("an early answer: %d %q, %v", a.Status, a.Body, a.Err)
	}
	s.Want(guest+"/errors?"+url.Values{"slow": {outside.URL + "/slow"}}.Encode(), 200,
		"forbidden invalid_argument timeout unknown_operation ok torn 44")
}

func TestReplies(t *testing.T) {
	s := nodetest.Start(t)
	guest := s.MustDeploy(everything, nil) + "/reply/"
	for _, test := range []struct {
		reply  string
		status int
		kind   string
		body   string
	}{
		{"text", 200, "text/plain; charset=utf-8", "text"},
		{"bytes", 200, "application/octet-stream", "\x00\xff"},
		{"json", 200, "application/json", "[1,2]"},
		{"nothing", 200, "", ""},
		{"status", 204, "", ""},
		{"both", 201, "application/json", `"made"`},
		{"headers", 202, "text/x-own", "own"},
		{"missing", 404, "text/plain; charset=utf-8", "there is none\n"},
		{"other", 400, "text/plain; charset=utf-8", "other\n"},
		{"stream", 200, "", "abc"},
		{"parts", 200, "", strings.Repeat("x", 3_000_000)},
	} {
		if a := s.Call(guest+test.reply, nil); a.Status != test.status || a.Body != test.body || a.Header.Get("Content-Type") != test.kind || a.Err != nil {
			t.Errorf("%s: %d %.100q %v %v", test.reply, a.Status, a.Body, a.Header, a.Err)
		}
	}
	if a := s.Call(guest+"bad-header", nil); a.Status != 500 {
		t.Errorf("a header that is none: %+v", a)
	}
	if a := s.Call(guest+"cut", nil); a.Body != "some" || a.Err == nil {
		t.Errorf("a reply that is cut off: %+v", a)
	}
}
