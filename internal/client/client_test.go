package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/network"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// These tests put what is not a node behind the address. Those with a node are the command's, in cmd/aleph.

// against is a client of a server that answers everything with handler.
func against(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(server.URL, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNew(t *testing.T) {
	for host, want := range map[string]string{
		"http://127.0.0.1:4020":     "http://127.0.0.1:4020",
		"https://node.example/":     "https://node.example",
		"http://[::1]:4020":         "http://[::1]:4020",
		"127.0.0.1:4020":            "",
		"localhost":                 "",
		"ftp://node.example":        "",
		"http://":                   "",
		"http://a.example/path":     "",
		"http://a.example?q=1":      "",
		"http://user@a.example":     "",
		"http://a.example\x7f:4020": "",
	} {
		c, err := New(host, nil)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q was taken", host)
		case want != "" && (err != nil || c.Host() != want):
			t.Errorf("%q: got %v, %v", host, c, err)
		}
	}
}

// TestForeign checks what is said of answers that no node gives.
func TestForeign(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    string // in the error
	}{
		{"a proxy's page", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html><h1>502 Bad Gateway</h1></html>")
		}, "answered 502 Bad Gateway, not as a node does"},
		{"text", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "It works!") }, "answered 200 OK, not as a node does"},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, "answered 200 OK, not as a node does"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "answered 302 Found, not as a node does"},
		{"another's error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":"not found"}`)
		}, "answered 404 Not Found, not as a node does"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := against(t, test.handler)
			ctx := t.Context()
			_, programs := c.Programs(ctx, "0x00")
			_, usage := c.Usage(ctx, strings.Repeat("a", 64), 0)
			for method, err := range map[string]error{
				"Programs": programs, "Usage": usage,
				"Publish": c.Publish(ctx, &network.Message{}), "Upload": c.Upload(ctx, &network.Message{}, "f", []byte("x")),
			} {
				if refused := (*Error)(nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) || refused.Hint == "" {
					t.Errorf("%s: got %v, want %q and a hint", method, err, test.want)
				}
			}
		})
	}
}

// TestUnreachable checks what is said where no answer comes, and that each method ends.
func TestUnreachable(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		host := "http://" + listener.Addr().String()
		listener.Close()
		c, err := New(host, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Node(t.Context())
		if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "cannot reach "+host+": connection refused" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		c := against(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		_, err := c.Node(t.Context())
		if unreachable := (*UnreachableError)(nil); !errors.As(err, &unreachable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		c := against(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"programs":[`)
		})
		_, err := c.Programs(t.Context(), "")
		if unreachable := (*UnreachableError)(nil); !errors.As(err, &unreachable) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	t.Run("silent", func(t *testing.T) {
		c := against(t, silent)
		_, err := c.send(t.Context(), request{method: http.MethodGet, path: "/", timeout: time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "no answer within 1ms") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("silent after the headers", func(t *testing.T) {
		c := against(t, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			silent(w, r)
		})
		_, err := c.answer(t.Context(), request{method: http.MethodGet, path: "/", timeout: 50 * time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "no answer within") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		c := against(t, silent)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := c.Node(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnswerTooLarge(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 1<<20)
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	if _, err := c.Node(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestSigningNeedsKey(t *testing.T) {
	c, err := New(DefaultHost, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Usage(t.Context(), "id", 0); err == nil || !strings.Contains(err.Error(), "no key") {
		t.Errorf("got %v", err)
	}
}

// FuzzRefusal checks that whatever an error answer holds becomes one error with a message.
func FuzzRefusal(f *testing.F) {
	f.Add(404, []byte(`{"error":{"code":"not_found","message":"no such program"}}`))
	f.Add(502, []byte("<html>"))
	f.Add(422, []byte(`{"message_status":"rejected","details":{"code":"build_failed","message":"line 1"}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c := &Client{host: DefaultHost}
		if err := c.refusal(status, body); err.Message == "" || err.Status != status {
			t.Errorf("got %+v", err)
		}
		if err := c.rejection(answer{status, body}); err.Error() == "" {
			t.Error("a rejection without a message")
		}
	})
}
