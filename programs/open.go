package programs

import (
	"sync"

	"golang.org/x/sys/unix"
)

// openPrograms bounds how many programs are open. They stand in a ring; where there are too many, the hand goes round and
// closes the first that nobody has called since it came by last (the clock algorithm: a call costs the hot path a load, and
// not a lock and a list).
type openPrograms struct {
	most int

	mu   sync.Mutex
	ring []*Program // from the hand on; a program is in it once
}

// openMost is how many programs are kept open unless it is said.
func openMost() int {
	most := 4096
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Cur/4 < uint64(most) {
		most = int(files.Cur / 4)
	}
	return max(1, most)
}

// add notes that the program is open, and closes others.
func (o *openPrograms) add(p *Program) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !p.ringed {
		p.ringed = true
		o.ring = append(o.ring, p)
	}
	for tries := 2 * len(o.ring); len(o.ring) > o.most && tries > 0; tries-- {
		q := o.ring[0]
		o.ring = o.ring[1:]
		if q == p || !q.shut() {
			o.ring = append(o.ring, q)
		} else {
			q.ringed = false
		}
	}
}

// shut closes the program unless it was called since the last time, or runs. True if it is closed now.
func (p *Program) shut() bool {
	if !p.opening.TryLock() { // it is being opened, or replaced
		return false
	}
	defer p.opening.Unlock()
	s := p.serving.Load()
	if s == nil {
		return true
	}
	if s.called.Swap(false) || !s.Guest.RemoveIdle() {
		return false
	}
	p.serving.Store(nil) // who has it from before finds its guest closed, and asks again
	return true
}
