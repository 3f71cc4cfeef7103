package bundle

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Programs that are compiled: the folder of a Rust package, or of a Go package main, becomes one WebAssembly module, by the cargo or go of
// this machine.

// moduleRuntimes are the runtimes of programs that are WebAssembly modules.
var moduleRuntimes = []string{"go", "rust", "wasm"}

// compiledFolder is the language that a folder's program is compiled from; Unknown if it is not compiled. Without a runtime that says so
// it is compiled if nothing else is there to start from.
func compiledFolder(folder, runtime string) Language {
	has := func(pattern string) bool {
		found, err := filepath.Glob(filepath.Join(globEscape(folder), pattern))
		return err == nil && len(found) > 0
	}
	if runtime == "" {
		for _, pattern := range slices.Concat([]string{"package.json", "index.*js", "function.*js"}, pythonStarts) {
			if has(pattern) {
				return Unknown
			}
		}
	} else if !slices.Contains(moduleRuntimes, runtime) {
		return Unknown
	}
	switch {
	case runtime != "go" && has("Cargo.toml"):
		return Rust
	case runtime != "rust" && (has("go.mod") || runtime != "" && has("*.go")):
		return Go
	}
	return Unknown
}

// Compiles says whether a folder's program is compiled for that runtime, which may be empty.
func Compiles(folder, runtime string) bool { return compiledFolder(folder, runtime).compiled() }

// globEscape is a folder's name as a part of a pattern that matches it alone.
func globEscape(folder string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(folder)
}

// compiledPack builds the folder's program and makes the bundle of it.
func (s *Source) compiledPack(ctx context.Context, reporter Reporter) (*Bundle, error) {
	build := s.goModule
	if s.Language == Rust {
		build = s.rustModule
	}
	name, module, err := build(ctx, reporter)
	if err != nil {
		return nil, err
	}
	if len(module) > maxCode {
		return nil, &Error{Text: fmt.Sprintf("%s has %d MiB, the limit is %d MiB", name, len(module)>>20, maxCode>>20)}
	}
	return &Bundle{Name: name, Encoding: "plain", Entrypoint: name, Bytes: module}, nil
}

const rustTarget = "wasm32-wasip1"

// rustModule runs cargo. Of several modules the entrypoint names one.
func (s *Source) rustModule(ctx context.Context, reporter Reporter) (name string, module []byte, err error) {
	if _, err := exec.LookPath("cargo"); err != nil {
		return "", nil, &Error{"cargo is not installed, which builds " + s.path, "install Rust from https://rustup.rs, or give a module that was built elsewhere: --file NAME.wasm"}
	}
	printed, said, err := s.run(ctx, reporter, "", "cargo", "build", "--release", "--target", rustTarget, "--message-format", "json-render-diagnostics")
	if err != nil {
		return "", nil, failedBuild("cargo", said, err)
	}
	built := map[string]string{} // paths by names
	var names []string
	for line := range bytes.Lines(printed) {
		var message struct {
			Reason    string   `json:"reason"`
			Filenames []string `json:"filenames"`
		}
		if json.Unmarshal(line, &message) != nil || message.Reason != "compiler-artifact" {
			continue
		}
		for _, path := range message.Filenames {
			if name := filepath.Base(path); filepath.Ext(path) == ".wasm" && built[name] == "" {
				built[name] = path
				names = append(names, name)
			}
		}
	}
	if s.started {
		name = strings.TrimSuffix(s.Entrypoint, ".wasm") + ".wasm"
	} else if len(names) == 1 {
		name = names[0]
	}
	switch path := built[name]; {
	case path != "":
		module, err = os.ReadFile(path)
		return name, module, err
	case len(names) == 0:
		return "", nil, &Error{s.path + ": cargo builds no program there", `it needs a main, or in Cargo.toml [lib] with crate-type = ["cdylib"]`}
	}
	return "", nil, &Error{fmt.Sprintf("%s: cargo builds %s", s.path, strings.Join(names, ", ")), "say which one with --entrypoint NAME"}
}

// goModule runs go: for a program that exports aleph_handle, as the SDK does, it builds a library, else a command.
func (s *Source) goModule(ctx context.Context, reporter Reporter) (name string, module []byte, err error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", nil, &Error{"go is not installed, which builds " + s.path, "install Go from https://go.dev/dl, or give a module that was built elsewhere: --file NAME.wasm"}
	}
	listed, said, err := s.run(ctx, reporter, "", "go", "list", "-deps", "-f", `{{if not .Standard}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}`, ".")
	if err != nil {
		return "", nil, failedBuild("go", said, err)
	}
	work, err := os.MkdirTemp("", "aleph-deploy-")
	if err != nil {
		return "", nil, err
	}
	defer os.RemoveAll(work)
	name = strings.TrimSuffix(s.Name, ".go") + ".wasm"
	output := filepath.Join(work, "module")
	arguments := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", output}
	if exportsHandler(listed) {
		arguments = append(arguments, "-buildmode=c-shared")
	}
	if _, said, err := s.run(ctx, reporter, "compiling with go", "go", append(arguments, ".")...); err != nil {
		return "", nil, failedBuild("go", said, err)
	}
	module, err = os.ReadFile(output)
	if err == nil && !bytes.HasPrefix(module, []byte("\x00asm")) {
		return "", nil, &Error{s.path + ": it is not a package main", "give the folder of the program, as --file ./cmd/server"}
	}
	return name, module, err
}

// exportsHandler says whether one of the Go files of a list, one a line, exports aleph_handle.
func exportsHandler(list []byte) bool {
	for line := range strings.Lines(string(list)) {
		source, err := os.ReadFile(strings.TrimSpace(line))
		if err == nil && bytes.Contains(source, []byte("\n//go:wasmexport aleph_handle\n")) {
			return true
		}
	}
	return false
}

// run runs a tool in the folder, for WASI where that is the environment's to say, until ctx ends. It gives what the tool printed; what it said on standard error
// the user has seen.
func (s *Source) run(ctx context.Context, reporter Reporter, what, tool string, arguments ...string) (printed, said []byte, err error) {
	var out, tail bytes.Buffer
	cmd := exec.CommandContext(ctx, tool, arguments...)
	cmd.Dir = s.folder
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdout = &out
	cmd.Stderr = io.MultiWriter(&tail, reporter.output())
	if what != "" { // the tool says nothing while it works
		cmd.Stderr = &tail
		defer func() { _, _ = reporter.output().Write(tail.Bytes()) }()
		defer reporter.Progress(what)()
	}
	err = cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return out.Bytes(), tail.Bytes(), err
}

// failedBuild is the error of a tool that has said why it failed.
func failedBuild(tool string, said []byte, err error) error {
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", tool, err)
	}
	failed := &Error{Text: tool + " could not build the program"}
	lines := bufio.NewScanner(bytes.NewReader(said))
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.Contains(line, "target may not be installed"), strings.Contains(line, "could not find specification for target"):
			failed.Hint = "rustup target add " + rustTarget
		case strings.Contains(line, "go.mod file not found"), strings.Contains(line, "cannot find main module"):
			failed.Hint = "make one with: go mod init NAME"
		}
	}
	return failed
}
