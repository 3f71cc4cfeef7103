package programs

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/aleph-edge/aleph-edge/abi"
)

// Limits of a program's code.
const (
	MaxCode        = 64 << 20  // bytes of the file that is deployed
	MaxBundle      = 128 << 20 // bytes of a zip's files together
	MaxBundleFiles = 10_000
	maxPath        = 512 // bytes of a file's path in a zip
)

// A File is one file of a program's code. Its path is relative and clean.
type File struct {
	Path    string
	Content []byte
}

// readBundle gives the files of a program's code.
func readBundle(encoding, entrypoint string, code []byte) ([]File, error) {
	switch encoding {
	case "plain":
		return []File{{path.Base(entrypoint), code}}, nil
	case "zip":
		return unzip(code)
	}
	return nil, &BuildError{Code: abi.ErrUnsupportedBundle, Message: fmt.Sprintf("code.encoding is %q", encoding), Hint: "use plain (one file) or zip"}
}

func unzip(code []byte) ([]File, error) {
	refuse := func(format string, args ...any) error {
		return &BuildError{Code: abi.ErrUnsupportedBundle, Message: fmt.Sprintf("the zip "+format, args...)}
	}
	archive, err := zip.NewReader(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		return nil, refuse("cannot be read: %v", err)
	}
	if n := len(archive.File); n > MaxBundleFiles {
		return nil, refuse("has %d entries, the limit is %d", n, MaxBundleFiles)
	}
	var files []File
	seen := map[string]bool{}
	left := int64(MaxBundle)
	for _, entry := range archive.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		if !entry.Mode().IsRegular() {
			return nil, refuse("holds %q, which is neither a file nor a folder", entry.Name)
		}
		name := path.Clean(entry.Name)
		if !localPath(entry.Name) || len(name) > maxPath {
			return nil, refuse("holds a file with the path %q, which is not a relative path of at most %d bytes", entry.Name, maxPath)
		}
		if seen[name] {
			return nil, refuse("holds %q twice", name)
		}
		seen[name] = true
		r, err := entry.Open()
		if err != nil {
			return nil, refuse("holds %q, which cannot be read: %v", name, err)
		}
		content, err := io.ReadAll(io.LimitReader(r, left+1))
		r.Close()
		if err != nil {
			return nil, refuse("holds %q, which cannot be read: %v", name, err)
		}
		if left -= int64(len(content)); left < 0 {
			return nil, refuse("holds over %d MiB", MaxBundle>>20)
		}
		files = append(files, File{name, content})
	}
	return files, nil
}

// localPath says whether a path stays in the folder it is relative to, on every system.
func localPath(name string) bool {
	if name == "" || strings.ContainsAny(name, "\\\x00:") || path.IsAbs(name) {
		return false
	}
	clean := path.Clean(name)
	return clean != "." && clean != ".." && !strings.HasPrefix(clean, "../")
}
