package wasi

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// builtWith is the compiler that the committed guests are of.
const builtWith = "Debian clang version 19.1.7"

// TestGuests rebuilds the C guests where their compiler is, and compares.
func TestGuests(t *testing.T) {
	version, err := exec.Command("clang-19", "--version").Output()
	if err != nil || !strings.HasPrefix(string(version), builtWith) {
		t.Skipf("%s is not here", builtWith)
	}
	if _, err := os.Stat("/usr/lib/wasm32-wasi/libc.a"); err != nil {
		t.Skip("wasi-libc is not here")
	}
	folder := t.TempDir()
	if out, err := exec.Command("testdata/guests/build.sh", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"hello.wasm", "cgi.wasm"} {
		built, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join("testdata/guests", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, committed) {
			t.Errorf("%s is not what build.sh builds of its source: run it", name)
		}
	}
}
