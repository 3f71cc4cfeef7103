package node

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestCommand calls a program that is a main, built from C, over HTTP.
func TestCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	code, err := os.ReadFile("../runtime/wasi/testdata/guests/cgi.wasm")
	if err != nil {
		t.Fatal(err)
	}
	p := w.deploy(deployment{name: "cgi", runtime: "wasm", binary: code, variables: map[string]string{"GREETING": "hello"}})
	call := func(t *testing.T, method, path string, body io.Reader) (*http.Response, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.address+p.url(path), body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	t.Run("a status and headers", func(t *testing.T) {
		resp, body := call(t, "GET", "/status", nil)
		if resp.StatusCode != 404 || resp.Header.Get("Content-Type") != "text/html" || len(resp.Header.Values("X-Twice")) != 2 || body != "<p>no</p>" {
			t.Errorf("got %v, %q", resp, body)
		}
	})
	t.Run("variables", func(t *testing.T) {
		resp, body := call(t, "GET", "/env?a=b", nil)
		for _, want := range []string{"GREETING=hello", "PATH_INFO=/env", "QUERY_STRING=a=b", "SCRIPT_NAME=" + strings.TrimSuffix(p.url(""), "/"), "REMOTE_ADDR=127.0.0.1",
			"HTTP_HOST=" + w.address, "REQUEST_URI=" + p.url("/env?a=b")} {
			if !strings.Contains("\n"+body, "\n"+want+"\n") {
				t.Errorf("%s is missing in %q", want, body)
			}
		}
		if resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
	})
	t.Run("bodies", func(t *testing.T) {
		for _, n := range []int{0, 1, 60_000, 70_000, 3 << 20} {
			text := strings.Repeat("0123456789abcdef", n/16+1)[:n]
			for name, body := range map[string]io.Reader{"announced": strings.NewReader(text), "chunked": io.MultiReader(strings.NewReader(text))} {
				if resp, got := call(t, "POST", "/echo", body); resp.StatusCode != 200 || got != text {
					t.Errorf("%d bytes, %s: status %d, %d bytes came back", n, name, resp.StatusCode, len(got))
				}
			}
		}
	})
	t.Run("failures", func(t *testing.T) {
		for path, want := range map[string]int{"/exit": 500, "/abort": 500, "/empty": 502, "/headless": 502} {
			if resp, body := call(t, "GET", path, nil); resp.StatusCode != want || strings.Contains(body, "went wrong") {
				t.Errorf("%s: status %d, %q", path, resp.StatusCode, body)
			}
		}
	})
}
