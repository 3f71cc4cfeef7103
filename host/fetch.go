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

// A fetch is one streamed exchange. A goroutine of its own reads up to readAhead bytes ahead of the guest; what it brings is
// taken when the invocation's goroutine gives it to the guest, so that nothing is lost with a read that the guest forgets.
type fetch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	upload *io.PipeWriter // nil if the request's body was whole

	response *egress.Response // before the pump starts
	come     chan struct{}    // closed when all of the body has come

	reader uint32 // ticket of the read that waits; the invocation's goroutine's
	limit  int    // bytes that it takes

	mu      sync.Mutex
	news    func()        // called once when data or err is new; nil: nobody waits
	writing bool          // a write is under way
	data    []byte        // come, not yet given to the guest
	err     error         // what ended the exchange: io.EOF, or an *egress.Error
	over    bool          // the guest has all of the body
	room    chan struct{} // one token: data has become less
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

// open makes a stream.
func (inv *Invocation) open(stream uint32) (*fetch, *egress.Error) {
	streams := inv.fetches.streams
	if f := streams[stream]; f != nil && !f.done() {
		return nil, &egress.Error{Status: abi.OpInvalidArgument, Text: fmt.Sprintf("stream %d is open", stream)}
	}
	if len(streams) >= maxStreams {
		for number, f := range streams {
			if f.done() {
				delete(streams, number)
			}
		}
		if len(streams) >= maxStreams {
			return nil, &egress.Error{Status: abi.OpUnavailable, Text: fmt.Sprintf("%d streams are open, the limit", maxStreams)}
		}
	}
	f := &fetch{come: make(chan struct{}), room: make(chan struct{}, 1)}
	f.ctx, f.cancel = context.WithCancelCause(context.Background())
	streams[stream] = f
	return f, nil
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

// begin sends a streamed request and gives its head, with the body if that is small and there.
func (f *fetch) begin(ctx context.Context, program *egress.Program, q fetchRequest, work *sync.WaitGroup) []byte {
	stop := context.AfterFunc(ctx, f.close)
	timer := expire(q.patience, f.cancel)
	resp, err := program.Do(f.ctx, &q.Request)
	if timer != nil {
		timer.Stop()
	}
	if !stop() && err == nil { // the guest has cancelled it meanwhile
		resp.Body.Close()
		err = errStreamClosed
	}
	if err != nil {
		f.add(nil, asFetchError(err))
		f.close()
		return fetchFailure(err)
	}
	f.response = resp
	work.Go(f.pump)
	var first []byte
	var end bool
	if resp.Length >= 0 && resp.Length <= smallBody {
		timer := time.NewTimer(smallPatience)
		defer timer.Stop()
		select {
		case <-f.come:
		case <-timer.C:
		}
		first, end, _ = f.take(smallBody) // an error is the next read's
	}
	return fetchHead(resp, first, end)
}

// pump reads the body ahead of the guest.
func (f *fetch) pump() {
	defer close(f.come)
	defer f.response.Body.Close()
	piece := make([]byte, readPiece)
	for {
		n, err := f.response.Body.Read(piece)
		full := f.add(piece[:n], err)
		if err != nil {
			return
		}
		for full && f.ctx.Err() == nil {
			select {
			case <-f.room:
			case <-f.ctx.Done():
			}
			full = f.add(nil, nil)
		}
	}
}

// add adds to what has come and tells who waits for it. True if it is enough for now.
func (f *fetch) add(data []byte, err error) (full bool) {
	f.mu.Lock()
	f.data = append(f.data, data...)
	if err != nil {
		f.err = err
	}
	var news func()
	if len(data) > 0 || err != nil {
		news, f.news = f.news, nil
	}
	full = len(f.data) >= readAhead
	f.mu.Unlock()
	if news != nil {
		news()
	}
	return full
}

// take gives up to limit bytes of what has come, and whether that was the end.
func (f *fetch) take(limit int) (data []byte, end bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(limit, len(f.data))
	data = bytes.Clone(f.data[:n])
	f.data = f.data[:copy(f.data, f.data[n:])]
	select {
	case f.room <- struct{}{}:
	default:
	}
	if len(f.data) == 0 && f.err != nil {
		f.data, f.over = nil, true
		end = f.err == io.EOF
		if n == 0 && !end {
			err = f.err
		}
	}
	return data, end, err
}

// done says whether the guest has all that there will be.
func (f *fetch) done() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

func (f *fetch) close() {
	f.cancel(errStreamClosed)
	if f.upload != nil {
		_ = f.upload.CloseWithError(errStreamClosed) // never an error
	}
}

func (inv *Invocation) stream(q fetchRequest) (*fetch, *egress.Error) {
	if f := inv.fetches.streams[q.stream]; f != nil && q.streamed {
		return f, nil
	}
	return nil, &egress.Error{Status: abi.OpClosed, Text: fmt.Sprintf("stream %d is not open", q.stream)}
}

// fetchRead gives what has come of an answer's body, or waits for it.
func (inv *Invocation) fetchRead(op wasm.Operation, q fetchRequest) *egress.Error {
	f, failed := inv.stream(q)
	if failed != nil {
		return failed
	}
	if f.reader != 0 && inv.instance.Knows(f.reader) {
		return &egress.Error{Status: abi.OpInvalidArgument, Text: fmt.Sprintf("a read of stream %d is under way; one at a time", q.stream)}
	}
	f.reader, f.limit = op.Ticket, q.limit
	inv.fetchNews(f)
	return nil
}

// fetchNews completes the read that waits, if there is something for it.
func (inv *Invocation) fetchNews(f *fetch) {
	if f.reader == 0 || !inv.instance.Knows(f.reader) {
		f.reader = 0
		return
	}
	f.mu.Lock()
	if len(f.data) == 0 && f.err == nil {
		f.news = func() { inv.fetched(f) }
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()
	data, end, err := f.take(f.limit)
	if err != nil {
		inv.instance.Complete(f.reader, fetchFailure(err))
	} else {
		inv.instance.Complete(f.reader, bodyPart(data, end))
	}
	f.reader = 0
}

// fetchWrite sends a part of a request's body.
func (inv *Invocation) fetchWrite(op wasm.Operation, q fetchRequest) *egress.Error {
	f, failed := inv.stream(q)
	if failed != nil {
		return failed
	}
	if f.upload == nil {
		return &egress.Error{Status: abi.OpInvalidArgument, Text: fmt.Sprintf("the request's body on stream %d was whole", q.stream)}
	}
	if !f.startWrite() {
		return &egress.Error{Status: abi.OpInvalidArgument, Text: fmt.Sprintf("a write to stream %d is under way; one at a time", q.stream)}
	}
	if !inv.fetchBeside(op, func(ctx context.Context) []byte { return f.write(ctx, q.Body, q.end) }) {
		f.endWrite()
	}
	return nil
}

// startWrite marks that a write is under way; false if one is.
func (f *fetch) startWrite() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.writing
	f.writing = true
	return !before
}

func (f *fetch) endWrite() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing = false
}

func (f *fetch) write(ctx context.Context, data []byte, end bool) []byte {
	defer f.endWrite()
	stop := context.AfterFunc(ctx, f.close) // some of it may have been sent: the body cannot go on
	defer stop()
	if len(data) > 0 {
		if _, err := f.upload.Write(data); err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.err != nil && f.err != io.EOF {
				return fetchFailure(f.err)
			}
			return refuse(abi.OpClosed, "no more of the request's body is taken")
		}
	}
	if end {
		_ = f.upload.Close() // never an error
	}
	return ok
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
