package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// Options of a Queue. The zero value is right for a node, but for Handler.
type Options struct {
	// Handler runs the events. It is required.
	Handler Handler

	// Policy says how a program's events are delivered. It is asked for each delivery, and must neither wait nor call the queue.
	// The default gives every program the default Policy.
	Policy func(program string) Policy

	// Settled hears of outcomes, when they are on the disk. It must not wait, and may call the queue's queries. The default is nobody.
	Settled func(Settlement)

	// Workers is how many events run at the same time. A quarter of them are only for programs of which none runs. The default
	// is 64.
	Workers int

	// Events and Bytes bound what a program has to be delivered; more is refused as quota_exceeded. The defaults are 1,000,000
	// and 1 GiB.
	Events int
	Bytes  int64

	// DeadLetters and DeadLettersBytes bound the dead letters that are kept of a program; the oldest give way. The defaults are
	// 1,000 and 64 MiB.
	DeadLetters      int
	DeadLettersBytes int64

	// Results is how many results are kept of a program. The default is 100.
	Results int

	// Remembered is of how many of a program's ended events the ids are remembered. The default is 65,536.
	Remembered int

	// MaxDepth is the greatest depth of an event that is accepted. The default is 16.
	MaxDepth uint32

	// Log is told when outcomes cannot be written, and when they can again. The default is slog.Default().
	Log *slog.Logger

	// Now is the wall clock. The default is time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() (Options, error) {
	if o.Handler == nil {
		return o, fmt.Errorf("queue: a handler is required")
	}
	if o.Policy == nil {
		o.Policy = func(string) Policy { return Policy{} }
	}
	if o.Settled == nil {
		o.Settled = func(Settlement) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxDepth == 0 {
		o.MaxDepth = 16
	}
	for _, n := range []struct {
		value *int
		name  string
		or    int
	}{{&o.Workers, "workers", 64}, {&o.Events, "events", 1_000_000}, {&o.DeadLetters, "dead letters", 1000},
		{&o.Results, "results", 100}, {&o.Remembered, "remembered", 1 << 16}} {
		if *n.value < 0 {
			return o, fmt.Errorf("queue: %s: %d, must not be negative", n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.or
		}
	}
	if o.Bytes < 0 || o.DeadLettersBytes < 0 {
		return o, fmt.Errorf("queue: bytes %d and bytes of dead letters %d must not be negative", o.Bytes, o.DeadLettersBytes)
	}
	if o.Bytes == 0 {
		o.Bytes = 1 << 30
	}
	if o.DeadLettersBytes == 0 {
		o.DeadLettersBytes = 64 << 20
	}
	return o, nil
}

// State is where an event is.
type State string

const (
	Pending      State = "pending" // due, or behind another of its key
	Running      State = "running"
	Delayed      State = "delayed" // until it is due
	Dead         State = "dead"    // a dead letter
	Acknowledged State = "acknowledged"
)

// Settlement is how an attempt ended, and where the event is now: Acknowledged, Dead, Delayed, or Pending.
type Settlement struct {
	Program string
	ID      string
	Attempt uint32
	State   State
	Err     string // why it is not acknowledged
}

// Queue is the node's events to deliver. Its methods may be called at the same time.
type Queue struct {
	db     *kv.DB
	opts   Options
	clock  *clock
	jitter func(time.Duration) time.Duration
	turns  atomic.Uint64 // the last that was given

	mu       sync.Mutex
	programs map[string]*program // those with events to deliver, or about to be known to have none
	paused   map[string]bool
	ring     []*program // those that may have something to run, in the order of their turns
	dues     dues
	running  int
	closing  bool

	wake chan struct{} // of the dispatcher: something may run
	tick chan struct{} // of the mover: something is due earlier than it thinks

	life context.Context // ends when runs are to be interrupted
	end  context.CancelFunc
	stop chan struct{}  // closed when nothing more is to begin
	work sync.WaitGroup // the dispatcher and the mover
	runs sync.WaitGroup
}

// Open starts a queue on db, which must stay open until the queue is closed. Events that were running when the last process ended
// run again.
func Open(db *kv.DB, opts Options) (*Queue, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	q := &Queue{db: db, opts: opts, jitter: jitter, programs: map[string]*program{}, paused: map[string]bool{},
		wake: make(chan struct{}, 1), tick: make(chan struct{}, 1), stop: make(chan struct{})}
	if err := q.load(); err != nil {
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	q.life, q.end = context.WithCancel(context.Background())
	q.work.Go(q.dispatch)
	q.work.Go(q.move)
	return q, nil
}

// jitter is a random time from half of d to d, so that what failed together does not come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// load reads which programs have events to deliver, nothing of the events.
func (q *Queue) load() error {
	var boot, written uint64
	if err := q.db.GroupUpdate(func(tx *kv.Txn) error {
		if err := get(tx, bootKey, decodeNumber, &boot); err != nil {
			return err
		}
		if err := get(tx, clockKey, decodeNumber, &written); err != nil {
			return err
		}
		boot++
		return tx.Set(bootKey, encodeNumber(boot))
	}); err != nil {
		return err
	}
	q.turns.Store(boot << 40) // above all turns of processes before
	q.clock = newClock(q.opts.Now, int64(written))
	return q.db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(activeKey, "") {
			if err != nil {
				return err
			}
			a, err := decodeActive(r.Value)
			if err != nil {
				return fmt.Errorf("%w: %q", err, r.Key)
			}
			p := q.program(r.Key[len(activeKey):], a.low)
			p.more = a.ready > 0
			if a.delayed > 0 {
				q.setDue(p, 0) // the mover finds out
			}
			q.enter(p)
		}
		for r, err := range tx.Iterate(pausedKey, "") {
			if err != nil {
				return err
			}
			q.paused[r.Key[len(pausedKey):]] = true
		}
		return nil
	})
}

func encodeNumber(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{format}, n) }

func decodeNumber(b []byte) (uint64, error) {
	if len(b) != 9 || b[0] != format {
		return 0, errRecord
	}
	return binary.BigEndian.Uint64(b[1:]), nil
}

func (q *Queue) encodeClock(now int64) []byte { return encodeNumber(uint64(now)) }

// next gives the numbers of events and turns, each greater than all before, also of processes before.
func (q *Queue) next() uint64 { return q.turns.Add(1) }

// Close lets nothing more begin, waits for what runs until ctx ends, interrupts it then, and waits for that. An event that was
// interrupted runs again when the queue is opened again.
func (q *Queue) Close(ctx context.Context) {
	q.mu.Lock()
	if !q.closing {
		q.closing = true
		close(q.stop)
	}
	q.mu.Unlock()
	ended := context.AfterFunc(ctx, q.end)
	defer ended()
	q.work.Wait()
	q.runs.Wait()
	q.end()
}

// Accept takes events to be delivered, up to MaxEvents, and whatever checkpoint writes, in one transaction: all of it is on the disk
// when it returns, or nothing is. fresh tells for each event whether it is new, not one with an id that is known. checkpoint may be
// nil; it runs as a function of kv.DB.GroupUpdate does, and its error is returned as it is. If one event is refused, by a
// *RefusedError, all are: leave it out, or wait, and offer the others again.
func (q *Queue) Accept(events []Event, checkpoint func(*kv.Txn) error) (fresh []bool, err error) {
	offers, err := q.offers(events)
	if err != nil {
		return nil, err
	}
	var works []*work
	if err := q.db.GroupUpdate(func(tx *kv.Txn) (err error) {
		works, err = q.accept(tx, offers, checkpoint)
		return err
	}); err != nil {
		return nil, err
	}
	fresh = make([]bool, len(offers))
	for i := range offers {
		fresh[i] = offers[i].fresh
	}
	for _, w := range works {
		q.notify(w.program, w.news)
	}
	return fresh, nil
}

// offer is an event about to be accepted.
type offer struct {
	event  *Event
	id     string
	idKey  string // empty for one that is offered once
	record []byte
	fresh  bool
	to     *work
}

// offers does what can be done outside of the transaction.
func (q *Queue) offers(events []Event) ([]offer, error) {
	if len(events) > MaxEvents {
		return nil, fail(kv.ErrInvalidArgument, "events: %d, limit %d", len(events), MaxEvents)
	}
	offers := make([]offer, len(events))
	bytes := 0
	for i := range events {
		e := &events[i]
		if err := e.check(q.opts.MaxDepth); err != nil {
			return nil, &RefusedError{i, e.Program, err}
		}
		o := offer{event: e, id: e.ID, record: encodeEvent(e)}
		if o.id == "" {
			o.id = NewID()
		}
		if !e.Once || len(o.record) > maxWhole {
			o.idKey = below(idKey, e.Program) + o.id
		}
		offers[i] = o
		bytes += len(o.record)
	}
	if bytes > MaxEventsBytes {
		return nil, fail(kv.ErrValueTooLarge, "events: %d bytes together, limit %d", bytes, MaxEventsBytes)
	}
	return offers, nil
}

// accept checks before it writes: a refusal costs the transaction's others nothing.
func (q *Queue) accept(tx *kv.Txn, offers []offer, checkpoint func(*kv.Txn) error) ([]*work, error) {
	byProgram := map[string]*work{}
	seen := map[string]bool{}
	var works []*work
	for i := range offers {
		o := &offers[i]
		w := byProgram[o.event.Program]
		if w == nil {
			var err error
			if w, err = q.beginActive(tx, o.event.Program); err != nil {
				return nil, err
			}
			byProgram[w.program] = w
			works = append(works, w)
		}
		o.to, o.fresh = w, true
		if o.idKey != "" {
			_, known, err := tx.Get(o.idKey)
			if err != nil {
				return nil, err
			}
			if o.fresh = !known && !seen[o.idKey]; !o.fresh {
				continue
			}
			seen[o.idKey] = true
		}
		w.offered++
		w.active.bytes += uint64(len(o.record))
		if n := w.active.events() + w.offered; n > uint64(q.opts.Events) {
			return nil, &RefusedError{i, w.program, fail(kv.ErrQuotaExceeded, "quota of the queue: events: %d, limit %d", n, q.opts.Events)}
		}
		if w.active.bytes > uint64(q.opts.Bytes) {
			return nil, &RefusedError{i, w.program, fail(kv.ErrQuotaExceeded, "quota of the queue: bytes: %d, limit %d", w.active.bytes, q.opts.Bytes)}
		}
	}
	if checkpoint != nil {
		if err := checkpoint(tx); err != nil {
			return nil, err
		}
	}
	for i := range offers {
		if o := &offers[i]; o.fresh {
			if err := o.to.accept(o); err != nil {
				return nil, err
			}
		}
	}
	for _, w := range works {
		if err := w.end(); err != nil {
			return nil, err
		}
	}
	return works, nil
}

func (w *work) accept(o *offer) error {
	s := state{number: w.q.next(), id: o.id, kind: o.event.Kind, line: hash(o.event.Key), size: uint64(len(o.record)),
		accepted: w.now, due: w.now + int64(o.event.Delay)}
	if o.idKey == "" {
		s.event = o.record
	} else if err := w.record(&s, o.record, o.idKey); err != nil {
		return err
	}
	return w.enqueue(&s)
}
