package image

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A Step is one call in an initialisation.
type Step struct {
	Export   string
	Event    []byte // what event_read gives, if Takes
	Takes    bool   // the export takes the event's length
	Optional bool   // a module without it is no error
}

// Limits bound an initialisation, and what it can reach.
type Limits struct {
	Memory uint64        // bytes the memory may grow to
	CPU    time.Duration // on CPU
	Log    int           // bytes
	System wasm.System   // what it finds around it
}

// Captured is how a guest was after its initialisation.
type Captured struct {
	// Responses has, for each step, what the guest gave to respond; nil if nothing.
	Responses [][]byte
	// Module is the module that starts from the memory: that of Prepared, or one with the globals' values. It is nil if there was
	// a base.
	Module []byte
	// Changed says that globals changed: Module is not Prepared's.
	Changed bool
	CPU     time.Duration
}

// A LimitError says that an initialisation used up a limit.
type LimitError struct{ Limit, Value string }

func (e *LimitError) Error() string { return e.Limit + ": " + e.Value }

// Capture runs the steps in a new instance of module, compiled from p, and writes the memory to path. Without a base the
// instance begins as p says. With one, which was captured from this module, it begins from there, only what differs from the
// base is written, and p is not looked at. inspect, if there is one, sees each response and can end the capture. log gets what
// the guest logs.
func Capture(e *wasm.Engine, p *Prepared, module *wasm.Module, base *wasm.Image, path string, steps []Step, limits Limits,
	inspect func(step int, response []byte) error, log func(level int, text []byte)) (*Captured, error) {
	from := base
	if from == nil {
		bare, err := e.MemoryImage(p.Base, p.Size)
		if err != nil {
			return nil, err
		}
		defer bare.Close()
		from = bare
	}
	s := e.Acquire()
	if s == nil {
		return nil, fmt.Errorf("no instance is free")
	}
	defer s.Release()
	if from.Size() > limits.Memory {
		return nil, &LimitError{"memory_limit", fmt.Sprintf("%d MiB, the program begins with %d MiB", limits.Memory>>20, (from.Size()+1<<20-1)>>20)}
	}
	if err := s.Map(from, limits.Memory); err != nil {
		return nil, err
	}
	s.SetLimits(limits.CPU, limits.Log)
	s.SetSystem(limits.System)
	if s.Open(module) != wasm.Done {
		return nil, s.Fault()
	}
	defer s.EndOpen()
	globals, tables, err := state(s, module)
	if err != nil {
		return nil, err
	}
	captured := &Captured{}
	exports := map[string]bool{}
	for _, x := range module.Exports {
		exports[x.Name] = true
	}
	start := base == nil && p.Start
	if start {
		steps = append([]Step{{Export: startExport}}, steps...)
	}
	for i, step := range steps {
		var response []byte
		if exports[step.Export] {
			failed := call(s, step, limits, log)
			if view, ok := s.Response(); ok {
				response = bytes.Clone(view)
			}
			if _, exited := s.Exited(); exited && inspect != nil { // what it said before tells more than that it ended
				failed = cmp.Or(inspect(len(captured.Responses), response), failed)
			}
			if failed != nil {
				return nil, failed
			}
		} else if !step.Optional {
			return nil, fmt.Errorf("%w: it does not export %s", ErrModule, step.Export)
		}
		if start && i == 0 {
			continue
		}
		captured.Responses = append(captured.Responses, response)
		if inspect != nil {
			if err := inspect(len(captured.Responses)-1, response); err != nil {
				return nil, err
			}
		}
	}
	if p := s.Process(); p != nil {
		if left := p.Left(); left != "" {
			return nil, fmt.Errorf("%w: it %s when it is initialised, and an image holds no files", ErrModule, left)
		}
	}
	after, tablesAfter, err := state(s, module)
	if err != nil {
		return nil, err
	}
	for i := range tables {
		if !equal(tables[i], tablesAfter[i]) {
			return nil, fmt.Errorf("%w: it changes its function table while it is initialised, and a table cannot be captured", ErrModule)
		}
	}
	var initials [][]byte
	for i := range after {
		if captured.Changed = captured.Changed || after[i] != globals[i]; after[i] != globals[i] && after[i].Type == 5 {
			return nil, fmt.Errorf("%w: it changes a global that holds a function while it is initialised", ErrModule)
		}
		initials = append(initials, constant(after[i]))
	}
	if base == nil {
		captured.Module = p.Module
	}
	if base == nil && captured.Changed {
		// A reference cannot be written as a constant; it did not change, so its expression stays.
		before := p.initials()
		for i := range after {
			if after[i].Type == 5 {
				initials[i] = before[i]
			}
		}
		captured.Module = p.WithGlobals(initials)
	}
	captured.CPU = s.CPU()
	return captured, write(path, s.Memory(), s.MemorySize(), base, e.Clock())
}

func call(s *wasm.Slot, step Step, limits Limits, log func(level int, text []byte)) error {
	status := s.Call(step.Export, step.Takes, step.Event)
	for status == wasm.Yielded {
		status = s.Resume()
	}
	if log != nil {
		s.Logs(log)
	}
	if exit, exited := s.Exited(); exited {
		return fmt.Errorf("%w: %s ended the program, with the exit status %d", ErrModule, step.Export, exit)
	}
	if status == wasm.Done {
		return nil
	}
	if own, _ := s.MemoryLimited(); own {
		return &LimitError{"memory_limit", fmt.Sprintf("%d MiB", limits.Memory>>20)}
	}
	fault := s.Fault()
	if fault.Cause == wasm.OutOfBudget {
		return &LimitError{"cpu_limit", limits.CPU.String()}
	}
	return fault
}

// state reads what of an instance is not memory.
func state(s *wasm.Slot, module *wasm.Module) (globals []wasm.Value, tables [][]uintptr, err error) {
	for _, x := range module.Exports { // those of Prepare, in the order of Globals and Tables
		if !strings.HasPrefix(x.Name, prefix) {
			continue
		}
		switch x.Kind {
		case wasm.Global:
			v, err := s.GlobalValue(x.Name)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrModule, err)
			}
			globals = append(globals, v)
		case wasm.Table:
			if x.Name == wasm.HostTable {
				continue
			}
			t, err := s.TableFuncs(x.Name)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrModule, err)
			}
			tables = append(tables, t)
		}
	}
	return globals, tables, nil
}

func equal(a, b []uintptr) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// constant writes a global's value as an initial expression.
func constant(v wasm.Value) []byte {
	switch v.Type {
	case 0:
		return append(appendSigned([]byte{0x41}, int64(int32(binary.LittleEndian.Uint32(v.Bits[:])))), 0x0b)
	case 1:
		return append(appendSigned([]byte{0x42}, int64(binary.LittleEndian.Uint64(v.Bits[:]))), 0x0b)
	case 2:
		return append(append([]byte{0x43}, v.Bits[:4]...), 0x0b)
	case 3:
		return append(append([]byte{0x44}, v.Bits[:8]...), 0x0b)
	case 4:
		return append(append([]byte{0xfd, 12}, v.Bits[:]...), 0x0b)
	}
	return nil
}

func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
