package wasm

/*
#cgo noescape aleph_slot_start
#cgo nocallback aleph_slot_start
#cgo noescape aleph_slot_serve
#cgo nocallback aleph_slot_serve
#cgo noescape aleph_slot_poll
#cgo nocallback aleph_slot_poll
#cgo nocallback aleph_slot_restore
#cgo noescape aleph_slot_restore
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	_ "github.com/bytecodealliance/wasmtime-go/v44" // for its linker flags and its library
	"golang.org/x/sys/unix"
)

// Version is the wasmtime that is linked in; machine code of another version is not loaded.
const Version = "44.0.0"

// Config is what an Engine is made with.
type Config struct {
	// Slots is how many instances can exist at once. The default is what MaxSlots gives for Memory.
	Slots int
	// Memory is how many bytes the memories of all guests may grow by, together. The default is half of the machine's.
	Memory int64
	// Stack is the native stack of a guest in bytes. The default is 4 MiB.
	Stack int
	// Tick is the slice after which a running guest yields. The default is 5 ms.
	Tick time.Duration
	// Discard restores memories by dropping their pages even where the kernel can name the written ones.
	Discard bool
	// CopyLimit is the number of written pages up to which a memory is restored in place. The default is 1,024 (4 MiB): a Flask
	// application writes 400 to 500 for one request, and a page's copy costs a tenth of the fault that it saves.
	CopyLimit int
	// Maps is how many maps of the process memories, stacks, images and machine code may take. The default is what
	// vm.max_map_count leaves.
	Maps int
}

func (c *Config) setDefaults() {
	if c.Memory <= 0 {
		c.Memory = machineMemory() / 2
	}
	if c.Slots <= 0 {
		c.Slots = MaxSlots(c.Memory)
	}
	if c.Stack <= 0 {
		c.Stack = 4 << 20
	}
	if c.Tick <= 0 {
		c.Tick = 5 * time.Millisecond
	}
	if c.CopyLimit <= 0 {
		c.CopyLimit = 1024
	}
	if c.Maps <= 0 {
		c.Maps = mapsAllowed()
	}
}

const (
	mapsPerStack  = 2    // the stack and its guard
	mapsPerSlot   = 5    // the least: a memory's image, growth and rest, and a stack's
	mapsPerModule = 4    // of machine code
	mapsReserved  = 4000 // the process's own
	slotSpace     = (4<<30 + 32<<20) + (4<<20 + 320<<10)
	slotsMost     = 12000
)

// MaxSlots is how many slots this machine can hold with memory bytes for guests: no more than vm.max_map_count leaves maps
// for, the address space limit leaves room for, and 256 KiB each of memory. Memories of images with many runs need more maps:
// where there are none left, Map says so.
func MaxSlots(memory int64) int {
	slots := int64(min(slotsMost, mapsAllowed()/mapsPerSlot))
	var space unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &space); err == nil && space.Cur < 1<<47 {
		slots = min(slots, (int64(space.Cur)-4<<30)/slotSpace)
	}
	return int(max(0, min(slots, memory/(256<<10))))
}

// mapsAllowed is how many maps of the process memories, stacks, images and machine code may take.
func mapsAllowed() int {
	text, err := os.ReadFile("/proc/sys/vm/max_map_count")
	n, fault := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || fault != nil {
		n = 65530 // the kernel's default
	}
	return n - mapsReserved
}

// ErrMaps says that the process has as many maps as vm.max_map_count lets it have. Slots that are released give theirs back.
var ErrMaps = errors.New("vm.max_map_count is reached")

// charge takes maps for a memory, beside those that images and machine code have and stacks may need.
func (e *Engine) charge(maps int64) error {
	used := e.maps.Add(maps)
	stacks := mapsPerStack * max(int64(e.inUse.Load()), int64(atomic.LoadUint32((*uint32)(unsafe.Pointer(&e.c.stacks_made)))))
	if maps > 0 && used+stacks > int64(e.config.Maps) {
		e.maps.Add(-maps)
		return fmt.Errorf("%w: %d are in use", ErrMaps, used+stacks-maps+mapsReserved)
	}
	return nil
}

func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// ErrTooSmall is wrapped by NewEngine's error where the machine's limits leave no room.
var ErrTooSmall = errors.New("the machine's limits are too small")

// MinSlots is the number of slots below which an engine is not made.
const MinSlots = 4

// An Engine compiles modules and owns the slots that run them. Make one a process.
type Engine struct {
	c      *C.aleph_engine
	config Config
	slots  []Slot

	mu    sync.Mutex
	free  []uint32 // indices of slots that were never handed out or came back
	inUse atomic.Int32

	maps atomic.Int64 // of memories, images and machine code
}

// NewEngine reserves address space for all slots and starts the epoch ticker. Close ends it.
func NewEngine(config Config) (*Engine, error) {
	config.setDefaults()
	if config.Slots < MinSlots {
		return nil, fmt.Errorf("%w: room for %d instances, at least %d are needed (vm.max_map_count, the address space limit and the memory for programs decide)", ErrTooSmall, config.Slots, MinSlots)
	}
	os.Setenv("RUST_BACKTRACE", "0") // else a stack overflow's backtrace costs milliseconds
	e := &Engine{config: config}
	fault := C.aleph_engine_new(C.uint32_t(config.Slots), C.uint64_t(config.Stack), C.uint64_t(config.Tick), C.int64_t(config.Memory),
		C.bool(config.Discard), C.uint32_t(config.CopyLimit), C.uint32_t(runtime.GOMAXPROCS(0)), &e.c)
	if fault != nil {
		return nil, fmt.Errorf("%w: %w", ErrTooSmall, taken(fault))
	}
	e.c.clock_offset = C.int64_t(time.Now().UnixNano()) - C.int64_t(C.aleph_clock(e.c, 1))
	e.slots = make([]Slot, config.Slots)
	e.free = make([]uint32, config.Slots)
	slots := unsafe.Slice(e.c.slots, config.Slots)
	for i := range e.slots {
		slot := &slots[i]
		slot.base = (*C.uint8_t)(unsafe.Add(unsafe.Pointer(e.c.memories), uint64(i)*uint64(e.c.stride)))
		slot.engine = e.c
		e.slots[i] = Slot{c: slot, engine: e, index: uint32(i)}
		e.free[i] = uint32(config.Slots - 1 - i)
	}
	return e, nil
}

// Close frees everything. No slot may be in use.
func (e *Engine) Close() error {
	if n := e.inUse.Load(); n != 0 {
		return fmt.Errorf("%d slots are in use", n)
	}
	for i := range e.slots {
		e.slots[i].dispose()
	}
	C.aleph_engine_delete(e.c)
	e.c = nil
	return nil
}

// Restores says how memories are restored here: "copy" or "discard".
func (e *Engine) Restores() string {
	if e.c.pagemap < 0 {
		return "discard"
	}
	return "copy"
}

// Slots is how many there are; InUse how many are handed out.
func (e *Engine) Slots() int { return len(e.slots) }
func (e *Engine) InUse() int { return int(e.inUse.Load()) }

// Maps is how many maps of the process memories, images and machine code take now, at most.
func (e *Engine) Maps() int { return int(e.maps.Load()) }

// Budget is how many bytes memories may still grow by.
func (e *Engine) Budget() int64 { return atomic.LoadInt64((*int64)(unsafe.Pointer(&e.c.budget))) }

// Clock is the guests' monotonic clock, nanoseconds.
func (e *Engine) Clock() int64 { return int64(C.aleph_clock(e.c, 1)) }

// AdvanceClock makes the guests' monotonic clock at least ns, so that it does not go back behind what an image has seen.
func (e *Engine) AdvanceClock(ns int64) {
	if behind := ns - e.Clock(); behind > 0 {
		atomic.AddInt64((*int64)(unsafe.Pointer(&e.c.clock_offset)), behind)
	}
}

// Validate says what is wrong with a module, in one line; nil if nothing is.
func (e *Engine) Validate(wasm []byte) error {
	return taken(C.aleph_validate(e.c, bytesOf(wasm), C.size_t(len(wasm))))
}

// Compile makes machine code, in the form that Load reads.
func (e *Engine) Compile(wasm []byte) ([]byte, error) {
	var out C.wasm_byte_vec_t
	if err := taken(C.aleph_compile(e.c, bytesOf(wasm), C.size_t(len(wasm)), &out)); err != nil {
		return nil, err
	}
	defer C.wasm_byte_vec_delete(&out)
	return C.GoBytes(unsafe.Pointer(out.data), C.int(out.size)), nil
}

// WAT makes a module from the text format. For tests and small guests.
func WAT(text string) ([]byte, error) {
	var out C.wasm_byte_vec_t
	b := []byte(text)
	if err := taken(C.aleph_wat((*C.char)(unsafe.Pointer(unsafe.SliceData(b))), C.size_t(len(b)), &out)); err != nil {
		return nil, err
	}
	defer C.wasm_byte_vec_delete(&out)
	return C.GoBytes(unsafe.Pointer(out.data), C.int(out.size)), nil
}

// A Module is machine code, bound to the host functions. It is used by any number of slots at once and must outlive them.
type Module struct {
	c       *C.aleph_module
	engine  *Engine
	Imports []Import
	Exports []Export
}

// An Import is what a module asks for.
type Import struct {
	Module, Name string
	Kind         Kind
}

// An Export is what a module gives.
type Export struct {
	Name string
	Kind Kind
	Type string // of a function, as "(i32 i32) -> i64" or "i32 -> ()"
}

// Kind is a kind of import or export.
type Kind uint8

// The kinds.
const (
	Func   Kind = C.WASM_EXTERN_FUNC
	Global Kind = C.WASM_EXTERN_GLOBAL
	Table  Kind = C.WASM_EXTERN_TABLE
	Memory Kind = C.WASM_EXTERN_MEMORY
)

// Load maps the machine code in the file at path, which Compile made with this version on this kind of CPU. The file must
// come from Compile: it is code.
func (e *Engine) Load(path string) (*Module, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	m := &Module{c: (*C.aleph_module)(C.calloc(1, C.sizeof_aleph_module))}
	if err := taken(C.aleph_module_load(e.c, name, m.c)); err != nil {
		C.free(unsafe.Pointer(m.c))
		return nil, err
	}
	m.engine = e
	e.maps.Add(mapsPerModule)
	m.list()
	m.c.kept = C.uint32_t(m.keeps())
	if err := taken(C.aleph_module_bind(m.c)); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Module) list() {
	var imports C.wasm_importtype_vec_t
	C.wasmtime_module_imports(m.c.module, &imports)
	for _, t := range unsafe.Slice(imports.data, imports.size) {
		m.Imports = append(m.Imports, Import{nameOf(C.wasm_importtype_module(t)), nameOf(C.wasm_importtype_name(t)), Kind(C.wasm_externtype_kind(C.wasm_importtype_type(t)))})
	}
	C.wasm_importtype_vec_delete(&imports)
	var exports C.wasm_exporttype_vec_t
	C.wasmtime_module_exports(m.c.module, &exports)
	for _, t := range unsafe.Slice(exports.data, exports.size) {
		external := C.wasm_exporttype_type(t)
		x := Export{Name: nameOf(C.wasm_exporttype_name(t)), Kind: Kind(C.wasm_externtype_kind(external))}
		if x.Kind == Func {
			f := C.wasm_externtype_as_functype_const(external)
			x.Type = typesOf(C.wasm_functype_params(f)) + " -> " + typesOf(C.wasm_functype_results(f))
		}
		m.Exports = append(m.Exports, x)
	}
	C.wasm_exporttype_vec_delete(&exports)
}

// The exports of a module whose instances serve one event after another, and are kept between. Package image makes them, where
// nothing of an event can be left in an instance once its memory is restored.
const (
	ServeExport = "aleph:serve"   // the function that takes the events
	HostTable   = "aleph:host"    // the table in which it finds the host's two functions
	KeptExport  = "aleph:kept:"   // … and how many bytes an instance takes beside its memory, in decimal
	served      = "aleph_handle"  // the export that it calls
	keptStack   = 64<<10 + 16<<10 // of a stack and a store, at most
)

// keeps is how many bytes an instance takes that is kept, 0 if none is.
func (m *Module) keeps() int {
	for _, x := range m.Exports {
		if size, ok := strings.CutPrefix(x.Name, KeptExport); ok {
			n, _ := strconv.Atoi(size)
			return n + keptStack
		}
	}
	return 0
}

// Close frees the module. Nothing may run it.
func (m *Module) Close() {
	if m.c != nil {
		C.aleph_module_delete(m.c)
		C.free(unsafe.Pointer(m.c))
		m.c = nil
		m.engine.maps.Add(-mapsPerModule)
	}
}

func typesOf(types *C.wasm_valtype_vec_t) string {
	names := map[C.wasm_valkind_t]string{C.WASM_I32: "i32", C.WASM_I64: "i64", 2: "f32", 3: "f64"}
	list := make([]string, types.size)
	for i, t := range unsafe.Slice(types.data, types.size) {
		if list[i] = names[C.wasm_valtype_kind(t)]; list[i] == "" {
			list[i] = "ref"
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return "(" + strings.Join(list, " ") + ")"
}

func nameOf(name *C.wasm_name_t) string {
	return C.GoStringN((*C.char)(unsafe.Pointer(name.data)), C.int(name.size))
}

// taken turns an error text of the shim, which it frees, into an error.
func taken(text *C.char) error {
	if text == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return errors.New(C.GoString(text))
}

func bytesOf(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))) }

// setBudget is for tests: what memories may still grow by.
func (e *Engine) setBudget(bytes int64) {
	atomic.StoreInt64((*int64)(unsafe.Pointer(&e.c.budget)), bytes)
}
