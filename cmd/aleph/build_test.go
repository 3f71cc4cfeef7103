package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestBuild deploys what cargo and go build. WASM_RUSTC is a Rust compiler with the target, where there is one: conditions are rust, and
// bare where the machine's own has not the target.
func TestBuild(t *testing.T) {
	sdk, err := filepath.Abs("../../sdk-guests/go")
	if err != nil {
		t.Fatal(err)
	}
	own, compiler := hasTarget("rustc"), ""
	if own {
		compiler = "rustc"
	} else if caches, err := os.UserCacheDir(); err == nil && exec.Command("../../scripts/rust", "--there").Run() == nil {
		compiler = filepath.Join(caches, "aleph-tools", "rust", "rustc")
	}
	_, cargo := exec.LookPath("cargo")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/build",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SDK", sdk)
			env.Setenv("WASM_RUSTC", compiler)
			env.Setenv("TOOLS", filepath.SplitList(env.Getenv("PATH"))[0]) // aleph, and nothing else
			env.Setenv("ALEPH_CACHE", os.Getenv("ALEPH_CACHE"))
			for _, name := range []string{"GOENV", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY"} { // looked for below HOME, which is about to change
				value, err := exec.Command("go", "env", name).Output()
				if err != nil {
					return err
				}
				env.Setenv(name, strings.TrimSpace(string(value)))
			}
			for name, folder := range map[string]string{"CARGO_HOME": ".cargo", "RUSTUP_HOME": ".rustup"} {
				home := os.Getenv(name)
				if home == "" {
					home = filepath.Join(os.Getenv("HOME"), folder)
				}
				env.Setenv(name, home)
			}
			return setup(env)
		},
		Condition: func(name string) (bool, error) {
			return cargo == nil && (name == "rust" && compiler != "" || name == "bare" && !own), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "ready": ready},
	})
}

// hasTarget says whether a Rust compiler can make programs for WASI.
func hasTarget(compiler string) bool {
	folder, err := exec.Command(compiler, "--print", "target-libdir", "--target", "wasm32-wasip1").Output()
	if err != nil {
		return false
	}
	_, err = os.Stat(strings.TrimSpace(string(folder)))
	return err == nil
}
