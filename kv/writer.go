package kv

import (
	"errors"
	"math"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// The writer is one goroutine that makes every change of every Store.
//
//	Store.Set ───┐
//	Store.… ─────┤
//	DropStore ───┼► ops ─► gather ─► sweep what is due ─► apply in order, one Badger transaction ─► commit ─► watchers ─► answers
//	GroupUpdate ─┘              ▲                                                                              │
//	                            └────────────── refused for quota while more is due ◄──────────────────────────┘
//
// Invariants: nothing but the writer writes below store/ and expiry/, so what a Store's op reads there cannot change under it; an
// op writes all of its changes or none: one that fails after it wrote spoils the transaction, which is made again without it; an
// op is answered after its batch was synced.
//
// Nothing slow runs here: values are checked and JSON is compared by the callers.

const (
	// A batch is closed at so many ops or bytes. One op more, and what Badger adds, still fits MaxTransaction.
	batchOps   = 512
	batchBytes = 1 << 20

	// batchWrites is where a transaction takes no further op that did not say its cost, as batchBytes is.
	batchWrites = maxWrites / 4

	// sweepKeys is how many expired entries one transaction deletes: up to 3 keys of some 1,200 bytes each.
	sweepKeys = 256

	sweepEvery = time.Second
)

// op is one change and its answer.
type op struct {
	cost  int                // bytes that it may write, as far as it is known
	apply func(*batch) error // an *Error refuses this op; any other spoils the transaction
	err   error
	done  chan struct{}
}

type writer struct {
	db   *DB
	ops  chan *op
	stop chan struct{}
	gone chan struct{}

	due    int64 // no entry expires before this Unix millisecond
	paused int64 // no sweep before this one, after a failure
}

func startWriter(db *DB) (*writer, error) {
	w := &writer{db: db, ops: make(chan *op, batchOps), stop: make(chan struct{}), gone: make(chan struct{})}
	err := db.badger.View(func(t *badger.Txn) (err error) {
		_, w.due, err = w.expired(t, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	go w.run()
	return w, nil
}

// close ends the writer. Nobody may be in do.
func (w *writer) close() {
	close(w.stop)
	<-w.gone
}

// do hands apply to the writer and waits for its answer.
func (db *DB) do(cost int, apply func(*batch) error) error {
	if !db.enter() {
		return closed()
	}
	defer db.leave()
	o := &op{cost: cost, apply: apply, done: make(chan struct{})}
	db.writer.ops <- o
	<-o.done
	return o.err
}

func (w *writer) run() {
	defer close(w.gone)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var held []*op // refused for quota, to be tried again
	for {
		batch := held
		if len(held) == 0 && !w.sweepable() {
			select {
			case o := <-w.ops:
				batch = append(batch, o)
			case <-tick.C:
			case <-w.stop:
				return
			}
		}
		select {
		case <-w.stop: // even if there is more to sweep
			return
		default:
		}
		batch = w.gather(batch)
		if w.sweepable() {
			w.sweep()
		}
		w.commit(batch)
		held = w.answer(batch)
	}
}

// gather adds to batch what is waiting, as far as one transaction takes it.
func (w *writer) gather(batch []*op) []*op {
	cost := 0
	for _, o := range batch {
		cost += o.cost
	}
	for len(batch) < batchOps && cost < batchBytes {
		select {
		case o := <-w.ops:
			batch = append(batch, o)
			cost += o.cost
		default:
			return batch
		}
	}
	return batch
}

// commit applies ops in order: all in one transaction, if none spoils it and they fit. What shared a transaction with an op that
// spoiled it is made again without it, so every op is applied at most twice, whichever fail.
func (w *writer) commit(ops []*op) {
	limit, conflicts := len(ops), 0 // how many may share the next transaction
	for len(ops) > 0 {
		shared := min(limit, len(ops))
		n, err := w.apply(ops[:shared])
		switch {
		case err == nil:
			ops, limit, conflicts = ops[n:], len(ops)-n, 0
		case errors.Is(err, errSpoiled) && n > 0:
			limit = n
		case errors.Is(err, errSpoiled):
			ops[0].err = unavailable(ops[0].err)
			ops, limit = ops[1:], len(ops)-1
		case errors.Is(err, ErrUnavailable):
			for _, o := range ops {
				o.err = err
			}
			return
		case shared > 1: // too large together, or what one of them read was changed
			limit = shared / 2
		case errors.Is(err, badger.ErrConflict) && conflicts < maxAttempts-1:
			conflicts++
		default:
			ops[0].err = badgerError(err)
			if _, typed := errors.AsType[*Error](ops[0].err); !typed {
				ops[0].err = unavailable(err)
			}
			ops, limit, conflicts = ops[1:], len(ops)-1, 0
		}
	}
}

// errSpoiled: an op failed after it had, perhaps, written something.
var errSpoiled = errors.New("spoiled transaction")

// apply makes one transaction of the first n of ops, as many as fit, and publishes what they changed. Nothing is written if it fails;
// if that is errSpoiled, ops[n] spoiled it.
func (w *writer) apply(ops []*op) (n int, err error) {
	changes, err := w.transact(func(b *batch) error {
		for _, o := range ops {
			if b.bytes >= batchBytes || b.writes >= batchWrites {
				return nil
			}
			o.err = o.apply(b)
			if _, refused := errors.AsType[*Error](o.err); o.err != nil && !refused {
				return errSpoiled
			}
			n++
		}
		return nil
	})
	if err == nil {
		w.db.hub.publish(changes)
	}
	return n, err
}

func unavailable(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Code == ErrUnavailable {
		return e
	}
	return fail(ErrUnavailable, "store: %v", err)
}

// answer tells the callers, but for those whom a sweep may still make room for.
func (w *writer) answer(ops []*op) (held []*op) {
	for _, o := range ops {
		if errors.Is(o.err, ErrQuotaExceeded) && w.sweepable() {
			held = append(held, o)
			continue
		}
		close(o.done)
	}
	return held
}

// transact runs fn and commits what it did, with the usage that follows from it.
func (w *writer) transact(fn func(*batch) error) ([]change, error) {
	if err := w.db.writable(); err != nil {
		return nil, err
	}
	t := w.db.badger.NewTransaction(true)
	defer t.Discard()
	start := w.db.now()
	b := &batch{txn: t, start: start, now: start.UnixMilli(), usage: make(map[space]Usage), due: w.due}
	if err := fn(b); err != nil {
		return nil, err
	}
	for s, u := range b.usage {
		if err := writeUsage(t, s, u); err != nil {
			return nil, err
		}
	}
	if err := w.db.commit(t); err != nil {
		return nil, err
	}
	w.due = b.due
	return b.changes, nil
}

// sweepable tells whether an expired entry is waiting to be deleted.
func (w *writer) sweepable() bool {
	now := w.db.now().UnixMilli()
	return w.due <= now && w.paused <= now
}

// sweep deletes the entries that expired first and moves due on to those that remain.
func (w *writer) sweep() {
	_, err := w.transact(func(b *batch) error {
		keys, next, err := w.expired(b.txn, b.now)
		if err != nil {
			return err
		}
		b.due = next
		for _, key := range keys {
			if err := b.expire(key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.paused = w.db.now().Add(sweepEvery).UnixMilli()
		errorLog{w.db.log}.Errorf("deleting expired entries: %v", err)
	}
}

// expired returns up to sweepKeys keys of the expiry index that are due at now, and the time of the one after them.
func (w *writer) expired(t *badger.Txn, now int64) (keys [][]byte, next int64, err error) {
	it := t.NewIterator(badger.IteratorOptions{Prefix: []byte(expiryPrefix)})
	defer it.Close()
	// Beginning at due skips the markers of what was deleted before it.
	for it.Seek(expiryKey(w.due, spaceOf(""), "")[:len(expiryPrefix)+8]); it.Valid(); it.Next() {
		key := it.Item().KeyCopy(nil)
		expires, _, _, err := parseExpiryKey(key)
		if err != nil {
			return nil, 0, err
		}
		if expires > now || len(keys) == sweepKeys {
			return keys, expires, nil
		}
		keys = append(keys, key)
	}
	return keys, math.MaxInt64, nil
}

// batch is one transaction of the writer being made.
type batch struct {
	txn     *badger.Txn
	start   time.Time
	now     int64 // start in Unix milliseconds, rounded down
	usage   map[space]Usage
	changes []change
	due     int64
	scratch []byte

	writes, bytes int // of GroupUpdates, whose cost is not known before
}

// expiry is when a TTL of so many seconds that begins now ends, never early; 0 for none.
func (b *batch) expiry(ttl uint64) int64 {
	if ttl == 0 {
		return 0
	}
	return b.start.Add(time.Millisecond-1).UnixMilli() + int64(ttl)*1000
}

// load reads what is stored under k, expired or not; the zero entry and false if nothing is. Its data is valid until the next load.
func (b *batch) load(s space, k string) (e entry, ok bool, err error) {
	b.scratch, e, ok, err = appendEntry(b.scratch[:0], b.txn, s, k)
	return e, ok, err
}

// set is Store.Set.
func (b *batch) set(s space, q Quota, k string, v Value, ttl uint64) error {
	old, stored, err := b.load(s, k)
	if err != nil {
		return err
	}
	return b.put(s, q, k, old, stored, entry{v, b.expiry(ttl)})
}

// delete is Store.Delete.
func (b *batch) delete(s space, k string) (existed bool, err error) {
	e, stored, err := b.load(s, k)
	if err != nil || !stored {
		return false, err
	}
	if err := b.remove(s, k, e); err != nil {
		return false, err
	}
	if existed = e.live(b.now); existed {
		b.changes = append(b.changes, change{s.program(), Change{Key: k, Deleted: true}})
	}
	return existed, nil
}

// increment is Store.Increment.
func (b *batch) increment(s space, q Quota, k string, delta int64) (n int64, err error) {
	old, stored, err := b.load(s, k)
	if err != nil {
		return 0, err
	}
	var expires int64
	if stored && old.live(b.now) {
		var ok bool
		if n, ok = old.integer(); !ok {
			return 0, fail(ErrNotACounter, "key %q: its value is not an integer from %d to %d", k, math.MinInt64, math.MaxInt64)
		}
		expires = old.expires
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return 0, fail(ErrInvalidArgument, "delta: %d added to %d, limits %d and %d", delta, n, math.MinInt64, math.MaxInt64)
	}
	n += delta
	return n, b.put(s, q, k, old, stored, entry{CounterValue(n), expires})
}

// put writes e in place of old, which load gave, if q allows.
func (b *batch) put(s space, q Quota, k string, old entry, stored bool, e entry) error {
	u, err := b.used(s)
	if err != nil {
		return err
	}
	grown := e.size(k)
	if stored {
		grown -= old.size(k)
	} else {
		u.Keys++
	}
	u.Bytes += grown
	if grown > 0 && u.Bytes > q.Bytes {
		return fail(ErrQuotaExceeded, "quota of the store: store_bytes: %d, limit %d", u.Bytes, q.Bytes)
	}
	if !stored && u.Keys > q.Keys {
		return fail(ErrQuotaExceeded, "quota of the store: store_keys: %d, limit %d", u.Keys, q.Keys)
	}
	if err := writeEntry(b.txn, s, k, old, e); err != nil {
		return err
	}
	if e.expires != 0 {
		b.due = min(b.due, e.expires)
	}
	b.usage[s] = u
	b.changes = append(b.changes, change{s.program(), Change{Key: k, Value: e.Value}})
	return nil
}

// remove deletes e, which load gave.
func (b *batch) remove(s space, k string, e entry) error {
	u, err := b.used(s)
	if err != nil {
		return err
	}
	if err := removeEntry(b.txn, s, k, e); err != nil {
		return err
	}
	b.usage[s] = Usage{u.Bytes - e.size(k), u.Keys - 1}
	return nil
}

// expire deletes the entry that a key of the expiry index names, and the key.
func (b *batch) expire(key []byte) error {
	expires, s, k, err := parseExpiryKey(key)
	if err != nil {
		return err
	}
	e, ok, err := b.load(s, k)
	if err != nil {
		return err
	}
	if !ok || e.expires != expires {
		return b.txn.Delete(key) // only on a damaged disk
	}
	return b.remove(s, k, e)
}

func (b *batch) used(s space) (Usage, error) {
	if u, ok := b.usage[s]; ok {
		return u, nil
	}
	return readUsage(b.txn, s)
}
