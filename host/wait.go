package host

import (
	"context"
	"sync"
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
	inv.wait = &wait{deadline: inv.deadline, caller: inv.caller, end: end,
		timeout: failure(abi.ErrTimeout, "timeout: %d s", inv.serving.Timeout),
		unclose: context.AfterFunc(inv.dispatcher.life, func() { end(&Error{Row: abi.ErrUnavailable}) })}
	inv.wait.begin()
	return done
}

// watchAfter is how long a request is under way before the node looks whether its caller still waits: most waits, for a disk
// or a turn, are over by then.
const watchAfter = 50 * time.Millisecond

// A wait ends a Done: by the deadline, or because the caller is gone.
type wait struct {
	deadline time.Time
	caller   Caller
	timeout  *Error
	end      func(*Error)
	unclose  func() bool

	mu      sync.Mutex // with the timer's goroutine
	over    bool
	timer   *time.Timer
	unwatch func()
}

func (w *wait) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(min(watchAfter, time.Until(w.deadline)), w.fire)
}

// fire is called when the watch is to begin, and at the deadline.
func (w *wait) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := time.Until(w.deadline)
	switch {
	case w.over:
		return
	case left <= 0:
		w.end(w.timeout)
		return
	case w.caller != nil && w.unwatch == nil:
		w.unwatch = w.caller.Watch(func() { w.end(&Error{Row: abi.ErrClientGone}) })
	}
	w.timer.Reset(left)
}

// detach lets go of the caller, who waits no longer.
func (w *wait) detach() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unwatch != nil {
		w.unwatch()
	}
	w.caller, w.unwatch = nil, nil
}

// finish lets go of everything; nothing is called after it.
func (w *wait) finish() {
	w.unclose()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
	if w.unwatch != nil {
		w.unwatch()
	}
}

// interrupted is why Done was closed.
func (inv *Invocation) interrupted() *Error {
	e := inv.interrupt.Load()
	if e.Row == abi.ErrTimeout {
		inv.logf(3, "stopped: %s", e.Detail)
	}
	return e
}
