package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/internal/client"
)

// childData makes the test binary a node on the data folder that it names; childGrace is its grace period, childChain a chain to follow.
const (
	childData  = "ALEPH_TEST_NODE_DATA"
	childGrace = "ALEPH_TEST_NODE_GRACE"
	childChain = "ALEPH_TEST_NODE_CHAIN"
)

// childMain serves until SIGTERM, as "aleph node" does, and says where.
func childMain(data string) (status int) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	grace, _ := time.ParseDuration(os.Getenv(childGrace))
	config := Config{Listen: "127.0.0.1:0", Data: data, Instances: 64, Grace: grace}
	if spec := os.Getenv(childChain); spec != "" {
		config.Chains = []string{spec}
	}
	n, err := Open(config)
	if err == nil {
		fmt.Println(n.Address())
		err = n.Serve(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A process is a site whose node is a process of its own.
type process struct {
	site
	data    string
	command *exec.Cmd
	ended   chan error
}

// newProcess starts a node that ends with the test.
func newProcess(t testing.TB) *process {
	p := &process{site: site{TB: t, owner: newKey(t)}, data: t.TempDir()}
	p.start()
	t.Cleanup(func() {
		p.leave()
		p.kill()
	})
	return p
}

func (p *process) start(environment ...string) {
	p.Helper()
	p.command = exec.Command(os.Args[0])
	p.command.Env = append(append(os.Environ(), childData+"="+p.data), environment...)
	p.command.Stderr = os.Stderr
	out, err := p.command.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		p.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.Fatal(err)
	}
	address := strings.TrimSpace(line)
	if _, _, err := net.SplitHostPort(address); err != nil {
		p.Fatal(address)
	}
	ended := make(chan error, 1)
	p.ended = ended
	command := p.command
	go func() {
		_, _ = io.Copy(io.Discard, out)
		ended <- command.Wait()
	}()
	p.at(address)
}

// kill ends the process at once.
func (p *process) kill() {
	if p.ended != nil {
		_ = p.command.Process.Kill() // it may have ended
		<-p.ended
		p.ended = nil
	}
}

// terminate asks the process to end, and gives how it did.
func (p *process) terminate() error {
	p.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.Fatal(err)
	}
	select {
	case err := <-p.ended:
		p.ended = nil
		return err
	case <-time.After(2 * patience):
		p.Fatal("the node does not end")
		return nil
	}
}

// TestTerminate ends a node with SIGTERM: what is under way gets its answer, what is idle or without end is closed.
func TestTerminate(t *testing.T) {
	t.Parallel()
	n := newProcess(t)
	slow := n.js("slow", `export default async (req, { aleph }) => {
		console.log('called');
		await aleph.store.increment('n');
		await new Promise((done) => setTimeout(done, Number(req.query.ms)));
		return 'slept ' + await aleph.store.increment('n');
	}`)
	slow.want("?ms=1", 200, "slept 2")
	idle := n.dial()
	fmt.Fprintf(idle, "GET /api/v0/node HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(idle).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	followed := make(chan error, 1)
	following := make(chan struct{})
	go func() {
		first := true
		for _, err := range slow.api.Logs(context.Background(), slow.id, 10, true) {
			if err != nil {
				followed <- err
				return
			}
			if first {
				close(following)
				first = false
			}
		}
		followed <- nil
	}()
	<-following
	answers := make(chan answer, 1)
	go func() {
		a, err := slow.request("GET", slow.url("?ms=1000"), nil)
		if err != nil {
			a.body = err.Error()
		}
		answers <- a
	}()
	n.counting("invocations", 1)
	if err := n.terminate(); err != nil {
		t.Errorf("the node ended with %v", err)
	}
	if a := <-answers; a.status != 200 || a.body != "slept 4" {
		t.Errorf("the call under way: %v", a)
	}
	if err := <-followed; err != nil {
		t.Errorf("the log that was followed: %v", err)
	}
	if conn, err := net.Dial("tcp", n.address); err == nil {
		conn.Close()
		t.Error("the node still listens")
	}
	n.start()
	if a := slow.get("?ms=1"); a.body != "slept 6" {
		t.Errorf("after the restart: %v", a)
	}
}

// TestTerminateImpatiently ends a node while programs wait and compute for longer than its grace period.
func TestTerminateImpatiently(t *testing.T) {
	t.Parallel()
	n := newProcess(t)
	wait := n.deploy(deployment{name: "wait", timeout: 60, source: `export default () => new Promise((done) => setTimeout(done, 50000))`})
	loop := n.deploy(deployment{name: "loop", timeout: 60, source: `export default () => { for (;;); }`})
	if err := n.terminate(); err != nil {
		t.Fatal(err)
	}
	n.start(childGrace + "=300ms")
	answers := make(chan answer, 2)
	for _, p := range []program{wait, loop} {
		go func() {
			a, err := p.request("GET", p.url(""), nil)
			if err != nil {
				a.body = err.Error()
			}
			answers <- a
		}()
	}
	n.counting("instances_in_use", 2)
	if err := n.terminate(); err != nil {
		t.Errorf("the node ended with %v", err)
	}
	for range 2 {
		if a := <-answers; a.status != 503 || a.fault(t).Code != "unavailable" {
			t.Errorf("got %v", a)
		}
	}
}

// TestKilledDeploys kills a node while programs are deployed and updated. What was said to be deployed is; every other program
// is there and works, or is not there; deploying it again makes it whole.
func TestKilledDeploys(t *testing.T) {
	t.Parallel()
	n := newProcess(t)
	steady := n.js("steady", `export default () => 'version 0'`)
	var version atomic.Int64 // of steady that was said to be deployed
	const source = `export default async (req, { aleph }) => 'I am %s, ' + (await aleph.store.increment('n') > 0);`
	for round := range 4 {
		type attempt struct {
			deployment
			program
			err error
		}
		attempts := make(chan []attempt, 1)
		go func() {
			var made []attempt
			for i := range 1000 {
				d := deployment{name: fmt.Sprintf("p%d-%d", round, i)}
				d.source = fmt.Sprintf(source, d.name)
				p, err := n.publish(d)
				made = append(made, attempt{d, p, err})
				if err != nil {
					break
				}
				next := version.Load() + 1
				if steady.update(fmt.Sprintf(`export default () => 'version %d'`, next)) != nil {
					break
				}
				version.Store(next)
			}
			attempts <- made
		}()
		n.await("a deploy", func() bool { return version.Load() > 0 })
		time.Sleep(time.Duration(13+29*round) * time.Millisecond) // another moment each time
		n.kill()
		made := <-attempts
		n.start()

		shown, err := n.api.Programs(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]client.Program{}
		for _, p := range shown {
			listed[p.ItemHash] = p
		}
		for i, a := range made {
			want := fmt.Sprintf("I am %s, true", a.deployment.name)
			_, is := listed[a.id]
			switch {
			case a.err == nil && !is:
				t.Errorf("%s was deployed and is not there", a.deployment.name)
			case is:
				a.program.want("", 200, want)
			default:
				if a.id != "" {
					if got := a.get(""); got.status != 404 {
						t.Errorf("%s is not listed and answers %v", a.deployment.name, got)
					}
				}
				if i != len(made)-1 {
					t.Errorf("%s is missing", a.deployment.name)
				}
			}
			if a.err != nil {
				unreachable := (*client.UnreachableError)(nil)
				if !errors.As(a.err, &unreachable) {
					t.Errorf("%s: %v", a.deployment.name, a.err)
				}
				if a.message != nil { // the same message again, after its code
					file, code := n.code(a.deployment)
					if err := n.api.Upload(t.Context(), n.storeMessage(code, ""), file, code); err != nil {
						t.Errorf("%s, its code again: %v", a.deployment.name, err)
					}
				}
				again, err := n.publish(a.deployment)
				if err != nil {
					t.Errorf("%s, deployed again: %v", a.deployment.name, err)
				} else {
					again.want("", 200, want)
				}
			}
		}
		var got int64
		a := steady.get("")
		if _, err := fmt.Sscanf(a.body, "version %d", &got); err != nil || got < version.Load() || got > version.Load()+1 {
			t.Errorf("the updated program answers %v; version %d was said to be deployed", a, version.Load())
		}
		version.Store(got)
	}
}

// TestKilledStore kills a node while counters are incremented: every increment that was answered is there.
func TestKilledStore(t *testing.T) {
	t.Parallel()
	n := newProcess(t)
	p := n.js("counter", `export default async (req, { aleph }) => String(await aleph.store.increment(req.query.k));`)
	var answered [4]int64
	for range 3 {
		done := make(chan struct{}, len(answered))
		for k := range answered {
			go func() {
				defer func() { done <- struct{}{} }()
				for {
					a, err := p.request("GET", p.url(fmt.Sprintf("?k=%d", k)), nil)
					if err != nil {
						return
					}
					var count int64
					if _, err := fmt.Sscan(a.body, &count); err != nil || count != answered[k]+1 && count != answered[k]+2 {
						t.Errorf("counter %d was %d: %v", k, answered[k], a)
						return
					}
					answered[k] = count
				}
			}()
		}
		time.Sleep(300 * time.Millisecond)
		n.kill()
		for range answered {
			<-done
		}
		n.start()
		for k := range answered {
			var count int64
			a := p.get(fmt.Sprintf("?k=%d", k))
			if _, err := fmt.Sscan(a.body, &count); err != nil || count != answered[k]+1 && count != answered[k]+2 { // one may be written and not answered
				t.Errorf("counter %d was %d before the kill: %v", k, answered[k], a)
			}
			answered[k] = count
		}
	}
	for k, count := range answered {
		if count < 10 {
			t.Errorf("counter %d came only to %d", k, count)
		}
	}
}

// TestKilledUsage kills a node: at most the last second's invocations are missing from the totals.
func TestKilledUsage(t *testing.T) {
	t.Parallel()
	n := newProcess(t)
	p := n.js("used", `export default async (req, { aleph }) => { await aleph.store.get('k'); return 'x'; }`)
	for range 10 {
		p.want("", 200, "x")
	}
	time.Sleep(2500 * time.Millisecond) // the second, and twice the time that a flush may take on a busy machine
	for range 5 {
		p.want("", 200, "x")
	}
	n.kill()
	n.start()
	u := p.usage(0)
	if u.Invocations < 10 || u.Invocations > 15 || u.StoreOps != u.Invocations || u.EgressBytes != u.Invocations {
		text, _ := json.Marshal(u)
		t.Errorf("after the kill: %s", text)
	}
}

// TestInUse opens a second node at the same address, or on the same data.
func TestInUse(t *testing.T) {
	t.Parallel()
	n := newProcess(t)
	for name, config := range map[string]Config{
		n.address: {Listen: n.address, Data: t.TempDir()},
		n.data:    {Listen: "127.0.0.1:0", Data: n.data},
	} {
		second, err := Open(config)
		var fault *Error
		if err == nil {
			second.close()
		}
		if !errors.As(err, &fault) || !strings.Contains(fault.Text, name) || !strings.Contains(fault.Text, "in use") || fault.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	n.js("still", neighbourSource).want("?n=1", 200, "good 1")
}
