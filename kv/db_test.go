package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// clock is a time that the test moves.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ns.Store(1_700_000_000_000_000_000)
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func open(t testing.TB, dir string, opts Options) *DB {
	t.Helper()
	opts.InMemory = dir == ""
	db, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// checkUsage returns the usage recorded for program, and fails unless it is that of what is stored, expired or not, and
// nothing else is stored.
func checkUsage(t testing.TB, db *DB, program string) (recorded Usage) {
	t.Helper()
	s := spaceOf(program)
	err := db.read(func(txn *badger.Txn) (err error) {
		if recorded, err = readUsage(txn, s); err != nil {
			return err
		}
		var u Usage
		tails, indexed := 0, 0
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(s)})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			name := string(it.Item().Key()[len(s):])
			switch k := name[1:]; name[0] {
			case 'u':
			case 't':
				tails--
			case 'k':
				_, e, err := appendItem(nil, txn, it.Item(), s, k)
				if err != nil {
					return err
				}
				u.Bytes += e.size(k)
				u.Keys++
				if it.Item().UserMeta()&metaTail != 0 {
					tails++
				}
				if e.expires != 0 {
					indexed++
					if _, err := txn.Get(expiryKey(e.expires, s, k)); err != nil {
						return fmt.Errorf("index of %q: %w", k, err)
					}
				}
			default:
				t.Errorf("a stray key %q", name)
			}
		}
		index := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(expiryPrefix)})
		defer index.Close()
		for index.Rewind(); index.Valid(); index.Next() {
			_, owner, _, err := parseExpiryKey(index.Item().Key())
			if err != nil {
				return err
			}
			if owner == s {
				indexed--
			}
		}
		if tails != 0 || indexed != 0 {
			t.Errorf("%d tails and %d index keys more or less than entries", tails, indexed)
		}
		if u != recorded {
			t.Errorf("usage of %s: %+v recorded, %+v stored", program, recorded, u)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return recorded
}

func TestOpenInUse(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, Options{})
	_, err := Open(dir, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("opened twice: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{})
}

func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, opts := range map[string]Options{"": {}, file: {}, t.TempDir(): {InMemory: true}} {
		if db, err := Open(dir, opts); err == nil {
			t.Errorf("%q, in memory %t: opened", dir, opts.InMemory)
			db.Close()
		} else if errors.Is(err, ErrInUse) {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

func TestRecords(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, Options{})
	if err := db.Update(func(txn *Txn) error {
		for _, key := range []string{"queue/2", "queue/1", "queue/3", "queue", "queues/1", "programs/x"} {
			if err := txn.Set(key, []byte("v "+key)); err != nil {
				return err
			}
		}
		return txn.Delete("queue/3")
	}); err != nil {
		t.Fatal(err)
	}
	undone := errors.New("undone")
	if err := db.Update(func(txn *Txn) error {
		if err := txn.Delete("queue/1"); err != nil {
			return err
		}
		return undone
	}); err != undone {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, Options{})
	if err := db.View(func(txn *Txn) error {
		for from, want := range map[string][]string{"": {"queue/1", "queue/2"}, "queue/10": {"queue/2"}, "queue/3": nil, "a": {"queue/1", "queue/2"}} {
			var got []string
			for r, err := range txn.Iterate("queue/", from) {
				if err != nil {
					return err
				}
				if string(r.Value) != "v "+r.Key {
					t.Errorf("%s: %q", r.Key, r.Value)
				}
				got = append(got, r.Key)
			}
			if !slices.Equal(got, want) {
				t.Errorf("from %q: %q, want %q", from, got, want)
			}
		}
		for range txn.Iterate("queue", "") {
			break
		}
		if _, ok, err := txn.Get("queue/3"); ok || err != nil {
			t.Errorf("deleted: %t, %v", ok, err)
		}
		if v, ok, err := txn.Get("queue/1"); !ok || err != nil || string(v) != "v queue/1" {
			t.Errorf("%q, %t, %v", v, ok, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestRecordLimits(t *testing.T) {
	db := open(t, "", Options{})
	for want, fn := range map[Code]func(*Txn) error{
		ErrValueTooLarge:   func(txn *Txn) error { return txn.Set("k", make([]byte, MaxRecord+1)) },
		ErrInvalidArgument: func(txn *Txn) error { return txn.Set("store/p/kx", nil) },
		ErrTransactionTooLarge: func(txn *Txn) error {
			for i := range 3 {
				if err := txn.Set(fmt.Sprint(i), make([]byte, MaxRecord)); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		var e *Error
		if err := db.Update(fn); !errors.As(err, &e) || e.Code != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := db.Update(func(txn *Txn) error { return txn.SetTTL("k", nil, 0) }); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	if err := db.Update(func(txn *Txn) error { return txn.Delete("expiry/x") }); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestRecordTTL(t *testing.T) {
	db := open(t, "", Options{})
	start := time.Now()
	if err := db.Update(func(txn *Txn) error { return txn.SetTTL("k", []byte("v"), time.Second) }); err != nil {
		t.Fatal(err)
	}
	for found := true; found; time.Sleep(10 * time.Millisecond) {
		if err := db.View(func(txn *Txn) (err error) {
			_, found, err = txn.Get("k")
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if lived := time.Since(start); lived < time.Second {
		t.Errorf("lived %v, want at least 1 s", lived)
	}
}

func TestUpdateConflicts(t *testing.T) {
	db := open(t, "", Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				err := db.Update(func(txn *Txn) error {
					v, _, err := txn.Get("n")
					if err != nil {
						return err
					}
					return txn.Set("n", append(slices.Clone(v), 'x'))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := db.View(func(txn *Txn) error {
		if v, _, err := txn.Get("n"); err != nil || len(v) != 400 {
			t.Errorf("%d updates, %v; want 400", len(v), err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	tries := 0
	err := db.Update(func(txn *Txn) error {
		tries++
		if _, _, err := txn.Get("n"); err != nil {
			return err
		}
		if err := db.Update(func(other *Txn) error { return other.Set("n", []byte{byte(tries)}) }); err != nil {
			return err
		}
		return txn.Set("n", nil)
	})
	if !errors.Is(err, ErrConflict) || tries != maxAttempts {
		t.Errorf("%v after %d tries", err, tries)
	}
}

func TestClose(t *testing.T) {
	db := open(t, t.TempDir(), Options{})
	s := db.Store("p", Quota{})
	w, err := s.Watch("")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 20 { // some are under way, and all are answered
		wg.Go(func() {
			for n := int64(1); ; n++ {
				got, err := s.Increment(fmt.Sprint(i), 1)
				if errors.Is(err, ErrUnavailable) {
					return
				}
				if err != nil || got != n {
					t.Errorf("%d, %v; want %d", got, err, n)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for {
			if _, _, err := s.Get("1"); err != nil {
				if !errors.Is(err, ErrUnavailable) {
					t.Error(err)
				}
				return
			}
		}
	})
	for {
		if v, _, _ := s.Get("0"); len(v.Data) > 0 {
			break
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if _, err := w.Wait(t.Context()); err == nil {
		if _, err = s.Watch(""); !errors.Is(err, ErrUnavailable) {
			t.Errorf("watch: %v", err)
		}
	}
	if _, _, err := s.List("", 0, ""); !errors.Is(err, ErrUnavailable) {
		t.Errorf("list: %v", err)
	}
	if err := db.View(func(*Txn) error { return nil }); !errors.Is(err, ErrUnavailable) {
		t.Errorf("view: %v", err)
	}
	if err := db.Update(func(*Txn) error { return nil }); !errors.Is(err, ErrUnavailable) {
		t.Errorf("update: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("again: %v", err)
	}
}

// diskUse is how much dir takes on the disk, holes left out.
func diskUse(t testing.TB, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) { // compaction took it
			return nil
		}
		bytes += blocks(info)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestEmptyLogs opens a database that was killed between making a log and giving it a size.
func TestEmptyLogs(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", "00099.mem", "000099.vlog", "00100.mem"} {
		if name != "" {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		db, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("with an empty %s: %v", name, err)
		}
		n, err := db.Store("program", Quota{}).Increment("opened", 1)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]int64{"": 1, "00099.mem": 2, "000099.vlog": 3, "00100.mem": 4}[name]; n != want {
			t.Errorf("with an empty %s: %d, want %d", name, n, want)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestIterateBack: records come as by Iterate, the other way round.
func TestIterateBack(t *testing.T) {
	db := open(t, "", Options{})
	keys := []string{"a", "p/", "p/a", "p/b", "p/b\xff", "p/c", "p/\xff", "p0", "q"}
	if err := db.Update(func(tx *Txn) error {
		for _, key := range keys {
			if err := tx.Set(key, []byte(key)); err != nil {
				return err
			}
		}
		return tx.Delete("p/c")
	}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		before string
		want   []string
	}{
		{"", []string{"p/\xff", "p/b\xff", "p/b", "p/a", "p/"}},
		{"p/c", []string{"p/b\xff", "p/b", "p/a", "p/"}},
		{"p/b", []string{"p/a", "p/"}},
		{"p/aa", []string{"p/a", "p/"}},
		{"p/", nil},
	} {
		var got []string
		if err := db.View(func(tx *Txn) error {
			for r, err := range tx.IterateBack("p/", test.before) {
				if err != nil || string(r.Value) != r.Key {
					t.Errorf("%q: %q, %v", r.Key, r.Value, err)
				}
				got = append(got, r.Key)
			}
			for range tx.IterateBack("p/", "") {
				break
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("before %q: %q, want %q", test.before, got, test.want)
		}
	}
}
