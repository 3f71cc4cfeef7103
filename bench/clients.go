package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// clients are HTTP/1.1 connections to one server, driven by one thread through epoll. The net package would do, but its
// timers are a millisecond coarse and its goroutines move: this costs the load's core little and keeps its clock exact.
// One request at a time is in flight on each connection.
type clients struct {
	epoll  int
	conns  []connection
	events []unix.EpollEvent
}

type connection struct {
	fd   int
	in   []byte // room for one whole answer
	have int
}

// dialClients opens n connections.
func dialClients(addr string, n int) (*clients, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	c := &clients{epoll: epoll, conns: make([]connection, n), events: make([]unix.EpollEvent, 256)}
	for i := range c.conns {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w", i+1, err)
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}); err != nil {
			return nil, fmt.Errorf("connection %d: %w", i+1, err)
		}
		err = errors.Join(
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
			unix.SetNonblock(fd, true),
			unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}),
		)
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w", i+1, err)
		}
		c.conns[i] = connection{fd: fd, in: make([]byte, 2048)}
	}
	return c, nil
}

// close closes the connections.
func (c *clients) close() {
	for _, conn := range c.conns {
		unix.Close(conn.fd)
	}
	unix.Close(c.epoll)
}

// send sends a request on connection i, which must be free.
func (c *clients) send(i int, request []byte) error {
	n, err := unix.Write(c.conns[i].fd, request)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if n < len(request) {
		return fmt.Errorf("send: %d of %d bytes fit the socket", n, len(request))
	}
	return nil
}

// poll waits up to that long (0: not at all) for answers and calls done for each one that is complete.
func (c *clients) poll(milliseconds int, done func(conn, status int)) error {
	n, err := unix.EpollWait(c.epoll, c.events, milliseconds)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range c.events[:n] {
		status, err := c.conns[e.Fd].receive()
		if err != nil {
			return err
		}
		if status != 0 {
			done(int(e.Fd), status)
		}
	}
	return nil
}

// receive reads what has come. It returns the status of the answer once it is complete, before that 0.
func (c *connection) receive() (status int, err error) {
	n, err := unix.Read(c.fd, c.in[c.have:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("receive: %w", err)
	case n == 0:
		return 0, fmt.Errorf("the server closed the connection after %q", c.in[:c.have])
	}
	c.have += n
	status, size, err := parseAnswer(c.in[:c.have])
	switch {
	case err != nil:
		return 0, err
	case size == 0 && c.have == len(c.in):
		return 0, fmt.Errorf("an answer longer than %d bytes", len(c.in))
	case size == 0:
		return 0, nil
	case size < c.have:
		return 0, fmt.Errorf("%d bytes after the answer", c.have-size)
	}
	c.have = 0
	return status, nil
}

// parseAnswer reads an answer's status and size in bytes; size 0 means that it is not complete.
func parseAnswer(in []byte) (status, size int, err error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, 0, nil
	}
	if end < 12 {
		return 0, 0, fmt.Errorf("not an HTTP answer: %q", in)
	}
	if status, err = strconv.Atoi(string(in[9:12])); err != nil {
		return 0, 0, fmt.Errorf("not an HTTP answer: %q", in)
	}
	for line := range bytes.SplitSeq(in[:end], []byte("\r\n")) {
		const name = "content-length:"
		if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			continue
		}
		length, err := strconv.Atoi(string(bytes.TrimSpace(line[len(name):])))
		if err != nil || length < 0 {
			return 0, 0, fmt.Errorf("not an HTTP answer: %q", line)
		}
		if size = end + 4 + length; size > len(in) {
			size = 0
		}
		return status, size, nil
	}
	return 0, 0, fmt.Errorf("an answer without Content-Length: %q", in[:end])
}
