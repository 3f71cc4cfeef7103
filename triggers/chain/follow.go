package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/triggers"
)

const (
	longestWait   = time.Minute // between tries of what failed
	finalEvery    = time.Minute // the final block is asked for, where no trigger waits for it
	prefetched    = 4           // cursors, with more of which no scan is made ahead: each may hold a provider's longest answer
	keptBlocks    = 4096        // below the latest, of which it is known what was sent
	pruneEvery    = 16          // blocks
	maxMembers    = 500         // of a cursor, moved in one transaction
	subscribeWait = 5 * time.Second
	toldAfter     = 5 // failures in a row
)

// A follower follows one chain. Its loop is one goroutine, which reads for all of the chain's cursors, one step of each in turn.
//
// A round looks what the latest block is, gives triggers that are new a cursor, has each cursor make a step, and makes those that
// have got equally far one. A step is one range of blocks that are no longer replaced, or one block above them, or one removed.
type follower struct {
	t     *Trigger
	chain Chain
	log   *slog.Logger
	pool  *pool
	wake  chan struct{} // there is a new block, or another declaration

	tracker   tracker
	looked    time.Time // when the latest block was asked for
	finalized uint64
	finalAt   time.Time   // when that was asked for,
	finalOf   common.Hash // and what was the latest block then
	safe      uint64
	safeOf    common.Hash
	pruned    uint64
	last      atomic.Pointer[hashedLogs] // of the block that was read last: cursors follow each other
	scans     sync.WaitGroup

	subscribed atomic.Int32 // how many providers tell of new blocks

	// Under the Trigger's mutex.
	cursors []*cursor
	fresh   []*entry // without a cursor
	head    uint64
	settled uint64
	err     error // of the last round
}

func newFollower(t *Trigger, c Chain) *follower {
	f := &follower{t: t, chain: c.withDefaults(), log: t.log.With("chain", c.Name), wake: make(chan struct{}, 1)}
	f.pool = newPool(f.chain, t.now, t.backoff)
	f.tracker.pool = f.pool
	return f
}

func (f *follower) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run follows the chain until ctx is done.
func (f *follower) run(ctx context.Context) {
	var listening sync.WaitGroup
	for _, one := range f.pool.providers {
		if one.websocket() {
			listening.Go(func() { f.listen(ctx, one) })
		}
	}
	failures := 0
	for ctx.Err() == nil {
		wait := f.chain.Poll
		err := f.round(ctx) // which asks no provider that rests
		if ctx.Err() != nil {
			break
		}
		f.t.mu.Lock()
		idle := len(f.cursors) == 0 && len(f.fresh) == 0
		f.err = err
		f.t.mu.Unlock()
		switch {
		case err != nil && errors.Is(err, errReplaced):
		case err != nil:
			if failures++; failures == toldAfter {
				f.log.Warn("the chain cannot be followed", "error", err)
			}
		default:
			if failures >= toldAfter {
				f.log.Info("the chain is followed again")
			}
			if failures = 0; idle {
				wait = time.Hour
			}
		}
		select {
		case <-ctx.Done():
		case <-f.wake:
			if err != nil && !errors.Is(err, errReplaced) {
				pause(ctx, min(wait, time.Second)) // new blocks do not make a provider well
			}
		case <-time.After(wait):
		}
	}
	f.scans.Wait()
	f.pool.close() // ends the subscriptions
	listening.Wait()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// listen wakes the loop at each new block that a provider tells of. What it tells is not looked at.
func (f *follower) listen(ctx context.Context, one *provider) {
	for ctx.Err() == nil {
		f.subscribe(ctx, one)
		pause(ctx, subscribeWait)
	}
}

func (f *follower) subscribe(ctx context.Context, one *provider) {
	dial, cancel := context.WithTimeout(ctx, f.chain.Timeout)
	defer cancel()
	client, err := one.connect(dial)
	if err != nil {
		return
	}
	heads := make(chan json.RawMessage, 16)
	sub, err := client.EthSubscribe(dial, heads, "newHeads")
	if err != nil {
		return
	}
	defer sub.Unsubscribe()
	f.subscribed.Add(1)
	defer f.subscribed.Add(-1)
	f.signal() // there may have been one meanwhile
	for {
		select {
		case <-heads:
			f.signal()
		case <-sub.Err():
			return
		case <-ctx.Done():
			return
		}
	}
}

// round looks at the chain and has every cursor read as far as it may.
func (f *follower) round(ctx context.Context) error {
	f.t.mu.Lock()
	idle := len(f.cursors) == 0 && len(f.fresh) == 0
	f.t.mu.Unlock()
	if idle {
		return nil
	}
	if err := f.look(ctx); err != nil {
		return err
	}
	for {
		if err := f.admit(ctx); err != nil {
			return err
		}
		f.t.mu.Lock()
		cursors := slices.Clone(f.cursors)
		f.t.mu.Unlock()
		busy := false
		for _, c := range cursors {
			more, err := f.step(ctx, c)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil && !errors.Is(err, errReplaced) {
				if err := f.failed(c, err); err != nil {
					return err
				}
			}
			busy = busy || more && err == nil
			if f.t.now().Sub(f.looked) >= f.chain.Poll {
				if err := f.look(ctx); err != nil {
					return err
				}
			}
		}
		if err := f.merge(); err != nil {
			return err
		}
		if !busy || ctx.Err() != nil {
			return f.prune()
		}
	}
}

// look asks for the latest block, and for how far the chain is settled.
func (f *follower) look(ctx context.Context) error {
	head, err := f.pool.latest(ctx)
	if errors.Is(err, errOtherChain) && f.pool.isDevelopment() {
		f.log.Warn("the development chain has begun anew: all triggers, too")
		if err := f.reset(); err != nil {
			return err
		}
		head, err = f.pool.latest(ctx)
	}
	if err != nil {
		return err
	}
	f.looked = f.t.now()
	if err := f.tracker.advance(ctx, head); err != nil {
		f.pool.blame(err)
		return err
	}
	if err := f.remember(); err != nil {
		return err
	}
	f.t.mu.Lock()
	wantFinal, wantSafe := false, false
	for _, c := range f.cursors {
		wantFinal = wantFinal || c.settled.Tag == "finalized"
		wantSafe = wantSafe || c.settled.Tag == "safe"
	}
	f.t.mu.Unlock()
	if wantFinal && f.finalOf != head.Hash || f.looked.Sub(f.finalAt) >= finalEvery {
		number, ok, err := f.pool.tagged(ctx, "finalized")
		if err != nil {
			return err
		}
		f.finalAt, f.finalOf = f.looked, head.Hash
		if ok {
			f.finalized = max(f.finalized, min(number, uint64(head.Number)))
		}
	}
	if wantSafe && f.safeOf != head.Hash {
		number, ok, err := f.pool.tagged(ctx, "safe")
		if err != nil {
			return err
		}
		if f.safeOf = head.Hash; ok {
			f.safe = max(f.safe, min(number, uint64(head.Number)))
		}
	}
	f.t.mu.Lock()
	f.head = uint64(head.Number)
	if f.head > maxDepth {
		f.settled = max(f.settled, f.head-maxDepth)
	}
	f.settled = max(f.settled, f.finalized)
	f.t.mu.Unlock()
	return nil
}

// remember keeps which chain this is, once it is known.
func (f *follower) remember() error {
	f.t.mu.Lock()
	known := f.t.identities[f.chain.Name] == f.pool.identity
	f.t.mu.Unlock()
	if known {
		return nil
	}
	text, err := json.Marshal(f.pool.identity)
	if err != nil {
		return err
	}
	if err := f.t.db.GroupUpdate(func(tx *kv.Txn) error { return tx.Set(f.key("identity"), text) }); err != nil {
		return err
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	f.t.identities[f.chain.Name] = f.pool.identity
	return nil
}

// isDevelopment tells whether the chain is one that go-ethereum, Hardhat or Anvil run for development, which begin anew often.
func (p *pool) isDevelopment() bool { return p.identity.Chain == 1337 || p.identity.Chain == 31337 }

// reset forgets all of the chain but its triggers.
func (f *follower) reset() error {
	f.scans.Wait()
	for {
		var keys []string
		if err := f.t.db.View(func(tx *kv.Txn) error {
			for r, err := range tx.Iterate(f.key(""), "") {
				if err != nil {
					return err
				}
				if keys = append(keys, r.Key); len(keys) == maxMembers {
					break
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		if err := f.deleteAll(keys); err != nil {
			return err
		}
	}
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	for _, c := range f.cursors {
		for e := range c.members {
			e.cursor, e.started, e.start = nil, false, 0
			f.fresh = append(f.fresh, e)
		}
	}
	f.cursors, f.head, f.settled, f.finalized, f.safe, f.pruned = nil, 0, 0, 0, 0, 0
	f.tracker.headers = nil
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	f.pool.identity, f.pool.best = identity{}, 0
	for _, one := range f.pool.providers {
		one.until = time.Time{}
	}
	return nil
}

func (f *follower) deleteAll(keys []string) error {
	return f.t.db.GroupUpdate(func(tx *kv.Txn) error {
		for _, key := range keys {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// target is the last block that a cursor may read.
func (f *follower) target(of triggers.Confirmations) uint64 {
	head := uint64(f.tracker.head().Number)
	switch {
	case of.Tag == "finalized":
		return min(f.finalized, head)
	case of.Tag == "safe":
		return min(f.safe, head)
	case of.Blocks > head:
		return 0
	}
	return head - of.Blocks
}

// admit gives triggers that are new a cursor.
func (f *follower) admit(ctx context.Context) error {
	f.t.mu.Lock()
	fresh := slices.Clone(f.fresh)
	f.t.mu.Unlock()
	starts := map[int64]uint64{}
	for _, e := range fresh {
		start := e.filter.from
		if !e.filter.hasFrom {
			var known bool
			if start, known = starts[e.created.Unix()]; !known {
				var err error
				if start, err = f.firstAfter(ctx, e.created); err != nil {
					return err
				}
				starts[e.created.Unix()] = start
			}
		}
		at := position{next: start}
		if head := uint64(f.tracker.head().Number); start > f.settled && start <= head+1 && start > 0 {
			before, err := f.tracker.at(ctx, start-1)
			if err != nil {
				return err
			}
			at.parent = before.Hash
		}
		if err := f.start(e, start, at); err != nil {
			return err
		}
	}
	return nil
}

// firstAfter is the first block that is not older than that time: the one after the head, if none is.
func (f *follower) firstAfter(ctx context.Context, created time.Time) (uint64, error) {
	head := f.tracker.head()
	after := func(h header) bool { return uint64(h.Timestamp) >= uint64(max(0, created.Unix())) }
	if !after(head) {
		return uint64(head.Number) + 1, nil
	}
	high := uint64(head.Number) // is after
	low, step := high, uint64(1)
	for low > 0 { // find one that is not
		low -= min(step, low)
		h, err := f.tracker.at(ctx, low)
		if err != nil {
			return 0, err
		}
		if !after(h) {
			break
		}
		high = low
		step *= 2
	}
	for low+1 < high {
		middle := low + (high-low)/2
		h, err := f.tracker.at(ctx, middle)
		if err != nil {
			return 0, err
		}
		if after(h) {
			high = middle
		} else {
			low = middle
		}
	}
	return high, nil
}

// start gives a trigger the cursor at that position, or a new one.
func (f *follower) start(e *entry, start uint64, at position) error {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	i := slices.Index(f.fresh, e)
	if i < 0 {
		return nil // it is gone meanwhile
	}
	settled := f.effective(e)
	var c *cursor
	for _, one := range f.cursors {
		if one.settled == settled && one.at == at {
			c = one
		}
	}
	isNew := c == nil
	if isNew {
		c = newCursor(f.t.nextCursor(), settled, at)
	}
	e.started, e.start, e.cursor = true, start, c
	if err := f.t.db.GroupUpdate(func(tx *kv.Txn) error {
		if isNew {
			if err := tx.Set(f.cursorKey(c.id), at.encode()); err != nil {
				return err
			}
		}
		return tx.Set(e.key(), e.record())
	}); err != nil {
		e.started, e.start, e.cursor = false, 0, nil
		return err
	}
	f.fresh = slices.Delete(f.fresh, i, i+1)
	if isNew {
		f.cursors = append(f.cursors, c)
	}
	c.members[e], c.stale = true, true
	return nil
}

// effective are the confirmations that a trigger waits for.
func (f *follower) effective(e *entry) triggers.Confirmations {
	if e.filter.settled.IsZero() {
		return f.chain.Confirmations
	}
	return e.filter.settled
}

// merge makes cursors one that have read equally far, and forgets those without members.
func (f *follower) merge() error {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	type place struct {
		settled triggers.Confirmations
		at      position
	}
	at := map[place]*cursor{}
	for _, c := range slices.Clone(f.cursors) {
		p := place{c.settled, c.at}
		other := at[p]
		if other == nil || len(c.members) == 0 {
			if len(c.members) == 0 {
				if err := f.drop(c); err != nil {
					return err
				}
				continue
			}
			at[p] = c
			continue
		}
		if other.wait.After(f.t.now()) || c.wait.After(f.t.now()) {
			continue // it will be let go on alone
		}
		if len(c.members) > len(other.members) {
			c, other = other, c
			at[p] = other
		}
		if err := f.move(c, other); err != nil {
			return err
		}
		if err := f.drop(c); err != nil {
			return err
		}
	}
	return nil
}

// move makes from's members to's.
func (f *follower) move(from, to *cursor) error {
	for some := range slices.Chunk(slices.Collect(maps.Keys(from.members)), maxMembers) {
		if err := f.transfer(some, from, to); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) drop(c *cursor) error {
	if err := f.deleteAll([]string{f.cursorKey(c.id)}); err != nil {
		return err
	}
	f.cursors = slices.DeleteFunc(f.cursors, func(one *cursor) bool { return one == c })
	return nil
}

// prune forgets blocks that can no longer be replaced, unless a cursor stands at them.
func (f *follower) prune() error {
	f.t.mu.Lock()
	below := f.settled
	for _, c := range f.cursors {
		below = min(below, max(c.at.next, 1)-1)
	}
	if f.head > keptBlocks {
		below = max(below, f.head-keptBlocks)
	}
	f.t.mu.Unlock()
	if below < f.pruned+pruneEvery {
		return nil
	}
	for _, prefix := range []string{f.key("block/"), f.key("sent/")} {
		for {
			var keys []string
			end := fmt.Sprintf("%s%016x", prefix, below)
			if err := f.t.db.View(func(tx *kv.Txn) error {
				for r, err := range tx.Iterate(prefix, fmt.Sprintf("%s%016x", prefix, f.pruned)) {
					if err != nil {
						return err
					}
					if r.Key >= end || len(keys) == 4*maxMembers {
						break
					}
					keys = append(keys, r.Key)
				}
				return nil
			}); err != nil {
				return err
			}
			if len(keys) == 0 {
				break
			}
			if err := f.deleteAll(keys); err != nil {
				return err
			}
		}
	}
	f.pruned = below
	return nil
}
