package nodetest

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/abi"
)

// Vectors checks a codec against abi/vectors, as README.md there says. ask gives the codec a line and gets one:
//
//	write TYPE:TAG:HEX[:HEX…] …   writes a frame of the fields; the answer is its bytes in hex. Numbers are little-endian, as in the
//	                              frame; TYPE is u32, u64 (an i64, too), bytes, pair (name, value) or entry (key, kind, value)
//	read HEX                      reads a frame; the answer is "invalid", or its fields as FieldsOf has them
//	event HEX, load HEX, result HEX
//	                              reads it as what the node gives; the answer is "invalid", or anything else
func Vectors(t *testing.T, ask func(t testing.TB, line string) string) {
	written := map[string]string{}
	for _, line := range vectors(t, "fields.txt") {
		written[line[0]] += " " + argument(t, line[1], line[2], line[3:])
	}
	frames := vectors(t, "frames.txt")
	if len(frames) != len(written)+1 {
		t.Errorf("%d frames, %d have fields", len(frames), len(written))
	}
	for _, line := range frames {
		name, digits := line[0], line[1]
		if got := ask(t, "write"+written[name]+" "); got != digits {
			t.Errorf("%s:\nwritten %s\n   want %s", name, got, digits)
		}
		frame, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		for length := range len(frame) + 1 {
			if got, want := ask(t, fmt.Sprintf("read %x", frame[:length])), FieldsOf(frame[:length]); got != want {
				t.Errorf("%s cut at %d:\n got %s\nwant %s", name, length, got, want)
			}
		}
	}
	for _, line := range vectors(t, "invalid.txt") {
		kind, _, _ := strings.Cut(line[0], "-")
		switch {
		case kind == "frame":
			kind = "read"
		case kind == "response", line[0] == "load-memory-short":
			continue // the node reads responses, and nobody here the limit
		}
		if got := ask(t, kind+" "+line[1]); got != "invalid" {
			t.Errorf("%s: %s", line[0], got)
		}
	}
}

// Frames gives abi/vectors' frames in hex by their names: those of frames.txt, or of invalid.txt.
func Frames(t testing.TB, file string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, line := range vectors(t, file) {
		all[line[0]] = line[1]
	}
	return all
}

// FieldsOf is what a codec says of a frame, according to the node's reader: "invalid", or TAG:HEX for each field; where the value can
// be a pair :HEX of its name follows, where it can be an entry :KIND:HEX of its value.
func FieldsOf(frame []byte) string {
	var fields []string
	r := abi.Read(frame)
	for r.Next() {
		text := fmt.Sprintf("%d:%x", r.Tag, r.Value)
		pair := r // a copy: what is no pair ends it
		if name, rest := pair.Pair(); pair.Err() == nil {
			text += fmt.Sprintf(":%x", name)
			if len(rest) >= 4 {
				text += fmt.Sprintf(":%d:%x", binary.LittleEndian.Uint32(rest), rest[4:])
			}
		}
		fields = append(fields, text)
	}
	if r.Err() != nil {
		return "invalid"
	}
	return strings.Join(fields, " ")
}

// vectors reads a file of abi/vectors: the lines' tokens.
func vectors(t testing.TB, name string) [][]string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(self), "../../abi/vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' {
			all = append(all, strings.Split(strings.ReplaceAll(line, `""`, ""), " "))
		}
	}
	return all
}

// argument is a field of fields.txt as a codec takes it.
func argument(t testing.TB, kind, tag string, values []string) string {
	t.Helper()
	text := kind + ":" + tag
	for i, v := range values {
		var b []byte
		var err error
		switch {
		case kind == "u32", kind == "entry" && i == 1:
			var n uint64
			n, err = strconv.ParseUint(v, 10, 32)
			b = binary.LittleEndian.AppendUint32(nil, uint32(n))
		case kind == "u64":
			var n uint64
			n, err = strconv.ParseUint(v, 10, 64)
			b = binary.LittleEndian.AppendUint64(nil, n)
		case kind == "i64":
			var n int64
			n, err = strconv.ParseInt(v, 10, 64)
			b, text = binary.LittleEndian.AppendUint64(nil, uint64(n)), "u64:"+tag
		default:
			b, err = decoded(v)
		}
		if err != nil {
			t.Fatal(err)
		}
		text += ":" + hex.EncodeToString(b)
	}
	return text
}

// decoded is a text of fields.txt without its percent signs.
func decoded(text string) ([]byte, error) {
	var b []byte
	for at := 0; at < len(text); at++ {
		if text[at] != '%' {
			b = append(b, text[at])
			continue
		}
		if at+3 > len(text) {
			return nil, fmt.Errorf("a text ends within an escape: %q", text)
		}
		n, err := strconv.ParseUint(text[at+1:at+3], 16, 8)
		if err != nil {
			return nil, err
		}
		b, at = append(b, byte(n)), at+2
	}
	return b, nil
}

// FuzzDecoder has an SDK's decoder read what the node's reads: the fields are the same, and what the node refuses is refused as an event, a
// load and a result, too. ask is that of Vectors.
func FuzzDecoder(f *testing.F, ask func(t testing.TB, line string) string) {
	for _, name := range []string{"frames.txt", "invalid.txt"} {
		for _, digits := range Frames(f, name) {
			frame, err := hex.DecodeString(digits)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 10_000 {
			return
		}
		if got, want := ask(t, fmt.Sprintf("read %x", frame)), FieldsOf(frame); got != want {
			t.Errorf("%x:\n got %s\nwant %s", frame, got, want)
		}
		for _, kind := range []string{"event", "load", "result"} {
			if got := ask(t, fmt.Sprintf("%s %x", kind, frame)); FieldsOf(frame) == "invalid" && got != "invalid" {
				t.Errorf("%s %x: %s", kind, frame, got)
			}
		}
	})
}
