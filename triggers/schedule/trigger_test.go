package schedule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		s     triggers.Schedule
		field string
	}{
		{triggers.Schedule{Cron: "*/5 * * * *", Missed: "all", Overlap: "forbid", Jitter: triggers.Duration(time.Hour)}, ""},
		{triggers.Schedule{Cron: "* * *"}, "schedules[0].cron"},
		{triggers.Schedule{Cron: "0 0 30 2 *"}, "schedules[0].cron"},
		{triggers.Schedule{Cron: ", * * * *"}, "schedules[0].cron"},
		{triggers.Schedule{Cron: "@daily", Missed: "twice"}, "schedules[0].missed"},
		{triggers.Schedule{Cron: "@daily", Overlap: "maybe"}, "schedules[0].overlap"},
		{triggers.Schedule{Cron: "@daily", Jitter: triggers.Duration(25 * time.Hour)}, "schedules[0].jitter"},
	} {
		err := Check(&triggers.Declaration{Schedules: []triggers.Schedule{c.s}})
		var typed *triggers.Error
		if c.field == "" && err != nil || c.field != "" && (!errors.As(err, &typed) || typed.Field != c.field) {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
}

// TestRun runs on the machine's own clock.
func TestRun(t *testing.T) {
	c := new(clock)
	n := open(t, "", c, queue.Options{})
	n.cfg.Now = time.Now
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Trigger.Run(ctx) }()
	c.ns.Store(time.Now().UnixNano())
	n.set(t, "p", triggers.Schedule{Cron: "* * * * * *"})
	eventually(t, "two runs", func() bool { return n.count(t) >= 2 })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	n.settle(t, "p")
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, body := range n.forms {
		at := strings.TrimPrefix(id, "schedule-1@")
		if body != `{"scheduled_at":"`+at+`","schedule":"* * * * * *","trigger":"schedule-1"}` {
			t.Errorf("%s has the body %s", id, body)
		}
	}
}

func TestSet(t *testing.T) {
	dir, c := t.TempDir(), newClock("2026-11-22T10:00:30Z")
	n := open(t, dir, c, queue.Options{})
	n.set(t, "a", triggers.Schedule{Cron: "* * * * *"}, triggers.Schedule{Name: "x", Cron: "@every 1m"})
	n.set(t, "b", triggers.Schedule{Cron: "@hourly"})
	if got := n.records(t); got != "[a/schedule-1 a/x b/schedule-1]" {
		t.Fatal(got)
	}
	c.move(time.Minute) // 10:01:30
	n.step()
	n.settle(t, "a")
	if n.ran["a schedule-1@2026-11-22T10:01:00Z"] != 1 || n.ran["a x@2026-11-22T10:01:30Z"] != 1 || n.count(t) != 2 {
		t.Fatal(n.ran)
	}
	n.set(t, "a", triggers.Schedule{Cron: "* * * * *"}, triggers.Schedule{Name: "y", Cron: "@daily"}) // created now
	c.move(time.Hour)
	n.set(t, "b", triggers.Schedule{Cron: "*/30 * * * *"}) // begins now: neither 10:30 nor 11:00 were its times
	n.step()
	n.settle(t, "a", "b")
	if n.count(t) != 3 || n.records(t) != "[a/schedule-1 a/y b/schedule-1]" {
		t.Fatal(n.ran, n.records(t))
	}
	list := n.List("a")
	if len(list) != 2 || list[0].Spec != "* * * * *" || list[0].State != "active" || list[0].Last.Format("15:04:05") != "11:01:00" ||
		fmt.Sprint(list[1].Next) != "[2026-11-23 00:00:00 +0000 UTC 2026-11-24 00:00:00 +0000 UTC 2026-11-25 00:00:00 +0000 UTC]" {
		t.Fatalf("%+v", list)
	}
	if err := n.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if got := n.records(t); got != "[b/schedule-1]" || len(n.List("a")) != 0 || n.dues.Len() != 1 {
		t.Fatal(got)
	}

	n.close(t) // b is gone when the node comes back
	n.start(t, dir)
	if err := n.sweep(); err != nil {
		t.Fatal(err)
	}
	if got := n.records(t); got != "[]" {
		t.Fatal(got)
	}
}

func TestFire(t *testing.T) {
	n := open(t, "", newClock("2026-11-22T10:00:30Z"), queue.Options{})
	n.set(t, "p", triggers.Schedule{Cron: "@daily"})
	id, err := n.Fire(t.Context(), "p", "schedule-1")
	if err != nil {
		t.Fatal(err)
	}
	n.settle(t, "p")
	if n.ran["p "+id] != 1 || n.forms[id] != `{"scheduled_at":"2026-11-22T10:00:30Z","schedule":"@daily","trigger":"schedule-1"}` {
		t.Fatal(id, n.ran, n.forms)
	}
	if _, err := n.Fire(t.Context(), "p", "schedule-2"); !errors.Is(err, queue.ErrNotFound) {
		t.Fatal(err)
	}
}

// TestForbid: a schedule faster than its run.
func TestForbid(t *testing.T) {
	c := newClock("2026-11-22T10:00:00Z")
	n := open(t, "", c, queue.Options{})
	n.set(t, "p", triggers.Schedule{Cron: "@every 1s", Overlap: "forbid"})
	n.hold()
	for range 10 {
		c.move(time.Second)
		n.step()
	}
	if s := n.List("p")[0]; s.Skipped != 9 || s.Last.Second() != 1 {
		t.Fatalf("%+v", s)
	}
	n.letGo()
	n.settle(t, "p")
	c.move(3 * time.Second) // the last of three
	n.step()
	n.settle(t, "p")
	if s := n.List("p")[0]; s.Skipped != 11 || s.Last.Second() != 13 || n.count(t) != 2 {
		t.Fatalf("%+v %v", s, n.ran)
	}
}

func TestJitter(t *testing.T) {
	c := newClock("2026-11-22T10:00:00Z")
	n := open(t, "", c, queue.Options{})
	for i := range 20 {
		n.set(t, fmt.Sprint("p", i), triggers.Schedule{Cron: "@every 1s", Jitter: triggers.Duration(time.Hour)})
	}
	c.move(time.Second)
	n.step()
	distinct := map[time.Time]bool{}
	for i := range 20 {
		entries, err := n.queue.List(fmt.Sprint("p", i), queue.Delayed, 0)
		if err != nil || len(entries) != 1 {
			t.Fatal(entries, err)
		}
		late := entries[0].Due.Sub(entries[0].Accepted)
		if late < 0 || late >= time.Hour {
			t.Errorf("%v late", late)
		}
		distinct[entries[0].Due] = true
	}
	if len(distinct) < 10 {
		t.Errorf("%d different times of 20", len(distinct))
	}
}

// TestQuota: a program whose queue is full waits, by itself.
func TestQuota(t *testing.T) {
	c := newClock("2026-11-22T10:00:00Z")
	n := open(t, "", c, queue.Options{Events: 3})
	n.set(t, "full", triggers.Schedule{Cron: "@every 1s"})
	n.set(t, "free", triggers.Schedule{Cron: "@every 1s"})
	if err := n.queue.Pause("full"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c.move(time.Second)
		n.step()
		n.settle(t, "free")
	}
	if s := n.List("full")[0]; s.State != "waiting" || !strings.Contains(s.Error, "limit 3") {
		t.Fatalf("%+v", s)
	}
	if s := n.List("free")[0]; s.State != "active" || n.count(t) != 10 {
		t.Fatalf("%+v %v", s, n.ran)
	}
	if err := n.queue.Resume("full"); err != nil {
		t.Fatal(err)
	}
	n.settle(t, "full")
	for range 8 { // the pauses were 1, 2 and 4 s and are 8 s at most
		c.move(time.Second)
		n.step()
		n.settle(t, "full", "free")
	}
	if s := n.List("full")[0]; s.State != "active" || n.count(t) < 18+3+1 {
		t.Fatalf("%+v %v", s, n.ran)
	}
}

// TestClockWrong: a clock that was years ahead does not silence a schedule for years.
func TestClockWrong(t *testing.T) {
	dir, c := t.TempDir(), newClock("2026-11-22T10:00:30Z")
	n := open(t, dir, c, queue.Options{})
	n.set(t, "p", triggers.Schedule{Cron: "* * * * *", Missed: "skip"})
	step := func(by time.Duration, want int) {
		t.Helper()
		c.move(by)
		n.step()
		n.settle(t, "p")
		if got := n.count(t); got != want {
			t.Fatalf("%d runs, want %d: %v", got, want, n.ran)
		}
	}
	const years = 10 * 365 * 24 * time.Hour
	step(time.Minute, 1)
	step(years, 2)
	step(-years, 2)
	step(time.Minute, 3)
	step(-time.Hour, 3) // less than three hours: it waits
	step(time.Hour-time.Minute, 3)
	step(time.Minute+time.Second, 3)
	step(time.Minute, 4)
	step(-4*time.Hour, 4) // a correction
	step(time.Minute, 5)
	step(years, 6)
	n.close(t)
	c.move(-years)
	n.start(t, dir)
	n.set(t, "p", triggers.Schedule{Cron: "* * * * *", Missed: "skip"})
	step(time.Minute, 7)
}

// BenchmarkStart is of a node with 10,000 schedules after a day.
func BenchmarkStart(b *testing.B) {
	dir, c := b.TempDir(), newClock("2026-11-22T10:00:00Z")
	n := open(b, dir, c, queue.Options{})
	zones := []string{"", "CRON_TZ=Europe/Berlin ", "CRON_TZ=America/New_York ", "CRON_TZ=Asia/Tokyo "}
	set := func() {
		for i := range 10_000 {
			n.set(b, fmt.Sprint("p", i), triggers.Schedule{Cron: fmt.Sprintf("%s%d %d * * *", zones[i%4], i%60, i/60%24)})
		}
	}
	set()
	for b.Loop() {
		b.StopTimer()
		n.close(b)
		n.start(b, dir)
		b.StartTimer()
		set()
	}
}
