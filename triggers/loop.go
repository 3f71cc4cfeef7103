package triggers

import (
	"strconv"
	"strings"
)

// LoopHeader is CDN-Loop (RFC 8586): who has forwarded a request already. A node adds itself to every request that a guest makes, with
// how many events have led to it, and reads it in every request that may make an event; a guest cannot take it away.
const LoopHeader = "CDN-Loop"

// loopID is this software's identifier in LoopHeader.
const loopID = "aleph-edge"

// Loop is what LoopHeader says of a request that an event of that depth makes. It follows what the guest gave.
func Loop(depth uint32) string { return loopID + "; depth=" + strconv.FormatUint(uint64(depth)+1, 10) }

// Depth is how many events have led to a request with that LoopHeader: 0 if nobody says so.
func Depth(header string) uint32 {
	depth := uint32(0)
	for entry := range strings.SplitSeq(header, ",") {
		id, parameters, _ := strings.Cut(entry, ";")
		if strings.TrimSpace(id) != loopID {
			continue
		}
		value, found := strings.CutPrefix(strings.TrimSpace(parameters), "depth=")
		n, err := strconv.ParseUint(value, 10, 32)
		if !found || err != nil {
			n = 1 // it came through a node all the same
		}
		depth = max(depth, uint32(n))
	}
	return depth
}
