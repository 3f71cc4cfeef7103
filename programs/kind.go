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

// surroundings is what a version without a language of the node's own finds of WASI: its variables, and the files of its bundle. In a
// stored runtime they come over the runtime's own, a plain file is there too, and the second argument is the file to start from.
func surroundings(v *Version) *wasi.Program {
	p := &wasi.Program{Arguments: []string{path.Base(v.Entrypoint)}, Variables: environment(v.Variables)}
	bundle := func() ([]File, error) {
		code, err := os.ReadFile(v.CodePath)
		if err != nil {
			return nil, fmt.Errorf("the program's code is missing: %w", err)
		}
		return readBundle(v.Encoding, v.Entrypoint, code)
	}
	switch r := v.Stored; {
	case r != nil:
		start := v.Entrypoint
		if v.Encoding == "plain" {
			start = path.Base(start)
		}
		p.Arguments = []string{path.Base(r.Entrypoint), path.Join("/", start)}
		variables := maps.Clone(r.Variables)
		if variables == nil {
			variables = map[string]string{}
		}
		maps.Copy(variables, v.Variables)
		p.Variables = environment(variables)
		p.Files = func() ([]wasi.File, error) {
			_, below, err := r.files()
			if err != nil {
				return nil, err
			}
			above, err := bundle()
			return wasiFiles(overlay(below, above)), err
		}
	case v.Encoding == "zip":
		p.Files = func() ([]wasi.File, error) {
			files, err := bundle()
			return wasiFiles(files), err
		}
	}
	return p
}

// overlay is the files above, and those below whose paths none of them has.
func overlay(below, above []File) []File {
	taken := map[string]bool{}
	for _, f := range above {
		taken[f.Path] = true
	}
	return append(slices.DeleteFunc(below, func(f File) bool { return taken[f.Path] }), above...)
}

func wasiFiles(files []File) []wasi.File {
	list := make([]wasi.File, len(files))
	for i, f := range files {
		list[i] = wasi.File{Path: f.Path, Content: f.Content}
	}
	return list
}

// environment is variables as WASI has them.
func environment(variables map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}
