package queue

import (
	"sync"
	"time"
)

// clock is the queue's time, in Unix nanoseconds: the wall clock's, but it never goes back. When the wall clock is set forward it
// follows, so that waits end early; while the wall clock is behind, it goes on by the time that passes. Every record with a time to
// come is written together with the clock, and the next process begins no earlier than that: so no event waits longer than it was
// told to, wherever the wall clock went.
type clock struct {
	wall func() time.Time

	mu   sync.Mutex
	last time.Time
	time int64
}

// newClock makes a clock that begins no earlier than at a time written before.
func newClock(wall func() time.Time, written int64) *clock {
	now := wall()
	return &clock{wall: wall, last: now, time: max(now.UnixNano(), written)}
}

func (c *clock) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.wall()
	passed := now.Sub(c.last) // by the monotonic clock, where the time has one
	c.last = now
	c.time = max(c.time+max(int64(passed), 0), now.UnixNano())
	return c.time
}
