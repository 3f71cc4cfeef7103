package bundle

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// writeFiles makes a folder with files of these names and contents.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// quiet reports to nobody.
var quiet = Reporter{Note: func(string) {}, Progress: func(string) func() { return func() {} }}

// readAndPack is what a deploy without flags makes of a file.
func readAndPack(t *testing.T, file string) *Bundle {
	t.Helper()
	s, err := Read(file, "", "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Pack(t.Context(), s.Language.DefaultRuntime(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// names lists a zip's files.
func names(t *testing.T, packed []byte) string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, file := range archive.File {
		all = append(all, file.Name)
	}
	return strings.Join(all, " ")
}

func TestReadFile(t *testing.T) {
	folder := writeFiles(t, map[string]string{
		"handler.mjs": "export default () => 1", "main.py": "def handler(req): return 1", "empty.js": "", "bad.zip": "PK", "x.bin": "x",
	})
	for name, want := range map[string]Language{"handler.mjs": JavaScript, "main.py": Python, "x.bin": Unknown} {
		s, err := Read(filepath.Join(folder, name), "", "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Pack(t.Context(), s.Language.DefaultRuntime(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if s.Language != want || b.Encoding != "plain" || b.Entrypoint != name || b.Name != name || !bytes.Equal(b.Bytes, content) {
			t.Errorf("%s: got %d %+v", name, s.Language, b)
		}
	}
	for name, want := range map[string]string{
		"empty.js": "is empty", "bad.zip": "zip", "none.js": "there is no file",
	} {
		if _, err := Read(filepath.Join(folder, name), "", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
}

func TestReadFolder(t *testing.T) {
	files := map[string]string{
		"package.json": `{"main":"./lib/app"}`, "lib/app.js": "module.exports = () => 1", "lib/util.js": "exports.x = 1",
		".env": "SECRET=1", ".git/config": "x", "node_modules/a/index.js": "exports.a = 1",
		"env/pyvenv.cfg": "", "env/bin/python": "x", "lib/__pycache__/x.pyc": "x",
	}
	first, second := writeFiles(t, files), writeFiles(t, files)
	past := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(second, "lib/app.js"), past, past); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(second, "lib/util.js"), 0o755); err != nil {
		t.Fatal(err)
	}
	a, b := readAndPack(t, first), readAndPack(t, second)
	if a.Hash() != b.Hash() {
		t.Error("the same files in two folders, with other times and modes, have different hashes")
	}
	if a.Encoding != "zip" || a.Entrypoint != "lib/app.js" {
		t.Errorf("encoding %s, entrypoint %s", a.Encoding, a.Entrypoint)
	}
	if got, want := names(t, a.Bytes), "lib/app.js lib/util.js node_modules/a/index.js package.json"; got != want {
		t.Errorf("packed %s, want %s", got, want)
	}

	// The same code as a zip starts the same way.
	packed := filepath.Join(t.TempDir(), "app.ZIP")
	if err := os.WriteFile(packed, a.Bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	c := readAndPack(t, packed)
	if c.Hash() != a.Hash() || c.Entrypoint != a.Entrypoint || c.Encoding != "zip" {
		t.Errorf("got %s %s %s", c.Encoding, c.Entrypoint, c.Hash())
	}
}

func TestReadFolderLinks(t *testing.T) {
	outside := writeFiles(t, map[string]string{"secret": "s"})
	for _, test := range []struct {
		name, want string // want: in the error; empty for none
		prepare    func(folder string) error
	}{
		{"to a file inside", "", func(folder string) error { return os.Symlink("index.js", filepath.Join(folder, "alias.js")) }},
		{"to a file outside", "escapes", func(folder string) error {
			return os.Symlink(filepath.Join(outside, "secret"), filepath.Join(folder, "link"))
		}},
		{"to a folder", "cannot be deployed", func(folder string) error { return os.Symlink(".", filepath.Join(folder, "link")) }},
		{"to nothing", "no such file", func(folder string) error { return os.Symlink("nothing", filepath.Join(folder, "link")) }},
		{"a pipe", "cannot be deployed", func(folder string) error { return syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := writeFiles(t, map[string]string{"index.js": "export default () => 1"})
			if err := test.prepare(folder); err != nil {
				t.Fatal(err)
			}
			_, err := Read(folder, "", "")
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	folder := writeFiles(t, map[string]string{"index.js": "", "lib/data": "", "lib/more": ""})
	for name, size := range map[string]int64{"index.js": maxCode + 1, "lib/data": maxCode, "lib/more": 1} { // sparse
		if err := os.Truncate(filepath.Join(folder, name), size); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{folder: "over 128 MiB", filepath.Join(folder, "index.js"): "larger than 64 MiB"} {
		if _, err := Read(file, "", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", file, err, want)
		}
	}
	many := files{"main.py": nil}
	for i := range maxFiles {
		many[filepath.Join(".packages", "large", strings.Repeat("x", i%100), strings.Repeat("y", i/100))] = nil
	}
	_, err := pack("app", many)
	fault, ok := err.(*Error)
	if !ok || fault.Text != "app: the bundle has 10001 files, the limit is 10000" || fault.Hint != "largest: .packages/large (10000), main.py (1)" {
		t.Errorf("got %v, %+v", err, fault)
	}
}
