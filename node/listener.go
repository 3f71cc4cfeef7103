package node

import (
	"net"
	"sync"
	"time"
)

// A listener accepts connections whose deadlines are only set anew when they move by a second or more: the server moves three
// with each request, which costs 0.2 µs each.
type listener struct {
	*net.TCPListener
	silent *silent
}

// deadlineGrain is how much too early a deadline may be.
const deadlineGrain = time.Second

func (l listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	accepted := &conn{TCPConn: c, silent: l.silent}
	l.silent.add(accepted)
	return accepted, nil
}

// silent are the connections on which nothing was sent yet. The server does not count them as idle, and would wait for them when it
// shuts down.
type silent struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newSilent() *silent { return &silent{conns: map[*conn]struct{}{}} }

func (s *silent) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
}

func (s *silent) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// close closes them, again and again until done: some may have been on their way to the server.
func (s *silent) close(done <-chan struct{}) {
	for {
		s.mu.Lock()
		for c := range s.conns {
			_ = c.TCPConn.Close() // who reads it gives it up
		}
		s.mu.Unlock()
		select {
		case <-done:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// conn is a connection as the server sees it. Its deadlines are set by one goroutine; others use NetConn.
type conn struct {
	*net.TCPConn
	read, write time.Time // the deadlines as they are set
	silent      *silent
	heard       bool // it was read, and is not among the silent
}

// Read is called by one goroutine at a time.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if !c.heard {
		c.heard = true
		c.silent.remove(c)
	}
	return n, err
}

func (c *conn) Close() error {
	c.silent.remove(c)
	return c.TCPConn.Close()
}

// NetConn is the connection without what conn adds.
func (c *conn) NetConn() net.Conn { return c.TCPConn }

func (c *conn) SetReadDeadline(t time.Time) error {
	if suffices(c.read, t) {
		return nil
	}
	c.read = t
	return c.TCPConn.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	if suffices(c.write, t) {
		return nil
	}
	c.write = t
	return c.TCPConn.SetWriteDeadline(t)
}

func (c *conn) SetDeadline(t time.Time) error {
	c.read, c.write = t, t
	return c.TCPConn.SetDeadline(t)
}

// suffices says whether a deadline that is set will do for one that is wanted.
func suffices(set, wanted time.Time) bool {
	if set.IsZero() || wanted.IsZero() {
		return set.Equal(wanted)
	}
	later := wanted.Sub(set)
	return 0 <= later && later < deadlineGrain
}
