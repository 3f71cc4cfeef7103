package programs

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/aleph-edge/aleph-edge/runtime/pool"
	"github.com/aleph-edge/aleph-edge/runtime/wasi"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// exports says whether the module exports a function of that name.
func exports(m *wasm.Module, name string) bool {
	return slices.ContainsFunc(m.Exports, func(x wasm.Export) bool { return x.Name == name && x.Kind == wasm.Func })
}

// isCommand says whether a module is served as a command: it has a main, and no handler.
func isCommand(m *wasm.Module) bool { return exports(m, wasi.Entry) && !exports(m, "aleph_handle") }

// kindOf is how a version whose code is itself a module is given its events.
func kindOf(v *Version, m *wasm.Module) pool.Kind {
	if program := surroundings(v); isCommand(m) {
		return &wasi.Command{Program: program}
	} else {
		return &pool.Handler{System: program.System()}
	}
}

// reads says whether a guest takes bodies that follow their events.
func reads(spec *pool.Spec) bool {
	_, command := spec.Kind.(*wasi.Command)
	return command || exports(spec.Module, "aleph_body")
}

// surroundings is what a version whose code is itself a module finds of WASI: its variables, and the files of its bundle.
func surroundings(v *Version) *wasi.Program {
	p := &wasi.Program{Arguments: []string{path.Base(v.Entrypoint)}}
	for _, name := range slices.Sorted(maps.Keys(v.Variables)) {
		p.Variables = append(p.Variables, name+"="+v.Variables[name])
	}
	if v.Encoding != "zip" {
		return p // the module is all there is
	}
	p.Files = func() ([]wasi.File, error) {
		code, err := os.ReadFile(v.CodePath)
		if err != nil {
			return nil, fmt.Errorf("the program's code is missing: %w", err)
		}
		bundle, err := readBundle(v.Encoding, v.Entrypoint, code)
		files := make([]wasi.File, len(bundle))
		for i, f := range bundle {
			files[i] = wasi.File{Path: f.Path, Content: f.Content}
		}
		return files, err
	}
	return p
}
