package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/aleph-edge/aleph-edge/abi"
)

// mailPorts are those of mail servers, which would take commands from the body of a request: what is sent there is abuse.
var mailPorts = map[uint16]bool{25: true, 465: true, 587: true}

// dial connects to an address that the rules allow. It is the transport's, for all programs.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !c.begin() {
		return nil, errClosed
	}
	defer c.dials.Done()
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	if err := c.place(ctx); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Resolver: c.config.Resolver, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return c.check(host, address)
	}}
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		<-c.places
		return nil, err
	}
	return c.keep(raw)
}

// begin counts a dial, unless the client is closed.
func (c *Client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.dials.Add(1)
	return true
}

// place waits until there may be one more connection. Idle ones make room.
func (c *Client) place(ctx context.Context) error {
	select {
	case c.places <- struct{}{}:
		return nil
	default:
	}
	c.closeIdle()
	select {
	case c.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{abi.OpUnavailable, fmt.Sprintf("all of the node's connections are in use; the limit is %d", cap(c.places))}
	}
}

// check refuses an address, host:port, that the host of a URL has but that may not be connected to.
func (c *Client) check(host, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if c.config.Allow.permits(host, to) {
		return nil
	}
	if mailPorts[to.Port()] {
		return &Error{abi.OpForbidden, fmt.Sprintf("port %d is for mail; the operator can allow it with --allow-egress", to.Port())}
	}
	is := special(to.Addr())
	if is == "" && ownAddress(to.Addr()) {
		is = "an address of this node"
	}
	if is == "" {
		return nil
	}
	relation := "is"
	if _, err := netip.ParseAddr(host); err != nil {
		relation = "is at" // which address a name has within the operator's network is not the program's business
	}
	return &Error{abi.OpForbidden, fmt.Sprintf("%s %s %s; the operator can allow it with --allow-egress", host, relation, is)}
}

// ownAddress says whether the machine has the address. Interfaces come and go, connections are made seldom: it looks each time.
func ownAddress(a netip.Addr) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return true // it may be
	}
	for _, address := range addresses {
		if own, ok := address.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(own.IP); ok && ip.Unmap() == a.Unmap() {
				return true
			}
		}
	}
	return false
}

// A conn gives its place back when it is closed.
type conn struct {
	net.Conn
	client *Client
	once   sync.Once
}

func (c *Client) keep(raw net.Conn) (net.Conn, error) {
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: pingTime, Interval: pingTime, Count: 3}) // a help, no need
	}
	own := &conn{Conn: raw, client: c}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.conns[own] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		_ = own.Close()
		return nil, errClosed
	}
	return own, nil
}

func (c *conn) Close() error {
	c.once.Do(func() {
		c.client.mu.Lock()
		delete(c.client.conns, c)
		c.client.mu.Unlock()
		<-c.client.places
	})
	return c.Conn.Close()
}
