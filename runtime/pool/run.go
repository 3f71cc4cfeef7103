package pool

import (
	"context"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// Start waits for the guest's turn and runs it on the event until it ends, waits, or its slice is over. The event stays until
// the run ends. The error is the context's.
func (i *Instance) Start(ctx context.Context, event []byte) (wasm.Status, error) {
	if err := i.enter(ctx); err != nil {
		return 0, err
	}
	status := i.guest.spec.Kind.Start(i.Slot, i.guest.spec.Module, event)
	i.guest.pool.leave()
	return status, nil
}

// Resume goes on with a run that yielded or waited, in the guest's turn.
func (i *Instance) Resume(ctx context.Context) (wasm.Status, error) {
	if err := i.enter(ctx); err != nil {
		return 0, err
	}
	status := i.Slot.Resume()
	i.guest.pool.leave()
	return status, nil
}

// Reply reads the reply of a run that is done, as Kind.Reply.
func (i *Instance) Reply() (reply abi.Response, given bool, err error) {
	return i.guest.spec.Kind.Reply(i.Slot)
}

// enter waits until this instance may run.
func (i *Instance) enter(ctx context.Context) error {
	g := i.guest
	p := g.pool
	p.mu.Lock()
	if p.running < p.config.Procs { // else someone may wait, and whoever leaves hands on its place
		p.running++
		p.mu.Unlock()
		return nil
	}
	turn := make(chan struct{}, 1)
	g.waiting = append(g.waiting, turn)
	if !g.queued {
		g.queued = true
		p.queue.push(g)
	}
	p.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	for at, other := range g.waiting {
		if other == turn {
			g.waiting = append(g.waiting[:at], g.waiting[at+1:]...)
			p.mu.Unlock()
			return ctx.Err()
		}
	}
	p.mu.Unlock()
	p.leave() // the turn came at the same moment
	return ctx.Err()
}

// leave gives the turn to the next guest in the queue, or ends it.
func (p *Pool) leave() {
	p.mu.Lock()
	for p.queue.len > 0 {
		g := p.queue.pop()
		if len(g.waiting) == 0 {
			g.queued = false
			continue
		}
		turn := g.waiting[0]
		g.waiting = append(g.waiting[:0], g.waiting[1:]...)
		if g.queued = len(g.waiting) > 0; g.queued {
			p.queue.push(g)
		}
		p.mu.Unlock()
		turn <- struct{}{}
		return
	}
	p.running--
	p.mu.Unlock()
}

// ring is a queue of guests.
type ring struct {
	guests []*Guest
	head   int
	len    int
}

func (r *ring) push(g *Guest) {
	if r.len == len(r.guests) {
		grown := make([]*Guest, max(16, 2*len(r.guests)))
		for i := range r.len {
			grown[i] = r.guests[(r.head+i)%len(r.guests)]
		}
		r.guests, r.head = grown, 0
	}
	r.guests[(r.head+r.len)%len(r.guests)] = g
	r.len++
}

func (r *ring) pop() *Guest {
	g := r.guests[r.head]
	r.guests[r.head] = nil
	r.head = (r.head + 1) % len(r.guests)
	r.len--
	return g
}
