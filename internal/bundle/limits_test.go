package bundle

import (
	"testing"

	"github.com/aleph-edge/aleph-edge/programs"
)

// TestLimits compares the limits with those of a node.
func TestLimits(t *testing.T) {
	if maxCode != programs.MaxCode || maxUnpacked != programs.MaxBundle || maxFiles != programs.MaxBundleFiles {
		t.Error("a node takes other sizes")
	}
}
