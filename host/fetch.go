package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/egress"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// Limits of a guest's outbound requests.
const (
	maxStreams    = 64       // that an invocation has open at once
	maxAnswer     = 16 << 20 // bytes of a body that comes whole
	readAhead     = 256 << 10
	readDefault   = 64 << 10
	readPiece     = 32 << 10
	smallBody     = 64 << 10              // a body of at most that many bytes comes with its head, if it comes
	smallPatience = 20 * time.Millisecond // within that time
)

// fetches are an invocation's outbound requests. All but traffic and what mu guards is the invocation's goroutine's.
type fetches struct {
	traffic egress.Traffic
	tickets map[uint32]struct{} // of requests and writes that may be under way
	streams map[uint32]*fetch   // by the guest's numbers

	mu    sync.Mutex
	held  map[uint32]int // by ticket: bytes of answers that are reserved
	ended bool
}

var errStreamClosed = &egress.Error{Status: abi.OpClosed, Text: "the stream was closed"}

// startFetch begins an operation on an outbound request. Like startStore it is kept out of start.
//
//go:noinline
func (inv *Invocation) startFetch(op wasm.Operation) {
	if inv.serving.NoInternet {
		inv.instance.Complete(op.Ticket, refuse(abi.OpForbidden, "this program has no internet access (internet: false)"))
		return
	}
	q, err := readFetch(op.Request)
	if err != nil {
		inv.instance.Complete(op.Ticket, refuse(abi.OpInvalidArgument, err.Error()))
		return
	}
	if inv.fetches == nil {
		inv.fetches = &fetches{tickets: map[uint32]struct{}{}, streams: map[uint32]*fetch{}, held: map[uint32]int{}}
	}
	var failed *egress.Error
	switch op.Op {
	case abi.OpFetch:
		failed = inv.fetch(op, q)
	case abi.OpFetchRead:
		failed = inv.fetchRead(op, q)
	case abi.OpFetchWrite:
		failed = inv.fetchWrite(op, q)
	case abi.OpFetchClose:
		if f := inv.fetches.streams[q.stream]; f != nil {
			f.close()
			delete(inv.fetches.streams, q.stream)
		}
		inv.instance.Complete(op.Ticket, ok)
	}
	if failed != nil {
		inv.instance.Complete(op.Ticket, refuse(failed.Status, failed.Text))
	}
}

// A fetchRequest is an operation's request, read and copied.
type fetchRequest struct {
	egress.Request
	stream   uint32
	streamed bool
	more     bool
	end      bool
	limit    int
	patience time.Duration // 0: until the event's deadline
}

func readFetch(frame []byte) (fetchRequest, error) {
	q := fetchRequest{limit: readDefault}
	q.Method = "GET"
	r := abi.Read(frame)
	for r.Next() {
		switch r.Tag {
		case abi.TagMethod:
			q.Method = string(r.Value)
		case abi.TagURL:
			q.URL = string(r.Value)
		case abi.TagHeader:
			name, value := r.Pair()
			q.Header = append(q.Header, egress.Field{Name: string(name), Value: string(value)})
		case abi.TagBody:
			q.Body = bytes.Clone(r.Value)
		case abi.TagStream:
			q.stream, q.streamed = r.U32(), true
		case abi.TagMore:
			q.more = r.U32() != 0
		case abi.TagEnd:
			q.end = r.U32() != 0
		case abi.TagRedirects:
			q.Redirects = int(min(r.U32(), math.MaxInt32))
		case abi.TagLimit:
			if n := r.U32(); n > 0 {
				q.limit = int(min(n, readAhead))
			}
		case abi.TagDuration:
			q.patience = time.Duration(min(r.U64(), math.MaxInt64))
		}
	}
	if r.Err() == nil && q.more && !q.streamed {
		return q, errors.New("more: a body that continues needs a stream")
	}
	return q, r.Err()
}

// fetch begins a request.
func (inv *Invocation) fetch(op wasm.Operation, q fetchRequest) *egress.Error {
	fs, program := inv.fetches, inv.attached.egress
	q.Traffic = &fs.traffic
	q.Header = append(q.Header, inv.loopField())
	if !q.streamed {
		inv.fetchBeside(op, func(ctx context.Context) []byte {
			ctx, cancel := patient(ctx, q.patience)
			defer cancel.all()
			return fs.answerWhole(ctx, program, op.Ticket, q, cancel)
		})
		return nil
	}
	f, failed := inv.open(q.stream)
	if failed != nil {
		return failed
	}
	if q.more {
		var from *io.PipeReader
		from, f.upload = io.Pipe()
		q.Stream = continued{io.MultiReader(bytes.NewReader(q.Body), from), from}
	}
	if !inv.fetchBeside(op, func(ctx context.Context) []byte { return f.begin(ctx, program, q, &inv.dispatcher.work) }) {
		delete(inv.fetches.streams, q.stream)
		f.close()
	}
	return nil
}

// continued is a body of which the guest has given the beginning.
type continued struct {
	io.Reader
	io.Closer
}

// fetchBeside is beside, of an operation that ends when the guest cancels it.
func (inv *Invocation) fetchBeside(op wasm.Operation, run func(context.Context) []byte) bool {
	inv.fetches.tickets[op.Ticket] = struct{}{}
	return inv.beside(op, run)
}

// patience ends a wait for an answer's head.
type patience struct {
	timer *time.Timer
	end   context.CancelCauseFunc
}

// patient is a context that ends with an error if the head does not come in time; head says that it came.
func patient(ctx context.Context, d time.Duration) (context.Context, patience) {
	ctx, end := context.WithCancelCause(ctx)
	return ctx, patience{expire(d, end), end}
}

func expire(d time.Duration, end context.CancelCauseFunc) *time.Timer {
	if d == 0 {
		return nil
	}
	return time.AfterFunc(d, func() { end(&egress.Error{Status: abi.OpTimeout, Text: fmt.Sprintf("no answer within %v", d)}) })
}

func (p patience) head() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

func (p patience) all() {
	p.head()
	p.end(nil)
}

// answerWhole makes a request and reads all of its answer.
func (fs *fetches) answerWhole(ctx context.Context, program *egress.Program, ticket uint32, q fetchRequest, p patience) []byte {
	resp, err := program.Do(ctx, &q.Request)
	if err != nil {
		return fetchFailure(err)
	}
	defer resp.Body.Close()
	p.head()
	body, err := fs.readWhole(program, ticket, resp)
	if err != nil {
		return fetchFailure(err)
	}
	return fetchHead(resp, body, true)
}

// readWhole reads a body. Its bytes are reserved until the guest has taken the result.
func (fs *fetches) readWhole(program *egress.Program, ticket uint32, resp *egress.Response) ([]byte, error) {
	if resp.Length > maxAnswer {
		return nil, tooLarge()
	}
	body := make([]byte, 0, 512)
	if resp.Length > 0 {
		body = nil
	}
	for {
		if len(body) == cap(body) {
			size := max(2*cap(body), 4<<10)
			if body == nil {
				size = int(resp.Length) + 1 // one more: to see the end
			}
			size = min(size, maxAnswer+1)
			if len(body) == size {
				return nil, tooLarge()
			}
			if err := fs.hold(program, ticket, size-cap(body)); err != nil {
				return nil, err
			}
			body = append(make([]byte, 0, size), body...)
		}
		n, err := resp.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			if len(body) > maxAnswer {
				return nil, tooLarge()
			}
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func tooLarge() error {
	return &egress.Error{Status: abi.OpValueTooLarge, Text: fmt.Sprintf("the answer's body is over %d MiB, the limit of what is read as a whole", maxAnswer>>20)}
}

// hold reserves bytes for an answer, until the ticket is taken or the invocation ends.
func (fs *fetches) hold(p *egress.Program, ticket uint32, n int) error {
	if err := p.Reserve(n); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.ended {
		p.Unreserve(n)
		return errStreamClosed
	}
	fs.held[ticket] += n
	return nil
}

// reviewFetches ends the operations that the guest has cancelled, and lets go of answers that it has taken.
func (inv *Invocation) reviewFetches() {
	fs := inv.fetches
	if fs == nil {
		return
	}
	for ticket := range fs.tickets {
		cancel, running := inv.running[ticket]
		switch {
		case !running:
			delete(fs.tickets, ticket)
		case !inv.instance.Knows(ticket):
			cancel()
			delete(inv.running, ticket)
			delete(fs.tickets, ticket)
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for ticket, n := range fs.held {
		if !inv.instance.Knows(ticket) {
			inv.attached.egress.Unreserve(n)
			delete(fs.held, ticket)
		}
	}
}

// finishFetches ends all requests and counts them.
func (inv *Invocation) finishFetches() {
	fs := inv.fetches
	if fs == nil {
		return
	}
	for _, f := range fs.streams {
		f.close()
	}
	fs.mu.Lock()
	fs.ended = true
	for _, n := range fs.held {
		inv.attached.egress.Unreserve(n)
	}
	fs.mu.Unlock()
	r := &inv.record
	r.Fetches += fs.traffic.Requests.Load()
	r.OutboundBytes += fs.traffic.Out.Load()
	r.InboundBytes += fs.traffic.In.Load()
	inv.fetches = nil
}

// fetchHead is the result of a request.
func fetchHead(resp *egress.Response, body []byte, end bool) []byte {
	b := abi.U32(abi.Frame(make([]byte, 0, 1024+len(body))), abi.TagOpStatus, abi.OpOK)
	b = abi.Bytes(b, abi.TagOpMessage, resp.Reason)
	b = abi.U32(b, abi.TagHTTPStatus, uint32(resp.Status))
	names := make([]string, 0, len(resp.Header))
	for name := range resp.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range resp.Header[name] {
			b = abi.Pair(b, abi.TagHeader, strings.ToLower(name), value)
		}
	}
	b = abi.Bytes(b, abi.TagURL, resp.URL)
	b = abi.Bytes(b, abi.TagBody, body)
	if end {
		b = abi.U32(b, abi.TagEnd, 1)
	}
	return b
}

func asFetchError(err error) *egress.Error {
	var e *egress.Error
	if errors.As(err, &e) {
		return e
	}
	return &egress.Error{Status: abi.OpNetwork, Text: err.Error()}
}

func fetchFailure(err error) []byte {
	e := asFetchError(err)
	return refuse(e.Status, e.Text)
}
