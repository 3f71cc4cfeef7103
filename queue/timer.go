package queue

import (
	"container/heap"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// dues is the programs with delayed events, the one whose first is due first at the top: a heap.
type dues []*program

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].due < d[j].due }
func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

func (d *dues) Push(x any) {
	p := x.(*program)
	p.place = len(*d)
	*d = append(*d, p)
}

func (d *dues) Pop() any {
	last := len(*d) - 1
	p := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	p.place = -1
	return p
}

// setDue says when p's next delayed event is due: noTime if it has none. q.mu is held.
func (q *Queue) setDue(p *program, due int64) {
	p.due = due
	switch in := p.place >= 0; {
	case due == noTime && in:
		heap.Remove(&q.dues, p.place)
	case due == noTime:
	case in:
		heap.Fix(&q.dues, p.place)
	default:
		heap.Push(&q.dues, p)
	}
}

// move makes delayed events ready when they are due.
func (q *Queue) move() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-q.tick:
		case <-q.stop:
			return
		}
		if next := q.moveDue(); next == noTime {
			timer.Stop()
		} else {
			timer.Reset(min(max(time.Duration(next-q.clock.now()), time.Millisecond), again))
		}
	}
}

// moveDue moves what is due, and returns when the next is; noTime if nothing is delayed.
func (q *Queue) moveDue() (next int64) {
	now := q.clock.now()
	var due []*program
	q.mu.Lock()
	for len(q.dues) > 0 && q.dues[0].due <= now {
		p := q.dues[0]
		q.setDue(p, noTime) // what comes from now on says so itself
		p.holds++
		due = append(due, p)
	}
	q.mu.Unlock()
	for _, p := range due {
		later, err := q.moveOf(p, now)
		if err != nil {
			q.opts.Log.Error("delayed events cannot be made ready", "program", p.id, "error", err)
			later = now + int64(again)
		}
		q.mu.Lock()
		p.holds--
		if !p.dropped.Load() {
			q.setDue(p, min(p.due, later))
		}
		q.leave(p)
		q.mu.Unlock()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.dues) == 0 {
		return noTime
	}
	return q.dues[0].due
}

// moveOf moves up to as many as fit one transaction, and returns when there is more to do.
func (q *Queue) moveOf(p *program, now int64) (next int64, err error) {
	var keys []string
	next = noTime
	prefix := below(delayedKey, p.id)
	err = q.db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(prefix, "") {
			if err != nil {
				return err
			}
			due, err := number(r.Key, prefix, 0)
			if err != nil {
				return err
			}
			if int64(due) > now || len(keys) == moved {
				next = int64(due)
				return nil
			}
			keys = append(keys, r.Key)
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return next, err
	}
	var w *work
	err = q.db.GroupUpdate(func(tx *kv.Txn) (err error) {
		if w, err = q.beginActive(tx, p.id); err != nil || p.dropped.Load() {
			return err
		}
		for _, key := range keys {
			var s state
			found, err := lookup(tx, key, decodeState, &s)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			if err := tx.Delete(key); err != nil {
				return err
			}
			less(&w.active.delayed, 1)
			if err := w.place(&s); err != nil {
				return err
			}
		}
		return w.end()
	})
	if err == nil {
		q.notify(p.id, w.news)
	}
	return next, err
}
