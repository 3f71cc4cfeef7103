package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// The model is the queue as its documentation tells it, in maps and slices, for TestModel.
type model struct {
	opts     Options
	policy   Policy
	clock    *clock
	written  int64 // the clock, as it is on the disk
	programs map[string]*modelProgram
	numbers  int
}

type modelProgram struct {
	events  map[string]*modelEvent // that are known by their ids: all but the forgotten
	lines   map[string][]*modelEvent
	ended   []*modelEvent
	results []string
	paused  bool
	stats   Stats // of it the sums
}

type modelEvent struct {
	number   int
	id, key  string
	state    State // Pending, also behind another; Acknowledged also stands for a dead letter that is gone
	once     bool  // it has no id, for it was never a dead letter
	attempt  uint32
	failures int
	due      int64
	run      *held
}

func (m *model) program(id string) *modelProgram {
	p := m.programs[id]
	if p == nil {
		p = &modelProgram{events: map[string]*modelEvent{}, lines: map[string][]*modelEvent{}}
		m.programs[id] = p
	}
	return p
}

func (p *modelProgram) in(state State) (events []*modelEvent) {
	for _, e := range p.events {
		if e.state == state {
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(a, b *modelEvent) int { return a.number - b.number })
	return events
}

func (p *modelProgram) live() int {
	return len(p.in(Pending)) + len(p.in(Running)) + len(p.in(Delayed))
}

// leads tells whether nothing of its key is before e.
func (p *modelProgram) leads(e *modelEvent) bool { return e.key == "" || p.lines[e.key][0] == e }

// place makes an event pending or delayed, unless it is behind another of its key.
func (m *model) place(p *modelProgram, e *modelEvent) {
	e.state = Pending
	if p.leads(e) && e.due > m.clock.now() {
		e.state = Delayed
		m.written = m.clock.now()
	}
}

func (m *model) enqueue(p *modelProgram, e *modelEvent) {
	if e.key != "" {
		p.lines[e.key] = append(p.lines[e.key], e)
	}
	m.place(p, e)
}

// tick makes pending what is due.
func (m *model) tick() {
	for _, p := range m.programs {
		for _, e := range p.in(Delayed) {
			if e.due <= m.clock.now() {
				e.state = Pending
			}
		}
	}
}

// accept is Accept; refused is whether it is.
func (m *model) accept(events []Event) (fresh []bool, refused bool) {
	count := map[string]int{}
	ids := map[string]bool{}
	for _, e := range events {
		p := m.program(e.Program)
		isNew := p.events[e.ID] == nil && !ids[e.Program+"/"+e.ID]
		ids[e.Program+"/"+e.ID] = true
		fresh = append(fresh, isNew)
		if isNew {
			count[e.Program]++
			if p.live()+count[e.Program] > m.opts.Events {
				return nil, true
			}
		}
	}
	for i, e := range events {
		if fresh[i] {
			m.numbers++
			made := &modelEvent{number: m.numbers, id: e.ID, key: e.Key, once: e.Once, due: m.clock.now() + int64(e.Delay)}
			p := m.program(e.Program)
			p.events[e.ID] = made
			m.enqueue(p, made)
		}
	}
	return fresh, false
}

// leave ends e in its line, and lets the next come.
func (m *model) leave(p *modelProgram, e *modelEvent) {
	if e.key == "" {
		return
	}
	line := p.lines[e.key][1:]
	p.lines[e.key] = line
	if len(line) > 0 {
		m.place(p, line[0])
	}
}

func (m *model) forget(p *modelProgram, e *modelEvent) {
	e.state = Acknowledged
	if e.once {
		delete(p.events, e.id)
		return
	}
	p.ended = append(p.ended, e)
	if len(p.ended) > m.opts.Remembered {
		delete(p.events, p.ended[0].id)
		p.ended = p.ended[1:]
	}
}

// settle is an outcome of a running event.
func (m *model) settle(p *modelProgram, e *modelEvent, o Outcome) {
	e.run = nil
	wait := func(failures int) {
		e.due = m.clock.now() + int64(m.policy.wait(uint64(failures)))
		m.place(p, e)
	}
	switch {
	case o.verdict == acknowledged:
		p.stats.Acknowledged++
		if o.result != nil {
			p.results = append([]string{e.id}, p.results...)
			p.results = p.results[:min(len(p.results), m.opts.Results)]
		}
		m.forget(p, e)
		m.leave(p, e)
	case o.verdict == deferred:
		wait(1)
	default:
		p.stats.Failures++
		e.failures++
		if o.verdict == failed && e.failures < m.policy.MaxAttempts {
			wait(e.failures)
			return
		}
		e.state, e.once = Dead, false
		if dead := p.in(Dead); len(dead) > m.opts.DeadLetters {
			m.forget(p, dead[0])
			p.stats.Dropped++
		}
		m.leave(p, e)
	}
}

func (m *model) revive(p *modelProgram, e *modelEvent) {
	e.failures, e.due = 0, m.clock.now()
	m.enqueue(p, e)
}

// restart is another process.
func (m *model) restart(wall func() time.Time) {
	m.clock = newClock(wall, m.written)
	for _, p := range m.programs {
		for _, e := range p.in(Running) {
			e.state, e.run = Pending, nil
		}
	}
	m.tick()
}

// world is the queue and its model.
type world struct {
	t    *testing.T
	r    *rand.Rand
	dir  string
	db   *kv.DB
	q    *Queue
	hand *hand
	wall *wallClock
	m    *model

	settled  chan Settlement
	accepted int // transactions
	crashes  int
	ids      int
}

var modelPrograms = []string{"a", "b", "c"}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), wall: newWallClock(), settled: make(chan Settlement, 1024)}
	policy := Policy{Concurrency: 2, MaxAttempts: 3, Backoff: time.Second, MaxBackoff: 3 * time.Second}
	w.m = &model{policy: policy, programs: map[string]*modelProgram{}, opts: Options{
		Events: 12, DeadLetters: 3, Results: 3, Remembered: 10, Now: w.wall.now,
		Policy: func(string) Policy { return policy }, Settled: func(s Settlement) { w.settled <- s }}}
	w.m.clock = newClock(w.wall.now, 0)
	w.open()
	return w
}

func (w *world) open() {
	if w.db == nil {
		db, err := kv.Open(w.dir, kv.Options{})
		if err != nil {
			w.t.Fatal(err)
		}
		w.db = db
	}
	w.hand = newHand()
	opts := w.m.opts
	opts.Handler = w.hand
	q, err := Open(w.db, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	q.jitter = func(d time.Duration) time.Duration { return d }
	w.q = q
}

func (w *world) close() {
	w.q.halt()
	if w.db != nil {
		if err := w.db.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// crash ends the queue as if its process ended: nothing that it has in memory reaches the disk anymore.
func (q *Queue) crash() {
	q.mu.Lock()
	for _, p := range q.programs {
		p.dropped.Store(true)
	}
	q.mu.Unlock()
	q.halt()
}

func (w *world) pick() (string, *modelProgram) {
	id := modelPrograms[w.r.IntN(len(modelPrograms))]
	return id, w.m.program(id)
}

// step does one thing to both, and says what.
func (w *world) step() string {
	id, p := w.pick()
	switch n := w.r.IntN(100); {
	case n < 35:
		return w.accept()
	case n < 75:
		running := p.in(Running)
		if len(running) == 0 {
			return "nothing runs"
		}
		return w.outcome(id, p, running[w.r.IntN(len(running))])
	case n < 85:
		d := []time.Duration{time.Second, time.Minute, -time.Minute, time.Hour, -24 * time.Hour, 100 * time.Millisecond}[w.r.IntN(6)]
		w.wall.move(d)
		w.q.clock.now()
		w.m.clock.now()
		w.m.tick()
		w.q.look()
		return fmt.Sprint("the clock moves by ", d)
	case n < 88:
		if w.crashes++; w.crashes > lost/2 {
			return "no more crashes"
		}
		w.q.crash()
		if w.r.IntN(3) == 0 {
			if err := w.db.Close(); err != nil {
				w.t.Fatal(err)
			}
			w.db = nil
		}
		w.open()
		w.m.restart(w.wall.now)
		return "crash"
	case n < 90:
		w.q.halt()
		for len(w.settled) > 0 { // interrupted
			<-w.settled
		}
		w.open()
		w.m.restart(w.wall.now)
		return "restart"
	case n < 94:
		p.paused = !p.paused
		do := w.q.Resume
		if p.paused {
			do = w.q.Pause
		}
		if err := do(id); err != nil {
			w.t.Fatal(err)
		}
		return fmt.Sprintf("%s paused: %t", id, p.paused)
	case n < 99:
		return w.letters(id, p)
	}
	if err := w.q.Drop(id); err != nil {
		w.t.Fatal(err)
	}
	delete(w.m.programs, id)
	return "drop " + id
}

func (w *world) accept() string {
	var events []Event
	for range 1 + w.r.IntN(3) {
		id, _ := w.pick()
		w.ids++
		e := Event{Program: id, ID: fmt.Sprint(w.ids - w.r.IntN(3)*w.r.IntN(12)), Key: []string{"", "x", "y"}[w.r.IntN(3)]}
		if e.Once = w.r.IntN(3) == 0; e.Once {
			e.ID = fmt.Sprint("once-", w.ids)
		}
		e.Payload = []byte("payload of " + e.ID)
		if w.r.IntN(4) == 0 {
			e.Delay = time.Duration(w.r.IntN(5000)) * time.Millisecond
		}
		events = append(events, e)
	}
	want, refused := w.m.accept(events)
	fresh, err := w.q.Accept(events, func(tx *kv.Txn) error { return tx.Set("checkpoint/test", fmt.Append(nil, w.accepted+1)) })
	if refused != errors.Is(err, kv.ErrQuotaExceeded) || !refused && err != nil || !slices.Equal(fresh, want) {
		w.t.Fatalf("accept: %v, %v; want %v, refused %t", fresh, err, want, refused)
	}
	if !refused {
		w.accepted++
	}
	return fmt.Sprintf("accept %d: %v, refused %t", len(events), want, refused)
}

func (w *world) outcome(id string, p *modelProgram, e *modelEvent) string {
	o := []Outcome{Acknowledge(nil), Acknowledge([]byte("r")), Acknowledge(nil), Fail(errors.New("failed")), Fail(errors.New("failed")),
		Reject(errors.New("rejected")), Defer(errors.New("deferred"))}[w.r.IntN(7)]
	effect := fmt.Sprintf("effect/%s/%s/%d", id, e.id, e.attempt)
	want, committed := o, false
	switch w.r.IntN(6) {
	case 0:
		committed = true
		o = o.With(func(tx *kv.Txn) error { return tx.Set(effect, nil) })
	case 1:
		o = o.With(func(tx *kv.Txn) error { return errors.Join(tx.Set(effect, nil), errors.New("the effect failed")) })
		want = Fail(nil)
	}
	e.run.outcome <- o
	s := <-w.settled
	if err := w.db.View(func(tx *kv.Txn) error {
		_, there, err := tx.Get(effect)
		if there != committed {
			w.t.Errorf("the effect is there: %t", there)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	o = want
	w.m.settle(p, e, o)
	if s.Program != id || s.ID != e.id || s.Attempt != e.attempt {
		w.t.Fatalf("settled %+v, want %+v", s, e)
	}
	return fmt.Sprintf("outcome of %s/%s: %d", id, e.id, o.verdict)
}

func (w *world) letters(id string, p *modelProgram) string {
	dead := p.in(Dead)
	all := w.r.IntN(4) == 0
	if len(dead) == 0 || all {
		n, err := w.q.RetryAll(id)
		if err != nil || n != len(dead) {
			w.t.Fatalf("retry all: %d, %v; want %d", n, err, len(dead))
		}
		for _, e := range dead {
			w.m.revive(p, e)
		}
		return "retry all of " + id
	}
	e := dead[w.r.IntN(len(dead))]
	if w.r.IntN(2) == 0 {
		if err := w.q.Discard(id, e.id); err != nil {
			w.t.Fatal(err)
		}
		w.m.forget(p, e)
		return "discard " + e.id
	}
	if err := w.q.Retry(id, e.id); err != nil {
		w.t.Fatal(err)
	}
	w.m.revive(p, e)
	return "retry " + e.id
}

// still waits until all runs that must begin have, and compares what the queue tells with the model.
func (w *world) still() {
	for {
		expected := 0
		for _, p := range w.m.programs {
			can := 0
			for _, e := range p.in(Pending) {
				if p.leads(e) {
					can++
				}
			}
			if room := w.m.policy.Concurrency - len(p.in(Running)); !p.paused && room > 0 {
				expected += min(room, can)
			}
		}
		if expected == 0 {
			break
		}
		w.begins(w.hand.next(w.t))
	}
	difference := ""
	begun := time.Now()
	for difference = w.compare(); difference != ""; difference = w.compare() {
		if time.Since(begun) > 10*time.Second {
			w.t.Fatal(difference)
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case r := <-w.hand.runs:
		w.t.Fatalf("%s/%s runs and must not", r.Program, r.ID)
	default:
	}
}

// begins checks that a run is one that may begin.
func (w *world) begins(r *held) {
	p := w.m.program(r.Program)
	e := p.events[r.ID]
	switch {
	case e == nil || e.state != Pending:
		w.t.Fatalf("%s/%s runs: %+v", r.Program, r.ID, e)
	case p.paused:
		w.t.Fatalf("%s/%s runs, and the program is paused", r.Program, r.ID)
	case !p.leads(e):
		w.t.Fatalf("%s/%s runs before others with the key %s", r.Program, r.ID, e.key)
	case r.Attempt != e.attempt+1:
		w.t.Fatalf("%s/%s: attempt %d after %d", r.Program, r.ID, r.Attempt, e.attempt)
	case string(r.Payload) != "payload of "+r.ID || r.Key != e.key:
		w.t.Fatalf("%s/%s: payload %q, key %q", r.Program, r.ID, r.Payload, r.Key)
	case len(p.in(Running)) == w.m.policy.Concurrency:
		w.t.Fatalf("%s/%s runs, and %d more of its program", r.Program, r.ID, w.m.policy.Concurrency)
	}
	e.state, e.attempt, e.run = Running, r.Attempt, r
}

// compare says what is different, empty if nothing is.
func (w *world) compare() string {
	for _, id := range modelPrograms {
		p := w.m.program(id)
		got, err := w.q.Stats(id)
		if err != nil {
			w.t.Fatal(err)
		}
		want := p.stats
		want.Pending, want.Running, want.Delayed, want.DeadLetters = len(p.in(Pending)), len(p.in(Running)), len(p.in(Delayed)), len(p.in(Dead))
		want.Paused = p.paused
		got.Bytes, got.Lag = 0, 0
		if got != want {
			return fmt.Sprintf("%s: %+v, want %+v", id, got, want)
		}
		for _, state := range []State{Running, Delayed, Dead} {
			entries, err := w.q.List(id, state, 0)
			if err != nil {
				w.t.Fatal(err)
			}
			ids := []string{}
			for _, e := range entries {
				ids = append(ids, fmt.Sprintf("%s@%d", e.ID, e.Attempt))
			}
			wants := []string{}
			for _, e := range p.in(state) {
				wants = append(wants, fmt.Sprintf("%s@%d", e.id, e.attempt))
			}
			slices.Sort(ids)
			slices.Sort(wants)
			if !slices.Equal(ids, wants) {
				return fmt.Sprintf("%s %s: %q, want %q", id, state, ids, wants)
			}
		}
		for _, e := range p.events {
			want := e.state
			if want == Running || want == Delayed {
				want = Pending
			}
			if now, known, err := w.q.Find(id, e.id); err != nil || known == e.once || known && now != want {
				return fmt.Sprintf("%s/%s: %s, %t, %v; want %s", id, e.id, now, known, err, want)
			}
		}
		if _, known, err := w.q.Find(id, "never"); known || err != nil {
			return fmt.Sprintf("found what never was: %v", err)
		}
		results, err := w.q.Results(id, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		ids := []string{}
		for _, r := range results {
			ids = append(ids, r.ID)
		}
		if !slices.Equal(ids, append([]string{}, p.results...)) {
			return fmt.Sprintf("results of %s: %q, want %q", id, ids, p.results)
		}
	}
	if w.accepted > 0 {
		if err := w.db.View(func(tx *kv.Txn) error {
			if b, _, err := tx.Get("checkpoint/test"); err != nil || string(b) != fmt.Sprint(w.accepted) {
				w.t.Fatalf("checkpoint %s, %v; want %d", b, err, w.accepted)
			}
			return nil
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	return ""
}

// TestModel does random things to a queue and to the model: events, outcomes, the clock in both directions, crashes, pauses, dead
// letters.
func TestModel(t *testing.T) {
	seeds, steps := 4, 250
	if testing.Short() {
		seeds = 2
	}
	if os.Getenv("ALEPH_LONG_TESTS") != "" {
		seeds, steps = 100, 500
	}
	first := rand.Uint64()
	for i := range seeds {
		seed := first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			defer w.close()
			var done []string
			defer func() {
				if t.Failed() {
					for i, step := range done {
						t.Logf("%d: %s", i, step)
					}
				}
			}()
			for range steps {
				done = append(done, w.step())
				w.still()
			}
			w.drain()
		})
	}
}

// drain lets everything end.
func (w *world) drain() {
	for _, id := range modelPrograms {
		p := w.m.program(id)
		p.paused = false
		if err := w.q.Resume(id); err != nil {
			w.t.Fatal(err)
		}
	}
	for {
		w.still()
		left := 0
		for _, id := range modelPrograms {
			p := w.m.program(id)
			left += p.live()
			for _, e := range p.in(Running) {
				e.run.outcome <- Acknowledge(nil)
				<-w.settled
				w.m.settle(p, e, Acknowledge(nil))
			}
		}
		if left == 0 {
			return
		}
		w.wall.move(time.Second)
		w.q.clock.now()
		w.m.tick()
		w.q.look()
	}
}
