// Package gotest runs the Go SDK's guests on a node, and its codec on the machine of the test. It is beside the SDK's folder, for that is a
// module of its own, which knows nothing of the node.
package gotest

import (
	"os/exec"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

// guests builds the guests into a folder.
func guests(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := exec.Command("../go/build", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return folder
}

func TestExamples(t *testing.T) { nodetest.Examples(t, guests(t)) }
