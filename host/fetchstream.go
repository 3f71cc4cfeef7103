package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/egress"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

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
		f.fail(asFetchError(err))
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

// fail ends an exchange that has no answer.
func (f *fetch) fail(e *egress.Error) {
	f.mu.Lock()
	f.over = true // the guest has been told: it need not read or close it
	f.mu.Unlock()
	f.add(nil, e)
	f.close()
}

// pump reads the body ahead of the guest.
func (f *fetch) pump() {
	defer close(f.come)
	defer f.response.Body.Close()
	piece := make([]byte, readPiece)
	for f.ctx.Err() == nil {
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
	f.add(nil, errStreamClosed)
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
