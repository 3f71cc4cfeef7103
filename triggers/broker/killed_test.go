package broker

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// childDir is the variable that makes the test binary the child of TestKilled, with the data folder as its value; childSource is the
// broker's URL.
const (
	childDir    = "BROKER_TEST_CHILD_DIR"
	childSource = "BROKER_TEST_CHILD_SOURCE"
)

// childMain is a node that says what a program has acknowledged, a line each, until it is killed.
func childMain(dir string) {
	n, err := start(dir, os.Getenv(childSource))
	if err == nil {
		err = n.hears("p", triggers.Topic{Topic: "orders"})
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	n.behave(func(d *queue.Delivery) queue.Outcome {
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		if rand.IntN(5) == 0 {
			return queue.Defer(fmt.Errorf("not now"))
		}
		fmt.Println("ran", string(d.Payload), d.ID)
		return queue.Acknowledge(nil)
	})
	close(n.begun)
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // ends when the test does
	os.Exit(0)
}

// TestKilled kills a node again and again while messages come: none is lost, and none that NATS numbers is two events.
func TestKilled(t *testing.T) {
	const kills, each = 8, 60
	t.Run("nats", func(t *testing.T) {
		s := newNATS(t, server.Options{})
		js := s.stream()
		killed(t, s.url("stream=ORDERS&topic=orders"), kills, func(i int) {
			for j := range each {
				publish(t, js, "orders.1", fmt.Sprintf("order-%d-%d", i, j))
			}
		}, kills*each, true)
	})
	t.Run("mqtt", func(t *testing.T) {
		m := newMosquitto(t, "allow_anonymous true\nmax_queued_messages 10000")
		source := "mqtt://" + m.address + "/orders?topic=orders"
		n := newNode(t, t.TempDir(), source+"&client=killed") // makes the session
		eventually(t, "connected", func() bool { return n.status().State == "connected" })
		n.close(t)
		c := m.publisher(m.plain())
		killed(t, source+"&client=killed", kills, func(i int) {
			for j := range each {
				send(t, c, "orders", fmt.Sprintf("order-%d-%d", i, j))
			}
		}, kills*each, false)
	})
}

func killed(t *testing.T, source string, kills int, publish func(i int), want int, exact bool) {
	dir := t.TempDir()
	ids := map[string]map[string]bool{} // of a body's events
	for i := range kills + 1 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir, childSource+"="+source)
		child.Stderr = os.Stderr
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		watchdog := time.AfterFunc(time.Minute, func() { _ = child.Process.Kill() })
		runs, until, published := 0, 1+rand.IntN(50), false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			words := strings.Fields(lines.Text())
			switch {
			case words[0] == "ready" && i < kills:
				publish(i)
				published = true
			case words[0] == "ran":
				runs++
				if ids[words[1]] == nil {
					ids[words[1]] = map[string]bool{}
				}
				ids[words[1]][words[2]] = true
			case words[0] == "error":
				t.Error(lines.Text())
			}
			if published && runs >= until || i == kills && len(ids) == want {
				_ = child.Process.Kill()
			}
		}
		_ = child.Wait()
		watchdog.Stop()
	}
	if len(ids) != want {
		t.Errorf("%d of %d messages were delivered", len(ids), want)
	}
	again := 0
	for body, of := range ids {
		if len(of) > 1 {
			again++
			if exact {
				t.Errorf("%s is %d events", body, len(of))
			}
		}
	}
	t.Logf("%d messages, %d of them more than one event", len(ids), again)
}
