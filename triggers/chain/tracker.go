package chain

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

const (
	maxDepth   = 256 // blocks below the latest that may be replaced, whatever the chain says is final
	maxTracked = 2 * maxDepth
	maxGap     = 64 // blocks between two latest ones that are read one by one
	parallel   = 8  // calls at the same time
)

// errReplaced says that the chain changed while it was read: look again.
var errReplaced = errors.New("the chain was reorganised meanwhile")

// A tracker knows the end of the canonical chain: headers that name each other as parent, up to the latest.
type tracker struct {
	pool    *pool
	headers []header
}

func (t *tracker) head() header { return t.headers[len(t.headers)-1] }

// advance makes head the latest block.
func (t *tracker) advance(ctx context.Context, head header) error {
	if len(t.headers) > 0 && t.head().Hash == head.Hash {
		return nil
	}
	added := []header{head}
	for {
		lowest := added[len(added)-1]
		if kept := t.upTo(lowest); kept != nil {
			t.headers = kept
			break
		}
		// Nothing of what is known is below, or it is too far.
		if len(t.headers) == 0 || lowest.Number <= t.headers[0].Number || uint64(head.Number) > uint64(t.head().Number)+maxGap || len(added) > maxDepth {
			t.headers = nil
			added = added[:1]
			break
		}
		parent, err := t.pool.byHash(ctx, lowest.ParentHash)
		if err != nil {
			return err
		}
		if parent.Number+1 != lowest.Number {
			return fmt.Errorf("block %d, %s, has block %d as its parent", lowest.Number, lowest.Hash, parent.Number)
		}
		added = append(added, parent)
	}
	for i := len(added) - 1; i >= 0; i-- {
		t.headers = append(t.headers, added[i])
	}
	if n := len(t.headers); n > maxTracked {
		t.headers = append([]header(nil), t.headers[n-maxTracked:]...)
	}
	return nil
}

// upTo is what is known up to h's parent; nil if that is not known.
func (t *tracker) upTo(h header) []header {
	if len(t.headers) == 0 || h.Number <= t.headers[0].Number {
		return nil
	}
	n := int(h.Number - t.headers[0].Number)
	if n > len(t.headers) || t.headers[n-1].Hash != h.ParentHash {
		return nil
	}
	return t.headers[:n:n]
}

// at is the canonical block of that number, which is not above the head. Deep ones are asked for each time.
func (t *tracker) at(ctx context.Context, number uint64) (header, error) {
	first := uint64(t.headers[0].Number)
	if number < first && uint64(t.head().Number)-number >= maxTracked {
		return t.pool.byNumber(ctx, number)
	}
	if number < first {
		if err := t.extend(ctx, number); err != nil {
			return header{}, err
		}
		first = number
	}
	return t.headers[number-first], nil
}

// extend reads the blocks from that number up to what is known.
func (t *tracker) extend(ctx context.Context, number uint64) error {
	first := uint64(t.headers[0].Number)
	below := make([]header, first-number)
	if err := each(ctx, len(below), func(ctx context.Context, i int) (err error) {
		below[i], err = t.pool.byNumber(ctx, number+uint64(i))
		return err
	}); err != nil {
		return err
	}
	all := append(below, t.headers...)
	for i := 1; i <= len(below); i++ {
		if all[i].ParentHash != all[i-1].Hash {
			return fmt.Errorf("%w: block %d, %s, is not the parent of %s", errReplaced, all[i-1].Number, all[i-1].Hash, all[i].Hash)
		}
	}
	t.headers = all
	return nil
}

// each calls do for 0 to n-1, several at the same time, until one fails.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	turns := make(chan int)
	for range min(n, parallel) {
		wg.Go(func() {
			for i := range turns {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case turns <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(turns)
	wg.Wait()
	return context.Cause(ctx)
}
