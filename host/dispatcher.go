// Package host runs events in programs: the one road that every trigger and every language goes down.
//
// A trigger asks the Dispatcher for an Invocation of a program, appends what is particular to its event to Invocation.Event,
// calls Run, uses the reply, and calls End. Run takes an instance, starts it on the event, performs what the guest asks of
// the node (operations.go) and maps every way a run can end to a reply or an *Error. End records what it cost.
package host

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/egress"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/logs"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/runtime/pool"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
	"github.com/aleph-edge/aleph-edge/usage"
)

// Config is what a Dispatcher is made of. All are required.
type Config struct {
	NodeID string
	Stores func(program string) kv.Store
	Egress *egress.Client
	Meter  *usage.Meter
	Logs   *logs.Logs
	Log    *slog.Logger // the node's own
}

// A Dispatcher runs events. All methods may be called at once.
type Dispatcher struct {
	config Config
	free   sync.Pool

	life     context.Context // ends when the dispatcher closes: what waits is interrupted
	end      context.CancelFunc
	inFlight atomic.Int64
	work     sync.WaitGroup // operations under way
	waiting  atomic.Int64   // … their number
}

// attached is what the dispatcher keeps of a version that is served.
type attached struct {
	store      kv.Store
	egress     *egress.Program
	account    *usage.Account
	deployment *usage.Deployment
}

// Attach makes what the dispatcher keeps of a version; the registry holds it in Serving.Attached.
func (d *Dispatcher) Attach(p *programs.Program, v *programs.Version) (any, error) {
	account, err := d.config.Meter.Program(p.ID)
	if err != nil {
		return nil, err
	}
	return &attached{d.config.Stores(p.ID), d.config.Egress.Program(p.ID), account, &usage.Deployment{Program: p.ID, CodeRef: v.CodeRef, Owner: p.Owner, Node: d.config.NodeID, VCPUs: 1}}, nil
}

// New makes a dispatcher.
func New(config Config) *Dispatcher {
	d := &Dispatcher{config: config}
	d.life, d.end = context.WithCancel(context.Background())
	d.free.New = func() any { return &Invocation{dispatcher: d, operations: operations{wake: make(chan struct{}, 1)}} }
	return d
}

// InFlight is how many invocations there are.
func (d *Dispatcher) InFlight() int { return int(d.inFlight.Load()) }

// Operations is how many operations of guests are under way.
func (d *Dispatcher) Operations() int { return int(d.waiting.Load()) }

// Interrupt ends the invocations that wait, as unavailable.
func (d *Dispatcher) Interrupt() { d.end() }

// Close interrupts and waits for operations under way.
func (d *Dispatcher) Close() {
	d.Interrupt()
	d.work.Wait()
}

// An Error is why an invocation has no reply: a row of the table of errors and what was particular.
type Error struct {
	Row    *abi.Error
	Detail string // follows the row's text; may be empty
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Row.Text
	}
	return e.Row.Text + ": " + e.Detail
}

func failure(row *abi.Error, format string, args ...any) *Error {
	return &Error{row, fmt.Sprintf(format, args...)}
}

// A Caller is who waits for the reply; Watch calls gone, once, when it waits no longer. stop ends the watch.
type Caller interface {
	Watch(gone func()) (stop func())
}

// An Invocation is one event on its way through one program.
type Invocation struct {
	// Event is the event's frame. Begin writes what all events have; the trigger appends the rest.
	Event []byte
	// ID is the request's id, 32 hex digits.
	ID [32]byte

	dispatcher *Dispatcher
	program    *programs.Program
	serving    *programs.Serving
	attached   *attached
	instance   *pool.Instance
	status     wasm.Status // how the guest's last slice ended
	caller     Caller

	begun    time.Time
	started  time.Time // when the guest began; zero if it did not
	deadline time.Time
	reply    abi.Response
	record   usage.Record
	logged   int    // bytes
	dropped  int    // log entries
	reason   string // what the guest failed with, in its own words

	depth uint32   // how many events have led to this one
	store kv.Store // instead of the program's; nil: that

	body *body        // the event's, if it follows
	out  *replyStream // the reply's, if it is streamed

	// What a wait needs; made when the first one begins.
	done      chan struct{}
	interrupt atomic.Pointer[Error]
	wait      *wait

	operations
}

// Begin makes an invocation of the program and writes the common fields of its event. End it, also after an error of Run.
func (d *Dispatcher) Begin(ctx context.Context, p *programs.Program, kind uint32, attempt uint32, caller Caller) (*Invocation, *Error) {
	serving, err := p.Serving(ctx)
	if err != nil {
		return nil, d.openFailure(p, err)
	}
	d.inFlight.Add(1)
	inv := d.free.Get().(*Invocation)
	inv.program, inv.serving, inv.attached, inv.caller = p, serving, serving.Attached.(*attached), caller
	inv.begun, inv.started = time.Now(), time.Time{}
	inv.deadline = inv.begun.Add(time.Duration(serving.Timeout) * time.Second)
	inv.reply = abi.Response{}
	inv.record = usage.Record{Attempt: attempt}
	inv.record.Trigger.Type = abi.KindName(kind)
	inv.logged, inv.dropped, inv.reason = 0, 0, ""
	inv.depth, inv.store = 0, nil
	fill(inv.record.Invocation[:])
	hex.Encode(inv.ID[:], inv.record.Invocation[:])

	e := abi.Frame(inv.Event[:0])
	e = abi.U32(e, abi.TagKind, kind)
	e = abi.Bytes(e, abi.TagRequestID, inv.ID[:])
	e = abi.U32(e, abi.TagAttempt, attempt)
	e = abi.U64(e, abi.TagDeadline, uint64(inv.deadline.UnixNano()))
	e = abi.Bytes(e, abi.TagProgram, p.ID)
	e = abi.Bytes(e, abi.TagNode, d.config.NodeID)
	e = abi.Bytes(e, abi.TagAccount, p.Owner)
	var seed [16]byte
	fill(seed[:])
	e = abi.Bytes(e, abi.TagSeed, seed[:])
	inv.Event = abi.U64(e, abi.TagTime, uint64(inv.begun.UnixNano()))
	return inv, nil
}

func (d *Dispatcher) openFailure(p *programs.Program, err error) *Error {
	switch {
	case errors.Is(err, programs.ErrForgotten):
		return &Error{Row: abi.ErrProgramForgotten}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Row: abi.ErrUnavailable}
	}
	d.config.Log.Error("program cannot be served", "program", p.ID, "error", err)
	return &Error{Row: abi.ErrInternal}
}

// Fail records that the reply could not be sent after all.
func (inv *Invocation) Fail(e *Error) {
	inv.logf(3, "%s", e)
	inv.record.Status, inv.record.ErrorClass, inv.record.ResponseBytes = uint16(e.Row.Status), e.Row.Code, 0
}

// Reason is what the guest failed with, in its own words; for its owner only, as is its log.
func (inv *Invocation) Reason() string { return inv.reason }

// Serving is the version that runs.
func (inv *Invocation) Serving() *programs.Serving { return inv.serving }

// Run runs the event, until there is a reply, or the head of one whose body is streamed (Streams). It is a view, until End.
func (inv *Invocation) Run() (*abi.Response, *Error) {
	inv.record.RequestBytes += uint64(len(inv.Event))
	err := inv.run()
	if inv.instance != nil {
		inv.drainLogs()
	}
	if err != nil {
		inv.record.Status = uint16(err.Row.Status)
		inv.record.ErrorClass = err.Row.Code
		return nil, err
	}
	if inv.out != nil {
		return inv.out.begin(&inv.record), nil
	}
	inv.record.Status = uint16(inv.reply.Status)
	inv.record.ResponseBytes = uint64(len(inv.reply.Body))
	return &inv.reply, nil
}

func (inv *Invocation) run() *Error {
	for {
		instance, err := inv.serving.Guest.Acquire()
		if err == nil {
			inv.instance = instance
			break
		}
		if !errors.Is(err, pool.ErrClosed) {
			if !errors.Is(err, pool.ErrNoCapacity) {
				inv.dispatcher.config.Log.Error("no instance", "program", inv.program.ID, "error", err)
			}
			return &Error{Row: abi.ErrNoCapacity}
		}
		if inv.serving, err = inv.program.Serving(inv); err != nil { // replaced since Begin: take what replaced it
			return inv.dispatcher.openFailure(inv.program, err)
		}
		inv.attached = inv.serving.Attached.(*attached)
	}
	inv.started = time.Now()
	var err error
	if inv.status, err = inv.instance.Start(inv, inv.Event); err != nil {
		return inv.interrupted()
	}
	return inv.advance()
}

// advance lets the guest go on until it has ended, or has something of a streamed reply to give.
func (inv *Invocation) advance() *Error {
	for {
		switch inv.status {
		case wasm.Done:
			inv.drainLogs()
			return inv.answered()
		case wasm.Failed:
			inv.drainLogs()
			return inv.fault()
		case wasm.Yielded:
			inv.drainLogs()
			inv.perform()
			if inv.out.offers(true) {
				return nil
			}
			if e := inv.overdue(); e != nil {
				return e
			}
		case wasm.Waiting:
			inv.drainLogs()
			inv.perform()
			if inv.out.offers(false) {
				return nil
			}
			for !inv.instance.Ready() {
				if inv.out.offers(true) {
					return nil
				}
				select {
				case <-inv.wake:
					inv.deliver()
				case <-inv.Done():
					return inv.interrupted()
				}
			}
		}
		var err error
		if inv.status, err = inv.instance.Resume(inv); err != nil {
			return inv.interrupted()
		}
	}
}

// overdue looks, between two slices of a guest that does not wait, at what would interrupt a wait.
func (inv *Invocation) overdue() *Error {
	if inv.done == nil && time.Since(inv.begun) < watchAfter {
		return nil
	}
	select {
	case <-inv.Done():
		return inv.interrupted()
	default:
		return nil
	}
}

// answered reads the reply.
func (inv *Invocation) answered() *Error {
	reply, ok, err := inv.instance.Reply()
	if o := inv.out; o != nil {
		o.over = true
		if !ok {
			return nil
		}
		if reply.Rest {
			o.writes = append(o.writes, replyPart{data: reply.Body, end: true})
		}
	}
	if !ok {
		return &Error{Row: abi.ErrNoReply}
	}
	if err != nil {
		inv.logf(3, "invalid reply: %v", err)
		return &Error{Row: abi.ErrInvalidReply}
	}
	inv.reply = reply
	if reply.ErrorCode == 0 {
		return nil
	}
	text := reply.ErrorMessage
	if len(reply.ErrorStack) > 0 {
		text = reply.ErrorStack
	}
	inv.logf(3, "%s", text)
	inv.reason = string(reply.ErrorMessage)
	switch own, node := inv.instance.MemoryLimited(); {
	case reply.ErrorCode == abi.GuestInvalidReply:
		return &Error{Row: abi.ErrInvalidReply}
	case own:
		return inv.memoryLimit()
	case node:
		return &Error{Row: abi.ErrNodeMemory}
	}
	return &Error{Row: abi.ErrException}
}

// fault says why a run failed.
func (inv *Invocation) fault() *Error {
	fault := inv.instance.Fault()
	own, node := inv.instance.MemoryLimited()
	switch {
	case fault.Cause == wasm.OutOfBudget:
		inv.logf(3, "stopped: %d s of CPU time are used up", inv.serving.Timeout)
		return failure(abi.ErrTimeout, "timeout: %d s", inv.serving.Timeout)
	case fault.Cause == wasm.HostFault:
		inv.dispatcher.config.Log.Error("run failed", "program", inv.program.ID, "request", string(inv.ID[:]), "error", fault.Message)
		return &Error{Row: abi.ErrInternal}
	}
	inv.logf(3, "stopped: %s", fault.Message)
	inv.reason, _, _ = strings.Cut(fault.Message, "\n")
	switch {
	case own:
		return inv.memoryLimit()
	case node:
		return &Error{Row: abi.ErrNodeMemory}
	case fault.Cause == wasm.StackOverflow:
		return &Error{Row: abi.ErrStackOverflow}
	}
	return &Error{Row: abi.ErrTrap}
}

func (inv *Invocation) memoryLimit() *Error {
	return failure(abi.ErrMemoryLimit, "memory_limit: %d MiB", inv.serving.Memory)
}

// End records the invocation and gives the instance back. The reply ends with it.
func (inv *Invocation) End() {
	d := inv.dispatcher
	inv.StopBody()
	inv.finishOperations()
	ended := time.Now()
	r := &inv.record
	r.Deployment = inv.attached.deployment
	if inv.started.IsZero() {
		inv.started = ended
	}
	r.Queued, r.Started, r.Ended = inv.begun.UnixNano(), inv.started.UnixNano(), ended.UnixNano()
	r.Wall = ended.Sub(inv.started)
	r.MemoryLimit = uint64(inv.serving.Memory) << 20
	r.LogBytes = uint64(inv.logged)
	if i := inv.instance; i != nil {
		r.CPU, r.Init, r.Cold = i.CPU(), i.Init(), i.Cold()
		r.MemoryPeak = i.MemorySize()
		i.Release()
		inv.instance = nil
	}
	inv.attached.account.Add(r)
	if inv.done != nil {
		inv.wait.finish()
	}
	d.inFlight.Add(-1)
	if inv.done != nil || inv.running != nil || inv.body != nil || inv.out != nil {
		return // something may still refer to it
	}
	inv.program, inv.serving, inv.attached, inv.caller = nil, nil, nil, nil
	if cap(inv.Event) <= 64<<10 {
		d.free.Put(inv)
	}
}

// fill fills b, 16 bytes, from the runtime's generator: unpredictable, and no system call.
func fill(b []byte) {
	binary.LittleEndian.PutUint64(b, rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
}
