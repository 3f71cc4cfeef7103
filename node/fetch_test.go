package node

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestFetch has testdata/fetch.js make requests to a server on this machine.
func TestFetch(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 3)
	outside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Add("Set-Cookie", "a=1")
			rw.Header().Add("Set-Cookie", "b=2")
			_ = json.NewEncoder(rw).Encode(map[string]any{"method": r.Method, "url": r.RequestURI, "type": r.Header.Get("Content-Type"), "mine": r.Header["X-Mine"],
				"agent": r.Header["User-Agent"], "length": r.ContentLength, "body": string(body)})
		case "/bytes":
			_, _ = rw.Write([]byte{0, 255, 128, 10})
		case "/teapot":
			http.Error(rw, "short and stout", http.StatusTeapot)
		case "/nothing":
			rw.WriteHeader(http.StatusNoContent)
		case "/redirect":
			http.Redirect(rw, r, "/echo?there", http.StatusFound)
		case "/private":
			http.Redirect(rw, r, "http://10.0.0.1/", http.StatusFound)
		case "/slow":
			<-r.Context().Done()
			gone <- struct{}{}
		case "/large":
			_, _ = rw.Write(make([]byte, 17<<20))
		case "/sleep":
			time.Sleep(200 * time.Millisecond)
			fmt.Fprint(rw, "slept")
		}
	}))
	t.Cleanup(outside.Close)
	w := newWorld(t, Config{AllowEgress: []string{"127.0.0.1"}})
	source, err := os.ReadFile("testdata/fetch.js")
	if err != nil {
		t.Fatal(err)
	}
	p := w.deploy(deployment{name: "fetch", source: string(source), variables: map[string]string{"OUTSIDE": outside.URL}})
	for path, want := range map[string]string{
		"/get": `{"status":200,"ok":true,"statusText":"OK","type":"application/json","redirected":false,"url":"/echo?a=b","cookies":["a=1","b=2"],
			"body":{"method":"GET","url":"/echo?a=b","type":"","mine":["1, 2"],"agent":null,"length":0,"body":""}}`,
		"/post-string":  `{"method":"POST","type":"text/plain;charset=UTF-8","length":6,"body":"grüß"}`,
		"/post-json":    `{"method":"PUT","type":"application/json","length":7,"body":"{\"a\":1}"}`,
		"/post-params":  `{"method":"POST","type":"application/x-www-form-urlencoded;charset=UTF-8","length":9,"body":"a=1&b=x+y"}`,
		"/post-bytes":   `{"method":"POST","type":"","length":3,"body":"abc"}`,
		"/post-form":    `{"method":"POST","type":"multipart/form-data","body":true}`,
		"/post-request": `{"method":"PATCH","type":"text/x","length":4,"body":"once"}`,
		"/bytes":        `[0,255,128,10]`,
		"/status":       `[418,false,"I'm a teapot","short and stout\n",204,null,""]`,
		"/redirects":    `[200,true,"/echo?there",302,"/echo?there",false,"TypeError: fetch failed: network: OUTSIDE/redirect redirects, and redirect is \"error\"; network"]`,
		"/head":         `[200,null,""]`,
		"/clone":        `[true,true,"/bytes"]`,
		"/parallel":     `[10,true]`,
		"/abort":        `["AbortError","TimeoutError","mine"]`,
		"/errors": `["TypeError: fetch failed: forbidden: 10.0.0.1 is a private address; the operator can allow it with --allow-egress; forbidden; forbidden",
			"TypeError: fetch failed: forbidden: 10.0.0.1 is a private address; the operator can allow it with --allow-egress; forbidden; forbidden",
			"TypeError: fetch failed: network: connecting to 127.0.0.1: connection refused; network; network",
			"TypeError: fetch failed: invalid_argument: url: \"ftp\" is not http: or https:; invalid_argument; invalid_argument",
			"TypeError: fetch failed: value_too_large: the answer's body is over 16 MiB, the limit of what is read as a whole; value_too_large; value_too_large"]`,
	} {
		a := p.do("GET", p.url(path), "")
		var got, wanted any
		if err := json.Unmarshal([]byte(strings.ReplaceAll(a.body, outside.URL, "OUTSIDE")), &got); err != nil || json.Unmarshal([]byte(want), &wanted) != nil || !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.body, want)
		}
	}
	for range cap(gone) {
		select {
		case <-gone:
		case <-time.After(patience):
			t.Fatal("a request that was aborted goes on")
		}
	}
	if a := p.do("GET", p.url("/proxy"), ""); a.status != http.StatusTeapot || a.body != "short and stout\n" {
		t.Errorf("an answer that is handed on: %v", a)
	}

	// What was counted.
	report := p.usage(100)
	var fetches, outbound, inbound int64
	for _, record := range report.Records {
		var r struct {
			Fetches       int64 `json:"fetches"`
			OutboundBytes int64 `json:"outbound_bytes"`
			InboundBytes  int64 `json:"inbound_bytes"`
		}
		if err := json.Unmarshal(record, &r); err != nil {
			t.Fatal(err)
		}
		fetches += r.Fetches
		outbound += r.OutboundBytes
		inbound += r.InboundBytes
	}
	if report.Fetches != fetches || fetches < 30 || report.Inbound != inbound || inbound < 16<<20 || outbound < 500 {
		t.Errorf("the usage has %d requests, the records %d, %d bytes out, %d in", report.Fetches, fetches, outbound, inbound)
	}
}

// TestNoInternet: a program whose message says internet: false reaches nothing, on a node that allows everything.
func TestNoInternet(t *testing.T) {
	t.Parallel()
	outside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "reached") }))
	t.Cleanup(outside.Close)
	w := newWorld(t, Config{AllowEgress: []string{"all"}})
	source := fmt.Sprintf("export default () => fetch(%q).then((r) => r.text(), (error) => error.message);", outside.URL)
	online := w.deploy(deployment{name: "online", source: source})
	offline := w.deploy(deployment{name: "offline", source: source, offline: true})
	if a := online.do("GET", online.url("/"), ""); a.body != "reached" {
		t.Errorf("online: %v", a)
	}
	if a := offline.do("GET", offline.url("/"), ""); a.body != "fetch failed: forbidden: this program has no internet access (internet: false)" {
		t.Errorf("offline: %v", a)
	}
	w.restart()
	if a := offline.do("GET", offline.url("/"), ""); !strings.HasPrefix(a.body, "fetch failed: forbidden") {
		t.Errorf("offline, after a restart: %v", a)
	}
}
