package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// resolveTime is how long uv or pip may run.
const resolveTime = 5 * time.Minute

// A resolver is the uv or pip of this machine, with the settings that its user gave it: indexes, certificates, proxies.
type resolver struct {
	name    string   // uv or pip
	command []string // up to its first argument
	folder  string   // it runs in
	version string   // of the Python to resolve for
}

// findResolver is uv if it is in PATH, else the pip of a Python of the target's version, else that of python3.
func findResolver(ctx context.Context, t target, folder string) (*resolver, error) {
	if uv, err := exec.LookPath("uv"); err == nil {
		return &resolver{"uv", []string{uv, "pip"}, folder, t.version}, nil
	}
	for _, python := range []string{interpreter(ctx, t), "python3", "python"} {
		if python != "" && exec.CommandContext(ctx, python, "-m", "pip", "--version").Run() == nil {
			return &resolver{"pip", []string{python, "-m", "pip"}, folder, t.version}, nil
		}
	}
	return nil, &Error{"packages are asked for, and neither uv nor pip is there to fetch them", "install uv, or python3 with pip"}
}

// A choice is a package that resolving gave.
type choice struct {
	name, version string
	pure          bool // it has a wheel without native code
}

// linuxTags are the names of Linux in wheels, newest first.
var linuxTags = []string{"manylinux_2_28_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_12_x86_64",
	"manylinux2010_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64"}

// forLinux and forAnywhere are the arguments that say which wheels are taken: those with native code, too, or no such.
func (r *resolver) forLinux() []string {
	if r.name == "uv" {
		return []string{"--only-binary", ":all:", "--python-version", r.version, "--python-platform", "x86_64-manylinux_2_28"}
	}
	tag := "cp" + strings.ReplaceAll(r.version, ".", "")
	args := []string{"--only-binary", ":all:", "--python-version", r.version, "--implementation", "cp", "--abi", tag, "--abi", "abi3", "--abi", "none"}
	for _, platform := range linuxTags {
		args = append(args, "--platform", platform)
	}
	return args
}

func (r *resolver) forAnywhere() []string {
	if r.name == "uv" { // of the systems that it knows the nearest one, for which indexes hold next to nothing
		return []string{"--only-binary", ":all:", "--python-version", r.version, "--python-platform", "wasm32-pyodide2024"}
	}
	return []string{"--only-binary", ":all:", "--python-version", r.version, "--implementation", "py", "--abi", "none", "--platform", "any"}
}

// choose resolves requirements as for Linux and installs nothing. File is in work.
func (r *resolver) choose(ctx context.Context, requirements, work string) ([]choice, error) {
	if r.name == "uv" {
		output, err := r.run(ctx, append([]string{"compile", "--no-header", "--format", "pylock.toml", requirements}, r.forLinux()...))
		if err != nil {
			return nil, err
		}
		return parseLock(output)
	}
	report := filepath.Join(work, "report.json")
	_, err := r.run(ctx, append([]string{"install", "--dry-run", "--ignore-installed", "--report", report,
		"--target", filepath.Join(work, "nothing"), "-r", requirements}, r.forLinux()...))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	return parseReport(text)
}

// parseLock reads a pylock.toml (PEP 751).
func parseLock(text []byte) ([]choice, error) {
	var lock struct {
		Packages []struct {
			Name, Version string
			Wheels        []struct{ Name, URL, Path string }
		}
	}
	if err := toml.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("uv's answer: %w", err)
	}
	var all []choice
	for _, p := range lock.Packages {
		c := choice{name: normalise(p.Name), version: p.Version, pure: len(p.Wheels) == 0} // a wheel given by its address is not listed
		for _, wheel := range p.Wheels {
			c.pure = c.pure || isPure(wheel.Name) || isPure(wheel.URL) || isPure(wheel.Path)
		}
		all = append(all, c)
	}
	return all, nil
}

// parseReport reads what pip install --report writes.
func parseReport(text []byte) ([]choice, error) {
	var report struct {
		Install []struct {
			Metadata struct{ Name, Version string }
			Download struct{ URL string } `json:"download_info"`
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("pip's answer: %w", err)
	}
	var all []choice
	for _, p := range report.Install {
		all = append(all, choice{normalise(p.Metadata.Name), p.Metadata.Version, isPure(p.Download.URL)})
	}
	return all, nil
}

// isPure says whether a wheel runs anywhere, by its file's name.
func isPure(address string) bool {
	address, _, _ = strings.Cut(address, "#")
	return strings.HasSuffix(path.Base(address), "-any.whl")
}

// install installs into a folder.
func (r *resolver) install(ctx context.Context, folder string, args ...string) error {
	command := []string{"install", "--target", folder}
	if r.name == "pip" {
		command = append(command, "--no-compile", "--upgrade")
	}
	_, err := r.run(ctx, append(command, args...))
	return err
}

// A resolveError is what uv or pip said when it failed.
type resolveError struct{ tool, said string }

func (e *resolveError) Error() string { return e.tool + ": " + e.said }

// run runs the tool and gives its standard output. The error is a *resolveError if it failed.
func (r *resolver) run(ctx context.Context, args []string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	args = append(r.command[1:len(r.command):len(r.command)], args...)
	cmd := exec.CommandContext(limited, r.command[0], args...)
	cmd.Dir = r.folder
	// Settings that are of use where packages are installed for their user, and in the way here.
	cmd.Env = append(os.Environ(), "PIP_USER=0", "PIP_REQUIRE_VIRTUALENV=0", "PIP_NO_INPUT=1", "PIP_DISABLE_PIP_VERSION_CHECK=1",
		"PIP_ROOT_USER_ACTION=ignore", "PIP_PROGRESS_BAR=off", "UV_NO_PROGRESS=1", "NO_COLOR=1")
	cmd.WaitDelay = time.Second
	var output, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &said
	err := cmd.Run()
	switch exit := (*exec.ExitError)(nil); {
	case err == nil:
		return output.Bytes(), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, &Error{fmt.Sprintf("%s did not end within %v", r.name, resolveTime), networkHint}
	case errors.As(err, &exit):
		return nil, &resolveError{r.name, output.String() + said.String()} // pip says in its output which addresses fail
	}
	return nil, fmt.Errorf("%s: %w", r.name, err)
}

const networkHint = "check the network, and where uv or pip is told to fetch from"

// unreachable are words of uv and pip where an index cannot be reached.
var unreachable = []string{"NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionResetError", "ProxyError",
	"SSLError", "Could not fetch URL", "dns error", "error sending request", "Failed to fetch", "Could not connect", "operation timed out", "Network is unreachable"}

// explain is what the user is told of a failure, from being what asked for the packages.
func (e *resolveError) explain(from string) error {
	failed := slices.Collect(e.lines(func(line string) bool {
		return slices.ContainsFunc(unreachable, func(word string) bool { return strings.Contains(line, word) })
	}))
	switch {
	case strings.Contains(e.said, "no such option"), strings.Contains(e.said, "unexpected argument"), strings.Contains(e.said, "invalid value"):
		return &Error{fmt.Sprintf("%s: this %s is too old:\n%s", from, e.tool, e.summary()), "update it: uv self update, or python3 -m pip install --upgrade pip"}
	case len(failed) > 0:
		return &Error{fmt.Sprintf("%s: %s cannot fetch packages:\n%s", from, e.tool, strings.Join(failed[:min(3, len(failed))], "\n")), networkHint}
	case strings.Contains(strings.ToLower(e.said), "hash"):
		return &Error{fmt.Sprintf("%s: %s does not take what it finds:\n%s", from, e.tool, e.summary()),
			"leave out --hash: wheels that lost their native code have other hashes"}
	}
	return &Error{fmt.Sprintf("%s: %s finds nothing that fits:\n%s", from, e.tool, e.summary()),
		"packages are taken as wheels: where one publishes none, make it with pip wheel, and add --find-links FOLDER to requirements.txt"}
}

// lines are those of what was said that are wanted.
func (e *resolveError) lines(wanted func(string) bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(e.said) {
			if line = strings.TrimRight(line, " \r\n"); line != "" && wanted(line) && !yield(line) {
				return
			}
		}
	}
}

// summary is the part of what was said that says why: pip's errors, or what uv says from its error on.
func (e *resolveError) summary() string {
	const most = 12
	why := slices.Collect(e.lines(func(line string) bool { return strings.HasPrefix(line, "ERROR: ") }))
	if len(why) == 0 {
		why = slices.Collect(e.lines(func(string) bool { return true }))
		why = why[max(0, slices.IndexFunc(why, func(line string) bool { return strings.HasPrefix(line, "error: ") })):]
	}
	if len(why) > most {
		why = append(why[:most], "…")
	}
	return strings.ReplaceAll(strings.Join(why, "\n"), "ERROR: ", "")
}
