package broker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
	"github.com/aleph-edge/aleph-edge/triggers/message"
)

// TestMain is also the program that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childMain(dir)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

type noPrograms struct{ network.ProgramHandler }

// node is what a broker's messages go through.
type node struct {
	db      *kv.DB
	network *network.Node
	queue   *queue.Queue
	topics  *message.Trigger
	trigger *Trigger

	cancel context.CancelFunc
	ended  chan struct{}
	begun  chan struct{} // runs wait for it

	mu  sync.Mutex
	run func(*queue.Delivery) queue.Outcome
	ran map[string]int // how often a body was acknowledged, by program and body
	ids map[string]string
}

func start(dir string, sources ...string) (*node, error) {
	n := &node{ran: map[string]int{}, ids: map[string]string{}, ended: make(chan struct{}), begun: make(chan struct{})}
	if err := n.open(dir, sources); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *node) open(dir string, sources []string) (err error) {
	if n.db, err = kv.Open(filepath.Join(dir, "db"), kv.Options{MinFree: 1}); err != nil {
		return err
	}
	if n.network, err = network.Open(n.db, dir, network.NodeOptions{Programs: noPrograms{}}); err != nil {
		return err
	}
	opts := queue.Options{Handler: n,
		Policy: func(string) queue.Policy {
			return queue.Policy{MaxAttempts: 3, Backoff: time.Millisecond, MaxBackoff: time.Millisecond}
		}}
	opts.Settled = func(s queue.Settlement) { n.settled(s); n.trigger.Settled(s) }
	if n.queue, err = queue.Open(n.db, opts); err != nil {
		return err
	}
	if n.topics, err = message.Open(message.Config{DB: n.db, Queue: n.queue, Network: n.network}); err != nil {
		return err
	}
	var parsed []Source
	for _, text := range sources {
		s, err := Parse(text)
		if err != nil {
			return err
		}
		parsed = append(parsed, s)
	}
	if n.trigger, err = Open(Config{DB: n.db, Queue: n.queue, Post: n.topics.Post, Sources: parsed}); err != nil {
		return err
	}
	n.trigger.beat = 200 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() {
		defer close(n.ended)
		if err := n.trigger.Run(ctx); err != nil {
			panic(err)
		}
	}()
	return nil
}

func newNode(t testing.TB, dir string, sources ...string) *node {
	t.Helper()
	n, err := start(dir, sources...)
	if err != nil {
		t.Fatal(err)
	}
	close(n.begun)
	t.Cleanup(func() { n.close(t) })
	return n
}

func (n *node) close(t testing.TB) {
	if n.db == nil {
		return
	}
	n.cancel()
	<-n.ended
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n.queue.Close(ctx)
	n.network.Close()
	if err := n.db.Close(); err != nil {
		t.Error(err)
	}
	n.db = nil
}

func (n *node) hears(program string, topics ...triggers.Topic) error {
	d := &triggers.Declaration{Topics: topics}
	if err := d.Complete(); err != nil {
		return err
	}
	return n.topics.Set(program, time.Now(), d)
}

func (n *node) subscribe(t testing.TB, program string, topics ...triggers.Topic) {
	t.Helper()
	if err := n.hears(program, topics...); err != nil {
		t.Fatal(err)
	}
}

// behave says what runs do; nil acknowledges.
func (n *node) behave(run func(*queue.Delivery) queue.Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run = run
}

func (n *node) Run(ctx context.Context, d *queue.Delivery) queue.Outcome {
	select {
	case <-n.begun:
	case <-ctx.Done():
		return queue.Defer(ctx.Err())
	}
	form, err := n.topics.Form(ctx, d)
	if err != nil {
		return queue.Reject(err)
	}
	n.mu.Lock()
	n.ids[d.Program+" "+d.ID] = string(form.Body)
	run := n.run
	n.mu.Unlock()
	if run == nil {
		return queue.Acknowledge(nil)
	}
	d.Payload = form.Body
	return run(d)
}

func (n *node) settled(s queue.Settlement) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.State == queue.Acknowledged {
		n.ran[s.Program+" "+n.ids[s.Program+" "+s.ID]]++
	}
}

// times is how often a program acknowledged a body.
func (n *node) times(program, body string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ran[program+" "+body]
}

func (n *node) status() Status { return n.trigger.List()[0] }

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begun) > 60*time.Second {
			t.Fatalf("%s: not within 60 s", what)
		}
	}
}

// port is a free one.
func port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// mosquitto is the broker of that name, with a file of its own for what it must not forget.
type mosquitto struct {
	t       testing.TB
	config  string
	address string
	command *exec.Cmd
}

func newMosquitto(t testing.TB, settings string) *mosquitto {
	t.Helper()
	dir := t.TempDir()
	m := &mosquitto{t: t, config: filepath.Join(dir, "mosquitto.conf"), address: fmt.Sprintf("127.0.0.1:%d", port(t))}
	_, at, _ := strings.Cut(m.address, ":")
	self, err := user.Current() // mosquitto as root would become someone who cannot read the folder
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("user %s\nlistener %s 127.0.0.1\npersistence true\npersistence_location %s/\nautosave_interval 1\nautosave_on_changes true\n"+
		"log_type all\n%s\n", self.Username, at, dir, settings)
	if err := os.WriteFile(m.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("../../scripts/mosquitto", "--unpack").CombinedOutput(); err != nil {
		t.Fatalf("scripts/mosquitto: %v\n%s", err, out)
	}
	m.start()
	t.Cleanup(m.stop)
	return m
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.command = exec.Command("../../scripts/mosquitto", "-c", m.config)
	log, err := m.command.StderrPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.command.Start(); err != nil {
		m.t.Fatal(err)
	}
	running, said := make(chan bool, 1), ""
	go func() {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if strings.Contains(lines.Text(), " running") {
				running <- true
			}
			said += lines.Text() + "\n"
		}
		running <- false
	}()
	if !<-running {
		m.t.Fatalf("mosquitto did not start:\n%s", said)
	}
}

func (m *mosquitto) stop() {
	if m.command == nil {
		return
	}
	_ = m.command.Process.Signal(os.Interrupt)
	_ = m.command.Wait()
	m.command = nil
}
