package message

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/queue"
)

const (
	// readAtOnce is how many messages are read at once; three times as many are in memory at most. readsTogether bounds a step that
	// finds nothing to accept.
	readAtOnce    = 500
	readsTogether = 8

	// flushesTogether bounds a step that finds much to accept.
	flushesTogether = 4

	// trimAtOnce is how many entries that everyone has seen the log has when it is trimmed.
	trimAtOnce = 4096

	// idle is how long the follower waits without being woken.
	idle = time.Minute
)

// step hands out some messages to the programs that keep up, and then some to those that are behind. It says how long there is
// nothing more to do, unless messages come.
func (t *Trigger) step() (wait time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	more, err := t.follow()
	if err != nil {
		return 0, err
	}
	wait = idle
	if t.read.program == "" {
		if wait, err = t.catchUp(); err != nil {
			return 0, err
		}
	}
	if more {
		wait = 0
	}
	return wait, t.trim()
}

// follow is the step of the programs that keep up.
func (t *Trigger) follow() (more bool, err error) {
	if len(t.programs) == 0 {
		return false, t.skip()
	}
	h := &handout{t: t, at: t.read}
	h.wants = func(p *program, sequence uint64) bool { return !p.mark.behind && p.mark.after < sequence }
	h.marks = func() map[*program]mark { // those that are refused something fall behind
		marks := map[*program]mark{}
		for p, sequence := range h.refused {
			marks[p] = mark{after: sequence - 1, behind: true, lost: p.mark.lost}
		}
		return marks
	}
	h.checkpoint = func(tx *kv.Txn) error { return tx.Set(logKey, h.at.encode()) }
	h.done = func() { t.read, t.saved = h.at, h.at }
	through := t.read.sequence
	for range readsTogether {
		some, err := t.next(through)
		if err != nil {
			return false, err
		}
		if len(some) == 0 {
			break
		}
		through = some[len(some)-1].Sequence
		if len(some) == readAtOnce {
			t.readAhead(through)
		}
		all, err := h.hand(some)
		if err != nil {
			return false, err
		}
		if !all {
			t.wait()
			t.ahead = readAlready(h.at.sequence, h.rest)
			return true, nil
		}
		if more = len(some) == readAtOnce; !more || len(h.events) > queue.MaxEvents*3/4 {
			break
		}
	}
	if through == t.read.sequence {
		return false, nil
	}
	return true, h.flush(position{sequence: through})
}

// skip passes over what nobody wants. Where that got is written now and then: it is nothing to lose.
func (t *Trigger) skip() error {
	last, err := t.cfg.Network.LastMessage()
	if err != nil {
		return err
	}
	t.read = position{sequence: max(last, t.read.sequence)}
	if t.read.sequence < t.saved.sequence+t.trimAt {
		return nil
	}
	if err := t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error { return tx.Set(logKey, t.read.encode()) }); err != nil {
		return err
	}
	t.saved = t.read
	return nil
}

// trim deletes what everybody has seen from the log.
func (t *Trigger) trim() error {
	through := t.saved.sequence
	for _, p := range t.programs {
		if p.mark.behind {
			through = min(through, p.mark.after)
		}
	}
	if through < t.trimmed+t.trimAt {
		return nil
	}
	if err := t.cfg.Network.TrimMessages(through); err != nil {
		return err
	}
	t.trimmed = through
	return nil
}

// A handout makes events of messages for some programs, in as few transactions as they take.
type handout struct {
	t          *Trigger
	at         position                               // what has been handed out
	wants      func(p *program, sequence uint64) bool // whether a program is to get a message
	marks      func() map[*program]mark               // what changes with at, and refused
	checkpoint func(*kv.Txn) error                    // what else is written with it
	done       func()                                 // hears when that is on the disk

	events  []queue.Event       // to be accepted next,
	of      []origin            // and where each is from
	refused map[*program]uint64 // the first message that a full queue refused, of those to be accepted next

	flushes int
	rest    []parsed // what hand did not come to
}

type origin struct {
	program  *program
	rank     int // of the filter
	sequence uint64
}

// hand makes events of messages. They are accepted when they are as many as an Accept takes; the rest is left to flush. It is false if
// the step has lasted long enough: everything up to h.at is handed out then, and nothing is left.
func (h *handout) hand(messages []parsed) (all bool, err error) {
	var matched []*program
	for i := range messages {
		m := &messages[i]
		matched = h.match(matched[:0], m.document, m.Sequence)
		for _, p := range matched {
			if m.Sequence == h.at.sequence+1 && p.id <= h.at.program || !h.wants(p, m.Sequence) {
				continue
			}
			h.events = append(h.events, event(p, m))
			h.of = append(h.of, origin{p, p.rank, m.Sequence})
			if len(h.events) == queue.MaxEvents {
				if err := h.flush(position{m.Sequence - 1, p.id}); err != nil {
					return false, err
				}
				if h.flushes++; h.flushes == flushesTogether {
					h.rest = messages[i:]
					return false, nil
				}
			}
		}
	}
	return true, nil
}

// match adds the programs that are to get a message, by id, each with the first of its filters that matches.
func (h *handout) match(matched []*program, document map[string]any, sequence uint64) []*program {
	if document == nil {
		return matched
	}
	x := h.t.index
	x.match(document, func(f *filter) {
		for _, s := range f.programs {
			p := s.program
			switch {
			case p.pass == x.pass:
				p.rank = min(p.rank, s.rank)
			case h.wants(p, sequence):
				p.pass, p.rank = x.pass, s.rank
				matched = append(matched, p)
			}
		}
	})
	slices.SortFunc(matched, func(a, b *program) int { return cmp.Compare(a.id, b.id) })
	return matched
}

// event is a program's event of a message.
func event(p *program, m *parsed) queue.Event {
	declared := &p.declared[p.rank]
	e := queue.Event{Program: p.id, ID: eventID(m.Hash), Once: true, Kind: abi.KindMessage, Trigger: declared.Name, Payload: []byte(m.Hash), Depth: m.Depth}
	if declared.Order != "" {
		if value := orderKey(declared.Order, m.document); value != "" {
			e.Key = bounded("message:" + declared.Name + ":" + value)
		}
	}
	return e
}

func eventID(hash string) string { return "message:" + hash }

// bounded is an ordering key of any length.
func bounded(key string) string {
	if len(key) <= queue.MaxKey {
		return key
	}
	return network.HashContent(key)
}

// flush has the queue accept the events so far. What it refuses is left out: where the program has too many events, the program falls
// behind; where the message comes from too many others, nobody gets it.
func (h *handout) flush(at position) error {
	h.refused = map[*program]uint64{}
	deep := map[*program]string{}
	h.at = at
	save := func(tx *kv.Txn) error {
		for p, m := range h.marks() {
			if err := tx.Set(programKey+p.id, m.encode()); err != nil {
				return err
			}
		}
		return h.checkpoint(tx)
	}
	for {
		_, err := h.t.cfg.Queue.Accept(h.events, save)
		if err == nil {
			break
		}
		var refusal *queue.RefusedError
		if !errors.As(err, &refusal) {
			return err
		}
		refused, depth := h.of[refusal.Index], h.events[refusal.Index].Depth
		switch {
		case errors.Is(err, kv.ErrQuotaExceeded):
			refused.program.full = refusal.Err.Error()
			h.refused[refused.program] = refused.sequence
			h.leaveOut(func(i int) bool { return h.of[i].program == refused.program && h.of[i].sequence >= refused.sequence })
		case errors.Is(err, queue.ErrTooDeep):
			h.leaveOut(func(i int) bool {
				if h.events[i].Depth < depth {
					return false
				}
				deep[h.of[i].program] = refusal.Err.Error()
				return true
			})
		default: // nothing that the queue refuses is known here; one program's must not stop the others
			h.t.cfg.Log.Error("an event is refused", "program", refused.program.id, "event", h.events[refusal.Index].ID, "error", refusal.Err)
			h.leaveOut(func(i int) bool { return i == refusal.Index })
		}
	}
	now := h.t.cfg.Now()
	for _, o := range h.of {
		o.program.refused, o.program.last[o.rank] = "", now
	}
	for p, why := range deep {
		p.refused = why
		h.t.cfg.Log.Warn("a message is not delivered: it comes from the program's own events", "program", p.id, "error", why)
	}
	for p, m := range h.marks() {
		p.mark, p.pause = m, 0 // it got on
	}
	for p := range h.refused {
		h.t.delay(p)
	}
	h.done()
	h.events, h.of = h.events[:0], h.of[:0]
	return nil
}

// leaveOut takes events from those to be accepted.
func (h *handout) leaveOut(which func(i int) bool) {
	events, of := h.events[:0:0], h.of[:0:0]
	for i := range h.events {
		if !which(i) {
			events, of = append(events, h.events[i]), append(of, h.of[i])
		}
	}
	h.events, h.of = events, of
}
