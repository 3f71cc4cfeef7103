package main

import (
	"bytes"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// TestGuestIsWhatItsSourceBuilds builds the compiled guest again where its toolchain is.
func TestGuestIsWhatItsSourceBuilds(t *testing.T) {
	for _, tool := range []string{"clang-19", "wasm-ld-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (Debian: clang-19 lld-19)", tool)
		}
	}
	built := filepath.Join(t.TempDir(), "echo.wasm")
	if out, err := exec.Command("guests/build", built).CombinedOutput(); err != nil {
		t.Fatalf("guests/build: %v\n%s", err, out)
	}
	want, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	got, err := files.ReadFile(echo.file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (%d bytes) is not what guests/build makes of echo.c (%d bytes): run it and commit the result", echo.file, len(got), len(want))
	}
}

func TestFixedRequest(t *testing.T) {
	for _, path := range []string{"/", "/api/v0/run/" + strings.Repeat("a", 64) + "?name=Alice"} {
		if r, _ := fixedRequest("127.0.0.1:4020", path); len(r) != requestSize {
			t.Errorf("%s: %d bytes, want %d", path, len(r), requestSize)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 5\r\n\r\n"
	for _, c := range []struct {
		name, in     string
		status, size int
		fails        bool
	}{
		{"nothing yet", "", 0, 0, false},
		{"half a head", head[:20], 0, 0, false},
		{"half a body", head + "abc", 200, 0, false},
		{"whole", head + "abcde", 200, len(head) + 5, false},
		{"more than one", head + "abcdefg", 200, len(head) + 5, false},
		{"error", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, 40, false},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n", 0, 0, true},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n", 0, 0, true},
		{"not HTTP", "220 mail.example.org ready\r\n\r\n", 0, 0, true},
		{"short", "HTTP\r\n\r\n", 0, 0, true},
	} {
		status, size, err := parseAnswer([]byte(c.in))
		if (err != nil) != c.fails || err == nil && (status != c.status || size != c.size) {
			t.Errorf("%s: status %d, size %d, error %v; want %d, %d, error %v", c.name, status, size, err, c.status, c.size, c.fails)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, size, _ := parseAnswer(in); size < 0 || size > len(in) {
			t.Errorf("size %d of %d bytes", size, len(in))
		}
	})
}

// serveTest serves handler on a loopback address until the test ends.
func serveTest(t *testing.T, handler fasthttp.RequestHandler) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: handler}
	go server.Serve(ln)
	t.Cleanup(func() { server.Shutdown() })
	return ln.Addr().String()
}

// TestOpenLoopChargesForStalls has a server stall once for half a second. At 1,000 requests per second on one connection
// that delays a third of the 1,500 requests that count. Measured from when they could be sent, all but one would look fast.
func TestOpenLoopChargesForStalls(t *testing.T) {
	var served atomic.Int64
	addr := serveTest(t, func(c *fasthttp.RequestCtx) {
		if served.Add(1) == 1000 {
			time.Sleep(500 * time.Millisecond)
		}
		c.SetBodyString("ok")
	})
	r, err := openLoop(addr, "/", 1000, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 1500 || r.Failed != 0 || r.Unsent != 0 || served.Load() != 2000 {
		t.Errorf("%+v, %d served; want 1500 requests that count of 2000, all answered", r, served.Load())
	}
	if r.P99 < 450 {
		t.Errorf("p99 is %.1f ms although requests had to wait for up to 500 ms", r.P99)
	}
}

func TestOpenLoopCountsFailures(t *testing.T) {
	addr := serveTest(t, func(c *fasthttp.RequestCtx) { c.Error("busy", 503) })
	r, err := openLoop(addr, "/", 200, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed != 100 || r.FirstFailStatus != 503 {
		t.Errorf("%+v; want 100 failures with 503", r)
	}
}

func TestHoldAll(t *testing.T) {
	const n = 100
	var waiting, refused atomic.Int64
	all := make(chan struct{})
	addr := serveTest(t, func(c *fasthttp.RequestCtx) {
		if string(c.Path()) == "/quick" {
			return
		}
		if waiting.Add(1) == n {
			close(all) // only when every request is there at once is any answered
		}
		<-all
		if refused.Add(1) == 1 {
			c.Error("busy", 503)
		}
	})
	r, err := holdAll(addr, "/quick", "/", n, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if r.OK != n-1 || r.Others[503] != 1 {
		t.Errorf("%d answered 200, others %v; want %d and one 503", r.OK, r.Others, n-1)
	}
	if r.ConnectedAnon <= 0 || r.ConnectedRSS < r.ConnectedAnon {
		t.Errorf("the memory while connected: %d bytes, anonymous %d", r.ConnectedRSS, r.ConnectedAnon)
	}
}

func TestPlainAnswersTheSameBytes(t *testing.T) {
	addr := serveTest(t, func(c *fasthttp.RequestCtx) {
		c.Response.Header.Set("Aleph-Request-Id", "0123456789")
		c.SetContentType("application/json")
		c.SetBodyString(helloWorld)
	})
	like, err := get(addr, "/")
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", self, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	l := &lab{tmp: t.TempDir(), self: self, serverCPU: -1, loadCPU: -1, report: &report{}}
	p, err := l.startPlain(t.Context(), false, like)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	u, err := p.usage()
	if err != nil || u.threads < 1 || u.rss < 1<<20 || u.fds < 3 {
		t.Errorf("usage of a running server: %+v, %v", u, err)
	}
	p.stop()
	if err := p.alive(); err == nil {
		t.Error("a stopped server is called alive")
	}
}

func TestReport(t *testing.T) {
	r := &report{section: "hot"}
	r.compare("throughput", "requests/s", []float64{90, 50, 80}, "fasthttp", []float64{100, 100, 100}, bound{"≥", 0.8})
	r.value("threads", "", 65, bound{"<", 64}, "note")
	r.value("memory", "MiB", 12345.6, none, "")
	w := r.Rows[0]
	if *w.Ratio != 0.8 || !*w.Met || *r.Rows[1].Met || r.Rows[2].Met != nil {
		t.Errorf("%+v", r.Rows)
	}
	var b strings.Builder
	if err := r.writeTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fasthttp 100  |  0.80 | ≥ 0.8  | yes |", "|     65 |", "| NO  | note", "| 12,346 | MiB"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 0.08512: "0.0851", 12.345: "12.3", 123.4: "123", 999.7: "1,000", 1234567: "1,234,567", -4200: "-4,200", -0.5: "-0.5"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %s, want %s", v, got, want)
		}
	}
}

func TestPercentile(t *testing.T) {
	s := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for p, want := range map[float64]int{0: 1, 10: 1, 50: 5, 51: 6, 99: 10, 100: 10} {
		if got := percentile(s, p); got != want {
			t.Errorf("p%v = %d, want %d", p, got, want)
		}
	}
	if m := median([]float64{3, 1, 2, 10}); math.Abs(m-2.5) > 1e-9 {
		t.Errorf("median %v", m)
	}
}

func TestParseOptions(t *testing.T) {
	if o, err := parseOptions([]string{"--only", "hot,p99", "--node-arg", "--memory=4096"}); err != nil || len(o.only) != 2 || len(o.nodeArgs) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"--only", "warm"}, {"--reps", "0"}, {"hot"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
