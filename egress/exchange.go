package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"

	"github.com/aleph-edge/aleph-edge/abi"
)

// A Response is an answer's head. Its body is read from Body, which must be closed; it ends with the context of Do.
type Response struct {
	Status int
	Reason string
	Header http.Header // without those of the connection
	URL    string      // that answered: the last one, after redirects
	Length int64       // of the body, -1 if it is not known
	Body   io.ReadCloser
}

// Do sends a request and gives the head of its answer. The error is an *Error. The request's Stream is closed in any case.
func (p *Program) Do(ctx context.Context, r *Request) (*Response, error) {
	req, err := r.prepare()
	if err != nil {
		r.abandon()
		return nil, err
	}
	select {
	case p.exchanges <- struct{}{}:
	case <-ctx.Done():
		r.abandon()
		return nil, Explain(ctx, req.URL.Hostname(), ctx.Err())
	}
	var once sync.Once
	release := func() { once.Do(func() { <-p.exchanges }) }
	resp, err := p.follow(ctx, r, req)
	if err != nil {
		release()
		return nil, err
	}
	for name := range ofConnection {
		delete(resp.Header, name)
	}
	_, reason, _ := strings.Cut(resp.Status, " ")
	length := resp.ContentLength
	if resp.Request.Method == http.MethodHead {
		length = 0 // the header tells of what GET would answer
	}
	return &Response{Status: resp.StatusCode, Reason: reason, Header: resp.Header, URL: resp.Request.URL.String(), Length: length,
		Body: &body{ctx: ctx, host: resp.Request.URL.Hostname(), from: resp.Body, traffic: r.Traffic, release: release}}, nil
}

// abandon closes a stream that is not sent.
func (r *Request) abandon() {
	if r.Stream != nil {
		_ = r.Stream.Close()
	}
}

// follow sends the request, and those that redirects ask for.
func (p *Program) follow(ctx context.Context, r *Request, req *http.Request) (*http.Response, error) {
	content, stream := r.Body, r.Stream
	for followed := 0; ; followed++ {
		req.Body, req.GetBody = nil, nil
		switch {
		case stream != nil:
			req.Body = &counted{stream, r.Traffic}
		case len(content) > 0:
			req.ContentLength = int64(len(content))
			req.GetBody = func() (io.ReadCloser, error) { return &counted{io.NopCloser(bytes.NewReader(content)), r.Traffic}, nil }
			req.Body, _ = req.GetBody()
		default:
			req.Body, req.ContentLength = http.NoBody, 0
		}
		size := len(req.Method) + len(req.URL.String()) + sizeOf(req.Header)
		sent := &httptrace.ClientTrace{WroteHeaders: func() {
			r.Traffic.Requests.Add(1)
			r.Traffic.Out.Add(uint64(size))
		}}
		resp, err := p.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, sent)))
		if err != nil {
			return nil, Explain(ctx, req.URL.Hostname(), err)
		}
		r.Traffic.In.Add(uint64(len(resp.Status) + sizeOf(resp.Header)))
		if resp.StatusCode == http.StatusSwitchingProtocols {
			resp.Body.Close()
			return nil, &Error{abi.OpNetwork, req.URL.Hostname() + " switched to another protocol, which nobody asked for"}
		}
		location := resp.Header.Get("Location")
		if r.Redirects == 0 || location == "" || !isRedirect(resp.StatusCode) {
			return resp, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // a short body read, the connection can be used again
		resp.Body.Close()
		if followed == r.Redirects {
			return nil, &Error{abi.OpNetwork, fmt.Sprintf("%s redirects once more; the limit is %d", req.URL.Hostname(), r.Redirects)}
		}
		if req, err = redirect(req, resp, location); err != nil {
			return nil, err
		}
		if req.Body == nil {
			content, stream = nil, nil
		} else if stream != nil {
			return nil, &Error{abi.OpNetwork, fmt.Sprintf("%s redirects with %d, but a streamed body cannot be sent twice", resp.Request.URL.Hostname(), resp.StatusCode)}
		}
	}
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirect is the request that an answer asks for, as fetch's standard makes it (https://fetch.spec.whatwg.org/#http-redirect-fetch).
// Its Body is nil if the body is not sent again.
func redirect(req *http.Request, resp *http.Response, location string) (*http.Request, error) {
	from := req.URL
	to, err := from.Parse(location)
	if err == nil && len(location) > MaxURL {
		err = errors.New("too long")
	}
	if err == nil {
		err = checkURL(to)
	}
	if err != nil {
		return nil, &Error{abi.OpNetwork, fmt.Sprintf("%s redirects to %q, which cannot be requested", from.Hostname(), clip(location))}
	}
	next := req.Clone(req.Context())
	next.URL, next.Host, next.Response = to, to.Host, nil
	if next.Body == http.NoBody {
		next.Body = nil
	}
	get := resp.StatusCode == http.StatusSeeOther && req.Method != http.MethodHead
	if code := resp.StatusCode; code == http.StatusMovedPermanently || code == http.StatusFound {
		get = req.Method == http.MethodPost
	}
	if get {
		next.Method, next.Body = http.MethodGet, nil
		for _, name := range []string{"Content-Encoding", "Content-Language", "Content-Location", "Content-Type"} {
			next.Header.Del(name)
		}
	}
	if to.Scheme == from.Scheme && hostPort(to) == hostPort(from) {
		next.Host = req.Host
	} else {
		for _, name := range []string{"Authorization", "Cookie"} {
			next.Header.Del(name)
		}
	}
	return next, nil
}

// hostPort is a URL's host and port as they are compared.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return hostName(u.Hostname()) + ":" + port
}

func sizeOf(h http.Header) (size int) {
	for name, values := range h {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return size
}

// counted counts what is sent of a body.
type counted struct {
	io.ReadCloser
	traffic *Traffic
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.traffic.Out.Add(uint64(n))
	return n, err
}

// body is an answer's. Its errors, but io.EOF, are *Error.
type body struct {
	ctx     context.Context
	host    string
	from    io.ReadCloser
	traffic *Traffic
	release func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.traffic.In.Add(uint64(n))
	if err != nil && err != io.EOF {
		err = Explain(b.ctx, b.host, err)
	}
	return n, err
}

func (b *body) Close() error {
	defer b.release()
	return b.from.Close()
}
