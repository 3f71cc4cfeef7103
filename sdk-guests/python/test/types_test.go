// Package test compares the types of functions in Python with the engines that run functions. mypy checks them, and programs.py, in
// scripts/test.
package test

import (
	"bytes"
	"os"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

func TestTypes(t *testing.T) {
	types, err := os.ReadFile("../aleph_functions/__init__.pyi")
	if err != nil {
		t.Fatal(err)
	}
	s := nodetest.Start(t)
	for _, runtime := range []string{"python3.11", "python3.13"} {
		id, err := s.DeployIn(runtime, "conformance.py", nil)
		if err != nil {
			t.Fatal(nodetest.Refusal(err), err)
		}
		if a := s.Call(s.Base+"/api/v0/run/"+id+"/?a=1&b=1&b=2", bytes.NewReader(types), "Content-Type", "text/plain"); a.Status != 200 || a.Body != "[]" {
			t.Errorf("%s: %d %s", runtime, a.Status, a.Body)
		}
	}
}
