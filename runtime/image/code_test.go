package image

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// instructions are all that wasmtime's assembler and validator know in the form that the node's engine has them, but for those
// that change tables or drop segments. Operands are chosen to look like these: 38 is table.set, 252 the prefix of the others.
func instructions() (all []string) {
	list := func(format string, names string) {
		for name := range strings.FieldsSeq(names) {
			all = append(all, fmt.Sprintf(format, name))
		}
	}
	list("%s", "unreachable nop return drop select ref.is_null memory.size memory.grow memory.fill memory.copy")
	list("%s", "(block) (loop) (if(then)(else))")
	all = append(all, "(block (result i32) (unreachable))", "(block (type 1) (unreachable))")
	list("%s 0", "br br_if ref.func return_call table.get table.size memory.init")
	list("%s 38", "local.get local.set local.tee global.get global.set call")
	all = append(all, "br_table 0 0 0 0", "call_indirect 0 (type 38)", "return_call_indirect 0 (type 38)", "select (result i64)", "ref.null func")
	list("i32.const %s", "38 252 -1 63 64 -64 -65 2147483647 -2147483648 806")
	list("i64.const %s", "38 252 -1 9223372036854775807 -9223372036854775808 1208925819")
	all = append(all, "f32.const nan:0x260026", "f64.const nan:0x2600260026fc", "v128.const i32x4 0x26262626 0xfcfcfcfc 0x0b0b0b0b 0x26fc0b26",
		"i8x16.shuffle 26 3 12 11 10 9 8 7 6 5 4 3 2 1 0 31")
	list("%s offset=806 align=1", "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u i64.load8_s i64.load8_u i64.load16_s "+
		"i64.load16_u i64.load32_s i64.load32_u i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32 v128.load "+
		"v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u v128.load32x2_s v128.load32x2_u v128.load8_splat v128.load16_splat v128.load32_splat "+
		"v128.load64_splat v128.load32_zero v128.load64_zero v128.store")
	list("%s offset=0xfc26 1", "v128.load8_lane v128.load16_lane v128.load32_lane v128.load64_lane v128.store8_lane v128.store16_lane v128.store32_lane v128.store64_lane")
	list("%s 1", "i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane i16x8.extract_lane_s i16x8.extract_lane_u i16x8.replace_lane i32x4.extract_lane "+
		"i32x4.replace_lane i64x2.extract_lane i64x2.replace_lane f32x4.extract_lane f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane")
	for _, t := range []string{"i32", "i64"} {
		list(t+".%s", "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr "+
			"trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u extend8_s extend16_s")
	}
	for _, t := range []string{"f32", "f64"} {
		list(t+".%s", "eq ne lt gt le ge abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign convert_i32_s convert_i32_u convert_i64_s convert_i64_u")
	}
	list("%s", "i32.wrap_i64 i64.extend_i32_s i64.extend_i32_u i64.extend32_s f32.demote_f64 f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64")
	list("v128.%s", "not and andnot or xor bitselect any_true")
	for _, t := range []string{"i8x16", "i16x8", "i32x4", "i64x2"} {
		list(t+".%s", "splat eq ne lt_s gt_s le_s ge_s abs neg all_true bitmask shl shr_s shr_u add sub")
	}
	for _, t := range []string{"f32x4", "f64x2"} {
		list(t+".%s", "splat eq ne lt gt le ge ceil floor trunc nearest abs neg sqrt add sub mul div min max pmin pmax relaxed_madd relaxed_nmadd relaxed_min relaxed_max")
	}
	for _, t := range []string{"i8x16", "i16x8", "i32x4"} {
		list(t+".%s", "lt_u gt_u le_u ge_u min_s min_u max_s max_u")
	}
	list("%s", "i8x16.swizzle i8x16.relaxed_swizzle i8x16.popcnt i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u i8x16.add_sat_s i8x16.add_sat_u i8x16.sub_sat_s i8x16.sub_sat_u i8x16.avgr_u "+
		"i16x8.extadd_pairwise_i8x16_s i16x8.q15mulr_sat_s i16x8.narrow_i32x4_u i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_u i16x8.mul i16x8.extmul_low_i8x16_s i16x8.avgr_u "+
		"i32x4.extend_low_i16x8_s i32x4.mul i32x4.dot_i16x8_s i32x4.extmul_high_i16x8_u i64x2.mul i64x2.extend_low_i32x4_s i64x2.extmul_high_i32x4_u "+
		"f32x4.demote_f64x2_zero f64x2.promote_low_f32x4 i32x4.trunc_sat_f32x4_s f32x4.convert_i32x4_u i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s "+
		"i8x16.relaxed_laneselect i64x2.relaxed_laneselect i32x4.relaxed_trunc_f64x2_u_zero i16x8.relaxed_q15mulr_s i16x8.relaxed_dot_i8x16_i7x16_s i32x4.relaxed_dot_i8x16_i7x16_add_s")
	return all
}

// changing are those that change tables or drop segments.
var changing = []string{"table.set 0", "table.grow 0", "table.fill 0", "table.copy 0 0", "table.init 0 0", "elem.drop 0", "data.drop 0"}

// TestInstructions walks over each instruction, and finds what follows it: its operands are no instructions, and hide none.
func TestInstructions(t *testing.T) {
	l := newLab(t)
	code := func(instructions ...string) []byte {
		t.Helper()
		var body strings.Builder
		for range 39 { // 38 is an index
			body.WriteString("(type (func)) (global (mut i32) (i32.const 0)) ")
		}
		body.WriteString("(table 38 funcref) (elem $e func 0) (data $d \"x\") (memory (export \"memory\") 1) ")
		for range 39 {
			body.WriteString("(func) ")
		}
		fmt.Fprintf(&body, "(func (local i64 f32) (local %s) unreachable", strings.Repeat("i32 ", 40))
		for _, i := range instructions { // after unreachable, any operands are on the stack
			body.WriteString(" unreachable " + i)
		}
		module, err := wasm.WAT("(module " + body.String() + " unreachable))")
		if err != nil {
			t.Fatalf("%s: %v", instructions, err)
		}
		if err := l.engine.Validate(module); err != nil {
			t.Fatalf("%s: %v", instructions, err)
		}
		sections, err := split(module)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sections {
			if s.id == sectionCode {
				return s.body
			}
		}
		t.Fatal("no code")
		return nil
	}
	all := instructions()
	for n, i := range all {
		if err := fixed(code(i)); err != nil {
			t.Errorf("%s: %v", i, err)
		}
		if c := changing[n%len(changing)]; !errors.Is(fixed(code(i, c)), errChanges) {
			t.Errorf("%s after %s is not found", c, i)
		}
	}
	if err := fixed(code(all...)); err != nil {
		t.Errorf("all: %v", err)
	}
	for _, c := range changing {
		if !errors.Is(fixed(code(c)), errChanges) {
			t.Errorf("%s is not found", c)
		}
	}
	for _, unknown := range [][]byte{{0xfe, 0x03, 0}, {0xfb, 0}, {0x06, 0x40}, {0x14, 0}, {0xd3}, {0xfc, 18}, {0xfd, 0xff, 0x0f}, {0x28, 0x40, 0, 0}, {0x1c, 1, 0x63, 0}} {
		body := append(append([]byte{0}, unknown...), 0x0b)
		if err := fixed(append([]byte{1, byte(len(body))}, body...)); !errors.Is(err, errUnknown) {
			t.Errorf("%x: %v", unknown, err)
		}
	}
}

// FuzzFixed: no code is walked beyond its end, and what is cut short is no proof.
func FuzzFixed(f *testing.F) {
	f.Add([]byte{1, 2, 0, 0x0b})
	f.Add([]byte{1, 8, 1, 1, 0x7f, 0x41, 0xa6, 0x26, 0x1a, 0x0b})
	f.Fuzz(func(t *testing.T, code []byte) {
		if fixed(code) == nil && len(code) > 0 && fixed(bytes.Clone(code[:len(code)-1])) == nil {
			t.Errorf("%x is whole without its end", code)
		}
	})
}
