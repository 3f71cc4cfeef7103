package kvtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aleph-edge/aleph-edge/kv"
)

// Update is DB.Update or DB.GroupUpdate.
type Update func(db *kv.DB, fn func(*kv.Txn) error) error

// RunUpdate tests a way to write records, on databases that open makes, each empty.
func RunUpdate(t *testing.T, open func(t *testing.T) *kv.DB, update Update) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, db *kv.DB, update Update)
	}{
		{"records", updateRecords},
		{"failures", updateFailures},
		{"limits", updateLimits},
		{"failures in parallel", updateFailuresInParallel},
		{"large in parallel", updateLargeInParallel},
		{"conflicts", updateConflicts},
		{"closed", updateClosed},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t), update) })
	}
}

// records reads all of db below prefix.
func records(t *testing.T, db *kv.DB, prefix string) map[string]string {
	t.Helper()
	found := map[string]string{}
	if err := db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(prefix, "") {
			if err != nil {
				return err
			}
			found[r.Key] = string(r.Value)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func expectRecords(t *testing.T, db *kv.DB, want map[string]string) {
	t.Helper()
	got := records(t, db, "")
	for key, value := range want {
		if got[key] != value {
			t.Errorf("record %q: %.40q, want %.40q", key, got[key], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
}

func updateRecords(t *testing.T, db *kv.DB, update Update) {
	if err := update(db, func(tx *kv.Txn) error {
		if err := errors.Join(tx.Set("a", []byte("1")), tx.Set("b", []byte("2")), tx.Set("b", []byte("3")), tx.Delete("a"), tx.Delete("c")); err != nil {
			return err
		}
		if v, ok, err := tx.Get("b"); err != nil || !ok || string(v) != "3" {
			t.Errorf("its own write: %q, %t, %v", v, ok, err)
		}
		var keys []string
		for r, err := range tx.Iterate("", "") {
			if err != nil {
				return err
			}
			keys = append(keys, r.Key)
		}
		if !slices.Equal(keys, []string{"b"}) {
			t.Errorf("its own writes: %q", keys)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	expectRecords(t, db, map[string]string{"b": "3"})
}

// updateFailures: a function's error is returned as it is, and it has written nothing.
func updateFailures(t *testing.T, db *kv.DB, update Update) {
	mine := errors.New("mine")
	for _, fn := range []func(*kv.Txn) error{
		func(*kv.Txn) error { return mine },
		func(tx *kv.Txn) error { return errors.Join(tx.Set("a", nil), mine) },
		func(tx *kv.Txn) error { return errors.Join(tx.Delete("kept"), mine) },
	} {
		if err := update(db, func(tx *kv.Txn) error { return tx.Set("kept", nil) }); err != nil {
			t.Fatal(err)
		}
		if err := update(db, fn); !errors.Is(err, mine) {
			t.Errorf("%v, want its own error", err)
		}
		expectRecords(t, db, map[string]string{"kept": ""})
	}
}

func updateLimits(t *testing.T, db *kv.DB, update Update) {
	expectCode(t, update(db, func(tx *kv.Txn) error { return tx.Set("k", make([]byte, kv.MaxRecord+1)) }), kv.ErrValueTooLarge, fmt.Sprint(kv.MaxRecord))
	expectCode(t, update(db, func(tx *kv.Txn) error { return tx.Set("store/p/kx", nil) }), kv.ErrInvalidArgument)
	expectCode(t, update(db, func(tx *kv.Txn) error {
		for i := range 3 {
			if err := tx.Set(fmt.Sprint(i), make([]byte, kv.MaxRecord)); err != nil {
				return err
			}
		}
		return nil
	}), kv.ErrTransactionTooLarge, fmt.Sprint(kv.MaxTransaction))
	expectRecords(t, db, nil)
}

// updateFailuresInParallel: those that fail, before or after they wrote, leave the others alone.
func updateFailuresInParallel(t *testing.T, db *kv.DB, update Update) {
	const goroutines, times = 32, 12
	mine := errors.New("mine")
	parallel(goroutines, func(g int) {
		for i := range times {
			key := fmt.Sprintf("%d/%d", g, i)
			err := update(db, func(tx *kv.Txn) error {
				if (g+i)%4 == 0 {
					return mine
				}
				if err := errors.Join(tx.Set(key+"/a", []byte("1")), tx.Set(key+"/b", []byte("2"))); err != nil {
					return err
				}
				if (g+i)%4 == 1 {
					return mine
				}
				return nil
			})
			if fails := (g+i)%4 < 2; fails != (err != nil) || fails && err != mine {
				t.Errorf("%s: %v", key, err)
			}
		}
	})
	want := map[string]string{}
	for g := range goroutines {
		for i := range times {
			if (g+i)%4 >= 2 {
				want[fmt.Sprintf("%d/%d/a", g, i)], want[fmt.Sprintf("%d/%d/b", g, i)] = "1", "2"
			}
		}
	}
	expectRecords(t, db, want)
}

// updateLargeInParallel: transactions that fit alone are not refused because others came at the same time.
func updateLargeInParallel(t *testing.T, db *kv.DB, update Update) {
	const goroutines = 6
	parallel(goroutines, func(g int) {
		if err := update(db, func(tx *kv.Txn) error {
			return errors.Join(tx.Set(fmt.Sprintf("%d/a", g), make([]byte, kv.MaxRecord)), tx.Set(fmt.Sprintf("%d/b", g), make([]byte, kv.MaxRecord)))
		}); err != nil {
			t.Error(err)
		}
	})
	if got := records(t, db, ""); len(got) != 2*goroutines {
		t.Errorf("%d records, want %d", len(got), 2*goroutines)
	}
}

// updateConflicts counts in one record from many goroutines, half of them by Update, beside a store.
func updateConflicts(t *testing.T, db *kv.DB, update Update) {
	const goroutines, times = 6, 25
	s := db.Store("p", kv.Quota{})
	parallel(goroutines, func(g int) {
		write := update
		if g%2 == 1 {
			write = (*kv.DB).Update
		}
		for range times {
			if err := write(db, func(tx *kv.Txn) error {
				v, _, err := tx.Get("n")
				if err != nil {
					return err
				}
				return tx.Set("n", append(v, 'x'))
			}); err != nil {
				t.Error(err)
			}
			if _, err := s.Increment("n", 1); err != nil {
				t.Error(err)
			}
		}
	})
	if got := records(t, db, "n"); len(got["n"]) != goroutines*times {
		t.Errorf("counted %d, want %d", len(got["n"]), goroutines*times)
	}
	expect(t, s, "n", kv.CounterValue(goroutines*times))
}

func updateClosed(t *testing.T, db *kv.DB, update Update) {
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	expectCode(t, update(db, func(*kv.Txn) error { return nil }), kv.ErrUnavailable)
}
