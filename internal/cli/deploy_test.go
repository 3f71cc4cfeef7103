package cli

import (
	"maps"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/aleph-edge/aleph-edge/internal/client"
)

func TestParseVariables(t *testing.T) {
	got, err := parseVariables([]string{"A=1", "B=x=y", "C=", "A=2", ""})
	if err != nil || !maps.Equal(got, map[string]string{"A": "2", "B": "x=y", "C": ""}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"A", "=1"} {
		if _, err := parseVariables([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestApply checks which flags change what a program has: those that are given, and the form of the code.
func TestApply(t *testing.T) {
	existing := &client.Program{
		Name: "api", Description: "old", Runtime: "nodejs18", Memory: 256, Timeout: 20,
		Variables: map[string]string{"A": "1"}, Encoding: "plain", Entrypoint: "function.js",
	}
	plain := code{encoding: "plain", entrypoint: "function.js"}
	for _, test := range []struct {
		flags string
		code  code
		want  string // the names of what differs
	}{
		{"", plain, ""},
		{"--name=api --memory=256", plain, ""},
		{"--memory=128", plain, "memory"}, // also where it is the default
		{"--timeout=5 --runtime=nodejs20 --name=new --description=", plain, "name description runtime timeout"},
		{"--env=A=1", plain, ""},
		{"--env=B=1", plain, "variables"},
		{"--env=", plain, "variables"},
		{"", code{encoding: "zip", entrypoint: "function.js"}, "entrypoint"},
		{"", code{encoding: "plain", entrypoint: "handler.mjs"}, "entrypoint"},
	} {
		f, given := parseFlags(t, strings.Fields(test.flags)...)
		variables, err := parseVariables(f.env)
		if err != nil {
			t.Fatal(err)
		}
		wanted := stateOf(existing)
		wanted.apply(f, given, variables, test.code)
		served := stateOf(existing)
		if got := strings.Join(served.difference(wanted), " "); got != test.want {
			t.Errorf("%s: changes %q, want %q", test.flags, got, test.want)
		}
	}
}

// parseFlags reads the flags of a deploy command.
func parseFlags(t *testing.T, args ...string) (deployFlags, *pflag.FlagSet) {
	t.Helper()
	var f deployFlags
	set := pflag.NewFlagSet("deploy", pflag.ContinueOnError)
	f.register(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f, set
}

func TestApplyToNew(t *testing.T) {
	f, given := parseFlags(t, "--name=a", "--env=K=V")
	got := stateOf(nil)
	got.apply(f, given, map[string]string{"K": "V"}, code{encoding: "plain", entrypoint: "f.cjs"})
	if got.name != "a" || got.runtime != "nodejs20" || got.memory != 128 || got.timeout != 10 || got.variables["K"] != "V" || got.entrypoint != "f.cjs" {
		t.Errorf("got %+v", got)
	}
}
