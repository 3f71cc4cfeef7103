// Package egress makes the HTTP requests that programs send out: HTTP/1.1 and HTTP/2, with TLS, over pooled connections.
//
// A Client has what all programs of a node share: the rules for addresses and the bound on connections. A Program is one
// program's part of it, with connections of its own. Do sends a request and gives the answer's head; the body is read from
// the answer. Nothing is added to a request but what HTTP needs, nothing is decompressed, no cookie is kept, no proxy asked.
//
// # Which addresses
//
// A connection goes only to an address of the public internet (address.go), or to one that the operator allows (allow.go).
// The check is made in the socket's control function, on the very address that is about to be connected to: neither a name
// that resolves to something else the second time nor a redirect gets past it.
//
// # Bounds
//
// Limits below; connecting, the handshake and idle connections have deadlines of their own, everything else ends with the
// context of Do.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
)

// Limits.
const (
	MaxRedirects   = 20
	MaxURL         = 16 << 10 // bytes
	MaxHeaders     = 64 << 10 // bytes of names and values, of a request and of an answer
	MaxExchanges   = 256      // of a program at once; further ones wait
	MaxConnections = 1024     // of a node, if Config says nothing else; further ones wait
	hostConns      = 64       // of a program to one host; HTTP/2 needs one
	idleConns      = 32       // of a program, kept for the next request
	idleTime       = 30 * time.Second
	connectTime    = 10 * time.Second // for a place, the name's addresses and a connection
	handshakeTime  = 10 * time.Second
	pingTime       = 15 * time.Second // without a sign of life an HTTP/2 connection is asked for one
	MaxHeld        = 64 << 20         // bytes of answers that are read as a whole and not yet taken, of a program
	MaxHeldAll     = 512 << 20        // … and of a node
	streamWindow   = 256 << 10        // bytes that an HTTP/2 server may send ahead of the reader, on a stream
	connWindow     = 16 << 20         // … and on all of a connection's
)

// Config is what a Client is made of. The zero value is right for a node that allows nothing but the public internet.
type Config struct {
	// Allow says which other addresses may be connected to.
	Allow Allow
	// Resolver finds the addresses of names. The default is Go's own, configured as the machine is.
	Resolver *net.Resolver
	// Roots are the authorities that certificates may be of. The default is the machine's.
	Roots *x509.CertPool
	// Connections is how many there may be at once. The default is MaxConnections.
	Connections int
}

// A Client makes the requests of a node's programs. All methods may be called at once.
type Client struct {
	config Config
	places chan struct{} // a token for each connection

	life  context.Context // ends with Close
	end   context.CancelFunc
	dials sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	programs map[string]*Program
	held     atomic.Int64
	conns    map[*conn]struct{}
}

// New makes a client. Close ends it.
func New(config Config) *Client {
	if config.Resolver == nil {
		config.Resolver = &net.Resolver{PreferGo: true} // it waits in a goroutine, not in a thread
	}
	if config.Connections == 0 {
		config.Connections = MaxConnections
	}
	c := &Client{config: config, places: make(chan struct{}, config.Connections), programs: map[string]*Program{}, conns: map[*conn]struct{}{}}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// Close closes all connections. Requests under way fail.
func (c *Client) Close() {
	c.end()
	c.mu.Lock()
	c.closed = true
	conns := c.conns
	c.conns = map[*conn]struct{}{}
	c.mu.Unlock()
	for conn := range conns {
		_ = conn.Close() // nobody is left to whom it matters
	}
	c.dials.Wait()
}

// Connections is how many connections are open or being made.
func (c *Client) Connections() int { return len(c.places) }

// A Program is what one program's requests share. Its connections are no other program's: a server that ties a login to a
// connection, or that can be made to confuse two requests of one, does so only within a program.
type Program struct {
	client    *Client
	transport *http.Transport
	exchanges chan struct{} // a token for each
	held      atomic.Int64
}

// Program gives the program of that id, the same one until Remove.
func (c *Client) Program(id string) *Program {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.programs[id]; p != nil {
		return p
	}
	p := &Program{client: c, exchanges: make(chan struct{}, MaxExchanges), transport: &http.Transport{
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{RootCAs: c.config.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    handshakeTime,
		DisableCompression:     true,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConns,
		MaxConnsPerHost:        hostConns,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: MaxHeaders,
		ForceAttemptHTTP2:      true, // it is off by default where DialContext is given
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingTime, PingTimeout: pingTime,
			MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connWindow},
	}}
	c.programs[id] = p
	return p
}

// Remove forgets a program and closes what it has idle. Requests under way go on.
func (c *Client) Remove(id string) {
	c.mu.Lock()
	p := c.programs[id]
	delete(c.programs, id)
	c.mu.Unlock()
	if p != nil {
		p.transport.CloseIdleConnections()
	}
}

// closeIdle closes the idle connections of all programs.
func (c *Client) closeIdle() {
	c.mu.Lock()
	programs := make([]*Program, 0, len(c.programs))
	for _, p := range c.programs {
		programs = append(programs, p)
	}
	c.mu.Unlock()
	for _, p := range programs {
		p.transport.CloseIdleConnections()
	}
}

// Reserve counts bytes of answers that are held for the program; Unreserve ends it.
func (p *Program) Reserve(n int) error {
	if p.held.Add(int64(n)) > MaxHeld {
		p.held.Add(int64(-n))
		return &Error{abi.OpUnavailable, fmt.Sprintf("the program's answers that are not yet taken are over %d MiB, the limit", MaxHeld>>20)}
	}
	if p.client.held.Add(int64(n)) > MaxHeldAll {
		p.Unreserve(n)
		return &Error{abi.OpUnavailable, fmt.Sprintf("the answers that the node holds are over %d MiB, the limit", MaxHeldAll>>20)}
	}
	return nil
}

// Unreserve is the end of what was reserved.
func (p *Program) Unreserve(n int) {
	p.held.Add(int64(-n))
	p.client.held.Add(int64(-n))
}
