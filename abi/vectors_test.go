package abi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write vectors/frames.txt from vectors/fields.txt")

// A field of a golden frame, as vectors/fields.txt has it.
type field struct {
	kind   string // u32, u64, i64, bytes, pair, entry
	tag    uint32
	values []string // decoded
}

// lines gives the lines of a vectors' file that are not comments, split.
func lines(t testing.TB, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile("vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' {
			all = append(all, strings.Split(line, " "))
		}
	}
	return all
}

// frames reads a file of names and bytes.
func frames(t testing.TB, name string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, line := range lines(t, name) {
		b, err := hex.DecodeString(strings.Trim(line[1], `"`))
		if err != nil || len(line) != 2 || all[line[0]] != nil {
			t.Fatalf("%s: %q: %v", name, line, err)
		}
		all[line[0]] = b
	}
	return all
}

func golden(t testing.TB) map[string][]byte { return frames(t, "frames.txt") }

// untext decodes a text of a vector.
func untext(t testing.TB, token string) string {
	t.Helper()
	if token == `""` {
		return ""
	}
	var b []byte
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '%' {
			n, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
			if err != nil {
				t.Fatalf("%s: %v", token, err)
			}
			c, i = byte(n), i+2
		}
		b = append(b, c)
	}
	return string(b)
}

// fields reads vectors/fields.txt; names are in its order.
func fields(t testing.TB) (names []string, all map[string][]field) {
	t.Helper()
	all = map[string][]field{"empty": nil}
	names = []string{"empty"}
	for _, line := range lines(t, "fields.txt") {
		name := line[0]
		if _, ok := all[name]; !ok {
			names = append(names, name)
		}
		tag, err := strconv.ParseUint(line[2], 10, 32)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		f := field{kind: line[1], tag: uint32(tag)}
		for _, token := range line[3:] {
			f.values = append(f.values, untext(t, token))
		}
		if want := map[string]int{"pair": 2, "entry": 3}[f.kind]; len(f.values) != max(want, 1) {
			t.Fatalf("%q has %d values", line, len(f.values))
		}
		all[name] = append(all[name], f)
	}
	return names, all
}

// write appends a field with this package's writers.
func (f field) write(t testing.TB, b []byte) []byte {
	t.Helper()
	number := func(text string, bits int) uint64 {
		if f.kind == "i64" {
			n, err := strconv.ParseInt(text, 10, bits)
			if err != nil {
				t.Fatal(err)
			}
			return uint64(n)
		}
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch f.kind {
	case "u32":
		return U32(b, f.tag, uint32(number(f.values[0], 32)))
	case "u64", "i64":
		return U64(b, f.tag, number(f.values[0], 64))
	case "bytes":
		return Bytes(b, f.tag, f.values[0])
	case "pair":
		return Pair(b, f.tag, f.values[0], f.values[1])
	case "entry":
		return Entry(b, f.values[0], uint32(number(f.values[1], 32)), []byte(f.values[2]))
	}
	t.Fatalf("no type of field: %q", f.kind)
	return nil
}

// read is the reader's field as a vector has it.
func (f field) read(r *Reader) field {
	got := field{kind: f.kind, tag: r.Tag}
	switch f.kind {
	case "u32":
		got.values = []string{fmt.Sprint(r.U32())}
	case "u64":
		got.values = []string{fmt.Sprint(r.U64())}
	case "i64":
		got.values = []string{fmt.Sprint(int64(r.U64()))}
	case "pair":
		name, value := r.Pair()
		got.values = []string{string(name), string(value)}
	case "entry":
		key, kind, value := r.Entry()
		got.values = []string{string(key), fmt.Sprint(kind), string(value)}
	default:
		got.values = []string{string(r.Value)}
	}
	return got
}

func TestVectors(t *testing.T) {
	names, all := fields(t)
	if *update {
		text := "# The golden frames: name, bytes in hex. Written from fields.txt by: go test ./abi -update\n"
		for _, name := range names {
			b := Frame(nil)
			for _, f := range all[name] {
				b = f.write(t, b)
			}
			text += fmt.Sprintf("%s %x\n", name, b)
		}
		if err := os.WriteFile("vectors/frames.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := golden(t)
	if len(want) != len(names) {
		t.Errorf("there are %d frames, %d have fields", len(want), len(names))
	}
	for _, name := range names {
		b, ends := Frame(nil), map[int]bool{4: true}
		for _, f := range all[name] {
			b = f.write(t, b)
			ends[len(b)] = true
		}
		if !bytes.Equal(b, want[name]) {
			t.Errorf("%s:\nwritten %x\n   want %x", name, b, want[name])
		}
		r := Read(want[name])
		n := 0
		for ; n < len(all[name]) && r.Next(); n++ {
			if f := all[name][n]; fmt.Sprint(f.read(&r)) != fmt.Sprint(f) {
				t.Errorf("%s: read %v, want %v", name, f.read(&r), f)
			}
		}
		if r.Next() || r.Err() != nil || n != len(all[name]) {
			t.Errorf("%s: it ends after %d fields with %v", name, n, r.Err())
		}
		for length := range want[name] {
			r := Read(want[name][:length])
			for r.Next() {
			}
			if whole := r.Err() == nil; whole != ends[length] {
				t.Errorf("%s cut at %d: %v", name, length, r.Err())
			}
		}
	}
}

// TestInvalidVectors reads what is not to be taken as what its name says it is.
func TestInvalidVectors(t *testing.T) {
	for name, frame := range frames(t, "invalid.txt") {
		r := Read(frame)
		for r.Next() {
			kind, _, _ := strings.Cut(name, "-")
			switch {
			case kind == "frame":
			case r.Tag == TagHeader, r.Tag == TagVariable, r.Tag == TagFile:
				r.Pair()
			case r.Tag == TagEntry:
				r.Entry()
			case kind != "response" && kind != "result" && (r.Tag == TagDeadline || r.Tag == TagTime || r.Tag == TagMemoryLimit), r.Tag == TagDelta:
				r.U64()
			case r.Tag == TagBody, r.Tag == TagValue:
			default:
				r.U32()
			}
		}
		if !errors.Is(r.Err(), ErrFrame) {
			t.Errorf("%s: %v", name, r.Err())
		}
		if strings.HasPrefix(name, "frame") || strings.HasPrefix(name, "response") {
			if resp, err := ParseResponse(frame); !errors.Is(err, ErrFrame) {
				t.Errorf("%s: %+v, %v", name, resp, err)
			}
		}
	}
}
