package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPackages deploys Python programs with packages to a node of their own, and calls them. The packages are fetched: where that
// fails, so does the test.
func TestPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages")
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/packages",
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLES", examples)
			if caches, err := os.UserCacheDir(); err == nil { // that of pip and uv
				env.Setenv("XDG_CACHE_HOME", caches)
			}
			for _, pair := range os.Environ() { // how this machine's pip, uv and pyenv are set up, and where engines are kept
				name, value, _ := strings.Cut(pair, "=")
				if strings.HasPrefix(name, "PIP_") || strings.HasPrefix(name, "UV_") || strings.HasPrefix(name, "PYENV_") || name == "ALEPH_CACHE" {
					env.Setenv(name, value)
				}
			}
			return setup(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "ready": ready, "outside": outside, "cmpjson": cmpjson},
	})
}

// outside starts a server at $OUTSIDE that answers with what it was sent.
func outside(ts *testscript.TestScript, _ bool, _ []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]string{"method": r.Method, "path": r.URL.Path, "body": string(body), "type": r.Header.Get("Content-Type")})
	}))
	ts.Defer(server.Close)
	ts.Setenv("OUTSIDE", server.URL)
	ts.Setenv("OUTSIDE_ADDRESS", fmt.Sprint(server.Listener.Addr()))
}

// cmpjson FILE compares the standard output before with JSON in a file.
func cmpjson(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: cmpjson FILE")
	}
	var got, want any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &got))
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &want))
	if !reflect.DeepEqual(got, want) {
		ts.Fatalf("got %s\nwant %s", ts.ReadFile("stdout"), ts.ReadFile(args[0]))
	}
}
