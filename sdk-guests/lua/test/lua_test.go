// Package test runs the Lua engine, and scripts in it, on a node.
package test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

// TestSize: the engine is small. Whether it is what its source gives "make engines" says, for the source has to be fetched.
func TestSize(t *testing.T) { nodetest.Small(t, 600<<10, "../lua.wasm") }

// TestScripts deploys the engine once and scripts on top of it.
func TestScripts(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Back", r.Header.Get("X-From")+" "+r.Method+" "+r.Header.Get("Content-Type"))
		rw.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(rw, r.Body)
	}))
	defer outside.Close()
	s := nodetest.Start(t)
	engine, err := s.DeployIn("wasm", "../lua.wasm", nil)
	if err != nil {
		t.Fatal(err)
	}
	script := func(path string, variables map[string]string) string {
		t.Helper()
		id, err := s.DeployIn(engine, path, variables)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return s.Base + "/api/v0/run/" + id
	}
	if a := s.Call(s.Base+"/api/v0/run/"+engine, nil); a.Status != 200 || !strings.Contains(a.Body, "Lua 5.4") || !strings.Contains(a.Body, engine) {
		t.Errorf("the engine itself: %+v", a)
	}

	hello := script("../examples/hello.lua", nil)
	s.Want(hello+"/?name=Alice", 200, "Hello, Alice!\n")
	s.Want(script("../examples/hello.lua", map[string]string{"GREETING": "Salut"}), 200, "Salut, World!\n")
	counter := script("../examples/counter.lua", nil)
	s.Want(counter+"/a", 200, `{"path":"/a","visits":1}`+"\n")
	s.Want(counter+"/a", 200, `{"path":"/a","visits":2}`+"\n")
	parallel := script("../examples/parallel.lua", nil)
	s.Want(parallel+"/?a="+url.QueryEscape(outside.URL+"/1")+"&b="+url.QueryEscape(outside.URL+"/2"), 200,
		`[{"bytes":0,"status":201,"url":"`+outside.URL+`/1"},{"bytes":0,"status":201,"url":"`+outside.URL+`/2"}]`+"\n")

	all := script("everything.lua", map[string]string{"V": "variable"})
	for _, check := range []string{"errors", "coroutines", "json", "store", "files", "variables", "logs"} {
		s.Want(all+"/"+check, 200, "ok")
	}
	s.Want(all+"/fetch?url="+url.QueryEscape(outside.URL), 200, "ok")
	s.Want(all+"/number", 200, "42\n")
	s.Want(all+"/none", 204, "")
	if a := s.Call(all+"/status", nil); a.Status != 418 || a.Body != `{"tea":true}`+"\n" || a.Header.Get("X-A") != "1" || len(a.Header.Values("Set-Cookie")) != 2 {
		t.Errorf("%+v", a)
	}
	if a := s.Call(all+"/request?a+b=c%21&a+b=d", strings.NewReader("the body"), "X-H", "header"); a.Body != `["POST","/request","a+b=c%21&a+b=d","c!","header","the body",0,64]`+"\n" {
		t.Errorf("the request is %s", a.Body)
	}
	if a, b := s.Call(all+"/random", nil), s.Call(all+"/random", nil); a.Status != 200 || a.Body == b.Body {
		t.Errorf("random twice: %s, %s", a.Body, b.Body)
	}
	if a, b := s.Call(all+"/loaded", nil), s.Call(all+"/loaded", nil); a.Status != 200 || a.Body != b.Body {
		t.Errorf("what was loaded: %s, %s", a.Body, b.Body)
	}
	for check, code := range map[string]string{"fails": "exception", "wrong": "exception", "exits": "exception", "memory": "memory_limit"} {
		if a := s.Call(all+"/"+check, nil); a.Status != 500 || !strings.Contains(a.Body, `"`+code+`"`) || strings.Contains(a.Body, "on purpose") {
			t.Errorf("%s: %+v", check, a)
		}
	}

	folder := t.TempDir()
	for name, test := range map[string]struct{ source, want string }{
		"syntax.lua":  {"return function(\n", "syntax.lua:2: <name> or '...' expected near <eof>"},
		"throws.lua":  {"\nerror('not today')", "throws.lua:2: not today"},
		"nothing.lua": {"local x = 1", "returns no function"},
		"fetches.lua": {"aleph.store.get('k')", "refused"},
		"memory.lua":  {"local t = {} while true do t[#t + 1] = ('x'):rep(1 << 16) .. #t end", "memory_limit: 32 MiB"},
		"opened.lua":  {"F = io.open('opened.lua') return function() end", "file"},
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(test.source), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DeployIn(engine, path, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
