package chain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/aleph-edge/aleph-edge/abi"
)

const (
	wholeBlocks = 32   // blocks of a range that are read with their transactions, or each on its own
	suspicious  = 100  // logs of an answer of which the end is asked for again
	crowded     = 5000 // logs of a range after which it does not grow
	overcrowded = 4 * crowded
)

// A scan is what a range of blocks has that is waited for.
type scan struct {
	index    *index
	from, to uint64 // both included
	found    []*occurrence
	span     uint64 // of the next
	err      error
	done     chan struct{} // closed when the rest is there, if it is made in the background
}

// scan reads blocks that are no longer replaced, at most span of them and no further than to.
func (f *follower) scan(ctx context.Context, ix *index, from, to, span uint64) *scan {
	s := &scan{index: ix, from: from, span: span}
	if len(ix.transfers) > 0 || f.chain.Thorough {
		span = min(span, wholeBlocks)
	}
	for _, e := range ix.blocks {
		span = min(span, wholeBlocks*e.filter.every)
	}
	for {
		s.to = min(from+span-1, to)
		s.found, s.err = f.readRange(ctx, ix, from, s.to)
		if s.err == nil || ctx.Err() != nil {
			break
		}
		if s.to == from {
			s.found, s.err = f.readNumber(ctx, ix, from)
			break
		}
		// Half of it, whatever the fault: providers say in many ways that a range is too large.
		span = max(1, (s.to-from+1)/2)
		s.span = span
		if !isFault(s.err, faultLarge) {
			break
		}
	}
	switch {
	case s.err != nil || len(s.found) > overcrowded:
		s.span = max(1, s.span/2)
	case len(s.found) < crowded:
		s.span = min(2*s.span, f.chain.Range)
	}
	return s
}

// readNumber reads one block, whose logs there may be other ways to get.
func (f *follower) readNumber(ctx context.Context, ix *index, number uint64) ([]*occurrence, error) {
	h, err := f.pool.byNumber(ctx, number)
	if err != nil {
		return nil, err
	}
	return f.read(ctx, ix, h)
}

// readRange reads the blocks from and to and those between.
func (f *follower) readRange(ctx context.Context, ix *index, from, to uint64) ([]*occurrence, error) {
	var found []*occurrence
	if f.chain.Thorough {
		read := make([][]*occurrence, to-from+1)
		err := each(ctx, len(read), func(ctx context.Context, i int) (err error) {
			read[i], err = f.readNumber(ctx, ix, from+uint64(i))
			return err
		})
		return slices.Concat(read...), err
	}
	for i := range ix.queries {
		logs, err := f.logsBetween(ctx, &ix.queries[i], from, to)
		if err != nil {
			return nil, err
		}
		dated, err := f.dated(ctx, logs)
		if err != nil {
			return nil, err
		}
		found = append(found, dated...)
	}
	if len(ix.transfers) > 0 || len(ix.blocks) > 0 {
		read := make([][]*occurrence, to-from+1)
		if err := each(ctx, len(read), func(ctx context.Context, i int) (err error) {
			number := from + uint64(i)
			if len(ix.transfers) == 0 && !ix.blockDue(number) {
				return nil
			}
			h, err := f.pool.byNumber(ctx, number)
			if err == nil {
				read[i], err = f.wholeBlock(ctx, ix, h)
			}
			return err
		}); err != nil {
			return nil, err
		}
		found = slices.Concat(append(read, found)...)
	}
	slices.SortStableFunc(found, compareOccurrences)
	return slices.CompactFunc(found, func(a, b *occurrence) bool { return compareOccurrences(a, b) == 0 }), nil
}

func compareOccurrences(a, b *occurrence) int {
	return cmp.Or(cmp.Compare(a.block.number, b.block.number), cmp.Compare(a.ordinal(), b.ordinal()))
}

// logsBetween are the logs that the query gives in a range. A provider that leaves out the end of a long answer, or what a block's
// bloom says that it has, is found out, and another asked.
func (f *follower) logsBetween(ctx context.Context, q *query, from, to uint64) (logs []contractLog, err error) {
	err = f.pool.do(ctx, from < to, func(ctx context.Context, one *provider) (err error) {
		if logs, err = one.logsBetween(ctx, q, from, to); err != nil {
			return err
		}
		if n := len(logs); n >= suspicious {
			last := uint64(logs[n-1].BlockNumber)
			again, err := one.logsBetween(ctx, q, last, to)
			if err != nil {
				return err
			}
			if tail := len(logs) - firstOf(logs, last); len(again) != tail {
				return one.fail(faultLie, fmt.Errorf("it left out logs: in blocks %d to %d first there were %d, then %d", last, to, tail, len(again)))
			}
		}
		if f.chain.NoBloom {
			return nil
		}
		return one.audit(ctx, q, logs, from+rand.Uint64N(to-from+1))
	})
	return logs, err
}

// firstOf is where the logs of a block or a later one begin.
func firstOf(logs []contractLog, number uint64) int {
	i, _ := slices.BinarySearchFunc(logs, number, func(l contractLog, n uint64) int { return cmp.Compare(uint64(l.BlockNumber), n) })
	return i
}

func (p *provider) logsBetween(ctx context.Context, q *query, from, to uint64) ([]contractLog, error) {
	var logs logList
	if err := p.call(ctx, &logs, "eth_getLogs", q.between(from, to)); err != nil {
		return nil, err
	}
	for i := range logs {
		l := &logs[i]
		number := uint64(l.BlockNumber)
		if number < from || number > to || !q.has(l) {
			return nil, p.fail(faultLie, fmt.Errorf("asked for logs of blocks %d to %d, it gave one of block %d", from, to, number))
		}
		if i == 0 {
			continue
		}
		before := &logs[i-1]
		if number < uint64(before.BlockNumber) || number == uint64(before.BlockNumber) && (l.Index <= before.Index || l.BlockHash != before.BlockHash) {
			return nil, p.fail(faultLie, fmt.Errorf("logs of block %d are out of order, or of two blocks", number))
		}
	}
	return logs, nil
}

// audit compares the logs of one block of a range with its header.
func (p *provider) audit(ctx context.Context, q *query, logs []contractLog, number uint64) error {
	var h header
	if err := p.call(ctx, &h, "eth_getBlockByNumber", hexutil.Uint64(number), false); err != nil {
		return err
	}
	i := firstOf(logs, number)
	if i < len(logs) && uint64(logs[i].BlockNumber) == number {
		if logs[i].BlockHash != h.Hash {
			return p.fail(faultLie, fmt.Errorf("its logs of block %d are of %s, its block is %s", number, logs[i].BlockHash, h.Hash))
		}
		return nil
	}
	if !q.may(&h.LogsBloom) {
		return nil
	}
	of := *q
	of.BlockHash = &h.Hash
	var missing logList
	if err := p.call(ctx, &missing, "eth_getLogs", of); err != nil {
		return err
	}
	if len(missing) > 0 {
		return p.fail(faultLie, fmt.Errorf("it left out logs of block %d", number))
	}
	return nil
}

// may says whether a block with that bloom may have logs that the query asks for.
func (q *query) may(b *bloom) bool {
	some := len(q.Address) == 0
	for _, a := range q.Address {
		some = some || b.has(bitsOf(a[:]))
	}
	for _, wanted := range q.Topics {
		has := len(wanted) == 0
		for _, topic := range wanted {
			has = has || b.has(bitsOf(topic[:]))
		}
		some = some && has
	}
	return some
}

// dated gives logs their blocks' times, for which not all providers need be asked.
func (f *follower) dated(ctx context.Context, logs []contractLog) ([]*occurrence, error) {
	var undated []uint64
	for i := range logs {
		if n := uint64(logs[i].BlockNumber); logs[i].BlockTime == nil && (len(undated) == 0 || undated[len(undated)-1] != n) {
			undated = append(undated, n)
		}
	}
	times := make([]uint64, len(undated))
	if err := each(ctx, len(undated), func(ctx context.Context, i int) error {
		h, err := f.pool.byNumber(ctx, undated[i])
		times[i] = uint64(h.Timestamp)
		return err
	}); err != nil {
		return nil, err
	}
	made := make([]*occurrence, len(logs))
	for i := range logs {
		l := &logs[i]
		var time uint64
		if l.BlockTime != nil {
			time = uint64(*l.BlockTime)
		} else {
			n, _ := slices.BinarySearch(undated, uint64(l.BlockNumber))
			time = times[n]
		}
		made[i] = logOccurrence(l, time)
	}
	return made, nil
}

// blockDue says whether a trigger waits for the block itself.
func (ix *index) blockDue(number uint64) bool {
	return slices.ContainsFunc(ix.blocks, func(e *entry) bool { return number%e.filter.every == 0 })
}

// wholeBlock is the block itself, if it is waited for, and its transfers.
func (f *follower) wholeBlock(ctx context.Context, ix *index, h header) (found []*occurrence, err error) {
	ref := blockRef{number: uint64(h.Number), hash: h.Hash, time: uint64(h.Timestamp)}
	if ix.blockDue(ref.number) {
		itself := ref
		itself.parent = h.ParentHash
		found = append(found, &occurrence{kind: abi.KindBlock, block: itself})
	}
	if len(ix.transfers) == 0 {
		return found, nil
	}
	var transfers []*occurrence
	err = f.pool.do(ctx, false, func(ctx context.Context, one *provider) error {
		transfers = nil
		var b block
		if err := one.call(ctx, &b, "eth_getBlockByHash", h.Hash, true); err != nil {
			return err
		}
		if b.Hash != h.Hash {
			return one.fail(faultLie, fmt.Errorf("asked for block %s, it gave %s", h.Hash, b.Hash))
		}
		for i := range b.Transactions {
			tx := &b.Transactions[i]
			if tx.To == nil || tx.Value == nil || tx.Value.ToInt().Sign() <= 0 || len(ix.transfers[*tx.To]) == 0 {
				continue
			}
			ok, err := one.succeeded(ctx, tx.Hash, h.Hash)
			if err != nil {
				return err
			}
			if ok {
				transfers = append(transfers, &occurrence{kind: abi.KindTransfer, block: ref, tx: tx.Hash, index: uint64(tx.Index),
					from: tx.From, to: *tx.To, value: tx.Value.ToInt()})
			}
		}
		return nil
	})
	return append(found, transfers...), err
}

// succeeded says whether a transaction was not reverted: one that was has moved nothing.
func (p *provider) succeeded(ctx context.Context, tx, block common.Hash) (bool, error) {
	var r receipt
	if err := p.call(ctx, &r, "eth_getTransactionReceipt", tx); err != nil {
		return false, err
	}
	if r.TransactionHash != tx || r.BlockHash != block {
		return false, p.fail(faultMissing, fmt.Errorf("the receipt of %s is of block %s, not %s", tx, r.BlockHash, block))
	}
	return r.Status == nil || *r.Status == 1, nil
}

// blockLogs are all logs of a block that may still be replaced, asked for by its hash. They must have the header's bloom.
func (f *follower) blockLogs(ctx context.Context, ix *index, h header) (logs []contractLog, err error) {
	if !f.chain.NoBloom && !ix.may(&h.LogsBloom) {
		return nil, nil
	}
	if known := f.last.Load(); known != nil && known.hash == h.Hash {
		return known.logs, nil
	}
	err = f.pool.do(ctx, false, func(ctx context.Context, one *provider) error {
		fromLogs := one.call(ctx, (*logList)(&logs), "eth_getLogs", query{BlockHash: &h.Hash})
		if fromLogs == nil {
			if fromLogs = f.checkBlock(one, h, logs); fromLogs == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var receipts []receipt // which some providers answer though they cut logs off
		if err := one.call(ctx, &receipts, "eth_getBlockReceipts", h.Hash); err != nil {
			return fromLogs
		}
		logs = nil
		for i := range receipts {
			logs = append(logs, receipts[i].Logs...)
		}
		if f.checkBlock(one, h, logs) != nil {
			return fromLogs
		}
		return nil
	})
	if err == nil {
		f.last.Store(&hashedLogs{h.Hash, logs})
	}
	return logs, err
}

// hashedLogs are all logs of a block.
type hashedLogs struct {
	hash common.Hash
	logs []contractLog
}

// checkBlock says what is wrong with all logs of a block.
func (f *follower) checkBlock(one *provider, h header, logs []contractLog) error {
	for i := range logs {
		l := &logs[i]
		if l.BlockHash != h.Hash || l.BlockNumber != h.Number {
			return one.fail(faultLie, fmt.Errorf("asked for logs of block %s, it gave one of %s", h.Hash, l.BlockHash))
		}
		if uint64(l.Index) != uint64(i) {
			return one.fail(faultLie, fmt.Errorf("it left out log %d of block %d", i, h.Number))
		}
	}
	if !f.chain.NoBloom && bloomOf(logs) != h.LogsBloom {
		return one.fail(faultLie, fmt.Errorf("%w: %d logs of block %d", errBloom, len(logs), h.Number))
	}
	return nil
}

var errBloom = errors.New("the logs are not those that the block's bloom tells of (bloom=off for chains whose blooms do not)")

// read is what a block has that is waited for, in order.
func (f *follower) read(ctx context.Context, ix *index, h header) ([]*occurrence, error) {
	found, err := f.wholeBlock(ctx, ix, h)
	if err != nil || ix.noLogs() {
		return found, err
	}
	logs, err := f.blockLogs(ctx, ix, h)
	if err != nil {
		return nil, err
	}
	var scratch []*entry
	for i := range logs {
		if scratch = ix.match(&logs[i], scratch[:0]); len(scratch) > 0 {
			found = append(found, logOccurrence(&logs[i], uint64(h.Timestamp)))
		}
	}
	return found, nil
}
