package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Call is one request to a program.
type Call struct {
	Method string // the default value is GET
	Path   string // what follows the program's id; the default value is none
	Query  url.Values
	Header http.Header
	Body   []byte
}

// Call calls a program and gives its reply, whatever the status. The caller closes its body.
func (c *Client) Call(ctx context.Context, id string, call Call) (*http.Response, error) {
	method := call.Method
	if method == "" {
		method = http.MethodGet
	}
	target := url.URL{Path: "/api/v0/run/" + id, RawQuery: call.Query.Encode()}
	if call.Path != "" {
		target.Path += "/" + strings.TrimPrefix(call.Path, "/")
	}
	return c.send(ctx, request{
		method: method, path: target.RequestURI(), header: call.Header, body: call.Body, timeout: callTimeout,
	})
}
