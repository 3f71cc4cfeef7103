package pool

import (
	"fmt"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A Kind is how guests of a sort are given an event, and how the reply is read of what they leave.
type Kind interface {
	// Start begins the run of an event, whose frame stays until the run ends.
	Start(s *wasm.Slot, m *wasm.Module, event []byte) wasm.Status
	// Reply reads the reply of a run that is done: false if it has given none, an error if it cannot be sent. It is a view, until
	// the instance is released.
	Reply(s *wasm.Slot) (reply abi.Response, given bool, err error)
}

// A Handler is a guest as abi/SPEC.md has it: aleph_handle, event_read and respond.
type Handler struct {
	System wasm.System // what its runs find around them
}

// Start calls aleph_handle.
func (h *Handler) Start(s *wasm.Slot, m *wasm.Module, event []byte) wasm.Status {
	s.SetSystem(h.System)
	return s.Start(m, "aleph_handle", event)
}

// Reply reads the frame that was given to respond.
func (h *Handler) Reply(s *wasm.Slot) (abi.Response, bool, error) {
	if status, _ := s.Exited(); status != 0 {
		return abi.Response{ErrorCode: abi.GuestException, ErrorMessage: fmt.Appendf(nil, "the program ended itself with the exit status %d", status)}, true, nil
	}
	frame, given := s.Response()
	if !given {
		return abi.Response{}, false, nil
	}
	reply, err := abi.ParseResponse(frame)
	return reply, true, err
}
