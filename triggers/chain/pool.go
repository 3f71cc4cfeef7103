package chain

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

const (
	identifyEvery = 10 * time.Minute // a provider is asked which chain it is of
	compareEvery  = 10               // polls, after which the other providers are asked for their latest block, too
	tolerance     = 2                // blocks that a provider may be behind another
	longestRest   = 15 * time.Second // of a provider that failed
)

// An identity tells chains apart: testnets and forks share one of the two.
type identity struct {
	Chain   uint64      `json:"chain"`
	Genesis common.Hash `json:"genesis"`
}

// A pool is a chain's providers. One of them is asked until it fails, or lies, or falls behind another; then the next. One that failed
// rests for a second at first, and twice as long each time.
type pool struct {
	now  func() time.Time
	rest time.Duration // the first

	mu        sync.Mutex
	providers []*provider
	active    *provider
	identity  identity // zero until the first provider said it
	polls     int
	best      uint64 // the number of the highest block that was ever the latest
}

func newPool(c Chain, now func() time.Time, rest time.Duration) *pool {
	p := &pool{now: now}
	for _, text := range c.URLs {
		p.providers = append(p.providers, newProvider(text, c))
	}
	if len(p.providers) == 1 {
		p.providers[0].tries = 3
	}
	p.setRest(rest)
	p.active = p.providers[0]
	return p
}

func (p *pool) setRest(rest time.Duration) {
	p.rest = rest
	for _, one := range p.providers {
		one.between = rest / 4
	}
}

func (p *pool) close() {
	for _, one := range p.providers {
		one.close()
	}
}

// errOtherChain is wrapped when every provider is of another chain than the one that was followed.
var errOtherChain = errors.New("another chain than before")

// do has fn ask a provider, and another if that fails. With divisible set a provider's wish for a smaller request is returned at once.
func (p *pool) do(ctx context.Context, divisible bool, fn func(context.Context, *provider) error) error {
	var errs []error
	for _, one := range p.order() {
		err := p.identify(ctx, one)
		if err == nil {
			err = fn(ctx, one)
		}
		if err == nil {
			p.worked(one)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if divisible && isFault(err, faultLarge) {
			return err
		}
		p.failed(one, err)
		errs = append(errs, err)
	}
	if errs == nil {
		return p.resting()
	}
	return errors.Join(errs...)
}

// order is who is asked, one after the other.
func (p *pool) order() []*provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	var order []*provider
	now := p.now()
	for _, one := range append([]*provider{p.active}, p.providers...) {
		if now.Before(one.until) || len(order) > 0 && one == p.active {
			continue
		}
		order = append(order, one)
	}
	return order
}

func (p *pool) worked(one *provider) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active, one.failures, one.err = one, 0, nil
}

// failed has one rest.
func (p *pool) failed(one *provider, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := min(p.rest<<min(one.failures, 10), longestRest)
	var failed *callError
	if errors.As(err, &failed) && failed.fault == faultMissing {
		rest = min(rest, 2*p.rest) // it is about to catch up
	}
	one.failures++
	one.err, one.checked = err, time.Time{} // it may come back as another
	one.until = p.now().Add(rest/2 + rand.N(rest/2+1))
}

// blame has the provider rest that is asked first.
func (p *pool) blame(err error) {
	p.mu.Lock()
	active := p.active
	p.mu.Unlock()
	p.failed(active, &callError{faultLie, active.host, err})
}

// resting says why nobody can be asked.
func (p *pool) resting() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, one := range p.providers {
		if one.err != nil {
			errs = append(errs, one.err)
		}
	}
	return fmt.Errorf("no provider can be asked now: %w", errors.Join(errs...))
}

// identify asks a provider which chain it is of.
func (p *pool) identify(ctx context.Context, one *provider) error {
	p.mu.Lock()
	due := p.now().Sub(one.checked) >= identifyEvery || one.checked.IsZero()
	p.mu.Unlock()
	if !due {
		return nil
	}
	var number hexutil.Uint64
	if err := one.call(ctx, &number, "eth_chainId"); err != nil {
		return err
	}
	var first header
	if err := one.call(ctx, &first, "eth_getBlockByNumber", hexutil.Uint64(0), false); err != nil {
		return err
	}
	is := identity{uint64(number), first.Hash}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.identity == (identity{}) {
		p.identity = is
	}
	if is != p.identity {
		return one.fail(faultLie, fmt.Errorf("%w: it is of chain %d, with the first block %s; the chain was %d, with %s", errOtherChain,
			is.Chain, is.Genesis, p.identity.Chain, p.identity.Genesis))
	}
	one.checked = p.now()
	return nil
}

// latest is the latest block. Every now and then, and when the one that is asked goes backwards, the others are asked, too, and the one
// that is ahead of it is asked from then on.
func (p *pool) latest(ctx context.Context) (head header, err error) {
	if err := p.do(ctx, false, func(ctx context.Context, one *provider) (err error) {
		head, err = one.latest(ctx)
		return err
	}); err != nil {
		return header{}, err
	}
	p.mu.Lock()
	active := p.active
	p.polls++
	compare := len(p.providers) > 1 && (p.polls%compareEvery == 0 || uint64(head.Number) < p.best)
	p.mu.Unlock()
	if compare {
		for _, one := range p.order() {
			if one == active || p.identify(ctx, one) != nil {
				continue
			}
			other, err := one.latest(ctx)
			if err != nil {
				if ctx.Err() != nil {
					return header{}, ctx.Err()
				}
				p.failed(one, err)
				continue
			}
			if other.Number > head.Number+tolerance || uint64(head.Number) < p.best && other.Number > head.Number {
				head = other
				p.worked(one)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.best = max(p.best, uint64(head.Number))
	return head, nil
}

// latest is a provider's latest block, which it must have by its number, too: one that says more than it has is found out.
func (p *provider) latest(ctx context.Context) (header, error) { return p.tagged(ctx, "latest") }

// tagged is the block that a provider has under "latest", "safe" or "finalized".
func (p *provider) tagged(ctx context.Context, tag string) (header, error) {
	var h, same header
	if err := p.call(ctx, &h, "eth_getBlockByNumber", tag, false); err != nil {
		return header{}, err
	}
	if err := p.call(ctx, &same, "eth_getBlockByNumber", h.Number, false); err != nil {
		return header{}, err
	}
	if same.Hash != h.Hash {
		return header{}, p.fail(faultMissing, fmt.Errorf("its %s block %d is %s, and then %s", tag, h.Number, h.Hash, same.Hash))
	}
	return h, nil
}

// byNumber is the canonical block of that number.
func (p *pool) byNumber(ctx context.Context, number uint64) (h header, err error) {
	err = p.do(ctx, false, func(ctx context.Context, one *provider) error {
		if err := one.call(ctx, &h, "eth_getBlockByNumber", hexutil.Uint64(number), false); err != nil {
			return err
		}
		if uint64(h.Number) != number || h.Hash == (common.Hash{}) {
			return one.fail(faultLie, fmt.Errorf("asked for block %d, it gave block %d, %s", number, h.Number, h.Hash))
		}
		return nil
	})
	return h, err
}

// byHash is the block with that hash.
func (p *pool) byHash(ctx context.Context, hash common.Hash) (h header, err error) {
	err = p.do(ctx, false, func(ctx context.Context, one *provider) error {
		if err := one.call(ctx, &h, "eth_getBlockByHash", hash, false); err != nil {
			return err
		}
		if h.Hash != hash {
			return one.fail(faultLie, fmt.Errorf("asked for block %s, it gave %s", hash, h.Hash))
		}
		return nil
	})
	return h, err
}

// tagged is the number of the block under "safe" or "finalized"; ok is false if no provider has it.
func (p *pool) tagged(ctx context.Context, tag string) (number uint64, ok bool, err error) {
	err = p.do(ctx, false, func(ctx context.Context, one *provider) error {
		h, err := one.tagged(ctx, tag)
		var failed *callError
		if errors.As(err, &failed) && (failed.fault == faultMissing || failed.fault == faultBroken) {
			return nil // chains without it answer with null, or with an error
		}
		number, ok = uint64(h.Number), err == nil
		return err
	})
	return number, ok, err
}
