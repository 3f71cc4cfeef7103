package queue

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// childDir is the variable that makes the test binary the child of TestKilled, with the data folder as its value. With childDrains
// set it accepts nothing and ends when nothing is left.
const (
	childDir    = "QUEUE_TEST_CHILD_DIR"
	childDrains = "QUEUE_TEST_CHILD_DRAINS"
)

var childPrograms = []string{"plain", "ordered", "once"}

// childKeys is how many ordering keys the events of "ordered" have, in turn.
const childKeys = 4

// child is a process under load that says what it does, a line each:
//
//	accepted <program> <n>      its events up to n are accepted
//	run <program> <n> <attempt>
//	done <program> <n>          it is acknowledged
type child struct {
	db  *kv.DB
	q   *Queue
	mu  sync.Mutex
	out *os.File
}

func (c *child) say(args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(c.out, args...)
}

func (c *child) must(err error) {
	if err != nil {
		c.say("error", strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1)
	}
}

func childMain(dir string) {
	c := &child{out: os.Stdout}
	var err error
	c.db, err = kv.Open(dir, kv.Options{})
	c.must(err)
	c.q, err = Open(c.db, Options{Handler: c, Events: 200, Settled: c.settled,
		Policy: func(string) Policy {
			return Policy{Concurrency: 6, MaxAttempts: 1000, Backoff: time.Millisecond, MaxBackoff: 3 * time.Millisecond}
		}})
	c.must(err)
	if os.Getenv(childDrains) == "" {
		for _, program := range childPrograms {
			go c.produce(program)
		}
		select {}
	}
	for _, program := range childPrograms {
		for {
			s, err := c.q.Stats(program)
			c.must(err)
			if s.Pending+s.Running+s.Delayed == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	c.q.Close(context.Background())
	c.must(c.db.Close())
	os.Exit(0)
}

// produce goes on from its checkpoint.
func (c *child) produce(program string) {
	n := 0
	c.must(c.db.View(func(tx *kv.Txn) error {
		b, _, err := tx.Get("checkpoint/" + program)
		fmt.Sscan(string(b), &n)
		return err
	}))
	for {
		var events []Event
		first := n + 1
		if n > 0 && rand.IntN(4) == 0 {
			first = n // once more
		}
		last := n + 1 + rand.IntN(3)
		for i := first; i <= last; i++ {
			e := Event{Program: program, ID: strconv.Itoa(i), Payload: bytes.Repeat([]byte{byte(i)}, rand.IntN(2000))}
			if program == "ordered" {
				e.Key = strconv.Itoa(i % childKeys)
			}
			if rand.IntN(8) == 0 {
				e.Delay = time.Duration(rand.IntN(5)) * time.Millisecond
			}
			events = append(events, e)
		}
		fresh, err := c.q.Accept(events, func(tx *kv.Txn) error { return tx.Set("checkpoint/"+program, fmt.Append(nil, last)) })
		if errors.Is(err, kv.ErrQuotaExceeded) {
			time.Sleep(time.Millisecond)
			continue
		}
		c.must(err)
		if fresh[0] != (first > n) {
			c.must(fmt.Errorf("event %d is new: %t", first, fresh[0]))
		}
		n = last
		c.say("accepted", program, n)
	}
}

func (c *child) Run(_ context.Context, d *Delivery) Outcome {
	c.say("run", d.Program, d.ID, d.Attempt)
	n, _ := strconv.Atoi(d.ID)
	for _, b := range d.Payload {
		if b != byte(n) {
			c.must(fmt.Errorf("%s %s has another's payload", d.Program, d.ID))
		}
	}
	if rand.IntN(4) == 0 {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}
	switch rand.IntN(10) {
	case 0:
		return Fail(errors.New("failed"))
	case 1:
		return Defer(errors.New("deferred"))
	}
	o := Acknowledge([]byte(d.ID))
	if d.Program == "once" {
		o = o.With(func(tx *kv.Txn) error {
			_, err := tx.Store(d.Program, kv.Quota{}).Increment("effects", 1)
			return err
		})
	}
	return o
}

func (c *child) settled(s Settlement) {
	if s.State == Acknowledged {
		c.say("done", s.Program, s.ID)
	}
}

// observer follows what the children say, over all kills.
type observer struct {
	t        *testing.T
	accepted map[string]int
	attempt  map[string]uint32
	done     map[string]bool
	last     map[int]int // that ran, by key
}

func (o *observer) hear(line string) {
	var program string
	var n int
	var attempt uint32
	what, rest, _ := strings.Cut(line, " ")
	if _, err := fmt.Sscan(rest+" 0", &program, &n, &attempt); err != nil || what == "error" {
		o.t.Errorf("the child said %q", line)
		return
	}
	id := fmt.Sprint(program, " ", n)
	switch what {
	case "accepted":
		o.accepted[program] = n
	case "done":
		o.done[id] = true
	case "run":
		if o.done[id] {
			o.t.Errorf("%s ran after it was acknowledged", id)
		}
		if attempt <= o.attempt[id] {
			o.t.Errorf("%s: attempt %d after %d", id, attempt, o.attempt[id])
		}
		o.attempt[id] = attempt
		if program == "ordered" {
			if n < o.last[n%childKeys] {
				o.t.Errorf("%s ran after %d, with the same key", id, o.last[n%childKeys])
			}
			o.last[n%childKeys] = n
		}
	}
}

// run lets a child say so many lines and kills it; with 0 it drains.
func (o *observer) run(dir string, lines int) {
	o.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	if lines == 0 {
		cmd.Env = append(cmd.Env, childDrains+"=1")
	}
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	said := bufio.NewScanner(stdout)
	for seen := 1; said.Scan(); seen++ { // to the end: what it said before it died counts
		o.hear(said.Text())
		if seen == lines {
			if err := cmd.Process.Kill(); err != nil {
				o.t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); (err == nil) != (lines == 0) || cmd.ProcessState.Exited() != (lines == 0) {
		o.t.Fatalf("the child ended by itself, or failed to: %v", err)
	}
}

// TestKilled kills a process under load again and again: no event that was accepted is lost, none that was acknowledged runs again,
// attempts only grow, keys keep their order, and effects that are one with the acknowledgement happen once.
func TestKilled(t *testing.T) {
	times := 20
	if os.Getenv("ALEPH_LONG_TESTS") != "" {
		times = 200
	}
	dir := t.TempDir()
	o := &observer{t, map[string]int{}, map[string]uint32{}, map[string]bool{}, map[int]int{}}
	for range times {
		o.run(dir, 1+rand.IntN(1000))
		if t.Failed() {
			return
		}
	}
	o.run(dir, 0)
	db := openDB(t, dir)
	q := openQueue(t, db, Options{Handler: newHand()})
	for _, program := range childPrograms {
		var checkpoint uint64
		if err := db.View(func(tx *kv.Txn) error {
			b, _, err := tx.Get("checkpoint/" + program)
			if err != nil {
				return err
			}
			fmt.Sscan(string(b), &checkpoint)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		s := stats(t, q, program)
		t.Logf("%s: %d accepted, %+v", program, checkpoint, s)
		if uint64(o.accepted[program]) > checkpoint {
			t.Errorf("%s: %d said to be accepted, %d are", program, o.accepted[program], checkpoint)
		}
		if s.Acknowledged != checkpoint || s.DeadLetters != 0 || s.Pending+s.Running+s.Delayed != 0 || s.Bytes != 0 {
			t.Errorf("%s: %d accepted, %+v", program, checkpoint, s)
		}
	}
	v, _, err := db.Store("once", kv.Quota{}).Get("effects")
	if n, _ := v.Number(); err != nil || uint64(n) != stats(t, q, "once").Acknowledged {
		t.Errorf("%d effects of %d events, %v", n, stats(t, q, "once").Acknowledged, err)
	}
}
