package bundle

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A Source is a program's code as its author has it.
type Source struct {
	Name       string   // of the file or folder, without the folders it is in
	Language   Language // Unknown where nothing tells it
	Entrypoint string   // what to start: a file, or one with an object in it as main:app

	path    string // as it was given
	folder  string // where it is, if it is a folder
	started bool   // the entrypoint was given
	raw     []byte // the file's or zip's bytes; nil of a folder
	files   files  // of a folder or zip; nil of one file
}

// Read reads a source file, a folder or a .zip. An empty entrypoint is found; an empty runtime leaves the language to the
// files.
func Read(file, entrypoint, runtime string) (*Source, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	s := &Source{Name: filepath.Base(absolute), path: file, Entrypoint: entrypoint, started: entrypoint != ""}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{"there is no file " + file, "--file names the function's source: a file, a folder or a .zip"}
	case err != nil:
		return nil, err
	case info.IsDir():
		s.folder = absolute
		if s.Language = compiledFolder(file, runtime); s.Language.compiled() {
			return s, nil
		}
		s.files, err = readFolder(file)
	case !info.Mode().IsRegular():
		return nil, &Error{Text: file + " is neither a file nor a folder"}
	case info.Size() > maxCode:
		return nil, &Error{Text: fmt.Sprintf("%s: code is larger than %d MiB", file, maxCode>>20)}
	default:
		s.raw, err = os.ReadFile(file)
		if err == nil && len(s.raw) == 0 {
			return nil, &Error{Text: file + " is empty"}
		}
		if err == nil && strings.EqualFold(filepath.Ext(file), ".zip") {
			s.files, err = readZip(file, s.raw)
		}
	}
	if err != nil {
		return nil, err
	}
	return s, s.findStart(runtime)
}

// skipped says whether a folder's file or folder of that name is not a part of the program: what begins with a dot (.git, .env),
// and what Python leaves behind.
func skipped(name string) bool { return strings.HasPrefix(name, ".") || name == bytecodeFolder }

// readFolder reads a folder's files. Links are followed inside the folder and refused where they lead out of it.
func readFolder(folder string) (files, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	all, left := files{}, int64(maxUnpacked)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case entry.IsDir() && (skipped(entry.Name()) || isEnvironment(root, name)):
			return fs.SkipDir
		case entry.IsDir() || skipped(entry.Name()):
			return nil
		}
		content, err := readFile(root, name, left)
		if err != nil {
			return err
		}
		all[name] = content
		if left -= int64(len(content)); left < 0 {
			return tooLarge(folder, fmt.Sprintf("over %d MiB of files", maxUnpacked>>20), all, sizeOf)
		}
		if len(all) > 2*maxFiles { // pack says so; this only bounds the walk
			return fs.SkipAll
		}
		return nil
	})
	if err == nil && len(all) == 0 {
		err = &Error{Text: fmt.Sprintf("the folder %s has no code in it", folder)}
	}
	return all, err
}

// isEnvironment says whether a folder is a virtual environment of Python's.
func isEnvironment(root *os.Root, folder string) bool {
	_, err := root.Stat(path.Join(folder, "pyvenv.cfg"))
	return err == nil
}

// readFile reads one file, and a byte beyond the limit if there is more.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Stat(name) // before opening: a pipe would block
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Text: name + " is a link to a folder or a special file: it cannot be deployed"}
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit+1))
}

// readZip reads a zip's files.
func readZip(name string, raw []byte) (files, error) {
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, &Error{Text: fmt.Sprintf("%s: %v", name, err)}
	}
	all, left := files{}, int64(maxUnpacked)
	for _, entry := range archive.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		clean := path.Clean(entry.Name)
		if !entry.Mode().IsRegular() || !filepath.IsLocal(clean) || strings.Contains(clean, "\\") {
			return nil, &Error{Text: fmt.Sprintf("%s: it holds %q, which is no file with a relative path", name, entry.Name)}
		}
		reader, err := entry.Open()
		if err != nil {
			return nil, &Error{Text: fmt.Sprintf("%s: %s: %v", name, clean, err)}
		}
		content, err := io.ReadAll(io.LimitReader(reader, left+1))
		reader.Close()
		if err != nil {
			return nil, &Error{Text: fmt.Sprintf("%s: %s: %v", name, clean, err)}
		}
		if left -= int64(len(content)); left < 0 {
			return nil, &Error{Text: fmt.Sprintf("%s: it holds over %d MiB of files", name, maxUnpacked>>20)}
		}
		all[clean] = content
	}
	return all, nil
}
