package programs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"sync"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/wasi"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A Runtime is a module that somebody deployed, and that a version's code is given to: a language engine with aleph_load, or a
// command that finds the code among its files. It is made ready once, however many programs are in it: its machine code and its
// initialised memory are shared, each program's own image lies over the latter.
type Runtime struct {
	CodeHash   string            `json:"code_hash"` // as Version has them
	CodePath   string            `json:"-"`
	Encoding   string            `json:"encoding"`
	Entrypoint string            `json:"entrypoint"`
	Variables  map[string]string `json:"variables,omitempty"`
	Of         string            `json:"of,omitempty"` // the runtime of the program that it is; empty of a file
}

// A runtime is not the node's own, and may be anybody's: what it is initialised with is what a program may have at most.
const (
	runtimeMemory = 1 << 30 // bytes
	runtimeCPU    = loadCPU
)

// key is the name of what is made from the runtime.
func (r *Runtime) key(host string) string {
	parts := []string{"runtime " + host, r.CodeHash, r.Encoding, r.Entrypoint}
	for _, name := range slices.Sorted(maps.Keys(r.Variables)) {
		parts = append(parts, name, r.Variables[name])
	}
	return image.KeyOf(parts...)
}

// files are the module's file and those that it brings along.
func (r *Runtime) files() (module []byte, others []File, err error) {
	code, err := os.ReadFile(r.CodePath)
	if err != nil {
		return nil, nil, fmt.Errorf("the runtime's code is missing: %w", err)
	}
	all, err := readBundle(r.Encoding, r.Entrypoint, code)
	if err != nil {
		return nil, nil, err
	}
	return moduleOf(r.Entrypoint, all)
}

// surroundings is what the runtime finds of WASI while it is initialised.
func (r *Runtime) surroundings(files []File) *wasi.Program {
	return &wasi.Program{Arguments: []string{path.Base(r.Entrypoint)}, Variables: environment(r.Variables),
		Files: func() ([]wasi.File, error) { return wasiFiles(files), nil }}
}

// makeRuntime makes a version's runtime ready, unless it is. One is made at a time.
func (b *builder) makeRuntime(ctx context.Context, v *Version) error {
	select {
	case b.runtimeTurn <- struct{}{}:
		defer func() { <-b.runtimeTurn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r := v.Stored
	key := r.key(b.host)
	if _, release, err := b.cache.base(key); err == nil {
		release()
		return nil
	}
	err := b.initialiseRuntime(r, key)
	var fault *BuildError
	if errors.As(err, &fault) {
		fault.Message = fmt.Sprintf("the runtime %s: %s", v.Runtime, fault.Message)
	}
	return err
}

func (b *builder) initialiseRuntime(r *Runtime, key string) error {
	if r.Of != "" && !slices.Contains(wasmRuntimes, r.Of) {
		return &BuildError{Code: abi.ErrUnknownRuntime, Message: "it is a program in " + r.Of + ", and a runtime is a WebAssembly module", Hint: runtimeHint}
	}
	module, files, err := r.files()
	if err != nil {
		return err
	}
	limits := image.Limits{Memory: runtimeMemory, CPU: runtimeCPU, Log: RunLog, System: r.surroundings(files).System()}
	event := loadFrame(r.Entrypoint, runtimeMemory, r.Variables, files)
	return b.initialise(module, key, limits, event, checkRuntime, nil)
}

// runtimeHint is how to make what programs can be given to.
const runtimeHint = "deploy the engine with --runtime wasm, and name that program's id; docs/runtimes.md says what an engine is"

// checkRuntime refuses a module that code cannot be given to.
func checkRuntime(m *wasm.Module) error {
	if err := checkExports(m); err != nil {
		return err
	}
	if exports(m, "aleph_load") || isCommand(m) {
		return nil
	}
	return &BuildError{Code: abi.ErrUnknownRuntime, Message: "it is a program and no language: it exports neither aleph_load nor, as a command does, _start", Hint: runtimeHint}
}

// bases are the runtimes that are open: as long as a program in them is.
type bases struct {
	mu   sync.Mutex
	open map[string]*openBase
}

type openBase struct {
	*image.Base
	uses    int
	release func() // of the module
}

// base opens what is kept of a runtime; release gives it back. Nothing may lie over its image then.
func (c *cache) base(key string) (base *image.Base, release func(), err error) {
	c.bases.mu.Lock()
	defer c.bases.mu.Unlock()
	b := c.bases.open[key]
	if b == nil {
		module, release, err := c.load(key)
		if err != nil {
			return nil, nil, err
		}
		img, err := c.image(key, nil)
		if err != nil {
			release()
			return nil, nil, err
		}
		b = &openBase{Base: &image.Base{Module: module, Image: img}, release: release}
		c.bases.open[key] = b
	}
	b.uses++
	return b.Base, sync.OnceFunc(func() {
		c.bases.mu.Lock()
		defer c.bases.mu.Unlock()
		if b.uses--; b.uses == 0 {
			delete(c.bases.open, key)
			b.Image.Close()
			b.release()
		}
	}), nil
}
