package programs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/wasi"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// What is checked of a module before it runs, and the words for whoever compiled it.

// Hints at what is wrong with a module.
const (
	exportsHint = "abi/SPEC.md says what a program exports"
	importsHint = "a program imports aleph_v1 and wasi_snapshot_preview1, as abi/SPEC.md has them; compile for wasip1 (Rust: wasm32-wasip1, Go: GOOS=wasip1, C: wasm32-wasi)"
	moduleHint  = "give a core module for wasip1, as compilers make for the targets wasm32-wasip1 (Rust), GOOS=wasip1 (Go) and wasm32-wasi (C)"
	limitsHint  = "the module is valid, but over a limit of the engine's"
	loadHint    = "what runs while a module is loaded is its start function, _initialize and aleph_init"
)

// A feature is one of WebAssembly's that is off here.
type feature struct {
	words []string // one of them is in what wasmtime says of a module that uses it
	name  string
	hint  string
}

var features = []feature{
	{[]string{"threads", "shared"}, "threads", "build it without threads (Rust: wasm32-wasip1 and not wasm32-wasip1-threads; C: without -pthread)"},
	{[]string{"memory64"}, "64-bit memory", "build it for wasm32"},
	{[]string{"multi-memory", "multiple memories"}, "several memories", "build it with one memory"},
	{[]string{"custom page size", "custom-page-sizes"}, "other page sizes", "build it with pages of 64 KiB"},
	{[]string{"exception"}, "exceptions", "build it without them (C++: -fno-exceptions; C: without setjmp; Rust: panic = \"abort\")"},
	{[]string{"stack switching"}, "stack switching", moduleHint},
	{[]string{"wide arithmetic"}, "wide arithmetic", "build it without -mwide-arithmetic"},
	{[]string{"function references", "gc "}, "garbage collection", "what needs references that the engine collects cannot run here: compile to linear memory"},
}

// prepare checks a module and rewrites it.
func (b *builder) prepare(module []byte) (*image.Prepared, error) {
	p, err := image.Prepare(module)
	invalid := b.engine.Validate(module)
	if invalid != nil {
		for _, f := range features {
			if slices.ContainsFunc(f.words, func(word string) bool { return strings.Contains(invalid.Error(), word) }) {
				return nil, &BuildError{Code: abi.ErrInvalidModule, Message: fmt.Sprintf("the module uses %s, a feature that is off here: %s", f.name, firstLine(invalid.Error())), Hint: f.hint}
			}
		}
	}
	if err == nil { // else it has its own words for what is not a core module
		err = invalid
	}
	if err != nil {
		return nil, &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(strings.TrimPrefix(err.Error(), image.ErrModule.Error()+": ")), Hint: moduleHint}
	}
	return p, nil
}

// foreign are the modules that others' imports come from, and what was built then.
var foreign = []struct{ module, hint string }{
	{"gojs", "it was built for a browser: build it with GOOS=wasip1 GOARCH=wasm"},
	{"go", "it was built for a browser: build it with GOOS=wasip1 GOARCH=wasm"},
	{"__wbindgen_placeholder__", "it was built for a browser, with wasm-bindgen: build it for wasm32-wasip1"},
	{"wbg", "it was built for a browser, with wasm-bindgen: build it for wasm32-wasip1"},
	{"env", "a function that the linker did not find becomes an import of env: link what defines it. Modules of Emscripten's own kind import env, too: build with -sSTANDALONE_WASM"},
}

// importFault is the error of a module whose imports are not those of abi/SPEC.md; they are named as wasmtime does, module::name.
func importFault(err error) error {
	fault := &BuildError{Code: abi.ErrInvalidModule, Message: firstLine(err.Error()), Hint: importsHint}
	_, rest, found := strings.Cut(fault.Message, "unknown import: `")
	name, _, ended := strings.Cut(rest, "`")
	if !found || !ended {
		return fault
	}
	fault.Message = fmt.Sprintf("the module imports %s, and nothing here has that name", name)
	for _, f := range foreign {
		if strings.HasPrefix(name, f.module+"::") {
			fault.Hint = f.hint
		}
	}
	return fault
}

// checkExports refuses a module whose exports are not those of abi/SPEC.md.
func checkExports(module *wasm.Module) error {
	types := map[string]string{"aleph_handle": "i32 -> ()", "aleph_init": "i32 -> ()", "aleph_load": "i32 -> ()", "_initialize": "() -> ()", wasi.Entry: "() -> ()"}
	serves, memory := false, false
	for _, x := range module.Exports {
		memory = memory || x.Name == "memory" && x.Kind == wasm.Memory
		want, known := types[x.Name]
		if !known || x.Kind == wasm.Func && x.Type == want {
			serves = serves || x.Name == "aleph_handle" || x.Name == wasi.Entry
			continue
		}
		return &BuildError{Code: abi.ErrInvalidModule, Message: fmt.Sprintf("the module's export %s has the type %s, it must be a function of the type %s", x.Name, x.Type, want), Hint: exportsHint}
	}
	switch {
	case !memory:
		return &BuildError{Code: abi.ErrInvalidModule, Message: `the module does not export its memory as "memory"`, Hint: exportsHint}
	case !serves:
		return &BuildError{Code: abi.ErrInvalidModule, Message: "the module exports neither the function aleph_handle nor, as a command does, _start", Hint: exportsHint}
	}
	return nil
}
