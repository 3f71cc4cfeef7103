package network

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

func openDB(t testing.TB) *kv.DB {
	t.Helper()
	db, err := kv.Open("", kv.Options{InMemory: true})
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

const otherKey = "2222222222222222222222222222222222222222222222222222222222222222"

func TestSignedRequest(t *testing.T) {
	_, key := readVector(t)
	owner, body := Address(key), []byte(`{"version":2}`)
	const path = "/api/v0/programs/abc/rollback?x=1"
	now := time.Unix(1700000000, 0)
	verifier := NewRequestVerifier(openDB(t), "node-1", func() time.Time { return now })
	sign := func() string {
		header, err := signRequest(key, "node-1", "POST", path, body, now)
		if err != nil {
			t.Fatal(err)
		}
		return header
	}

	header := sign()
	if err := verifier.Verify(header, strings.ToLower(owner), "POST", path, body); err != nil {
		t.Fatal(err)
	}
	rejection := wantRejection(t, verifier.Verify(header, owner, "POST", path, body), CodeUnauthorized, "")
	if rejection.Status() != 401 || !strings.Contains(rejection.Message, "spent") {
		t.Errorf("a replay: %+v", rejection)
	}

	for name, test := range map[string]struct{ owner, method, path, body string }{
		"method": {owner, "GET", path, string(body)},
		"path":   {owner, "POST", path + "0", string(body)},
		"body":   {owner, "POST", path, ""},
	} {
		if err := verifier.Verify(sign(), test.owner, test.method, test.path, []byte(test.body)); err == nil {
			t.Errorf("another %s was let through", name)
		}
	}
	elsewhere := NewRequestVerifier(openDB(t), "node-2", func() time.Time { return now })
	wantRejection(t, elsewhere.Verify(sign(), owner, "POST", path, body), CodeUnauthorized, "")

	good := sign()
	other := Address(keyOf(t, otherKey))
	rejection = wantRejection(t, verifier.Verify(good, other, "POST", path, body), CodeForbidden, "")
	if rejection.Status() != 403 {
		t.Errorf("%+v", rejection)
	}
	if err := verifier.Verify(good, owner, "POST", path, body); err != nil {
		t.Errorf("a request to another's program used up the nonce: %v", err)
	}
}

func TestSignedRequestTime(t *testing.T) {
	_, key := readVector(t)
	signedAt := time.Unix(1700000000, 0)
	for _, test := range []struct {
		off  time.Duration
		good bool
	}{{0, true}, {60 * time.Second, true}, {-60 * time.Second, true}, {61 * time.Second, false}, {-61 * time.Second, false}, {1e6 * time.Hour, false}} {
		now := signedAt.Add(test.off)
		verifier := NewRequestVerifier(openDB(t), "n", func() time.Time { return now })
		header, err := signRequest(key, "n", "GET", "/", nil, signedAt)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(header, Address(key), "GET", "/", nil); (err == nil) != test.good {
			t.Errorf("%v off: %v", test.off, err)
		}
	}
}

// TestReplayAfterRestart makes sure that nonces outlive the process.
func TestReplayAfterRestart(t *testing.T) {
	_, key := readVector(t)
	folder := t.TempDir()
	header, err := SignRequest(key, "n", "GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, good := range []bool{true, false} {
		db, err := kv.Open(folder, kv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = NewRequestVerifier(db, "n", time.Now).Verify(header, Address(key), "GET", "/", nil)
		if (err == nil) != good {
			t.Errorf("start %d: %v", i+1, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplayAtOnce(t *testing.T) {
	_, key := readVector(t)
	verifier := NewRequestVerifier(openDB(t), "n", time.Now)
	header, err := SignRequest(key, "n", "GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	for range 16 {
		go func() { results <- verifier.Verify(header, Address(key), "GET", "/", nil) }()
	}
	passed := 0
	for range 16 {
		if err := <-results; err == nil {
			passed++
		}
	}
	if passed != 1 {
		t.Errorf("%d of 16 passed", passed)
	}
}

func FuzzRequestHeader(f *testing.F) {
	_, key := readVector(f)
	header, err := SignRequest(key, "n", "GET", "/", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(header)
	f.Add("Aleph address=0x,time=1,nonce=,signature=")
	f.Add("Bearer x")
	verifier := NewRequestVerifier(openDB(f), "n", time.Now)
	f.Fuzz(func(t *testing.T, header string) {
		var rejection *Rejection
		if err := verifier.Verify(header, "0x00", "GET", "/", nil); !errors.As(err, &rejection) {
			t.Fatalf("%q: %v", header, err)
		}
	})
}
