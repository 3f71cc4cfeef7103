package kv

import (
	"bytes"
	"errors"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// maxAttempts is how often Update runs its function before it gives up on conflicts.
const maxAttempts = 32

// View runs fn on a consistent snapshot. Its error is returned as it is.
func (db *DB) View(fn func(*Txn) error) error {
	if !db.enter() {
		return closed()
	}
	defer db.leave()
	return badgerError(db.badger.View(func(t *badger.Txn) error { return fn(&Txn{txn: t}) }))
}

// Update runs fn in a transaction and commits it: all or nothing, serializable, on disk on return. When what it read was changed
// meanwhile, fn runs again, up to 32 times (ErrConflict), so it must not have effects of its own. An error from fn is returned
// as it is and nothing is written.
func (db *DB) Update(fn func(*Txn) error) error {
	if !db.enter() {
		return closed()
	}
	defer db.leave()
	for attempt := 0; ; attempt++ {
		err := db.update(fn)
		if !errors.Is(err, badger.ErrConflict) || attempt == maxAttempts-1 {
			return badgerError(err)
		}
		time.Sleep(rand.N(50 * time.Microsecond << min(attempt, 7)))
	}
}

func (db *DB) update(fn func(*Txn) error) error {
	if err := db.writable(); err != nil {
		return err
	}
	t := db.badger.NewTransaction(true)
	defer t.Discard()
	if err := fn(&Txn{txn: t}); err != nil {
		return err
	}
	return db.commit(t)
}

// commit commits t. Errors other than a conflict or a size end all writing.
func (db *DB) commit(t *badger.Txn) error {
	err := t.Commit()
	if err == nil || errors.Is(err, badger.ErrConflict) || errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	return db.writeFailed(err)
}

// GroupUpdate is Update for many callers at a time: what waits is committed in one transaction, with one sync, together with the
// Stores' writes. Atomicity, errors and durability are those of Update. fn runs in the database's writer, perhaps twice and more:
// it must be quick, and call neither a Store nor the DB. A function that fails before it wrote costs the others nothing; one that
// fails after makes those before it in the transaction run again.
func (db *DB) GroupUpdate(fn func(*Txn) error) error {
	var failed error
	err := db.do(groupCost, func(b *batch) error {
		t := &Txn{txn: b.txn, batch: b}
		failed = fn(t)
		b.writes += t.writes
		b.bytes += t.bytes
		if failed != nil && t.writes > 0 {
			return errSpoiled
		}
		return nil
	})
	if failed != nil {
		return badgerError(failed)
	}
	return err
}

// groupCost is what a GroupUpdate is taken to write, in bytes, before it runs.
const groupCost = 1024

// Txn reads and writes records within View, Update or GroupUpdate. It is not for several goroutines, nor for use after the function
// returned.
type Txn struct {
	txn           *badger.Txn
	batch         *batch // of a GroupUpdate; otherwise nil
	writes, bytes int
}

// Get returns a copy of key's value, and whether there is one.
func (t *Txn) Get(key string) (value []byte, ok bool, err error) {
	item, err := t.txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value, err = item.ValueCopy(nil)
	return value, err == nil, err
}

// Set writes value, up to MaxRecord bytes, which must stay as it is until the transaction ends.
func (t *Txn) Set(key string, value []byte) error {
	return t.set(key, value, 0)
}

// SetTTL is Set for a value that is gone at least ttl from now, and at most a second later (Badger counts whole seconds).
func (t *Txn) SetTTL(key string, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return fail(ErrInvalidArgument, "ttl: %v, must be above 0", ttl)
	}
	expires := time.Now().Add(ttl + time.Second - 1).Unix() // rounded up
	return t.set(key, value, uint64(expires))
}

func (t *Txn) set(key string, value []byte, expires uint64) error {
	if err := checkRecordKey(key); err != nil {
		return err
	}
	if len(value) > MaxRecord {
		return fail(ErrValueTooLarge, "record %q: %d bytes, limit %d", key, len(value), MaxRecord)
	}
	t.wrote(len(key) + len(value))
	return t.txn.SetEntry(&badger.Entry{Key: []byte(key), Value: value, ExpiresAt: expires})
}

// Delete removes key; it need not be there.
func (t *Txn) Delete(key string) error {
	if err := checkRecordKey(key); err != nil {
		return err
	}
	t.wrote(len(key))
	return t.txn.Delete([]byte(key))
}

func (t *Txn) wrote(bytes int) {
	t.writes++
	t.bytes += bytes + 16 // Badger's own
}

// Record is a key and its value.
type Record struct {
	Key   string
	Value []byte // valid until the next step
}

// Iterate goes over the records below prefix in the order of their keys' bytes, beginning with the first that is not before
// from; an empty from begins at the start. It sees the transaction's own writes up to the call. A failure is the last step's
// error.
func (t *Txn) Iterate(prefix, from string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		it := t.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		defer it.Close()
		it.Seek([]byte(max(prefix, from)))
		walk(it, prefix, yield)
	}
}

// IterateBack is Iterate from the last record to the first, beginning with the last that is before a key; an empty one begins at the
// end.
func (t *Txn) IterateBack(prefix, before string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		it := t.txn.NewIterator(badger.IteratorOptions{Reverse: true})
		defer it.Close()
		from := []byte(before)
		if before == "" {
			from = []byte(prefix)
			from[len(from)-1]++ // no prefix ends in 255
		}
		it.Seek(from)
		if it.Valid() && bytes.Equal(it.Item().Key(), from) {
			it.Next()
		}
		walk(it, prefix, yield)
	}
}

// walk yields the records from where it is on, as far as they are below prefix.
func walk(it *badger.Iterator, prefix string, yield func(Record, error) bool) {
	for ; it.ValidForPrefix([]byte(prefix)); it.Next() {
		more := false
		item := it.Item()
		err := item.Value(func(value []byte) error {
			more = yield(Record{string(item.Key()), value}, nil)
			return nil
		})
		if err != nil {
			yield(Record{}, err)
			return
		}
		if !more {
			return
		}
	}
}

// checkRecordKey keeps records out of what the Stores account for.
func checkRecordKey(key string) error {
	if strings.HasPrefix(key, storePrefix) || strings.HasPrefix(key, expiryPrefix) {
		return fail(ErrInvalidArgument, "record %q: below a prefix that only a Store writes", key)
	}
	return nil
}
