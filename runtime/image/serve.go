package image

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A module whose instances can be kept is given one function more, which takes event after event and never returns:
//
//	loop: n = host.begin()     ; how long the event is
//	      aleph_handle(n)
//	      each mutable global = its initial expression
//	      host.end()           ; the event is done: suspend at the next opportunity
//	      pause()              ; an empty function. Functions look at the epoch when they are entered: that is the opportunity
//
// So a request is one resumption of a coroutine that waits in pause, and store, instance and fiber are made once.
//
// # Why nothing is left for the next event
//
// The specification of WebAssembly lists what an instance's state is made of (its "store": functions, tables, memories, globals,
// element and data segments; tags, exceptions and structures are of proposals that are off). Of each, why it is at every begin()
// as in a new instance:
//
//   - Functions and immutable globals cannot change.
//   - Mutable globals of the module: the loop sets every one to its initial expression, as instantiation does. These expressions
//     are constant: what they read is constants, functions and immutable globals. Globals are reset by code that the same
//     compiler made, so no type is a special case. Imported globals: a module that has any is not kept.
//   - Tables: seven instructions change tables or drop segments. The code has none of them (fixed). The host changes no table
//     but the one added here, once, before the first event; the module's code cannot name it, for it was validated when it was
//     not there. Imported tables: not kept. Active segments are applied by instantiation and not again.
//   - Element and data segments change when they are dropped: the same scan.
//   - Memory: package wasm restores it before each event, as for a new instance, byte for byte. Its size is the image's: an
//     instance that has grown is dropped.
//   - The call stack: at begin() it holds the frame of this function and nothing else, every time. Of the fiber's stack what
//     lies beyond is left from calls that have returned; WebAssembly has no way to read it, and fibers' stacks were reused
//     before.
//
// That is so after aleph_handle has returned. Anything else (a trap, an exit, a cancellation in the middle, a limit) ends the
// coroutine, and the instance is dropped with it. What the host has of a run (event, response, operations, log lines, time, the
// process that answers WASI) is in package wasm's slot and is reset for each event, kept or new.
//
// What cannot be proved so is served as before, by a new instance for each event.
type server struct {
	handle, pause uint32 // functions
	begin, end    uint32 // types
	table         uint32 // of the host's two functions
}

// instanceMost is up to which size of its own, in bytes, an instance is worth keeping.
const instanceMost = 1 << 20

// serve gives the sections what an instance needs that is kept, unless the module is not fit for it.
func (p *Prepared) serve(sections []section) []section {
	s, size, ok := outline(sections)
	if !ok {
		return sections
	}
	grow := func(id byte, entries int, more ...byte) {
		for i := range sections {
			if sections[i].id == id {
				r := &reader{b: sections[i].body}
				n := r.count()
				sections[i].body = append(append(binary.AppendUvarint(nil, uint64(n)+uint64(entries)), r.b...), more...)
				return
			}
		}
		body := append(binary.AppendUvarint(nil, uint64(entries)), more...)
		at := 0
		for i, other := range sections { // only the table section may be missing: it follows the functions
			if other.id == sectionFunction {
				at = i + 1
			}
		}
		sections = append(sections[:at], append([]section{{id, body}}, sections[at:]...)...)
	}
	grow(sectionType, 2, 0x60, 0, 1, 0x7f, 0x60, 0, 0)
	function := binary.AppendUvarint(nil, uint64(s.end))
	grow(sectionFunction, 2, append(function, function...)...)
	grow(sectionTable, 1, 0x70, 1, 2, 2)
	export := func(b []byte, name string, kind byte, index uint32) []byte {
		return binary.AppendUvarint(append(appendName(b, name), kind), uint64(index))
	}
	exports := export(nil, wasm.ServeExport, 0, s.pause+1)
	exports = export(exports, fmt.Sprint(wasm.KeptExport, size), 0, s.pause+1)
	grow(sectionExport, 3, export(exports, wasm.HostTable, 1, s.table)...)
	p.server = s
	return sections
}

// body is the code of pause and of the loop.
func (s *server) body(globals []globalEntry, initials [][]byte) []byte {
	host := func(b []byte, function byte, kind uint32) []byte {
		b = binary.AppendUvarint(append(b, 0x41, function, 0x11), uint64(kind))
		return binary.AppendUvarint(b, uint64(s.table))
	}
	call := func(b []byte, function uint32) []byte { return binary.AppendUvarint(append(b, 0x10), uint64(function)) }
	loop := host([]byte{0, 0x03, 0x40}, 0, s.begin)
	loop = call(loop, s.handle)
	for i, g := range globals {
		if g.mutable {
			loop = append(loop, initials[0][:len(initials[0])-1]...)
			loop = binary.AppendUvarint(append(loop, 0x24), uint64(i))
			initials = initials[1:]
		}
	}
	loop = call(host(loop, 1, s.end), s.pause)
	loop = append(loop, 0x0c, 0, 0x0b, 0x0b)
	return append(binary.AppendUvarint([]byte{2, 0, 0x0b}, uint64(len(loop))), loop...)
}

// outline looks whether a module's instances can be kept, how large one is beside its memory (an estimate from above, bytes),
// and where the additions go.
func outline(sections []section) (s *server, size int, ok bool) {
	s = &server{}
	var types, functions, tables, globals uint32
	var handles []uint32 // types i32 -> ()
	var kinds []uint32   // of functions
	exported := false
	code := false
	for _, section := range sections {
		r := &reader{b: section.body}
		switch section.id {
		case sectionType:
			types = r.count()
			for i := range types {
				if r.byte() != 0x60 {
					return nil, 0, false
				}
				params, results := r.valueTypes(), r.valueTypes()
				if bytes.Equal(params, []byte{0x7f}) && len(results) == 0 {
					handles = append(handles, i)
				}
			}
		case sectionImport:
			for range r.count() {
				r.name()
				r.name()
				if r.byte() != 0 {
					return nil, 0, false
				}
				kinds = append(kinds, r.u32())
			}
		case sectionFunction:
			for range r.count() {
				kinds = append(kinds, r.u32())
			}
			functions = uint32(len(kinds))
		case sectionTable:
			tables = r.count()
			for range tables {
				r.valueType()
				_, minimum := r.limits()
				size += 8 * int(minimum)
			}
		case sectionGlobal:
			globals = r.count()
			r.b = nil
		case sectionExport:
			for range r.count() {
				name, kind, index := r.name(), r.byte(), r.u32()
				if name == "aleph_handle" && kind == 0 {
					exported, s.handle = true, index
				}
			}
		case sectionCode:
			if code = true; fixed(section.body) != nil {
				return nil, 0, false
			}
			r.b = nil
		case sectionTag:
			return nil, 0, false
		default:
			r.b = nil
		}
		if r.err != nil || len(r.b) > 0 {
			return nil, 0, false
		}
	}
	size += 32*int(functions) + 16*int(globals) + 4096
	if !exported || functions == 0 || !code || size > instanceMost || int(s.handle) >= len(kinds) {
		return nil, 0, false
	}
	fits := false
	for _, t := range handles {
		fits = fits || kinds[s.handle] == t
	}
	s.begin, s.end, s.pause, s.table = types, types+1, functions, tables
	return s, size, fits
}

func (r *reader) valueTypes() (types []byte) {
	for range r.count() {
		types = append(types, r.valueType())
	}
	return types
}
