package node

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// patience is how long a test waits for what must happen before it fails.
const patience = 10 * time.Second

// A site is a running node as its users see it: an address, and an account that deploys there.
type site struct {
	testing.TB
	address string
	owner   *ecdsa.PrivateKey
	api     *client.Client
	http    *http.Client
}

// newKey makes an account.
func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// at points the site at an address.
func (s *site) at(address string) {
	s.Helper()
	s.leave()
	s.address = address
	var err error
	if s.api, err = client.New("http://"+address, s.owner); err != nil {
		s.Fatal(err)
	}
	s.http = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// leave closes the site's idle connections.
func (s *site) leave() {
	if s.api != nil {
		s.api.Close()
		s.http.CloseIdleConnections()
	}
}

// A world is a site whose node runs in this process.
type world struct {
	site
	config  Config
	node    *Node
	stop    func()
	stopped chan error
}

// newWorld starts a node that ends with the test.
func newWorld(t testing.TB, config Config) *world {
	t.Helper()
	config.Listen = "127.0.0.1:0"
	if config.Data == "" {
		config.Data = t.TempDir()
	}
	if config.Instances == 0 {
		config.Instances = 64
	}
	w := &world{site: site{TB: t, owner: newKey(t)}, config: config}
	w.start()
	t.Cleanup(w.end)
	return w
}

func (w *world) start() {
	w.Helper()
	n, err := Open(w.config)
	if err != nil {
		w.Fatal(err)
	}
	w.node, w.stopped = n, make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() { w.stopped <- n.Serve(ctx) }()
	w.at(n.Address().String())
}

// end stops the node.
func (w *world) end() {
	w.leave()
	if w.stop == nil {
		return
	}
	w.stop()
	w.stop = nil
	if err := <-w.stopped; err != nil {
		w.Errorf("the node ended with %v", err)
	}
}

// restart stops the node and starts it on the same data.
func (w *world) restart() {
	w.Helper()
	w.end()
	w.start()
}

// deployment is a program to deploy. The zero value of a field has the default of a test.
type deployment struct {
	name      string
	source    string // JavaScript, or WebAssembly's text with the runtime "wasm"
	binary    []byte // instead of source
	runtime   string // the default is nodejs16
	memory    int    // MiB; the default is 128
	timeout   int    // seconds; the default is 10
	variables map[string]string
	offline   bool // its message says internet: false
	on        network.On
	triggers  string // content.metadata.triggers, in JSON
}

// program is one that was deployed.
type program struct {
	*site
	id      string
	store   string // the STORE with its code
	message *network.Message
	name    string
}

// clock gives the times of messages: each is later than the one before, as the network wants it.
var clock atomic.Int64

func messageTime() float64 {
	for {
		last := clock.Load()
		next := max(time.Now().UnixMilli(), last+1)
		if clock.CompareAndSwap(last, next) {
			return float64(next) / 1000
		}
	}
}

func (s *site) sign(kind network.Type, content any) *network.Message {
	s.Helper()
	m, err := network.Sign(s.owner, kind, content, network.Options{})
	if err != nil {
		s.Fatal(err)
	}
	return m
}

func (s *site) code(d deployment) (file string, code []byte) {
	s.Helper()
	switch {
	case strings.HasPrefix(d.runtime, "python"):
		return "function.py", []byte(d.source)
	case d.runtime != "wasm":
		return "function.js", []byte(d.source)
	}
	if d.binary != nil {
		return "module.wasm", d.binary
	}
	module, err := wasm.WAT(d.source)
	if err != nil {
		s.Fatal(err)
	}
	return "module.wasm", module
}

func (s *site) storeMessage(code []byte, ref string) *network.Message {
	s.Helper()
	return s.sign(network.TypeStore, network.Store{Address: network.Address(s.owner), ItemType: network.ItemStorage,
		ItemHash: network.HashContent(string(code)), Time: messageTime(), Ref: ref})
}

func (s *site) programMessage(d deployment, file, ref, replaces string) *network.Message {
	s.Helper()
	if d.runtime == "" {
		d.runtime = "nodejs16"
	}
	if d.memory == 0 {
		d.memory = 128
	}
	if d.timeout == 0 {
		d.timeout = 10
	}
	metadata := map[string]any{"name": d.name}
	if d.triggers != "" {
		metadata["triggers"] = json.RawMessage(d.triggers)
	}
	d.on.HTTP = true
	return s.sign(network.TypeProgram, network.Program{
		Address: network.Address(s.owner), Time: messageTime(), Type: network.ProgramKind, AllowAmend: true, Metadata: metadata,
		On: d.on, Environment: network.Environment{Internet: !d.offline}, Resources: network.Resources{VCPUs: 1, Memory: d.memory, Seconds: d.timeout},
		Runtime: network.Runtime{Ref: d.runtime, UseLatest: true}, Volumes: []json.RawMessage{}, Variables: d.variables, Replaces: replaces,
		Code: network.Code{Encoding: "plain", Entrypoint: file, Ref: ref, UseLatest: true},
	})
}

// publish deploys a program.
func (s *site) publish(d deployment) (program, error) {
	s.Helper()
	file, code := s.code(d)
	store := s.storeMessage(code, "")
	if err := s.api.Upload(s.Context(), store, file, code); err != nil {
		return program{}, err
	}
	message := s.programMessage(d, file, store.ItemHash, "")
	return program{s, message.ItemHash, store.ItemHash, message, d.name}, s.api.Publish(s.Context(), message)
}

// deploy deploys a program that must be taken.
func (s *site) deploy(d deployment) program {
	s.Helper()
	p, err := s.publish(d)
	if err != nil {
		s.Fatalf("deploy %s: %v", d.name, err)
	}
	return p
}

// js deploys JavaScript.
func (s *site) js(name, source string) program {
	s.Helper()
	return s.deploy(deployment{name: name, source: source})
}

// update gives the program new code.
func (p program) update(source string) error {
	p.Helper()
	code := []byte(source)
	return p.api.Upload(p.Context(), p.storeMessage(code, p.store), "function.js", code)
}

// forget deletes the program, and other messages.
func (p program) forget(more ...string) {
	p.Helper()
	m := p.sign(network.TypeForget, network.Forget{Address: network.Address(p.owner), Time: messageTime(), Hashes: append([]string{p.id}, more...)})
	if err := p.api.Publish(p.Context(), m); err != nil {
		p.Fatal(err)
	}
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string {
	body := a.body
	if len(body) > 500 {
		body = body[:500] + "…"
	}
	return fmt.Sprintf("%d %s", a.status, body)
}

// fault is the error in an answer, in the form that all errors have.
type fault struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Hint      string `json:"hint"`
	RequestID string `json:"request_id"`
}

func (a answer) fault(t testing.TB) fault {
	t.Helper()
	var body struct{ Error *fault }
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil || body.Error == nil {
		t.Fatalf("not an error's body: %v", a)
	}
	return *body.Error
}

// request sends a request; header has names and values in turn.
func (s *site) request(method, path string, body io.Reader, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(s.Context(), method, "http://"+s.address+path, body)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// do is request that must be answered.
func (s *site) do(method, path, body string, header ...string) answer {
	s.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	a, err := s.request(method, path, reader, header...)
	if err != nil {
		s.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// url is the path of the program.
func (p program) url(rest string) string { return "/api/v0/run/" + p.id + rest }

// get calls the program.
func (p program) get(rest string) answer {
	p.Helper()
	return p.do("GET", p.url(rest), "")
}

// want calls the program and checks the answer.
func (p program) want(rest string, status int, body string) {
	p.Helper()
	if a := p.get(rest); a.status != status || a.body != body {
		p.Errorf("%s%s: got %v, want %d %s", p.name, rest, a, status, body)
	}
}

// logs is the program's log, one text a line: level, request's id, message.
func (p program) logs() string {
	p.Helper()
	var text strings.Builder
	for entry, err := range p.api.Logs(p.Context(), p.id, 10_000, false) {
		if err != nil {
			p.Fatal(err)
		}
		fmt.Fprintf(&text, "%s %s %s\n", entry.Level, entry.RequestID, entry.Message)
	}
	return text.String()
}

// logged waits until the log has all texts.
func (p program) logged(texts ...string) {
	p.Helper()
	var missing string
	p.await("the log to have "+strings.Join(texts, ", "), func() bool {
		log := p.logs()
		for _, text := range texts {
			if !strings.Contains(log, text) {
				missing = log
				return false
			}
		}
		return true
	}, func() string { return missing })
}

// usage is what the program has used.
func (p program) usage(records int) client.Usage {
	p.Helper()
	u, err := p.api.Usage(p.Context(), p.id, records)
	if err != nil {
		p.Fatal(err)
	}
	return u
}

// counters is what the node holds now.
func (s *site) counters() map[string]int64 {
	s.Helper()
	counters := map[string]int64{}
	if err := json.Unmarshal([]byte(s.do("GET", "/about/usage/system", "").body), &counters); err != nil {
		s.Fatal(err)
	}
	return counters
}

// await waits until something is so.
func (s *site) await(what string, so func() bool, more ...func() string) {
	s.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			var rest string
			for _, f := range more {
				rest += "\n" + f()
			}
			s.Fatalf("waited %v for %s%s", patience, what, rest)
		}
	}
}

// counting waits until a counter has a value.
func (s *site) counting(name string, value int64) {
	s.Helper()
	var last map[string]int64
	s.await(fmt.Sprintf("%s to be %d", name, value), func() bool {
		last = s.counters()
		return last[name] == value
	}, func() string { return fmt.Sprint(last) })
}

// A neighbour is a program that is called without a pause.
type neighbour struct {
	program
	stop  chan struct{}
	done  chan struct{}
	calls int
	fault error
}

const neighbourSource = `export default (req) => 'good ' + req.query.n;`

// neighbour starts calling p, made from neighbourSource.
func (p program) neighbour() *neighbour {
	n := &neighbour{program: p, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(n.done)
		for {
			a, err := p.request("GET", p.url(fmt.Sprintf("?n=%d", n.calls)), nil)
			if err == nil && (a.status != 200 || a.body != fmt.Sprintf("good %d", n.calls)) {
				err = errors.New(a.String())
			}
			if err != nil {
				n.fault = err
				return
			}
			n.calls++
			select {
			case <-n.stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return n
}

// check ends the calls; all must have been answered, and one at least after the check began.
func (n *neighbour) check() {
	n.Helper()
	close(n.stop)
	<-n.done
	if n.fault != nil {
		n.Errorf("the neighbour's call %d: %v", n.calls, n.fault)
	}
}

// dial opens a connection to the node that ends with the test.
func (s *site) dial() net.Conn {
	s.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		s.Fatal(err)
	}
	return conn
}
