package bundle

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Language is what a program is written in, as far as its packing goes.
type Language int

// Languages.
const (
	Unknown Language = iota
	JavaScript
	Python
	Rust
	Go
)

// compiled says whether a program in the language is deployed as a module.
func (l Language) compiled() bool { return l == Rust || l == Go }

// Known says whether a runtime is one that this package packs for.
func Known(runtime string) bool {
	return LanguageOf(runtime) != Unknown || slices.Contains(moduleRuntimes, runtime)
}

// Suits says whether a program in the language can have that runtime. What a stored runtime takes is not known here.
func (l Language) Suits(runtime string) bool {
	switch {
	case l == Unknown, isStored(runtime):
		return true
	case l.compiled():
		return slices.Contains(moduleRuntimes, runtime)
	}
	return LanguageOf(runtime) == l
}

// isStored says whether a runtime is named by an item hash.
func isStored(runtime string) bool {
	return len(runtime) == 64 && strings.Trim(runtime, "0123456789abcdef") == ""
}

// DefaultRuntime is the runtime of a new program of that language; empty if there is none.
func (l Language) DefaultRuntime() string {
	switch l {
	case JavaScript:
		return "nodejs20"
	case Python:
		return "python3.11"
	case Rust:
		return "rust"
	case Go:
		return "go"
	}
	return ""
}

// LanguageOf is the language that a runtime runs.
func LanguageOf(runtime string) Language {
	switch {
	case strings.HasPrefix(runtime, "nodejs"):
		return JavaScript
	case strings.HasPrefix(runtime, "python"):
		return Python
	}
	return Unknown
}

// ofFile is the language of a file by its name.
func ofFile(name string) Language {
	switch path.Ext(name) {
	case ".js", ".mjs", ".cjs":
		return JavaScript
	case ".py":
		return Python
	}
	return Unknown
}

// findStart sets the language and the entrypoint.
func (s *Source) findStart(runtime string) error {
	s.Language = LanguageOf(runtime)
	if s.started {
		file, _, hasObject := strings.Cut(s.Entrypoint, ":")
		if s.Language == Unknown {
			s.Language = ofFile(file)
		}
		if s.Language == Unknown && (hasObject || !s.files.has(file) && s.hasModule(file)) {
			s.Language = Python
		}
		if s.Language == Python && !s.hasModule(file) {
			return &Error{fmt.Sprintf("%s: the entrypoint %q is not there", s.path, s.Entrypoint),
				"name a module and an object in it, as main:app, or a file, as main.py"}
		}
		return nil
	}
	if s.files == nil {
		s.Entrypoint = s.Name
		if s.Language == Unknown {
			s.Language = ofFile(s.Name)
		}
		return s.checkModule(runtime)
	}
	if isStored(runtime) {
		return s.findAnyStart()
	}
	if slices.Contains(moduleRuntimes, runtime) {
		return &Error{fmt.Sprintf("%s: it has neither a Cargo.toml nor Go files to build", s.path), "name the module: --file NAME.wasm, or --entrypoint NAME.wasm if it is in there"}
	}
	script, reason := s.files.javascriptStart()
	module, others := s.files.pythonStart()
	switch {
	case s.Language == JavaScript && script != "", s.Language == Unknown && script != "" && module == "":
		s.Language, s.Entrypoint = JavaScript, script
	case s.Language == Python && module != "", s.Language == Unknown && module != "" && script == "":
		s.Language, s.Entrypoint = Python, module
	case s.Language == Unknown && script != "":
		return &Error{fmt.Sprintf("%s: it has %s and %s", s.path, script, module), "say which language it is with --runtime"}
	case s.Language == Python:
		return &Error{fmt.Sprintf("%s: has no %s", s.path, pythonNames), nameStart}
	case s.Language == JavaScript || !others:
		return &Error{fmt.Sprintf("%s: %s", s.path, reason), nameStart}
	default:
		return &Error{fmt.Sprintf("%s: %s, and no %s", s.path, reason, pythonNames), nameStart}
	}
	return nil
}

// checkModule refuses a source file where a runtime takes modules.
func (s *Source) checkModule(runtime string) error {
	if !slices.Contains(moduleRuntimes, runtime) {
		return nil
	}
	switch path.Ext(s.Name) {
	case ".rs", ".go", ".c", ".cc", ".cpp", ".zig", ".ts", ".wat":
		return &Error{s.path + " is source, and " + runtime + " runs modules", "give the folder of a Rust or Go program, or what your compiler makes for wasm32-wasip1: --file NAME.wasm"}
	}
	return nil
}

// findAnyStart is for runtimes that somebody deployed: the start is the only file with one of the usual names.
func (s *Source) findAnyStart() error {
	for _, name := range []string{"main", "index", "function", "handler", "app"} {
		var found []string
		for file := range s.files {
			if strings.TrimSuffix(file, path.Ext(file)) == name {
				found = append(found, file)
			}
		}
		if len(found) == 1 {
			s.Entrypoint = found[0]
			return nil
		}
	}
	return &Error{s.path + ": nothing in it has a name as main, index, function, handler or app", nameStart}
}

const nameStart = "name the file to start from with --entrypoint"

// javascriptStart is the file to start from: main of package.json, resolved as Node does, or else index, function or main
// with a JavaScript extension; or why there is none.
func (all files) javascriptStart() (name, reason string) {
	isFile := all.has
	extensions := []string{".js", ".mjs", ".cjs"}
	if text, ok := all["package.json"]; ok {
		var manifest struct {
			Main string `json:"main"`
		}
		if err := json.Unmarshal(text, &manifest); err != nil {
			return "", "package.json: " + err.Error()
		}
		if manifest.Main != "" {
			main := path.Clean(manifest.Main)
			candidates := []string{main}
			for _, extension := range extensions {
				candidates = append(candidates, main+extension, path.Join(main, "index"+extension))
			}
			if found := slices.IndexFunc(candidates, isFile); found >= 0 {
				return candidates[found], ""
			}
			return "", fmt.Sprintf("package.json: main is %q, and there is no such file", manifest.Main)
		}
	}
	for _, name := range []string{"index", "function", "main"} {
		for _, extension := range extensions {
			if isFile(name + extension) {
				return name + extension, ""
			}
		}
	}
	return "", "has no package.json with main, and no index.js, function.js or main.js"
}

// pythonStarts are the files that a Python program starts from, the first that is there. The prelude looks for the first four, too.
var pythonStarts = []string{"main.py", "function.py", "handler.py", "app.py", "index.py", "wsgi.py", "asgi.py", "app/main.py"}

const pythonNames = "main.py, function.py, handler.py or app.py"

// pythonStart is the file to start from: one of the usual names, or the only module beside the folders. Which object in it is
// called, the node finds. others says whether there is any Python.
func (all files) pythonStart() (name string, others bool) {
	for _, name := range pythonStarts {
		if all.has(name) {
			return name, true
		}
	}
	var beside []string
	for name := range all {
		if path.Ext(name) != ".py" {
			continue
		}
		others = true
		if !strings.Contains(name, "/") && name != "setup.py" && name != "conftest.py" {
			beside = append(beside, name)
		}
	}
	if len(beside) == 1 {
		return beside[0], true
	}
	return "", others
}

// hasModule says whether a Python module is there, named with dots or as a file.
func (s *Source) hasModule(name string) bool {
	if s.files == nil {
		return name == s.Name || name+".py" == s.Name
	}
	file := strings.ReplaceAll(strings.TrimSuffix(name, ".py"), ".", "/")
	return name != "" && (s.files.has(name) || s.files.has(file+".py") || s.files.has(file+"/__init__.py"))
}
