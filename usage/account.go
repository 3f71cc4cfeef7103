package usage

import "sync"

// Account is what one program has used. Its methods may be called at the same time.
type Account struct {
	meter *Meter
	id    string

	mu     sync.Mutex
	totals Totals
	last   ring
	keep   bool // whether records are kept
	dirty  bool // the totals are not written, and the account is on the meter's list

	next *Account // on the list; its own only while it is not dirty
}

// Add counts r, which is copied. It neither waits for the disk nor allocates, but to grow the ring of the last records, a few
// times in an account's life. What is added after the meter's Close is not stored.
func (a *Account) Add(r *Record) {
	a.mu.Lock()
	a.totals.Add(r)
	if a.keep {
		a.last.put(r, a.meter.opts.Records)
	}
	a.mark()
	a.mu.Unlock()
}

// mark puts a on the list of accounts to write. a.mu is held.
func (a *Account) mark() {
	if a.dirty {
		return
	}
	a.dirty = true
	for {
		a.next = a.meter.dirty.Load()
		if a.meter.dirty.CompareAndSwap(a.next, a) {
			return
		}
	}
}

// Totals returns the sums of all records since the program was deployed.
func (a *Account) Totals() Totals {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.totals
}

// Records returns copies of the last n records that are still kept, oldest first.
func (a *Account) Records(n int) []Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last.tail(n)
}

// Report returns the totals and, if n is above 0, the last n records, of one moment.
func (a *Account) Report(n int) Report {
	a.mu.Lock()
	totals, records := a.totals, a.last.tail(n)
	a.mu.Unlock()
	report := totals.report()
	if n > 0 {
		report.Records = records
	}
	return report
}

// take returns the totals to be written. What is added from now on marks the account again.
func (a *Account) take() Totals {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dirty = false
	return a.totals
}

// ring holds the last records. It grows up to its limit as records come, so that a program which is seldom called costs little.
type ring struct {
	records []Record
	oldest  int // once it is full
}

const firstRing = 8 // records

func (r *ring) put(rec *Record, limit int) {
	if len(r.records) == limit {
		r.records[r.oldest] = *rec
		r.oldest = (r.oldest + 1) % limit
		return
	}
	if len(r.records) == cap(r.records) {
		grown := make([]Record, len(r.records), min(max(2*cap(r.records), firstRing), limit))
		copy(grown, r.records)
		r.records = grown
	}
	r.records = append(r.records, *rec)
}

func (r *ring) tail(n int) []Record {
	size := len(r.records)
	n = min(max(n, 0), size)
	out := make([]Record, 0, n)
	for i := size - n; i < size; i++ {
		out = append(out, r.records[(r.oldest+i)%size])
	}
	return out
}
