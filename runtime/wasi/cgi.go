package wasi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aleph-edge/aleph-edge/abi"
)

// Heads and meta-variables of RFC 3875.

// A head is what of a command's output says how to answer.
type head struct {
	status  int
	headers [][2]string
}

// frame writes the head as fields, the status under the tag.
func (h *head) frame(tag uint32) []byte {
	b := abi.U32(abi.Frame(make([]byte, 0, 128)), tag, uint32(h.status))
	for _, pair := range h.headers {
		b = abi.Pair(b, abi.TagHeader, pair[0], pair[1])
	}
	return b
}

// readHead reads the header lines that output begins with: at least one of Content-Type, Location and Status, and an empty
// line. Lines end in LF or CRLF.
func readHead(output []byte) (h head, body []byte, err error) {
	rest := output
	status, location, typed := 0, false, false
	for {
		end := bytes.IndexByte(rest, '\n')
		if len(output)-len(rest)+max(end, 0) > streamFrom || end < 0 && len(output) > streamFrom {
			return h, nil, fmt.Errorf("the header lines are over %d KiB", streamFrom>>10)
		}
		if end < 0 {
			return h, nil, errors.New("it does not begin with header lines and an empty line, as CGI wants it")
		}
		line := bytes.TrimSuffix(rest[:end], []byte("\r"))
		rest = rest[end+1:]
		if len(line) == 0 {
			break
		}
		name, value, found := strings.Cut(string(line), ":")
		value = strings.Trim(value, " \t")
		if !found || !token(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return h, nil, fmt.Errorf("%q is not a header line", line[:min(len(line), 80)])
		}
		switch {
		case strings.EqualFold(name, "status"):
			number, _, _ := strings.Cut(value, " ")
			if status, err = strconv.Atoi(number); err != nil || status < 200 || status > 599 {
				return h, nil, fmt.Errorf("the status %q is not within 200 to 599", value)
			}
			continue
		case strings.EqualFold(name, "location"):
			location = true
		case strings.EqualFold(name, "content-type"):
			typed = true
		}
		h.headers = append(h.headers, [2]string{name, value})
	}
	switch h.status = status; {
	case status == 0 && location:
		h.status = 302
	case status == 0 && !typed:
		return h, nil, errors.New("it has none of the headers Content-Type, Location and Status")
	case status == 0:
		h.status = 200
	}
	return h, rest, nil
}

// token says whether a name can be a header's.
func token(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

// environment is the event's meta-variables, and those of the program's own that have no name of theirs.
func (e *exchange) environment(own []string) []string {
	list := make([]string, 0, len(own)+32)
	set := func(name, value string) {
		if strings.IndexByte(value, 0) < 0 {
			list = append(list, name+"="+value)
		}
	}
	set("GATEWAY_INTERFACE", "CGI/1.1")
	set("SERVER_PROTOCOL", "HTTP/1.1")
	set("SERVER_SOFTWARE", "aleph")
	method, path, root, query, host, port := "POST", "/", "", "", "localhost", "80"
	length, headers := -1, map[string]string{}
	for r := abi.Read(e.event); r.Next(); {
		switch r.Tag {
		case abi.TagKind:
			set("ALEPH_EVENT", abi.KindName(r.U32()))
		case abi.TagRequestID:
			set("ALEPH_REQUEST_ID", string(r.Value))
		case abi.TagAttempt:
			set("ALEPH_ATTEMPT", strconv.Itoa(int(r.U32())))
		case abi.TagEventID:
			set("ALEPH_EVENT_ID", string(r.Value))
		case abi.TagDetail:
			name, value := r.Pair()
			if token(string(name)) {
				set("ALEPH_EVENT_"+strings.ToUpper(string(name)), plain(value))
			}
		case abi.TagProgram:
			set("ALEPH_PROGRAM", string(r.Value))
		case abi.TagMethod:
			method = string(r.Value)
		case abi.TagPath:
			path = string(r.Value)
		case abi.TagRoot:
			root = string(r.Value)
		case abi.TagQuery:
			query = string(r.Value)
		case abi.TagClient:
			address, client := splitPort(string(r.Value))
			set("REMOTE_ADDR", address)
			set("REMOTE_PORT", client)
		case abi.TagBody:
			length = len(r.Value)
		case abi.TagHeader:
			name, value := r.Pair()
			key := string(name)
			if before, twice := headers[key]; twice {
				separator := ", "
				if key == "cookie" {
					separator = "; "
				}
				headers[key] = before + separator + string(value)
			} else {
				headers[key] = string(value)
			}
		}
	}
	if value := headers["host"]; value != "" {
		var given string
		if host, given = splitPort(value); given != "" {
			port = given
		}
	}
	set("REQUEST_METHOD", method)
	set("SCRIPT_NAME", root)
	if decoded, err := url.PathUnescape(path); err == nil && strings.IndexByte(decoded, 0) < 0 {
		set("PATH_INFO", decoded)
	} else {
		set("PATH_INFO", path)
	}
	set("QUERY_STRING", query)
	uri := root + path
	if query != "" {
		uri += "?" + query
	}
	set("REQUEST_URI", uri)
	set("SERVER_NAME", host)
	set("SERVER_PORT", port)
	if e.follows {
		if value, known := headers["content-length"]; known {
			set("CONTENT_LENGTH", value)
		}
	} else if length > 0 {
		set("CONTENT_LENGTH", strconv.Itoa(length))
	}
	for name, value := range headers {
		switch name {
		case "content-type":
			set("CONTENT_TYPE", value)
		case "content-length", "connection", "transfer-encoding":
		case "proxy": // HTTP_PROXY is what clients take for the address of their proxy: https://httpoxy.org
		default:
			if token(name) {
				set("HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_")), value)
			}
		}
	}
	for _, variable := range own {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.ContainsFunc(list, func(other string) bool { return strings.HasPrefix(other, name+"=") }) {
			list = append(list, variable)
		}
	}
	return list
}

// plain is what a JSON string says, and any other JSON as it is.
func plain(value []byte) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// splitPort cuts an address into its host, without brackets, and its port, which may be missing.
func splitPort(address string) (host, port string) {
	if i := strings.LastIndexByte(address, ':'); i >= 0 && !strings.Contains(address[i:], "]") && (strings.IndexByte(address, ':') == i || strings.HasPrefix(address, "[")) {
		address, port = address[:i], address[i+1:]
	}
	return strings.Trim(address, "[]"), port
}
