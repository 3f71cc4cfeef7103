package kv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"
)

func blocks(info fs.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks * 512 }

func set(t testing.TB, s Store, key string, data string, ttl uint64) {
	t.Helper()
	if err := s.Set(key, Value{Bytes, []byte(data)}, ttl); err != nil {
		t.Fatal(err)
	}
}

func has(t testing.TB, s Store, key string) bool {
	t.Helper()
	_, ok, err := s.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestProgramsAreApart(t *testing.T) {
	db := open(t, "", Options{})
	a, b, again := db.Store("a", Quota{}), db.Store("b", Quota{}), db.Store("a", Quota{Keys: 1})
	set(t, a, "k", "of a", 0)
	set(t, b, "k", "of b", 0)
	set(t, b, "l", "of b", 0)
	if v, _, _ := again.Get("k"); string(v.Data) != "of a" {
		t.Errorf("%q", v.Data)
	}
	if err := again.Set("l", Value{}, 0); !errors.Is(err, ErrQuotaExceeded) {
		t.Errorf("the second handle: %v", err)
	}
	if entries, _, err := a.List("", 0, ""); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if u := checkUsage(t, db, "a"); u != (Usage{5, 1}) {
		t.Errorf("%+v", u)
	}
	for _, program := range []string{"", "a/b", "\xff", strings.Repeat("p", maxProgramName+1)} {
		s := db.Store(program, Quota{})
		if _, _, err := s.Get("k"); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("program %q: %v", program, err)
		}
		if err := db.DropStore(program); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("drop program %q: %v", program, err)
		}
	}
}

// TestExpiryMoment: an entry is there until its TTL's last nanosecond, gone a millisecond later, and so across a restart.
func TestExpiryMoment(t *testing.T) {
	dir, clock := t.TempDir(), newClock()
	clock.advance(999_999_999) // the end of a second, where rounding would show
	db := open(t, dir, Options{Now: clock.now})
	s := db.Store("p", Quota{})
	set(t, s, "k", "v", 1)
	set(t, s, "long", "v", 3600)
	clock.advance(time.Second - 1)
	if !has(t, s, "k") {
		t.Error("gone too early")
	}
	clock.advance(time.Millisecond)
	if has(t, s, "k") {
		t.Error("still there")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Hour - 2*time.Second)
	db = open(t, dir, Options{Now: clock.now})
	s = db.Store("p", Quota{})
	if !has(t, s, "long") {
		t.Error("gone too early after a restart")
	}
	clock.advance(time.Second)
	if has(t, s, "long") {
		t.Error("still there after a restart")
	}
	waitUsage(t, db, "p", Usage{})
}

// waitUsage waits for the sweep to bring program's usage to want.
func waitUsage(t *testing.T, db *DB, program string, want Usage) {
	t.Helper()
	for checkUsage(t, db, program) != want {
		time.Sleep(20 * time.Millisecond)
	}
}

// TestExpiredGiveQuotaBack: no write is refused for entries that expired, many of them or large, before a sweep was due.
func TestExpiredGiveQuotaBack(t *testing.T) {
	clock := newClock()
	db := open(t, t.TempDir(), Options{Now: clock.now})
	const keys = 3*sweepKeys + 1
	s := db.Store("p", Quota{Keys: keys, Bytes: 4 << 20})
	for round := range 3 {
		for i := range keys - 2 {
			if err := s.Set(fmt.Sprintf("%d/%d", round, i), Value{}, uint64(1+i%3)); err != nil {
				t.Fatal(err)
			}
		}
		set(t, s, "large", strings.Repeat("x", MaxValue), 3)
		set(t, s, fmt.Sprintf("large%d", round), strings.Repeat("x", MaxValue-4), 3)
		if err := s.Set("one too many", Value{}, 0); !errors.Is(err, ErrQuotaExceeded) {
			t.Fatalf("round %d: %v", round, err)
		}
		checkUsage(t, db, "p")
		clock.advance(3 * time.Second)
	}
	waitUsage(t, db, "p", Usage{})
}

func TestReplacedExpiry(t *testing.T) {
	clock := newClock()
	db := open(t, "", Options{Now: clock.now})
	s := db.Store("p", Quota{})
	set(t, s, "never", "v", 1)
	set(t, s, "never", "v", 0)
	set(t, s, "later", "v", 1)
	set(t, s, "later", "v", 10)
	set(t, s, "sooner", "v", 10)
	set(t, s, "sooner", "v", 1)
	set(t, s, "same", "v", 1)
	set(t, s, "same", strings.Repeat("v", MaxValue), 1)
	set(t, s, "same", "w", 1)
	set(t, s, "deleted", "v", 1)
	if _, err := s.Delete("deleted"); err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Second)
	waitUsage(t, db, "p", Usage{6 + 6, 2}) // never, later
	set(t, s, "deleted", "v", 0)
	clock.advance(9 * time.Second)
	waitUsage(t, db, "p", Usage{6 + 8, 2}) // never, deleted
	if !has(t, s, "never") || has(t, s, "later") || !has(t, s, "deleted") {
		t.Error("the wrong ones expired")
	}
}

func TestDropStore(t *testing.T) {
	clock := newClock()
	db := open(t, t.TempDir(), Options{Now: clock.now})
	s, other := db.Store("p", Quota{}), db.Store("p2", Quota{})
	set(t, other, "k", "v", 5)
	for i := range 2*dropKeys + 1 {
		set(t, s, fmt.Sprintf("%0*d", 1+i*3, i), "v", uint64(i%3))
	}
	set(t, s, "large", strings.Repeat("x", MaxValue), 0)
	w, err := s.Watch("")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.DropStore("p"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Wait(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the watch: %v", err)
	}
	if u := checkUsage(t, db, "p"); u != (Usage{}) {
		t.Errorf("left: %+v", u)
	}
	if u := checkUsage(t, db, "p2"); u != (Usage{2, 1}) {
		t.Errorf("the other's: %+v", u)
	}
	for key := range db.keys(t, "store/p/") {
		t.Errorf("left: %q", key)
	}
	if err := db.DropStore("p"); err != nil {
		t.Errorf("again: %v", err)
	}
	set(t, s, "k", "v", 0)
	if !has(t, s, "k") {
		t.Error("not usable after a drop")
	}
}

func (db *DB) keys(t *testing.T, prefix string) map[string]bool {
	found := map[string]bool{}
	if err := db.View(func(txn *Txn) error {
		for r, err := range txn.Iterate(prefix, "") {
			if err != nil {
				return err
			}
			found[r.Key] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestOverwritesStaySmall: a large value that is overwritten again and again does not fill the disk.
func TestOverwritesStaySmall(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 200 MiB")
	}
	dir := t.TempDir()
	db := open(t, dir, Options{})
	s := db.Store("p", Quota{Bytes: 2 << 20})
	data := bytes.Repeat([]byte("0123456789abcdef"), MaxValue/16)
	for range 200 {
		if err := s.Set("k", Value{Bytes, data}, 0); err != nil {
			t.Fatal(err)
		}
	}
	// 82 MiB were seen; a value log takes 200.
	if used := diskUse(t, dir); used > 150<<20 {
		t.Errorf("%d MiB for one value of 1 MiB", used>>20)
	}
}

// TestFailedWriteStopsWriting: after Badger failed a write none is acknowledged, and reads go on.
func TestFailedWriteStopsWriting(t *testing.T) {
	db := open(t, "", Options{})
	s := db.Store("p", Quota{})
	set(t, s, "k", "v", 0)
	db.writeFailed(errors.New("no space"))
	if err := s.Set("k", Value{}, 0); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no space") {
		t.Errorf("set: %v", err)
	}
	if err := db.Update(func(txn *Txn) error { return txn.Set("k", nil) }); !errors.Is(err, ErrUnavailable) {
		t.Errorf("update: %v", err)
	}
	if v, ok, err := s.Get("k"); err != nil || !ok || string(v.Data) != "v" {
		t.Errorf("get: %v, %t, %v", v, ok, err)
	}
}

// TestFullDisk: with too little room writes are refused before Badger meets the end of the disk.
func TestFullDisk(t *testing.T) {
	db := open(t, t.TempDir(), Options{MinFree: 1 << 62})
	s := db.Store("p", Quota{})
	if err := s.Set("k", Value{}, 0); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "disk: ") {
		t.Errorf("set: %v", err)
	}
	if err := db.Update(func(txn *Txn) error { return txn.Set("k", nil) }); !errors.Is(err, ErrUnavailable) {
		t.Errorf("update: %v", err)
	}
	if has(t, s, "k") {
		t.Error("a refused write is there")
	}
}

// TestSpoiledBatch: an op that fails in Badger leaves those that share its batch alone.
func TestSpoiledBatch(t *testing.T) {
	db := open(t, "", Options{})
	begun, gathered := make(chan struct{}), make(chan struct{})
	first := &op{done: make(chan struct{}), apply: func(*batch) error {
		close(begun)
		<-gathered
		return nil
	}}
	db.writer.ops <- first
	<-begun
	applied := 0
	put := func(key string) *op {
		return &op{done: make(chan struct{}), apply: func(b *batch) error {
			applied++
			return b.put(spaceOf("p"), Quota{}.withDefaults(), key, entry{}, false, entry{Value: CounterValue(1)})
		}}
	}
	broken := &op{done: make(chan struct{}), apply: func(*batch) error { return errors.New("broken") }}
	ops := []*op{put("a"), broken, put("b")}
	for _, o := range ops {
		db.writer.ops <- o
	}
	close(gathered)
	for _, o := range ops {
		<-o.done
	}
	if ops[0].err != nil || ops[2].err != nil || !errors.Is(broken.err, ErrUnavailable) {
		t.Errorf("%v, %v, %v", ops[0].err, broken.err, ops[2].err)
	}
	if applied != 3 { // a with broken, a alone, b alone
		t.Errorf("applied %d times: not one batch at first", applied)
	}
	if u := checkUsage(t, db, "p"); u != (Usage{18, 2}) {
		t.Errorf("%+v", u)
	}
}
