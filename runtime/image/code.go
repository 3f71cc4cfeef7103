package image

import (
	"errors"
	"fmt"
)

// errChanges says that code changes what only a new instance makes as it was.
var errChanges = errors.New("it changes a table or drops a segment")

var errUnknown = errors.New("it holds an instruction that is not known here")

// fixed walks the code section of a valid module: nil if no function in it can change a table or drop a segment. It is an error,
// too, where an instruction is met that it does not know, for what follows could not be told from its operands.
//
// The instructions that change what is neither memory nor a global are seven in WebAssembly 2.0 (and in what wasmtime has
// enabled here): table.set, table.grow, table.fill, table.copy, table.init, elem.drop and data.drop. A valid module has its
// numbers in the lengths that this reader takes, so the walk can only err where a list below does; TestInstructions has
// wasmtime's assembler and validator write and read each of the instructions.
func fixed(code []byte) error {
	r := &reader{b: code}
	for range r.count() {
		body := &reader{b: r.bytes()}
		if r.err != nil {
			break
		}
		if err := body.function(); err != nil {
			return err
		}
	}
	if r.err == nil && len(r.b) > 0 {
		return errCut
	}
	return r.err
}

// function walks a function's locals and instructions to its end.
func (r *reader) function() error {
	for range r.count() {
		r.u32()
		r.valueType()
	}
	for depth := 1; depth > 0 && r.err == nil; {
		switch op := r.byte(); op {
		case 0x02, 0x03, 0x04: // block, loop, if
			r.signed()
			depth++
		case 0x0b:
			depth--
		default:
			r.instruction(op)
		}
	}
	if r.err == nil && len(r.b) > 0 {
		return errCut
	}
	return r.err
}

// instruction takes the operands of an instruction that begins and ends no block.
func (r *reader) instruction(op byte) {
	switch {
	case op == 0x00, op == 0x01, op == 0x05, op == 0x0f, op == 0x1a, op == 0x1b: // unreachable, nop, else, return, drop, select
	case op == 0x0c, op == 0x0d, op == 0x10, op == 0x12, op == 0xd2: // br, br_if, call, return_call, ref.func
		r.u32()
	case op == 0x0e: // br_table
		for range r.count() {
			r.u32()
		}
		r.u32()
	case op == 0x11, op == 0x13: // call_indirect, return_call_indirect
		r.u32()
		r.u32()
	case op == 0x1c: // select of a type
		for range r.count() {
			r.valueType()
		}
	case 0x20 <= op && op <= 0x25: // local.get, .set, .tee, global.get, .set, table.get
		r.u32()
	case op == 0x26: // table.set
		r.fail(errChanges)
	case 0x28 <= op && op <= 0x3e: // loads and stores
		r.memoryArgument()
	case op == 0x3f, op == 0x40: // memory.size, memory.grow
		r.u32()
	case op == 0x41, op == 0x42, op == 0xd0: // i32.const, i64.const, ref.null
		r.signed()
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case 0x45 <= op && op <= 0xc4, op == 0xd1: // arithmetic, ref.is_null
	case op == 0xfc:
		r.bulk(r.u32())
	case op == 0xfd:
		r.vector(r.u32())
	default:
		r.fail(fmt.Errorf("%w: %#x", errUnknown, op))
	}
}

// bulk takes the operands of an instruction with the prefix 0xfc.
func (r *reader) bulk(op uint32) {
	switch {
	case op <= 7: // saturating conversions
	case op == 8, op == 10: // memory.init, memory.copy
		r.u32()
		r.u32()
	case op == 11, op == 16: // memory.fill, table.size
		r.u32()
	case op == 9, 12 <= op && op <= 17: // data.drop, table.init, elem.drop, table.copy, table.grow, table.fill
		r.fail(errChanges)
	default:
		r.fail(fmt.Errorf("%w: 0xfc %d", errUnknown, op))
	}
}

// vector takes the operands of an instruction with the prefix 0xfd.
func (r *reader) vector(op uint32) {
	switch {
	case op <= 11, op == 92, op == 93: // loads and stores
		r.memoryArgument()
	case op == 12, op == 13: // v128.const, i8x16.shuffle
		r.take(16)
	case 21 <= op && op <= 34: // of one lane
		r.byte()
	case 84 <= op && op <= 91: // loads and stores of one lane
		r.memoryArgument()
		r.byte()
	case op <= 0x113: // arithmetic, the relaxed ones included
	default:
		r.fail(fmt.Errorf("%w: 0xfd %d", errUnknown, op))
	}
}

// memoryArgument takes an alignment and an offset. A bit of the alignment would say that a memory's number follows.
func (r *reader) memoryArgument() {
	if align := r.u32(); align >= 1<<6 {
		r.fail(fmt.Errorf("%w: of a second memory", errUnknown))
	}
	r.u32()
}

// valueType takes a type of one byte; those of more are of proposals that are off.
func (r *reader) valueType() byte {
	t := r.byte()
	switch t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f:
	default:
		r.fail(fmt.Errorf("%w: the type %#x", errUnknown, t))
	}
	return t
}
