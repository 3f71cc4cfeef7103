package host

import (
	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/egress"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// MaxDepth is how many events may lead to one another: what the last of them makes is refused.
const MaxDepth = 16

// An Origin is what an event has that waited in the queue.
type Origin struct {
	ID      string // the same at every attempt
	Depth   uint32 // how many events have led to it
	Details []triggers.Detail
	Store   kv.Store // what the guest's operations on the store go to; nil: the program's
}

// From says where the event comes from, before Run.
func (inv *Invocation) From(o Origin) {
	e := abi.Bytes(inv.Event, abi.TagEventID, o.ID)
	for _, d := range o.Details {
		e = abi.Pair(e, abi.TagDetail, d.Name, string(d.JSON))
	}
	inv.Event = e
	inv.depth, inv.store = o.Depth, o.Store
	inv.record.Trigger.ID = o.ID
}

// SetDepth says how many events have led to a request, before Run. It refuses one too many.
func (inv *Invocation) SetDepth(depth uint32) *Error {
	if depth > MaxDepth {
		return failure(abi.ErrLoopDetected, "depth %d, limit %d", depth, MaxDepth)
	}
	inv.depth = depth
	return nil
}

// loopField is the header that tells the next node of this event.
func (inv *Invocation) loopField() egress.Field {
	return egress.Field{Name: triggers.LoopHeader, Value: triggers.Loop(inv.depth)}
}
