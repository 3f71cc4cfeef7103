package http

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/host"
)

// writeTimeout is how long a client may take for one part of a streamed body.
const writeTimeout = time.Minute

// maxBuffered bounds the streamed body of a reply to an HTTP/1.0 client, which has to be collected first.
const maxBuffered = 16 << 20

// replyBody is the body of a reply that its guest writes part by part. The server pulls: while the client does not take what
// was written, the guest's write is not complete. It owns the invocation from when the server has it.
type replyBody struct {
	trigger *Trigger
	who     *caller
	inv     *host.Invocation
	conn    net.Conn
	left    int64 // of the announced length; -1: none was
	rest    []byte
}

// stream has the server write the reply's body as the guest makes it. It says whether the server will; if not, it is written.
func (t *Trigger) stream(ctx *fasthttp.RequestCtx, who *caller, inv *host.Invocation) bool {
	b := &replyBody{trigger: t, who: who, inv: inv, conn: ctx.Conn(), left: announced(inv)}
	status := ctx.Response.StatusCode()
	if ctx.IsHead() || status == fasthttp.StatusNoContent || status == fasthttp.StatusNotModified { // no body is sent
		if b.left >= 0 {
			ctx.Response.Header.SetContentLength(int(b.left))
		}
		ctx.Response.SkipBody = true
		_ = b.CloseWithError(nil)
		return true
	}
	if !ctx.Request.Header.IsHTTP11() {
		collected, err := io.ReadAll(io.LimitReader(b, maxBuffered+1))
		if err == nil && len(collected) > maxBuffered {
			err = fmt.Errorf("a body over %d bytes is not for HTTP/1.0", maxBuffered)
		}
		if err != nil {
			WriteError(ctx, abi.ErrInvalidReply, err.Error(), inv.ID[:])
		} else {
			ctx.Response.SetBodyRaw(collected)
		}
		return false
	}
	ctx.Response.ImmediateHeaderFlush = true
	ctx.Response.SetBodyStream(b, int(b.left))
	return true
}

// announced is the body's length by the reply's own header, -1 if it has none.
func announced(inv *host.Invocation) int64 {
	length := int64(-1)
	for name, value := range inv.Head().Headers {
		if bytes.EqualFold(name, []byte("content-length")) {
			if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n >= 0 {
				length = n
			}
		}
	}
	return length
}

// next is the next part, nil at the end.
func (b *replyBody) next() ([]byte, error) {
	part, failed := b.inv.Next()
	if failed != nil {
		return nil, failed
	}
	if part == nil {
		if b.left > 0 {
			return nil, errors.New("the reply's body is shorter than its content-length")
		}
		return nil, nil
	}
	if b.left >= 0 {
		if b.left -= int64(len(part)); b.left < 0 {
			return nil, errors.New("the reply's body is longer than its content-length")
		}
	}
	return part, nil
}

// WriteTo writes the body, each part at once.
func (b *replyBody) WriteTo(w io.Writer) (written int64, err error) {
	for {
		part, err := b.next()
		if part == nil || err != nil {
			return written, err
		}
		if err := b.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return written, err
		}
		n, err := w.Write(part)
		written += int64(n)
		if buffered, ok := w.(*bufio.Writer); ok && err == nil {
			err = buffered.Flush()
		}
		if err != nil {
			return written, err
		}
	}
}

// SupportsBodyWriteTo says that the server is to use WriteTo.
func (b *replyBody) SupportsBodyWriteTo() bool { return true }

// Read reads the body.
func (b *replyBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		part, err := b.next()
		if err != nil {
			return 0, err
		}
		if part == nil {
			return 0, io.EOF
		}
		b.rest = part
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// CloseWithError is called by the server when it has done with the body. Without an error the guest may go on.
func (b *replyBody) CloseWithError(err error) error {
	if err != nil {
		b.inv.Abort()
		b.inv.End()
	} else {
		b.inv.Detach()
	}
	b.trigger.callers.Put(b.who)
	return nil
}
