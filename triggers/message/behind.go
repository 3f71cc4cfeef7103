package message

import (
	"cmp"
	"slices"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

const (
	// A program whose queue is full is tried again after minPause, and after twice as long each time, up to maxPause.
	minPause = 100 * time.Millisecond
	maxPause = 30 * time.Second

	// together is how many programs a step reads for at most: as many marks are written in a transaction.
	together = 1000
)

// delay lets a program whose queue is full wait.
func (t *Trigger) delay(p *program) {
	p.pause = min(max(2*p.pause, minPause), maxPause)
	p.due = t.cfg.Now().Add(p.pause)
}

// catchUp reads the log again for programs that are behind, from where the last of them is. It says how long none is due.
func (t *Trigger) catchUp() (wait time.Duration, err error) {
	some, wait := t.late()
	if len(some) == 0 {
		return wait, nil
	}
	from := some[0].mark.after
	messages, err := t.parse(from)
	if err != nil {
		return 0, err
	}
	through := t.read.sequence
	for len(messages) > 0 && messages[len(messages)-1].Sequence > t.read.sequence {
		messages = messages[:len(messages)-1]
	}
	if len(messages) > 0 {
		through = messages[len(messages)-1].Sequence
	}
	reading := map[*program]bool{}
	for _, p := range some {
		reading[p] = true
	}
	h := &handout{t: t, at: position{sequence: from}}
	h.wants = func(p *program, sequence uint64) bool { return reading[p] && p.mark.after < sequence }
	h.marks = func() map[*program]mark {
		marks := map[*program]mark{}
		for p := range reading {
			to := h.at.sequence
			if p.id <= h.at.program {
				to++
			}
			if sequence, refused := h.refused[p]; refused {
				to = sequence - 1
			}
			m := mark{after: max(to, p.mark.after), lost: p.mark.lost}
			if m.behind = m.after < t.read.sequence; m != p.mark {
				marks[p] = m
			}
		}
		return marks
	}
	h.checkpoint = func(*kv.Txn) error { return nil }
	h.done = func() {
		for p := range reading {
			if _, refused := h.refused[p]; refused {
				delete(reading, p)
			} else if p.mark.after >= h.at.sequence { // it was its turn
				p.full = ""
			}
		}
	}
	if all, err := h.hand(messages); err != nil || !all {
		return 0, err
	}
	return 0, h.flush(position{sequence: through})
}

// late are the programs that are behind and due, the last of them first, and how long it takes until another is due.
func (t *Trigger) late() (some []*program, wait time.Duration) {
	now, wait := t.cfg.Now(), idle
	for _, p := range t.programs {
		if !p.mark.behind {
			continue
		}
		t.giveUp(p)
		if left := p.due.Sub(now); left > 0 && left <= maxPause { // more: the clock went back
			wait = min(wait, left)
			continue
		}
		some = append(some, p)
	}
	slices.SortFunc(some, func(a, b *program) int { return cmp.Compare(a.mark.after, b.mark.after) })
	return some[:min(len(some), together)], wait
}

// giveUp lets go what a program is too far behind to see.
func (t *Trigger) giveUp(p *program) {
	if t.read.sequence-p.mark.after <= t.cfg.Behind {
		return
	}
	lost := t.read.sequence - t.cfg.Behind - p.mark.after
	p.mark.after += lost
	p.mark.lost += lost
	t.cfg.Log.Warn("a program is too far behind to see all messages", "program", p.id, "lost", p.mark.lost, "limit", t.cfg.Behind)
}
