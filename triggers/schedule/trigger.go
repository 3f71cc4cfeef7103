package schedule

import (
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// Config is what a Trigger is made of. DB and Queue are required.
type Config struct {
	DB    *kv.DB
	Queue *queue.Queue

	Log *slog.Logger     // the default is slog.Default()
	Now func() time.Time // the wall clock; the default is time.Now
}

// A Trigger makes events of schedules.
type Trigger struct {
	cfg  Config
	wake chan struct{} // of Run: something is due earlier than it thinks

	// mu is held over each step up to its commit, so that no event comes for a program after Remove.
	mu       sync.Mutex
	programs map[string][]*entry        // in the order in which they are declared
	marks    map[string]map[string]mark // of programs that Set has not been called for since the start
	zones    map[string]*time.Location  // those that were used; at most as many as there are
	dues     dues
	started  int64  // no time before is on time
	wall     int64  // the wall clock when it was looked at last
	failure  string // why nothing can be written; empty while it can
}

// Open makes a trigger. It makes no events until Run. Set must have been called for each program before.
func Open(cfg Config) (*Trigger, error) {
	if cfg.DB == nil || cfg.Queue == nil {
		return nil, errors.New("open the schedules: the database and the queue are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	now := cfg.Now().Unix()
	t := &Trigger{cfg: cfg, wake: make(chan struct{}, 1), programs: map[string][]*entry{}, zones: map[string]*time.Location{}, started: now, wall: now}
	var err error
	if t.marks, err = load(cfg.DB); err != nil {
		return nil, fmt.Errorf("open the schedules: %w", err)
	}
	return t, nil
}

// Set puts in force what a program declares, instead of what it declared before. d must have passed Check; nil means nothing. created
// is what @every counts from. A schedule that is new, or has another expression, begins now; others go on from their last time.
func (t *Trigger) Set(program string, created time.Time, d *triggers.Declaration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.known(program)
	if d == nil || len(d.Schedules) == 0 {
		return t.drop(program, known)
	}
	now := t.cfg.Now().Unix()
	entries, write := make([]*entry, 0, len(d.Schedules)), map[string]mark{}
	for i := range d.Schedules {
		s := &d.Schedules[i]
		x, err := parse(s.Cron, created, t.zone)
		if err != nil {
			return fmt.Errorf("schedules[%d].cron of program %s: %w", i, program, err)
		}
		e := &entry{program: program, name: s.Name, expression: x, missed: s.Missed, forbids: s.Overlap == forbid, jitter: time.Duration(s.Jitter)}
		var found bool
		if e.mark, found = known[s.Name]; !found || e.mark.expression != hash(x.text) {
			e.mark = mark{expression: hash(x.text), last: now}
			write[s.Name] = e.mark
		}
		delete(known, s.Name)
		if m, changed := e.corrected(now); changed {
			e.mark, write[s.Name] = m, m
		}
		e.due = x.next(e.mark.last)
		entries = append(entries, e)
	}
	if err := t.write(program, write, known); err != nil {
		return err
	}
	t.replace(program, entries)
	return nil
}

// Remove forgets a program.
func (t *Trigger) Remove(program string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.drop(program, t.known(program))
}

// known are a program's checkpoints. t.mu is held, as below.
func (t *Trigger) known(program string) map[string]mark {
	known := maps.Clone(t.marks[program])
	if known == nil {
		known = map[string]mark{}
	}
	for _, e := range t.programs[program] {
		known[e.name] = e.mark
	}
	return known
}

func (t *Trigger) drop(program string, known map[string]mark) error {
	if err := t.write(program, nil, known); err != nil {
		return err
	}
	t.replace(program, nil)
	return nil
}

// write stores some checkpoints of a program, and deletes others.
func (t *Trigger) write(program string, marks, gone map[string]mark) error {
	if len(marks)+len(gone) == 0 {
		return nil
	}
	err := t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error {
		for name := range gone {
			if err := tx.Delete(key(program, name)); err != nil {
				return err
			}
		}
		for name, m := range marks {
			if err := tx.Set(key(program, name), m.encode()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the schedules of program %s: %w", program, err)
	}
	return nil
}

// replace puts a program's entries in the place of those before.
func (t *Trigger) replace(program string, entries []*entry) {
	for _, e := range t.programs[program] {
		heap.Remove(&t.dues, e.place)
	}
	delete(t.marks, program)
	delete(t.programs, program)
	if len(entries) == 0 {
		return
	}
	t.programs[program] = entries
	for _, e := range entries {
		heap.Push(&t.dues, e)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// zone is time.LoadLocation, which reads files, but once for each.
func (t *Trigger) zone(name string) (*time.Location, error) {
	if zone := t.zones[name]; zone != nil {
		return zone, nil
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		t.zones[name] = zone
	}
	return zone, err
}

// List says how a program's schedules are doing.
func (t *Trigger) List(program string) (list []triggers.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Now().Unix()
	for _, e := range t.programs[program] {
		s := triggers.Status{Name: e.name, Kind: "schedule", Spec: e.expression.text, State: "active", Skipped: e.mark.skipped}
		switch {
		case t.failure != "":
			s.State, s.Error = "failed", t.failure
		case e.waits != "":
			s.State, s.Error = "waiting", e.waits
		case e.fails != "":
			s.State, s.Error = "failed", e.fails
		}
		if e.mark.made != 0 {
			s.Last = time.Unix(e.mark.made, 0).UTC()
		}
		for at := e.expression.next(max(e.mark.last, now)); at != never && len(s.Next) < 3; at = e.expression.next(at) {
			s.Next = append(s.Next, time.Unix(at, 0).UTC())
		}
		list = append(list, s)
	}
	return list
}

// Fire makes an event of a schedule now, beside those of its times, and returns its id. The error is queue.ErrNotFound if the program
// has no such schedule, or the queue's.
func (t *Trigger) Fire(ctx context.Context, program, name string) (id string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	i := slices.IndexFunc(t.programs[program], func(e *entry) bool { return e.name == name })
	if i < 0 {
		return "", &kv.Error{Code: queue.ErrNotFound, Text: fmt.Sprintf("program %s has no schedule with the name %q", program, name)}
	}
	e := t.programs[program][i].event(t.cfg.Now().Unix())
	e.ID = name + "@" + queue.NewID()
	if _, err := t.cfg.Queue.Accept([]queue.Event{e}, nil); err != nil {
		return "", fmt.Errorf("fire %s of program %s: %w", name, program, err)
	}
	return e.ID, nil
}

// Form is what a program sees of a time: scheduled_at and schedule in context.event, and as the body.
func (t *Trigger) Form(_ context.Context, d *queue.Delivery) (triggers.Form, error) {
	body := struct {
		At       string `json:"scheduled_at"`
		Schedule string `json:"schedule"`
		Trigger  string `json:"trigger"`
	}{d.Scheduled.UTC().Format(time.RFC3339), string(d.Payload), d.Trigger}
	text, err := json.Marshal(body)
	if err != nil {
		return triggers.Form{}, fmt.Errorf("form the event %s: %w", d.ID, err)
	}
	at, _ := json.Marshal(body.At)
	expression, _ := json.Marshal(body.Schedule)
	return triggers.Form{Body: text, Details: []triggers.Detail{{Name: "scheduled_at", JSON: at}, {Name: "schedule", JSON: expression}}}, nil
}

// event is the entry's event of a time.
func (e *entry) event(at int64) queue.Event {
	when := time.Unix(at, 0).UTC()
	return queue.Event{Program: e.program, ID: e.id(at), Kind: abi.KindSchedule, Trigger: e.name, Payload: []byte(e.expression.text), Scheduled: when}
}

func (e *entry) id(at int64) string {
	return e.name + "@" + time.Unix(at, 0).UTC().Format(time.RFC3339)
}
