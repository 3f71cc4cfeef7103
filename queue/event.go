package queue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/aleph-edge/aleph-edge/kv"
)

// Limits of an event and of one Accept.
const (
	MaxID      = 256        // bytes of an event's id
	MaxKey     = 256        // bytes of an ordering key
	MaxTrigger = 256        // bytes of a trigger's name
	MaxPayload = 1000 << 10 // bytes of a payload: what a record of the database takes, and room for the rest of the event
	MaxResult  = 64 << 10   // bytes of a result
	MaxDelay   = 366 * 24 * time.Hour

	MaxEvents      = 1000    // of one Accept,
	MaxEventsBytes = 2 << 20 // and their bytes

	maxWhole   = 512     // bytes of an event that is one record with its state
	maxProgram = 128     // bytes
	maxError   = 4 << 10 // bytes of an error's text that are kept
)

// The codes of errors, beside those of kv.
const (
	// ErrTooDeep: the event comes from an event, which comes from an event, … too many times.
	ErrTooDeep kv.Code = "too_deep"
	// ErrNotFound: there is no such dead letter.
	ErrNotFound kv.Code = "not_found"
)

// Event is something that happened, for one program.
type Event struct {
	Program string // its id

	// ID is the same whenever the same thing is offered again: of a program's events with one id only the first is accepted (see
	// the package comment for how long). 1 to MaxID bytes of UTF-8; empty for a random one.
	ID string

	// Once is for who makes sure, by a checkpoint, to offer an event only once: its id need not be remembered, which halves what it
	// costs. Find does not know it unless it was a dead letter.
	Once bool

	Kind    uint32 // abi.KindSchedule, …
	Trigger string // which of the program's triggers; may be empty
	Payload []byte // what the handler gets, up to MaxPayload bytes

	// Key orders: of a program's events with one key the next runs when the one before has ended, acknowledged or dead. Events
	// without one run in any order, and at the same time.
	Key string

	// Depth is 0 for what happened outside, and one more than that of the event whose handler made this one.
	Depth uint32

	Scheduled time.Time     // when it was to happen, for a schedule; may be zero
	Delay     time.Duration // how long after it is accepted it becomes due, up to MaxDelay
}

// NewID returns a random id.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// RefusedError says which event an Accept was refused for. Err is a *kv.Error: invalid_argument, value_too_large, too_deep, or
// quota_exceeded, which passes when the program has caught up.
type RefusedError struct {
	Index   int // of the event in Accept's argument
	Program string
	Err     error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("event %d, for program %s: %v", e.Index, e.Program, e.Err)
}
func (e *RefusedError) Unwrap() error { return e.Err }

func fail(code kv.Code, format string, args ...any) *kv.Error {
	return &kv.Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// check says what is wrong with e: nil if nothing is.
func (e *Event) check(maxDepth uint32) error {
	if err := checkProgram(e.Program); err != nil {
		return err
	}
	for _, f := range []struct {
		name, text string
		limit      int
	}{{"id", e.ID, MaxID}, {"key", e.Key, MaxKey}, {"trigger", e.Trigger, MaxTrigger}} {
		if len(f.text) > f.limit {
			return fail(kv.ErrInvalidArgument, "%s: %d bytes, limit %d", f.name, len(f.text), f.limit)
		}
		if !utf8.ValidString(f.text) {
			return fail(kv.ErrInvalidArgument, "%s: not UTF-8", f.name)
		}
	}
	switch {
	case len(e.Payload) > MaxPayload:
		return fail(kv.ErrValueTooLarge, "payload: %d bytes, limit %d", len(e.Payload), MaxPayload)
	case e.Delay < 0 || e.Delay > MaxDelay:
		return fail(kv.ErrInvalidArgument, "delay: %v, must be from 0 to %v", e.Delay, MaxDelay)
	case e.Depth > maxDepth:
		return fail(ErrTooDeep, "depth: %d, limit %d: events that the program's own events caused", e.Depth, maxDepth)
	}
	return nil
}

func checkProgram(program string) error {
	if program == "" || len(program) > maxProgram || !utf8.ValidString(program) {
		return fail(kv.ErrInvalidArgument, "program: %d bytes, must be 1 to %d of UTF-8 without \"/\"", len(program), maxProgram)
	}
	for i := range len(program) {
		if program[i] == '/' {
			return fail(kv.ErrInvalidArgument, "program: %q, must be without \"/\"", program)
		}
	}
	return nil
}

// Delivery is one attempt at an event.
type Delivery struct {
	Event              // Delay is 0
	Accepted time.Time // by the queue's clock
	Due      time.Time // since when it could run
	Attempt  uint32    // 1 is the first; on the disk before the run
}

// Handler runs events. Run is called from many goroutines. The payload is Run's own until it returns; ctx ends when the queue is
// closed or the program dropped. What Run returns is written before anyone hears of it.
type Handler interface {
	Run(ctx context.Context, d *Delivery) Outcome
}

// Outcome is how an attempt ended: Acknowledge, Fail, Reject or Defer makes one.
type Outcome struct {
	verdict verdict
	err     string
	result  []byte
	commit  func(*kv.Txn) error
}

type verdict uint8

const (
	failed verdict = iota // the zero Outcome has failed
	acknowledged
	rejected
	deferred
	interrupted
)

// Acknowledge ends the event. A result that is not nil is kept for Results, if it is no longer than MaxResult.
func Acknowledge(result []byte) Outcome {
	if len(result) > MaxResult {
		result = nil
	}
	return Outcome{verdict: acknowledged, result: result}
}

// Fail has the event run again after a time that doubles with each failure, up to the program's MaxAttempts; then it is a dead letter.
func Fail(err error) Outcome { return Outcome{verdict: failed, err: text(err)} }

// Reject makes the event a dead letter at once: it could never succeed.
func Reject(err error) Outcome { return Outcome{verdict: rejected, err: text(err)} }

// Defer has the event run again later, as a failure does, but is none: it was not the program's fault, such as no free instance.
func Defer(err error) Outcome { return Outcome{verdict: deferred, err: text(err)} }

// With has commit's writes, to records and to stores (kv.Txn.Store), and the outcome be one transaction: effects that are there
// exactly when the event has ended so. commit runs as a function of kv.DB.GroupUpdate does. If it fails, nothing of it is
// written and the attempt has failed with its error; with kv.ErrConflict it is deferred.
func (o Outcome) With(commit func(*kv.Txn) error) Outcome {
	o.commit = commit
	return o
}

// text is an error's text, cut to what is kept.
func text(err error) string {
	if err == nil {
		return "failed"
	}
	s := err.Error()
	if len(s) <= maxError {
		return s
	}
	n := maxError
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Policy is how a program's events are delivered. A zero field has its default.
type Policy struct {
	// Concurrency is how many of the program's events run at the same time. The default is 8.
	Concurrency int
	// MaxAttempts is the number of attempts that may fail, the first included. The default is 5.
	MaxAttempts int
	// Backoff is the time before the second attempt; it doubles before each later one. Half of it is random. The default is 1 s.
	Backoff time.Duration
	// MaxBackoff bounds it. The default is 1 h.
	MaxBackoff time.Duration
}

func (p Policy) withDefaults() Policy {
	if p.Concurrency <= 0 {
		p.Concurrency = 8
	}
	if p.MaxAttempts <= 0 {
		p.MaxAttempts = 5
	}
	if p.Backoff <= 0 {
		p.Backoff = time.Second
	}
	if p.MaxBackoff <= 0 {
		p.MaxBackoff = time.Hour
	}
	return p
}

// wait is the time before the next attempt after so many failures, without its jitter.
func (p Policy) wait(failures uint64) time.Duration {
	d := min(p.Backoff, p.MaxBackoff)
	for i := uint64(1); i < failures && d < p.MaxBackoff; i++ {
		d = min(2*d, p.MaxBackoff)
	}
	return d
}
