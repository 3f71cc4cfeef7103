package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

const (
	storePrefix  = "store/"
	expiryPrefix = "expiry/"

	maxInline = 1<<20 - 1 // bytes of a value that Badger keeps in its tree
)

// Badger's meta byte of an entry holds its Kind and these.
const (
	metaKind    = 0x0f
	metaExpires = 0x80 // the value begins with the expiry, 8 bytes
	metaTail    = 0x40 // the value ends in the tail key's
)

// entry is a stored value and when it expires: Unix milliseconds, 0 for never.
type entry struct {
	Value
	expires int64
}

func (e entry) live(now int64) bool { return e.expires == 0 || e.expires > now }

// size is what an entry counts for in its program's quota.
func (e entry) size(key string) int64 { return int64(len(key) + len(e.Data)) }

// space is where a program's data is: every key of it begins so.
type space string

func spaceOf(program string) space { return space(storePrefix + program + "/") }

func (s space) program() string          { return strings.TrimSuffix(string(s[len(storePrefix):]), "/") }
func (s space) entryKey(k string) []byte { return s.key("k", k) }
func (s space) tailKey(k string) []byte  { return s.key("t", k) }
func (s space) usageKey() []byte         { return s.key("u", "") }

func (s space) key(what, k string) []byte {
	b := make([]byte, 0, len(s)+len(what)+len(k)+8) // Badger appends 8 bytes
	return append(append(append(b, s...), what...), k...)
}

// expiryKey is the index's key of an entry, which sorts by time.
func expiryKey(expires int64, s space, k string) []byte {
	b := append([]byte(expiryPrefix), make([]byte, 8)...)
	binary.BigEndian.PutUint64(b[len(expiryPrefix):], uint64(expires))
	return append(append(b, s[len(storePrefix):]...), k...)
}

func parseExpiryKey(b []byte) (expires int64, s space, k string, err error) {
	rest, ok := strings.CutPrefix(string(b), expiryPrefix)
	if !ok || len(rest) < 8 {
		return 0, "", "", fmt.Errorf("expiry index: broken key %q", b)
	}
	program, k, ok := strings.Cut(rest[8:], "/")
	if !ok {
		return 0, "", "", fmt.Errorf("expiry index: broken key %q", b)
	}
	return int64(binary.BigEndian.Uint64([]byte(rest[:8]))), spaceOf(program), k, nil
}

// appendEntry reads the entry of k, expired or not. Its data is appended to dst, which is returned in its place.
func appendEntry(dst []byte, t *badger.Txn, s space, k string) ([]byte, entry, bool, error) {
	item, err := t.Get(s.entryKey(k))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, entry{}, false, nil
	}
	if err != nil {
		return dst, entry{}, false, err
	}
	dst, e, err := appendItem(dst, t, item, s, k)
	return dst, e, err == nil, err
}

func appendItem(dst []byte, t *badger.Txn, item *badger.Item, s space, k string) ([]byte, entry, error) {
	meta, start := item.UserMeta(), len(dst)
	e := entry{Value: Value{Kind: Kind(meta & metaKind)}}
	err := item.Value(func(b []byte) error {
		if meta&metaExpires != 0 {
			if len(b) < 8 {
				return fmt.Errorf("entry %q of %s: cut", k, s.program())
			}
			e.expires = int64(binary.BigEndian.Uint64(b))
			b = b[8:]
		}
		dst = append(dst, b...)
		return nil
	})
	if err == nil && meta&metaTail != 0 {
		var tail *badger.Item
		if tail, err = t.Get(s.tailKey(k)); err == nil {
			err = tail.Value(func(b []byte) error {
				dst = append(dst, b...)
				return nil
			})
		}
	}
	if err != nil {
		return dst[:start], entry{}, fmt.Errorf("entry %q of %s: %w", k, s.program(), err)
	}
	e.Data = dst[start:len(dst):len(dst)]
	return dst, e, nil
}

// writeEntry puts e in place of old, which is the zero entry where there was none. The expiry index follows.
func writeEntry(t *badger.Txn, s space, k string, old, e entry) error {
	meta, data := byte(e.Kind), e.Data
	if e.expires != 0 {
		meta |= metaExpires
		data = append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(e.Data)), uint64(e.expires)), e.Data...)
	}
	if len(data) > maxInline {
		meta |= metaTail
		if err := t.Set(s.tailKey(k), data[maxInline:]); err != nil {
			return err
		}
		data = data[:maxInline]
	} else if err := removeTail(t, s, k, old); err != nil {
		return err
	}
	if old.expires != 0 && old.expires != e.expires {
		if err := t.Delete(expiryKey(old.expires, s, k)); err != nil {
			return err
		}
	}
	if e.expires != 0 && old.expires != e.expires {
		if err := t.Set(expiryKey(e.expires, s, k), nil); err != nil {
			return err
		}
	}
	return t.SetEntry(badger.NewEntry(s.entryKey(k), data).WithMeta(meta))
}

// removeEntry takes e and what belongs to it away.
func removeEntry(t *badger.Txn, s space, k string, e entry) error {
	if err := removeTail(t, s, k, e); err != nil {
		return err
	}
	if e.expires != 0 {
		if err := t.Delete(expiryKey(e.expires, s, k)); err != nil {
			return err
		}
	}
	return t.Delete(s.entryKey(k))
}

func removeTail(t *badger.Txn, s space, k string, e entry) error {
	stored := len(e.Data)
	if e.expires != 0 {
		stored += 8
	}
	if stored <= maxInline {
		return nil
	}
	return t.Delete(s.tailKey(k))
}

// Usage is what a program's store holds.
type Usage struct {
	Bytes int64 // of keys and values
	Keys  int64
}

func readUsage(t *badger.Txn, s space) (u Usage, err error) {
	item, err := t.Get(s.usageKey())
	if errors.Is(err, badger.ErrKeyNotFound) {
		return Usage{}, nil
	}
	if err != nil {
		return Usage{}, err
	}
	err = item.Value(func(b []byte) error {
		if len(b) != 16 {
			return fmt.Errorf("usage of %s: %d bytes, must be 16", s.program(), len(b))
		}
		u.Bytes = int64(binary.BigEndian.Uint64(b))
		u.Keys = int64(binary.BigEndian.Uint64(b[8:]))
		return nil
	})
	return u, err
}

// writeUsage records u; nothing stays of an empty store.
func writeUsage(t *badger.Txn, s space, u Usage) error {
	if u == (Usage{}) {
		return t.Delete(s.usageKey())
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(u.Bytes))
	return t.Set(s.usageKey(), binary.BigEndian.AppendUint64(b, uint64(u.Keys)))
}
