package gotest

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

// A codec is the SDK's test binary, which answers lines.
type codec struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func newCodec(t testing.TB) *codec {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "codec")
	goCommand(t, "../go", nil, "test", "-c", "-o", binary, ".")
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), "ALEPH_CODEC=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &codec{out: bufio.NewReader(out)}
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ask gives a line and gets one.
func (c *codec) ask(t testing.TB, line string) string {
	t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.TrimSpace(answer)
}

func TestVectors(t *testing.T) { nodetest.Vectors(t, newCodec(t).ask) }

// FuzzDecoder has the SDK's decoder read what the node's reads: the fields are the same.
func FuzzDecoder(f *testing.F) {
	for _, name := range []string{"frames.txt", "invalid.txt"} {
		for _, digits := range nodetest.Frames(f, name) {
			frame, err := hex.DecodeString(digits)
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
		if got, want := c.ask(t, fmt.Sprintf("read %x", frame)), nodetest.FieldsOf(frame); got != want {
			t.Errorf("%x:\n got %s\nwant %s", frame, got, want)
		}
		for _, kind := range []string{"event", "load", "result"} {
			if got := c.ask(t, fmt.Sprintf("%s %x", kind, frame)); nodetest.FieldsOf(frame) == "invalid" && got != "invalid" {
				t.Errorf("%s %x: %s", kind, frame, got)
			}
		}
	})
}
