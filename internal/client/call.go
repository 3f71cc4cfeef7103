package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Call is one request to a program.
type Call struct {
	Method string // the default value is GET
	Path   string // what follows the program's id, escaped, and maybe a query; the default value is none
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
	target := "/api/v0/run/" + id
	if call.Path != "" {
		target += "/" + escape(strings.TrimPrefix(call.Path, "/"))
	}
	if query := call.Query.Encode(); query != "" {
		separator := "?"
		if strings.Contains(target, "?") {
			separator = "&"
		}
		target += separator + query
	}
	return c.send(ctx, request{
		method: method, path: target, header: call.Header, body: call.Body, timeout: callTimeout,
	})
}

// escape escapes what cannot be in a path and query (RFC 3986, 3.3 and 3.4). What is escaped stays as it is.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~!$&'()*+,;=:@/?[]", c) >= 0,
			c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
