package programs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A Language is an engine that loads a program's code: a WebAssembly module with aleph_load.
type Language struct {
	Name     string
	Runtimes []string // the names that --runtime takes
	Version  string   // of Module's bytes; machine code is kept under it
	Module   func() ([]byte, error)
	Init     []File // given to aleph_init; programs' images depend on them as on the module
}

// What an engine's initialisation may take. The engine is the node's own: the limits only keep a fault from lasting.
var initLimits = image.Limits{Memory: 1 << 30, CPU: time.Minute, Log: RunLog}

// recipe is what the language's engine is made from.
func (l *Language) recipe() image.Recipe {
	event := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindLoad)
	for _, f := range l.Init {
		event = abi.Pair(event, abi.TagFile, f.Path, string(f.Content))
	}
	return image.Recipe{Version: l.Version, Module: l.Module, Limits: initLimits, Inspect: loadFailure, Steps: []image.Step{
		{Export: "_initialize", Optional: true},
		{Export: "aleph_init", Optional: true, Takes: true, Event: event},
	}}
}

// A Preparation is a step in making a language ready: compiling takes seconds, once a machine and engine.
type Preparation struct {
	Language string
	Step     string        // "compiling", "initialising", "ready" or "failed"
	Took     time.Duration // all steps; with "ready" and "failed"
	Err      error         // with "failed"
}

// engines makes languages ready, one at a time, when they are first asked for.
type engines struct {
	engine *wasm.Engine
	folder string
	told   func(Preparation)
	turn   chan struct{} // who makes one ready: it takes a slot, and compiling takes all cores anyway
	all    []*languageEngine
	life   context.Context
	end    context.CancelFunc
	work   sync.WaitGroup
}

// A languageEngine is a language made ready, or about to be.
type languageEngine struct {
	Language
	key string // of its image

	mu     sync.Mutex
	base   *image.Base // nil: not ready
	making *making     // nil: nobody makes it ready
	step   string      // what Preparation.Step was last
}

// A making has an end.
type making struct {
	done chan struct{}
	err  error
}

func newEngines(engine *wasm.Engine, folder string, languages []Language, told func(Preparation)) *engines {
	s := &engines{engine: engine, folder: folder, told: told, turn: make(chan struct{}, 1)}
	s.life, s.end = context.WithCancel(context.Background())
	for _, l := range languages {
		recipe := l.recipe()
		s.all = append(s.all, &languageEngine{Language: l, key: recipe.Key()})
	}
	return s
}

// of finds the engine that runs a runtime; nil if there is none.
func (s *engines) of(runtime string) *languageEngine {
	for _, e := range s.all {
		if slices.Contains(e.Runtimes, runtime) {
			return e
		}
	}
	return nil
}

// ready gives the language's engine once it is ready. What fails is tried again at the next call.
func (s *engines) ready(ctx context.Context, e *languageEngine) (*image.Base, error) {
	e.mu.Lock()
	if e.base != nil {
		defer e.mu.Unlock()
		return e.base, nil
	}
	m := e.making
	if m == nil {
		m = &making{done: make(chan struct{})}
		e.making = m
		s.work.Go(func() { s.make(e, m) })
	}
	e.mu.Unlock()
	select {
	case <-m.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.err != nil {
		return nil, m.err
	}
	return e.base, nil
}

// make makes the engine ready, for all that wait for it.
func (s *engines) make(e *languageEngine, m *making) {
	base, err := s.open(e)
	if err != nil {
		err = fmt.Errorf("the engine %s: %w", e.Name, err)
	}
	e.mu.Lock()
	e.base, e.making, m.err = base, nil, err
	e.mu.Unlock()
	close(m.done)
}

func (s *engines) open(e *languageEngine) (*image.Base, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-s.life.Done():
		return nil, s.life.Err()
	}
	begun, slow := time.Now(), false
	tell := func(p Preparation) {
		e.mu.Lock()
		e.step = p.Step
		e.mu.Unlock()
		if s.told != nil {
			p.Language = e.Name
			s.told(p)
		}
	}
	recipe := e.recipe()
	recipe.Progress = func(step string) {
		slow = true
		tell(Preparation{Step: step})
	}
	base, err := image.Ready(s.life, s.engine, s.folder, recipe)
	switch {
	case err != nil && s.life.Err() == nil:
		tell(Preparation{Step: "failed", Took: time.Since(begun), Err: err})
	case err == nil && slow:
		tell(Preparation{Step: "ready", Took: time.Since(begun)})
	}
	return base, err
}

// warm makes all languages ready, in their order.
func (s *engines) warm(ctx context.Context) error {
	var err error
	for _, e := range s.all {
		if ctx.Err() != nil {
			break
		}
		_, fault := s.ready(ctx, e)
		err = errors.Join(err, fault)
	}
	return err
}

// states says of each language whether it is ready.
func (s *engines) states() []LanguageState {
	var states []LanguageState
	for _, e := range s.all {
		e.mu.Lock()
		state := LanguageState{Name: e.Name, Runtimes: e.Runtimes, State: e.step}
		switch {
		case e.base != nil:
			state.State = "ready"
		case e.making == nil && e.step != "failed", state.State == "":
			state.State = "waiting"
		}
		e.mu.Unlock()
		states = append(states, state)
	}
	return states
}

// A LanguageState is how far a language is.
type LanguageState struct {
	Name     string   `json:"name"`
	Runtimes []string `json:"runtimes"`
	State    string   `json:"state"` // ready, waiting, compiling, initialising or failed
}

// ErrCompiling says that a compilation goes on, which cannot be interrupted.
var ErrCompiling = errors.New("a language is being compiled")

// close frees what is ready. It waits for a compilation under way, which takes seconds and whose work is kept, and begins no
// other. If it lasts longer than patience, the error is ErrCompiling: the wasm.Engine is in use until the process ends.
func (s *engines) close(patience time.Duration) error {
	s.end()
	ended := make(chan struct{})
	go func() {
		s.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		return ErrCompiling
	}
	var err error
	for _, e := range s.all {
		if e.base != nil {
			err = errors.Join(err, e.base.Close())
			e.base = nil
		}
	}
	return err
}
