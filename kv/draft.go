package kv

import (
	"crypto/sha256"
	"errors"
	"sync"
)

// Limits of a Draft: what one transaction takes beside what it is committed with.
const (
	MaxDraftWrites = 1000
	MaxDraftBytes  = 1 << 20 // of keys and values
)

// A Draft is a Store whose writes are kept back until Commit makes them part of a transaction: what a handler does to its program's
// store and the acknowledgement of its event happen together, or not at all.
//
// From its first operation on a draft sees the store as it was then, with its own writes in it. Commit repeats the writes on the
// store as it is: sets and deletes as they were, increments by adding again. It fails with ErrConflict if a value that the draft
// has read, by Get, Delete or CompareAndSet, is not there any more as it was; so no update of another is lost. The numbers that
// Increment gave are not such values: two drafts may count at the same time, and may have been given the same number. Nor are lists.
//
// Methods may be called at the same time. Close ends a draft, after which all operations fail as unavailable.
type Draft struct {
	store *badgerStore

	mu     sync.Mutex
	batch  *batch // nil: there was no operation yet
	closed bool
	reads  map[string]seen
	wrote  map[string]bool
	writes []func(*StoreTxn) error
	bytes  int
}

var _ Store = (*Draft)(nil)

// seen is what a draft has read: whether there was a value, and a hash of it.
type seen struct {
	found bool
	kind  Kind
	hash  [sha256.Size]byte
}

func see(v Value, found bool) seen {
	if !found {
		return seen{}
	}
	return seen{true, v.Kind, sha256.Sum256(v.Data)}
}

// Draft returns a draft of program's store. It holds a snapshot of the database from its first operation until it is closed.
func (db *DB) Draft(program string, quota Quota) *Draft {
	return &Draft{store: db.Store(program, quota).(*badgerStore), reads: map[string]seen{}, wrote: map[string]bool{}}
}

// do runs an operation on the snapshot.
func (d *Draft) do(run func(*batch) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fail(ErrUnavailable, "the event has ended")
	}
	if d.store.invalid != nil {
		return d.store.invalid
	}
	db := d.store.db
	if !db.enter() {
		return closed()
	}
	defer db.leave()
	if d.batch == nil {
		d.batch = &batch{txn: db.badger.NewTransaction(true), usage: map[space]Usage{}}
	}
	d.batch.start = db.now()
	d.batch.now = d.batch.start.UnixMilli()
	d.batch.changes = d.batch.changes[:0]
	err := badgerError(run(d.batch))
	if _, typed := errors.AsType[*Error](err); err == nil || typed {
		return err
	}
	return unavailable(err)
}

// load reads a key, and remembers what it had before the draft wrote it.
func (d *Draft) load(b *batch, key string) (Value, bool, error) {
	e, found, err := b.load(d.store.space, key)
	if err != nil {
		return Value{}, false, err
	}
	found = found && e.live(b.now)
	if _, known := d.reads[key]; !known && !d.wrote[key] {
		d.reads[key] = see(e.Value, found)
	}
	return e.Value, found, nil
}

// write does what Commit is to repeat.
func (d *Draft) write(key string, size int, now func() error, again func(*StoreTxn) error) error {
	size += len(key)
	if len(d.writes) >= MaxDraftWrites || d.bytes+size > MaxDraftBytes {
		return fail(ErrQuotaExceeded, "writes of one event: limits %d and %d bytes", MaxDraftWrites, MaxDraftBytes)
	}
	if err := now(); err != nil {
		return err
	}
	d.wrote[key] = true
	d.bytes += size
	d.writes = append(d.writes, again)
	return nil
}

// Get is Store.Get.
func (d *Draft) Get(key string) (v Value, found bool, err error) {
	data, kind, found, err := d.AppendGet(nil, key)
	return Value{kind, data}, found, err
}

// AppendGet is Store.AppendGet.
func (d *Draft) AppendGet(dst []byte, key string) (_ []byte, kind Kind, found bool, err error) {
	if err := d.store.check(key); err != nil {
		return dst, 0, false, err
	}
	err = d.do(func(b *batch) error {
		var v Value
		if v, found, err = d.load(b, key); err == nil && found {
			dst, kind = append(dst, v.Data...), v.Kind
		}
		return err
	})
	return dst, kind, found && err == nil, err
}

// Set is Store.Set. The value must stay as it is until the draft is closed.
func (d *Draft) Set(key string, v Value, ttl uint64) error {
	if err := d.store.checkWrite(key, v, ttl); err != nil {
		return err
	}
	return d.do(func(b *batch) error { return d.set(b, key, v, ttl) })
}

func (d *Draft) set(b *batch, key string, v Value, ttl uint64) error {
	return d.write(key, len(v.Data), func() error { return b.set(d.store.space, d.store.quota, key, v, ttl) },
		func(s *StoreTxn) error { return s.Set(key, v, ttl) })
}

// Delete is Store.Delete.
func (d *Draft) Delete(key string) (existed bool, err error) {
	if err := d.store.check(key); err != nil {
		return false, err
	}
	err = d.do(func(b *batch) error {
		if _, _, err := d.load(b, key); err != nil {
			return err
		}
		return d.write(key, 0, func() (err error) {
			existed, err = b.delete(d.store.space, key)
			return err
		}, func(s *StoreTxn) error {
			_, err := s.Delete(key)
			return err
		})
	})
	return existed && err == nil, err
}

// Increment is Store.Increment.
func (d *Draft) Increment(key string, delta int64) (n int64, err error) {
	if err := d.store.check(key); err != nil {
		return 0, err
	}
	err = d.do(func(b *batch) error {
		return d.write(key, 8, func() (err error) {
			n, err = b.increment(d.store.space, d.store.quota, key, delta)
			return err
		}, func(s *StoreTxn) error {
			_, err := s.Increment(key, delta)
			return err
		})
	})
	return n, err
}

// CompareAndSet is Store.CompareAndSet.
func (d *Draft) CompareAndSet(key string, expected *Value, v Value, ttl uint64) (swapped bool, err error) {
	if err := d.store.checkWrite(key, v, ttl); err != nil {
		return false, err
	}
	if expected != nil {
		if err := checkValue("expected", *expected); err != nil {
			return false, err
		}
	}
	err = d.do(func(b *batch) error {
		current, found, err := d.load(b, key)
		if err != nil || found != (expected != nil) || found && !current.Equal(*expected) {
			return err
		}
		swapped = true
		return d.set(b, key, v, ttl)
	})
	return swapped && err == nil, err
}

// List is Store.List.
func (d *Draft) List(prefix string, limit int, cursor string) (entries []Entry, next string, err error) {
	from, limit, err := d.store.listed(prefix, limit, cursor)
	if err != nil {
		return nil, "", err
	}
	var p page
	err = d.do(func(b *batch) error { return p.read(b.txn, d.store.space, prefix, from, limit, b.now) })
	if err != nil {
		return nil, "", err
	}
	return p.entries, p.next, nil
}

// Watch is Store.Watch: it sees what others commit.
func (d *Draft) Watch(prefix string) (*Watch, error) { return d.store.Watch(prefix) }

// Commit writes what the draft wrote in a GroupUpdate's transaction. The draft must be closed.
func (d *Draft) Commit(tx *Txn) error {
	s := tx.Store(d.store.space.program(), d.store.quota)
	for key, was := range d.reads {
		v, found, err := s.Get(key)
		if err != nil {
			return err
		}
		if see(v, found) != was {
			return fail(ErrConflict, "key %q: it was changed while the event ran", key)
		}
	}
	for _, again := range d.writes {
		if err := again(s); err != nil {
			return err
		}
	}
	return nil
}

// Empty says that nothing was written. The draft must be closed.
func (d *Draft) Empty() bool { return len(d.writes) == 0 }

// Close ends the operations. It may be called again.
func (d *Draft) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.batch != nil {
		d.batch.txn.Discard()
		d.batch = nil
	}
}
