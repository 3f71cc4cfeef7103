package wasi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/abi"
)

func TestHead(t *testing.T) {
	for _, test := range []struct {
		output string
		status int
		header string
		body   string
		fault  string
	}{
		{"Content-Type: text/plain\n\nbody", 200, "Content-Type=text/plain", "body", ""},
		{"content-type:text/plain\r\n\r\n\r\nbody", 200, "content-type=text/plain", "\r\nbody", ""},
		{"Status: 201 Created\n\n", 201, "", "", ""},
		{"status:404\nX-A: b: c \n\n", 404, "X-A=b: c", "", ""},
		{"Location: /there\n\n", 302, "Location=/there", "", ""},
		{"Location: /there\nStatus: 301 Moved\nContent-Type: a\n\nx", 301, "Location=/there Content-Type=a", "x", ""},
		{"", 0, "", "", "empty line"},
		{"\n", 0, "", "", "none of the headers"},
		{"X-A: b\n\n", 0, "", "", "none of the headers"},
		{"Content-Type: text/plain\n", 0, "", "", "empty line"},
		{"Content-Type: text/plain", 0, "", "", "empty line"},
		{"hello\n\n", 0, "", "", `"hello" is not a header line`},
		{"a b: c\n\n", 0, "", "", "is not a header line"},
		{": c\n\n", 0, "", "", "is not a header line"},
		{"X: a\rb\n\n", 0, "", "", "is not a header line"},
		{"X: a\x00b\n\n", 0, "", "", "is not a header line"},
		{"Status: 100\n\n", 0, "", "", `"100" is not within 200 to 599`},
		{"Status: 600\n\n", 0, "", "", "is not within"},
		{"Status: OK\n\n", 0, "", "", "is not within"},
		{"X: " + strings.Repeat("x", streamFrom), 0, "", "", "over 64 KiB"},
		{strings.Repeat("X: y\n", streamFrom/4) + "\n", 0, "", "", "over 64 KiB"},
	} {
		t.Run(fmt.Sprintf("%.20q", test.output), func(t *testing.T) {
			h, body, err := readHead([]byte(test.output))
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v", err)
				}
				return
			}
			var headers []string
			for _, pair := range h.headers {
				headers = append(headers, pair[0]+"="+pair[1])
			}
			if err != nil || h.status != test.status || strings.Join(headers, " ") != test.header || string(body) != test.body {
				t.Errorf("got %v, %d, %q, %q", err, h.status, headers, body)
			}
		})
	}
}

// TestOtherEvents: an event that is no request is a POST of its payload.
func TestOtherEvents(t *testing.T) {
	event := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindMessage)
	event = abi.Bytes(event, abi.TagBody, "payload")
	event = abi.Bytes(event, abi.TagEventID, "m1")
	event = abi.Pair(event, abi.TagDetail, "scheduled_at", `"2026-11-22T10:00:00Z"`)
	event = abi.Pair(event, abi.TagDetail, "n", `{"a":1}`)
	e := newExchange(event)
	got := e.environment([]string{"OWN=1"})
	for _, want := range []string{"ALEPH_EVENT=message", "ALEPH_EVENT_ID=m1", "ALEPH_EVENT_SCHEDULED_AT=2026-11-22T10:00:00Z", `ALEPH_EVENT_N={"a":1}`, "REQUEST_METHOD=POST", "PATH_INFO=/", "QUERY_STRING=", "CONTENT_LENGTH=7", "OWN=1", "SERVER_NAME=localhost", "SERVER_PORT=80"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
}

func TestPathInfo(t *testing.T) {
	for path, want := range map[string]string{"/a%20b": "/a b", "/%00": "/%00", "/%zz": "/%zz", "/a%2Fb": "/a/b"} {
		e := newExchange(abi.Bytes(abi.Frame(nil), abi.TagPath, path))
		if got := e.environment(nil); !slices.Contains(got, "PATH_INFO="+want) {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestSplitPort(t *testing.T) {
	for address, want := range map[string][2]string{"a": {"a", ""}, "a:1": {"a", "1"}, "[::1]:2": {"::1", "2"}, "[::1]": {"::1", ""}, "::1": {"::1", ""}, "": {"", ""}} {
		if host, port := splitPort(address); host != want[0] || port != want[1] {
			t.Errorf("%s: %q, %q", address, host, port)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("Status: 200\r\nContent-Type: a\n\nbody"))
	f.Fuzz(func(t *testing.T, output []byte) {
		h, body, err := readHead(output)
		if err != nil {
			return
		}
		if !strings.HasSuffix(string(output), string(body)) {
			t.Error("the body is not the output's end")
		}
		reply, err := abi.ParseResponse(h.frame(abi.TagStatus))
		if err != nil || reply.Status != h.status {
			t.Errorf("the head is no reply: %v", err)
		}
		for name, value := range reply.Headers {
			if strings.ContainsAny(string(name)+string(value), "\r\n\x00") {
				t.Errorf("a header has a line's end: %q: %q", name, value)
			}
		}
	})
}
