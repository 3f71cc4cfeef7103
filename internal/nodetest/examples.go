package nodetest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Examples deploys the three programs that every SDK has, hello.wasm, counter.wasm and parallel.wasm of the folder, and checks that
// they do what all of them do, to the byte.
func Examples(t *testing.T, folder string) {
	s := Start(t)
	t.Run("hello", func(t *testing.T) { s.of(t).hello(filepath.Join(folder, "hello.wasm")) })
	t.Run("counter", func(t *testing.T) { s.of(t).counter(filepath.Join(folder, "counter.wasm")) })
	t.Run("parallel", func(t *testing.T) { s.of(t).parallel(filepath.Join(folder, "parallel.wasm")) })
}

// of is the site as a test within the test sees it.
func (s *Site) of(t testing.TB) *Site {
	inner := *s
	inner.TB = t
	return &inner
}

// hello greets: the name is a parameter, the greeting a variable.
func (s *Site) hello(guest string) {
	url := s.MustDeploy(guest, nil)
	s.Want(url, 200, "Hello, World!\n")
	s.Want(url+"/?name=Gr%C3%BC%C3%9F+dich", 200, "Hello, Grüß dich!\n")
	s.Want(url+"/?name=&name=B", 200, "Hello, World!\n")
	if a := s.Call(url, nil); a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		s.Errorf("the greeting's type is %q", a.Header.Get("Content-Type"))
	}
	s.Want(s.MustDeploy(guest, map[string]string{"GREETING": "Salut"})+"?name=%41", 200, "Salut, A!\n")
}

// counter counts visits in the store, a counter for each path, and lists them.
func (s *Site) counter(guest string) {
	url := s.MustDeploy(guest, nil)
	s.Want(url+"?list", 200, "[]\n")
	s.Want(url+"/a", 200, `{"path":"/a","visits":1}`+"\n")
	s.Want(url+"/a", 200, `{"path":"/a","visits":2}`+"\n")
	s.Want(url+"/b", 200, `{"path":"/b","visits":1}`+"\n")
	s.Want(url+"/?list", 200, `[{"path":"/a","visits":2},{"path":"/b","visits":1}]`+"\n")
	if a := s.Call(url+"/a", nil); a.Header.Get("Content-Type") != "application/json" {
		s.Errorf("the counter's type is %q", a.Header.Get("Content-Type"))
	}
	if a := s.Call(url+"/"+strings.Repeat("k", 5000), nil); a.Status != 500 {
		s.Errorf("a key that is too long: %+v", a)
	}
}

// parallel fetches two addresses at once and streams a line about each as it answers.
func (s *Site) parallel(guest string) {
	// /first is answered when the caller has seen the line about /second: they run together, and the reply is streamed.
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
	of := func(urls ...string) string { return "?" + url.Values{"url": urls}.Encode() }

	address := s.MustDeploy(guest, nil)
	s.Want(address, 400, "give two parameters: url=…&url=…\n")
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, address+of(outside.URL+"/first", outside.URL+"/second"), nil)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	second, err := lines.ReadString('\n')
	close(seen)
	if err != nil || second != outside.URL+"/second: 200, 7 bytes\n" {
		s.Errorf("%q, %v", second, err)
	}
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != outside.URL+"/first: 418, 6 bytes\n" {
		s.Errorf("%q, %v", rest, err)
	}
	a := s.Call(address+of("http://10.0.0.1/", "ftp://a/"), nil)
	if lines := slices.Sorted(strings.Lines(a.Body)); !slices.Equal(lines, []string{"ftp://a/: invalid_argument\n", "http://10.0.0.1/: forbidden\n"}) {
		s.Errorf("what cannot be fetched: %q", a.Body)
	}
}
