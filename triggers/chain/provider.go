package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/time/rate"
)

// maxResponse bounds what is read of a provider's answer, in bytes.
const maxResponse = 32 << 20

// A fault is why a provider did not answer as it should.
type fault uint8

const (
	faultBroken  fault = iota // it cannot be reached, or answers with an error
	faultBusy                 // it asks to be asked less often
	faultLarge                // the answer would be too large, or takes too long: ask for less
	faultMissing              // it does not have what there must be: it is behind
	faultLie                  // what it says contradicts itself or the chain
)

// A callError is a provider's failure. Its text never has the provider's URL.
type callError struct {
	fault fault
	host  string
	err   error
}

func (e *callError) Error() string { return fmt.Sprintf("provider %s: %v", e.host, e.err) }
func (e *callError) Unwrap() error { return e.err }

// isFault tells whether err is a provider's failure of that kind.
func isFault(err error, kind fault) bool {
	var failed *callError
	return errors.As(err, &failed) && failed.fault == kind
}

var errNoAnswer = errors.New("it answers with null")

// A provider is one URL. It is used by its chain's loop and what that waits for.
type provider struct {
	url, host string
	timeout   time.Duration
	tries     int           // of a call: more than one if there is nobody else to ask
	between   time.Duration // the first time between two of them
	limiter   *rate.Limiter
	transport *http.Transport

	connecting sync.Mutex
	client     *rpc.Client // nil until it is connected

	// Under the pool's mutex.
	checked  time.Time // when it was last asked which chain it is of
	failures int       // in a row
	until    time.Time // it is not asked before
	err      error     // the last
}

func newProvider(text string, c Chain) *provider {
	u, err := url.Parse(text)
	host := "?"
	if err == nil {
		host = u.Host
	}
	perSecond := c.rate(text)
	return &provider{url: text, host: host, timeout: c.Timeout, transport: http.DefaultTransport.(*http.Transport).Clone(),
		limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))}
}

// websocket says that the provider can tell of new blocks.
func (p *provider) websocket() bool { return strings.HasPrefix(p.url, "ws") }

// connect gives the client, which connects again by itself. For HTTP nothing is sent yet.
func (p *provider) connect(ctx context.Context) (*rpc.Client, error) {
	p.connecting.Lock()
	defer p.connecting.Unlock()
	if p.client != nil {
		return p.client, nil
	}
	client, err := rpc.DialOptions(ctx, p.url, rpc.WithWebsocketMessageSizeLimit(maxResponse), rpc.WithHTTPClient(&http.Client{
		Transport:     bounded{p.transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}))
	if err != nil {
		return nil, err
	}
	p.client = client
	return client, nil
}

func (p *provider) close() {
	p.connecting.Lock()
	defer p.connecting.Unlock()
	if p.client != nil {
		p.client.Close()
		p.client = nil
	}
	p.transport.CloseIdleConnections()
}

// call asks the provider; the answer is JSON that is not null. The error is a *callError, or ctx's.
func (p *provider) call(ctx context.Context, out any, method string, args ...any) error {
	for try := 1; ; try++ {
		err := p.once(ctx, out, method, args...)
		if err == nil || try >= p.tries || !(isFault(err, faultBroken) || isFault(err, faultBusy) || isFault(err, faultMissing)) {
			return err
		}
		pause(ctx, p.between<<(try-1))
	}
}

func (p *provider) once(ctx context.Context, out any, method string, args ...any) error {
	if err := p.limiter.Wait(ctx); err != nil {
		return err
	}
	callCtx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	into := answer{out: out}
	client, err := p.connect(callCtx)
	if err == nil {
		err = client.CallContext(callCtx, &into, method, args...)
	}
	if errors.Is(err, rpc.ErrNoResult) || err == nil && into.null {
		return p.fail(faultMissing, fmt.Errorf("%s: %w", method, errNoAnswer))
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return p.fail(classify(err), fmt.Errorf("%s: %s", method, p.redact(err)))
}

// An answer is where one goes, and whether it was null.
type answer struct {
	out  any
	null bool
}

func (a *answer) UnmarshalJSON(text []byte) error {
	if a.null = string(text) == "null"; a.null {
		return nil
	}
	if list, is := a.out.(*logList); is {
		return list.UnmarshalJSON(text) // which json.Unmarshal would only look through once more
	}
	return json.Unmarshal(text, a.out)
}

func (p *provider) fail(kind fault, err error) *callError { return &callError{kind, p.host, err} }

// classify guesses from an error's words what no standard says.
func classify(err error) fault {
	var status rpc.HTTPError
	if errors.As(err, &status) {
		switch status.StatusCode {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return faultBusy
		case http.StatusRequestEntityTooLarge, http.StatusGatewayTimeout, http.StatusRequestTimeout:
			return faultLarge
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTooLong) {
		return faultLarge
	}
	text := strings.ToLower(err.Error())
	for _, words := range []string{"rate limit", "too many requests", "per second", "compute units", "throughput", "quota"} {
		if strings.Contains(text, words) {
			return faultBusy
		}
	}
	for _, words := range []string{"more than", "too many", "too large", "too big", "too wide", "range", "limit", "exceed", "timeout", "timed out"} {
		if strings.Contains(text, words) {
			return faultLarge
		}
	}
	return faultBroken
}

// redact is the error's text without the URL, whose path, query and user may be keys.
func (p *provider) redact(err error) string {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	text := strings.ReplaceAll(err.Error(), p.url, p.host)
	if u, parsed := url.Parse(p.url); parsed == nil {
		for _, secret := range []string{u.RequestURI(), u.Path, u.RawQuery, u.User.String()} {
			if len(secret) > 1 {
				text = strings.ReplaceAll(text, secret, "…")
			}
		}
		for part := range strings.FieldsFuncSeq(u.Path+"&"+u.RawQuery, func(r rune) bool { return r == '/' || r == '&' || r == '=' }) {
			if len(part) >= 16 { // as long as keys are
				text = strings.ReplaceAll(text, part, "…")
			}
		}
	}
	return cut(strings.ToValidUTF8(text, "\uFFFD"), 300)
}

var errTooLong = fmt.Errorf("the answer is longer than %d MiB", maxResponse>>20)

// bounded ends answers that are too long.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = &boundedBody{response.Body, maxResponse}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
