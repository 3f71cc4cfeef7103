package node

import (
	"net"
	"time"
)

// A listener accepts connections whose deadlines are only set anew when they move by a second or more: the server moves three
// with each request, which costs 0.2 µs each.
type listener struct{ *net.TCPListener }

// deadlineGrain is how much too early a deadline may be.
const deadlineGrain = time.Second

func (l listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return &conn{TCPConn: c}, nil
}

// conn is a connection as the server sees it. Its deadlines are set by one goroutine; others use NetConn.
type conn struct {
	*net.TCPConn
	read, write time.Time // the deadlines as they are set
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
