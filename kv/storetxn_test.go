package kv

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStoreTxn: records and a store's entries are one transaction, whether it succeeds or not, and the store's rules hold.
func TestStoreTxn(t *testing.T) {
	clock := newClock()
	db := open(t, t.TempDir(), Options{Now: clock.now})
	quota := Quota{Keys: 3}
	s := db.Store("p", quota)
	set(t, s, "old", "v", 0)
	w, err := s.Watch("new")
	if err != nil {
		t.Fatal(err)
	}
	write := func(failure error) error {
		return db.GroupUpdate(func(txn *Txn) error {
			p := txn.Store("p", quota)
			existed, err := p.Delete("old")
			n, errN := p.Increment("n", 5)
			if err := errors.Join(err, errN, p.Set("new", Value{Bytes, []byte(strings.Repeat("x", MaxValue))}, 1), txn.Set("record", nil)); err != nil {
				return err
			}
			v, ok, err := p.Get("new")
			_, gone, _ := p.Get("old")
			if !existed || n != 5 || err != nil || !ok || len(v.Data) != MaxValue || gone {
				t.Errorf("%t, %d, %t, %v, %t", existed, n, ok, err, gone)
			}
			return failure
		})
	}
	mine := errors.New("mine")
	if err := write(mine); err != mine {
		t.Fatal(err)
	}
	if !has(t, s, "old") || has(t, s, "n") || has(t, s, "new") || len(db.keys(t, "record")) != 0 {
		t.Error("a failed transaction wrote")
	}
	if err := write(nil); err != nil {
		t.Fatal(err)
	}
	if has(t, s, "old") || !has(t, s, "n") || !has(t, s, "new") || len(db.keys(t, "record")) != 1 {
		t.Error("a transaction did not write all")
	}
	if c, err := w.Wait(t.Context()); err != nil || c.Key != "new" {
		t.Errorf("%s, %v", c.Key, err)
	}
	if u := checkUsage(t, db, "p"); u != (Usage{1 + 8 + 3 + MaxValue, 2}) {
		t.Errorf("%+v", u)
	}
	err = db.GroupUpdate(func(txn *Txn) error {
		p := txn.Store("p", quota)
		return errors.Join(p.Set("third", Value{}, 0), p.Set("fourth", Value{}, 0))
	})
	if !errors.Is(err, ErrQuotaExceeded) || has(t, s, "third") {
		t.Errorf("over the quota: %v", err)
	}
	clock.advance(2 * time.Second)
	if has(t, s, "new") {
		t.Error("did not expire")
	}
	waitUsage(t, db, "p", Usage{9, 1})
}

func TestStoreTxnArguments(t *testing.T) {
	db := open(t, "", Options{})
	for name, err := range map[string]error{
		"update":  db.Update(func(txn *Txn) error { return txn.Store("p", Quota{}).Set("k", Value{}, 0) }),
		"program": db.GroupUpdate(func(txn *Txn) error { return txn.Store("a/b", Quota{}).Set("k", Value{}, 0) }),
		"key":     db.GroupUpdate(func(txn *Txn) error { return txn.Store("p", Quota{}).Set("", Value{}, 0) }),
		"kind":    db.GroupUpdate(func(txn *Txn) error { return txn.Store("p", Quota{}).Set("k", Value{Kind: 9}, 0) }),
		"ttl":     db.GroupUpdate(func(txn *Txn) error { return txn.Store("p", Quota{}).Set("k", Value{}, MaxTTL+1) }),
	} {
		if !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStoreTxnInParallel: one counter, by a store and by transactions that also count in a record, some of which fail.
func TestStoreTxnInParallel(t *testing.T) {
	db := open(t, t.TempDir(), Options{})
	s := db.Store("p", Quota{})
	mine := errors.New("mine")
	const times = 30
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for i := range times {
				if g%2 == 0 {
					if _, err := s.Increment("n", 1); err != nil {
						t.Error(err)
					}
					continue
				}
				err := db.GroupUpdate(func(txn *Txn) error {
					if _, err := txn.Store("p", Quota{}).Increment("n", 1); err != nil {
						return err
					}
					if err := txn.Set(fmt.Sprintf("done/%d/%d", g, i), nil); err != nil {
						return err
					}
					if i%3 == 0 {
						return mine
					}
					return nil
				})
				if (i%3 == 0) != (err == mine) || err != mine && err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	const want = 3*times + 3*(times-times/3)
	v, _, err := s.Get("n")
	if n, _ := v.Number(); err != nil || n != want {
		t.Errorf("counted %d, %v; want %d", n, err, want)
	}
	if n := len(db.keys(t, "done/")); n != want-3*times {
		t.Errorf("%d records", n)
	}
	checkUsage(t, db, "p")
}
