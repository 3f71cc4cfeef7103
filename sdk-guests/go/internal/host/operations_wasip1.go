package host

import (
	"context"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
)

// How goroutines wait.
//
// The guest has one thread, and a call of op_wait holds it: no goroutine runs, and no timer of Go's fires, before it returns. So
// of the goroutines that wait for operations one, the driver, waits for all of them, and only when nothing else can run. The
// others are parked on channels. A driver whose own operation is complete hands its task to another of them.
//
//   - That nothing else can run is known by yielding twice: a goroutine that yielded is taken up again behind all that can run, but
//     for each 61st turn of the scheduler, which is never two in a row.
//   - When the next of Go's timers fires the runtime tells nobody. A context's deadline is known, and ends the wait by an operation
//     of its own, the alarm. For all other timers the alarm ends it from time to time: after a sixteenth of the time waited so
//     far, and not before tickLeast. So a timer is late by that at most, and long waits cost little. Operations of the store are
//     complete at once, and need no alarm.
//   - Where no goroutine waits for operations, the scheduler waits in poll_oneoff, which suspends the guest until a timer is due.

const (
	tickLeast = 2 * time.Millisecond
	tickMost  = time.Second
)

// An Operation was started, and is waited for once.
type Operation struct {
	ticket   int32
	promptly bool // it is complete within a moment
	complete bool
	size     uint32
	deadline time.Time     // of who waits
	turn     chan struct{} // to who waits: it is complete, or driving is now his task
}

var (
	mu      sync.Mutex
	started []*Operation // not taken or cancelled
	driving bool

	// EventDeadline is when the node ends the event, with or without an alarm.
	EventDeadline time.Time
)

// Start starts an operation. The error is a *Error.
func Start(operation uint32, request []byte) (*Operation, error) {
	ticket := opStart(operation, unsafe.SliceData(request), uint32(len(request)))
	switch ticket {
	case -1:
		return nil, &Error{Code: TooMany, Message: "256 operations are under way"}
	case -2:
		return nil, &Error{Code: NotNow, Message: "there are no operations while the program is loaded"}
	case -3:
		return nil, &Error{Code: ValueTooLarge, Message: "the requests of operations have 16 MiB together"}
	}
	o := &Operation{ticket: ticket, promptly: operation >= frame.FirstStore && operation <= frame.LastPromptly}
	mu.Lock()
	started = append(started, o)
	mu.Unlock()
	return o, nil
}

// Wait waits until the operation is complete, and gives its result, or until the context is done, which cancels it.
func (o *Operation) Wait(ctx context.Context) ([]byte, error) {
	o.turn = make(chan struct{}, 1)
	o.deadline, _ = ctx.Deadline()
	mu.Lock()
	for !o.complete && ctx.Err() == nil {
		if !driving {
			driving = true
			mu.Unlock()
			o.drive(ctx)
			mu.Lock()
			driving = false
			continue
		}
		mu.Unlock()
		select {
		case <-o.turn:
		case <-ctx.Done():
		}
		mu.Lock()
	}
	o.forget()
	if !driving {
		for _, other := range started {
			if other.turn != nil {
				other.wake()
				break
			}
		}
	}
	mu.Unlock()
	if !o.complete {
		opCancel(o.ticket)
		return nil, context.Cause(ctx)
	}
	result := make([]byte, o.size)
	return Checked(result[:opTake(o.ticket, unsafe.SliceData(result), o.size)])
}

// Cancel forgets an operation that nobody waits for.
func (o *Operation) Cancel() {
	mu.Lock()
	o.forget()
	mu.Unlock()
	opCancel(o.ticket)
}

func (o *Operation) forget() {
	for i, other := range started {
		if other == o {
			last := len(started) - 1
			started[i], started[last] = started[last], nil
			started = started[:last]
			return
		}
	}
}

func (o *Operation) wake() {
	select {
	case o.turn <- struct{}{}:
	default:
	}
}

// drive waits for all operations, until this one is complete or its context is done.
func (o *Operation) drive(ctx context.Context) {
	var begin time.Time
	for {
		runtime.Gosched()
		runtime.Gosched()
		news := false
		for {
			report := opPoll()
			if report == 0 {
				break
			}
			news = deliver(report) || news
		}
		if o.complete || ctx.Err() != nil {
			return
		}
		if news {
			continue
		}
		after, needed := alarm(&begin)
		if !needed {
			deliver(opWait(0))
			continue
		}
		var request [32]byte
		ticket := opStart(frame.Sleep, unsafe.SliceData(frame.U64(frame.Begin(request[:0]), frame.Duration, uint64(after))), 4+8+8)
		report := opWait(0)
		if ticket < 0 || int32(report>>32) != ticket {
			deliver(report)
		}
		if ticket > 0 {
			opCancel(ticket)
		}
	}
}

// deliver notes that an operation is complete. False if nobody knows it.
func deliver(report uint64) bool {
	mu.Lock()
	defer mu.Unlock()
	for _, o := range started {
		if o.ticket == int32(report>>32) {
			o.complete, o.size = true, uint32(report)
			if o.turn != nil {
				o.wake()
			}
			return true
		}
	}
	return false
}

// alarm says after what time the wait that began at begin is to be interrupted, if at all.
func alarm(begin *time.Time) (after time.Duration, needed bool) {
	mu.Lock()
	defer mu.Unlock()
	var deadline time.Time
	for _, o := range started {
		if o.turn == nil {
			continue
		}
		needed = needed || !o.promptly
		if !o.deadline.IsZero() && (deadline.IsZero() || o.deadline.Before(deadline)) {
			deadline = o.deadline
		}
	}
	if !needed {
		return 0, false
	}
	now := time.Now()
	if begin.IsZero() {
		*begin = now
	}
	after = min(max(now.Sub(*begin)/16, tickLeast), tickMost)
	if !deadline.IsZero() && deadline.Before(EventDeadline) {
		after = min(after, max(deadline.Sub(now), 0))
	}
	return after, true
}
