package queue

import (
	"fmt"
	"math"

	"github.com/aleph-edge/aleph-edge/kv"
)

// work is what one transaction does to one program's events. All of it runs in the database's writer (kv.DB.GroupUpdate), one after
// the other: what is read here is what the transaction before wrote, and turns are committed in their order.
type work struct {
	q       *Queue
	tx      *kv.Txn
	program string
	now     int64

	active active
	was    active // as it is stored
	totals totals
	had    totals

	offered uint64 // events of the Accept that this is a part of
	news    news
}

// news is what the queue in memory must hear of a program when the transaction is committed.
type news struct {
	low   uint64 // active.low
	ready bool   // an event became ready
	due   int64  // the first of those that became delayed; noTime if none did
}

const noTime = math.MaxInt64

// begin reads the program's own records.
func (q *Queue) begin(tx *kv.Txn, program string) (*work, error) {
	w, err := q.beginActive(tx, program)
	if err != nil {
		return nil, err
	}
	err = get(tx, totalsKey+program, decodeTotals, &w.totals)
	w.had = w.totals
	return w, err
}

// beginActive is begin for what ends no event: it leaves the totals alone.
func (q *Queue) beginActive(tx *kv.Txn, program string) (*work, error) {
	w := &work{q: q, tx: tx, program: program, now: q.clock.now(), news: news{due: noTime}}
	err := get(tx, activeKey+program, decodeActive, &w.active)
	w.was = w.active
	return w, err
}

// get reads a record, which stays as it is where there is none.
func get[T any](tx *kv.Txn, key string, decode func([]byte) (T, error), value *T) error {
	_, err := lookup(tx, key, decode, value)
	return err
}

func lookup[T any](tx *kv.Txn, key string, decode func([]byte) (T, error), value *T) (bool, error) {
	b, ok, err := tx.Get(key)
	if err != nil || !ok {
		return false, err
	}
	v, err := decode(b)
	if err != nil {
		return false, fmt.Errorf("%w: %q", err, key)
	}
	*value = v
	return true, nil
}

// end writes the program's own records.
func (w *work) end() error {
	w.news.low = w.active.low
	if w.active != w.was {
		if w.active.events() == 0 {
			if err := w.tx.Delete(activeKey + w.program); err != nil {
				return err
			}
		} else if err := w.tx.Set(activeKey+w.program, w.active.encode()); err != nil {
			return err
		}
	}
	if w.totals == w.had {
		return nil
	}
	return w.tx.Set(totalsKey+w.program, w.totals.encode())
}

// less is n - m, or 0 where records were lost.
func less(n *uint64, m uint64) { *n -= min(*n, m) }

// record writes an event's own records.
func (w *work) record(s *state, event []byte, idKey string) error {
	if err := w.tx.Set(numbered(eventKey, w.program, s.number), event); err != nil {
		return err
	}
	return w.tx.Set(idKey, encodeNumber(s.number))
}

// enqueue puts an event in its place: behind others of its key, among the delayed, or ready.
func (w *work) enqueue(s *state) error {
	if s.line == "" {
		return w.place(s)
	}
	var l line
	key := below(lineKey, w.program) + s.line
	led, err := lookup(w.tx, key, decodeLine, &l)
	if err != nil {
		return err
	}
	if led {
		if err := w.tx.Set(waitingIn(w.program, s.line, l.end), s.encode()); err != nil {
			return err
		}
		l.end++
		w.active.waiting++
		return w.tx.Set(key, l.encode())
	}
	if err := w.tx.Set(key, l.encode()); err != nil {
		return err
	}
	return w.place(s)
}

// place makes an event ready, or delayed until it is due.
func (w *work) place(s *state) error {
	if s.due > w.now {
		if err := w.tx.Set(clockKey, w.q.encodeClock(w.now)); err != nil {
			return err
		}
		w.active.delayed++
		w.news.due = min(w.news.due, s.due)
		return w.tx.Set(numbered(delayedKey, w.program, uint64(s.due), s.number), s.encode())
	}
	turn := w.q.next()
	if w.active.ready == 0 {
		w.active.low = turn
	}
	w.active.ready++
	w.news.ready = true
	return w.tx.Set(numbered(readyKey, w.program, turn), s.encode())
}

// promote lets the next event of a key take the place of one that has ended.
func (w *work) promote(hash string) error {
	if hash == "" {
		return nil
	}
	var l line
	key := below(lineKey, w.program) + hash
	if led, err := lookup(w.tx, key, decodeLine, &l); err != nil || !led {
		return err
	}
	for l.next < l.end {
		var s state
		from := waitingIn(w.program, hash, l.next)
		found, err := lookup(w.tx, from, decodeState, &s)
		if err != nil {
			return err
		}
		l.next++
		if !found {
			continue // only on a damaged disk
		}
		if err := w.tx.Delete(from); err != nil {
			return err
		}
		less(&w.active.waiting, 1)
		if err := w.tx.Set(key, l.encode()); err != nil {
			return err
		}
		return w.place(&s)
	}
	return w.tx.Delete(key)
}

// leave takes an event from among those to deliver; its record stays.
func (w *work) leave(turn uint64, s *state) error {
	less(&w.active.ready, 1)
	less(&w.active.bytes, s.size)
	return w.tx.Delete(numbered(readyKey, w.program, turn))
}

// acknowledge ends an event that has left.
func (w *work) acknowledge(s *state, result []byte) error {
	w.totals.acknowledged++
	if result != nil {
		r := Result{s.id, s.kind, uint32(s.attempt), moment(w.now), result}
		if err := w.tx.Set(numbered(resultKey, w.program, w.totals.results), r.encode()); err != nil {
			return err
		}
		w.totals.results++
		for n := 0; n < 2 && w.totals.results-w.totals.resultsLow > uint64(w.q.opts.Results); n++ {
			if err := w.tx.Delete(numbered(resultKey, w.program, w.totals.resultsLow)); err != nil {
				return err
			}
			w.totals.resultsLow++
		}
	}
	return w.forget(s)
}

// forget deletes an event but for its id, which is remembered until so many others have ended. One that is offered once has left with
// its state.
func (w *work) forget(s *state) error {
	if s.event != nil {
		return nil
	}
	if err := w.tx.Delete(numbered(eventKey, w.program, s.number)); err != nil {
		return err
	}
	if err := w.tx.Set(numbered(endedKey, w.program, w.totals.ended), []byte(s.id)); err != nil {
		return err
	}
	w.totals.ended++
	// Two for one, so that a smaller limit than before is reached in time.
	for n := 0; n < 2 && w.totals.ended-w.totals.endedLow > uint64(w.q.opts.Remembered); n++ {
		key := numbered(endedKey, w.program, w.totals.endedLow)
		id, ok, err := w.tx.Get(key)
		if err != nil {
			return err
		}
		w.totals.endedLow++
		if !ok {
			continue
		}
		if err := w.tx.Delete(key); err != nil {
			return err
		}
		if err := w.tx.Delete(below(idKey, w.program) + string(id)); err != nil {
			return err
		}
	}
	return nil
}

// bury makes an event that has left a dead letter. The oldest give way to it.
func (w *work) bury(s *state) error {
	if s.event != nil { // letters are found by their ids
		if err := w.record(s, s.event, below(idKey, w.program)+s.id); err != nil {
			return err
		}
		s.event = nil
	}
	s.died = w.now
	if w.totals.dead == 0 || s.number < w.totals.deadLow {
		w.totals.deadLow = s.number
	}
	w.totals.dead++
	w.totals.deadBytes += s.size
	if err := w.tx.Set(numbered(deadKey, w.program, s.number), s.encode()); err != nil {
		return err
	}
	if w.totals.dead <= uint64(w.q.opts.DeadLetters) && w.totals.deadBytes <= uint64(w.q.opts.DeadLettersBytes) {
		return nil
	}
	var oldest []state
	for r, err := range w.tx.Iterate(below(deadKey, w.program), numbered(deadKey, w.program, w.totals.deadLow)) {
		if err != nil {
			return err
		}
		s, err := decodeState(r.Value)
		if err != nil {
			return err
		}
		oldest = append(oldest, s)
		less(&w.totals.dead, 1)
		less(&w.totals.deadBytes, s.size)
		w.totals.deadLow = s.number + 1
		w.totals.dropped++
		if w.totals.dead <= uint64(w.q.opts.DeadLetters) && w.totals.deadBytes <= uint64(w.q.opts.DeadLettersBytes) || len(oldest) == dropped {
			break
		}
	}
	for i := range oldest {
		if err := w.tx.Delete(numbered(deadKey, w.program, oldest[i].number)); err != nil {
			return err
		}
		if err := w.forget(&oldest[i]); err != nil {
			return err
		}
	}
	return nil
}

// dropped is how many dead letters give way to one at most.
const dropped = 64
