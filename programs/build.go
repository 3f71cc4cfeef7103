package programs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/pool"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A BuildError says why a program cannot be deployed.
type BuildError struct {
	Code    *abi.Error
	Message string
	Stack   string // of the program's own code
	Hint    string
}

func (e *BuildError) Error() string { return e.Message }

// wasmRuntimes are the names under which the code is itself a module.
var wasmRuntimes = []string{"go", "rust", "wasm"}

// Limits of a program's initialisation, and of the log of one run.
const (
	loadCPU = 10 * time.Second
	RunLog  = 1 << 20 // bytes
)

// BuildSlots is how many of the engine's slots builds take at most: one a core, and one where a language is made ready. Leave them
// out of the pool, so that programs can be deployed however many are called.
func BuildSlots() int { return runtime.GOMAXPROCS(0) + 1 }

// A builder turns a version's code into what the pool serves.
type builder struct {
	engine  *wasm.Engine
	cache   *cache
	engines *engines
	slots   chan struct{} // one build a core
	host    string        // what machine code depends on beside the module

	runtimeTurn chan struct{} // who makes a stored runtime ready
}

func newBuilder(engine *wasm.Engine, folder string, engines *engines) (*builder, error) {
	cache, err := openCache(engine, folder)
	if err != nil {
		return nil, err
	}
	return &builder{engine: engine, cache: cache, engines: engines, slots: make(chan struct{}, BuildSlots()-1), host: image.Host(),
		runtimeTurn: make(chan struct{}, 1)}, nil
}

// runtimes are the names that a program's runtime may have.
func (b *builder) runtimes() []string {
	names := slices.Clone(wasmRuntimes)
	for _, e := range b.engines.all {
		names = append(names, e.Runtimes...)
	}
	slices.Sort(names)
	return names
}

// language finds the engine of a runtime; nil where the code is itself a module.
func (b *builder) language(runtime string) (*languageEngine, error) {
	if e := b.engines.of(runtime); e != nil {
		return e, nil
	}
	if slices.Contains(wasmRuntimes, runtime) {
		return nil, nil
	}
	return nil, &BuildError{Code: abi.ErrUnknownRuntime, Message: fmt.Sprintf("the runtime %q is not known", runtime),
		Hint: "known runtimes: " + strings.Join(b.runtimes(), ", ")}
}

// key is the name of what is made from a version: its image, and where the code is itself a module the machine code.
func (b *builder) key(v *Version) (string, error) {
	from := "wasm " + b.host
	if v.Stored != nil {
		from = v.Stored.key(b.host)
	} else if language, err := b.language(v.Runtime); err != nil {
		return "", err
	} else if language != nil {
		from = language.key
	}
	parts := []string{from, v.CodeHash, v.Encoding, v.Entrypoint, fmt.Sprint(v.Memory)}
	for _, name := range slices.Sorted(maps.Keys(v.Variables)) {
		parts = append(parts, name, v.Variables[name])
	}
	return image.KeyOf(parts...), nil
}

// keys are the names of the files that a version needs: those of key, and of its runtime.
func (b *builder) keys(v *Version) []string {
	key, err := b.key(v)
	switch {
	case err != nil:
		return nil
	case v.Stored != nil:
		return []string{key, v.Stored.key(b.host)}
	}
	return []string{key}
}

// open gives what the pool serves of a version, made now if it is not there. logged gets what the program logs while it is
// loaded, if it is.
func (b *builder) open(ctx context.Context, v *Version, logged func(level int, text []byte)) (pool.Spec, error) {
	key, err := b.key(v)
	if err != nil {
		return pool.Spec{}, err
	}
	spec, err := b.openBuilt(ctx, v, key)
	if err == nil {
		return spec, nil
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return pool.Spec{}, ctx.Err()
	}
	for attempt := 0; ; attempt++ { // the files can be swept with another program's before they are opened
		if err := b.build(ctx, v, key, logged); err != nil {
			return pool.Spec{}, err
		}
		if spec, err = b.openBuilt(ctx, v, key); err == nil || attempt == 3 {
			return spec, err
		}
	}
}

// under gives the engine that a version's code was given to, ready; nil where the code is itself a module. release gives it back.
func (b *builder) under(ctx context.Context, v *Version) (base *image.Base, release func(), err error) {
	if v.Stored != nil {
		return b.cache.base(v.Stored.key(b.host))
	}
	if language := b.engines.of(v.Runtime); language != nil {
		base, err = b.engines.ready(ctx, language)
	}
	return base, func() {}, err
}

func (b *builder) openBuilt(ctx context.Context, v *Version, key string) (spec pool.Spec, err error) {
	base, releaseBase, err := b.under(ctx, v)
	if err != nil {
		return pool.Spec{}, err
	}
	spec = pool.Spec{Memory: uint64(v.Memory) << 20, CPU: time.Duration(v.Timeout) * time.Second, Log: RunLog}
	var over *wasm.Image
	release := releaseBase
	if base != nil {
		over, spec.Module = base.Image, base.Module
	} else if spec.Module, release, err = b.cache.load(key); err != nil {
		return pool.Spec{}, err
	}
	if base == nil || v.Stored != nil {
		spec.Kind = kindOf(v, spec.Module)
	}
	if spec.Image, err = b.cache.image(key, over); err != nil {
		release()
		return pool.Spec{}, err
	}
	spec.Close = func() {
		spec.Image.Close()
		release()
	}
	return spec, nil
}

func (b *builder) build(ctx context.Context, v *Version, key string, logged func(level int, text []byte)) error {
	info, err := os.Stat(v.CodePath)
	if err != nil {
		return fmt.Errorf("the program's code is missing: %w", err)
	}
	if info.Size() > MaxCode {
		return &BuildError{Code: abi.ErrUnsupportedBundle, Message: fmt.Sprintf("the code is %d bytes, the limit is %d MiB", info.Size(), MaxCode>>20),
			Hint: "leave out what does not run: build output, tests, debug information"}
	}
	code, err := os.ReadFile(v.CodePath)
	if err != nil {
		return err
	}
	files, err := readBundle(v.Encoding, v.Entrypoint, code)
	if err != nil {
		return err
	}
	if v.Stored != nil {
		if err := b.makeRuntime(ctx, v); err != nil {
			return err
		}
	}
	base, release, err := b.under(ctx, v)
	if err != nil {
		return err
	}
	defer release()
	limits := image.Limits{Memory: uint64(v.Memory) << 20, CPU: loadCPU, Log: RunLog}
	if base == nil {
		return b.buildModule(v, files, key, limits, logged)
	}
	return b.load(v, files, key, base, limits, logged)
}

// load gives a program's code to its engine.
func (b *builder) load(v *Version, files []File, key string, base *image.Base, limits image.Limits, logged func(level int, text []byte)) error {
	if err := fits(v, base.Image.Size()); err != nil {
		return err
	}
	steps := []image.Step{{Export: "aleph_load", Takes: true, Event: loadFrame(v.Entrypoint, limits.Memory, v.Variables, files)}}
	if v.Stored != nil {
		limits.System = surroundings(v).System()
	}
	if isCommand(base.Module) {
		steps = nil // it looks for the code when it runs
	}
	captured, err := image.Capture(b.engine, nil, base.Module, base.Image, b.cache.imagePath(key), steps, limits, loadFailure, logged)
	if err != nil {
		return refusal(err, limits, base.Image.Size())
	}
	if captured.Changed {
		os.Remove(b.cache.imagePath(key))
		return &BuildError{Code: abi.ErrInvalidModule, Message: "loading the code changed the engine's globals",
			Hint: "what aleph_load keeps goes into the engine's memory; its globals are the same for all of its programs"}
	}
	return nil
}

// fits refuses a memory limit under which the version's language cannot even begin.
func fits(v *Version, size uint64) error {
	if size <= uint64(v.Memory)<<20 {
		return nil
	}
	return &BuildError{Code: abi.ErrLoadLimit, Message: fmt.Sprintf("memory_limit: %d MiB, a program in %s begins with %d MiB", v.Memory, v.Runtime, mebibytes(size)), Hint: memoryHint(size)}
}

// memoryHint names the least limit for what begins with size bytes.
func memoryHint(size uint64) string {
	return fmt.Sprintf("deploy it with a --memory above %d: what it makes for itself comes on top", mebibytes(size))
}

// mebibytes is size in MiB, rounded up.
func mebibytes(size uint64) uint64 { return (size + 1<<20 - 1) >> 20 }

// buildModule makes a program whose code is itself a module.
func (b *builder) buildModule(v *Version, files []File, key string, limits image.Limits, logged func(level int, text []byte)) error {
	module, _, err := moduleOf(v.Entrypoint, files)
	if err != nil {
		return err
	}
	limits.System = surroundings(v).System()
	return b.initialise(module, key, limits, loadFrame(v.Entrypoint, limits.Memory, v.Variables, nil), checkExports, logged)
}

// initialise compiles a module that check lets pass, initialises it with the event, and keeps machine code and image under the key.
func (b *builder) initialise(module []byte, key string, limits image.Limits, event []byte, check func(*wasm.Module) error, logged func(level int, text []byte)) error {
	p, err := b.prepare(module)
	if err != nil {
		return err
	}
	if p.Size > limits.Memory {
		return &BuildError{Code: abi.ErrInvalidModule, Message: fmt.Sprintf("memory_limit: %d MiB, the module begins with %d MiB of memory", limits.Memory>>20, mebibytes(p.Size)), Hint: memoryHint(p.Size)}
	}
	bare := key + "-bare"
	defer os.Remove(b.cache.codePath(bare))
	captured, err := b.capture(p, bare, key, limits, event, check, logged)
	if err != nil {
		return err
	}
	if !captured.Changed {
		return os.Rename(b.cache.codePath(bare), b.cache.codePath(key))
	}
	return b.cache.compile(key, captured.Module)
}

// capture compiles p under the key bare, initialises it, and writes its image under the key to.
func (b *builder) capture(p *image.Prepared, bare, to string, limits image.Limits, event []byte, check func(*wasm.Module) error, logged func(level int, text []byte)) (*image.Captured, error) {
	if err := b.cache.compile(bare, p.Module); err != nil {
		return nil, &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(err.Error()), Hint: limitsHint}
	}
	module, release, err := b.cache.load(bare)
	if err != nil {
		return nil, importFault(err)
	}
	defer release()
	if err := check(module); err != nil {
		return nil, err
	}
	steps := []image.Step{{Export: "_initialize", Optional: true}, {Export: "aleph_init", Optional: true, Takes: true, Event: event}}
	if isCommand(module) {
		steps = nil // its main begins with its own initialisation
	}
	captured, err := image.Capture(b.engine, p, module, nil, b.cache.imagePath(to), steps, limits, loadFailure, logged)
	err = refusal(err, limits, p.Size)
	var refused *BuildError
	if errors.As(err, &refused) && refused.Hint == "" {
		refused.Hint = loadHint
	}
	return captured, err
}

// moduleOf parts a program's files: the module, and the others.
func moduleOf(entrypoint string, files []File) (module []byte, others []File, err error) {
	at := slices.IndexFunc(files, func(f File) bool { return f.Path == entrypoint || len(files) == 1 })
	if at < 0 {
		return nil, nil, &BuildError{Code: abi.ErrUnsupportedBundle, Message: fmt.Sprintf("the entrypoint %q is not in the bundle", entrypoint)}
	}
	return files[at].Content, slices.Concat(files[:at], files[at+1:]), nil
}

// loadFrame is the event of an initialisation.
func loadFrame(entrypoint string, memory uint64, variables map[string]string, files []File) []byte {
	frame := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindLoad)
	frame = abi.Bytes(frame, abi.TagEntrypoint, entrypoint)
	frame = abi.U64(frame, abi.TagMemoryLimit, memory)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		frame = abi.Pair(frame, abi.TagVariable, name, variables[name])
	}
	for _, f := range files {
		frame = abi.Pair(frame, abi.TagFile, f.Path, string(f.Content))
	}
	return frame
}

// loadFailure is the error in a guest's response to its initialisation.
func loadFailure(_ int, response []byte) error {
	if response == nil {
		return nil
	}
	r, err := abi.ParseResponse(response)
	if err != nil {
		return &BuildError{Code: abi.ErrInvalidModule, Message: "while it was loaded it answered with an " + err.Error()}
	}
	if r.ErrorCode == 0 {
		return nil
	}
	code := abi.ErrLoadException
	switch r.ErrorCode {
	case abi.GuestSyntaxError:
		code = abi.ErrSyntax
	case abi.GuestNoHandler:
		code = abi.ErrNoHandler
	case abi.GuestOutOfMemory:
		return errLoadMemory
	}
	return &BuildError{Code: code, Message: string(r.ErrorMessage), Stack: string(r.ErrorStack)}
}

// errLoadMemory is that a guest gave up for lack of memory.
var errLoadMemory = errors.New("out of memory")

// refusal says what of a failed capture is the program's doing. begins is how many bytes of memory it began with.
func refusal(err error, limits image.Limits, begins uint64) error {
	var limit *image.LimitError
	var fault *wasm.Fault
	if errors.Is(err, errLoadMemory) {
		err = &image.LimitError{Limit: "memory_limit", Value: fmt.Sprintf("%d MiB", limits.Memory>>20)}
	}
	switch {
	case errors.As(err, &limit):
		fault := &BuildError{Code: abi.ErrLoadLimit, Message: "the program used up a limit while it was loaded: " + limit.Error()}
		if limit.Limit == "memory_limit" {
			fault.Hint = fmt.Sprintf("deploy it with a larger --memory; of this, %d MiB were in use when it began", mebibytes(begins))
		}
		return fault
	case errors.As(err, &fault) && fault.Cause != wasm.HostFault:
		return &BuildError{Code: abi.ErrLoadException, Message: "the program was stopped while it was loaded: " + trap(fault.Message), Stack: fault.Message}
	case errors.As(err, &fault) && strings.Contains(fault.Message, "exceeds table limits"): // it is no instance yet
		return &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(fault.Message), Hint: limitsHint}
	case errors.Is(err, image.ErrModule):
		return &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(strings.TrimPrefix(err.Error(), image.ErrModule.Error()+": "))}
	}
	return err
}

// trap is what stopped a guest, of wasmtime's words about it: the last line, below the stack.
func trap(message string) string {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	return strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "wasm trap: ")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
