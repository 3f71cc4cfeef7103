package logs

import (
	"context"
	"slices"
	"time"
)

// Follow gives the last n entries of a program and then those that come, until ctx ends, the program is removed or the Logs are
// closed; then the channel is closed. A reader that is Options.FollowBuffer entries behind loses those that come meanwhile,
// and gets an entry that says how many.
func (l *Logs) Follow(ctx context.Context, program string, n int) (<-chan Entry, error) {
	p := l.acquire(program)
	defer p.files.Unlock()
	stored, err := l.stored(p, n)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.last(stored, n)
	f := &follower{c: make(chan Entry, len(last)+l.opts.FollowBuffer)}
	for _, e := range last {
		f.c <- e
	}
	if l.closed.Load() {
		close(f.c)
		return f.c, nil
	}
	f.release = context.AfterFunc(ctx, func() { p.unfollow(f) })
	p.followers = append(p.followers, f)
	return f.c, nil
}

// follower is one reader of new entries. All but reading from c happens under its program's mu.
type follower struct {
	c       chan Entry
	release func() bool // of its context
	lost    int         // entries that found c full
	at      time.Time   // of the last of them
}

func (f *follower) push(e Entry) {
	if f.lost > 0 && cap(f.c)-len(f.c) > 1 {
		f.tell()
	}
	if f.lost == 0 && len(f.c) < cap(f.c) {
		f.c <- e
		return
	}
	f.lost++
	f.at = e.Time
}

// tell says what was lost, if there is room to.
func (f *follower) tell() {
	if f.lost > 0 && len(f.c) < cap(f.c) {
		f.c <- lost(f.lost, f.at, "the reader was too slow")
		f.lost = 0
	}
}

func (p *program) unfollow(f *follower) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.followers, f); i >= 0 {
		p.followers = slices.Delete(p.followers, i, i+1)
		close(f.c)
	}
}

// endFollowers closes all followers' channels. p.mu is held.
func (p *program) endFollowers() {
	for _, f := range p.followers {
		f.release()
		f.tell()
		close(f.c)
	}
	p.followers = nil
}
