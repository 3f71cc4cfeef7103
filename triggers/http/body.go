package http

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/host"
)

const (
	wholeBody   = 64 << 10 // bytes of a body that is in its event even if the guest could read it
	bodyTimeout = time.Minute
	// What is left of a body that nobody wants is read, up to so much and so long, so that the client comes to reading the
	// answer; a connection that is closed with bytes unread is reset.
	drainBytes   = 16 << 20
	drainTimeout = time.Second
)

// tooLong marks a request whose body is refused before any of it is read. It is no name that a client could send.
const tooLong = ":too-long"

// HeaderReceived is what the server asks when it has read a header, so that it does not wait for bytes of a body that is longer
// than limit, or that its guest could read as it comes. RefuseHeader answers the former.
func HeaderReceived(limit int) func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
	return func(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
		length := h.ContentLength()
		switch {
		case length > limit:
			h.SetContentLength(0)
			h.SetConnectionClose()
			h.Set(tooLong, fmt.Sprintf("body: %d bytes, the limit is %d", length, limit))
		case length > wholeBody:
			return fasthttp.RequestConfig{MaxRequestBodySize: 1} // the server reads so much before it calls the handler
		}
		return fasthttp.RequestConfig{}
	}
}

// RefuseHeader answers a request that HeaderReceived found too long.
func RefuseHeader(ctx *fasthttp.RequestCtx) bool {
	if !ctx.Request.Header.ConnectionClose() { // a comparison, not a search
		return false
	}
	detail := ctx.Request.Header.Peek(tooLong)
	if detail == nil {
		return false
	}
	WriteError(ctx, abi.ErrBodyTooLarge, string(detail), nil)
	return true
}

// checkLength refuses a body whose announced length is over the limit.
func checkLength(ctx *fasthttp.RequestCtx, limit int) *host.Error {
	if n := ctx.Request.Header.ContentLength(); n > limit {
		return &host.Error{Row: abi.ErrBodyTooLarge, Detail: fmt.Sprintf("body: %d bytes, the limit is %d", n, limit)}
	}
	return nil
}

// ReadBody reads the request's body, of up to limit bytes, so that ctx.Request has it. If it cannot, it answers the request.
func ReadBody(ctx *fasthttp.RequestCtx, limit int) bool {
	stream := ctx.RequestBodyStream()
	if stream == nil {
		return true
	}
	failed := checkLength(ctx, limit)
	if failed == nil {
		var content []byte
		if content, failed = appendBody(make([]byte, 4), stream, ctx.Request.Header.ContentLength(), limit); failed == nil {
			ctx.Request.SetBodyRaw(content[4:])
			return true
		}
	}
	WriteError(ctx, failed.Row, failed.Detail, nil)
	newBody(ctx, stream, limit).drain(ctx)
	return false
}

// appendBody appends what a body has to a field that ends b and is empty so far. length is -1 where it is not known.
func appendBody(b []byte, stream io.Reader, length, limit int) ([]byte, *host.Error) {
	from := len(b)
	if length >= 0 {
		b = append(b, make([]byte, length)...)
		if _, err := io.ReadFull(stream, b[from:]); err != nil {
			return b[:from], unreadable(err)
		}
	} else {
		for {
			if len(b) == cap(b) {
				b = append(b, 0)[:len(b)]
			}
			n, err := stream.Read(b[len(b):cap(b)])
			b = b[:len(b)+n]
			if len(b)-from > limit {
				return b[:from], &host.Error{Row: abi.ErrBodyTooLarge, Detail: fmt.Sprintf("the limit is %d bytes", limit)}
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				return b[:from], unreadable(err)
			}
		}
	}
	binary.LittleEndian.PutUint32(b[from-4:], uint32(len(b)-from))
	return b, nil
}

// unreadable is why a body did not come whole.
func unreadable(err error) *host.Error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &host.Error{Row: abi.ErrRequestTimeout}
	}
	return &host.Error{Row: abi.ErrBadRequest, Detail: "its body does not come to its end"}
}

// body is a request's body as the guest reads it. Each read has its own deadline, so that an upload may take as long as the
// program.
type body struct {
	stream io.Reader
	conn   net.Conn
	left   int
	ended  bool

	mu          sync.Mutex
	interrupted bool
}

func newBody(ctx *fasthttp.RequestCtx, stream io.Reader, limit int) *body {
	return &body{stream: stream, conn: RawConn(ctx), left: limit}
}

// RawConn is a request's connection without what the listener adds: its deadlines may be set by any goroutine.
func RawConn(ctx *fasthttp.RequestCtx) net.Conn {
	if c, ok := ctx.Conn().(interface{ NetConn() net.Conn }); ok {
		return c.NetConn()
	}
	return ctx.Conn()
}

// Read reads what has come.
func (b *body) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	if err := b.extend(bodyTimeout); err != nil {
		return 0, err
	}
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.stream.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("%w: it is over the node's limit", host.ErrBodyTooLarge)
	}
	b.ended = err == io.EOF
	return n, err
}

func (b *body) extend(d time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.interrupted {
		return io.ErrClosedPipe
	}
	return b.conn.SetReadDeadline(time.Now().Add(d))
}

// Interrupt ends the read that is under way, and all later ones.
func (b *body) Interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.interrupted = true
	_ = b.conn.SetReadDeadline(time.Unix(1, 0)) // a connection that is closed has no reads to end
}

// settle is called when there is a reply, or its head. A body that the guest has not read to its end makes the connection's end.
func (b *body) settle(ctx *fasthttp.RequestCtx, inv *host.Invocation) {
	if inv.Streams() {
		if !inv.BodyEnded() {
			ctx.SetConnectionClose()
		}
		return
	}
	inv.StopBody()
	b.drain(ctx)
}

// drain reads what is left, within bounds, and closes the connection after the answer if that was not all.
func (b *body) drain(ctx *fasthttp.RequestCtx) {
	if b.ended {
		return
	}
	if b.interrupted || b.conn.SetReadDeadline(time.Now().Add(drainTimeout)) != nil {
		ctx.SetConnectionClose()
		return
	}
	_, _ = io.CopyN(io.Discard, b.stream, drainBytes) // whatever comes of it
	ctx.SetConnectionClose()
}
