package kv

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/dgraph-io/badger/v4"
)

// badgerStore is a Store in a DB. It holds no state of its own.
type badgerStore struct {
	db      *DB
	space   space
	quota   Quota
	invalid error
}

var _ Store = (*badgerStore)(nil)

// Store returns program's store, under quota. It costs nothing to make; handles of one program share their data, and each
// write counts against the quota of its own handle. A program's name is 1 to 128 bytes of UTF-8 without "/"; with another every
// operation fails with invalid_argument.
func (db *DB) Store(program string, quota Quota) Store {
	return &badgerStore{db, spaceOf(program), quota.withDefaults(), checkProgram(program)}
}

// Usage returns what program's store holds. Entries that expired within the last second or so may still count.
func (db *DB) Usage(program string) (u Usage, err error) {
	if err := checkProgram(program); err != nil {
		return Usage{}, err
	}
	err = db.read(func(t *badger.Txn) (err error) {
		u, err = readUsage(t, spaceOf(program))
		return err
	})
	return u, err
}

// dropKeys is how many keys DropStore deletes at a time: what fits a batch at 4 writes of some 1,200 bytes each.
const dropKeys = 128

// DropStore deletes all of program's store and ends its watches. It goes in small steps, whatever the store's size; a crash
// in between leaves a smaller store, to be dropped again. Call it when nothing writes to the store anymore: what is written
// meanwhile may stay.
func (db *DB) DropStore(program string) error {
	if err := checkProgram(program); err != nil {
		return err
	}
	db.hub.drop(program)
	s := spaceOf(program)
	for from := ""; ; {
		var keys []string
		err := db.read(func(t *badger.Txn) error {
			keys = firstKeys(t, s, from)
			return nil
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		cost := 0
		for _, k := range keys {
			cost += writeCost(s, k, 0)
		}
		err = db.do(cost, func(b *batch) error {
			for _, k := range keys {
				e, ok, err := b.load(s, k)
				if err == nil && ok {
					err = b.remove(s, k, e)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		from = keys[len(keys)-1]
	}
}

func firstKeys(t *badger.Txn, s space, from string) (keys []string) {
	base := s.entryKey("")
	it := t.NewIterator(badger.IteratorOptions{Prefix: base})
	defer it.Close()
	for it.Seek(s.entryKey(from)); it.Valid() && len(keys) < dropKeys; it.Next() {
		keys = append(keys, string(it.Item().Key()[len(base):]))
	}
	return keys
}

// read runs fn on a snapshot, and types its failure.
func (db *DB) read(fn func(*badger.Txn) error) error {
	if !db.enter() {
		return closed()
	}
	defer db.leave()
	t := db.badger.NewTransaction(false)
	defer t.Discard()
	if err := fn(t); err != nil {
		return unavailable(err)
	}
	return nil
}

// writeCost is the most that changing k can add to a transaction: an entry, its tail, an index key made and one deleted.
func writeCost(s space, k string, data int) int {
	return data + 4*(len(s)+len(k)+64)
}

func (s *badgerStore) Get(key string) (Value, bool, error) {
	data, kind, ok, err := s.AppendGet(nil, key)
	return Value{kind, data}, ok, err
}

func (s *badgerStore) AppendGet(dst []byte, key string) ([]byte, Kind, bool, error) {
	if err := s.check(key); err != nil {
		return dst, 0, false, err
	}
	start := len(dst)
	var e entry
	var found bool
	err := s.db.read(func(t *badger.Txn) (err error) {
		dst, e, found, err = appendEntry(dst, t, s.space, key)
		return err
	})
	if err != nil || !found || !e.live(s.db.now().UnixMilli()) {
		return dst[:start], 0, false, err
	}
	return dst, e.Kind, true, nil
}

func (s *badgerStore) Set(key string, v Value, ttl uint64) error {
	if err := s.checkWrite(key, v, ttl); err != nil {
		return err
	}
	return s.db.do(writeCost(s.space, key, len(v.Data)), func(b *batch) error { return b.set(s.space, s.quota, key, v, ttl) })
}

func (s *badgerStore) Delete(key string) (existed bool, err error) {
	if err := s.check(key); err != nil {
		return false, err
	}
	err = s.db.do(writeCost(s.space, key, 0), func(b *batch) (err error) {
		existed, err = b.delete(s.space, key)
		return err
	})
	return existed && err == nil, err
}

func (s *badgerStore) Increment(key string, delta int64) (n int64, err error) {
	if err := s.check(key); err != nil {
		return 0, err
	}
	err = s.db.do(writeCost(s.space, key, 8), func(b *batch) (err error) {
		n, err = b.increment(s.space, s.quota, key, delta)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (s *badgerStore) CompareAndSet(key string, expected *Value, v Value, ttl uint64) (bool, error) {
	if err := s.checkWrite(key, v, ttl); err != nil {
		return false, err
	}
	if expected == nil {
		swapped, _, err := s.swap(key, nil, v, ttl)
		return swapped, err
	}
	if err := checkValue("expected", *expected); err != nil {
		return false, err
	}
	// Comparing by meaning is too slow for the writer. It is done here, and the writer checks that what was compared is still
	// there to the byte; if another equal value came between, once more.
	for {
		current, ok, err := s.Get(key)
		if err != nil || !ok || !current.Equal(*expected) {
			return false, err
		}
		swapped, changed, err := s.swap(key, &current, v, ttl)
		if err != nil || !changed {
			return swapped, err
		}
	}
}

// swap sets key if it holds exactly current, or nothing where current is nil. changed: it holds something else.
func (s *badgerStore) swap(key string, current *Value, v Value, ttl uint64) (swapped, changed bool, err error) {
	err = s.db.do(writeCost(s.space, key, len(v.Data)), func(b *batch) error {
		swapped, changed = false, false
		old, stored, err := b.load(s.space, key)
		if err != nil {
			return err
		}
		live := stored && old.live(b.now)
		if live != (current != nil) || live && (old.Kind != current.Kind || !bytes.Equal(old.Data, current.Data)) {
			changed = true
			return nil
		}
		swapped = true
		return b.put(s.space, s.quota, key, old, stored, entry{v, b.expiry(ttl)})
	})
	return swapped && err == nil, changed, err
}

func (s *badgerStore) Watch(prefix string) (*Watch, error) {
	if s.invalid != nil {
		return nil, s.invalid
	}
	if err := checkText("prefix", prefix); err != nil {
		return nil, err
	}
	return s.db.hub.watch(s.space.program(), prefix, s.quota.Watches)
}

func (s *badgerStore) List(prefix string, limit int, cursor string) ([]Entry, string, error) {
	from, limit, err := s.listed(prefix, limit, cursor)
	if err != nil {
		return nil, "", err
	}
	var p page
	err = s.db.read(func(t *badger.Txn) error { return p.read(t, s.space, prefix, from, limit, s.db.now().UnixMilli()) })
	if err != nil {
		return nil, "", err
	}
	return p.entries, p.next, nil
}

// listed checks List's arguments and says from which key it begins, and how many entries it takes.
func (s *badgerStore) listed(prefix string, limit int, cursor string) (from string, most int, err error) {
	if s.invalid != nil {
		return "", 0, s.invalid
	}
	if err := checkText("prefix", prefix); err != nil {
		return "", 0, err
	}
	if limit < 0 || limit > MaxList {
		return "", 0, fail(ErrInvalidArgument, "limit: %d, must be from 1 to %d", limit, MaxList)
	}
	if limit == 0 {
		limit = DefaultList
	}
	if cursor == "" {
		return prefix, limit, nil
	}
	last, err := parseCursor(cursor, prefix)
	return last + "\x00", limit, err // the first key after it
}

// page is one answer of List.
type page struct {
	entries []Entry
	next    string
	bytes   int64
}

func (p *page) read(t *badger.Txn, s space, prefix, from string, limit int, now int64) error {
	base := len(s.entryKey(""))
	it := t.NewIterator(badger.IteratorOptions{Prefix: s.entryKey(prefix)})
	defer it.Close()
	for it.Seek(s.entryKey(from)); it.Valid(); it.Next() {
		key := string(it.Item().Key()[base:])
		_, e, err := appendItem(nil, t, it.Item(), s, key)
		if err != nil {
			return err
		}
		if !e.live(now) {
			continue
		}
		if len(p.entries) == limit || p.bytes >= MaxListBytes {
			p.next = formatCursor(p.entries[len(p.entries)-1].Key)
			return nil
		}
		p.entries = append(p.entries, Entry{key, e.Value})
		p.bytes += e.size(key)
	}
	return nil
}

// A cursor is the last key of the page before, in base64.
func formatCursor(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

func parseCursor(cursor, prefix string) (last string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	last = string(b)
	if err != nil || formatCursor(last) != cursor || checkKey(last) != nil || !strings.HasPrefix(last, prefix) {
		return "", fail(ErrInvalidArgument, "cursor: not one that List gave for this prefix")
	}
	return last, nil
}

func (s *badgerStore) check(key string) error {
	if s.invalid != nil {
		return s.invalid
	}
	return checkKey(key)
}

func (s *badgerStore) checkWrite(key string, v Value, ttl uint64) error {
	if err := s.check(key); err != nil {
		return err
	}
	if err := checkValue("value", v); err != nil {
		return err
	}
	return checkTTL(ttl)
}

func checkProgram(program string) error {
	if program == "" || len(program) > maxProgramName || strings.Contains(program, "/") || !utf8.ValidString(program) {
		return fail(ErrInvalidArgument, "program: %q, must be 1 to %d bytes of UTF-8 without \"/\"", program, maxProgramName)
	}
	return nil
}
