package queue

import (
	"errors"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// settle writes the outcome of a run, and says where the event is now. The work is nil if the event has been dropped meanwhile.
func (q *Queue) settle(r *run, o Outcome) (w *work, now State, err error) {
	low := q.low(r)
	var refused error // by o.commit
	err = q.db.GroupUpdate(func(tx *kv.Txn) (err error) {
		w, refused = nil, nil
		var s state
		key := numbered(readyKey, r.program.id, r.turn)
		found, err := lookup(tx, key, decodeState, &s)
		if err != nil || !found || r.program.dropped.Load() {
			return err
		}
		if o.commit != nil {
			if refused = o.commit(tx); refused != nil {
				return refused
			}
		}
		if w, err = q.begin(tx, r.program.id); err != nil {
			return err
		}
		if now, err = w.settle(r.turn, &s, o); err != nil {
			return err
		}
		if o.verdict != interrupted { // it keeps its turn
			w.active.low = max(w.active.low, low)
		}
		r.state = s
		return w.end()
	})
	switch {
	case refused == nil || unavailable(refused):
	case errors.Is(refused, kv.ErrConflict): // what it read was changed meanwhile: nobody's fault
		return q.settle(r, Defer(refused))
	default:
		return q.settle(r, Fail(refused))
	}
	return w, now, err
}

// low is a turn before which nothing is ready, not counting r.
func (q *Queue) low(r *run) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := r.program
	low := p.from
	if len(p.turns) > 0 {
		low = min(low, p.turns[0])
	}
	for turn := range p.running {
		if turn != r.turn {
			low = min(low, turn)
		}
	}
	return low
}

// settle does what the outcome says with an event that is ready at turn.
func (w *work) settle(turn uint64, s *state, o Outcome) (State, error) {
	s.returned = s.attempt
	policy := w.q.opts.Policy(w.program).withDefaults()
	switch o.verdict {
	case interrupted:
		return Pending, w.tx.Set(numbered(readyKey, w.program, turn), s.encode())
	case acknowledged:
		s.err = ""
		if err := w.leave(turn, s); err != nil {
			return "", err
		}
		if err := w.acknowledge(s, o.result); err != nil {
			return "", err
		}
		return Acknowledged, w.promote(s.line)
	case deferred:
		s.err = o.err
		return w.again(turn, s, w.q.jitter(policy.wait(1)))
	}
	s.err = o.err
	s.failures++
	w.totals.failures++
	if o.verdict == rejected || s.failures >= uint64(policy.MaxAttempts) {
		return Dead, w.die(turn, s)
	}
	return w.again(turn, s, w.q.jitter(policy.wait(s.failures)))
}

// again has a ready event run after a wait. Its key stays its own.
func (w *work) again(turn uint64, s *state, wait time.Duration) (State, error) {
	less(&w.active.ready, 1)
	if err := w.tx.Delete(numbered(readyKey, w.program, turn)); err != nil {
		return "", err
	}
	s.due = w.now + int64(wait)
	return Delayed, w.place(s)
}

// die makes a ready event a dead letter.
func (w *work) die(turn uint64, s *state) error {
	if err := w.leave(turn, s); err != nil {
		return err
	}
	if err := w.bury(s); err != nil {
		return err
	}
	return w.promote(s.line)
}

// unavailable tells whether err is the database's that does not write, now or for good.
func unavailable(err error) bool { return errors.Is(err, kv.ErrUnavailable) }
