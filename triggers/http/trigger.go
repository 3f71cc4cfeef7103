// Package http turns HTTP requests into events and replies into HTTP responses.
package http

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/host"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A Trigger answers requests with programs. All methods may be called at once.
type Trigger struct {
	dispatcher *host.Dispatcher
	maxBody    int
	watcher    *watcher
	callers    sync.Pool
	life       context.Context // of programs that are made ready by a request
	end        context.CancelFunc
}

// New makes a trigger that takes request bodies of up to maxBody bytes. Close it when no request is under way.
func New(dispatcher *host.Dispatcher, maxBody int, log *slog.Logger) (*Trigger, error) {
	w, err := newWatcher(log)
	if err != nil {
		return nil, err
	}
	t := &Trigger{dispatcher: dispatcher, maxBody: maxBody, watcher: w}
	t.callers.New = func() any { return &caller{watcher: w} }
	t.life, t.end = context.WithCancel(context.Background())
	return t, nil
}

// Close ends the watching of connections.
func (t *Trigger) Close() error {
	t.end()
	return t.watcher.close()
}

// A Target is where in a program a request goes: views of the request, as they were sent.
type Target struct {
	Root  []byte // of the URL's path what names the program
	Path  []byte // what follows
	Query []byte // without "?"
}

// Serve answers a request with the program.
func (t *Trigger) Serve(ctx *fasthttp.RequestCtx, program *programs.Program, target Target) {
	if failed := checkLength(ctx, t.maxBody); failed != nil {
		t.refuse(ctx, failed, nil)
		return
	}
	who := t.callers.Get().(*caller)
	who.ctx = ctx
	inv, failed := t.dispatcher.Begin(t.life, program, abi.KindHTTP, 1, who)
	if failed != nil {
		t.callers.Put(who)
		t.refuse(ctx, failed, nil)
		return
	}
	if t.answer(ctx, who, inv, &target) {
		return // the reply's body ends it
	}
	inv.End()
	t.callers.Put(who)
}

// answer runs the event and writes the reply. It says whether the reply's body is yet to be written, and has the invocation.
func (t *Trigger) answer(ctx *fasthttp.RequestCtx, who *caller, inv *host.Invocation, target *Target) (streams bool) {
	unread, failed := t.appendRequest(ctx, inv, target)
	if failed == nil {
		var reply *abi.Response
		if reply, failed = inv.Run(); failed == nil {
			failed = write(ctx, inv, reply)
		}
	} else {
		inv.Fail(failed)
	}
	if failed != nil {
		WriteError(ctx, failed.Row, failed.Detail, inv.ID[:])
	}
	header := &ctx.Response.Header
	header.SetCanonical(headerProgram, inv.Serving().Header.ID)
	header.SetCanonical(headerCodeRef, inv.Serving().Header.CodeRef)
	header.SetCanonical(headerRequest, inv.ID[:])
	if unread != nil {
		unread.settle(ctx, inv)
	}
	return failed == nil && inv.Streams() && t.stream(ctx, who, inv)
}

// refuse answers a request that no program sees.
func (t *Trigger) refuse(ctx *fasthttp.RequestCtx, failed *host.Error, id []byte) {
	WriteError(ctx, failed.Row, failed.Detail, id)
	if stream := ctx.RequestBodyStream(); stream != nil {
		newBody(ctx, stream, t.maxBody).drain(ctx)
	}
}

// appendRequest appends the request to its event. The body that it gives back, if one, is not read to its end. It and write are
// kept out of Serve, whose frame a waiting request holds.
//
//go:noinline
func (t *Trigger) appendRequest(ctx *fasthttp.RequestCtx, inv *host.Invocation, target *Target) (*body, *host.Error) {
	e := abi.Bytes(inv.Event, abi.TagMethod, ctx.Method())
	if len(target.Path) == 0 {
		e = abi.Bytes(e, abi.TagPath, "/")
	} else {
		e = abi.Bytes(e, abi.TagPath, target.Path)
	}
	e = abi.Bytes(e, abi.TagRoot, target.Root)
	e = abi.Bytes(e, abi.TagQuery, target.Query)
	if peer, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		var text [56]byte // the longest IPv6 address with a zone and a port
		e = abi.Bytes(e, abi.TagClient, unmapped(peer.AddrPort()).AppendTo(text[:0]))
	}
	depth := uint32(0)
	for name, value := range ctx.Request.Header.All() {
		from := len(e) + 12
		e = abi.Pair(e, abi.TagHeader, name, value)
		lower(e[from : from+len(name)])
		if len(name) == len(triggers.LoopHeader) && equalFold(name, "cdn-loop") {
			depth = max(depth, triggers.Depth(string(value)))
		}
	}
	inv.Event = e
	if failed := inv.SetDepth(depth); failed != nil {
		return nil, failed
	}
	stream := ctx.RequestBodyStream()
	if stream == nil {
		inv.Event = abi.Bytes(e, abi.TagBody, ctx.Request.Body())
		return nil, nil
	}
	length := ctx.Request.Header.ContentLength()
	if inv.Serving().Reads && (length < 0 || length > wholeBody) {
		unread := newBody(ctx, stream, t.maxBody)
		inv.Event = e
		inv.Follow(unread)
		return unread, nil
	}
	var failed *host.Error
	inv.Event, failed = appendBody(abi.Bytes(e, abi.TagBody, ""), stream, length, t.maxBody)
	if failed != nil {
		return newBody(ctx, stream, t.maxBody), failed
	}
	return nil, nil
}

// unmapped is the address with IPv4 as IPv4, as a client would write it.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// write writes the reply.
//
//go:noinline
func write(ctx *fasthttp.RequestCtx, inv *host.Invocation, reply *abi.Response) *host.Error {
	ctx.Response.SetStatusCode(reply.Status)
	if failed := setHeaders(&ctx.Response.Header, reply); failed != nil {
		ctx.Response.Header.Reset()
		inv.Fail(failed)
		return failed
	}
	if !inv.Streams() {
		ctx.Response.SetBody(reply.Body)
	}
	return nil
}

// setHeaders copies the reply's headers, checked against RFC 9110: names are tokens, values have no control characters.
func setHeaders(header *fasthttp.ResponseHeader, reply *abi.Response) *host.Error {
	for name, value := range reply.Headers {
		switch {
		case !isToken(name):
			return &host.Error{Row: abi.ErrInvalidReply, Detail: "a header's name has characters that HTTP does not allow"}
		case !isFieldValue(value):
			return &host.Error{Row: abi.ErrInvalidReply, Detail: "the value of the header " + string(name) + " has characters that HTTP does not allow"}
		case !connectionHeader(name):
			header.AddBytesKV(name, value)
		}
	}
	return nil
}

var (
	headerProgram = []byte("Aleph-Program-Itemhash")
	headerCodeRef = []byte("Aleph-Program-Code-Ref")
	headerRequest = []byte("Aleph-Request-Id")
)

// connectionHeader names what belongs to the connection, which is the node's.
func connectionHeader(name []byte) bool {
	switch len(name) {
	case 2:
		return equalFold(name, "te")
	case 7:
		return equalFold(name, "trailer") || equalFold(name, "upgrade")
	case 10:
		return equalFold(name, "connection") || equalFold(name, "keep-alive")
	case 14:
		return equalFold(name, "content-length")
	case 17:
		return equalFold(name, "transfer-encoding")
	}
	return false
}

func equalFold(b []byte, lowerCase string) bool {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lowerCase[i] {
			return false
		}
	}
	return true
}

func isToken(name []byte) bool {
	for _, c := range name {
		if !token[c] {
			return false
		}
	}
	return len(name) > 0
}

func isFieldValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// token marks the characters of RFC 9110's tokens.
var token = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[c] = true
	}
	return t
}()

func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

// WriteError answers with a row of the table of errors. detail and requestID may be empty.
func WriteError(ctx *fasthttp.RequestCtx, row *abi.Error, detail string, requestID []byte) {
	text := row.Text
	if detail != "" {
		text += ": " + detail
	}
	WriteErrorText(ctx, row.Status, row.Code, text, row.Hint, requestID)
}

// WriteErrorText answers with an error in the form that all of the node's have.
func WriteErrorText(ctx *fasthttp.RequestCtx, status int, code, message, hint string, requestID []byte) {
	var body struct {
		Error struct {
			Code      string `json:"code"`
			Message   string `json:"message"`
			Hint      string `json:"hint,omitempty"`
			RequestID string `json:"request_id,omitempty"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message, body.Error.Hint, body.Error.RequestID = code, message, hint, string(requestID)
	ctx.Response.ResetBody()
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType("application/json")
	if status == fasthttp.StatusServiceUnavailable {
		ctx.Response.Header.Set("Retry-After", "1")
	}
	encoder := json.NewEncoder(ctx.Response.BodyWriter())
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(&body) // into memory
}
