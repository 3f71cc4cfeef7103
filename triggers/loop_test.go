package triggers

import "testing"

func TestDepth(t *testing.T) {
	for header, want := range map[string]uint32{
		"": 0, "other": 0, "other; depth=9": 0, "aleph-edgeware; depth=9": 0,
		Loop(0): 1, Loop(3): 4, "aleph-edge": 1, "aleph-edge;depth=5": 5, "aleph-edge; depth=-1": 1, "aleph-edge; depth=99999999999": 1,
		"a; x=1, " + Loop(6) + ",b": 7, Loop(2) + ", " + Loop(1): 3, ",,;": 0,
	} {
		if got := Depth(header); got != want {
			t.Errorf("%q: depth %d, want %d", header, got, want)
		}
	}
}
