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

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
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
	s := nodetest.Start(t)
	t.Run("hello", func(t *testing.T) {
		hello := s.MustDeploy("../examples/hello.wasm", nil)
		s.Want(hello, 200, "Hello, World!\n")
		s.Want(hello+"/?name=Gr%C3%BC%C3%9F+dich", 200, "Hello, Grüß dich!\n")
		s.Want(s.MustDeploy("../examples/hello.wasm", map[string]string{"GREETING": "Salut"})+"?name=%41", 200, "Salut, A!\n")
	})
	t.Run("counter", func(t *testing.T) {
		counter := s.MustDeploy("../examples/counter.wasm", nil)
		s.Want(counter+"?list", 200, "[]\n")
		s.Want(counter+"/a", 200, `{"path":"/a","visits":1}`+"\n")
		s.Want(counter+"/a", 200, `{"path":"/a","visits":2}`+"\n")
		s.Want(counter+"/b", 200, `{"path":"/b","visits":1}`+"\n")
		s.Want(counter+"/?list", 200, `[{"path":"/a","visits":2},{"path":"/b","visits":1}]`+"\n")
		if a := s.Call(counter+"/"+strings.Repeat("k", 5000), nil); a.Status != 500 {
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
		parallel := s.MustDeploy("../examples/parallel.wasm", nil)
		s.Want(parallel, 400, "give two parameters: url=…&url=…\n")
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
		a := s.Call(parallel+"?"+url.Values{"url": {"http://10.0.0.1/", "ftp://a/"}}.Encode(), nil)
		if lines := slices.Sorted(strings.Lines(a.Body)); !slices.Equal(lines, []string{"ftp://a/: invalid_argument\n", "http://10.0.0.1/: forbidden\n"}) {
			t.Errorf("what cannot be fetched: %q", a.Body)
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
	s := nodetest.Start(t)
	guest := s.MustDeploy("guest/everything.wasm", map[string]string{"V": "variable"})

	if a := s.Call(guest+"/a%20b?q=x+y%21&%22=&flag", strings.NewReader("x"), "X-A", "a header"); a.Body !=
		`POST /a%20b /a b "q""x y!""\"""""flag""" a header none whole prepared, kept from setup, refused variable none` {
		t.Errorf("the request is %q", a.Body)
	}
	s.Want(guest+"/store", 200, `ok absent ; ok three ok json {"a":1}; ok no ok yes ok -2 not_a_counter said j=json [2]; k=| n=counter -2; | `+
		`ok w/1=bytes new; ok existed ok absent ; ok `)
	s.Want(guest+"/errors?"+url.Values{"slow": {outside.URL + "/slow"}}.Encode(), 200,
		"forbidden invalid_argument timeout unknown_operation 256 too_many order ok ok random on least numbers ")

	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	if a := s.Call(guest+"/proxy?url="+url.QueryEscape(outside.URL), io.MultiReader(strings.NewReader(large))); a.Status != http.StatusAccepted || a.Body != large ||
		a.Header.Get("X-Back") != "c back" || a.Err != nil {
		t.Errorf("handed on: %d, %d bytes, %v, %v", a.Status, len(a.Body), a.Header, a.Err)
	}
	for _, size := range []int{0, 1, 60000, 70000, 300000} {
		if a := s.Call(guest+"/body", strings.NewReader(large[:size])); a.Status != 200 || a.Body != large[:size] {
			t.Errorf("a body of %d bytes: %d, %d bytes", size, a.Status, len(a.Body))
		}
	}
	if a := s.Call(guest+"/body", strings.NewReader(large)); a.Status != 413 || a.Body != "value_too_large " {
		t.Errorf("a body over the guest's limit: %d %q", a.Status, a.Body)
	}
	s.Want(guest+"/memory", 200, strings.Repeat("0123456789", 100000))
	for path, code := range map[string]string{"/fail": "exception", "/out-of-memory": "memory_limit"} {
		if a := s.Call(guest+path, nil); a.Status != 500 || !strings.Contains(a.Body, `"`+code+`"`) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := s.Call(guest+"/cut", nil); a.Body != "some" || a.Err == nil {
		t.Errorf("a reply that is cut off: %+v", a)
	}
	if _, err := s.Deploy("guest/everything.wasm", map[string]string{"FAIL": "not today"}); !strings.Contains(nodetest.Refusal(err), "load_exception: not today") {
		t.Errorf("a failure in aleph_setup: %v", err)
	}
}
