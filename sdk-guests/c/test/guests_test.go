// Package test runs the C SDK's guests on a node, and its codec on the machine of the test.
package test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

// TestBuild: the committed guests are small, and where the toolchain is they are what it makes of their sources.
func TestBuild(t *testing.T) {
	examples := []string{"../examples/hello.wasm", "../examples/counter.wasm", "../examples/parallel.wasm"}
	nodetest.Small(t, 50<<10, examples...)
	nodetest.Rebuilt(t, "../build", []string{"clang-19", "wasm-ld-19"}, append(examples, "guest/everything.wasm")...)
}

func TestExamples(t *testing.T) { nodetest.Examples(t, "../examples") }

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
