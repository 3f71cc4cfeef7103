package test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/abi"
)

// A codec is native/vectors.c, running.
type codec struct {
	testing.TB
	in     io.WriteCloser
	out    *bufio.Reader
	stderr strings.Builder
}

// newCodec compiles the program with the machine's compiler and its sanitizers, and starts it.
func newCodec(t testing.TB) *codec {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "vectors")
	if out, err := exec.Command("cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g", "-fsanitize=address,undefined",
		"-fno-sanitize-recover=all", "-o", binary, "native/vectors.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := &codec{TB: t}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0") // what it reads lives as long as it
	cmd.Stderr = &c.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, c.stderr.String())
		}
	})
	return c
}

// ask gives a line and gets one.
func (c *codec) ask(t testing.TB, format string, args ...any) string {
	t.Helper()
	if _, err := fmt.Fprintf(c.in, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf(format+": %v\n%s", append(args, err, c.stderr.String())...)
	}
	return strings.TrimSpace(line)
}

// vectors reads a file of abi/vectors: the lines' tokens.
func vectors(t testing.TB, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../../abi/vectors/" + name)
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

// argument is a field of fields.txt as the program takes it.
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
			for at := 0; at < len(v) && err == nil; at++ {
				if v[at] != '%' {
					b = append(b, v[at])
					continue
				}
				var n uint64
				n, err = strconv.ParseUint(v[at+1:at+3], 16, 8)
				b, at = append(b, byte(n)), at+2
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		text += ":" + hex.EncodeToString(b)
	}
	return text
}

// fieldsOf is what the program says of a frame, according to the node's reader.
func fieldsOf(frame []byte) string {
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

func TestVectors(t *testing.T) {
	c := newCodec(t)
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
		if got := c.ask(t, "write%s ", written[name]); got != digits {
			t.Errorf("%s:\nwritten %s\n   want %s", name, got, digits)
		}
		frame, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		for length := range len(frame) + 1 {
			if got, want := c.ask(t, "read %x", frame[:length]), fieldsOf(frame[:length]); got != want {
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
		if got := c.ask(t, "%s %s", kind, line[1]); got != "invalid" {
			t.Errorf("%s: %s", line[0], got)
		}
	}
}

// TestReadings: what requests and results are read as.
func TestReadings(t *testing.T) {
	c := newCodec(t)
	frames := map[string]string{}
	for _, line := range vectors(t, "frames.txt") {
		frames[line[0]] = line[1]
	}
	texts := func(all ...string) (text string) {
		for _, s := range all {
			text += fmt.Sprintf(" %x", s)
		}
		return text
	}
	for name, want := range map[string]string{
		"event-full": "0 1 1700000010123456789 1700000000123456789 0 4" + texts("0123456789abcdef", strings.Repeat("a", 64), "node-1", "0x"+strings.Repeat("1", 40),
			"POST", "/a%20b/gr%c3%bc%C3%9F", "/api/v0/run/aaaa", "name=Alice&name=B%6fb&q=a+b%26c&flag&=none&n=%%c3%a9%4", "[2001:db8::1]:4711", `{"x":1}`,
			"/a b/grüß", "Alice", "a b&c", "%é%4", "text/html", "", "0123456789abcdef", ""),
		"event-follows":      "0 1 1700000000123456789 0 1 1" + texts("r2", "", "", "", "PUT", "/upload", "", "", "192.0.2.1:4711", "", "/upload", "", "", "", "", "", "r2", ""),
		"event-schedule":     "1 2 18446744073709551615 0 0 1" + texts("r3", "", "", "", "POST", "/", "", "", "", "{}", "/", "", "", "", "", "", "nightly@1700000000", `"2023-11-14T22:13:20Z"`),
		"event-unknown":      "0 1 1700000000123456789 0 0 0" + texts("r5", "", "", "", "PUT", "/", "", "", "", "", "/", "", "", "", "", "", "r5", ""),
		"load-program":       "454d505459: 4752454554494e47:48656c6c6f2c2077c3b6726c64 4b:613d62",
		"result-fetch":       "404 3 1 0 0 0 3 0" + texts("Not Found", "https://example.org/there", "nothing here", "", ""),
		"result-get-counter": "0 0 0 0 0 0 2 -2" + texts("", "", "", "\xfe\xff\xff\xff\xff\xff\xff\xff", ""),
		"result-list":        "0 0 0 3 0 0 3 0" + texts("", "", "", "", "c"),
		"result-existed":     "0 0 0 0 1 0 3 0" + texts("", "", "", "", ""),
		"result-refused":     "forbidden" + texts("10.0.0.1 is a private address"),
		"result-later":       "unknown_error" + texts("later"),
	} {
		kind, _, _ := strings.Cut(name, "-")
		if got := c.ask(t, "%s %s", kind, frames[name]); got != strings.TrimSpace(want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// FuzzDecoder has the C decoder read what the node's reads: the fields are the same, and nothing beyond the frame is touched.
func FuzzDecoder(f *testing.F) {
	for _, name := range []string{"frames.txt", "invalid.txt"} {
		for _, line := range vectors(f, name) {
			frame, err := hex.DecodeString(line[1])
			if err != nil {
				f.Fatal(err)
			}
			f.Add(frame)
		}
	}
	c := newCodec(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 10_000 {
			return
		}
		if got, want := c.ask(t, "read %x", frame), fieldsOf(frame); got != want {
			t.Errorf("%x:\n got %s\nwant %s", frame, got, want)
		}
		for _, kind := range []string{"event", "load", "result"} {
			if got := c.ask(t, "%s %x", kind, frame); fieldsOf(frame) == "invalid" && got != "invalid" {
				t.Errorf("%s %x: %s", kind, frame, got)
			}
		}
	})
}
