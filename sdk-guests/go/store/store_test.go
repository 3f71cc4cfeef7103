package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	alephguest "github.com/aleph-edge/aleph-edge/sdk-guests/go"
)

// TestInMemory: the store that go run has does what a node's does.
func TestInMemory(t *testing.T) {
	ctx := t.Context()
	check := func(what string, got any, err error, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) || err != nil {
			t.Errorf("%s: %v, %v; not %v", what, got, err, want)
		}
	}
	v, err := Get(ctx, "k")
	check("what is not there", v.Kind, err, Absent)
	check("set", nil, Set(ctx, "k", Bytes("v"), 0), nil)
	v, err = Get(ctx, "k")
	check("get", string(v.Data), err, "v")
	n, err := Increment(ctx, "n", 5)
	check("increment", n, err, 5)
	n, err = Increment(ctx, "n", -7)
	check("increment", n, err, -2)
	if _, err = Increment(ctx, "k", 1); !errors.Is(err, alephguest.NotACounter) {
		t.Error(err)
	}
	list, err := Update(ctx, "u", 0, func(old []int) ([]int, error) { return append(old, 1), nil })
	check("update", list, err, []int{1})
	u, found, err := GetJSON[[]int](ctx, "u")
	check("get JSON", u, err, []int{1})
	check("found", found, nil, true)
	swapped, err := CompareAndSet(ctx, "k", Value{Kind: Absent}, Bytes("w"), 0)
	check("swapped", swapped, err, false)

	w := Watch("m/")
	for i := range 250 {
		check("set", nil, Set(ctx, fmt.Sprintf("m/%03d", i), Counter(int64(i)), 0), nil)
	}
	change, err := w.Next(ctx)
	check("a change", change.Key, err, "m/000")
	existed, err := Delete(ctx, "m/000")
	check("existed", existed, err, true)
	change, err = w.Next(ctx)
	check("deleted", change.Kind, err, Absent)
	w.Close()
	if _, err := w.Next(ctx); !errors.Is(err, alephguest.Closed) {
		t.Error(err)
	}
	var keys []string
	for e, err := range List(ctx, "m/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, e.Key)
	}
	if len(keys) != 249 || !slices.IsSorted(keys) {
		t.Error(len(keys), keys)
	}
	soon, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	idle := Watch("none/")
	defer idle.Close()
	if _, err := idle.Next(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
