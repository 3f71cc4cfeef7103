package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// Config is what a Trigger is made of. DB, Queue and Network are required.
type Config struct {
	DB      *kv.DB
	Queue   *queue.Queue
	Network *network.Node

	// Behind is how many messages the log keeps for programs that do not keep up. The default is 1,000,000, of some 150 bytes each.
	Behind uint64

	// WriteError answers a request that failed. The default writes {"error":{"code","message","hint"}}.
	WriteError func(ctx *fasthttp.RequestCtx, status int, code, message, hint string)

	Log *slog.Logger     // the default is slog.Default()
	Now func() time.Time // the default is time.Now
}

// A Trigger makes events of messages and of what is posted to topics.
type Trigger struct {
	cfg    Config
	topics topics

	// mu is held over each step of the follower, up to its commit, so that no event comes for a program after Remove.
	mu       sync.Mutex
	programs map[string]*program // those with filters
	marks    map[string]mark     // of programs that Set has not been called for since the start
	index    *index
	read     position // what the programs that keep up have
	saved    position // as it is stored
	trimmed  uint64   // the log's entries up to it were deleted
	trimAt   uint64   // trimAtOnce
	ahead    *ahead   // what is read already; nil for nothing
}

// A program with filters.
type program struct {
	id       string
	declared []triggers.Message
	texts    []string    // of the compiled filters, as the index has them
	last     []time.Time // when each made an event
	mark     mark
	due      time.Time     // when it is tried again; of one that is behind
	pause    time.Duration // until then
	full     string        // why it is behind: what the queue said last; empty if nothing since it was read for
	refused  string        // why it did not get the last message that it matched

	pass uint64 // of the last lookup that found it
	rank int    // of its first filter that matched there
}

// Open makes a trigger. Nothing is read until Run. Set must have been called for each program before.
func Open(cfg Config) (*Trigger, error) {
	if cfg.DB == nil || cfg.Queue == nil || cfg.Network == nil {
		return nil, errors.New("open the message trigger: the database, the queue and the network are required")
	}
	if cfg.Behind == 0 {
		cfg.Behind = 1_000_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.WriteError == nil {
		cfg.WriteError = writeError
	}
	t := &Trigger{cfg: cfg, topics: topics{programs: map[string]map[string]subscription{}, of: map[string][]triggers.Topic{}},
		programs: map[string]*program{}, index: newIndex(), trimAt: trimAtOnce}
	var err error
	if t.read, t.marks, err = load(cfg.DB); err != nil {
		return nil, fmt.Errorf("open the message trigger: %w", err)
	}
	t.saved = t.read
	return t, nil
}

// Set puts in force what a program declares, instead of what it declared before. d must have passed Check; nil means nothing. A program
// that had no filters before sees the messages that are processed from now on.
func (t *Trigger) Set(id string, _ time.Time, d *triggers.Declaration) error {
	if d == nil {
		d = &triggers.Declaration{}
	}
	t.topics.set(id, d.Topics)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(d.Messages) == 0 {
		return t.drop(id)
	}
	p := t.programs[id]
	if p != nil && reflect.DeepEqual(p.declared, d.Messages) {
		return nil
	}
	var filters []pattern
	var texts []string
	for i := range d.Messages {
		is, text, err := compile(d.Messages[i].Filter)
		if err != nil {
			return fmt.Errorf("messages[%d].filter of program %s: %w", i, id, err)
		}
		filters, texts = append(filters, is), append(texts, text)
	}
	if p == nil {
		m, err := t.begin(id)
		if err != nil {
			return fmt.Errorf("set the filters of program %s: %w", id, err)
		}
		p = &program{id: id, mark: m}
		t.programs[id] = p
	}
	for _, text := range slices.Compact(slices.Sorted(slices.Values(p.texts))) {
		t.index.remove(p, text)
	}
	p.declared, p.texts, p.last = slices.Clone(d.Messages), texts, make([]time.Time, len(texts))
	for rank, text := range texts {
		if slices.Index(texts, text) == rank { // one that is there twice counts once
			t.index.add(p, rank, filters[rank], text)
		}
	}
	return nil
}

// begin gives the mark of a program that has filters now: the stored one, or the log's end.
func (t *Trigger) begin(id string) (mark, error) {
	if m, stored := t.marks[id]; stored {
		delete(t.marks, id)
		return m, nil
	}
	end, err := t.cfg.Network.LastMessage()
	if err != nil {
		return mark{}, err
	}
	m := mark{after: end}
	return m, t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error { return tx.Set(programKey+id, m.encode()) })
}

// Remove forgets a program.
func (t *Trigger) Remove(id string) error {
	t.topics.set(id, nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.drop(id)
}

func (t *Trigger) drop(id string) error {
	p, stored := t.programs[id], false
	if p != nil {
		for _, text := range slices.Compact(slices.Sorted(slices.Values(p.texts))) {
			t.index.remove(p, text)
		}
		delete(t.programs, id)
	}
	if _, stored = t.marks[id]; !stored && p == nil {
		return nil
	}
	if err := t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error { return tx.Delete(programKey + id) }); err != nil {
		return fmt.Errorf("drop the checkpoint of program %s: %w", id, err)
	}
	delete(t.marks, id)
	return nil
}

// List says how a program's messages and topics are doing.
func (t *Trigger) List(id string) []triggers.Status {
	head, err := t.cfg.Network.LastMessage()
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []triggers.Status
	if p := t.programs[id]; p != nil {
		at := t.read.sequence
		if p.mark.behind {
			at = p.mark.after
		}
		head = max(head, at)
		state, text := p.state()
		if err != nil {
			state, text = "failed", err.Error()
		}
		for i, m := range p.declared {
			list = append(list, triggers.Status{Name: m.Name, Kind: "message", Spec: spec(m.Filter), State: state, Error: text, Last: p.last[i],
				Position: at, Head: head, Lag: head - at})
		}
	}
	return append(list, t.topics.list(id)...)
}

func (p *program) state() (state, text string) {
	state = "active"
	switch {
	case p.full != "":
		state, text = "waiting", p.full
	case p.mark.behind:
		state = "behind"
	case p.refused != "":
		state, text = "failed", p.refused
	}
	if p.mark.lost > 0 {
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("it was too far behind to see %d messages", p.mark.lost)
	}
	return state, text
}

func spec(filter map[string]any) string {
	text, err := json.Marshal(filter)
	if err != nil || filter == nil {
		return "{}"
	}
	return string(text)
}

// Run hands out messages until ctx is done.
func (t *Trigger) Run(ctx context.Context) error {
	const retry = time.Second
	if err := t.sweep(); err != nil {
		return err
	}
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.wait()
	}()
	for ctx.Err() == nil {
		wait, err := t.step()
		if err != nil {
			t.cfg.Log.Error("messages are not handed out; it is tried again", "error", err)
			wait = retry
		}
		timer := time.NewTimer(max(wait, 0))
		woken := t.cfg.Network.NewMessages()
		if err != nil {
			woken = nil
		}
		select {
		case <-ctx.Done():
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// sweep drops what is stored of programs that are not there any more. The log would be kept for them.
func (t *Trigger) sweep() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.marks {
		if err := t.drop(id); err != nil {
			return err
		}
	}
	return nil
}
