// Package kvtest is the contract of kv.Store as tests: every implementation passes Run.
package kvtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// Run tests the Stores that open makes: each an empty store of a program of its own, under the quota given.
func Run(t *testing.T, open func(t *testing.T, quota kv.Quota) kv.Store) {
	for _, c := range []struct {
		name  string
		quota kv.Quota
		test  func(t *testing.T, s kv.Store)
	}{
		{"values", kv.Quota{}, values},
		{"keys", kv.Quota{}, keys},
		{"bad arguments", kv.Quota{}, badArguments},
		{"delete", kv.Quota{}, deletes},
		{"ttl", kv.Quota{}, ttl},
		{"list", kv.Quota{}, list},
		{"list by bytes", kv.Quota{}, listByBytes},
		{"increment", kv.Quota{}, increment},
		{"increment in parallel", kv.Quota{}, incrementInParallel},
		{"compare and set", kv.Quota{}, compareAndSet},
		{"compare and set in parallel", kv.Quota{}, compareAndSetInParallel},
		{"watch", kv.Quota{Watches: 3}, watch},
		{"watch in parallel", kv.Quota{}, watchInParallel},
		{"quota of bytes", kv.Quota{Bytes: 100}, quotaBytes},
		{"quota of keys", kv.Quota{Keys: 2}, quotaKeys},
		{"quota in parallel", kv.Quota{Keys: 10}, quotaInParallel},
		{"quota after expiry", kv.Quota{Keys: 1}, quotaAfterExpiry},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t, c.quota)) })
	}
}

func bytesOf(s string) kv.Value { return kv.Value{Kind: kv.Bytes, Data: []byte(s)} }
func jsonOf(s string) kv.Value  { return kv.Value{Kind: kv.JSON, Data: []byte(s)} }

func set(t *testing.T, s kv.Store, key string, v kv.Value) {
	t.Helper()
	if err := s.Set(key, v, 0); err != nil {
		t.Fatalf("set %.40q: %v", key, err)
	}
}

// expect fails unless key holds exactly want, read both ways.
func expect(t *testing.T, s kv.Store, key string, want kv.Value) {
	t.Helper()
	got, ok, err := s.Get(key)
	if err != nil || !ok || got.Kind != want.Kind || string(got.Data) != string(want.Data) {
		t.Fatalf("get %.40q: kind %d, %d bytes %.60q, %t, %v; want kind %d, %d bytes %.60q",
			key, got.Kind, len(got.Data), got.Data, ok, err, want.Kind, len(want.Data), want.Data)
	}
	data, kind, ok, err := s.AppendGet([]byte("before:"), key)
	if err != nil || !ok || kind != want.Kind || string(data) != "before:"+string(want.Data) {
		t.Fatalf("append get %.40q: kind %d, %.60q, %t, %v", key, kind, data, ok, err)
	}
}

func expectAbsent(t *testing.T, s kv.Store, key string) {
	t.Helper()
	if v, ok, err := s.Get(key); err != nil || ok {
		t.Fatalf("get %.40q: %v, %t, %v; want nothing", key, v, ok, err)
	}
	if data, _, ok, err := s.AppendGet([]byte("before:"), key); err != nil || ok || string(data) != "before:" {
		t.Fatalf("append get %.40q: %.60q, %t, %v; want nothing", key, data, ok, err)
	}
}

// expectCode fails unless err has the code and its text names all of words.
func expectCode(t *testing.T, err error, code kv.Code, words ...string) {
	t.Helper()
	var e *kv.Error
	if !errors.As(err, &e) || !errors.Is(err, code) || e.Code != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
	for _, w := range words {
		if !strings.Contains(e.Text, w) {
			t.Errorf("error %q does not name %q", e.Text, w)
		}
	}
}

func values(t *testing.T, s kv.Store) {
	expectAbsent(t, s, "k")
	for _, v := range []kv.Value{
		bytesOf(""),
		bytesOf("\x00\xff\xfe"),
		jsonOf(`{"name":"Alice","visits":5}`),
		jsonOf(`null`),
		kv.CounterValue(0),
		kv.CounterValue(math.MinInt64),
		bytesOf(strings.Repeat("0123456789abcde\n", kv.MaxValue/16)),
		bytesOf(strings.Repeat("x", kv.MaxValue-1)),
		bytesOf(strings.Repeat("y", kv.MaxValue-8)),
		bytesOf("small again"),
	} {
		set(t, s, "k", v)
		expect(t, s, "k", v)
		if err := s.Set("k", v, 1000); err != nil {
			t.Fatal(err)
		}
		expect(t, s, "k", v)
	}
	data := []byte("mine")
	set(t, s, "k", kv.Value{Data: data})
	copy(data, "gone")
	expect(t, s, "k", bytesOf("mine"))
	got, _, _ := s.Get("k")
	copy(got.Data, "gone")
	expect(t, s, "k", bytesOf("mine"))
}

func keys(t *testing.T, s kv.Store) {
	names := []string{"k", " ", "a/b", "../..", "\x00", "\x00\x00", "ключ", "🔑", "k\u0301", strings.Repeat("k", kv.MaxKey),
		strings.Repeat("é", kv.MaxKey/2)}
	for _, key := range names {
		set(t, s, key, bytesOf("value of "+key))
	}
	for _, key := range names {
		expect(t, s, key, bytesOf("value of "+key))
	}
	entries, next, err := s.List("", 0, "")
	slices.Sort(names)
	if err != nil || next != "" || len(entries) != len(names) {
		t.Fatalf("list: %d entries, next %q, %v; want %d", len(entries), next, err, len(names))
	}
	for i, e := range entries {
		if e.Key != names[i] {
			t.Errorf("entry %d: %.40q, want %.40q", i, e.Key, names[i])
		}
	}
}

func badArguments(t *testing.T, s kv.Store) {
	v := bytesOf("v")
	calls := map[string]func(key string) error{
		"get":    func(key string) error { _, _, err := s.Get(key); return err },
		"append": func(key string) error { _, _, _, err := s.AppendGet(nil, key); return err },
		"set":    func(key string) error { return s.Set(key, v, 0) },
		"delete": func(key string) error { _, err := s.Delete(key); return err },
		"incr":   func(key string) error { _, err := s.Increment(key, 1); return err },
		"cas":    func(key string) error { _, err := s.CompareAndSet(key, nil, v, 0); return err },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			expectCode(t, call(""), kv.ErrInvalidArgument, "key", "0 bytes")
			expectCode(t, call(strings.Repeat("k", kv.MaxKey+1)), kv.ErrInvalidArgument, "key", "1025", "1024")
			expectCode(t, call("\xff"), kv.ErrInvalidArgument, "key", "UTF-8")
		})
	}
	huge := bytesOf(strings.Repeat("x", kv.MaxValue+1))
	expectCode(t, s.Set("k", huge, 0), kv.ErrValueTooLarge, "value", "1048577", "1048576")
	_, err := s.CompareAndSet("k", nil, huge, 0)
	expectCode(t, err, kv.ErrValueTooLarge, "value")
	_, err = s.CompareAndSet("k", &huge, v, 0)
	expectCode(t, err, kv.ErrValueTooLarge, "expected")
	expectCode(t, s.Set("k", v, kv.MaxTTL+1), kv.ErrInvalidArgument, "ttl")
	expectCode(t, s.Set("k", v, math.MaxUint64), kv.ErrInvalidArgument, "ttl")
	for _, bad := range []kv.Value{jsonOf(""), jsonOf("{"), jsonOf("{}x"), jsonOf("\"\xff\""), {Kind: kv.Counter, Data: []byte("5")},
		{Kind: 3}, {Kind: 255}} {
		expectCode(t, s.Set("k", bad, 0), kv.ErrInvalidArgument, "value")
		_, err := s.CompareAndSet("k", &bad, v, 0)
		expectCode(t, err, kv.ErrInvalidArgument, "expected")
	}
	for _, limit := range []int{-1, kv.MaxList + 1} {
		_, _, err := s.List("", limit, "")
		expectCode(t, err, kv.ErrInvalidArgument, "limit", fmt.Sprint(limit), "1000")
	}
	_, _, err = s.List("\xff", 0, "")
	expectCode(t, err, kv.ErrInvalidArgument, "prefix")
	_, err = s.Watch(strings.Repeat("k", kv.MaxKey+1))
	expectCode(t, err, kv.ErrInvalidArgument, "prefix")
	expectAbsent(t, s, "k")
}

func deletes(t *testing.T, s kv.Store) {
	for _, size := range []int{0, kv.MaxValue} {
		set(t, s, "k", bytesOf(strings.Repeat("x", size)))
		for _, want := range []bool{true, false} {
			if existed, err := s.Delete("k"); err != nil || existed != want {
				t.Fatalf("delete: %t, %v; want %t", existed, err, want)
			}
			expectAbsent(t, s, "k")
		}
	}
}

// eventually waits for done, as long as the test may run.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for !done() {
		if deadline, ok := t.Deadline(); ok && time.Until(deadline) < time.Second {
			t.Fatalf("%s: not before the test's deadline", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func present(t *testing.T, s kv.Store, key string) bool {
	t.Helper()
	_, ok, err := s.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func ttl(t *testing.T, s kv.Store) {
	set(t, s, "kept", bytesOf("v"))
	start := time.Now()
	for _, key := range []string{"a", "kept", "b", "n", "renewed", "forever"} {
		if err := s.Set(key, jsonOf("5"), 1); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Increment("n", 1); err != nil || n != 6 {
		t.Fatalf("increment: %d, %v", n, err)
	}
	if err := s.Set("renewed", bytesOf("v"), 1000); err != nil {
		t.Fatal(err)
	}
	set(t, s, "forever", bytesOf("v"))
	set(t, s, "kept", bytesOf("v"))
	eventually(t, "expiry of a", func() bool { return !present(t, s, "a") })
	if lived := time.Since(start); lived < time.Second {
		t.Errorf("a TTL of 1 s ended after %v", lived)
	}
	eventually(t, "expiry of the counter", func() bool { return !present(t, s, "n") })
	eventually(t, "expiry of b", func() bool { return !present(t, s, "b") })
	if existed, err := s.Delete("a"); err != nil || existed {
		t.Errorf("delete of an expired key: %t, %v", existed, err)
	}
	if n, err := s.Increment("n", 1); err != nil || n != 1 {
		t.Errorf("increment of an expired counter: %d, %v; want 1", n, err)
	}
	if swapped, err := s.CompareAndSet("b", nil, bytesOf("new"), 0); err != nil || !swapped {
		t.Errorf("compare and set of an expired key: %t, %v", swapped, err)
	}
	entries, _, err := s.List("", 0, "")
	var got []string
	for _, e := range entries {
		got = append(got, e.Key)
	}
	if want := []string{"b", "forever", "kept", "n", "renewed"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("list: %q, %v; want %q", got, err, want)
	}
}

func list(t *testing.T, s kv.Store) {
	if entries, next, err := s.List("", 0, ""); err != nil || next != "" || len(entries) != 0 {
		t.Fatalf("list of nothing: %v, %q, %v", entries, next, err)
	}
	for i := range 250 {
		set(t, s, fmt.Sprintf("user/%03d", i), jsonOf(fmt.Sprint(i)))
	}
	for _, key := range []string{"user", "user0", "a", "z"} {
		set(t, s, key, bytesOf(key))
	}
	for _, limit := range []int{0, 1, 7, 125, 249, 250, 251, kv.MaxList} {
		var got []kv.Entry
		cursor, pages := "", 0
		for {
			entries, next, err := s.List("user/", limit, cursor)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, entries...)
			pages++
			if cursor = next; cursor == "" {
				break
			}
		}
		if limit == 0 {
			limit = kv.DefaultList
		}
		if want := (250 + limit - 1) / limit; len(got) != 250 || pages != want {
			t.Fatalf("limit %d: %d entries in %d pages, want 250 in %d", limit, len(got), pages, want)
		}
		for i, e := range got {
			if e.Key != fmt.Sprintf("user/%03d", i) || e.Value.Kind != kv.JSON || string(e.Value.Data) != fmt.Sprint(i) {
				t.Fatalf("limit %d: entry %d is %q: %q", limit, i, e.Key, e.Value.Data)
			}
		}
	}
	_, cursor, err := s.List("user/", 100, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete("user/099"); err != nil { // the page's last
		t.Fatal(err)
	}
	if entries, _, err := s.List("user/", 1, cursor); err != nil || len(entries) != 1 || entries[0].Key != "user/100" {
		t.Errorf("after a deleted key: %v, %v", entries, err)
	}
	for _, bad := range []string{"!", "user/099", cursor + "AA", strings.Repeat("A", 4000)} {
		_, _, err := s.List("user/", 1, bad)
		expectCode(t, err, kv.ErrInvalidArgument, "cursor")
	}
	_, _, err = s.List("a", 1, cursor)
	expectCode(t, err, kv.ErrInvalidArgument, "cursor")
}

func listByBytes(t *testing.T, s kv.Store) {
	const n = 10
	for i := range n {
		set(t, s, fmt.Sprint(i), bytesOf(strings.Repeat(fmt.Sprint(i), kv.MaxValue)))
	}
	cursor, got := "", 0
	for {
		entries, next, err := s.List("", 0, cursor)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, e := range entries {
			size += len(e.Key) + len(e.Value.Data)
		}
		if len(entries) == 0 || size-len(entries[0].Value.Data) > kv.MaxListBytes {
			t.Fatalf("a page of %d entries, %d bytes", len(entries), size)
		}
		got += len(entries)
		if cursor = next; cursor == "" {
			break
		}
	}
	if got != n {
		t.Errorf("%d entries, want %d", got, n)
	}
}

func increment(t *testing.T, s kv.Store) {
	for _, step := range []struct{ delta, want int64 }{{1, 1}, {41, 42}, {0, 42}, {-50, -8}} {
		if n, err := s.Increment("n", step.delta); err != nil || n != step.want {
			t.Fatalf("increment by %d: %d, %v; want %d", step.delta, n, err, step.want)
		}
	}
	expect(t, s, "n", kv.CounterValue(-8))
	for text, want := range map[string]int64{"5": 6, " 5\n": 6, "-1": 0, "0": 1, "-0": 1, "5.0": 6, "5e3": 5001, "1200e-2": 13,
		"9223372036854775806": math.MaxInt64, "-9223372036854775808": math.MinInt64 + 1, "0e99999999999999999999": 1} {
		set(t, s, "j", jsonOf(text))
		n, err := s.Increment("j", 1)
		if text == "0e99999999999999999999" {
			if err == nil && n != 1 {
				t.Errorf("%s + 1 = %d", text, n)
			}
			continue
		}
		if err != nil || n != want {
			t.Errorf("%s + 1 = %d, %v; want %d", text, n, err, want)
		}
		expect(t, s, "j", kv.CounterValue(want))
	}
	for _, v := range []kv.Value{bytesOf("5"), bytesOf(""), jsonOf("5.5"), jsonOf(`"5"`), jsonOf("null"), jsonOf("{}"), jsonOf("[5]"),
		jsonOf("9223372036854775808"), jsonOf("1e19"), jsonOf("1e999999999"), jsonOf("1e-999999999"),
		jsonOf("1e99999999999999999999999")} {
		set(t, s, "x", v)
		_, err := s.Increment("x", 1)
		expectCode(t, err, kv.ErrNotACounter, "key", `"x"`)
		expect(t, s, "x", v)
	}
	for start, delta := range map[int64]int64{math.MaxInt64: 1, math.MinInt64: -1, -2: math.MinInt64, 1: math.MaxInt64} {
		set(t, s, "o", kv.CounterValue(start))
		_, err := s.Increment("o", delta)
		expectCode(t, err, kv.ErrInvalidArgument, "delta", fmt.Sprint(delta), fmt.Sprint(start))
		expect(t, s, "o", kv.CounterValue(start))
	}
}

// parallel runs do in n goroutines and waits for all.
func parallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

func incrementInParallel(t *testing.T, s kv.Store) {
	const goroutines, times = 100, 20
	var seen sync.Map
	parallel(goroutines, func(i int) {
		for range times {
			n, err := s.Increment("hot", 1)
			if err != nil {
				t.Error(err)
			}
			if _, twice := seen.LoadOrStore(n, true); twice {
				t.Errorf("%d was returned twice", n)
			}
			if _, err := s.Increment(fmt.Sprint("cold", i), 2); err != nil {
				t.Error(err)
			}
		}
	})
	expect(t, s, "hot", kv.CounterValue(goroutines*times))
	for i := range goroutines {
		expect(t, s, fmt.Sprint("cold", i), kv.CounterValue(2*times))
	}
}

func compareAndSet(t *testing.T, s kv.Store) {
	swap := func(expected *kv.Value, v kv.Value, want bool) {
		t.Helper()
		before, _, _ := s.Get("k")
		swapped, err := s.CompareAndSet("k", expected, v, 0)
		if err != nil || swapped != want {
			t.Errorf("compare and set: %t, %v; want %t", swapped, err, want)
		}
		if swapped {
			before = v
		}
		if after, _, _ := s.Get("k"); after.Kind != before.Kind || string(after.Data) != string(before.Data) {
			t.Errorf("value %q, want %q", after.Data, before.Data)
		}
	}
	ptr := func(v kv.Value) *kv.Value { return &v }
	swap(ptr(bytesOf("")), bytesOf("1"), false)
	swap(nil, bytesOf("1"), true)
	swap(nil, bytesOf("2"), false)
	swap(ptr(bytesOf("2")), bytesOf("3"), false)
	swap(ptr(jsonOf("1")), bytesOf("3"), false)
	swap(ptr(bytesOf("1")), jsonOf(`{"a":[1,2.50],"b":{"x":null,"y":"é"}}`), true)
	swap(ptr(jsonOf(`{"a":[2.5,1],"b":{"x":null,"y":"é"}}`)), jsonOf("1"), false)
	swap(ptr(jsonOf(` {"b": {"y": "\u00e9", "x": null}, "a": [1.0, 25e-1]} `)), jsonOf("5"), true)
	swap(ptr(kv.CounterValue(6)), jsonOf("1"), false)
	swap(ptr(kv.CounterValue(5)), kv.CounterValue(7), true)
	swap(ptr(bytesOf(string(kv.CounterValue(7).Data))), jsonOf("1"), false)
	swap(ptr(jsonOf("7.0")), bytesOf(strings.Repeat("x", kv.MaxValue)), true)
	swap(ptr(bytesOf(strings.Repeat("x", kv.MaxValue-1)+"y")), bytesOf(""), false)
	swap(ptr(bytesOf(strings.Repeat("x", kv.MaxValue))), bytesOf(""), true)
	swap(ptr(bytesOf("")), bytesOf("v"), true)
	if _, err := s.Delete("k"); err != nil {
		t.Fatal(err)
	}
	swap(nil, jsonOf("null"), true)
}

// compareAndSetInParallel counts by read, compare and set, in JSON that no two goroutines spell alike.
func compareAndSetInParallel(t *testing.T, s kv.Store) {
	const goroutines, times = 8, 20
	set(t, s, "n", jsonOf(`{"n":0}`))
	parallel(goroutines, func(i int) {
		for done := 0; done < times; {
			v, _, err := s.Get("n")
			if err != nil {
				t.Error(err)
				return
			}
			var count struct{ N int }
			if err := json.Unmarshal(v.Data, &count); err != nil {
				t.Error(err)
				return
			}
			expected := jsonOf(fmt.Sprintf(`{%*s"n":%d}`, i, "", count.N))
			swapped, err := s.CompareAndSet("n", &expected, jsonOf(fmt.Sprintf(`{"n":%d%*s}`, count.N+1, i, "")), 0)
			if err != nil {
				t.Error(err)
				return
			}
			if swapped {
				done++
			}
		}
	})
	v, _, _ := s.Get("n")
	if want := jsonOf(fmt.Sprintf(`{"n":%d}`, goroutines*times)); !v.Equal(want) {
		t.Errorf("counted %s, want %s", v.Data, want.Data)
	}
}

func watch(t *testing.T, s kv.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	begin := func(prefix string) *kv.Watch {
		t.Helper()
		w, err := s.Watch(prefix)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	next := func(w *kv.Watch, key string, v kv.Value, deleted bool) {
		t.Helper()
		c, err := w.Wait(ctx)
		if err != nil || c.Key != key || c.Deleted != deleted || c.Value.Kind != v.Kind || string(c.Value.Data) != string(v.Data) {
			t.Fatalf("change %+v, %v; want %q %+v, deleted %t", c, err, key, v, deleted)
		}
	}
	set(t, s, "a/before", bytesOf("not seen"))
	all, below, exact := begin(""), begin("a/"), begin("a/n")
	_, err := s.Watch("a")
	expectCode(t, err, kv.ErrQuotaExceeded, "watches", "limit 3")
	set(t, s, "b", bytesOf("1"))
	set(t, s, "a/b", jsonOf(`"2"`))
	if _, err := s.Increment("a/n", 3); err != nil {
		t.Fatal(err)
	}
	next(all, "b", bytesOf("1"), false)
	next(below, "a/b", jsonOf(`"2"`), false)
	next(exact, "a/n", kv.CounterValue(3), false)

	w := begin("a/b")
	if _, err := s.Delete("a/bb"); err != nil { // is not there: no change
		t.Fatal(err)
	}
	absent := bytesOf("other")
	if _, err := s.CompareAndSet("a/b", &absent, bytesOf("x"), 0); err != nil { // not equal: no change
		t.Fatal(err)
	}
	if _, err := s.Delete("a/b"); err != nil {
		t.Fatal(err)
	}
	next(w, "a/b", kv.Value{}, true)
	w = begin("a/b")
	if swapped, err := s.CompareAndSet("a/b", nil, bytesOf("new"), 0); err != nil || !swapped {
		t.Fatal(swapped, err)
	}
	next(w, "a/b", bytesOf("new"), false)

	w = begin("never")
	cancel()
	if _, err := w.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled wait: %v", err)
	}
	w.Stop()
	for range 3 { // every place was given back
		defer begin("").Stop()
	}
}

// watchInParallel sees every one of a key's changes, by watching again before it looks.
func watchInParallel(t *testing.T, s kv.Store) {
	const times = 200
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for seen := int64(0); seen < times; {
				w, err := s.Watch("n")
				if err != nil {
					t.Error(err)
					return
				}
				v, _, err := s.Get("n")
				if err != nil {
					t.Error(err)
				}
				if n, _ := v.Number(); n > seen {
					seen = n
					w.Stop()
					continue
				}
				c, err := w.Wait(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if seen, _ = c.Value.Number(); seen == 0 {
					t.Error("a change to nothing")
				}
			}
		})
	}
	for range times {
		if _, err := s.Increment("n", 1); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func quotaBytes(t *testing.T, s kv.Store) {
	set(t, s, "k", bytesOf(strings.Repeat("x", 99)))
	expectCode(t, s.Set("k", bytesOf(strings.Repeat("y", 100)), 0), kv.ErrQuotaExceeded, "store_bytes", "101", "limit 100")
	expect(t, s, "k", bytesOf(strings.Repeat("x", 99)))
	expectCode(t, s.Set("l", bytesOf(""), 0), kv.ErrQuotaExceeded, "store_bytes", "101", "limit 100")
	set(t, s, "k", bytesOf(strings.Repeat("z", 99)))
	set(t, s, "k", bytesOf(strings.Repeat("z", 91)))
	_, err := s.Increment("12345678", 1)
	expectCode(t, err, kv.ErrQuotaExceeded, "store_bytes", "108")
	if _, err := s.Delete("k"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Increment("12345678", 1); err != nil {
		t.Fatal(err)
	}
	set(t, s, "kk", bytesOf(strings.Repeat("x", 100-16-2)))
	empty := bytesOf("")
	_, err = s.CompareAndSet("c", nil, empty, 0)
	expectCode(t, err, kv.ErrQuotaExceeded)
	if swapped, err := s.CompareAndSet("c", &empty, bytesOf("any size, not compared"), 0); err != nil || swapped {
		t.Errorf("compare and set that does nothing: %t, %v", swapped, err)
	}
}

func quotaKeys(t *testing.T, s kv.Store) {
	for i := range 3 {
		set(t, s, "a", bytesOf(fmt.Sprint(i)))
		set(t, s, "b", bytesOf(fmt.Sprint(i)))
		expectCode(t, s.Set("c", bytesOf(""), 0), kv.ErrQuotaExceeded, "store_keys", "3", "limit 2")
		_, err := s.Increment("n", 1)
		expectCode(t, err, kv.ErrQuotaExceeded, "store_keys")
		if _, err := s.Delete("a"); err != nil {
			t.Fatal(err)
		}
	}
}

func quotaInParallel(t *testing.T, s kv.Store) {
	var stored atomic.Int64
	parallel(50, func(i int) {
		switch err := s.Set(fmt.Sprint(i), bytesOf("v"), 0); {
		case err == nil:
			stored.Add(1)
		case !errors.Is(err, kv.ErrQuotaExceeded):
			t.Error(err)
		}
	})
	if entries, _, err := s.List("", 0, ""); err != nil || len(entries) != 10 || stored.Load() != 10 {
		t.Errorf("%d entries, %d acknowledged, %v; want 10", len(entries), stored.Load(), err)
	}
}

func quotaAfterExpiry(t *testing.T, s kv.Store) {
	for i := range 2 {
		if err := s.Set(fmt.Sprint(i), bytesOf("v"), 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "expiry", func() bool { return !present(t, s, fmt.Sprint(i)) })
	}
	set(t, s, "after", bytesOf("v"))
	expectCode(t, s.Set("more", bytesOf("v"), 0), kv.ErrQuotaExceeded)
}
