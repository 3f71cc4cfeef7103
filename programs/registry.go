package programs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/pool"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// Header is what replies say of the program that made them.
type Header struct{ ID, CodeRef []byte }

// Config is what a Registry is made of.
type Config struct {
	DB        *kv.DB
	Engine    *wasm.Engine
	Pool      *pool.Pool
	Folder    string                       // for programs' images and machine code
	Engines   string                       // for those of languages; several nodes of a user may share it
	CodePath  func(codeHash string) string // where a program's code is
	Languages []Language
	// Attach makes what requests need beside the version, once for each that is served.
	Attach func(*Program, *Version) (any, error)
	// Changed is called when another version of a program is in force. The default is to tell nobody.
	Changed func(*Program)
	// Removed is called when a program was forgotten and nothing of it runs any more; after a restart once more.
	Removed func(program string)
	// Logged gets what programs log while they are loaded. The default is to drop it.
	Logged func(program string, level int, text []byte)
	// Preparing is told how languages are made ready, where that takes long. The default is to tell nobody.
	Preparing func(Preparation)
	// Open is how many programs are kept open, each a descriptor and some maps; those that were not called for longest are
	// closed, and opened again at their next call. The default is 4,096, or a quarter of the descriptors that the process may have.
	Open int
}

// A Registry holds the programs of a node.
type Registry struct {
	config  Config
	engines *engines
	builder *builder
	open    openPrograms

	mu       sync.Mutex // of who replaces programs
	programs atomic.Pointer[map[string]*Program]
}

// A Program is one that was deployed. Its fields do not change.
type Program struct {
	ID      string
	Owner   string
	Created time.Time

	registry *Registry
	record   atomic.Pointer[Record]
	serving  atomic.Pointer[Serving]
	opening  sync.Mutex // while serving is made or replaced
	changing sync.Mutex // from a change's preparation to its end
	share    pool.Share // of its versions: what instances they hold
	gone     bool
	ringed   bool // in openPrograms, whose mutex guards it
}

// Serving is the version that requests get. Its fields do not change.
type Serving struct {
	*Version
	Guest    *pool.Guest
	Header   Header
	Attached any  // Config.Attach made it
	Reads    bool // the guest reads bodies that follow their events

	called atomic.Bool // since openPrograms looked
}

// Open reads the records. Programs are made ready when they are first called. Close ends it.
func Open(config Config) (*Registry, error) {
	engines := newEngines(config.Engine, config.Engines, config.Languages, config.Preparing)
	b, err := newBuilder(config.Engine, config.Folder, engines)
	if err != nil {
		return nil, err
	}
	r := &Registry{config: config, engines: engines, builder: b, open: openPrograms{most: config.Open}}
	if r.open.most <= 0 {
		r.open.most = openMost()
	}
	programs := map[string]*Program{}
	r.programs.Store(&programs)
	keys := map[string]bool{}
	err = loadAll(config.DB, func(record *Record) error {
		programs[record.ID] = r.program(record)
		for i := range record.Versions {
			if record.Forgotten {
				continue
			}
			for _, key := range b.keys(&record.Versions[i]) {
				keys[key] = true
			}
		}
		return nil
	})
	if err == nil {
		err = errors.Join(b.cache.keep(keys), image.Sweep(config.Engines, enginesKept))
	}
	if err == nil {
		err = r.finishRemovals()
	}
	return r, err
}

// finishRemovals tells, once more, of the programs that were forgotten before this start: the last run may have ended with
// the process.
func (r *Registry) finishRemovals() (err error) {
	for _, p := range *r.programs.Load() {
		if record := *p.Record(); record.Forgotten && !record.Cleared {
			r.config.Removed(p.ID)
			record.Cleared = true
			p.record.Store(&record)
			err = errors.Join(err, r.config.DB.Update(record.save))
		}
	}
	return err
}

// enginesKept is how long the files of a language that no node opens are kept: those of other versions, which a node that was
// set back may ask for.
const enginesKept = 30 * 24 * time.Hour

// Warm makes the languages' engines ready, one after the other. The first time on a machine that takes seconds each.
func (r *Registry) Warm(ctx context.Context) error { return r.engines.warm(ctx) }

// Languages says of each language how far it is.
func (r *Registry) Languages() []LanguageState { return r.engines.states() }

// Close frees what is served. Nothing may run any more. It waits for a language's compilation under way; if that lasts longer
// than patience, the error is ErrCompiling, and the wasm.Engine must not be closed.
func (r *Registry) Close(patience time.Duration) error {
	for _, p := range *r.programs.Load() {
		p.retire()
	}
	return r.engines.close(patience)
}

func (r *Registry) program(record *Record) *Program {
	p := &Program{ID: record.ID, Owner: record.Owner, Created: record.Created, registry: r}
	p.record.Store(record)
	return p
}

// Runtimes are the names that a program's runtime may have, beside the item hashes of stored ones.
func (r *Registry) Runtimes() []string { return r.builder.runtimes() }

// Language names the engine that runs programs of a runtime, as python3.11 those of python3.9; empty where their code is a module
// itself.
func (r *Registry) Language(runtime string) string {
	if e := r.engines.of(runtime); e != nil {
		return e.Name
	}
	return ""
}

// Lookup finds a program; nil if there never was one with that id.
func (r *Registry) Lookup(id string) *Program { return (*r.programs.Load())[id] }

// LookupBytes is Lookup without a string.
func (r *Registry) LookupBytes(id []byte) *Program { return (*r.programs.Load())[string(id)] }

// add makes a new program known. The map is copied: lookups take no lock, and deploys are rare.
func (r *Registry) add(p *Program) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := maps.Clone(*r.programs.Load())
	next[p.ID] = p
	r.programs.Store(&next)
}

// List gives the records of programs that were not forgotten, oldest first; only the owner's unless owner is empty.
func (r *Registry) List(owner string) []*Record {
	var records []*Record
	for _, p := range *r.programs.Load() {
		record := p.Record()
		if !record.Forgotten && (owner == "" || strings.EqualFold(owner, record.Owner)) {
			records = append(records, record)
		}
	}
	slices.SortFunc(records, func(a, b *Record) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return records
}

// Record is the program as the database has it. It must not be changed.
func (p *Program) Record() *Record { return p.record.Load() }

// ErrForgotten says that a program was deleted by its owner.
var ErrForgotten = errors.New("the program was forgotten")

// Serving gives the version to run, made ready now if it is not.
func (p *Program) Serving(ctx context.Context) (*Serving, error) {
	if s := p.serving.Load(); s != nil {
		if !s.called.Load() {
			s.called.Store(true)
		}
		return s, nil
	}
	p.opening.Lock()
	defer p.opening.Unlock()
	if s := p.serving.Load(); s != nil {
		return s, nil
	}
	record := p.Record()
	if record.Forgotten || p.gone {
		return nil, ErrForgotten
	}
	s, err := p.registry.serve(ctx, p, *record.ActiveVersion())
	if err != nil {
		return nil, err
	}
	s.called.Store(true)
	p.serving.Store(s)
	p.registry.open.add(p)
	return s, nil
}

// serve makes a version ready to be called.
func (r *Registry) serve(ctx context.Context, p *Program, v Version) (*Serving, error) {
	v.CodePath = r.config.CodePath(v.CodeHash)
	if v.Stored != nil {
		stored := *v.Stored
		stored.CodePath = r.config.CodePath(stored.CodeHash)
		v.Stored = &stored
	}
	spec, err := r.builder.open(ctx, &v, func(level int, text []byte) {
		if r.config.Logged != nil {
			r.config.Logged(p.ID, level, text)
		}
	})
	if err != nil {
		return nil, err
	}
	spec.Share = &p.share
	s := &Serving{Version: &v, Guest: r.config.Pool.Add(spec), Header: Header{[]byte(p.ID), []byte(v.CodeRef)}, Reads: reads(&spec)}
	if s.Attached, err = r.config.Attach(p, &v); err != nil {
		s.Guest.Remove(nil)
		return nil, err
	}
	return s, nil
}

// retire ends what is served, for good.
func (p *Program) retire() {
	p.opening.Lock()
	defer p.opening.Unlock()
	p.gone = true
	if s := p.serving.Swap(nil); s != nil {
		s.Guest.Remove(nil)
	}
}

// A Change of a program: Commit writes it within the caller's transaction, which may run it again; then either Applied puts
// it in force or Dropped gives it up. Until then no other change of the program begins.
type Change struct {
	program *Program
	record  *Record
	serving *Serving // nil: the program ends
	fresh   bool
}

// A Deployment is a program as it is to be.
type Deployment struct {
	ID, Name, Description, Owner string
	CodeRef                      string  // as in Record
	Version                      Version // without number
}

// Prepare builds a new program, or a new version of one. The caller serialises the first two of a program. The error is a
// *BuildError if the program is at fault.
func (r *Registry) Prepare(ctx context.Context, d Deployment) (*Change, error) {
	p := r.Lookup(d.ID)
	fresh := p == nil
	if fresh {
		p = r.program(&Record{ID: d.ID, Owner: d.Owner, Created: d.Version.Created})
	}
	p.changing.Lock()
	next := p.Record().with(d.Version)
	next.Name, next.Description, next.CodeRef = d.Name, d.Description, d.CodeRef
	serving, err := r.serve(ctx, p, *next.ActiveVersion())
	if err != nil {
		p.changing.Unlock()
		r.sweep([]Version{*next.ActiveVersion()}) // a stored runtime may be ready and the program not
		return nil, err
	}
	return &Change{program: p, record: next, serving: serving, fresh: fresh}, nil
}

// PrepareRemoval ends a program.
func (r *Registry) PrepareRemoval(id string) (*Change, error) {
	p := r.Lookup(id)
	if p == nil {
		return nil, fmt.Errorf("no program %s", id)
	}
	p.changing.Lock()
	next := *p.Record()
	next.Forgotten = true
	next.Versions, next.Updated = nil, time.Now().UTC()
	return &Change{program: p, record: &next}, nil
}

// Rollback serves an earlier version again; the one before the active one if version is 0.
func (r *Registry) Rollback(ctx context.Context, id string, version int) (*Record, error) {
	p := r.Lookup(id)
	if p == nil {
		return nil, ErrForgotten
	}
	p.changing.Lock()
	c, err := p.rollback(ctx, version)
	if err != nil {
		p.changing.Unlock()
		return nil, err
	}
	if err := r.config.DB.Update(c.Commit); err != nil {
		c.Dropped()
		return nil, err
	}
	c.Applied()
	return c.record, nil
}

func (p *Program) rollback(ctx context.Context, version int) (*Change, error) {
	record := p.Record()
	if record.Forgotten {
		return nil, ErrForgotten
	}
	if version == 0 {
		for _, v := range record.Versions {
			if v.Number < record.Active {
				version = v.Number
			}
		}
		if version == 0 {
			return nil, fmt.Errorf("%w: there is none before version %d", ErrUnknownVersion, record.Active)
		}
	}
	to := record.version(version)
	if to == nil {
		return nil, fmt.Errorf("%w: %d; versions %d to %d are kept", ErrUnknownVersion, version, record.Versions[0].Number, record.Versions[len(record.Versions)-1].Number)
	}
	serving, err := p.registry.serve(ctx, p, *to)
	if err != nil {
		return nil, err
	}
	next := *record
	next.Active, next.Updated = version, time.Now().UTC()
	return &Change{program: p, record: &next, serving: serving}, nil
}

// Commit writes the change.
func (c *Change) Commit(tx *kv.Txn) error { return c.record.save(tx) }

// Applied puts the change in force: requests that begin from now on see it.
func (c *Change) Applied() {
	p := c.program
	defer p.changing.Unlock()
	p.opening.Lock()
	before := p.record.Swap(c.record)
	p.gone = c.serving == nil
	old := p.serving.Swap(c.serving)
	p.opening.Unlock()
	if c.serving != nil {
		p.registry.open.add(p)
	}
	if c.fresh {
		p.registry.add(p)
	}
	if c.serving != nil && p.registry.config.Changed != nil {
		p.registry.config.Changed(p)
	}
	var then func()
	if c.serving == nil {
		then = func() { p.registry.config.Removed(p.ID) }
		defer p.registry.sweep(before.Versions)
	}
	if old != nil {
		old.Guest.Remove(then)
	} else if then != nil {
		then()
	}
}

// Dropped gives the change up.
func (c *Change) Dropped() {
	defer c.program.changing.Unlock()
	if c.serving != nil {
		c.serving.Guest.Remove(nil)
	}
	if c.fresh {
		c.program.registry.sweep(c.record.Versions)
	}
}

// sweep removes the images and machine code that only these versions needed. Opened ones live on until they are closed.
func (r *Registry) sweep(versions []Version) {
	unused := map[string]bool{}
	each := func(versions []Version, mark bool) {
		for i := range versions {
			for _, key := range r.builder.keys(&versions[i]) {
				unused[key] = mark
			}
		}
	}
	each(versions, true)
	for _, p := range *r.programs.Load() {
		each(p.Record().Versions, false)
	}
	for key, is := range unused {
		if is {
			r.builder.cache.remove(key)
		}
	}
}
