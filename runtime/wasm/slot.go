package wasm

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Status is how a run goes on.
type Status int

// The statuses.
const (
	Done    Status = C.ALEPH_DONE    // the export returned; Response is there until Release
	Failed  Status = C.ALEPH_FAILED  // Fault says why
	Yielded Status = C.ALEPH_YIELDED // its slice is over: Resume it
	Waiting Status = C.ALEPH_WAITING // it waits for operations: Complete one, then Resume
)

// Cause is why a run failed.
type Cause int

// The causes.
const (
	Trap          Cause = iota + 1 // a WebAssembly trap
	StackOverflow                  // the trap of that name
	Violation                      // the guest broke the ABI
	OutOfBudget                    // its CPU time is used up
	HostFault                      // the node could not run it
)

// A Fault is why a run failed, with wasmtime's text and backtrace.
type Fault struct {
	Cause   Cause
	Message string
}

func (f *Fault) Error() string { return f.Message }

// A Slot is one linear memory and the instance that runs in it.
type Slot struct {
	c      *C.aleph_slot
	engine *Engine
	index  uint32
	image  *Image
	maps   int64 // charged to the engine

	system   System
	process  Process // of the run; nil: it has made no call
	call     Call
	reserved int64 // bytes, for the process
}

// Acquire hands out a slot, or nil if all are in use. Its memory holds nothing until Map.
func (e *Engine) Acquire() *Slot {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.free) == 0 {
		return nil
	}
	s := &e.slots[e.free[len(e.free)-1]]
	e.free = e.free[:len(e.free)-1]
	e.inUse.Add(1)
	return s
}

// Release unmaps the slot's memory and gives it back. Nothing may run in it.
func (s *Slot) Release() {
	C.aleph_serve_drop(s.c)
	C.aleph_slot_unmap(s.c)
	s.engine.maps.Add(-s.maps)
	s.image, s.maps, s.system = nil, 0, System{}
	s.endProcess()
	s.engine.mu.Lock()
	s.engine.free = append(s.engine.free, s.index)
	s.engine.mu.Unlock()
	s.engine.inUse.Add(-1)
}

func (s *Slot) dispose() {
	C.free(unsafe.Pointer(s.c.log))
	C.free(unsafe.Pointer(s.c.fault_message))
	s.c.log, s.c.fault_message = nil, nil
}

// Map lays the image into the slot's memory, which may grow to limit bytes. The error wraps ErrMaps where the process has no
// maps left for it.
func (s *Slot) Map(img *Image, limit uint64) error {
	if err := s.engine.charge(img.maps - s.maps); err != nil {
		return err
	}
	C.aleph_serve_drop(s.c)
	s.maps = img.maps
	limit = max(min(limit, 1<<32), img.Size())
	if e := C.aleph_slot_map(s.c, img.c, C.uint64_t(limit)); e != 0 {
		return fmt.Errorf("mapping a memory: %w", unix.Errno(e))
	}
	s.image = img
	return nil
}

// Image is what Map laid into the slot.
func (s *Slot) Image() *Image { return s.image }

// SetLimits sets what the runs from now on may use: time on CPU, and bytes of log (an entry counts 64 more).
func (s *Slot) SetLimits(cpu time.Duration, log int) {
	s.c.cpu_budget, s.c.log_limit = C.uint64_t(cpu), C.uint64_t(log)
}

// Start restores the memory, makes an instance and calls its export, which takes the event's length. The event is read
// before Start returns or copied.
func (s *Slot) Start(m *Module, export string, event []byte) Status {
	if len(event) > math.MaxInt32 {
		return s.refuse("the event is over 2 GiB")
	}
	s.endProcess()
	if m.c.kept > 0 && export == served {
		return s.answered(Status(C.aleph_slot_serve(s.c, m.c, bytesOf(event), C.uint32_t(len(event)))))
	}
	return s.answered(Status(C.aleph_slot_start(s.c, m.c, (*C.char)(unsafe.Pointer(unsafe.StringData(export))), C.size_t(len(export)), true, bytesOf(event), C.uint32_t(len(event)))))
}

// Resume goes on with a run that Yielded or was Waiting.
func (s *Slot) Resume() Status {
	if s.c.call.state == C.ALEPH_CALL_WAITING && !s.askAgain() {
		return Waiting
	}
	return s.answered(Status(C.aleph_slot_poll(s.c)))
}

// Cancel drops the run, wherever it is. It is no error if nothing runs.
func (s *Slot) Cancel() {
	if !s.c.parked && (s.c.store != nil || s.c.event_copy != nil) {
		C.aleph_slot_close(s.c)
	}
	s.endProcess()
}

// Settle restores now a memory that is better not kept as it is: grown, trapped or cancelled. Others are restored by the
// next Start. It ends the views of the run.
func (s *Slot) Settle() error {
	if !s.c.remap {
		return nil
	}
	if e := C.aleph_slot_restore(s.c); e != 0 {
		return fmt.Errorf("restoring a memory: %w", unix.Errno(e))
	}
	return nil
}

func (s *Slot) refuse(text string) Status {
	C.free(unsafe.Pointer(s.c.fault_message))
	s.c.fault_message, s.c.fault = C.CString(text), C.ALEPH_FAULT_HOST
	return Failed
}

// Response is what the guest gave to respond: a view of its memory, until the slot is started, settled or released. False
// if it gave nothing.
func (s *Slot) Response() ([]byte, bool) {
	if !s.c.responded || uint64(s.c.response_ptr)+uint64(s.c.response_len) > uint64(s.c.size) {
		return nil, false
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s.c.base), uint64(s.c.response_ptr))), int(s.c.response_len)), true
}

// Fault is why the run failed.
func (s *Slot) Fault() *Fault {
	f := &Fault{Message: C.GoString(s.c.fault_message)}
	switch s.c.fault {
	case C.ALEPH_FAULT_ABI:
		f.Cause = Violation
	case C.ALEPH_FAULT_CPU:
		f.Cause = OutOfBudget
	case C.ALEPH_FAULT_TRAP:
		f.Cause = Trap
		if s.c.trap_code == 0 {
			f.Cause = StackOverflow
		}
	default:
		f.Cause = HostFault
	}
	return f
}

// MemoryLimited says that the run was refused memory, for its own limit or for the node's.
func (s *Slot) MemoryLimited() (own, node bool) {
	return bool(s.c.memory_limited), bool(s.c.node_limited)
}

// CPU is the run's time on CPU so far.
func (s *Slot) CPU() time.Duration { return time.Duration(s.c.cpu) }

// Init is how long restoring the memory and making the instance took.
func (s *Slot) Init() time.Duration { return time.Duration(s.c.init) }

// MemorySize is the memory's size now, bytes; DirtyPages is how many 4 KiB pages the last restore copied.
func (s *Slot) MemorySize() uint64 { return uint64(s.c.size) }
func (s *Slot) DirtyPages() int    { return int(s.c.dirty_pages) }

// Memory is a view of the linear memory, until the slot runs or is released.
func (s *Slot) Memory() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(s.c.base)), int(s.c.size))
}

// Logs gives the entries that came since the last call, and how many were dropped in the run for the limit. The text is a
// view, until the slot runs again.
func (s *Slot) Logs(entry func(level int, text []byte)) (dropped int) {
	if s.c.log_len > 0 {
		log := unsafe.Slice((*byte)(unsafe.Pointer(s.c.log)), int(s.c.log_len))
		for len(log) > 0 {
			n := 5 + int(binary.LittleEndian.Uint32(log[1:]))
			entry(int(log[0]), log[5:n])
			log = log[n:]
		}
		s.c.log_len = 0
	}
	return int(s.c.log_dropped)
}

// An Operation is what a guest started. Request is a view, until it is completed or the run ends.
type Operation struct {
	Ticket, Op uint32
	Request    []byte
}

// Started gives the operations that the guest started since the last call.
func (s *Slot) Started(start func(Operation)) {
	n := s.c.started_len
	if n == 0 {
		return
	}
	s.c.started_len = 0
	ops := unsafe.Slice(s.c.ops, int(s.c.ops_cap))
	for _, index := range unsafe.Slice(s.c.started, int(n)) {
		op := &ops[index]
		op.state = C.ALEPH_OP_RUNNING
		start(Operation{uint32(op.ticket), uint32(op.op), unsafe.Slice((*byte)(unsafe.Pointer(op.request)), int(op.request_len))})
	}
}

// Outstanding is how many operations are not yet taken.
func (s *Slot) Outstanding() int { return int(s.c.ops_used) }

// Complete gives the result of an operation, which is copied. False if the guest has forgotten it.
func (s *Slot) Complete(ticket uint32, result []byte) bool {
	op := C.aleph_op_find(s.c, C.uint32_t(ticket))
	if op == nil || op.state != C.ALEPH_OP_RUNNING {
		return false
	}
	C.aleph_op_complete(s.c, (C.uint32_t(ticket)-1)%C.ALEPH_OPS, (*C.uint8_t)(C.CBytes(result)), C.uint32_t(len(result)))
	return true
}

// Ready says whether a Waiting run can go on.
func (s *Slot) Ready() bool {
	if s.c.waiting_for == 0 {
		return s.c.complete_len > 0
	}
	op := C.aleph_op_find(s.c, s.c.waiting_for)
	return op == nil || op.state == C.ALEPH_OP_COMPLETE || op.state == C.ALEPH_OP_REPORTED
}

// Open makes an instance whose exports are called one after the other (Call, until Cancel): for captures. Operations are
// refused in it.
func (s *Slot) Open(m *Module) Status {
	s.c.keep, s.c.loading = true, true
	s.endProcess()
	if status := Status(C.aleph_slot_open(s.c, m.c)); status != Done {
		s.EndOpen()
		return status
	}
	return Done
}

// Call calls an export of the open instance; withEvent says whether it takes the event's length.
func (s *Slot) Call(export string, withEvent bool, event []byte) Status {
	if len(event) > math.MaxInt32 {
		return s.refuse("the event is over 2 GiB")
	}
	s.c.fault = C.ALEPH_FAULT_NONE
	return s.answered(Status(C.aleph_slot_call(s.c, (*C.char)(unsafe.Pointer(unsafe.StringData(export))), C.size_t(len(export)), C.bool(withEvent), bytesOf(event), C.uint32_t(len(event)))))
}

// EndOpen closes the open instance.
func (s *Slot) EndOpen() {
	C.aleph_slot_close(s.c)
	s.endProcess()
	s.c.keep, s.c.loading = false, false
	s.c.remap = true
}

// A Value is a global's: its type (WebAssembly's i32 is 0, i64 1, f32 2, f64 3, v128 4, funcref 5) and its bits.
type Value struct {
	Type uint8
	Bits [16]byte
}

// GlobalValue reads an exported global of the open instance.
func (s *Slot) GlobalValue(name string) (Value, error) {
	var v Value
	var kind C.uint8_t
	switch C.aleph_slot_global(s.c, (*C.char)(unsafe.Pointer(unsafe.StringData(name))), C.size_t(len(name)), &kind, (*C.uint8_t)(&v.Bits[0])) {
	case -1:
		return v, fmt.Errorf("no global is exported as %q", name)
	case -2:
		return v, fmt.Errorf("the global %q is a reference", name)
	}
	v.Type = uint8(kind)
	return v, nil
}

// TableFuncs reads an exported table of the open instance: equal functions have equal numbers, null is 0.
func (s *Slot) TableFuncs(name string) ([]uintptr, error) {
	cname := (*C.char)(unsafe.Pointer(unsafe.StringData(name)))
	size := C.aleph_slot_table(s.c, cname, C.size_t(len(name)), nil, 0)
	if size < 0 {
		return nil, fmt.Errorf("no table is exported as %q", name)
	}
	if size == 0 {
		return nil, nil
	}
	raw := C.malloc(C.size_t(size) * 8)
	defer C.free(raw)
	if C.aleph_slot_table(s.c, cname, C.size_t(len(name)), (*unsafe.Pointer)(raw), C.uint64_t(size)) == -2 {
		return nil, fmt.Errorf("the table %q holds what is not a function", name)
	}
	return append([]uintptr(nil), unsafe.Slice((*uintptr)(raw), int(size))...), nil
}

// Kept is how many bytes the instance takes that waits in the slot for its next event, beside the memory; 0 if none does.
func (s *Slot) Kept() int {
	if !s.c.parked {
		return 0
	}
	return int(s.c.kept)
}

// Knows says whether the guest still has that operation outstanding.
func (s *Slot) Knows(ticket uint32) bool { return C.aleph_op_find(s.c, C.uint32_t(ticket)) != nil }

// restore is for tests: what the next Start does first.
func (s *Slot) restore() error {
	if e := C.aleph_slot_restore(s.c); e != 0 {
		return unix.Errno(e)
	}
	return nil
}
