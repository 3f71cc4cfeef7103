package kv

import (
	"slices"
	"strings"
	"sync"
)

// hub hands the writer's changes to those who wait for them. A waiter is in it from Watch until its first change, so publishing
// never blocks.
type hub struct {
	mu       sync.Mutex
	programs map[string][]*waiter // nil once closed
}

type waiter struct {
	prefix string
	c      chan Change // holds one
}

// change is a Change that a batch made, its value not yet copied.
type change struct {
	program string
	Change
}

func newHub() *hub { return &hub{programs: make(map[string][]*waiter)} }

func (h *hub) watch(program, prefix string, limit int) (*Watch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.programs == nil {
		return nil, closed()
	}
	if n := len(h.programs[program]); n >= limit {
		return nil, fail(ErrQuotaExceeded, "watches: %d at the same time, limit %d", n+1, limit)
	}
	w := &waiter{prefix, make(chan Change, 1)}
	h.programs[program] = append(h.programs[program], w)
	return &Watch{C: w.c, Stop: func() { h.stop(program, w) }}, nil
}

func (h *hub) stop(program string, w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.programs[program], w); i >= 0 {
		h.keep(program, slices.Delete(h.programs[program], i, i+1))
	}
}

// publish gives every waiter the first change that is its own.
func (h *hub) publish(changes []change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range changes {
		waiters := h.programs[c.program]
		if len(waiters) == 0 {
			continue
		}
		h.keep(c.program, slices.DeleteFunc(waiters, func(w *waiter) bool {
			if !strings.HasPrefix(c.Key, w.prefix) {
				return false
			}
			mine := c.Change
			mine.Value.Data = slices.Clone(mine.Value.Data)
			w.c <- mine
			return true
		}))
	}
}

// drop ends a program's watches.
func (h *hub) drop(program string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.programs[program] {
		close(w.c)
	}
	delete(h.programs, program)
}

// close ends every watch and refuses new ones.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, waiters := range h.programs {
		for _, w := range waiters {
			close(w.c)
		}
	}
	h.programs = nil
}

func (h *hub) keep(program string, waiters []*waiter) {
	if len(waiters) == 0 {
		delete(h.programs, program)
		return
	}
	h.programs[program] = waiters
}
