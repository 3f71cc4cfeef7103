// Package pool keeps instances ready to serve.
//
// A Guest is something that can be run: a module and the image it starts from. An Instance is a slot with a guest's image
// mapped. It stays with its guest when a run ends, so that the next one finds its pages resident; the guest that was not
// called for longest loses it first. Two things are shared out here:
//
// Instances. A guest that holds one already cannot take the last ones: Reserve of them are for guests that hold none. Guests
// with one Share, as the versions of a program have, count as one. So a flood of one program never shuts out the others. Where
// images have many runs, the maps of the process can end before the slots do: then, too, what was idle for longest goes.
//
// Processors. At most Procs guests run at once; others wait, a queue for each guest, and the queues take turns. A guest that
// runs on yields every few milliseconds and goes behind.
package pool

import (
	"errors"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// ErrNoCapacity says that no instance is free for this guest now.
var ErrNoCapacity = errors.New("no instance is free")

// ErrClosed says that the guest was removed.
var ErrClosed = errors.New("the guest was removed")

// Config is what a Pool is made with.
type Config struct {
	// Procs is how many guests run at once. It must be at least 1.
	Procs int
	// Slots is how many of the engine's slots the pool may hold. The default is all; those left are for others, such as builds.
	Slots int
	// Reserve is how many instances a guest that holds one cannot take. The default is a sixteenth of all, at least 1.
	Reserve int
	// Idle is how many bytes instances that run nothing may keep resident, estimated. The default is 1 GiB.
	Idle int64
}

// A Pool hands out instances. All methods may be called at once.
type Pool struct {
	engine *wasm.Engine
	config Config

	mu       sync.Mutex
	spare    []*Instance
	held     int  // slots, in use and idle
	idle     list // least recently used first
	resident int64
	running  int
	queue    ring // of guests with someone waiting to run
}

// New makes a pool over the engine's slots.
func New(engine *wasm.Engine, config Config) *Pool {
	if config.Slots <= 0 {
		config.Slots = engine.Slots()
	}
	if config.Reserve <= 0 {
		config.Reserve = max(1, config.Slots/16)
	}
	if config.Idle <= 0 {
		config.Idle = 1 << 30
	}
	return &Pool{engine: engine, config: config}
}

// Spec is what a Guest is made of. Close is called once, when it was removed and nothing runs or holds its image any more.
type Spec struct {
	Module *wasm.Module
	Image  *wasm.Image
	Memory uint64        // bytes its memory may grow to
	CPU    time.Duration // on CPU, for each run
	Log    int           // bytes, for each run
	Kind   Kind          // how it is given events; nil: it is a Handler
	Share  *Share        // of the guests that count as one; nil: its own
	Close  func()
}

// A Share counts the instances of guests that share them out as one.
type Share struct{ inUse int }

// A Guest is what instances are made of.
type Guest struct {
	pool  *Pool
	spec  Spec
	idle  []*Instance // most recently used last
	inUse int
	pages int // that a run of it usually writes

	waiting []chan struct{} // to run, first come first served
	queued  bool
	closed  bool
	then    func()

	finished bool
}

// Add makes a guest.
func (p *Pool) Add(spec Spec) *Guest {
	if spec.Share == nil {
		spec.Share = &Share{}
	}
	if spec.Kind == nil {
		spec.Kind = &Handler{}
	}
	return &Guest{pool: p, spec: spec}
}

// An Instance is a slot that holds a guest's image.
type Instance struct {
	*wasm.Slot
	guest      *Guest
	prev, next *Instance // in Pool.idle
	resident   int64
	since      time.Time // idle since
	cold       bool      // the memory was mapped for this run
}

// Acquire gives an instance of the guest, or ErrNoCapacity at once. Release it.
func (g *Guest) Acquire() (*Instance, error) {
	p := g.pool
	p.mu.Lock()
	if g.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	free := p.config.Slots - p.held + p.idle.len
	if free == 0 || g.spec.Share.inUse > 0 && free <= p.config.Reserve {
		p.mu.Unlock()
		return nil, ErrNoCapacity
	}
	g.inUse++
	g.spec.Share.inUse++
	if n := len(g.idle); n > 0 {
		i := g.idle[n-1]
		g.idle = g.idle[:n-1]
		p.idle.remove(i)
		p.resident -= i.resident
		p.mu.Unlock()
		return i, nil
	}
	i, err := p.take()
	p.mu.Unlock()
	if err == nil {
		err = p.mapped(i, g)
	}
	if err != nil {
		p.mu.Lock()
		g.inUse--
		g.spec.Share.inUse--
		g.finish()
		return nil, err
	}
	i.guest, i.cold = g, true
	i.SetLimits(g.spec.CPU, g.spec.Log)
	return i, nil
}

// mapped lays the guest's image into the instance's memory. Where the process has no maps left for it, idle instances give
// theirs. If it fails, the instance is given back.
func (p *Pool) mapped(i *Instance, g *Guest) error {
	for {
		err := i.Map(g.spec.Image, g.spec.Memory)
		if err == nil {
			return nil
		}
		p.mu.Lock()
		maps := errors.Is(err, wasm.ErrMaps)
		if maps && p.idle.first != nil {
			p.evict(p.idle.first)
			p.mu.Unlock()
			continue
		}
		p.giveBack(i)
		p.mu.Unlock()
		if maps {
			return ErrNoCapacity
		}
		return err
	}
}

// Cold says that the memory was mapped for this run: no earlier one left its pages.
func (i *Instance) Cold() bool { return i.cold }

// take finds a slot: a free one, or that of the instance idle for longest. The pool is locked.
func (p *Pool) take() (*Instance, error) {
	var slot *wasm.Slot
	for slot == nil {
		if p.held < p.config.Slots {
			slot = p.engine.Acquire()
		}
		if slot == nil {
			if p.idle.first == nil {
				return nil, ErrNoCapacity
			}
			p.evict(p.idle.first)
		}
	}
	p.held++
	var i *Instance
	if n := len(p.spare); n > 0 {
		i = p.spare[n-1]
		p.spare = p.spare[:n-1]
	} else {
		i = &Instance{}
	}
	*i = Instance{Slot: slot}
	return i, nil
}

// evict gives an idle instance's slot back to the engine. The pool is locked.
func (p *Pool) evict(i *Instance) {
	g := i.guest
	for at, other := range g.idle {
		if other == i {
			g.idle = append(g.idle[:at], g.idle[at+1:]...)
			break
		}
	}
	p.idle.remove(i)
	p.resident -= i.resident
	p.giveBack(i)
}

// giveBack gives an instance's slot back to the engine. The pool is locked.
func (p *Pool) giveBack(i *Instance) {
	i.Slot.Release()
	p.held--
	p.spare = append(p.spare, i)
}

// Release gives the instance back. Whatever runs in it is dropped, and the views of its run end.
func (i *Instance) Release() {
	i.Cancel()
	settled := i.Settle()
	g := i.guest
	p := g.pool
	p.mu.Lock()
	g.inUse--
	g.spec.Share.inUse--
	if n := i.DirtyPages(); n > 0 {
		g.pages = n
	}
	if g.closed || settled != nil {
		p.giveBack(i)
		g.finish()
		return
	}
	i.cold = false
	i.resident = int64(g.pages)*4096 + int64(i.Kept())
	i.since = time.Time{}
	g.idle = append(g.idle, i)
	p.idle.push(i)
	p.resident += i.resident
	for p.resident > p.config.Idle && p.idle.first != i {
		p.evict(p.idle.first)
	}
	p.mu.Unlock()
}

// finish unlocks the pool and closes the guest if it is the last use of a removed one.
func (g *Guest) finish() {
	last := g.closed && g.inUse == 0 && !g.finished
	g.finished = g.finished || last
	g.pool.mu.Unlock()
	if !last {
		return
	}
	if g.spec.Close != nil {
		g.spec.Close()
	}
	if g.then != nil {
		g.then()
	}
}

// Remove lets no more runs of the guest begin; those under way end as they will. Idle instances go at once. then, unless nil,
// is called after Spec.Close. Only the first call counts.
func (g *Guest) Remove(then func()) {
	p := g.pool
	p.mu.Lock()
	if !g.closed {
		g.closed, g.then = true, then
	}
	for len(g.idle) > 0 {
		p.evict(g.idle[len(g.idle)-1])
	}
	g.finish()
}

// RemoveIdle removes the guest if nothing of it is in use, and says whether it did.
func (g *Guest) RemoveIdle() bool {
	p := g.pool
	p.mu.Lock()
	if g.inUse > 0 {
		p.mu.Unlock()
		return false
	}
	g.closed = true
	for len(g.idle) > 0 {
		p.evict(g.idle[len(g.idle)-1])
	}
	g.finish()
	return true
}

// InUse is how many instances the guest holds.
func (g *Guest) InUse() int {
	g.pool.mu.Lock()
	defer g.pool.mu.Unlock()
	return g.inUse
}

// Trim gives back the instances that have been idle since the last call: call it at the interval after which one may go.
func (p *Pool) Trim(now time.Time) (trimmed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := p.idle.first; i != nil; {
		next := i.next
		if i.since.IsZero() {
			i.since = now
		} else {
			p.evict(i)
			trimmed++
		}
		i = next
	}
	return trimmed
}

// Stats is what a pool holds now.
type Stats struct {
	Slots, InUse, Idle, Running int
	Resident                    int64 // bytes of idle instances, estimated
}

// Stats counts.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Slots: p.config.Slots, InUse: p.held - p.idle.len, Idle: p.idle.len, Running: p.running, Resident: p.resident}
}

// Close gives all idle instances back. Nothing may be in use.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.idle.first != nil {
		p.evict(p.idle.first)
	}
}

// list is a doubly linked list of instances.
type list struct {
	first, last *Instance
	len         int
}

func (l *list) push(i *Instance) {
	i.prev, i.next = l.last, nil
	if l.last != nil {
		l.last.next = i
	} else {
		l.first = i
	}
	l.last = i
	l.len++
}

func (l *list) remove(i *Instance) {
	if i.prev != nil {
		i.prev.next = i.next
	} else {
		l.first = i.next
	}
	if i.next != nil {
		i.next.prev = i.prev
	} else {
		l.last = i.prev
	}
	i.prev, i.next = nil, nil
	l.len--
}
