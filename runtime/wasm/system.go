package wasm

/*
#include "shim.h"
*/
import "C"

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/aleph-edge/aleph-edge/abi"
)

// A System is what a run finds around it of wasi_snapshot_preview1, beyond what C answers. The zero System answers all else
// with ENOSYS.
type System struct {
	// Process makes what answers a run's calls. It is called at the first one: most guests make none.
	Process func() Process
	// Output says that fd 1 is the process's. Otherwise what is written to it goes to the program's log, as with fd 2.
	Output bool
}

// A Process answers the calls of one run, while the guest is suspended in them.
type Process interface {
	// Answer gives the call's errno, or 0. If it has the call wait, what it gives counts no more, and it is asked again, with the
	// operation's result.
	Answer(c *Call) (errno uint16)
	// Left says what the run has done that the image of an initialisation cannot hold, as "leaves a file open"; "" if nothing.
	Left() string
}

// A Call is a guest's of a function of wasi_snapshot_preview1. It is valid until it is answered.
type Call struct {
	*Slot
	Function Function
	Args     [9]uint64 // as many as the function has; an i32 is unsigned
	Result   []byte    // of the operation that the last answer waited for; nil: it is asked for the first time

	ticket uint32 // of the operation to wait for
}

const noSystem = 52 // ENOSYS

// Function is one of wasi_snapshot_preview1's.
type Function uint32

// The functions, in the order that wasi.c has them.
const (
	ArgsGet Function = iota
	ArgsSizesGet
	EnvironGet
	EnvironSizesGet
	ClockResGet
	ClockTimeGet
	FdAdvise
	FdAllocate
	FdClose
	FdDatasync
	FdFdstatGet
	FdFdstatSetFlags
	FdFdstatSetRights
	FdFilestatGet
	FdFilestatSetSize
	FdFilestatSetTimes
	FdPread
	FdPrestatGet
	FdPrestatDirName
	FdPwrite
	FdRead
	FdReaddir
	FdRenumber
	FdSeek
	FdSync
	FdTell
	FdWrite
	PathCreateDirectory
	PathFilestatGet
	PathFilestatSetTimes
	PathLink
	PathOpen
	PathReadlink
	PathRemoveDirectory
	PathRename
	PathSymlink
	PathUnlinkFile
	PollOneoff
	ProcExit
	ProcRaise
	RandomGet
	SchedYield
	SockAccept
	SockRecv
	SockSend
	SockShutdown
)

// String is the function's name.
func (f Function) String() string { return C.GoString(C.aleph_call_name(C.uint32_t(f))) }

// SetSystem sets what the runs from now on find, until Release.
func (s *Slot) SetSystem(system System) { s.system = system }

// Main is Start for an export that takes nothing.
func (s *Slot) Main(m *Module, export string) Status {
	s.endProcess()
	return s.answered(Status(C.aleph_slot_start(s.c, m.c, (*C.char)(unsafe.Pointer(unsafe.StringData(export))), C.size_t(len(export)), false, nil, 0)))
}

// Exited says that the guest ended itself, and with what status; 0 if it did not.
func (s *Slot) Exited() (status uint32, exited bool) {
	return uint32(s.c.exit_status), bool(s.c.exited)
}

// Process is what answers the run's calls; nil if it made none. It is there until the slot is started, cancelled or released.
func (s *Slot) Process() Process { return s.process }

// TakeOutput has what is written to fd 1 or 2 come to the process in the rest of the run, and not to the log.
func (s *Slot) TakeOutput(fd uint32) { s.c.log_fds &^= 1 << fd }

// Reserve takes n bytes, which may be less than 0, from what memories may still grow by, until the run ends. False if there is
// not so much.
func (s *Slot) Reserve(n int64) bool {
	budget := (*int64)(unsafe.Pointer(&s.engine.c.budget))
	if atomic.AddInt64(budget, -n) < 0 && n > 0 {
		atomic.AddInt64(budget, n)
		return false
	}
	s.reserved += n
	return true
}

// endProcess forgets the last run's process.
func (s *Slot) endProcess() {
	if s.reserved != 0 {
		s.Reserve(-s.reserved)
	}
	if s.process != nil {
		s.process, s.call = nil, Call{}
	}
	s.c.log_fds = 1<<1 | 1<<2
	if s.system.Output {
		s.c.log_fds = 1 << 2
	}
}

// answered goes on with a run that calls, until it does something else.
func (s *Slot) answered(status Status) Status {
	for status == C.ALEPH_CALLED {
		c := &s.c.call
		s.call = Call{Slot: s, Function: Function(c.function)}
		for i := range s.call.Args {
			s.call.Args[i] = uint64(c.args[i])
		}
		if !s.ask() {
			return Waiting
		}
		status = Status(C.aleph_slot_poll(s.c))
	}
	return status
}

// ask has the process answer the call; false: it waits. The time counts as the guest's.
func (s *Slot) ask() bool {
	begun := time.Now()
	if s.process == nil && s.system.Process != nil {
		s.process = s.system.Process()
	}
	errno := uint16(noSystem)
	if s.process != nil {
		errno = s.process.Answer(&s.call)
	}
	s.c.cpu += C.uint64_t(time.Since(begun))
	c := &s.c.call
	if s.call.ticket != 0 {
		c.state, c.ticket = C.ALEPH_CALL_WAITING, C.uint32_t(s.call.ticket)
		s.c.waiting_for, s.c.waiting = c.ticket, true
		return false
	}
	c.state, c.error = C.ALEPH_CALL_ANSWERED, C.uint32_t(errno)
	return true
}

// askAgain has the process answer a call that waited; false: it waits still, or again.
func (s *Slot) askAgain() bool {
	ticket := s.c.call.ticket
	if !C.aleph_op_report(s.c, ticket) {
		return false
	}
	op := C.aleph_op_find(s.c, ticket)
	s.c.waiting, s.call.ticket = false, 0
	s.call.Result = unsafe.Slice((*byte)(unsafe.Pointer(op.result)), int(op.result_len))
	done := s.ask()
	s.call.Result = nil
	C.aleph_op_free(s.c, C.aleph_op_find(s.c, ticket)) // another may have moved it
	return done
}

// Wait has the call wait for an operation of the guest's, as op_start begins one. False if it is refused.
func (c *Call) Wait(op uint32, request []byte) bool {
	ticket := C.aleph_op_begin(c.c, C.uint32_t(op), bytesOf(request), C.uint32_t(len(request)))
	if ticket == -1 || ticket == -2 || ticket == -3 {
		return false
	}
	c.ticket = uint32(ticket)
	return true
}

// Sleep has the call wait for d, and be asked again. In an initialisation, which nothing else waits for, it returns after that
// time, which counts as the run's, and asked is false. It is refused if that is over the run's budget.
func (c *Call) Sleep(d time.Duration) (asked, ok bool) {
	if c.c.loading {
		left := time.Duration(c.c.cpu_budget) - time.Duration(c.c.cpu)
		time.Sleep(min(d, left))
		return false, d <= left
	}
	ok = c.Wait(abi.OpSleep, abi.U64(abi.Frame(make([]byte, 0, 32)), abi.TagDuration, uint64(d)))
	return ok, ok
}

// Clock is the guests' monotonic clock, nanoseconds.
func (c *Call) Clock() int64 { return c.engine.Clock() }
