package cli

import (
	"maps"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/aleph-edge/aleph-edge/internal/bundle"
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
	plain := bundle.Bundle{Encoding: "plain", Entrypoint: "function.js"}
	for _, test := range []struct {
		flags string
		code  bundle.Bundle
		want  string // the names of what differs
	}{
		{"", plain, ""},
		{"--name=api --memory=256", plain, ""},
		{"--memory=128", plain, "memory"}, // also where it is the default
		{"--timeout=5 --runtime=nodejs20 --name=new --description=", plain, "name description runtime timeout"},
		{"--env=A=1", plain, ""},
		{"--env=B=1", plain, "variables"},
		{"--env=", plain, "variables"},
		{"--no-internet", plain, "internet"},
		{"--no-internet=false", plain, ""},
		{"", bundle.Bundle{Encoding: "zip", Entrypoint: "function.js"}, "entrypoint"},
		{"", bundle.Bundle{Encoding: "plain", Entrypoint: "handler.mjs"}, "entrypoint"},
	} {
		f, given := parseFlags(t, strings.Fields(test.flags)...)
		variables, err := parseVariables(f.env)
		if err != nil {
			t.Fatal(err)
		}
		wanted := stateOf(existing)
		wanted.apply(f, given, variables, bundle.JavaScript)
		wanted.encoding, wanted.entrypoint = test.code.Encoding, test.code.Entrypoint
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
	got.apply(f, given, map[string]string{"K": "V"}, bundle.JavaScript)
	if got.name != "a" || got.runtime != "nodejs20" || got.memory != 128 || got.timeout != 10 || got.variables["K"] != "V" {
		t.Errorf("got %+v", got)
	}
}

// TestApplyRuntime checks which runtime a program gets, by what it had, what its code is and what is asked for.
func TestApplyRuntime(t *testing.T) {
	for _, test := range []struct {
		had      string
		language bundle.Language
		flag     string
		want     string
	}{
		{"", bundle.Python, "", "python3.11"},
		{"", bundle.Unknown, "", ""},
		{"", bundle.Unknown, "wasm", "wasm"},
		{"python3.9", bundle.Python, "", "python3.9"},
		{"python3.9", bundle.Python, "python3.13", "python3.13"},
		{"nodejs16", bundle.Python, "", "python3.11"}, // another language
		{"wasm", bundle.Unknown, "", "wasm"},
		{"wasm", bundle.Rust, "", "wasm"},
		{"nodejs16", bundle.Go, "", "go"},
		{"", bundle.Rust, "", "rust"},
		{strings.Repeat("ab", 32), bundle.Python, "", strings.Repeat("ab", 32)}, // somebody's own Python
	} {
		f, given := parseFlags(t, "--runtime="+test.flag)
		s := state{runtime: test.had}
		s.apply(f, given, nil, test.language)
		if s.runtime != test.want {
			t.Errorf("%+v: got %s", test, s.runtime)
		}
	}
}

// TestPreparing checks what a deploy that lasts says: what it does, or what of the language is being made ready.
func TestPreparing(t *testing.T) {
	languages := []client.Language{
		{Name: "javascript", Runtimes: []string{"nodejs16", "nodejs20"}, State: "ready"},
		{Name: "python3.11", Runtimes: []string{"python3.11"}, State: "compiling"},
	}
	for runtime, want := range map[string]string{
		"nodejs20": "building", "rust": "building", "python3.11": "compiling the language python3.11, once on this machine",
	} {
		if got := preparing(languages, runtime, "building"); got != want {
			t.Errorf("%s: %q", runtime, got)
		}
	}
}
