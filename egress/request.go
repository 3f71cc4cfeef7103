package egress

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
)

// A Request is what a program sends.
type Request struct {
	Method, URL string
	// Header is names and values in their order, as the program gave them.
	Header []Field
	// Body is all of the body; it must not change until the answer is closed.
	Body []byte
	// Stream is read instead of Body, and closed. The header content-length says how long it is; without one it is chunked.
	Stream io.ReadCloser
	// Redirects is how many are followed, up to MaxRedirects. The answer after the last one is given as it is if it is 0, and
	// is an error otherwise.
	Redirects int
	// Traffic is what the request and its answer are counted in.
	Traffic *Traffic
}

// A Field is a header's name and value.
type Field struct{ Name, Value string }

// Traffic counts requests that were sent, those of redirects too, and the bytes of their methods, URLs, headers and bodies.
type Traffic struct{ Requests, Out, In atomic.Uint64 }

// prepare checks the request and makes what the first exchange sends. The error is an *Error.
func (r *Request) prepare() (*http.Request, error) {
	if r.Redirects < 0 || r.Redirects > MaxRedirects {
		return nil, invalid("redirects: %d, limit %d", r.Redirects, MaxRedirects)
	}
	if !isToken(r.Method) {
		return nil, invalid("method: %q is none", clip(r.Method))
	}
	switch strings.ToUpper(r.Method) {
	case http.MethodConnect, http.MethodTrace, "TRACK":
		return nil, invalid("method: %s cannot be used", r.Method)
	}
	u, err := parseURL(r.URL)
	if err != nil {
		return nil, err
	}
	req := &http.Request{Method: r.Method, URL: u, Host: u.Host, Header: http.Header{"User-Agent": {""}}, // else net/http sends its own
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	length := int64(-1)
	size := 0
	for _, f := range r.Header {
		size += len(f.Name) + len(f.Value)
		if size > MaxHeaders {
			return nil, invalid("headers: over %d bytes, the limit", MaxHeaders)
		}
		if !isToken(f.Name) {
			return nil, invalid("headers: %q is no name of a header", clip(f.Name))
		}
		if !isValue(f.Value) {
			return nil, invalid("headers: the value of %s has a control character in it", clip(f.Name))
		}
		name, value := http.CanonicalHeaderKey(f.Name), strings.Trim(f.Value, " \t")
		switch {
		case name == "Host":
			if !isAuthority(value) {
				return nil, invalid("headers: host: %q is not a host's name and port", clip(value))
			}
			req.Host = value
		case name == "Content-Length":
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil || length >= 0 && length != int64(n) {
				return nil, invalid("headers: content-length: %q is not the body's length", clip(value))
			}
			length = int64(n)
		case name == "User-Agent":
			req.Header["User-Agent"] = []string{value}
		case !ofConnection[name]:
			req.Header[name] = append(req.Header[name], value)
		}
	}
	if r.Stream != nil {
		req.ContentLength = length
		return req, nil
	}
	if length >= 0 && length != int64(len(r.Body)) {
		return nil, invalid("headers: content-length: %d, but the body has %d bytes", length, len(r.Body))
	}
	return req, nil
}

// ofConnection are the headers of a connection, not of a request or an answer: the node writes its own and keeps those of
// servers to itself.
var ofConnection = map[string]bool{"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authorization": true,
	"Proxy-Authenticate": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Expect": true, "Http2-Settings": true}

// parseURL reads an absolute URL that can be requested.
func parseURL(text string) (*url.URL, error) {
	if len(text) > MaxURL {
		return nil, invalid("url: %d bytes, limit %d", len(text), MaxURL)
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return nil, invalid("url: %q is not an absolute URL", clip(text))
	}
	return u, checkURL(u)
}

func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return invalid("url: %q is not http: or https:", clip(u.Scheme))
	}
	if u.User != nil {
		return invalid("url: it has credentials in it; send them in the header authorization")
	}
	if u.Hostname() == "" {
		return invalid("url: it has no host")
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return invalid("url: port %s is not from 1 to 65535", clip(port))
		}
	}
	if strings.Contains(u.Host, "%") { // an address with a zone
		return invalid("url: %q is no host", clip(u.Host))
	}
	u.Fragment, u.RawFragment = "", ""
	return nil
}

// isToken says whether a text is a token of RFC 9110, section 5.6.2: a method, a header's name.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// isValue says whether a text can be a header's value.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isAuthority says whether a text can be the header host.
func isAuthority(s string) bool {
	u, err := url.Parse("http://" + s)
	return err == nil && u.Host == s && u.User == nil && u.Hostname() != "" && !strings.ContainsAny(s, "% ")
}

// clip bounds what is cited of a program's own text.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
