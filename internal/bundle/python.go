package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// A target is the Python that a runtime's programs run on.
type target struct {
	version string // "3.11"
	tag     string // of its bytecode
}

var (
	python311 = target{"3.11", "cpython-311"}
	python313 = target{"3.13", "cpython-313"}
)

// targets has a row for every runtime of Python's.
var targets = map[string]target{"python3.9": python311, "python3.10": python311, "python3.11": python311, "python3.13": python313}

// RunsAs is the Python that a runtime runs as where that is another than its name says; else empty.
func RunsAs(runtime string) string {
	t, ok := targets[runtime]
	if !ok || runtime == "python"+t.version {
		return ""
	}
	return "Python " + t.version
}

const (
	packagesFolder = ".packages"   // in the bundle; a node has it in sys.path
	bytecodeFolder = "__pycache__" // beside the modules
	programFolder  = "/app"        // where a node has the bundle
)

// pythonFiles is what a Python program's bundle holds: its own files, its packages, bytecode.
func (s *Source) pythonFiles(ctx context.Context, t target, reporter Reporter) (files, error) {
	work, err := os.MkdirTemp("", "aleph-deploy-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	own := s.files
	if own == nil {
		own = files{s.Name: s.raw}
	}
	app := filepath.Join(work, "app")
	all := files{}
	for name, content := range own {
		if !strings.Contains("/"+name, "/"+bytecodeFolder+"/") {
			all[name] = content
		}
	}
	if err := all.write(app); err != nil {
		return nil, err
	}
	if !all.hasPackages() {
		wanted, err := s.requirements(all, work)
		if err != nil {
			return nil, err
		}
		if wanted != nil {
			if err := wanted.install(ctx, t, work, filepath.Join(app, packagesFolder), reporter); err != nil {
				return nil, err
			}
		}
	}
	if err := compile(ctx, t, app, reporter); err != nil {
		return nil, err
	}
	added, err := addedFiles(app)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, added)
	return all, nil
}

// hasPackages says whether installed packages are among the files: then they are the program's own business.
func (all files) hasPackages() bool {
	for name := range all {
		if strings.HasSuffix(path.Dir(name), ".dist-info") {
			return true
		}
	}
	return false
}

// write writes the files into a folder.
func (all files) write(folder string) error {
	for name, content := range all {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	return os.MkdirAll(folder, 0o700)
}

// addedFiles reads what was made in the program's folder: packages and bytecode.
func addedFiles(folder string) (files, error) {
	all := files{}
	tree := os.DirFS(folder)
	return all, fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if !strings.HasPrefix(name, packagesFolder+"/") && path.Base(path.Dir(name)) != bytecodeFolder {
			return nil
		}
		all[name], err = fs.ReadFile(tree, name)
		return err
	})
}

// compile makes bytecode for all modules in a folder. The names in it are those that the modules will have on the node. It is
// of the kind that is not compared with its source (PEP 552, unchecked-hash). What does not compile stays without: the node says
// why if the program imports it.
func compile(ctx context.Context, t target, app string, reporter Reporter) error {
	python := interpreter(ctx, t)
	if python == "" {
		reporter.Note(fmt.Sprintf("no Python %s was found here to compile the program with: it is deployed all the same, but loading takes longer", t.version))
		return nil
	}
	defer reporter.Progress("compiling")()
	cmd := exec.CommandContext(ctx, python, "-s", "-S", "-m", "compileall", "-q", "-q", "-f",
		"--invalidation-mode", "unchecked-hash", "-s", app, "-p", programFolder, app)
	cmd.Dir = string(filepath.Separator)                     // -m looks for modules there first: not among the program's
	cmd.Env = append(cleanEnvironment(), "PYTHONHASHSEED=0") // sets in bytecode are in its order
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("compile: %w", err)
	}
	if text := strings.TrimSpace(printed.String()); text != "" {
		reporter.Note(fmt.Sprintf("%s compiles not all of the program:\n%s", python, lastLines(text, 5)))
	}
	return nil
}

// cleanEnvironment is the environment without what changes how Python starts.
func cleanEnvironment() []string {
	var kept []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "PYTHON") {
			kept = append(kept, pair)
		}
	}
	return kept
}

// probeTime is how long a program may take to say what it is.
const probeTime = 10 * time.Second

// interpreter is a CPython of exactly the target's version; empty if there is none.
func interpreter(ctx context.Context, t target) string {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	candidates := []string{"python" + t.version, "python3", "python"}
	for _, name := range candidates {
		if found, err := exec.LookPath(name); err == nil && isPython(ctx, found, t) {
			return found
		}
	}
	found, err := exec.CommandContext(ctx, "uv", "python", "find", "--no-python-downloads", t.version).Output()
	if name := strings.TrimSpace(string(found)); err == nil && isPython(ctx, name, t) {
		return name
	}
	// pyenv's python3.13 in PATH fails where another version is chosen, though that one is there.
	versions, _ := filepath.Glob(filepath.Join(pyenvFolder(), "versions", t.version+".*", "bin", "python"+t.version))
	for _, name := range versions {
		if isPython(ctx, name, t) {
			return name
		}
	}
	return ""
}

func pyenvFolder() string {
	if folder := os.Getenv("PYENV_ROOT"); folder != "" {
		return folder
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".pyenv")
}

// isPython says whether a command is a CPython whose bytecode the target takes.
func isPython(ctx context.Context, command string, t target) bool {
	cmd := exec.CommandContext(ctx, command, "-I", "-c", "import sys; print(sys.implementation.cache_tag)")
	answer, err := cmd.Output()
	return err == nil && strings.TrimSpace(string(answer)) == t.tag
}

// lastLines is the end of a text.
func lastLines(text string, most int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
