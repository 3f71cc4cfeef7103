package queue

import (
	"fmt"
	"slices"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// MaxList is how many events or results one list has at most.
const MaxList = 1000

// Stats is how a program's events are doing.
type Stats struct {
	Pending     int // due, or behind another of their key
	Running     int
	Delayed     int
	DeadLetters int
	Bytes       uint64        // of pending, running and delayed events
	Lag         time.Duration // since the event that runs next could have run; 0 if none is due
	Paused      bool

	Acknowledged uint64 // events, since the program's first
	Failures     uint64 // attempts
	Dropped      uint64 // dead letters that gave way to others
}

// Stats returns the program's. A program that the queue does not know has none of anything.
func (q *Queue) Stats(program string) (Stats, error) {
	if err := checkProgram(program); err != nil {
		return Stats{}, err
	}
	q.mu.Lock()
	paused := q.paused[program]
	q.mu.Unlock()
	running := map[uint64]bool{}
	for _, r := range q.runningOf(program) {
		running[r.turn] = true
	}
	var a active
	var t totals
	var due int64
	err := q.db.View(func(tx *kv.Txn) error {
		if err := get(tx, activeKey+program, decodeActive, &a); err != nil {
			return err
		}
		if err := get(tx, totalsKey+program, decodeTotals, &t); err != nil {
			return err
		}
		prefix := below(readyKey, program)
		for r, err := range tx.Iterate(prefix, numbered(readyKey, program, a.low)) {
			if err != nil {
				return err
			}
			turn, err := number(r.Key, prefix, 0)
			if err != nil {
				return err
			}
			if running[turn] {
				continue
			}
			s, err := decodeState(r.Value)
			due = s.due
			return err
		}
		return nil
	})
	if err != nil {
		return Stats{}, fmt.Errorf("events of program %s: %w", program, err)
	}
	s := Stats{Running: min(len(running), int(a.ready)), Delayed: int(a.delayed), DeadLetters: int(t.dead), Bytes: a.bytes, Paused: paused,
		Acknowledged: t.acknowledged, Failures: t.failures, Dropped: t.dropped}
	s.Pending = int(a.ready+a.waiting) - s.Running
	if due != 0 {
		s.Lag = time.Duration(max(0, q.clock.now()-due))
	}
	return s, nil
}

// Entry is an event in a list.
type Entry struct {
	ID       string
	Kind     uint32
	State    State
	Attempt  uint32 // the last that was begun
	Accepted time.Time
	Due      time.Time
	Died     time.Time // zero but for a dead letter
	Err      string    // of the last failure; may be empty
}

func (s *state) entry(now State) Entry {
	return Entry{s.id, s.kind, now, uint32(s.attempt), moment(s.accepted), moment(s.due), moment(s.died), s.err}
}

// List returns a program's events in a state: Pending (those that are due, in the order in which they run; not those behind another
// of their key), Running, Delayed (the next first) or Dead (the first accepted first), limit of them or MaxList if it is 0.
func (q *Queue) List(program string, in State, limit int) ([]Entry, error) {
	if err := checkProgram(program); err != nil {
		return nil, err
	}
	if limit < 0 || limit > MaxList {
		return nil, fail(kv.ErrInvalidArgument, "limit: %d, must be from 1 to %d", limit, MaxList)
	}
	if limit == 0 {
		limit = MaxList
	}
	running := q.runningOf(program)
	kind := map[State]string{Pending: readyKey, Running: readyKey, Delayed: delayedKey, Dead: deadKey}[in]
	if kind == "" {
		return nil, fail(kv.ErrInvalidArgument, "state: %q, must be pending, running, delayed or dead", in)
	}
	entries := []Entry{}
	err := q.db.View(func(tx *kv.Txn) error {
		prefix := below(kind, program)
		var a active
		var t totals
		if err := get(tx, activeKey+program, decodeActive, &a); err != nil {
			return err
		}
		if err := get(tx, totalsKey+program, decodeTotals, &t); err != nil {
			return err
		}
		from := map[string]uint64{readyKey: a.low, deadKey: t.deadLow}[kind]
		for r, err := range tx.Iterate(prefix, numbered(kind, program, from)) {
			if err != nil {
				return err
			}
			if len(entries) == limit {
				return nil
			}
			if kind == readyKey {
				turn, err := number(r.Key, prefix, 0)
				if err != nil {
					return err
				}
				if runs := slices.ContainsFunc(running, func(r *run) bool { return r.turn == turn }); runs != (in == Running) {
					continue
				}
			}
			s, err := decodeState(r.Value)
			if err != nil {
				return fmt.Errorf("%w: %q", err, r.Key)
			}
			entries = append(entries, s.entry(in))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("events of program %s: %w", program, err)
	}
	return entries, nil
}

func (q *Queue) runningOf(program string) (runs []*run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.programs[program]; p != nil {
		for _, r := range p.running {
			runs = append(runs, r)
		}
	}
	return runs
}

// Find says what has become of the event with an id: Acknowledged, also where it was a dead letter that is gone; Dead; or Pending,
// which stands here for all that is still to be delivered. It is false if the id is not known, or not anymore.
func (q *Queue) Find(program, id string) (now State, known bool, err error) {
	if err := checkProgram(program); err != nil {
		return "", false, err
	}
	if id == "" || len(id) > MaxID {
		return "", false, fail(kv.ErrInvalidArgument, "id: %d bytes, must be 1 to %d", len(id), MaxID)
	}
	err = q.db.View(func(tx *kv.Txn) error {
		var n uint64
		if known, err = lookup(tx, below(idKey, program)+id, decodeNumber, &n); err != nil || !known {
			return err
		}
		now = Acknowledged
		for _, at := range []struct {
			kind  string
			state State
		}{{eventKey, Pending}, {deadKey, Dead}} {
			_, there, err := tx.Get(numbered(at.kind, program, n))
			if err != nil {
				return err
			}
			if there {
				now = at.state
			}
		}
		return nil
	})
	return now, known, err
}

// Running is how many events run now, of all programs.
func (q *Queue) Running() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running
}

// Results returns the last results of a program, newest first.
func (q *Queue) Results(program string, limit int) ([]Result, error) {
	if err := checkProgram(program); err != nil {
		return nil, err
	}
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	results := []Result{}
	err := q.db.View(func(tx *kv.Txn) error {
		var t totals
		if err := get(tx, totalsKey+program, decodeTotals, &t); err != nil {
			return err
		}
		for n := t.results; n > t.resultsLow && len(results) < min(limit, q.opts.Results); n-- {
			var r Result
			if found, err := lookup(tx, numbered(resultKey, program, n-1), decodeResult, &r); err != nil {
				return err
			} else if found {
				results = append(results, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("results of program %s: %w", program, err)
	}
	return results, nil
}

// Pause lets none of a program's events begin until Resume, also after a restart; more are accepted. Resume lets them.
func (q *Queue) Pause(program string) error { return q.setPaused(program, true) }

// Resume ends a Pause.
func (q *Queue) Resume(program string) error { return q.setPaused(program, false) }

func (q *Queue) setPaused(program string, paused bool) error {
	if err := checkProgram(program); err != nil {
		return err
	}
	if err := q.db.GroupUpdate(func(tx *kv.Txn) error {
		if paused {
			return tx.Set(pausedKey+program, []byte{format})
		}
		return tx.Delete(pausedKey + program)
	}); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if paused {
		q.paused[program] = true
		return nil
	}
	delete(q.paused, program)
	if p := q.programs[program]; p != nil {
		q.enter(p)
		signal(q.wake)
	}
	return nil
}

// Retry has a dead letter delivered again, with a new count of failures; its attempts go on. With a key it goes behind those of its
// key.
func (q *Queue) Retry(program, id string) error { return q.letter(program, id, (*work).revive) }

// Discard deletes a dead letter. Its id stays known, as that of an event which ended.
func (q *Queue) Discard(program, id string) error { return q.letter(program, id, (*work).forget) }

// RetryAll has all of a program's dead letters delivered again, and says how many.
func (q *Queue) RetryAll(program string) (int, error) { return q.letters(program, (*work).revive) }

// DiscardAll deletes all of a program's dead letters, and says how many.
func (q *Queue) DiscardAll(program string) (int, error) { return q.letters(program, (*work).forget) }

// revive makes a dead letter an event to deliver.
func (w *work) revive(s *state) error {
	s.failures, s.returned, s.died, s.due = 0, s.attempt, 0, w.now
	w.active.bytes += s.size
	return w.enqueue(s)
}

// take takes a dead letter away, to do something with it.
func (w *work) take(number uint64, do func(*work, *state) error) (bool, error) {
	var s state
	key := numbered(deadKey, w.program, number)
	found, err := lookup(w.tx, key, decodeState, &s)
	if err != nil || !found {
		return false, err
	}
	if err := w.tx.Delete(key); err != nil {
		return false, err
	}
	less(&w.totals.dead, 1)
	less(&w.totals.deadBytes, s.size)
	return true, do(w, &s)
}

func (q *Queue) letter(program, id string, do func(*work, *state) error) error {
	if err := checkProgram(program); err != nil {
		return err
	}
	if len(id) > MaxID {
		return fail(kv.ErrInvalidArgument, "id: %d bytes, limit %d", len(id), MaxID)
	}
	return q.change(program, func(w *work) error {
		var n uint64
		found, err := lookup(w.tx, below(idKey, program)+id, decodeNumber, &n)
		if err == nil && found {
			found, err = w.take(n, do)
		}
		if err == nil && !found {
			return fail(ErrNotFound, "no dead letter of program %s has the id %q", program, id)
		}
		return err
	})
}

// change makes a change of a program's events, and tells of what it made ready.
func (q *Queue) change(program string, fn func(*work) error) error {
	var w *work
	if err := q.db.GroupUpdate(func(tx *kv.Txn) (err error) {
		if w, err = q.begin(tx, program); err != nil {
			return err
		}
		if err := fn(w); err != nil {
			return err
		}
		return w.end()
	}); err != nil {
		return err
	}
	q.notify(program, w.news)
	return nil
}

// letters goes through the dead letters that there are, some in each transaction.
func (q *Queue) letters(program string, do func(*work, *state) error) (n int, err error) {
	if err := checkProgram(program); err != nil {
		return 0, err
	}
	prefix := below(deadKey, program)
	var numbers []uint64
	if err := q.db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(prefix, "") {
			if err != nil {
				return err
			}
			number, err := number(r.Key, prefix, 0)
			if err != nil {
				return err
			}
			numbers = append(numbers, number)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	for some := range slices.Chunk(numbers, moved) {
		taken := 0
		if err := q.change(program, func(w *work) error {
			taken = 0
			for _, number := range some {
				found, err := w.take(number, do)
				if err != nil {
					return err
				}
				if found {
					taken++
				}
			}
			return nil
		}); err != nil {
			return n, err
		}
		n += taken
	}
	return n, nil
}

// Drop deletes all that there is of a program: events, dead letters, results, and that it is paused. Runs are interrupted, and what
// comes of them is dropped as well. It goes in small steps; a crash in between leaves less, to be dropped again. Call it when
// nothing is accepted for the program anymore.
func (q *Queue) Drop(program string) error {
	if err := checkProgram(program); err != nil {
		return err
	}
	q.mu.Lock()
	delete(q.paused, program)
	if p := q.programs[program]; p != nil {
		p.dropped.Store(true)
		q.setDue(p, noTime)
		for _, r := range p.running {
			r.cancel()
		}
		delete(q.programs, program)
	}
	q.mu.Unlock()
	// What says that a program has events goes last.
	for _, kind := range ofProgram {
		if err := q.deleteAll(below(kind, program)); err != nil {
			return fmt.Errorf("drop the events of program %s: %w", program, err)
		}
	}
	return q.db.GroupUpdate(func(tx *kv.Txn) error {
		for _, kind := range []string{activeKey, totalsKey, pausedKey} {
			if err := tx.Delete(kind + program); err != nil {
				return err
			}
		}
		return nil
	})
}

func (q *Queue) deleteAll(prefix string) error {
	for from := ""; ; {
		var keys []string
		if err := q.db.View(func(tx *kv.Txn) error {
			for r, err := range tx.Iterate(prefix, from) {
				if err != nil {
					return err
				}
				if keys = append(keys, r.Key); len(keys) == moved {
					break
				}
			}
			return nil
		}); err != nil || len(keys) == 0 {
			return err
		}
		if err := q.db.GroupUpdate(func(tx *kv.Txn) error {
			for _, key := range keys {
				if err := tx.Delete(key); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		from = keys[len(keys)-1]
	}
}
