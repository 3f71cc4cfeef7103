// Package test runs the C SDK's guests on a node, and its codec on the machine of the test.
package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBuild: the committed guests are small, and where the toolchain is they are what it makes of their sources.
func TestBuild(t *testing.T) {
	examples, err := filepath.Glob("../examples/*.wasm")
	if err != nil || len(examples) != 3 {
		t.Fatalf("%v, %v", examples, err)
	}
	for _, name := range examples {
		if info, err := os.Stat(name); err != nil || info.Size() > 50<<10 {
			t.Errorf("%s has %d bytes, %v", name, info.Size(), err)
		}
	}
	for _, tool := range []string{"clang-19", "wasm-ld-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("not compared: ", err)
		}
	}
	folder := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../build", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range append(examples, "guest/everything.wasm") {
		built, err := os.ReadFile(filepath.Join(folder, filepath.Base(name)))
		if err != nil {
			t.Fatal(err)
		}
		if committed, err := os.ReadFile(name); err != nil || !bytes.Equal(built, committed) {
			t.Errorf("%s is not what its source gives, %v; sdk-guests/c/build replaces it", name, err)
		}
	}
}

func TestExamples(t *testing.T) {
	s := newSite(t)
	t.Run("hello", func(t *testing.T) {
		hello := s.mustDeploy("../examples/hello.wasm", nil)
		s.want(hello, 200, "Hello, World!\n")
		s.want(hello+"/?name=Gr%C3%BC%C3%9F+dich", 200, "Hello, Grüß dich!\n")
		s.want(s.mustDeploy("../examples/hello.wasm", map[string]string{"GREETING": "Salut"})+"?name=%41", 200, "Salut, A!\n")
	})
	t.Run("counter", func(t *testing.T) {
		counter := s.mustDeploy("../examples/counter.wasm", nil)
		s.want(counter+"?list", 200, "[]\n")
		s.want(counter+"/a", 200, `{"path":"/a","visits":1}`+"\n")
		s.want(counter+"/a", 200, `{"path":"/a","visits":2}`+"\n")
		s.want(counter+"/b", 200, `{"path":"/b","visits":1}`+"\n")
		s.want(counter+"/?list", 200, `[{"path":"/a","visits":2},{"path":"/b","visits":1}]`+"\n")
		if a := s.call(counter+"/"+strings.Repeat("k", 5000), nil); a.status != 500 {
			t.Errorf("a key that is too long: %+v", a)
		}
	})
	t.Run("parallel", func(t *testing.T) {
		// /first is answered when /second has been, whose answer the caller has seen: they run together, and the reply is streamed.
		seen := make(chan struct{})
		outside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/first" {
				select {
				case <-seen:
				case <-r.Context().Done():
				}
				rw.WriteHeader(http.StatusTeapot)
			}
			fmt.Fprint(rw, r.URL.Path)
		}))
		defer outside.Close()
		parallel := s.mustDeploy("../examples/parallel.wasm", nil)
		s.want(parallel, 400, "give two parameters: url=…&url=…\n")
		query := "?" + url.Values{"url": {outside.URL + "/first", outside.URL + "/second"}}.Encode()
		resp, err := http.Get(parallel + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		second, err := lines.ReadString('\n')
		close(seen)
		if err != nil || second != outside.URL+"/second: 200, 7 bytes\n" {
			t.Errorf("%q, %v", second, err)
		}
		if rest, err := io.ReadAll(lines); err != nil || string(rest) != outside.URL+"/first: 418, 6 bytes\n" {
			t.Errorf("%q, %v", rest, err)
		}
		a := s.call(parallel+"?"+url.Values{"url": {"http://10.0.0.1/", "ftp://a/"}}.Encode(), nil)
		if lines := slices.Sorted(strings.Lines(a.body)); !slices.Equal(lines, []string{"ftp://a/: invalid_argument\n", "http://10.0.0.1/: forbidden\n"}) {
			t.Errorf("what cannot be fetched: %q", a.body)
		}
	})
}

// TestEverything calls guest/everything.c, which uses what the examples do not.
func TestEverything(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
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
	}))
	defer outside.Close()
	s := newSite(t)
	guest := s.mustDeploy("guest/everything.wasm", map[string]string{"V": "variable"})

	if a := s.call(guest+"/a%20b?q=x+y%21&%22=&flag", strings.NewReader("x"), "X-A", "a header"); a.body !=
		`POST /a%20b /a b "q""x y!""\"""""flag""" a header none whole prepared, kept from setup, refused variable none` {
		t.Errorf("the request is %q", a.body)
	}
	s.want(guest+"/store", 200, `ok absent ; ok three ok json {"a":1}; ok no ok yes ok -2 not_a_counter said j=json [2]; k=| n=counter -2; | `+
		`ok w/1=bytes new; ok existed ok absent ; ok `)
	s.want(guest+"/errors?"+url.Values{"slow": {outside.URL + "/slow"}}.Encode(), 200,
		"forbidden invalid_argument timeout unknown_operation 256 too_many order ok ok random on least numbers ")

	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	if a := s.call(guest+"/proxy?url="+url.QueryEscape(outside.URL), io.MultiReader(strings.NewReader(large))); a.status != http.StatusAccepted || a.body != large ||
		a.header.Get("X-Back") != "c back" || a.err != nil {
		t.Errorf("handed on: %d, %d bytes, %v, %v", a.status, len(a.body), a.header, a.err)
	}
	for _, size := range []int{0, 1, 60000, 70000, 300000} {
		if a := s.call(guest+"/body", strings.NewReader(large[:size])); a.status != 200 || a.body != large[:size] {
			t.Errorf("a body of %d bytes: %d, %d bytes", size, a.status, len(a.body))
		}
	}
	if a := s.call(guest+"/body", strings.NewReader(large)); a.status != 413 || a.body != "value_too_large " {
		t.Errorf("a body over the guest's limit: %d %q", a.status, a.body)
	}
	s.want(guest+"/memory", 200, strings.Repeat("0123456789", 100000))
	for path, code := range map[string]string{"/fail": "exception", "/out-of-memory": "memory_limit"} {
		if a := s.call(guest+path, nil); a.status != 500 || !strings.Contains(a.body, `"`+code+`"`) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := s.call(guest+"/cut", nil); a.body != "some" || a.err == nil {
		t.Errorf("a reply that is cut off: %+v", a)
	}
	if _, err := s.deploy("guest/everything.wasm", map[string]string{"FAIL": "not today"}); !strings.Contains(refusal(err), "load_exception: not today") {
		t.Errorf("a failure in aleph_setup: %v", err)
	}
}
