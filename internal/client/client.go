// Package client speaks a node's HTTP interface (docs/http.md) in Go types.
//
// Every method ends: with its context, or when the node is silent for longer than the request may take. Answers are
// read up to a bound. Errors are an *Error (the node refused, or something that is no node answered), an
// *UnreachableError (nothing answered), or a *network.Rejection (the node took a message and rejected it).
package client

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// DefaultHost is where a node listens unless told otherwise.
const DefaultHost = "http://127.0.0.1:4020"

const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 30 * time.Second // to read or change a record
	publishTimeout = 2 * time.Minute  // to upload code, and for the node to build it
	callTimeout    = 75 * time.Second // to the first byte of a program's reply: its own limit is 60 s
	maxAnswer      = 64 << 20         // bytes of one answer that is read whole
	maxRefusal     = 64 << 10         // bytes of an error's body
)

// Client talks to one node, for one account at most. It is safe for concurrent use.
type Client struct {
	host string // scheme://host[:port]
	http *http.Client
	key  *ecdsa.PrivateKey // signs requests that only an owner may make; nil: those fail

	mu     sync.Mutex
	nodeID string // as the node told; empty until a request had to be signed
}

// New is a client of the node at host (scheme and authority, as "http://127.0.0.1:4020"). The key may be nil if nothing
// is to be signed.
func New(host string, key *ecdsa.PrivateKey) (*Client, error) {
	u, err := url.Parse(host)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not a node's address: it looks like %s", host, DefaultHost)
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // a reply is shown as the program sent it
	}
	return &Client{
		host: u.Scheme + "://" + u.Host,
		key:  key,
		http: &http.Client{
			Transport: transport,
			// A program's redirect is its reply, and a signature is for one path: neither is followed.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Host is the node's address, without a path.
func (c *Client) Host() string { return c.host }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is a refusal by a node, or an answer that is not a node's.
type Error struct {
	Status    int    `json:"-"`          // the HTTP status
	Code      string `json:"code"`       // stable, of abi/errors; empty if the answer is not a node's
	Message   string `json:"message"`    // one sentence
	Hint      string `json:"hint"`       // what to do about it; may be empty
	RequestID string `json:"request_id"` // finds the request in logs; may be empty
}

func (e *Error) Error() string { return e.Message }

// UnreachableError is that no answer came from a node.
type UnreachableError struct {
	Host string
	Err  error // what the connection said
}

func (e *UnreachableError) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.Host, e.Err) }

// Unwrap is the connection's error.
func (e *UnreachableError) Unwrap() error { return e.Err }

// errSilent is the cause of a cancelled request whose answer did not begin in time.
type errSilent struct{ after time.Duration }

func (e errSilent) Error() string { return fmt.Sprintf("no answer within %v", e.after) }

// Timeout says that it is one, as net.Error does.
func (e errSilent) Timeout() bool { return true }

// request is one request; its body is in memory so that it can be signed and sent again.
type request struct {
	method  string
	path    string // with its query, as it is sent
	header  http.Header
	body    []byte
	signed  bool
	timeout time.Duration // until the headers of the answer; the default value is requestTimeout
}

// send sends a request and gives the answer, whatever its status. The caller closes its body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	if r.timeout == 0 {
		r.timeout = requestTimeout
	}
	authorization := ""
	if r.signed {
		var err error
		if authorization, err = c.authorize(ctx, r); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, r.method, c.host+r.path, bytes.NewReader(r.body))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	for name, values := range r.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	if _, set := req.Header["User-Agent"]; !set {
		req.Header.Set("User-Agent", "aleph-edge")
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	silence := time.AfterFunc(r.timeout, func() { cancel(errSilent{r.timeout}) })
	resp, err := c.http.Do(req)
	silence.Stop()
	if err != nil {
		err = c.unreachable(ctx, err)
		cancel(nil)
		return nil, err
	}
	resp.Body = &cancelOnClose{resp.Body, func() { cancel(nil) }}
	return resp, nil
}

// unreachable makes an error of the http package readable: without the method and URL that the caller knows.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if silent := (errSilent{}); errors.As(context.Cause(ctx), &silent) {
		return &UnreachableError{c.host, silent}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if wrapped := (*net.OpError)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if wrapped := (*os.SyscallError)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &UnreachableError{c.host, err}
}

// cancelOnClose frees a request's context together with its body.
type cancelOnClose struct {
	io.ReadCloser
	cancel func()
}

func (b *cancelOnClose) Close() error {
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}

// exchange sends a request and decodes the JSON answer into result. A status of 300 or more is an *Error.
func (c *Client) exchange(ctx context.Context, r request, result any) error {
	answer, err := c.answer(ctx, r)
	if err != nil {
		return err
	}
	if answer.status >= 300 {
		return c.refusal(answer.status, answer.body)
	}
	return c.decode(answer, result)
}

// answer is a whole answer.
type answer struct {
	status int
	body   []byte
}

// answer sends a request and reads the whole answer, within twice the time that its headers may take.
func (c *Client) answer(ctx context.Context, r request) (answer, error) {
	limit := r.timeout
	if limit == 0 {
		limit = requestTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 2*limit, errSilent{2 * limit})
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, c.unreachable(ctx, err)
	}
	if len(body) > maxAnswer {
		return answer{}, &Error{Status: resp.StatusCode, Message: fmt.Sprintf("the answer of %s is larger than %d MiB", c.host, maxAnswer>>20)}
	}
	return answer{resp.StatusCode, body}, nil
}

// decode reads an answer's JSON.
func (c *Client) decode(a answer, result any) error {
	if err := json.Unmarshal(a.body, result); err != nil {
		return c.foreign(a.status)
	}
	return nil
}

// refusal is the error in an answer of status 300 or more.
func (c *Client) refusal(status int, body []byte) *Error {
	var envelope struct {
		Error *Error `json:"error"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.Error == nil || envelope.Error.Message == "" {
		return c.foreign(status)
	}
	envelope.Error.Status = status
	return envelope.Error
}

// foreign is the error of an answer that no node gives, as an error page of a proxy.
func (c *Client) foreign(status int) *Error {
	return &Error{
		Status:  status,
		Message: fmt.Sprintf("%s answered %s, not as a node does", c.host, StatusText(status)),
		Hint:    "check that a node is at this address (--api-host or ALEPH_API_HOST)",
	}
}

// StatusText is a status with its name, as "502 Bad Gateway".
func StatusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}
