// Package bundle makes what is uploaded of a program: one file as it is, or a zip of a folder's files, with the Python
// packages that they ask for and the bytecode of all of it, or the module that a compiler makes of a folder.
//
// The same files give the same bytes: names are in order, and no time, mode or path of this machine is in them.
package bundle

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What a node takes at most; programs.MaxCode and its neighbours, which a client does not import.
const (
	maxCode     = 64 << 20  // bytes of what is uploaded
	maxUnpacked = 128 << 20 // bytes of a zip's files together
	maxFiles    = 10_000
)

// An Error says why code cannot be deployed.
type Error struct {
	Text string
	Hint string // what to do about it; empty if nothing is known
}

func (e *Error) Error() string { return e.Text }

// A Bundle is code as it is uploaded.
type Bundle struct {
	Name       string // of the file or folder it was made from
	Encoding   string // plain or zip
	Entrypoint string
	Bytes      []byte
}

// Hash is the lower-case hex SHA-256 of the bytes.
func (b *Bundle) Hash() string {
	sum := sha256.Sum256(b.Bytes)
	return hex.EncodeToString(sum[:])
}

// A Reporter tells the user what goes on.
type Reporter struct {
	Note     func(text string)
	Progress func(what string) (end func()) // something that may take seconds
	Output   io.Writer                      // what compilers say; nil: nobody reads it
}

func (r *Reporter) output() io.Writer {
	if r.Output == nil {
		return io.Discard
	}
	return r.Output
}

// files are file contents by slash-separated relative paths.
type files map[string][]byte

func (all files) has(name string) bool {
	_, ok := all[name]
	return ok
}

// Pack makes the bundle that the runtime is to run. A Python program's packages are fetched by the uv or pip of this machine,
// and a compiled one is built, until ctx ends.
func (s *Source) Pack(ctx context.Context, runtime string, reporter Reporter) (*Bundle, error) {
	if s.Language.compiled() && s.folder != "" {
		return s.compiledPack(ctx, reporter)
	}
	b := &Bundle{Name: s.Name, Encoding: "zip", Entrypoint: s.Entrypoint, Bytes: s.raw}
	target, isPython := targets[runtime]
	switch {
	case isPython && (s.files != nil || s.started || hasInline(s.raw)):
		all, err := s.pythonFiles(ctx, target, reporter)
		if err != nil {
			return nil, err
		}
		b.Bytes, err = pack(s.path, all)
		return b, err
	case s.raw == nil:
		var err error
		b.Bytes, err = pack(s.path, s.files)
		return b, err
	case s.files == nil:
		b.Encoding = "plain"
	}
	return b, nil
}

// pack zips files. Its errors name what was read.
func pack(name string, all files) ([]byte, error) {
	if len(all) > maxFiles {
		return nil, tooLarge(name, fmt.Sprintf("%d files, the limit is %d", len(all), maxFiles), all, countOf)
	}
	total := 0
	for _, content := range all {
		total += len(content)
	}
	if total > maxUnpacked {
		return nil, tooLarge(name, fmt.Sprintf("%d MiB of files, the limit is %d MiB", total>>20, maxUnpacked>>20), all, sizeOf)
	}
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate}
		header.SetMode(0o644)
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(all[name]); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if packed.Len() > maxCode {
		return nil, tooLarge(name, fmt.Sprintf("%d MiB packed, the limit is %d MiB", packed.Len()>>20, maxCode>>20), all, sizeOf)
	}
	return packed.Bytes(), nil
}

// A measure is what files may have too much of.
type measure struct {
	of   func(content []byte) int
	show func(sum int) string
}

var (
	countOf = measure{func([]byte) int { return 1 }, strconv.Itoa}
	sizeOf  = measure{func(content []byte) int { return len(content) }, func(sum int) string { return fmt.Sprintf("%.1f MiB", float64(sum)/(1<<20)) }}
)

// tooLarge is the error of files that a node would refuse. It names the folders with most of what there is too much of.
func tooLarge(name, what string, all files, m measure) error {
	const shown = 3
	sums := map[string]int{}
	for path, content := range all {
		sums[folderOf(path)] += m.of(content)
	}
	largest := slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), strings.Compare(a, b))
	})
	var parts []string
	for _, folder := range largest[:min(shown, len(largest))] {
		parts = append(parts, folder+" ("+m.show(sums[folder])+")")
	}
	return &Error{fmt.Sprintf("%s: the bundle has %s", name, what), "largest: " + strings.Join(parts, ", ")}
}

// folderOf is what a file counts to when the largest are named: its first folder, or its package's.
func folderOf(path string) string {
	parts := strings.Split(path, "/")
	depth := 1
	if parts[0] == packagesFolder {
		depth = 2
	}
	return strings.Join(parts[:min(depth, len(parts))], "/")
}
