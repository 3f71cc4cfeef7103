package schedule

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A model is a schedule by its definition: it looks at each second.
type model struct {
	declared triggers.Schedule
	x        *expression
	last     int64
}

func (m *model) between(from, to int64) (times []int64) {
	if m.x.every == 0 {
		return brute(m.x, from, to)
	}
	for at := from + 1; at <= to; at++ {
		if modulo(at-m.x.phase, m.x.every) == 0 {
			times = append(times, at)
		}
	}
	return times
}

// step is which times make events now.
func (m *model) step(now, started int64) []int64 {
	due := m.between(m.last, now)
	if len(due) == 0 {
		return nil
	}
	m.last = now
	onTime := slices.DeleteFunc(slices.Clone(due), func(at int64) bool { return at < started || now-at > 60 })
	switch {
	case m.declared.Missed == skip, m.declared.Missed != all && len(onTime) > 0:
		return onTime
	case m.declared.Missed != all:
		return due[len(due)-1:]
	}
	return due[max(0, len(due)-1000):]
}

// TestModel compares a trigger with the model over random times, clock changes, deploys and restarts: the same times run, each once.
func TestModel(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testModel(t, rand.New(rand.NewPCG(uint64(seed), 5))) })
	}
}

func testModel(t *testing.T, random *rand.Rand) {
	starts := []string{"2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z", "2026-04-04T10:00:00Z", "2026-11-22T10:00:00Z"}
	expressions := []string{"* * * * * *", "*/7 * * * *", "30 2 * * *", "CRON_TZ=Europe/Berlin 30 2 * * *", "CRON_TZ=Europe/Berlin 30 * * * *", "@hourly",
		"@every 13s", "@every 47m", "CRON_TZ=Australia/Lord_Howe 45 1 * * *", "*/10 15,45 * * * *"}
	pick := func(of []string) string { return of[random.IntN(len(of))] }
	dir, c := t.TempDir(), newClock(pick(starts))
	n := open(t, dir, c, queue.Options{Events: 1_000_000})
	created, started, wall := c.now(), c.now().Unix(), c.now().Unix()
	names := []string{"a", "b", "c", "d"}
	models, expected := map[string]*model{}, map[string]bool{}

	deploy := func(name string) {
		before, now := models[name], c.now().Unix()
		s := triggers.Schedule{Name: name, Cron: pick(expressions), Missed: pick([]string{"", once, skip, all})}
		m := &model{declared: s, last: now}
		var err error
		if m.x, err = parse(s.Cron, created, time.LoadLocation); err != nil {
			t.Fatal(err)
		}
		if before != nil && before.declared.Cron == s.Cron {
			m.last = before.last
		}
		models[name] = m
	}
	set := func() {
		d := &triggers.Declaration{}
		for _, name := range slices.Sorted(maps.Keys(models)) {
			d.Schedules = append(d.Schedules, models[name].declared)
			if m := models[name]; m.last > c.now().Unix()+3*3600 {
				m.last = c.now().Unix()
			}
		}
		if err := n.Set("p", created, d); err != nil {
			t.Fatal(err)
		}
	}
	step := func() {
		now := c.now().Unix()
		if now < wall {
			started = min(started, now)
			for _, m := range models {
				if m.last > now+3*3600 {
					m.last = now
				}
			}
		}
		wall = now
		for name, m := range models {
			for _, at := range m.step(now, started) {
				expected["p "+name+"@"+time.Unix(at, 0).UTC().Format(time.RFC3339)] = true
			}
		}
		for {
			n.step()
			if n.failure != "" {
				t.Fatal(n.failure)
			}
			if n.dues[0].due > now {
				break
			}
		}
	}
	for _, name := range names {
		deploy(name)
	}
	set()
	for range 60 {
		switch random.IntN(12) {
		case 0:
			deploy(pick(names))
			set()
		case 1, 2: // a restart, after some time or with the clock set back
			n.close(t)
			c.move(time.Duration(random.IntN(10*3600)-3600) * time.Second)
			n.start(t, dir)
			started, wall = c.now().Unix(), c.now().Unix()
			set()
		case 3:
			c.move(-time.Duration(random.IntN(4*3600)) * time.Second)
		case 4:
			c.move(time.Duration(random.IntN(6*3600)) * time.Second)
		default:
			c.move(time.Duration(random.IntN(90_000)) * time.Millisecond)
		}
		step()
	}
	n.settle(t, "p")
	n.count(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	for id := range expected {
		if n.ran[id] == 0 {
			t.Errorf("%s did not run", id)
		}
	}
	for id := range n.ran {
		if !expected[id] {
			t.Errorf("%s ran", id)
		}
	}
	if len(expected) < 10 {
		t.Errorf("only %d times in all", len(expected))
	}
}
