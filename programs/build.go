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
	"sync"
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

// A Language is an engine that loads a program's code: a WebAssembly module with aleph_load.
type Language struct {
	Name     string
	Runtimes []string // the names that --runtime takes
	Version  string   // of Module's bytes; a part of the keys of all that is made with it
	Module   func() ([]byte, error)
}

// wasmRuntimes are the names under which the code is itself a module.
var wasmRuntimes = []string{"rust", "wasm"}

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
	engine    *wasm.Engine
	cache     *cache
	languages []Language
	slots     chan struct{} // one build a core
	host      string        // what machine code depends on beside the module

	engines map[string]*languageEngine
}

// A languageEngine is a language made ready: compiled, and initialised into an image that programs are loaded from.
type languageEngine struct {
	mu       sync.Mutex
	key      string
	image    *wasm.Image                     // nil: not ready
	prepared func() (*image.Prepared, error) // made when the first program is built
}

func newBuilder(engine *wasm.Engine, folder string, languages []Language) (*builder, error) {
	cache, err := openCache(engine, folder)
	if err != nil {
		return nil, err
	}
	b := &builder{engine: engine, cache: cache, languages: languages, slots: make(chan struct{}, BuildSlots()-1),
		host: "wasmtime " + wasm.Version + " " + runtime.GOARCH + " " + cpuFlags(), engines: map[string]*languageEngine{}}
	for _, l := range languages {
		b.engines[l.Name] = &languageEngine{key: b.languageKey(&l), prepared: sync.OnceValues(func() (*image.Prepared, error) {
			module, err := l.Module()
			if err != nil {
				return nil, err
			}
			return image.Prepare(module)
		})}
	}
	return b, nil
}

func (b *builder) close() error {
	var err error
	for _, e := range b.engines {
		if e.image != nil {
			err = errors.Join(err, e.image.Close())
		}
	}
	return err
}

// Runtimes are the names that a program's runtime may have.
func (b *builder) runtimes() []string {
	names := slices.Clone(wasmRuntimes)
	for _, l := range b.languages {
		names = append(names, l.Runtimes...)
	}
	slices.Sort(names)
	return names
}

func (b *builder) language(runtime string) (*Language, error) {
	for i := range b.languages {
		if slices.Contains(b.languages[i].Runtimes, runtime) {
			return &b.languages[i], nil
		}
	}
	if slices.Contains(wasmRuntimes, runtime) {
		return nil, nil
	}
	return nil, &BuildError{Code: abi.ErrUnknownRuntime, Message: fmt.Sprintf("the runtime %q is not known", runtime),
		Hint: "known runtimes: " + strings.Join(b.runtimes(), ", ")}
}

// keys of what is made from a version: its image, and the machine code that runs it.
func (b *builder) keys(v *Version) (img, code string, err error) {
	language, err := b.language(v.Runtime)
	if err != nil {
		return "", "", err
	}
	base := "wasm"
	if language != nil {
		base = b.languageKey(language)
	}
	parts := []string{base, b.host, v.CodeHash, v.Encoding, v.Entrypoint, fmt.Sprint(v.Memory)}
	for _, name := range slices.Sorted(maps.Keys(v.Variables)) {
		parts = append(parts, name, v.Variables[name])
	}
	img = keyOf(parts...)
	if language != nil {
		return img, base, nil
	}
	return img, img, nil
}

func (b *builder) languageKey(l *Language) string {
	return keyOf("language", b.host, l.Name, l.Version)
}

// open gives what the pool serves of a version, made now if it is not there. logged gets what the program logs while it is
// loaded, if it is.
func (b *builder) open(ctx context.Context, v *Version, logged func(level int, text []byte)) (pool.Spec, error) {
	imageKey, codeKey, err := b.keys(v)
	if err != nil {
		return pool.Spec{}, err
	}
	base, err := b.baseOf(v)
	if err != nil {
		return pool.Spec{}, err
	}
	spec, err := b.openBuilt(v, imageKey, codeKey, base)
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
		if err := b.build(v, imageKey, codeKey, logged); err != nil {
			return pool.Spec{}, err
		}
		if spec, err = b.openBuilt(v, imageKey, codeKey, base); err == nil || attempt == 3 {
			return spec, err
		}
	}
}

// baseOf is the image that the version's lies over: that of its language's engine, made ready if it is not; nil: none.
func (b *builder) baseOf(v *Version) (*wasm.Image, error) {
	language, err := b.language(v.Runtime)
	if err != nil || language == nil {
		return nil, err
	}
	e, err := b.ready(language)
	if err != nil {
		return nil, err
	}
	return e.image, nil
}

func (b *builder) openBuilt(v *Version, imageKey, codeKey string, base *wasm.Image) (pool.Spec, error) {
	img, err := b.cache.image(imageKey, base)
	if err != nil {
		return pool.Spec{}, err
	}
	module, release, err := b.cache.load(codeKey)
	if err != nil {
		img.Close()
		return pool.Spec{}, err
	}
	return pool.Spec{Module: module, Image: img, Memory: uint64(v.Memory) << 20, CPU: time.Duration(v.Timeout) * time.Second, Log: RunLog,
		Close: func() {
			img.Close()
			release()
		}}, nil
}

func (b *builder) build(v *Version, imageKey, codeKey string, logged func(level int, text []byte)) error {
	info, err := os.Stat(v.CodePath)
	if err != nil {
		return fmt.Errorf("the program's code is missing: %w", err)
	}
	if info.Size() > MaxCode {
		return &BuildError{Code: abi.ErrUnsupportedBundle, Message: fmt.Sprintf("the code is %d bytes, the limit is %d MiB", info.Size(), MaxCode>>20)}
	}
	code, err := os.ReadFile(v.CodePath)
	if err != nil {
		return err
	}
	files, err := readBundle(v.Encoding, v.Entrypoint, code)
	if err != nil {
		return err
	}
	language, err := b.language(v.Runtime)
	if err != nil {
		return err
	}
	limits := image.Limits{Memory: uint64(v.Memory) << 20, CPU: loadCPU, Log: RunLog}
	if language == nil {
		return b.buildModule(v, files, imageKey, codeKey, limits, logged)
	}
	e, err := b.ready(language)
	if err != nil {
		return err
	}
	p, err := e.prepared()
	if err != nil {
		return err
	}
	module, release, err := b.cache.load(e.key)
	if err != nil {
		return err
	}
	defer release()
	captured, err := image.Capture(b.engine, p, module, e.image, b.cache.imagePath(imageKey),
		[]image.Step{{Export: "aleph_load", Takes: true, Event: loadFrame(v, files)}}, limits, loadFailure, logged)
	if err != nil {
		return refusal(err, limits)
	}
	if captured.Changed {
		return &BuildError{Code: abi.ErrInvalidModule, Message: "loading the code changed the engine's globals"}
	}
	return nil
}

// buildModule makes a program whose code is itself a module.
func (b *builder) buildModule(v *Version, files []File, imageKey, codeKey string, limits image.Limits, logged func(level int, text []byte)) error {
	module, err := moduleOf(v, files)
	if err != nil {
		return err
	}
	p, err := b.prepare(module)
	if err != nil {
		return err
	}
	if p.Size > limits.Memory {
		return &BuildError{Code: abi.ErrInvalidModule, Message: fmt.Sprintf("the module begins with %d MiB of memory, memory_limit: %d MiB", p.Size>>20, v.Memory), Hint: "deploy it with a larger --memory"}
	}
	bare := imageKey + "-bare"
	defer os.Remove(b.cache.codePath(bare))
	captured, err := b.capture(p, bare, imageKey, limits, loadFrame(v, nil), logged)
	if err != nil {
		return err
	}
	if !captured.Changed {
		return os.Rename(b.cache.codePath(bare), b.cache.codePath(codeKey))
	}
	return b.cache.compile(codeKey, captured.Module)
}

// capture compiles p under the key bare, initialises it, and writes its image under the key to.
func (b *builder) capture(p *image.Prepared, bare, to string, limits image.Limits, event []byte, logged func(level int, text []byte)) (*image.Captured, error) {
	if err := b.cache.compile(bare, p.Module); err != nil {
		return nil, &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(err.Error())}
	}
	module, release, err := b.cache.load(bare)
	if err != nil {
		return nil, &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(err.Error())}
	}
	defer release()
	if err := checkExports(module); err != nil {
		return nil, err
	}
	captured, err := image.Capture(b.engine, p, module, nil, b.cache.imagePath(to), []image.Step{
		{Export: "_initialize", Optional: true},
		{Export: "aleph_init", Optional: true, Takes: true, Event: event},
	}, limits, loadFailure, logged)
	return captured, refusal(err, limits)
}

// checkExports refuses a module whose exports are not those of abi/SPEC.md.
func checkExports(module *wasm.Module) error {
	types := map[string]string{"aleph_handle": "i32 -> ()", "aleph_init": "i32 -> ()", "aleph_load": "i32 -> ()", "_initialize": "() -> ()"}
	handles := false
	for _, x := range module.Exports {
		want, known := types[x.Name]
		if !known || x.Kind == wasm.Func && x.Type == want {
			handles = handles || x.Name == "aleph_handle"
			continue
		}
		return &BuildError{Code: abi.ErrInvalidModule, Message: fmt.Sprintf("the module's export %s has the type %s, it must be a function of the type %s", x.Name, x.Type, want), Hint: exportsHint}
	}
	if !handles {
		return &BuildError{Code: abi.ErrInvalidModule, Message: "the module does not export the function aleph_handle", Hint: exportsHint}
	}
	return nil
}

const exportsHint = "abi/SPEC.md says what a program exports"

// ready gives the language's engine, made now if it is not there. What fails is tried again at the next call.
func (b *builder) ready(l *Language) (*languageEngine, error) {
	e := b.engines[l.Name]
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.image != nil {
		return e, nil
	}
	return e, b.makeReady(l, e)
}

func (b *builder) makeReady(l *Language, e *languageEngine) error {
	if _, err := os.Stat(b.cache.codePath(e.key)); err == nil {
		if img, err := b.cache.image(e.key, nil); err == nil {
			e.image = img
			return nil
		}
	}
	p, err := e.prepared()
	if err != nil {
		return err
	}
	event := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindLoad)
	captured, err := b.capture(p, e.key, e.key+"-0", image.Limits{Memory: 1 << 30, CPU: time.Minute, Log: RunLog}, event, nil)
	if err != nil {
		return fmt.Errorf("the engine %s: %w", l.Name, err)
	}
	if captured.Changed {
		return fmt.Errorf("the engine %s changes its globals while it is initialised", l.Name)
	}
	if err := os.Rename(b.cache.imagePath(e.key+"-0"), b.cache.imagePath(e.key)); err != nil {
		return err
	}
	img, err := b.cache.image(e.key, nil)
	if err == nil {
		e.image = img
	}
	return err
}

// prepare checks a module and rewrites it.
func (b *builder) prepare(module []byte) (*image.Prepared, error) {
	p, err := image.Prepare(module) // its own words for what is not a core module
	if err == nil {
		err = b.engine.Validate(module)
	}
	if err != nil {
		return nil, &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(strings.TrimPrefix(err.Error(), image.ErrModule.Error()+": "))}
	}
	return p, nil
}

func moduleOf(v *Version, files []File) ([]byte, error) {
	for _, f := range files {
		if f.Path == v.Entrypoint || len(files) == 1 {
			return f.Content, nil
		}
	}
	return nil, &BuildError{Code: abi.ErrUnsupportedBundle, Message: fmt.Sprintf("the entrypoint %q is not in the bundle", v.Entrypoint)}
}

// loadFrame is the event of an initialisation.
func loadFrame(v *Version, files []File) []byte {
	frame := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindLoad)
	frame = abi.Bytes(frame, abi.TagEntrypoint, v.Entrypoint)
	frame = abi.U64(frame, abi.TagMemoryLimit, uint64(v.Memory)<<20)
	for _, name := range slices.Sorted(maps.Keys(v.Variables)) {
		frame = abi.Pair(frame, abi.TagVariable, name, v.Variables[name])
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

// refusal says what of a failed capture is the program's doing.
func refusal(err error, limits image.Limits) error {
	var limit *image.LimitError
	var fault *wasm.Fault
	if errors.Is(err, errLoadMemory) {
		err = &image.LimitError{Limit: "memory_limit", Value: fmt.Sprintf("%d MiB", limits.Memory>>20)}
	}
	switch {
	case errors.As(err, &limit):
		return &BuildError{Code: abi.ErrLoadLimit, Message: "the program used up a limit while it was loaded: " + limit.Error()}
	case errors.As(err, &fault) && fault.Cause != wasm.HostFault:
		return &BuildError{Code: abi.ErrLoadException, Message: "the program was stopped while it was loaded: " + firstLine(fault.Message), Stack: fault.Message}
	case errors.Is(err, image.ErrModule):
		return &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(strings.TrimPrefix(err.Error(), image.ErrModule.Error()+": "))}
	}
	return err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// cpuFlags is what of the CPU machine code may use.
func cpuFlags() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "flags") || strings.HasPrefix(line, "Features") {
			return keyOf(line)
		}
	}
	return ""
}
