package schedule

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
)

const (
	// A schedule that was refused is tried again after minPause, and after twice as long each time, up to maxPause, in seconds.
	minPause = 1
	maxPause = 30

	// glance is how often the wall clock is looked at: timers do not see that it was set.
	glance = time.Second
)

// Run makes events until ctx is done.
func (t *Trigger) Run(ctx context.Context) error {
	if err := t.sweep(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		timer := time.NewTimer(t.step())
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// sweep drops the checkpoints of programs that are not there any more.
func (t *Trigger) sweep() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for program := range t.marks {
		if err := t.drop(program, t.known(program)); err != nil {
			return err
		}
	}
	return nil
}

// A run is what is about to be written of an entry.
type run struct {
	entry *entry
	times []int64             // to make events of
	mark  mark                // then
	rest  *queue.RefusedError // why later times are left for later; nil: there are none
}

// step makes events of what is due, as many as go into a transaction, and says how long nothing more is.
func (t *Trigger) step() (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	clock := t.cfg.Now()
	now := clock.Unix()
	err := t.look(now)
	if err == nil {
		err = t.make(now)
	}
	if err != nil {
		if text := err.Error(); text != t.failure {
			t.cfg.Log.Error("schedules make no events; it is tried again", "error", err)
			t.failure = text
		}
		return glance
	}
	t.failure = ""
	if len(t.dues) == 0 {
		return glance
	}
	if t.dues[0].due > now+int64(glance/time.Second) {
		return glance
	}
	return max(0, time.Unix(t.dues[0].due, 0).Sub(clock))
}

// look deals with a clock that was set back.
func (t *Trigger) look(now int64) error {
	if now >= t.wall {
		t.wall = now
		return nil
	}
	for some := range slices.Chunk(t.dues, queue.MaxEvents) {
		err := t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error {
			for _, e := range some {
				if m, changed := e.corrected(now); changed {
					if err := tx.Set(key(e.program, e.name), m.encode()); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write that the clock was set back: %w", err)
		}
	}
	for _, e := range t.dues {
		e.mark, _ = e.corrected(now)
		e.due = e.expression.next(e.mark.last)
		if e.pause > 0 {
			e.due = max(e.due, now+e.pause)
		}
	}
	heap.Init(&t.dues)
	t.started, t.wall = min(t.started, now), now
	return nil
}

// make makes the events of a step. If it fails nothing was made.
func (t *Trigger) make(now int64) (err error) {
	var runs []*run
	var popped []*entry
	defer func() {
		for _, e := range popped {
			heap.Push(&t.dues, e)
		}
	}()
	for events := 0; len(t.dues) > 0 && t.dues[0].due <= now && len(runs) < queue.MaxEvents; {
		r, err := t.plan(t.dues[0], now)
		if err != nil {
			return err
		}
		if events += len(r.times); events > queue.MaxEvents {
			break
		}
		runs = append(runs, r)
		popped = append(popped, heap.Pop(&t.dues).(*entry))
	}
	return t.commit(runs, now)
}

// plan says what is to be made of an entry that is due.
func (t *Trigger) plan(e *entry, now int64) (*run, error) {
	r := &run{entry: e, times: e.times(now, t.started), mark: e.mark}
	r.mark.last = now
	if n := len(r.times); e.forbids && n > 0 {
		keep := 1
		if e.mark.made != 0 {
			state, known, err := t.cfg.Queue.Find(e.program, e.id(e.mark.made))
			if err != nil {
				return nil, fmt.Errorf("find the last event of %s of program %s: %w", e.name, e.program, err)
			}
			if known && state == queue.Pending {
				keep = 0
			}
		}
		r.times = r.times[n-keep:]
		r.mark.skipped += uint64(n - keep)
	}
	if n := len(r.times); n > 0 {
		r.mark.made = r.times[n-1]
	}
	return r, nil
}

// commit writes runs, but for the events of programs that have too many: these are tried again later.
func (t *Trigger) commit(runs []*run, now int64) error {
	for len(runs) > 0 {
		_, err := t.cfg.Queue.Accept(events(runs), func(tx *kv.Txn) error {
			for _, r := range runs {
				if err := tx.Set(key(r.entry.program, r.entry.name), r.mark.encode()); err != nil {
					return err
				}
			}
			return nil
		})
		var refused *queue.RefusedError
		switch {
		case err == nil:
			for _, r := range runs {
				r.done(now)
			}
			return nil
		case !errors.As(err, &refused):
			return fmt.Errorf("write the events of schedules: %w", err)
		}
		runs = without(runs, refused, now)
	}
	return nil
}

func events(runs []*run) (events []queue.Event) {
	for _, r := range runs {
		for _, at := range r.times {
			event := r.entry.event(at)
			if r.entry.jitter > 0 {
				event.Delay = rand.N(r.entry.jitter)
			}
			events = append(events, event)
		}
	}
	return events
}

// without leaves out the event that was refused, and all later ones of its program.
func without(runs []*run, refused *queue.RefusedError, now int64) (left []*run) {
	first := 0 // of the run's events
	for _, r := range runs {
		fit := len(r.times)
		if r.entry.program == refused.Program {
			fit = min(max(refused.Index-first, 0), fit)
		}
		first += len(r.times)
		switch {
		case fit == len(r.times):
			left = append(left, r)
		case fit > 0:
			r.times, r.rest = r.times[:fit], refused
			r.mark.last, r.mark.made = r.times[fit-1], r.times[fit-1]
			left = append(left, r)
		default:
			r.entry.refuse(refused, now)
		}
	}
	return left
}

// done notes that the run is written.
func (r *run) done(now int64) {
	e := r.entry
	e.mark, e.pause, e.waits, e.fails = r.mark, 0, "", ""
	e.due = e.expression.next(e.mark.last)
	if r.rest != nil {
		e.refuse(r.rest, now)
	}
}

// refuse notes that the queue does not take the entry's events now.
func (e *entry) refuse(err *queue.RefusedError, now int64) {
	e.pause = min(max(2*e.pause, minPause), maxPause)
	e.due = now + e.pause
	e.waits, e.fails = "", ""
	if errors.Is(err, kv.ErrQuotaExceeded) {
		e.waits = err.Err.Error()
	} else {
		e.fails = err.Err.Error()
	}
}
