package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A Recipe is what a language's engine is made ready from.
type Recipe struct {
	// Version names the bytes that Module gives; machine code is kept under it.
	Version string
	Module  func() ([]byte, error)
	// Steps initialise it. The image is kept under the version and the steps' events.
	Steps   []Step
	Limits  Limits
	Inspect func(step int, response []byte) error
	// Progress is told what begins that takes long, "compiling" and then "initialising"; nil: nobody is.
	Progress func(step string)
}

// A Base is an engine made ready: machine code, and the image that programs are loaded from and lie over.
type Base struct {
	Module *wasm.Module
	Image  *wasm.Image
}

// Close frees the base. Nothing may run its module or lie over its image.
func (b *Base) Close() error {
	err := b.Image.Close()
	b.Module.Close()
	return err
}

// Key is the name of the recipe's image, which says what it was made from: all that lies over the image depends on it.
func (r *Recipe) Key() string {
	parts := []string{r.codeKey()}
	for _, step := range r.Steps {
		parts = append(parts, step.Export, string(step.Event))
	}
	return KeyOf(parts...)
}

func (r *Recipe) codeKey() string { return KeyOf("engine", Host(), r.Version) }

// Ready opens what is kept in the folder of the recipe, or makes it. Any number of processes may use one folder: who comes
// second waits for the first. The folder is made if it is not there, and must be writable to nobody else, for what is in it is
// run. Compiling cannot be interrupted: after it, the end of the context ends Ready.
func Ready(ctx context.Context, e *wasm.Engine, folder string, r Recipe) (*Base, error) {
	if err := own(folder); err != nil {
		return nil, err
	}
	code, img := filepath.Join(folder, r.codeKey()+".code"), filepath.Join(folder, r.Key()+".image")
	if base, err := openBase(e, code, img); err == nil {
		return base, nil
	}
	unlock, err := lock(ctx, filepath.Join(folder, r.codeKey()+".lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if base, err := openBase(e, code, img); err == nil {
		return base, nil
	}
	if err := r.make(ctx, e, code, img); err != nil {
		return nil, err
	}
	return openBase(e, code, img)
}

// openBase opens what is kept, and notes that it is in use.
func openBase(e *wasm.Engine, code, img string) (*Base, error) {
	i, err := Open(e, img, nil)
	if err != nil {
		return nil, err
	}
	m, err := e.Load(code)
	if err != nil {
		return nil, errors.Join(err, i.Close())
	}
	now := time.Now()
	for _, path := range []string{code, img} {
		_ = os.Chtimes(path, now, now) // merely swept earlier
	}
	return &Base{m, i}, nil
}

func (r *Recipe) make(ctx context.Context, e *wasm.Engine, code, img string) error {
	progress := r.Progress
	if progress == nil {
		progress = func(string) {}
	}
	source, err := r.Module()
	if err != nil {
		return err
	}
	p, err := Prepare(source)
	if err != nil {
		return err
	}
	module, err := e.Load(code)
	if err != nil {
		progress("compiling")
		machine, err := e.Compile(p.Module)
		if err != nil {
			return err
		}
		if err := WriteFile(code, machine); err != nil {
			return err
		}
		if module, err = e.Load(code); err != nil {
			return err
		}
	}
	defer module.Close()
	if err := ctx.Err(); err != nil {
		return err
	}
	progress("initialising")
	captured, err := Capture(e, p, module, nil, img, r.Steps, r.Limits, r.Inspect, nil)
	if err != nil {
		return err
	}
	if captured.Changed {
		os.Remove(img)
		return fmt.Errorf("%w: an engine changes its globals while it is initialised", ErrModule)
	}
	return nil
}

// Sweep removes from a folder of bases what nobody has opened for as long as unused. Who has it open keeps it.
func Sweep(folder string, unused time.Duration) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		name := entry.Name()
		ours := strings.HasSuffix(name, ".code") || strings.HasSuffix(name, ".image") || strings.HasSuffix(name, ".lock") || temporary(name)
		info, fault := entry.Info()
		if !ours || fault != nil || time.Since(info.ModTime()) < unused {
			continue
		}
		if fault := os.Remove(filepath.Join(folder, name)); !errors.Is(fault, os.ErrNotExist) {
			err = errors.Join(err, fault)
		}
	}
	return err
}

// own makes the folder, and refuses one that others may write.
func own(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if stat := info.Sys().(*syscall.Stat_t); int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the folder of machine code %s can be written by others: it must be this user's own, with mode 0700", folder)
	}
	return nil
}

// lock takes the file's lock, which ends with the process at the latest.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		}
	}
}

// rewriteVersion changes with what Prepare makes of a module.
const rewriteVersion = 2

// Host is what machine code depends on beside its module.
func Host() string {
	return fmt.Sprintf("wasmtime %s rewritten %d %s %s", wasm.Version, rewriteVersion, runtime.GOARCH, cpuFlags())
}

// cpuFlags is what of the CPU machine code may use.
func cpuFlags() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "flags") || strings.HasPrefix(line, "Features") {
			return KeyOf(line)
		}
	}
	return ""
}

// KeyOf is a hash over parts, each with its length.
func KeyOf(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// WriteFile writes a file that is there whole or not at all, durably.
func WriteFile(name string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), temporaryPattern)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}

const temporaryPattern = ".tmp-*"

func temporary(name string) bool { return strings.HasPrefix(name, ".tmp-") }
