package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

func TestDelivery(t *testing.T) {
	h, wall := newHand(), newWallClock()
	settled := make(chan Settlement, 8)
	q := openQueue(t, openDB(t, ""), Options{Handler: h, Now: wall.now, Settled: func(s Settlement) { settled <- s }})
	scheduled := time.Unix(1_800_000_000, 5)
	accept(t, q, Event{Program: "p", ID: "i", Kind: 1, Trigger: "nightly", Payload: []byte("payload"), Key: "k", Depth: 3, Scheduled: scheduled})
	r := h.next(t)
	want := Delivery{Event{"p", "i", false, 1, "nightly", []byte("payload"), "k", 3, scheduled, 0}, wall.now(), wall.now(), 1}
	if fmt.Sprintf("%+v", *r.Delivery) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v, want %+v", *r.Delivery, want)
	}
	r.outcome <- Fail(errors.New("not yet"))
	if s := <-settled; s != (Settlement{"p", "i", 1, Delayed, "not yet"}) {
		t.Errorf("%+v", s)
	}
	wall.move(time.Second)
	q.look()
	r = h.next(t)
	if r.Attempt != 2 || !r.Accepted.Equal(want.Accepted) || !r.Due.Equal(wall.now()) || string(r.Payload) != "payload" {
		t.Errorf("%+v", *r.Delivery)
	}
	r.outcome <- Acknowledge([]byte("result"))
	if s := <-settled; s != (Settlement{"p", "i", 2, Acknowledged, ""}) {
		t.Errorf("%+v", s)
	}
	results, err := q.Results("p", 10)
	if want := []Result{{"i", 1, 2, wall.now(), []byte("result")}}; err != nil || fmt.Sprint(results) != fmt.Sprint(want) {
		t.Errorf("%v, %v; want %v", results, err, want)
	}
	if s := stats(t, q, "p"); s != (Stats{Acknowledged: 1, Failures: 1}) {
		t.Errorf("%+v", s)
	}
}

// TestNothingIsLeft: when all of a program's events have ended, only what is to be kept is on the disk.
func TestNothingIsLeft(t *testing.T) {
	h := newHand()
	db := openDB(t, "")
	q := openQueue(t, db, Options{Handler: h, Remembered: 3, Results: 2})
	for i := range 10 {
		accept(t, q, Event{Program: "p", Key: fmt.Sprint(i % 2), Payload: make([]byte, 1000)})
	}
	for range 10 {
		h.next(t).outcome <- Acknowledge([]byte("r"))
	}
	eventually(t, "the last acknowledgement", func() bool { return stats(t, q, "p").Acknowledged == 10 })
	checkRecords(t, db, map[string]int{"totals": 1, "id": 3, "ended": 3, "result": 2})
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.programs) != 0 || len(q.ring) != 0 {
		t.Errorf("in memory: %d programs, %d in the ring", len(q.programs), len(q.ring))
	}
}

// checkRecords compares how many records of each kind there are, but for those of the queue itself.
func checkRecords(t *testing.T, db *kv.DB, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	if err := db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(root, "") {
			if err != nil {
				return err
			}
			if kind, _, of := strings.Cut(r.Key[len(root):], "/"); of {
				got[kind]++
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("records: %v, want %v", got, want)
	}
}

// TestOnce: an event that is offered once is one record until it is a dead letter, which is found by its id, and then one like others.
func TestOnce(t *testing.T) {
	h := newHand()
	db := openDB(t, "")
	settled := make(chan Settlement, 8)
	q := openQueue(t, db, Options{Handler: h, Settled: func(s Settlement) { settled <- s }})
	accept(t, q, Event{Program: "p", ID: "i", Once: true, Trigger: "t", Payload: []byte("small")})
	r := h.next(t)
	checkRecords(t, db, map[string]int{"active": 1, "ready": 1})
	if r.Trigger != "t" || string(r.Payload) != "small" {
		t.Errorf("%+v", r.Delivery)
	}
	r.outcome <- Acknowledge(nil)
	<-settled
	checkRecords(t, db, map[string]int{"totals": 1})

	accept(t, q, Event{Program: "p", ID: "letter", Once: true, Payload: []byte("small")})
	h.next(t).outcome <- Reject(errors.New("no"))
	<-settled
	checkRecords(t, db, map[string]int{"totals": 1, "dead": 1, "event": 1, "id": 1})
	if now, known, err := q.Find("p", "letter"); now != Dead || !known || err != nil {
		t.Errorf("%s, %t, %v", now, known, err)
	}
	if err := q.Retry("p", "letter"); err != nil {
		t.Fatal(err)
	}
	if r = h.next(t); string(r.Payload) != "small" || r.Attempt != 2 {
		t.Errorf("%+v", r.Delivery)
	}
	r.outcome <- Acknowledge(nil)
	<-settled
	checkRecords(t, db, map[string]int{"totals": 1, "ended": 1, "id": 1})

	accept(t, q, Event{Program: "p", ID: "long", Once: true, Payload: make([]byte, maxWhole)})
	h.next(t)
	checkRecords(t, db, map[string]int{"totals": 1, "ended": 1, "id": 2, "active": 1, "ready": 1, "event": 1})
}

func TestRefused(t *testing.T) {
	q := openQueue(t, openDB(t, ""), Options{Handler: newHand(), Events: 3, Bytes: 5000, MaxDepth: 2})
	if err := q.Pause("p"); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 257)
	for _, c := range []struct {
		event Event
		code  kv.Code
		words string
	}{
		{Event{}, kv.ErrInvalidArgument, "program 128"},
		{Event{Program: "a/b"}, kv.ErrInvalidArgument, "program a/b"},
		{Event{Program: "\xff"}, kv.ErrInvalidArgument, "program"},
		{Event{Program: strings.Repeat("p", 129)}, kv.ErrInvalidArgument, "program 129 128"},
		{Event{Program: "p", ID: long}, kv.ErrInvalidArgument, "id 257 256"},
		{Event{Program: "p", ID: "\xff"}, kv.ErrInvalidArgument, "id UTF-8"},
		{Event{Program: "p", Key: long}, kv.ErrInvalidArgument, "key 257 256"},
		{Event{Program: "p", Trigger: long}, kv.ErrInvalidArgument, "trigger 257 256"},
		{Event{Program: "p", Delay: -1}, kv.ErrInvalidArgument, "delay"},
		{Event{Program: "p", Delay: MaxDelay + 1}, kv.ErrInvalidArgument, "delay"},
		{Event{Program: "p", Depth: 3}, ErrTooDeep, "depth 3 2"},
		{Event{Program: "p", Payload: make([]byte, MaxPayload+1)}, kv.ErrValueTooLarge, "payload 1024001 1024000"},
		{Event{Program: "p", Payload: make([]byte, 5000)}, kv.ErrQuotaExceeded, "bytes 5000"},
	} {
		_, err := q.Accept([]Event{{Program: "p"}, c.event}, func(*kv.Txn) error { panic("a checkpoint of what is refused") })
		e, refused := errors.AsType[*RefusedError](err)
		if !refused || e.Index != 1 || e.Program != c.event.Program || !errors.Is(err, c.code) {
			t.Errorf("%.100v, want %s", err, c.code)
			continue
		}
		for word := range strings.FieldsSeq(c.words) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not name %s", err, word)
			}
		}
	}
	four := make([]Event, 4)
	for i := range four {
		four[i].Program = "p"
	}
	if _, err := q.Accept(four, nil); !errors.Is(err, kv.ErrQuotaExceeded) || !strings.Contains(err.Error(), "events: 4, limit 3") {
		t.Errorf("%v", err)
	}
	if s := stats(t, q, "p"); s.Pending != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := q.Accept(make([]Event, MaxEvents+1), nil); !errors.Is(err, kv.ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
	large := Event{Program: "p", Payload: make([]byte, MaxPayload)}
	if _, err := q.Accept([]Event{large, large, large}, nil); !errors.Is(err, kv.ErrValueTooLarge) {
		t.Errorf("%v", err)
	}
	mine := errors.New("mine")
	if _, err := q.Accept([]Event{{Program: "p"}}, func(tx *kv.Txn) error { return errors.Join(tx.Set("checkpoint/p", nil), mine) }); !errors.Is(err, mine) {
		t.Errorf("%v", err)
	}
	accept(t, q, four[:3]...)
	if s := stats(t, q, "p"); s.Pending != 3 {
		t.Errorf("%+v", s)
	}
}

// TestLargest: the largest event, with the longest of everything, goes through, next to its like.
func TestLargest(t *testing.T) {
	h := newHand()
	q := openQueue(t, openDB(t, t.TempDir()), Options{Handler: h})
	text := func(n int) string { return strings.Repeat("x", n) }
	e := Event{Program: text(maxProgram), ID: text(MaxID), Key: text(MaxKey), Trigger: text(MaxTrigger), Depth: 16, Kind: 1<<32 - 1,
		Payload: []byte(text(MaxPayload)), Scheduled: time.Unix(1<<33, 0)}
	other := e
	other.ID = "other"
	accept(t, q, e, other)
	r := h.next(t)
	if r.ID != e.ID || !slices.Equal(r.Payload, e.Payload) || r.Key != e.Key || r.Kind != e.Kind {
		t.Errorf("event %.10s, %d bytes", r.ID, len(r.Payload))
	}
	r.outcome <- Acknowledge(make([]byte, MaxResult+1))
	h.next(t).outcome <- Acknowledge(make([]byte, MaxResult))
	eventually(t, "both to end", func() bool { return stats(t, q, e.Program).Acknowledged == 2 })
	if results, err := q.Results(e.Program, 0); err != nil || len(results) != 1 || results[0].ID != "other" {
		t.Errorf("%d results, %v", len(results), err)
	}
}

// TestFair: programs with one event each are served while another has thousands that do not end.
func TestFair(t *testing.T) {
	h := newHand()
	q := openQueue(t, openDB(t, ""), Options{Handler: h, Workers: 8, Policy: func(string) Policy { return Policy{Concurrency: 100} }})
	flood := make([]Event, MaxEvents)
	for i := range flood {
		flood[i].Program = "flood"
	}
	for range 3 {
		accept(t, q, flood...)
	}
	for range 6 { // three quarters of the workers
		if r := h.next(t); r.Program != "flood" {
			t.Fatalf("%s runs", r.Program)
		}
	}
	h.none(t)
	for i := range 20 {
		accept(t, q, Event{Program: fmt.Sprint("other", i)})
	}
	for i := range 20 {
		r := h.next(t)
		if r.Program == "flood" {
			t.Fatalf("%s runs, %d others came before", r.Program, i)
		}
		r.outcome <- Acknowledge(nil)
	}
	q.mu.Lock()
	if n := len(q.programs["flood"].turns); n > window {
		t.Errorf("%d turns in memory", n)
	}
	q.mu.Unlock()
}

// TestTurns: of several programs with many events each, none is ahead of the others by more than one round.
func TestTurns(t *testing.T) {
	h := newHand()
	db := openDB(t, "")
	q := openQueue(t, db, Options{Handler: h})
	var events []Event
	for i := range 300 {
		events = append(events, Event{Program: fmt.Sprint(i / 100)})
	}
	for i := range 3 {
		if err := q.Pause(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	accept(t, q, events...)
	q.halt()
	if err := db.Update(func(tx *kv.Txn) error {
		return errors.Join(tx.Delete(pausedKey+"0"), tx.Delete(pausedKey+"1"), tx.Delete(pausedKey+"2"))
	}); err != nil {
		t.Fatal(err)
	}
	openQueue(t, db, Options{Handler: h, Workers: 1})
	ran := map[string]int{}
	for range 300 {
		r := h.next(t)
		ran[r.Program]++
		if least := min(ran["0"], ran["1"], ran["2"]); ran[r.Program] > least+1 {
			t.Fatalf("%v", ran)
		}
		r.outcome <- Acknowledge(nil)
	}
}

// TestDyingNode: an event whose runs the process does not survive becomes a dead letter.
func TestDyingNode(t *testing.T) {
	db := openDB(t, "")
	h := newHand()
	q := openQueue(t, db, Options{Handler: h})
	accept(t, q, Event{Program: "p", ID: "deadly", Key: "k"}, Event{Program: "p", ID: "next", Key: "k"})
	for i := range lost {
		if r := h.next(t); r.ID != "deadly" || int(r.Attempt) != i+1 {
			t.Fatalf("%s, attempt %d", r.ID, r.Attempt)
		}
		q.crash()
		q = openQueue(t, db, Options{Handler: h})
	}
	if r := h.next(t); r.ID != "next" {
		t.Fatalf("%s runs", r.ID)
	}
	dead, err := q.List("p", Dead, 0)
	if err != nil || len(dead) != 1 || dead[0].ID != "deadly" || dead[0].Attempt != lost || !strings.Contains(dead[0].Err, "the node ended") {
		t.Fatalf("%+v, %v", dead, err)
	}
	if err := q.Retry("p", "deadly"); err != nil {
		t.Fatal(err)
	}
	if s := stats(t, q, "p"); s.Pending != 1 || s.DeadLetters != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDrop(t *testing.T) {
	h := newHand()
	db := openDB(t, "")
	q := openQueue(t, db, Options{Handler: h, Policy: func(string) Policy { return Policy{Concurrency: 1, MaxAttempts: 1} }})
	var events []Event
	for i := range 3 * moved {
		events = append(events, Event{Program: "p", Key: fmt.Sprint(i % 3), Delay: time.Duration(i%2) * time.Hour})
	}
	accept(t, q, Event{Program: "p", ID: "dead"}, Event{Program: "p2", ID: "other"})
	for range 2 {
		r := h.next(t)
		if r.Program == "p" {
			r.outcome <- Fail(errors.New("x"))
		}
	}
	eventually(t, "death", func() bool { return stats(t, q, "p").DeadLetters == 1 })
	accept(t, q, events...)
	h.next(t)
	if err := q.Pause("p"); err != nil {
		t.Fatal(err)
	}
	if err := q.Drop("p"); err != nil {
		t.Fatal(err)
	}
	q.halt() // waits for what ran
	if err := db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(root, "") {
			if err != nil {
				return err
			}
			if strings.Contains(r.Key, "/p/") || strings.HasSuffix(r.Key, "/p") {
				t.Errorf("left: %q", r.Key)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	q = openQueue(t, db, Options{Handler: h})
	if r := h.next(t); r.Program != "p2" || r.Attempt != 2 {
		t.Errorf("%+v", r.Delivery)
	}
	accept(t, q, Event{Program: "p", ID: "dead"})
	if r := h.next(t); r.Program != "p" || r.Attempt != 1 {
		t.Errorf("%+v", r.Delivery)
	}
}

// TestClose waits for what runs, then interrupts it.
func TestClose(t *testing.T) {
	h := newHand()
	db := openDB(t, "")
	q := openQueue(t, db, Options{Handler: h})
	accept(t, q, Event{Program: "p", ID: "a"}, Event{Program: "p", ID: "b"})
	a, b := h.next(t), h.next(t)
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan struct{})
	go func() {
		q.Close(ctx)
		close(closed)
	}()
	eventually(t, "closing", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.closing
	})
	a.outcome <- Acknowledge(nil)
	eventually(t, "the outcome", func() bool { return stats(t, q, "p").Acknowledged == 1 })
	select {
	case <-closed:
		t.Fatal("closed while an event runs")
	default:
	}
	cancel()
	<-closed
	if s := stats(t, q, "p"); s != (Stats{Pending: 1, Acknowledged: 1, Bytes: s.Bytes, Lag: s.Lag}) {
		t.Errorf("%+v", s)
	}
	openQueue(t, db, Options{Handler: h})
	if r := h.next(t); r.ID != b.ID || r.Attempt != 2 {
		t.Errorf("%+v", r.Delivery)
	}
}

func TestLag(t *testing.T) {
	h, wall := newHand(), newWallClock()
	q := openQueue(t, openDB(t, ""), Options{Handler: h, Now: wall.now, Policy: func(string) Policy { return Policy{Concurrency: 1} }})
	accept(t, q, Event{Program: "p", ID: "runs"})
	r := h.next(t)
	if s := stats(t, q, "p"); s.Lag != 0 || s.Running != 1 {
		t.Errorf("%+v", s)
	}
	accept(t, q, Event{Program: "p", ID: "waits"})
	wall.move(time.Minute)
	if s := stats(t, q, "p"); s.Lag != time.Minute || s.Pending != 1 {
		t.Errorf("%+v", s)
	}
	wall.move(-time.Hour)
	if s := stats(t, q, "p"); s.Lag != time.Minute {
		t.Errorf("%+v", s)
	}
	pending, err := q.List("p", Pending, 1)
	if err != nil || len(pending) != 1 || pending[0].ID != "waits" || pending[0].Attempt != 0 {
		t.Errorf("%+v, %v", pending, err)
	}
	r.outcome <- Acknowledge(nil)
}

// TestUnwritable: an outcome waits until it can be written, and is lost if that is never.
func TestUnwritable(t *testing.T) {
	h := newHand()
	db, err := kv.Open("", kv.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	q := openQueue(t, db, Options{Handler: h, Log: slog.New(slog.DiscardHandler)})
	accept(t, q, Event{Program: "p"})
	r := h.next(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r.outcome <- Acknowledge(nil)
	if _, err := q.Accept([]Event{{Program: "p"}}, nil); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("accept: %v", err)
	}
	if _, err := q.Stats("p"); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("stats: %v", err)
	}
	q.halt()
}

func TestBadQueries(t *testing.T) {
	db := openDB(t, "")
	q := openQueue(t, db, Options{Handler: newHand()})
	_, stats := q.Stats("a/b")
	_, list := q.List("p", "lost", 1)
	_, limit := q.List("p", Dead, MaxList+1)
	_, results := q.Results("", 1)
	_, all := q.RetryAll("")
	_, _, find := q.Find("p", "")
	for name, err := range map[string]error{"find": find, "stats": stats, "list": list, "limit": limit, "results": results, "retry all": all,
		"retry": q.Retry("p", strings.Repeat("x", MaxID+1)), "pause": q.Pause(""), "drop": q.Drop("")} {
		if !errors.Is(err, kv.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{"retry": q.Retry("p", "x"), "discard": q.Discard("p", "")} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, opts := range []Options{{}, {Handler: newHand(), Workers: -1}, {Handler: newHand(), Bytes: -1}} {
		if _, err := Open(db, opts); err == nil {
			t.Errorf("%+v: opened", opts)
		}
	}
}

func TestBackoff(t *testing.T) {
	p := Policy{Backoff: 3 * time.Second, MaxBackoff: 20 * time.Second}.withDefaults()
	for failures, want := range []time.Duration{3, 3, 6, 12, 20, 20} {
		if got := p.wait(uint64(failures)); got != want*time.Second {
			t.Errorf("after %d failures: %v, want %v", failures, got, want*time.Second)
		}
	}
	if d := (Policy{Backoff: time.Hour, MaxBackoff: time.Second}).wait(1 << 60); d != time.Second {
		t.Errorf("%v", d)
	}
	for range 1000 {
		if d := jitter(time.Second); d < time.Second/2 || d > time.Second {
			t.Fatalf("%v", d)
		}
	}
}

func TestClock(t *testing.T) {
	wall := newWallClock()
	start := wall.now().UnixNano()
	c := newClock(wall.now, 0)
	for _, step := range []struct{ move, passed time.Duration }{
		{0, 0}, {time.Second, time.Second}, {-time.Hour, 0}, {time.Minute, time.Minute}, {2 * time.Hour, 2 * time.Hour},
	} {
		before := c.now()
		wall.move(step.move)
		if got := time.Duration(c.now() - before); got != step.passed {
			t.Errorf("the wall clock moved by %v: %v", step.move, got)
		}
	}
	if c := newClock(wall.now, start+int64(1000*time.Hour)); c.now() != start+int64(1000*time.Hour) {
		t.Errorf("began before what was written")
	}
}

// TestStart: opening reads which programs have something to deliver, and nothing of those that have not.
func TestStart(t *testing.T) {
	h := newHand()
	db := openDB(t, t.TempDir())
	q := openQueue(t, db, Options{Handler: h})
	for i := range 50 {
		accept(t, q, Event{Program: fmt.Sprint("past", i)})
		h.next(t).outcome <- Acknowledge([]byte("r"))
	}
	if err := q.Pause("due"); err != nil {
		t.Fatal(err)
	}
	accept(t, q, Event{Program: "due"}, Event{Program: "later", Delay: time.Hour})
	for i := range 50 {
		eventually(t, "the acknowledgements", func() bool { return stats(t, q, fmt.Sprint("past", i)).Acknowledged == 1 })
	}
	q.halt()
	opened := openQueue(t, db, Options{Handler: h})
	opened.mu.Lock()
	due, later := opened.programs["due"], opened.programs["later"]
	if len(opened.programs) != 2 || due == nil || later == nil || later.more {
		t.Errorf("%d programs in memory", len(opened.programs))
	}
	opened.mu.Unlock()
	if due != nil && due.from == 0 {
		t.Error("reads from the beginning")
	}
	if err := opened.Resume("due"); err != nil {
		t.Fatal(err)
	}
	if r := h.next(t); r.Program != "due" {
		t.Errorf("%s runs", r.Program)
	}
}

// TestOrder: with one event at a time they run in the order in which they were accepted, over many windows and a restart.
func TestOrder(t *testing.T) {
	h := newHand()
	db := openDB(t, "")
	opts := Options{Handler: h, Policy: func(string) Policy { return Policy{Concurrency: 1} }}
	q := openQueue(t, db, opts)
	const events = 5 * window
	for i := range events {
		accept(t, q, Event{Program: "p", ID: fmt.Sprint(i)})
		if i == events/2 {
			h.next(t)
			q.crash()
			q = openQueue(t, db, opts)
		}
	}
	for i := range events {
		r := h.next(t)
		if r.ID != fmt.Sprint(i) || i == 0 && r.Attempt != 2 {
			t.Fatalf("%s runs, attempt %d; want %d", r.ID, r.Attempt, i)
		}
		r.outcome <- Acknowledge(nil)
	}
}
