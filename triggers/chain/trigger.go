package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A Trigger makes events of what happens on chains. Its methods may be called at the same time.
type Trigger struct {
	db        *kv.DB
	queue     *queue.Queue
	log       *slog.Logger
	now       func() time.Time
	backoff   time.Duration
	names     []string
	followers map[string]*follower // by the chain's name

	mu         sync.Mutex
	programs   map[string][]*entry
	records    map[string]entryRecord // of the last process, by key, until Set puts them in force
	cursors    map[string]*cursor     // of the last process, by key
	identities map[string]identity
	lastCursor uint64
}

// Open reads how far the chains were read. Nothing is asked of a provider before Run.
func Open(config Config) (*Trigger, error) {
	t := &Trigger{db: config.DB, queue: config.Queue, log: config.Log, now: config.Now, backoff: defaultBackoff, followers: map[string]*follower{},
		programs: map[string][]*entry{}, records: map[string]entryRecord{}, cursors: map[string]*cursor{}, identities: map[string]identity{}}
	if t.log == nil {
		t.log = slog.Default()
	}
	if t.now == nil {
		t.now = time.Now
	}
	for _, c := range config.Chains {
		if t.followers[c.Name] != nil {
			return nil, fmt.Errorf("chain %s: is there twice; put several providers' URLs in one, with commas", c.Name)
		}
		if !validName(c.Name) || len(c.URLs) == 0 {
			return nil, fmt.Errorf("chain %q: must have a name of letters and digits, and a provider's URL", cut(c.Name, 40))
		}
		t.followers[c.Name] = newFollower(t, c)
		t.names = append(t.names, c.Name)
	}
	if err := t.load(); err != nil {
		return nil, fmt.Errorf("open the chains' triggers: %w", err)
	}
	if err := t.sweep(); err != nil {
		return nil, fmt.Errorf("open the chains' triggers: %w", err)
	}
	for name, f := range t.followers {
		f.pool.identity = t.identities[name]
	}
	return t, nil
}

// Chains are the names of the chains that are followed.
func (t *Trigger) Chains() []string { return slices.Clone(t.names) }

func (t *Trigger) load() error {
	return t.db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(entryKey, "") {
			if err != nil {
				return err
			}
			var record entryRecord
			if err := json.Unmarshal(r.Value, &record); err != nil {
				return fmt.Errorf("%w: %q", errRecord, r.Key)
			}
			t.records[r.Key] = record
			t.lastCursor = max(t.lastCursor, record.Cursor)
		}
		for name := range t.followers {
			prefix := chainKey + name + "/"
			if text, known, err := tx.Get(prefix + "identity"); err != nil {
				return err
			} else if known {
				var is identity
				if err := json.Unmarshal(text, &is); err != nil {
					return fmt.Errorf("%w: the identity of %s", errRecord, name)
				}
				t.identities[name] = is
			}
			for r, err := range tx.Iterate(prefix+"cursor/", "") {
				if err != nil {
					return err
				}
				id, err := strconv.ParseUint(r.Key[len(prefix+"cursor/"):], 16, 64)
				if err != nil {
					return fmt.Errorf("%w: %q", errRecord, r.Key)
				}
				at, err := decodePosition(r.Value)
				if err != nil {
					return fmt.Errorf("%w: %q", err, r.Key)
				}
				t.cursors[r.Key] = newCursor(id, triggers.Confirmations{}, at)
				t.lastCursor = max(t.lastCursor, id)
			}
		}
		return nil
	})
}

// sweep drops cursors that no trigger has, which the last process had no time to.
func (t *Trigger) sweep() error {
	used := map[string]bool{}
	for _, record := range t.records {
		if f := t.followers[record.Chain]; f != nil {
			used[f.cursorKey(record.Cursor)] = true
		}
	}
	return t.db.GroupUpdate(func(tx *kv.Txn) error {
		for key := range t.cursors {
			if used[key] {
				continue
			}
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// nextCursor is a cursor's id. The mutex is held.
func (t *Trigger) nextCursor() uint64 {
	t.lastCursor++
	return t.lastCursor
}

// Set puts in force what a program declares, in place of what it declared before. A trigger that is the same as before goes on where
// it was. The error is a *triggers.Error, or the database's.
func (t *Trigger) Set(program string, created time.Time, d *triggers.Declaration) error {
	var declared []triggers.Chain
	if d != nil {
		declared = d.Chains
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var entries []*entry
	for i := range declared {
		f, err := newFilter(fmt.Sprintf("chains[%d]", i), &declared[i], triggers.Confirmations{})
		if err != nil {
			return err
		}
		entries = append(entries, &entry{program: program, name: declared[i].Name, chain: declared[i].Chain, filter: f, created: created})
	}
	slices.SortFunc(entries, compareEntries)
	var changed []*entry // their records are written
	before := t.programs[program]
	for i, e := range entries {
		if old := same(before, e); old != nil {
			entries[i] = old
			continue
		}
		if !t.resume(e) {
			changed = append(changed, e)
		}
	}
	if err := t.write(program, before, entries, changed); err != nil {
		return err
	}
	for _, old := range before {
		if !slices.Contains(entries, old) {
			t.detach(old)
		}
	}
	for _, e := range entries {
		if !slices.Contains(before, e) {
			t.attach(e)
		}
	}
	if t.programs[program] = entries; len(entries) == 0 {
		delete(t.programs, program)
	}
	return nil
}

// same is the entry of before that e declares again, unchanged.
func same(before []*entry, e *entry) *entry {
	for _, old := range before {
		if old.name == e.name && old.chain == e.chain && old.filter.settled == e.filter.settled && old.filter.ordered == e.filter.ordered &&
			old.filter.same(e.filter) {
			return old
		}
	}
	return nil
}

// resume has e go on where a trigger of that name and filter was; false if there was none.
func (t *Trigger) resume(e *entry) bool {
	for _, old := range t.programs[e.program] { // with other confirmations, or in another order
		if old.name == e.name && old.chain == e.chain && old.filter.same(e.filter) {
			e.created, e.started, e.start, e.cursor = old.created, old.started, old.start, old.cursor
			return false
		}
	}
	record, known := t.records[e.key()]
	delete(t.records, e.key())
	if !known || record.Chain != e.chain || !bytes.Equal(record.Filter, e.filter.hash()) {
		return false
	}
	e.created = record.Created
	if f := t.followers[e.chain]; f != nil && record.Started {
		if c := t.cursors[f.cursorKey(record.Cursor)]; c != nil {
			e.started, e.start, e.cursor = true, record.Start, c
		}
	}
	return true
}

// write makes the records of a program what they are to be.
func (t *Trigger) write(program string, before, entries, changed []*entry) error {
	stays := map[string]bool{}
	for _, e := range entries {
		stays[e.key()] = true
	}
	var gone []string
	for _, old := range before {
		if !stays[old.key()] {
			gone = append(gone, old.key())
		}
	}
	for key := range t.recordsOf(program) {
		if !stays[key] {
			gone = append(gone, key)
			delete(t.records, key)
		}
	}
	if len(gone) == 0 && len(changed) == 0 {
		return nil
	}
	return t.db.GroupUpdate(func(tx *kv.Txn) error {
		for _, key := range gone {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		for _, e := range changed {
			if err := tx.Set(e.key(), e.record()); err != nil {
				return err
			}
		}
		return nil
	})
}

// recordsOf are the records of a program that are not in force. Most programs have none, and few have any but at the start.
func (t *Trigger) recordsOf(program string) map[string]bool {
	keys := map[string]bool{}
	if len(t.records) == 0 {
		return keys
	}
	prefix := entryKey + program + "/"
	_ = t.db.View(func(tx *kv.Txn) error { // what cannot be read stays; it does no harm
		for r, err := range tx.Iterate(prefix, "") {
			if err != nil {
				return err
			}
			if _, idle := t.records[r.Key]; idle {
				keys[r.Key] = true
			}
		}
		return nil
	})
	return keys
}

// attach has a chain's loop read for e.
func (t *Trigger) attach(e *entry) {
	f := t.followers[e.chain]
	if f == nil {
		return
	}
	c := e.cursor
	switch {
	case c == nil:
		f.fresh = append(f.fresh, e)
	case len(c.members) == 0 || c.settled == f.effective(e):
		c.settled = f.effective(e)
		c.members[e], c.stale = true, true
		if !slices.Contains(f.cursors, c) {
			f.cursors = append(f.cursors, c)
		}
	default: // its confirmations are others now: a cursor of its own
		own := newCursor(t.nextCursor(), f.effective(e), c.at)
		own.at.match = 0
		e.cursor = own
		if err := t.db.GroupUpdate(func(tx *kv.Txn) error {
			if err := tx.Set(f.cursorKey(own.id), own.at.encode()); err != nil {
				return err
			}
			return tx.Set(e.key(), e.record())
		}); err != nil {
			t.log.Error("a trigger's checkpoint cannot be written", "program", e.program, "trigger", e.name, "error", err)
		}
		own.members[e] = true
		f.cursors = append(f.cursors, own)
	}
	f.signal()
}

// detach has nobody read for e any more.
func (t *Trigger) detach(e *entry) {
	f := t.followers[e.chain]
	if f == nil {
		return
	}
	f.fresh = slices.DeleteFunc(f.fresh, func(one *entry) bool { return one == e })
	if c := e.cursor; c != nil && c.members[e] {
		delete(c.members, e)
		c.stale = true
	}
}

// Remove forgets a program and how far its triggers have read.
func (t *Trigger) Remove(program string) error { return t.Set(program, time.Time{}, nil) }

// Run follows the chains until ctx is done, and returns when all that it started has ended.
func (t *Trigger) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, f := range t.followers {
		running.Go(func() { f.run(ctx) })
	}
	running.Wait()
	<-ctx.Done()
	return nil
}

// List is how a program's triggers are doing, in the order of their names.
func (t *Trigger) List(program string) []triggers.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []triggers.Status
	for _, e := range t.programs[program] {
		list = append(list, t.status(e))
	}
	return list
}

func (t *Trigger) status(e *entry) triggers.Status {
	s := triggers.Status{Name: e.name, Kind: abi.KindName(e.filter.kind), Spec: e.filter.spec(e.chain), State: "active", Last: e.last}
	f := t.followers[e.chain]
	if f == nil {
		s.State, s.Error = "failed", "this node does not follow "+e.chain+": it was started without --chain "+e.chain+"=URL"
		return s
	}
	s.Head = f.head
	if e.cursor != nil {
		s.Position = max(e.cursor.at.next, 1) - 1
		s.Lag = s.Head - min(s.Head, s.Position)
		if e.cursor.at.next <= f.settled {
			s.State = "behind"
		}
	}
	switch {
	case f.err != nil && !errors.Is(f.err, errReplaced):
		s.State, s.Error = "failed", oneLine(f.err)
	case e.cursor != nil && e.cursor.err != nil:
		if s.State, s.Error = "waiting", oneLine(e.cursor.err); e.cursor.failed {
			s.State = "failed"
		}
	}
	return s
}

func oneLine(err error) string { return cut(strings.ReplaceAll(err.Error(), "\n", "; "), 500) }
