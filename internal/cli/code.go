package cli

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxCode is the most code that is read for one program, in bytes.
const maxCode = 64 << 20

// code is what a program is deployed from, as it is uploaded.
type code struct {
	name       string // of the file or folder
	encoding   string // plain or zip
	entrypoint string // the file to start from, slash-separated
	bytes      []byte
}

// hash is the lower-case hex SHA-256 of the bytes.
func (c code) hash() string {
	sum := sha256.Sum256(c.bytes)
	return hex.EncodeToString(sum[:])
}

// readCode reads a source file, a zip or a folder. An empty entrypoint is found: of a file it is the file, of a folder
// or zip what package.json says, or one of the usual names.
func readCode(file, entrypoint string) (code, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return code{}, err
	}
	c := code{name: filepath.Base(absolute), encoding: "zip", entrypoint: entrypoint}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return code{}, withHint(fmt.Errorf("there is no file %s", file), "--file names the function's source: a file, a folder or a .zip")
	case err != nil:
		return code{}, err
	case info.IsDir():
		c.bytes, err = zipFolder(file)
	case !info.Mode().IsRegular():
		return code{}, fmt.Errorf("%s is neither a file nor a folder", file)
	case info.Size() > maxCode:
		return code{}, tooLarge(file)
	case strings.EqualFold(filepath.Ext(file), ".zip"):
		c.bytes, err = os.ReadFile(file)
	default:
		c.encoding = "plain"
		if c.entrypoint == "" {
			c.entrypoint = c.name
		}
		c.bytes, err = os.ReadFile(file)
	}
	if err != nil {
		return code{}, err
	}
	if len(c.bytes) == 0 {
		return code{}, fmt.Errorf("%s is empty", file)
	}
	if c.entrypoint == "" {
		archive, err := zip.NewReader(bytes.NewReader(c.bytes), int64(len(c.bytes)))
		if err != nil {
			return code{}, fmt.Errorf("%s: %w", file, err)
		}
		if c.entrypoint, err = findEntrypoint(archive); err != nil {
			return code{}, withHint(fmt.Errorf("%s: %w", file, err), "name the file to start from with --entrypoint")
		}
	}
	return c, nil
}

// runtime is the runtime for this code if none is named; empty if that cannot be told.
func (c code) runtime() string {
	file, _, _ := strings.Cut(c.entrypoint, ":")
	switch path.Ext(file) {
	case ".js", ".mjs", ".cjs":
		return "nodejs20"
	}
	return ""
}

// zipFolder packs a folder's files, in an order, with times and modes that depend on nothing but their names and
// contents, so that the same files always have the same hash. Names that begin with a dot (.git, .env) are left out.
// Links are followed inside the folder and refused where they lead out of it.
func zipFolder(folder string) ([]byte, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	total := int64(0)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		size, err := zipFile(archive, root, name, maxCode-total)
		total += size
		if err == nil && total > maxCode {
			err = tooLarge(folder)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if total == 0 {
		return nil, fmt.Errorf("the folder %s has no code in it", folder)
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// zipFile adds one file and returns its size, or a size above limit if there was more.
func zipFile(archive *zip.Writer, root *os.Root, name string, limit int64) (int64, error) {
	info, err := root.Stat(name) // before opening: a pipe would block
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is a link to a folder or a special file: it cannot be deployed", name)
	}
	file, err := root.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	header := &zip.FileHeader{Name: name, Method: zip.Deflate}
	header.SetMode(0o644)
	packed, err := archive.CreateHeader(header)
	if err != nil {
		return 0, err
	}
	return io.Copy(packed, io.LimitReader(file, limit+1))
}

func tooLarge(file string) error {
	return fmt.Errorf("%s: code is larger than %d MiB", file, maxCode>>20)
}

// findEntrypoint is the file to start from: main of package.json, resolved as Node does, or else index, function or main
// with a JavaScript extension.
func findEntrypoint(files fs.FS) (string, error) {
	isFile := func(name string) bool {
		info, err := fs.Stat(files, name)
		return err == nil && info.Mode().IsRegular()
	}
	extensions := []string{".js", ".mjs", ".cjs"}
	text, err := fs.ReadFile(files, "package.json")
	if err == nil {
		var manifest struct {
			Main string `json:"main"`
		}
		if err := json.Unmarshal(text, &manifest); err != nil {
			return "", fmt.Errorf("package.json: %w", err)
		}
		if manifest.Main != "" {
			main := path.Clean(manifest.Main)
			candidates := []string{main}
			for _, extension := range extensions {
				candidates = append(candidates, main+extension, path.Join(main, "index"+extension))
			}
			if found := slices.IndexFunc(candidates, isFile); found >= 0 {
				return candidates[found], nil
			}
			return "", fmt.Errorf("package.json: main is %q, and there is no such file", manifest.Main)
		}
	}
	for _, name := range []string{"index", "function", "main"} {
		for _, extension := range extensions {
			if isFile(name + extension) {
				return name + extension, nil
			}
		}
	}
	return "", errors.New("has no package.json with main, and no index.js, function.js or main.js")
}
