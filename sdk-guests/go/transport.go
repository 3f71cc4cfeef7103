package alephguest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/host"
)

const (
	inlineMost = 64 << 10 // bytes of a request's body that go with its head
	partSize   = 64 << 10 // of a longer one
)

// transport sends requests through the node. It is http.DefaultTransport.
type transport struct{}

var streams struct {
	sync.Mutex
	last uint32
}

// RoundTrip sends a request and gives the answer's head; the body is read as it comes. Redirects are its client's business.
func (transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := r.Body
	if body == nil {
		body = http.NoBody
	}
	if r.URL == nil {
		_ = body.Close()
		return nil, errors.New("http: nil Request.URL")
	}
	x := &exchange{ctx: r.Context()}
	streams.Lock()
	streams.last++
	x.stream = streams.last
	streams.Unlock()

	inline := body == http.NoBody || r.ContentLength > 0 && r.ContentLength <= inlineMost
	request := x.head(r)
	if inline && body != http.NoBody {
		data := make([]byte, r.ContentLength)
		_, err := io.ReadFull(body, data)
		if err == nil {
			err = ended(body)
		}
		if err != nil {
			_ = body.Close()
			return nil, err
		}
		request = frame.Bytes(request, frame.Body, data)
	}
	if inline {
		_ = body.Close()
	} else {
		if r.ContentLength > 0 {
			request = frame.Pair(request, frame.Header, "content-length", strconv.FormatInt(r.ContentLength, 10))
		}
		request = frame.U32(request, frame.More, 1)
	}
	o, err := host.Start(frame.Fetch, request)
	if err != nil {
		_ = body.Close()
		return nil, err
	}
	var sending chan error
	if !inline {
		sending = make(chan error, 1)
		go func() { sending <- x.send(body) }()
	}
	result, err := o.Wait(x.ctx)
	if err != nil {
		select {
		case broken := <-sending:
			if broken != nil && !errors.Is(broken, Closed) {
				err = broken // the body's own error, for which the exchange was closed
			}
		default:
		}
		return nil, x.timed(err)
	}
	return x.answer(r, result)
}

// head begins the frame of a request.
func (x *exchange) head(r *http.Request) []byte {
	address := *r.URL
	address.User, address.Fragment, address.RawFragment = nil, "", ""
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	b := frame.Bytes(frame.Begin(nil), frame.Method, method)
	b = frame.Bytes(b, frame.URL, address.String())
	b = frame.U32(b, frame.Stream, x.stream)
	if deadline, ok := x.ctx.Deadline(); ok {
		b = frame.U64(b, frame.Duration, uint64(max(time.Until(deadline), 1)))
	}
	if r.Host != "" && r.Host != address.Host {
		b = frame.Pair(b, frame.Header, "host", r.Host)
	}
	if r.Header["User-Agent"] == nil {
		b = frame.Pair(b, frame.Header, "user-agent", "Go-http-client/1.1")
	}
	for name, values := range r.Header {
		if name == "Host" || name == "Content-Length" {
			continue // the request's fields say so
		}
		for _, value := range values {
			if name == "User-Agent" && value == "" {
				continue
			}
			b = frame.Pair(b, frame.Header, name, value)
		}
	}
	return b
}

// ended says what is wrong with a body that should be at its end.
func ended(body io.Reader) error {
	if n, err := body.Read(make([]byte, 1)); n > 0 || err != nil && err != io.EOF {
		return errors.Join(err, errors.New("http: the request's body is longer than its ContentLength"))
	}
	return nil
}

// An exchange is a request and its answer, whose body is read from it.
type exchange struct {
	ctx    context.Context
	stream uint32
	body   []byte // what has come and is not read

	mu     sync.Mutex
	end    bool // all has come, or the exchange is closed
	closed bool
}

// send sends a request's body.
func (x *exchange) send(body io.ReadCloser) error {
	defer body.Close()
	part := make([]byte, partSize)
	for {
		n, failed := io.ReadFull(body, part)
		end := failed == io.EOF || failed == io.ErrUnexpectedEOF
		if failed != nil && !end {
			x.close()
			return failed
		}
		request := frame.Bytes(frame.U32(frame.Begin(nil), frame.Stream, x.stream), frame.Body, part[:n])
		if end {
			request = frame.U32(request, frame.End, 1)
		}
		if _, err := host.Call(x.ctx, frame.FetchWrite, request); err != nil || end {
			return err
		}
	}
}

// timed makes the node's timeout the context's, by which it was set.
func (x *exchange) timed(err error) error {
	if _, has := x.ctx.Deadline(); has && errors.Is(err, TimedOut) {
		return context.DeadlineExceeded
	}
	return err
}

// answer makes the response of a fetch's result.
func (x *exchange) answer(r *http.Request, result []byte) (*http.Response, error) {
	resp := &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), ContentLength: -1, Body: x, Request: r}
	reason := ""
	fields := frame.Read(result)
	for fields.Next() {
		switch fields.Tag {
		case frame.HTTPStatus:
			resp.StatusCode = int(fields.U32())
		case frame.Message:
			reason = string(fields.Value)
		case frame.Header:
			name, value := fields.Pair()
			resp.Header.Add(string(name), string(value))
		case frame.Body:
			x.body = fields.Value
		case frame.End:
			x.end = fields.U32() == 1
		}
	}
	if err := fields.Err(); err != nil {
		x.close()
		return nil, err
	}
	if reason == "" {
		reason = http.StatusText(resp.StatusCode)
	}
	resp.Status = strconv.Itoa(resp.StatusCode) + " " + reason
	if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	} else if x.end {
		resp.ContentLength = int64(len(x.body))
	}
	return resp, nil
}

// Read reads the answer's body.
func (x *exchange) Read(p []byte) (int, error) {
	for len(x.body) == 0 && len(p) > 0 {
		x.mu.Lock()
		end, closed := x.end, x.closed
		x.mu.Unlock()
		if closed {
			return 0, http.ErrBodyReadAfterClose
		}
		if end {
			return 0, io.EOF
		}
		request := frame.U32(frame.Begin(nil), frame.Stream, x.stream)
		result, err := host.Call(x.ctx, frame.FetchRead, frame.U32(request, frame.Limit, frame.MostFetchRead))
		if err != nil {
			return 0, x.timed(err)
		}
		r := frame.Read(result)
		for r.Next() {
			switch r.Tag {
			case frame.Body:
				x.body = r.Value
			case frame.End:
				x.mu.Lock()
				x.end = x.end || r.U32() == 1
				x.mu.Unlock()
			}
		}
		if err := r.Err(); err != nil {
			return 0, err
		}
	}
	n := copy(p, x.body)
	x.body = x.body[n:]
	return n, nil
}

// Close ends the exchange.
func (x *exchange) Close() error {
	x.close()
	return nil
}

func (x *exchange) close() {
	x.mu.Lock()
	ended := x.end
	x.end, x.closed = true, true
	x.mu.Unlock()
	if ended {
		return
	}
	// It answers at once, whatever it finds: nobody waits for it but to give its ticket back.
	_, _ = host.Call(context.Background(), frame.FetchClose, frame.U32(frame.Begin(nil), frame.Stream, x.stream))
}
