package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A Source makes the events of one kind of trigger, or several.
type Source interface {
	Former

	// Set puts in force what a program declares, instead of what it declared before. It does nothing if that is the same.
	Set(program string, created time.Time, d *triggers.Declaration) error

	// Remove ends a program's triggers and drops what was kept of them.
	Remove(program string) error

	// Run makes events until the context ends.
	Run(ctx context.Context) error

	// List says how a program's triggers are doing.
	List(program string) []triggers.Status
}

// A Firer is a Source that can make an event of a trigger at any time.
type Firer interface {
	Fire(ctx context.Context, program, name string) (id string, err error)
}

// Sources are all of a node's, in step with what its programs declare.
type Sources struct {
	all []Source

	mu sync.Mutex // one change of declarations at a time
}

// NewSources puts what the programs declare in force. Those that are deployed later are to be told by Set.
func NewSources(all []Source, records []*programs.Record) (*Sources, error) {
	s := &Sources{all: all}
	for _, r := range records {
		if err := s.set(r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Set puts in force what a program declares now.
func (s *Sources) Set(p *programs.Program) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	record := p.Record()
	if record.Forgotten {
		return nil
	}
	return s.set(record)
}

func (s *Sources) set(r *programs.Record) (err error) {
	v := r.ActiveVersion()
	for _, source := range s.all {
		err = errors.Join(err, source.Set(r.ID, v.Created, &v.Triggers))
	}
	return err
}

// Remove ends a forgotten program's triggers.
func (s *Sources) Remove(program string) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, source := range s.all {
		err = errors.Join(err, source.Remove(program))
	}
	return err
}

// Run makes events until the context ends. A source that fails ends the others.
func (s *Sources) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	failed := make(chan error, len(s.all))
	for _, source := range s.all {
		go func() { failed <- source.Run(ctx) }()
	}
	var err error
	for range s.all {
		if e := <-failed; e != nil && !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
		end()
	}
	return err
}

// List says how a program's triggers are doing.
func (s *Sources) List(program string) []triggers.Status {
	list := []triggers.Status{}
	for _, source := range s.all {
		list = append(list, source.List(program)...)
	}
	return list
}

// Errors of Fire.
var (
	ErrNoTrigger = errors.New("no such trigger")
	ErrNoFiring  = errors.New("a trigger of this kind cannot be fired by hand")
)

// Fire makes an event of a program's trigger now, and gives its id.
func (s *Sources) Fire(ctx context.Context, program, name string) (id string, err error) {
	for _, source := range s.all {
		for _, status := range source.List(program) {
			if status.Name != name {
				continue
			}
			if firer, can := source.(Firer); can {
				return firer.Fire(ctx, program, name)
			}
			return "", ErrNoFiring
		}
	}
	return "", ErrNoTrigger
}
