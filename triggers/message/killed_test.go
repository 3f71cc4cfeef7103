package message

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/queue"
)

// childDir is the variable that makes the test binary the child of TestKilled, with the data folder as its value. With childDrains
// set it posts nothing and ends when everything has run.
const (
	childDir    = "MESSAGE_TEST_CHILD_DIR"
	childDrains = "MESSAGE_TEST_CHILD_DRAINS"
)

// childPrograms hear every message, those with an even number, and every message while their queue takes only a few.
var childPrograms = []string{"every", "even", "full"}

// child is a node under load that says what it does, a line each:
//
//	posted <n>             message n is processed
//	ran <program> <n>      a program has it, and that is on the disk
type child struct {
	mu   sync.Mutex
	t    *Trigger
	open chan struct{} // closed when t is there
}

func (c *child) say(args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Println(args...)
}

func (c *child) must(err error) {
	if err != nil {
		c.say("error", strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1)
	}
}

// Run has the program's store count the message, once.
func (c *child) Run(ctx context.Context, d *queue.Delivery) queue.Outcome {
	<-c.open
	form, err := c.t.Form(ctx, d)
	c.must(err)
	n, ok := number(form.Body)
	if !ok {
		c.must(fmt.Errorf("%s: %s", d.ID, form.Body))
	}
	return queue.Acknowledge(nil).With(func(tx *kv.Txn) error {
		_, err := tx.Store(d.Program, kv.Quota{Bytes: 1 << 30, Keys: 1 << 20}).Increment(fmt.Sprint(n), 1)
		return err
	})
}

func number(message []byte) (n int, ok bool) {
	document, err := decode(message)
	if err != nil {
		return 0, false
	}
	content, _ := document.(map[string]any)["content"].(map[string]any)
	inner, _ := content["content"].(map[string]any)
	value, ok := inner["n"].(float64)
	return int(value), ok
}

func childMain(dir string) {
	c := &child{open: make(chan struct{})}
	db, err := kv.Open(filepath.Join(dir, "db"), kv.Options{})
	c.must(err)
	n, err := network.Open(db, dir, network.NodeOptions{Programs: noPrograms{}})
	c.must(err)
	q, err := queue.Open(db, queue.Options{Handler: c, Events: 50,
		Settled: func(s queue.Settlement) { c.say("ran", s.Program, s.State) },
		Policy:  func(string) queue.Policy { return queue.Policy{MaxAttempts: 1000, Backoff: time.Millisecond} }})
	c.must(err)
	c.t, err = Open(Config{DB: db, Queue: q, Network: n})
	c.must(err)
	close(c.open)
	for _, program := range childPrograms {
		filter := map[string]any{"type": "POST"}
		if program == "even" {
			filter["content"] = map[string]any{"content": map[string]any{"even": true}}
		}
		if program == "full" && os.Getenv(childDrains) == "" && rand.IntN(2) == 0 {
			c.must(q.Pause(program))
		} else {
			c.must(q.Resume(program))
		}
		c.must(c.t.Set(program, time.Now(), declare(filter)))
	}
	go func() { c.must(c.t.Run(context.Background())) }()
	if os.Getenv(childDrains) == "" {
		c.post(n)
	}
	for {
		idle := true
		for _, program := range childPrograms {
			seen := c.t.List(program)[0].Lag == 0 // before what of it waits: that it has seen is in the queue
			s, err := q.Stats(program)
			c.must(err)
			idle = idle && seen && s.Pending+s.Running+s.Delayed == 0
		}
		if idle {
			os.Exit(0)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// post goes on where the log ends.
func (c *child) post(n *network.Node) {
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{1}, 32))
	c.must(err)
	last, err := n.LastMessage()
	c.must(err)
	for i := int(last) + 1; ; i++ {
		m, err := network.Sign(key, network.TypePost, map[string]any{"address": network.Address(key), "time": 1700000000, "type": "t",
			"content": map[string]any{"n": i, "even": i%2 == 0}}, network.Options{})
		c.must(err)
		_, err = n.Accept(context.Background(), m)
		c.must(err)
		c.say("posted", i)
	}
}

// TestKilled kills a node that takes messages again and again: every message reaches every program that it matches, once, also one
// that falls behind.
func TestKilled(t *testing.T) {
	times := 5
	if os.Getenv("ALEPH_LONG_TESTS") != "" {
		times = 200
	}
	dir := t.TempDir()
	posted := 0
	run := func(lines int) {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		if lines == 0 {
			cmd.Env = append(cmd.Env, childDrains+"=1")
		}
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(stdout)
		for seen := 1; said.Scan(); seen++ {
			if strings.HasPrefix(said.Text(), "error") {
				t.Errorf("the child said %q", said.Text())
			}
			_, _ = fmt.Sscanf(said.Text(), "posted %d", &posted)
			if seen == lines {
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := cmd.Wait(); (err == nil) != (lines == 0) || cmd.ProcessState.Exited() != (lines == 0) {
			t.Fatalf("the child ended by itself, or failed to: %v", err)
		}
	}
	for range times {
		run(1 + rand.IntN(1500))
		if t.Failed() {
			return
		}
	}
	run(0)
	db := openDB(t, filepath.Join(dir, "db"))
	n, err := network.Open(db, dir, network.NodeOptions{Programs: noPrograms{}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	last, err := n.LastMessage()
	if err != nil || int(last) < posted {
		t.Fatalf("%d messages are said to be posted, %d are, %v", posted, last, err)
	}
	t.Logf("%d messages", last)
	for _, program := range childPrograms {
		store := db.Store(program, kv.Quota{})
		for i := 1; i <= int(last); i++ {
			want := int64(1)
			if program == "even" && i%2 == 1 {
				want = 0
			}
			v, _, err := store.Get(fmt.Sprint(i))
			if got, _ := v.Number(); err != nil || got != want {
				t.Errorf("%s had message %d %d times, want %d (%v)", program, i, got, want, err)
			}
		}
	}
}
