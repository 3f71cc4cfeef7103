package nodetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Rebuilt runs an SDK's build script into an empty folder and compares what it makes with the committed guests. It skips the test where
// one of the tools that the script needs is missing.
func Rebuilt(t *testing.T, build string, tools []string, guests ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("not compared: ", err)
		}
	}
	folder := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), build, folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, guest := range guests {
		built, err := os.ReadFile(filepath.Join(folder, filepath.Base(guest)))
		if err != nil {
			t.Fatal(err)
		}
		if committed, err := os.ReadFile(guest); err != nil || !bytes.Equal(built, committed) {
			t.Errorf("%s is not what its source gives, %v; %s replaces it", guest, err, build)
		}
	}
}

// Small checks that guests have no more than so many bytes.
func Small(t *testing.T, most int64, guests ...string) {
	t.Helper()
	for _, guest := range guests {
		if info, err := os.Stat(guest); err != nil {
			t.Error(err)
		} else if info.Size() > most {
			t.Errorf("%s has %d bytes, over %d", guest, info.Size(), most)
		}
	}
}
