package kv

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzKeys: any key and prefix is either refused as an invalid argument or written, found, listed and deleted.
func FuzzKeys(f *testing.F) {
	for _, key := range []string{"", "k", "\x00", "a/b", "\xff", "é", strings.Repeat("k", MaxKey), strings.Repeat("k", MaxKey+1)} {
		f.Add(key, len(key)/2, uint64(0))
		f.Add(key, len(key), uint64(5))
	}
	db := open(f, "", Options{})
	s := db.Store("p", Quota{})
	f.Fuzz(func(t *testing.T, key string, cut int, ttl uint64) {
		err := s.Set(key, Value{Bytes, []byte(key)}, ttl)
		if valid := key != "" && len(key) <= MaxKey && utf8.ValidString(key) && ttl <= MaxTTL; valid != (err == nil) {
			t.Fatalf("valid %t: %v", valid, err)
		}
		if err != nil {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Fatal(err)
			}
			return
		}
		if v, ok, err := s.Get(key); err != nil || !ok || string(v.Data) != key {
			t.Fatalf("get: %q, %t, %v", v.Data, ok, err)
		}
		if prefix := key[:min(max(cut, 0), len(key))]; utf8.ValidString(prefix) {
			entries, _, err := s.List(prefix, 1, "")
			if err != nil || len(entries) != 1 || entries[0].Key != key {
				t.Fatalf("list %q: %v, %v", prefix, entries, err)
			}
		}
		if existed, err := s.Delete(key); err != nil || !existed {
			t.Fatalf("delete: %t, %v", existed, err)
		}
		if u, err := db.Usage("p"); err != nil || u != (Usage{}) {
			t.Fatalf("left: %+v, %v", u, err)
		}
	})
}

// FuzzCursor: any cursor is either refused as an invalid argument or is one that List gives.
func FuzzCursor(f *testing.F) {
	for _, cursor := range []string{"", "!", "YQ", "YS9i", "YR", "Y\nQ", "AA", "_w", strings.Repeat("YWFh", 400)} {
		f.Add(cursor, "")
		f.Add(cursor, "a")
	}
	db := open(f, "", Options{})
	s := db.Store("p", Quota{})
	for _, key := range []string{"a", "a/b", "b"} {
		set(f, s, key, "", 0)
	}
	f.Fuzz(func(t *testing.T, cursor, prefix string) {
		entries, _, err := s.List(prefix, 0, cursor)
		if err != nil {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Fatal(err)
			}
			return
		}
		last := ""
		if cursor != "" {
			if last, err = parseCursor(cursor, prefix); err != nil || formatCursor(last) != cursor {
				t.Fatalf("cursor of %q: %v", last, err)
			}
		}
		for _, e := range entries {
			if e.Key <= last || !strings.HasPrefix(e.Key, prefix) {
				t.Fatalf("%q after %q below %q", e.Key, last, prefix)
			}
			last = e.Key
		}
	})
}

// FuzzEqual: equality of JSON agrees with itself, and integers with arithmetic.
func FuzzEqual(f *testing.F) {
	for _, pair := range [][2]string{{"5", "5.0"}, {`{"a":1,"b":2}`, `{"b":2,"a":1}`}, {`"\ud83d\ude00"`, `"😀"`}, {`"\ud800"`, `"\udfff"`},
		{"1e5", "100000"}, {"-0", "0"}, {"[1,2]", "[2,1]"}, {"1e999999999999", "1e999999999998"}, {`"\\ud800"`, `"\\ud800"`}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !json.Valid([]byte(a)) || !json.Valid([]byte(b)) {
			return
		}
		x, y := Value{JSON, []byte(a)}, Value{JSON, []byte(b)}
		if !x.Equal(x) || x.Equal(y) != y.Equal(x) {
			t.Fatalf("%s and %s: not an equality", a, b)
		}
		n, ok := x.integer()
		if shortExponent(a) && ok != isInteger(a) {
			t.Fatalf("%s is an integer: %t", a, ok)
		}
		if ok && !CounterValue(n).Equal(x) {
			t.Fatalf("%s is not %d", a, n)
		}
	})
}

// isInteger decides with big numbers, for texts whose exponent is short.
func isInteger(text string) bool {
	text = strings.TrimSpace(text)
	if !strings.Contains("-0123456789", text[:1]) {
		return false
	}
	r, ok := new(big.Rat).SetString(text)
	return ok && r.IsInt() && r.Num().IsInt64()
}

// shortExponent keeps big numbers small.
func shortExponent(text string) bool {
	_, exponent, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), "e")
	return len(exponent) <= 4
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		equal bool
	}{
		{"5", "5.0", true}, {"5", "50e-1", true}, {"0", "-0.0e7", true}, {"1", "-1", false}, {"10", "1", false},
		{"0.1", "1e-1", true}, {"0.30000000000000004", "0.3", false}, {"9007199254740993", "9007199254740992", false},
		{"1e999999999999", "10e999999999998", true}, {"1e99999999999999999999", "1e99999999999999999998", false},
		{`"a"`, `"\u0061"`, true}, {`"😀"`, `"\ud83d\ude00"`, true}, {`"😀"`, `"\uD83D\uDE00"`, true},
		{`"\ud800"`, `"\ud801"`, false}, {`"\ud800"`, `"\ud800"`, true}, {`"\ud800\ud800\udc00"`, `"\ufffd𐀀"`, false},
		{`"\\ud800"`, `"\u005cud800"`, true}, {`"\udc00"`, `"\ufffd"`, false}, {`"5"`, "5", false},
		{`{"a":1,"a":2}`, `{"a":2}`, true}, {`{"a":null}`, `{}`, false}, {`{"a":null}`, `{"b":null}`, false},
		{`[]`, `{}`, false}, {`null`, `false`, false}, {`true`, ` true `, true}, {`[[1],{"k":[2]}]`, `[ [1.0], {"k":[2]} ]`, true},
	} {
		if got := (Value{JSON, []byte(c.a)}).Equal(Value{JSON, []byte(c.b)}); got != c.equal {
			t.Errorf("%s equals %s: %t", c.a, c.b, got)
		}
	}
}
