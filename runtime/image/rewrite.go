// Package image makes and opens a program's initialised memory.
//
// A guest is initialised once: Prepare rewrites its module so that it begins from a memory that is already there, Capture
// runs its initialisation over the memory that its data segments describe, and the memory as it is then is written to a
// file. Every request begins from that file, mapped privately.
//
// The rewritten module has no active data and no start function (both have run by then); it exports its mutable globals and
// its tables, so that Capture can see whether initialisation changed them. Globals that changed are written into the module
// as their initial values; a changed table is refused, for a table cannot be written down.
//
// Where it can be proved that nothing but memory and globals keeps what an event did, the module gets a function more, which
// takes one event after another in one instance (serve.go).
package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrModule is wrapped by every error about a module that cannot be served.
var ErrModule = errors.New("invalid module")

const (
	prefix      = "aleph:" // of the exports that Prepare adds
	startExport = prefix + "start"
	wasmPage    = 1 << 16
	maxMemory   = 1 << 32
)

// Prepared is a module that begins from a memory.
type Prepared struct {
	Module  []byte // the rewritten module
	Base    []byte // what the data segments put into the memory, without trailing zeros
	Size    uint64 // the memory's initial size in bytes
	Start   bool   // it had a start function, exported as aleph:start
	Globals []string
	Tables  []string

	sections []section // of Module; the globals' initial expressions and the server's code are put in by assemble
	globals  []globalEntry
	server   *server // nil: each event has a new instance
}

// section ids of the WebAssembly binary format, in the order they come in a module.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
	sectionTag
)

type section struct {
	id   byte
	body []byte
}

// Prepare rewrites a module, which must be valid (wasm.Engine.Validate).
func Prepare(module []byte) (*Prepared, error) {
	sections, err := split(module)
	if err != nil {
		return nil, err
	}
	p := &Prepared{}
	var imported struct{ globals, tables int }
	var immutable []*uint64 // by index: the value of a global that is constant, nil if it is not
	exportsAt := -1
	var start uint32
	var globals []globalEntry
	tables := 0
	memories := 0
	for i, s := range sections {
		r := &reader{b: s.body}
		switch s.id {
		case sectionImport:
			for range r.count() {
				from, name := r.name(), r.name()
				switch kind := r.byte(); kind {
				case 0:
					r.u32()
				case 1:
					r.byte()
					r.limits()
					imported.tables++
				case 3:
					r.byte()
					r.byte()
					imported.globals++
					immutable = append(immutable, nil)
				default:
					return nil, fmt.Errorf("%w: it imports the memory %s.%s; a program brings its own", ErrModule, from, name)
				}
			}
		case sectionTable:
			tables = int(r.count())
			r.b = nil
		case sectionMemory:
			if memories = int(r.count()); memories == 1 {
				flags, minimum := r.limits()
				if flags&^1 != 0 {
					return nil, fmt.Errorf("%w: its memory is shared or 64-bit", ErrModule)
				}
				if p.Size = uint64(minimum) * wasmPage; p.Size > maxMemory {
					return nil, fmt.Errorf("%w: its memory is over 4 GiB", ErrModule)
				}
			}
			r.b = nil
		case sectionGlobal:
			for range r.count() {
				g := globalEntry{kind: r.byte(), mutable: r.byte() == 1}
				from := r.b
				value := r.constant(immutable)
				g.initial = from[:len(from)-len(r.b)]
				if g.mutable {
					value = nil
				}
				immutable = append(immutable, value)
				globals = append(globals, g)
			}
		case sectionExport:
			exportsAt = i
			for range r.count() {
				if name := r.name(); len(name) >= len(prefix) && name[:len(prefix)] == prefix {
					return nil, fmt.Errorf("%w: it exports %q; names that begin with %q are the node's", ErrModule, name, prefix)
				}
				r.byte()
				r.u32()
			}
		case sectionStart:
			p.Start, start = true, r.u32()
		case sectionData:
			sections[i].body, err = p.applyData(r, immutable)
		}
		if err == nil {
			err = r.err
		}
		if err != nil {
			return nil, fmt.Errorf("%w: section %d: %w", ErrModule, s.id, err)
		}
	}
	switch {
	case memories == 0:
		return nil, fmt.Errorf("%w: it has no memory", ErrModule)
	case memories > 1:
		return nil, fmt.Errorf("%w: it has %d memories, and may have one", ErrModule, memories)
	case exportsAt < 0:
		return nil, fmt.Errorf("%w: it exports nothing", ErrModule)
	}

	var extra []byte
	added := uint32(0)
	export := func(name string, kind byte, index uint32) {
		extra = appendName(extra, name)
		extra = binary.AppendUvarint(append(extra, kind), uint64(index))
		added++
	}
	if p.Start {
		export(startExport, 0, start)
	}
	for i := range tables {
		name := fmt.Sprintf("%st%d", prefix, i)
		p.Tables = append(p.Tables, name)
		export(name, 1, uint32(imported.tables+i))
	}
	for i, g := range globals {
		if g.mutable {
			name := fmt.Sprintf("%sg%d", prefix, i)
			p.Globals = append(p.Globals, name)
			export(name, 3, uint32(imported.globals+i))
		}
	}
	r := &reader{b: sections[exportsAt].body}
	count := r.count()
	sections[exportsAt].body = append(append(binary.AppendUvarint(nil, uint64(count)+uint64(added)), r.b...), extra...)

	sections = slices.DeleteFunc(sections, func(s section) bool { return s.id == sectionStart })
	p.sections, p.globals = p.serve(sections), globals
	p.Module = p.WithGlobals(p.initials())
	return p, nil
}

type globalEntry struct {
	kind    byte
	mutable bool
	initial []byte // expression
}

// Serves says that an instance of the module is kept from one event to the next.
func (p *Prepared) Serves() bool { return p.server != nil }

// initials are the initial expressions of Globals.
func (p *Prepared) initials() (initials [][]byte) {
	for _, g := range p.globals {
		if g.mutable {
			initials = append(initials, g.initial)
		}
	}
	return initials
}

// applyData writes the active segments into Base and gives the section that is left: passive ones as they were, active ones
// as they are once they have been applied, empty.
func (p *Prepared) applyData(r *reader, immutable []*uint64) ([]byte, error) {
	count := r.count()
	body := binary.AppendUvarint(nil, uint64(count))
	for i := range count {
		flags := r.u32()
		if flags == 1 {
			data := r.bytes()
			body = binary.AppendUvarint(append(body, 1), uint64(len(data)))
			body = append(body, data...)
			continue
		}
		if flags == 2 {
			r.u32()
		}
		offset := r.constant(immutable)
		data := r.bytes()
		if r.err != nil {
			break
		}
		if offset == nil {
			return nil, fmt.Errorf("data segment %d begins where only an import says", i)
		}
		end := uint64(uint32(*offset)) + uint64(len(data))
		if end > p.Size {
			return nil, fmt.Errorf("data segment %d ends at %d, the memory at %d", i, end, p.Size)
		}
		if data = bytes.TrimRight(data, "\x00"); len(data) > 0 {
			from := uint64(uint32(*offset))
			if need := from + uint64(len(data)); need > uint64(len(p.Base)) {
				p.Base = append(p.Base, make([]byte, need-uint64(len(p.Base)))...)
			}
			copy(p.Base[from:], data)
		}
		body = append(body, 1, 0)
	}
	return body, r.err
}

// WithGlobals gives the module with those initial values of Globals, in their order.
func (p *Prepared) WithGlobals(values [][]byte) []byte {
	module := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range p.sections {
		body := s.body
		switch {
		case s.id == sectionGlobal:
			body = binary.AppendUvarint(nil, uint64(len(p.globals)))
			left := values
			for _, g := range p.globals {
				initial := g.initial
				body = append(body, g.kind, 0)
				if g.mutable {
					body[len(body)-1] = 1
					initial, left = left[0], left[1:]
				}
				body = append(body, initial...)
			}
		case s.id == sectionCode && p.server != nil:
			r := &reader{b: body}
			n := r.count()
			body = append(binary.AppendUvarint(nil, uint64(n)+2), r.b...)
			body = append(body, p.server.body(p.globals, values)...)
		}
		module = append(module, s.id)
		module = binary.AppendUvarint(module, uint64(len(body)))
		module = append(module, body...)
	}
	return module
}

// split cuts a module into its sections.
func split(module []byte) ([]section, error) {
	if len(module) < 8 || string(module[:4]) != "\x00asm" {
		return nil, fmt.Errorf("%w: it is not WebAssembly: it does not begin with \\0asm", ErrModule)
	}
	switch version := binary.LittleEndian.Uint32(module[4:]); {
	case version == 1:
	case version>>16 == 1:
		return nil, fmt.Errorf("%w: it is a component; build a core module (for Rust: the target wasm32-wasip1)", ErrModule)
	default:
		return nil, fmt.Errorf("%w: it has version %d, 1 is known", ErrModule, version)
	}
	r := &reader{b: module[8:]}
	var sections []section
	for len(r.b) > 0 && r.err == nil {
		id := r.byte()
		sections = append(sections, section{id, r.bytes()})
		if id > sectionTag && r.err == nil {
			return nil, fmt.Errorf("%w: section %d is not known", ErrModule, id)
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModule, r.err)
	}
	return sections, nil
}

func appendName(b []byte, name string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(name))), name...)
}

var errCut = errors.New("it is cut short")

// A reader walks the binary format. After the first fault it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errCut)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail(errCut)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u64() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errCut)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) u32() uint32 {
	v := r.u64()
	if v > math.MaxUint32 {
		r.fail(errors.New("a number is over 32 bits"))
		return 0
	}
	return uint32(v)
}

// count is how many entries a vector has; no more than bytes are left, so that a lie costs nothing.
func (r *reader) count() uint32 {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)) {
		r.fail(errCut)
		return 0
	}
	return n
}

func (r *reader) bytes() []byte { return r.take(uint64(r.u32())) }
func (r *reader) name() string  { return string(r.bytes()) }

func (r *reader) limits() (flags byte, minimum uint32) {
	flags = r.byte()
	minimum = r.u32()
	if flags&1 != 0 {
		r.u32()
	}
	return flags, minimum
}

// signed reads a signed LEB128 of up to 64 bits.
func (r *reader) signed() int64 {
	var v int64
	for shift := uint(0); shift < 70; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			if shift < 57 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.fail(errors.New("a number is over 64 bits"))
	return 0
}

// constant reads a constant expression. Its value is nil where it is not a whole number that is known here.
func (r *reader) constant(globals []*uint64) *uint64 {
	var stack []*uint64
	push := func(v uint64) { stack = append(stack, &v) }
	for r.err == nil {
		switch op := r.byte(); op {
		case 0x0b:
			if len(stack) == 1 {
				return stack[0]
			}
			return nil
		case 0x41, 0x42:
			push(uint64(r.signed()))
		case 0x43:
			r.take(4)
			stack = append(stack, nil)
		case 0x44:
			r.take(8)
			stack = append(stack, nil)
		case 0x23:
			if i := r.u32(); int(i) < len(globals) {
				stack = append(stack, globals[i])
			} else {
				stack = append(stack, nil)
			}
		case 0xd0:
			r.signed()
			stack = append(stack, nil)
		case 0xd2:
			r.u32()
			stack = append(stack, nil)
		case 0xfd:
			if r.u32() != 12 {
				r.fail(errors.New("a constant expression holds an unknown instruction"))
			}
			r.take(16)
			stack = append(stack, nil)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e:
			if len(stack) < 2 {
				r.fail(errors.New("a constant expression has too few operands"))
				return nil
			}
			a, b := stack[len(stack)-2], stack[len(stack)-1]
			stack = stack[:len(stack)-2]
			switch {
			case a == nil || b == nil:
				stack = append(stack, nil)
			case op == 0x6a || op == 0x7c:
				push(*a + *b)
			case op == 0x6b || op == 0x7d:
				push(*a - *b)
			default:
				push(*a * *b)
			}
		default:
			r.fail(fmt.Errorf("a constant expression holds the unknown instruction %#x", op))
		}
	}
	return nil
}
