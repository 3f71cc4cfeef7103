package host

import (
	"context"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
)

// An Invocation is the context of its own waits. Done costs a timer, so it is made when the first wait begins: most
// invocations never wait.
var _ context.Context = (*Invocation)(nil)

// Deadline is when the program's timeout ends.
func (inv *Invocation) Deadline() (time.Time, bool) { return inv.deadline, true }

// Value is nil: nothing travels in it.
func (inv *Invocation) Value(any) any { return nil }

// Err says that the invocation was interrupted.
func (inv *Invocation) Err() error {
	if e := inv.interrupt.Load(); e != nil {
		return e
	}
	return nil
}

// Done is closed when the invocation is interrupted: its time is over, its caller is gone, or the node closes. It is called
// by the invocation's own goroutine only.
func (inv *Invocation) Done() <-chan struct{} {
	if inv.done != nil {
		return inv.done
	}
	done := make(chan struct{})
	inv.done = done
	end := func(e *Error) {
		if inv.interrupt.CompareAndSwap(nil, e) {
			close(done)
		}
	}
	timeout := failure(abi.ErrTimeout, "timeout: %d s", inv.serving.Timeout)
	timer := time.AfterFunc(time.Until(inv.deadline), func() { end(timeout) })
	unclose := context.AfterFunc(inv.dispatcher.life, func() { end(&Error{Row: abi.ErrUnavailable}) })
	unwatch := func() {}
	if inv.caller != nil {
		unwatch = inv.caller.Watch(func() { end(&Error{Row: abi.ErrClientGone}) })
	}
	inv.unwait = func() {
		timer.Stop()
		unclose()
		unwatch()
	}
	return done
}

// interrupted is why Done was closed.
func (inv *Invocation) interrupted() *Error {
	e := inv.interrupt.Load()
	if e.Row == abi.ErrTimeout {
		inv.logf(3, "stopped: %s", e.Detail)
	}
	return e
}
