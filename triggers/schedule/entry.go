package schedule

import (
	"slices"
	"time"

	"github.com/aleph-edge/aleph-edge/queue"
)

// Values of a declaration.
const (
	once   = "once"
	skip   = "skip"
	all    = "all"
	allow  = "allow"
	forbid = "forbid"
)

// late is after how many seconds a time is missed.
const late = 60

// An entry is one schedule of one program.
type entry struct {
	program, name string
	expression    *expression
	missed        string
	forbids       bool
	jitter        time.Duration
	mark          mark

	due   int64 // when it is looked at next
	place int   // in Trigger.dues

	pause int64  // seconds until it is tried again after it was refused; 0 if it was not
	waits string // why it was refused, if that passes when the program has caught up
	fails string // why, if not
}

// corrected is the entry's checkpoint, and whether it is another: if its last time is so far ahead that the clock was wrong then, it
// goes on from now.
func (e *entry) corrected(now int64) (m mark, changed bool) {
	m = e.mark
	if m.last > now+maxShift {
		m.last = now
	}
	return m, m != e.mark
}

// times are those to make events of now, at most queue.MaxEvents. started is before which none is on time.
func (e *entry) times(now, started int64) (times []int64) {
	x, last := e.expression, e.mark.last
	from := max(started, now-late) // the first on time
	for at := x.next(max(last, from-1)); at <= now; at = x.next(at) {
		times = append(times, at)
	}
	limit := 0
	switch e.missed {
	case skip:
	case all:
		limit = queue.MaxEvents - len(times)
	default:
		limit = 1 - len(times)
	}
	missed := []int64{}
	for to := from - 1; len(missed) < limit; {
		at := x.last(last, to)
		if at == never {
			break
		}
		missed = append(missed, at)
		to = at - 1
	}
	slices.Reverse(missed)
	return append(missed, times...)
}

// dues is a heap of entries by when they are due.
type dues []*entry

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].due < d[j].due }
func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

func (d *dues) Push(e any) {
	e.(*entry).place = len(*d)
	*d = append(*d, e.(*entry))
}

func (d *dues) Pop() any {
	last := len(*d) - 1
	e := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return e
}
