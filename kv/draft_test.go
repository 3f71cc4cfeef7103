package kv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// commit makes a draft's writes a transaction of their own.
func commit(db *DB, d *Draft) error {
	d.Close()
	return db.GroupUpdate(d.Commit)
}

// contents is all of a store.
func contents(t *testing.T, s Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for cursor := ""; ; {
		entries, next, err := s.List("", 7, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all[e.Key] = fmt.Sprintf("%d %x", e.Value.Kind, e.Value.Data)
		}
		if next == "" {
			return all
		}
		cursor = next
	}
}

// TestDraftModel: random operations give on a draft what they give on a store, leave the draft's own store as it was until it is
// committed, and then make it what the other store is.
func TestDraftModel(t *testing.T) {
	db := open(t, t.TempDir(), Options{})
	quota := Quota{Bytes: 2000, Keys: 9}
	for round := range 200 {
		random := rand.New(rand.NewPCG(1, uint64(round)))
		own, other := db.Store(fmt.Sprint("own", round), quota), db.Store(fmt.Sprint("other", round), quota)
		key := func() string { return string(rune('a' + random.IntN(6))) }
		value := func() Value {
			switch random.IntN(3) {
			case 0:
				return Value{Bytes, []byte(strings.Repeat("x", random.IntN(500)))}
			case 1:
				return Value{JSON, fmt.Appendf(nil, "%d", random.IntN(3))}
			}
			return CounterValue(int64(random.IntN(3)))
		}
		step := func(stores ...Store) {
			op, k, v, delta, expected := random.IntN(6), key(), value(), int64(random.IntN(5)-2), value()
			var first []any
			for i, s := range stores {
				var got []any
				switch op {
				case 0:
					v, found, err := s.Get(k)
					got = []any{v, found, err}
				case 1:
					got = []any{s.Set(k, v, 0)}
				case 2:
					existed, err := s.Delete(k)
					got = []any{existed, err}
				case 3:
					n, err := s.Increment(k, delta)
					got = []any{n, err}
				case 4:
					e := &expected
					if delta == 0 {
						e = nil
					}
					swapped, err := s.CompareAndSet(k, e, v, 0)
					got = []any{swapped, err}
				case 5:
					entries, next, err := s.List("", 3, "")
					got = []any{entries, next, err}
				}
				if i == 0 {
					first = got
				} else if !reflect.DeepEqual(got, first) {
					t.Fatalf("round %d: operation %d of %q: %v, and on the draft %v", round, op, k, first, got)
				}
			}
		}
		for range 10 {
			step(other, own)
		}
		before := contents(t, own)
		draft := db.Draft(fmt.Sprint("own", round), quota)
		for range 30 {
			step(other, draft)
		}
		if now := contents(t, own); !reflect.DeepEqual(now, before) {
			t.Fatalf("round %d: the draft wrote %v over %v", round, now, before)
		}
		if round%4 == 0 {
			draft.Close()
			continue
		}
		if err := commit(db, draft); err != nil {
			t.Fatal(err)
		}
		if got, want := contents(t, own), contents(t, other); !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d: committed %v, want %v", round, got, want)
		}
		for _, program := range []string{"own", "other"} {
			if u, err := db.Usage(fmt.Sprint(program, round)); err != nil || u.Keys != int64(len(contents(t, own))) {
				t.Fatalf("round %d: %s uses %+v, %v", round, program, u, err)
			}
		}
	}
}

// TestDraftConflicts: what a draft has read must still be there; what it only added to, or wrote, need not.
func TestDraftConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		act      func(Store) error
		conflict bool
	}{
		"get":       {func(s Store) error { _, _, err := s.Get("k"); return err }, true},
		"delete":    {func(s Store) error { _, err := s.Delete("k"); return err }, true},
		"compare":   {func(s Store) error { _, err := s.CompareAndSet("k", nil, CounterValue(9), 0); return err }, true},
		"increment": {func(s Store) error { _, err := s.Increment("k", 1); return err }, false},
		"set":       {func(s Store) error { return s.Set("k", CounterValue(5), 0) }, false},
		"another":   {func(s Store) error { _, _, err := s.Get("other"); return err }, false},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, t.TempDir(), Options{})
			s, d := db.Store("p", Quota{}), db.Draft("p", Quota{})
			if err := errors.Join(d.Set("mark", CounterValue(1), 0), c.act(d)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Increment("k", 10); err != nil {
				t.Fatal(err)
			}
			err := commit(db, d)
			if errors.Is(err, ErrConflict) != c.conflict || err != nil && !c.conflict {
				t.Fatalf("committed with %v", err)
			}
			if _, marked, err := s.Get("mark"); err != nil || marked == c.conflict {
				t.Errorf("marked: %v, %v", marked, err)
			}
		})
	}
}

// TestDraftsInParallel: drafts that count at the same time count all.
func TestDraftsInParallel(t *testing.T) {
	db := open(t, t.TempDir(), Options{})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			d := db.Draft("p", Quota{})
			_, err := d.Increment("n", 2)
			if err = errors.Join(err, commit(db, d)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if v, _, err := db.Store("p", Quota{}).Get("n"); err != nil || !v.Equal(CounterValue(100)) {
		t.Errorf("counted %v, %v", v, err)
	}
}

func TestDraftLimits(t *testing.T) {
	db := open(t, t.TempDir(), Options{})
	d := db.Draft("p", Quota{})
	big := Value{Bytes, make([]byte, MaxDraftBytes/2)}
	if err := d.Set("a", big, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Set("b", big, 0); !errors.Is(err, ErrQuotaExceeded) {
		t.Errorf("too many bytes: %v", err)
	}
	if err := d.Set("", big, 0); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("no key: %v", err)
	}
	if err := commit(db, d); err != nil {
		t.Fatal(err)
	}
	if err := d.Set("c", CounterValue(1), 0); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after its end: %v", err)
	}
	d = db.Draft("p", Quota{})
	defer d.Close()
	for i := range MaxDraftWrites + 1 {
		if _, err := d.Increment(fmt.Sprint(i%10), 1); err != nil != (i == MaxDraftWrites) {
			t.Fatalf("write %d: %v", i, err)
		}
	}
}
