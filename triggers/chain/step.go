package chain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
)

// Bounds of what is offered to the queue in one transaction. For blocks that may be replaced it also has what is kept of them.
const (
	batchEvents, batchBytes = queue.MaxEvents, 1 << 20
	looseEvents, looseBytes = 500, 512 << 10
)

// step has a cursor read one range or one block further; more says that there may be more to read.
func (f *follower) step(ctx context.Context, c *cursor) (more bool, err error) {
	if !f.prepare(c) {
		return false, nil
	}
	if c.at.removing {
		return f.remove(ctx, c)
	}
	head := f.tracker.head()
	if c.at.parent != (common.Hash{}) {
		if replaced, err := f.replaced(ctx, c.at.next-1, c.at.parent); err != nil {
			return false, err
		} else if replaced {
			if c.at.partial {
				return true, f.abandon(c)
			}
			return true, f.begin(c)
		}
		if c.at.next-1 > uint64(head.Number) {
			return false, nil // the provider is behind, or a reorganisation is under way
		}
	}
	target := f.target(c.settled)
	if c.at.next > target {
		return false, nil
	}
	if c.at.next <= f.settled && !c.at.partial {
		return f.scanned(ctx, c, min(target, f.settled))
	}
	h, err := f.tracker.at(ctx, c.at.next)
	if err != nil {
		return false, err
	}
	if c.at.parent != (common.Hash{}) && h.ParentHash != c.at.parent {
		return false, fmt.Errorf("%w: at block %d", errReplaced, h.Number)
	}
	if c.at.partial && c.at.hash != h.Hash {
		return true, f.abandon(c)
	}
	if c.at.next <= f.settled {
		return f.scanned(ctx, c, min(target, f.settled))
	}
	found, err := f.read(ctx, c.index, h)
	if err != nil {
		return false, err
	}
	return true, f.deliver(c, found, &h, after(uint64(h.Number), h.Hash))
}

// prepare makes the cursor's index anew if its members changed; false if it has nothing to do now.
func (f *follower) prepare(c *cursor) bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	if len(c.members) == 0 || f.t.now().Before(c.wait) {
		return false
	}
	if c.stale {
		members := make([]*entry, 0, len(c.members))
		for e := range c.members {
			members = append(members, e)
		}
		slices.SortFunc(members, compareEntries)
		c.index, c.stale = newIndex(members), false
		c.at.match = 0 // it counts members that may be others now; the queue knows what it has
	}
	return true
}

// replaced tells whether the block of that number is now another than the one that was read. A chain that is too short to tell is not.
func (f *follower) replaced(ctx context.Context, number uint64, hash common.Hash) (bool, error) {
	head := f.tracker.head()
	for number > uint64(head.Number) { // compare where the chain ends
		record, known, err := f.blockRecord(number, hash)
		if err != nil || !known || record.parent == (common.Hash{}) {
			return false, err
		}
		number, hash = number-1, record.parent
	}
	h, err := f.tracker.at(ctx, number)
	return err == nil && h.Hash != hash, err
}

func (f *follower) blockRecord(number uint64, hash common.Hash) (record blockRecord, known bool, err error) {
	err = f.t.db.View(func(tx *kv.Txn) error {
		record, known, err = f.getBlock(tx, number, hash)
		return err
	})
	return record, known, err
}

func (f *follower) getBlock(tx *kv.Txn, number uint64, hash common.Hash) (blockRecord, bool, error) {
	b, known, err := tx.Get(f.blockKey(number, hash))
	if err != nil || !known {
		return blockRecord{}, false, err
	}
	record, err := decodeBlockRecord(b)
	return record, err == nil, err
}

// begin starts the removal of the block before the next.
func (f *follower) begin(c *cursor) error {
	record, known, err := f.blockRecord(c.at.next-1, c.at.parent)
	if err != nil {
		return err
	}
	if !known {
		// Nothing of it was sent, or it is longer ago than blocks are kept.
		if f.anyFrom(c, c.at.next-1) {
			f.log.Warn("a reorganisation went further back than it is kept what programs were told", "block", c.at.next-1)
		}
		return f.set(c, position{next: c.at.next}, nil)
	}
	return f.set(c, c.at.begin(record.round), nil)
}

// anyFrom tells whether one of the cursor's members hears of that block.
func (f *follower) anyFrom(c *cursor, number uint64) bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	for e := range c.members {
		if e.start <= number {
			return true
		}
	}
	return false
}

// abandon starts the removal of what was done of a block.
func (f *follower) abandon(c *cursor) error { return f.set(c, c.at.abandon(), nil) }

// set moves a cursor, and has write take part in the transaction.
func (f *follower) set(c *cursor, at position, write func(*kv.Txn) error) error {
	err := f.t.db.GroupUpdate(func(tx *kv.Txn) error {
		if write != nil {
			if err := write(tx); err != nil {
				return err
			}
		}
		return tx.Set(f.cursorKey(c.id), at.encode())
	})
	if err == nil {
		f.moved(c, at)
	}
	return err
}

func (f *follower) moved(c *cursor, at position) {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	c.at = at
	c.failures, c.err = 0, nil
	if c.most < batchEvents {
		c.most *= 2
	}
}

// failed has a cursor rest that could not read. One of several members may be the cause, with a filter that no provider answers: after
// some failures they part.
func (f *follower) failed(c *cursor, err error) error {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	c.err, c.failed = err, true
	c.wait = f.t.now().Add(min(f.t.backoff<<min(c.failures, 10), longestWait))
	c.failures++
	c.span = max(1, c.span/2)
	if c.failures%partAfter != 0 || len(c.members) < 2 {
		return nil
	}
	members := slices.SortedFunc(maps.Keys(c.members), compareEntries)
	_, err = f.part(c, members[len(members)/2:])
	return err
}

// part gives some of a cursor's members one of their own. The mutex is held.
func (f *follower) part(c *cursor, some []*entry) (*cursor, error) {
	alone := newCursor(f.t.nextCursor(), c.settled, c.at)
	alone.at.match = 0
	if err := f.t.db.GroupUpdate(func(tx *kv.Txn) error { return tx.Set(f.cursorKey(alone.id), alone.at.encode()) }); err != nil {
		return nil, err
	}
	f.cursors = append(f.cursors, alone)
	for members := range slices.Chunk(some, maxMembers) {
		if err := f.transfer(members, c, alone); err != nil {
			return nil, err
		}
	}
	return alone, nil
}

// scanned reads a range of blocks that are no longer replaced, and meanwhile the next one.
func (f *follower) scanned(ctx context.Context, c *cursor, to uint64) (bool, error) {
	s := c.ahead
	c.ahead = nil
	if s != nil {
		<-s.done
	}
	if s == nil || s.index != c.index || s.from != c.at.next || s.err != nil {
		s = f.scan(ctx, c.index, c.at.next, to, c.span)
	}
	c.span = s.span
	if s.err != nil {
		return false, s.err
	}
	if s.to < to && c.failures == 0 && len(f.cursors) <= prefetched {
		next := &scan{done: make(chan struct{}), index: c.index, from: s.to + 1}
		c.ahead = next
		f.scans.Go(func() {
			defer close(next.done)
			made := f.scan(ctx, next.index, next.from, to, s.span)
			next.to, next.found, next.span, next.err = made.to, made.found, made.span, made.err
		})
	}
	return true, f.deliver(c, s.found, nil, after(s.to, common.Hash{}))
}

// An offering is an event to be offered to the queue, and what comes of it.
type offering struct {
	event queue.Event
	of    *occurrence
	entry *entry
	match uint32
	round uint32
}

// deliver offers to the queue what the cursor's members wait for of found, which is in order, and moves the cursor along. h is the
// block if it may be replaced; end is where the cursor is when all is done. It stops where a program takes no more.
func (f *follower) deliver(c *cursor, found []*occurrence, h *header, end position) error {
	rounds, err := f.rounds(found, h)
	if err != nil {
		return err
	}
	if c.at.partial {
		rounds[c.at.hash] = c.at.round
	}
	batch := newBatch(h != nil, c.most)
	var members []*entry
	for _, o := range found {
		members = c.index.entries(o, members[:0])
		for match, e := range members {
			if o.block.number < c.at.next || c.at.done(o.block.number, o.ordinal(), match) || e.start > o.block.number {
				continue
			}
			made := f.offering(e, o, match, rounds[o.block.hash], false)
			if batch.full(&made) {
				if stopped, err := f.offer(c, batch, h, f.before(c, &made)); err != nil || stopped {
					return err
				}
				batch = newBatch(h != nil, c.most)
			}
			batch.add(made)
		}
	}
	_, err = f.offer(c, batch, h, end)
	return err
}

// before is the position in which all that comes before an event is done.
func (f *follower) before(c *cursor, o *offering) position {
	at := position{next: o.of.block.number, partial: true, hash: o.of.block.hash, ordinal: o.of.ordinal(), match: o.match, round: o.round}
	if at.next == c.at.next {
		at.parent = c.at.parent
	}
	return at
}

// rounds are how often the blocks were removed before: an event that comes again is another.
func (f *follower) rounds(found []*occurrence, h *header) (map[common.Hash]uint32, error) {
	rounds := map[common.Hash]uint32{}
	return rounds, f.t.db.View(func(tx *kv.Txn) error {
		look := func(number uint64, hash common.Hash) error {
			if _, known := rounds[hash]; known {
				return nil
			}
			record, _, err := f.getBlock(tx, number, hash)
			rounds[hash] = record.round
			return err
		}
		if h != nil {
			return look(uint64(h.Number), h.Hash)
		}
		for _, o := range found {
			if err := look(o.block.number, o.block.hash); err != nil {
				return err
			}
		}
		return nil
	})
}

// entries adds to found the triggers that wait for an occurrence.
func (ix *index) entries(o *occurrence, found []*entry) []*entry {
	switch o.kind {
	case abi.KindBlock:
		for _, e := range ix.blocks {
			if o.block.number%e.filter.every == 0 {
				found = append(found, e)
			}
		}
		return found
	case abi.KindTransfer:
		return append(found, ix.transfers[o.to]...)
	}
	return ix.match(o.log(), found)
}

// offering makes the event of an occurrence for a trigger. Its id is the occurrence's, the trigger's name, and what tells it from the
// same one before or after its block was removed.
func (f *follower) offering(e *entry, o *occurrence, match int, round uint32, removed bool) offering {
	head := uint64(f.tracker.head().Number)
	p := payload{chain: f.chain.Name, chainID: f.pool.identity.Chain, removed: removed, confirmations: head - min(head, o.block.number),
		declared: e.filter.declared, of: o}
	id := o.id(p.chainID) + ":" + e.name
	if round > 0 {
		id += ":again-" + strconv.FormatUint(uint64(round), 10)
	}
	if removed {
		id += ":removed"
	}
	made := offering{of: o, entry: e, match: uint32(match), round: round,
		event: queue.Event{Program: e.program, ID: id, Kind: o.kind, Trigger: e.name, Payload: p.encode()}}
	if e.filter.ordered {
		made.event.Key = "chain:" + e.name
	}
	return made
}

// A batch is what one transaction takes.
type batch struct {
	offerings     []offering
	bytes         int
	events, limit int // at most
}

func newBatch(loose bool, most int) *batch {
	if loose {
		return &batch{events: min(looseEvents, most), limit: looseBytes}
	}
	return &batch{events: min(batchEvents, most), limit: batchBytes}
}

func (b *batch) full(o *offering) bool {
	return len(b.offerings) > 0 && (len(b.offerings) >= b.events || b.bytes+o.size() > b.limit)
}

func (b *batch) add(o offering) {
	b.offerings = append(b.offerings, o)
	b.bytes += o.size()
}

// size is about what an event takes, its record included.
func (o *offering) size() int { return len(o.event.Payload) + len(o.event.ID) + 256 }

// offer has the queue take a batch, and moves the cursor. Where a program takes no more, its triggers get a cursor of their own, which
// waits, and stopped says that nothing was offered.
func (f *follower) offer(c *cursor, b *batch, h *header, at position) (stopped bool, err error) {
	events := make([]queue.Event, len(b.offerings))
	for i := range b.offerings {
		events[i] = b.offerings[i].event
	}
	_, err = f.t.queue.Accept(events, func(tx *kv.Txn) error {
		if h != nil {
			if err := f.keep(tx, h, b.offerings); err != nil {
				return err
			}
		}
		return tx.Set(f.cursorKey(c.id), at.encode())
	})
	var refused *queue.RefusedError
	if errors.As(err, &refused) {
		return true, f.refused(c, refused, len(events))
	}
	if err != nil {
		return false, err
	}
	f.moved(c, at)
	f.sent(b.offerings)
	return false, nil
}

// keep writes what is known of a block that may be replaced, and what programs are told of it.
func (f *follower) keep(tx *kv.Txn, h *header, offerings []offering) error {
	number := uint64(h.Number)
	if _, known, err := tx.Get(f.blockKey(number, h.Hash)); err != nil {
		return err
	} else if !known {
		if err := tx.Set(f.blockKey(number, h.Hash), blockRecord{parent: h.ParentHash}.encode()); err != nil {
			return err
		}
	}
	var before *occurrence
	for i := range offerings {
		o := offerings[i].of
		if o == before {
			continue
		}
		before = o
		if err := tx.Set(fmt.Sprintf("%s%016x", f.sentPrefix(number, h.Hash), o.ordinal()), o.encode(nil)); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) sent(offerings []offering) {
	now := f.t.now()
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	for i := range offerings {
		offerings[i].entry.last = now
	}
}

// refused has the triggers of a program that takes no more go on alone, and later.
func (f *follower) refused(c *cursor, refused *queue.RefusedError, offered int) error {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	var its []*entry
	for e := range c.members {
		if e.program == refused.Program {
			its = append(its, e)
		}
	}
	if len(its) < len(c.members) && len(its) > 0 {
		alone, err := f.part(c, its)
		if err != nil {
			return err
		}
		c, offered = alone, 1
	}
	c.err, c.failed = refused.Err, false
	if c.most = max(1, offered/2); offered > 1 {
		return nil // perhaps it takes fewer
	}
	c.wait = f.t.now().Add(min(f.t.backoff<<min(c.failures, 10), longestWait))
	c.failures++
	c.span = 1
	return nil
}

// transfer makes some members of a cursor another's.
func (f *follower) transfer(some []*entry, from, to *cursor) error {
	for _, e := range some {
		e.cursor = to
	}
	if err := f.t.db.GroupUpdate(func(tx *kv.Txn) error {
		for _, e := range some {
			if err := tx.Set(e.key(), e.record()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		for _, e := range some {
			e.cursor = from
		}
		return err
	}
	for _, e := range some {
		delete(from.members, e)
		to.members[e] = true
	}
	from.stale, to.stale = true, true
	return nil
}

// remove tells the cursor's members that a block is no longer on the chain: what they were told of it, from the last to the first.
func (f *follower) remove(ctx context.Context, c *cursor) (bool, error) {
	number, hash := c.at.next-1, c.at.hash
	var record blockRecord
	var sent []*occurrence
	if err := f.t.db.View(func(tx *kv.Txn) (err error) {
		if record, _, err = f.getBlock(tx, number, hash); err != nil {
			return err
		}
		for r, err := range tx.Iterate(f.sentPrefix(number, hash), "") {
			if err != nil {
				return err
			}
			o, err := decodeOccurrence(slices.Clone(r.Value))
			if err != nil {
				return err
			}
			sent = append(sent, o)
		}
		return nil
	}); err != nil {
		return false, err
	}
	batch := newBatch(true, c.most)
	for _, o := range slices.Backward(sent) {
		members := c.index.entries(o, nil)
		for match := len(members) - 1; match >= 0; match-- {
			e := members[match]
			if c.at.done(number, o.ordinal(), match) || e.start > number {
				continue
			}
			made := f.offering(e, o, match, c.at.round, true)
			if batch.full(&made) {
				at := c.at
				last := &batch.offerings[len(batch.offerings)-1]
				at.ordinal, at.match = last.of.ordinal(), last.match
				if stopped, err := f.offer(c, batch, nil, at); err != nil || stopped {
					return true, err
				}
				batch = newBatch(true, c.most)
			}
			batch.add(made)
		}
	}
	// The next time that the block is on the chain, its events are new ones.
	round := max(record.round, c.at.round) + 1
	events := make([]queue.Event, len(batch.offerings))
	for i := range batch.offerings {
		events[i] = batch.offerings[i].event
	}
	at := position{next: number, parent: record.parent}
	_, err := f.t.queue.Accept(events, func(tx *kv.Txn) error {
		if err := tx.Set(f.blockKey(number, hash), blockRecord{record.parent, round}.encode()); err != nil {
			return err
		}
		return tx.Set(f.cursorKey(c.id), at.encode())
	})
	var refused *queue.RefusedError
	if errors.As(err, &refused) {
		return true, f.refused(c, refused, len(events))
	}
	if err != nil {
		return false, err
	}
	f.moved(c, at)
	f.sent(batch.offerings)
	return true, ctx.Err()
}

const (
	defaultBackoff = time.Second // the first wait of a cursor, or a provider, that failed
	partAfter      = 3           // failures
)
