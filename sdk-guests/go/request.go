package alephguest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/host"
)

// A call is an event and all that is made of it, in one piece: a restored instance then touches few pages.
type call struct {
	event    request
	context  requestContext
	request  *http.Request
	url      url.URL
	body     stringBody
	response response
	values   [32]string // of headers
	headers  [32]header
	buffer   [3 << 10]byte // of the event's frame
	head     [256]byte     // of the response's headers
	frame    [4 << 10]byte // of the response
}

// requestContext is the context of the event's request. It has the event, and no timer: at its deadline the node ends the event.
type requestContext struct {
	context.Context
	event *Event
}

func (c *requestContext) Deadline() (time.Time, bool) { return c.event.Deadline, true }

func (c *requestContext) Value(key any) any {
	if key == (eventKey{}) {
		return c.event
	}
	return c.Context.Value(key)
}

// background ends with the instance. It can be cancelled, as the context of a server's request can, for what looks at that.
var background, _ = context.WithCancel(context.Background())

// newCall makes what the next event needs.
func newCall() *call {
	c := &call{}
	c.context.Context = background
	c.context.event = &c.event.Event
	c.request = new(http.Request).WithContext(&c.context)
	c.event.headers = c.headers[:0]
	c.request.Header = make(http.Header, 8)
	c.response = response{request: c.request, header: make(http.Header, 4), length: -1, head: c.head[:0], frame: frame.Field(frame.Begin(c.frame[:0]), frame.Body, 0)}
	return c
}

// stringBody is the body of a request that came with the event.
type stringBody struct{ strings.Reader }

func (*stringBody) Close() error { return nil }

// read makes the request of an event's frame. The error is the caller's: the request is malformed.
func (c *call) read(text string) error {
	q := &c.event
	if err := q.read(text); err != nil {
		return err
	}
	r := c.request
	r.Method, r.Proto, r.ProtoMajor, r.ProtoMinor = q.method, "HTTP/1.1", 1, 1
	r.RemoteAddr = q.client
	r.RequestURI = q.root + q.path
	if q.query != "" {
		r.RequestURI += "?" + q.query
	}
	r.URL = &c.url
	c.url = url.URL{Path: q.path, RawQuery: q.query}
	if strings.IndexByte(q.path, '%') >= 0 {
		path, err := url.PathUnescape(q.path)
		if err != nil {
			return err
		}
		if c.url.Path = path; c.url.EscapedPath() != q.path {
			c.url.RawPath = q.path
		}
	}
	length := int64(-1)
	for i, h := range q.headers {
		name := http.CanonicalHeaderKey(h.name)
		switch name {
		case "Host":
			r.Host = h.value
			continue
		case "Transfer-Encoding":
			continue
		case "Content-Length":
			if n, err := strconv.ParseInt(h.value, 10, 64); err == nil {
				length = n
			}
		}
		if values := r.Header[name]; values != nil || i >= len(c.values) {
			r.Header[name] = append(values, h.value)
		} else {
			c.values[i] = h.value
			r.Header[name] = c.values[i : i+1 : i+1]
		}
	}
	switch {
	case q.follows:
		r.ContentLength, r.Body = length, &followingBody{ctx: &c.context}
	case q.body == "":
		r.Body = http.NoBody
	default:
		c.body.Reset(q.body)
		r.ContentLength, r.Body = int64(len(q.body)), &c.body
	}
	return nil
}

// followingBody is the body of a request that comes while the handler runs.
type followingBody struct {
	ctx    context.Context
	end    bool
	closed bool
}

func (b *followingBody) Read(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 {
		if b.closed {
			return 0, http.ErrBodyReadAfterClose
		}
		if b.end {
			return 0, io.EOF
		}
		var request [16]byte
		result, err := host.Call(b.ctx, frame.BodyRead, frame.U32(frame.Begin(request[:0]), frame.Limit, uint32(min(len(p), frame.MostBodyRead))))
		if errors.Is(err, Closed) {
			err = io.ErrUnexpectedEOF // the client has gone
		}
		if err != nil {
			return 0, err
		}
		if n, b.end, err = part(result, p); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (b *followingBody) Close() error {
	b.closed = true
	return nil
}

// part reads the result of reading from a body.
func part(result, p []byte) (n int, end bool, err error) {
	r := frame.Read(result)
	for r.Next() {
		switch r.Tag {
		case frame.Body:
			n = copy(p, r.Value)
		case frame.End:
			end = r.U32() == 1
		}
	}
	return n, end, r.Err()
}
