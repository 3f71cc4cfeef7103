package node

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func TestDeadlines(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := listener{tcp.(*net.TCPListener), newSilent()}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	now := time.Now()
	for _, step := range []struct {
		set  time.Time
		want time.Time // that is in force
	}{
		{now.Add(time.Hour), now.Add(time.Hour)},
		{now.Add(time.Hour + deadlineGrain - 1), now.Add(time.Hour)}, // near enough
		{now.Add(time.Hour + deadlineGrain), now.Add(time.Hour + deadlineGrain)},
		{now.Add(time.Hour), now.Add(time.Hour)}, // an earlier one counts
		{time.Time{}, time.Time{}},
		{now.Add(time.Minute), now.Add(time.Minute)},
	} {
		if err := errors.Join(c.SetReadDeadline(step.set), c.SetWriteDeadline(step.set)); err != nil {
			t.Fatal(err)
		}
		if got := c.(*conn); !got.read.Equal(step.want) || !got.write.Equal(step.want) {
			t.Errorf("set %v: %v and %v", step.set, got.read, got.write)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read past its deadline: %v", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 1 {
		t.Errorf("a read without deadline: %d, %v", n, err)
	}
}

// TestSilent: connections on which nothing was ever sent do not keep a node from ending, and those that end are not remembered.
func TestSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	for range 3 {
		c, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	w.end() // it fails the test if it had to wait for them

	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	l := listener{tcp.(*net.TCPListener), newSilent()}
	for range 2 {
		client, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil || len(l.silent.conns) != 1 {
			t.Fatalf("%v, %d silent", err, len(l.silent.conns))
		}
		_ = client.Close()
		if c.Close(); len(l.silent.conns) != 0 {
			t.Errorf("%d silent after its end", len(l.silent.conns))
		}
	}
}
