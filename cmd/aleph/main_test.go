package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"aleph": main})
}

// TestScripts runs the scripts that need no node: wrong usage, help, and what is said where no node answers.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setup,
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "stranger": stranger},
	})
}

// testKey is the key of the published clients' captures. Its address is 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A.
const testKey = "0x1111111111111111111111111111111111111111111111111111111111111111"

// setup gives a script a home folder, a known account, and an address at which nothing listens.
func setup(env *testscript.Env) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	env.Setenv("ADDRESS", address)
	env.Setenv("ALEPH_API_HOST", "http://"+address)
	env.Setenv("ALEPH_PRIVATE_KEY", testKey)
	env.Setenv("TZ", "UTC")
	home := env.WorkDir + "/home"
	env.Setenv("HOME", home)
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	return listener.Close()
}

// exits STATUS COMMAND… runs a command that must end with that status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG…]")
	}
	status := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		status = strconv.Itoa(exit.ExitCode())
	}
	if status != args[0] {
		ts.Fatalf("exit status %s, want %s", status, args[0])
	}
}

// stranger KIND puts something that is not a node at ALEPH_API_HOST: "page", a proxy's error page, or "text".
func stranger(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: stranger page|text")
	}
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "It works!") }
	if args[0] == "page" {
		answer = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html><h1>502 Bad Gateway</h1></html>")
		}
	}
	server := httptest.NewServer(http.HandlerFunc(answer))
	ts.Defer(server.Close)
	ts.Setenv("ALEPH_API_HOST", server.URL)
}
