package usage

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// childDir is the variable that makes the test binary the child of TestKilled, with the data folder as its value.
const childDir = "USAGE_TEST_CHILD_DIR"

// childMain adds records without end, beginning after those that are stored, and says how many each time that it finds
// more of them in the database. Between two such lines nothing but the meter's own goroutine has flushed.
func childMain(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	db, err := kv.Open(dir, kv.Options{})
	fail(err)
	m, err := Open(db, Options{Interval: 20 * time.Millisecond})
	fail(err)
	a, err := m.Program("p")
	fail(err)
	added := a.Totals().Invocations
	for seen := added; ; {
		for range 100 {
			a.Add(record(added))
			added++
		}
		time.Sleep(time.Millisecond) // so that the parent has not too much to sum up
		var stored Totals
		fail(db.View(func(t *kv.Txn) error {
			b, ok, err := t.Get(prefix + "p")
			if err != nil || !ok {
				return err
			}
			return stored.decode(b)
		}))
		if stored.Invocations > seen {
			seen = stored.Invocations
			fmt.Println(seen)
		}
	}
}

// TestKilled kills a process that counts. What it had flushed is there, and the totals are those of a number of whole records.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	for flushes := 1; flushes <= 4; flushes++ {
		flushed := runChild(t, dir, flushes)
		db, err := kv.Open(dir, kv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Open(db, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := account(t, m, "p").Report(0)
		if got.Invocations < flushed {
			t.Errorf("%d invocations, %d were flushed", got.Invocations, flushed)
		}
		if want := sum(got.Invocations); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		closed(t, m)
		closed(t, db)
	}
}

// runChild kills a child after it has told of so many flushes, and returns the last that it told of.
func runChild(t *testing.T, dir string, flushes int) (last uint64) {
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
	for seen := 1; lines.Scan(); seen++ { // to the end: what it said before it died counts
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			t.Errorf("the child said %q", lines.Text())
			break
		}
		if seen == flushes {
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
