package kv

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// childDir is the variable that makes the test binary the child of TestKilled, with the data folder as its value.
const childDir = "KV_TEST_CHILD_DIR"

const childWriters = 8

// childMain writes to dir until it is killed. Each writer w says on standard output what was acknowledged: "w n" when all that
// round n of writer w does is done.
func childMain(dir string) {
	db, err := Open(dir, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	s := db.Store("p", Quota{Keys: 1000})
	var wg sync.WaitGroup
	var out sync.Mutex
	for w := range childWriters {
		wg.Go(func() {
			for {
				n, err := s.Increment(fmt.Sprintf("rounds/%d", w), 1)
				if err == nil {
					err = childRound(s, w, n)
				}
				if err == nil {
					err = db.Update(func(txn *Txn) error { return txn.Set(fmt.Sprintf("queue/%d", w), fmt.Append(nil, n)) })
				}
				out.Lock()
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Println(w, n)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

// childRound replaces two values, one of a size and expiry that change, and makes or deletes a third.
func childRound(s Store, w int, n int64) error {
	data := fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", int(n*n*997%5000)))
	if n%16 == int64(w) {
		data = append(data, make([]byte, MaxValue-len(data))...)
	}
	errs := []error{
		s.Set(fmt.Sprintf("last/%d", w), Value{Bytes, data}, 0),
		s.Set(fmt.Sprintf("brief/%d/%d", w, n%5), Value{Bytes, data}, 1+uint64(n%2)),
	}
	key := fmt.Sprintf("sometimes/%d", w)
	if n%2 == 0 {
		_, err := s.Delete(key)
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, s.Set(key, Value{JSON, fmt.Append(nil, n)}, 0))...)
}

// TestKilled kills a writing process again and again. Nothing that it acknowledged may be missing, and the usage recorded must be
// what is stored. (It shows that no acknowledgement comes before the write; that the disk had it is what SyncWrites is for.)
func TestKilled(t *testing.T) {
	times := 10
	if testing.Short() {
		times = 2
	}
	dir := t.TempDir()
	for range times {
		acknowledged := runChild(t, dir, 20+rand.IntN(150))
		verifyKilled(t, dir, acknowledged)
		if t.Failed() {
			return
		}
	}
}

// runChild lets a child acknowledge so many rounds, kills it, and returns the last that each writer acknowledged.
func runChild(t *testing.T, dir string, rounds int) (last [childWriters]int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for seen := 0; lines.Scan(); seen++ { // to the end: what it said before it died counts
		var w int
		var n int64
		if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
			t.Errorf("the child said %q", lines.Text())
			break
		}
		last[w] = n
		if seen == rounds {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Errorf("the child was not killed: %v", err)
	}
	return last
}

func verifyKilled(t *testing.T, dir string, acknowledged [childWriters]int64) {
	t.Helper()
	db, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := db.Store("p", Quota{})
	number := func(v Value, ok bool, err error) (n int64) {
		if err != nil {
			t.Error(err)
		}
		if ok {
			fmt.Sscan(string(v.text()), &n)
		}
		return n
	}
	for w, n := range acknowledged {
		if n == 0 {
			continue
		}
		// One round more may have begun.
		for _, key := range []string{"rounds", "last"} {
			if got := number(s.Get(fmt.Sprintf("%s/%d", key, w))); got != n && got != n+1 {
				t.Errorf("%s/%d: %d, acknowledged %d", key, w, got, n)
			}
		}
		odd := n - 1 + n%2 // the value, if the last round to touch the key made it
		if got := number(s.Get(fmt.Sprintf("sometimes/%d", w))); n%2 == 1 && got != odd && got != 0 || n%2 == 0 && got != 0 && got != n+1 {
			t.Errorf("sometimes/%d: %d, acknowledged %d", w, got, n)
		}
		if err := db.View(func(txn *Txn) error {
			v, ok, err := txn.Get(fmt.Sprintf("queue/%d", w))
			if got := number(Value{JSON, v}, ok, err); got != n && got != n+1 {
				t.Errorf("queue/%d: %d, acknowledged %d", w, got, n)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	checkUsage(t, db, "p")
}
