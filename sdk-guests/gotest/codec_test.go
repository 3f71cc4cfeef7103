package gotest

import (
	"bufio"
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
	nodetest.FuzzDecoder(f, newCodec(f).ask)
}
