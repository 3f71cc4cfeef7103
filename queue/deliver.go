package queue

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// Delivery, from the disk to the handler and back:
//
//	accept ─► ready/…  ─► window ─► run: attempt on disk ─► Handler.Run ─► outcome on disk ─┬► gone, result/…
//	            ▲  ▲       (memory)                                                        ├► dead/…
//	            │  └──────────────── mover: due ◄──────────────────────── delayed/… ◄──────┘
//	            └─ the next of a key (waiting/…), when the one before has ended
//
// The dispatcher is one goroutine: it gives programs their turns and starts a goroutine for each run. The mover is another: it makes
// delayed events ready when they are due. Both read on snapshots and write by GroupUpdate.
//
// Invariants, under Queue.mu: what is in a window or running is not at or after program.from; everything ready on the disk is in the
// window, running, or at or after from, in which case more is true or a notify is about to make it so; a program in memory that is
// not held and has none of that is taken out.

const (
	window = 64 // turns of a program in memory

	// lost is how often a process may end while it runs an event, until that is taken to be the event's fault.
	lost = 16

	// moved is how many delayed events become ready in one transaction.
	moved = 256

	// again is the time between attempts to write when that fails, and at most between two looks at the clock.
	again = time.Second
)

// program is what is in memory of a program with events to deliver.
type program struct {
	id      string
	turns   []uint64 // the window: ready events, the first to run first
	from    uint64   // the first turn that was not read
	more    bool     // there may be ready events at from or after it
	due     int64    // nothing delayed is due before; noTime if nothing is delayed
	place   int      // in Queue.dues; -1 if it is not in it
	running map[uint64]*run
	inRing  bool
	holds   int         // goroutines that use it without Queue.mu
	dropped atomic.Bool // Drop is at work, or has been: nothing is written of it anymore
}

// program returns what is in memory of a program, made from its active record where it is not. q.mu is held, but while opening.
func (q *Queue) program(id string, low uint64) *program {
	p := q.programs[id]
	if p == nil {
		p = &program{id: id, from: low, due: noTime, place: -1, running: map[uint64]*run{}}
		q.programs[id] = p
	}
	return p
}

// enter puts p in the ring. q.mu is held.
func (q *Queue) enter(p *program) {
	if !p.inRing {
		p.inRing = true
		q.ring = append(q.ring, p)
	}
}

// leave takes p out of memory if nothing needs it. q.mu is held.
func (q *Queue) leave(p *program) {
	if len(p.turns) == 0 && !p.more && p.due == noTime && len(p.running) == 0 && p.holds == 0 && !p.inRing && q.programs[p.id] == p {
		delete(q.programs, p.id)
	}
}

// notify tells of what a transaction has made ready or delayed.
func (q *Queue) notify(id string, n news) {
	if !n.ready && n.due == noTime {
		return
	}
	q.mu.Lock()
	p := q.program(id, n.low)
	if n.due < p.due {
		q.setDue(p, n.due)
	}
	earlier := n.due != noTime && q.dues[0] == p
	if n.ready {
		p.more = true
		q.enter(p)
	}
	q.mu.Unlock()
	if n.ready {
		signal(q.wake)
	}
	if earlier {
		signal(q.tick)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// dispatch runs events as long as there are workers, one of each program in turn.
func (q *Queue) dispatch() {
	for {
		q.mu.Lock()
		p, turn, fill := q.pick()
		switch {
		case p == nil:
		case fill:
			p.holds++
			p.more = false // what comes from now on says so itself
		default:
			q.begins(p, turn)
		}
		q.mu.Unlock()
		switch {
		case fill:
			q.fill(p)
		case p == nil:
			select {
			case <-q.wake:
			case <-q.stop:
				return
			}
		}
	}
}

// pick is the next event to run, or a program whose window must be read first; nil if there is neither. q.mu is held.
func (q *Queue) pick() (p *program, turn uint64, fill bool) {
	if q.closing || q.running >= q.opts.Workers {
		return nil, 0, false
	}
	for range len(q.ring) {
		p := q.ring[0]
		q.ring = q.ring[1:]
		if q.runnable(p) {
			q.ring = append(q.ring, p)
			if q.running >= q.opts.Workers-q.opts.Workers/4 && len(p.running) > 0 {
				continue // those that are left are for programs of which none runs
			}
			if len(p.turns) == 0 {
				return p, 0, true
			}
			turn, p.turns = p.turns[0], p.turns[1:]
			return p, turn, false
		}
		p.inRing = false
		q.leave(p)
	}
	return nil, 0, false
}

func (q *Queue) runnable(p *program) bool {
	return (len(p.turns) > 0 || p.more) && !p.dropped.Load() && !q.paused[p.id] && len(p.running) < q.opts.Policy(p.id).withDefaults().Concurrency
}

// fill reads p's next turns from the disk.
func (q *Queue) fill(p *program) {
	q.mu.Lock()
	from := p.from
	q.mu.Unlock()
	turns := make([]uint64, 0, window)
	prefix := below(readyKey, p.id)
	err := q.db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(prefix, numbered(readyKey, p.id, from)) {
			if err != nil {
				return err
			}
			turn, err := number(r.Key, prefix, 0)
			if err != nil {
				return err
			}
			if turns = append(turns, turn); len(turns) == window {
				break
			}
		}
		return nil
	})
	if err != nil {
		q.opts.Log.Error("the queue cannot be read", "program", p.id, "error", err)
		q.pause(again)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	p.holds--
	p.turns = append(p.turns, turns...)
	if n := len(turns); n > 0 {
		p.from = turns[n-1] + 1
	}
	p.more = p.more || len(turns) == window || err != nil
}

// pause waits, or until the queue closes.
func (q *Queue) pause(d time.Duration) (open bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-q.stop:
		return false
	}
}

// run is an attempt under way.
type run struct {
	program *program
	turn    uint64
	state   state // as start wrote it, then as finish did; the run's own
	cancel  context.CancelFunc
}

// begins starts a run. q.mu is held.
func (q *Queue) begins(p *program, turn uint64) {
	ctx, cancel := context.WithCancel(q.life)
	r := &run{program: p, turn: turn, cancel: cancel}
	p.running[turn] = r
	q.running++
	q.runs.Go(func() {
		defer cancel()
		begun := q.run(ctx, r)
		q.mu.Lock()
		delete(p.running, turn)
		q.running--
		if !begun {
			p.turns = slices.Insert(p.turns, 0, turn)
		}
		q.enter(p)
		q.mu.Unlock()
		signal(q.wake)
	})
}

// run makes one attempt. It is false if nothing could be begun, and the event is where it was.
func (q *Queue) run(ctx context.Context, r *run) bool {
	s, err := q.start(r)
	if err != nil {
		q.opts.Log.Error("an event cannot be begun", "program", r.program.id, "error", err)
		q.pause(again)
		return false
	}
	if s != Running {
		return true
	}
	d, err := q.delivery(r)
	var o Outcome
	switch {
	case err != nil:
		o = Defer(err)
	case d == nil:
		o = Reject(errRecord) // only on a damaged disk
	default:
		o = q.opts.Handler.Run(ctx, d)
		if ctx.Err() != nil && o.verdict != acknowledged {
			o = Outcome{verdict: interrupted}
		}
	}
	q.finish(r, o)
	return true
}

// start writes the attempt. It is not Running if the event has gone, or died.
func (q *Queue) start(r *run) (now State, err error) {
	p := r.program
	var w *work
	err = q.db.GroupUpdate(func(tx *kv.Txn) (err error) {
		key := numbered(readyKey, p.id, r.turn)
		found, err := lookup(tx, key, decodeState, &r.state)
		if err != nil || !found || p.dropped.Load() {
			now, w = Acknowledged, nil
			return err
		}
		s := &r.state
		if s.attempt-s.returned < lost && s.attempt < math.MaxUint32 {
			s.attempt++
			now, w = Running, nil
			return tx.Set(key, s.encode())
		}
		now = Dead
		s.err = "the node ended each time that it ran"
		if w, err = q.begin(tx, p.id); err != nil {
			return err
		}
		if err := w.die(r.turn, s); err != nil {
			return err
		}
		return w.end()
	})
	if err == nil && w != nil {
		q.settled(w, &r.state, Dead)
	}
	return now, err
}

// delivery reads the event; nil if it is not there.
func (q *Queue) delivery(r *run) (d *Delivery, err error) {
	s, found := &r.state, true
	var e Event
	if s.event != nil {
		e, err = decodeEvent(s.event)
	} else {
		err = q.db.View(func(tx *kv.Txn) error {
			found, err = lookup(tx, numbered(eventKey, r.program.id, s.number), decodeEvent, &e)
			return err
		})
	}
	if err != nil || !found {
		return nil, err
	}
	e.Program, e.ID, e.Kind, e.Once = r.program.id, s.id, s.kind, s.event != nil
	return &Delivery{Event: e, Accepted: moment(s.accepted), Due: moment(s.due), Attempt: uint32(s.attempt)}, nil
}

// finish writes an outcome, however long that takes: the event could not be told from one that runs.
func (q *Queue) finish(r *run, o Outcome) {
	warned := false
	for {
		w, now, err := q.settle(r, o)
		if err == nil {
			if warned {
				q.opts.Log.Info("outcomes can be written again", "program", r.program.id)
			}
			if w != nil {
				q.settled(w, &r.state, now)
			}
			return
		}
		if !warned {
			warned = true
			q.opts.Log.Error("an outcome cannot be written", "program", r.program.id, "event", r.state.id, "error", err)
		}
		if !q.pause(again) {
			return // it runs again when the queue is opened again
		}
	}
}

func (q *Queue) settled(w *work, s *state, now State) {
	q.notify(w.program, w.news)
	if s.err == "" || now == Acknowledged {
		q.opts.Settled(Settlement{w.program, s.id, uint32(s.attempt), now, ""})
		return
	}
	q.opts.Settled(Settlement{w.program, s.id, uint32(s.attempt), now, s.err})
}
