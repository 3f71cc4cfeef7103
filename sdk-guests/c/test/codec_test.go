package test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
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
func (c *codec) ask(t testing.TB, line string) string {
	t.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		t.Fatal(err)
	}
	answer, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, c.stderr.String())
	}
	return strings.TrimSpace(answer)
}

func TestVectors(t *testing.T) { nodetest.Vectors(t, newCodec(t).ask) }

// TestReadings: what requests and results are read as.
func TestReadings(t *testing.T) {
	c := newCodec(t)
	frames := nodetest.Frames(t, "frames.txt")
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
		if got := c.ask(t, kind+" "+frames[name]); got != strings.TrimSpace(want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// FuzzDecoder has the C decoder read what the node's reads: the fields are the same, and nothing beyond the frame is touched.
func FuzzDecoder(f *testing.F) {
	nodetest.FuzzDecoder(f, newCodec(f).ask)
}
