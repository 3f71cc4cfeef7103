package cli

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
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

func TestReadFile(t *testing.T) {
	folder := writeFiles(t, map[string]string{"handler.mjs": "export default () => 1", "empty.js": "", "bad.zip": "PK"})
	c, err := readCode(filepath.Join(folder, "handler.mjs"), "")
	if err != nil {
		t.Fatal(err)
	}
	if c.encoding != "plain" || c.entrypoint != "handler.mjs" || c.runtime() != "nodejs20" || string(c.bytes) != "export default () => 1" {
		t.Errorf("got %+v", c)
	}
	for name, want := range map[string]string{
		"empty.js": "is empty", "bad.zip": "zip", "none.js": "there is no file",
	} {
		if _, err := readCode(filepath.Join(folder, name), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
}

func TestReadFolder(t *testing.T) {
	files := map[string]string{
		"package.json": `{"main":"./lib/app"}`, "lib/app.js": "module.exports = () => 1", "lib/util.js": "exports.x = 1",
		".env": "SECRET=1", ".git/config": "x", "node_modules/a/index.js": "exports.a = 1",
	}
	first, second := writeFiles(t, files), writeFiles(t, files)
	past := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(second, "lib/app.js"), past, past); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(second, "lib/util.js"), 0o755); err != nil {
		t.Fatal(err)
	}
	a, err := readCode(first, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := readCode(second, "")
	if err != nil {
		t.Fatal(err)
	}
	if a.hash() != b.hash() {
		t.Error("the same files in two folders, with other times and modes, have different hashes")
	}
	if a.encoding != "zip" || a.entrypoint != "lib/app.js" {
		t.Errorf("encoding %s, entrypoint %s", a.encoding, a.entrypoint)
	}
	archive, err := zip.NewReader(bytes.NewReader(a.bytes), int64(len(a.bytes)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range archive.File {
		names = append(names, file.Name)
	}
	if got, want := strings.Join(names, " "), "lib/app.js lib/util.js node_modules/a/index.js package.json"; got != want {
		t.Errorf("packed %s, want %s", got, want)
	}

	// The same code as a zip starts the same way.
	packed := filepath.Join(t.TempDir(), "app.ZIP")
	if err := os.WriteFile(packed, a.bytes, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := readCode(packed, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.hash() != a.hash() || c.entrypoint != a.entrypoint || c.encoding != "zip" {
		t.Errorf("got %s %s %s", c.encoding, c.entrypoint, c.hash())
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
			_, err := readCode(folder, "")
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestReadTooLarge(t *testing.T) {
	folder := writeFiles(t, map[string]string{"index.js": ""})
	if err := os.Truncate(filepath.Join(folder, "index.js"), maxCode+1); err != nil { // sparse
		t.Fatal(err)
	}
	for _, file := range []string{folder, filepath.Join(folder, "index.js")} {
		if _, err := readCode(file, ""); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
			t.Errorf("%s: got %v", file, err)
		}
	}
}

func TestFindEntrypoint(t *testing.T) {
	for _, test := range []struct {
		files   string // names, separated by spaces
		pack    string // package.json, if not empty
		want    string
		problem string // in the error
	}{
		{files: "index.js function.js", want: "index.js"},
		{files: "function.js main.js", want: "function.js"},
		{files: "main.mjs", want: "main.mjs"},
		{files: "src/index.js", problem: "no package.json with main"},
		{files: "a.js index.js", pack: `{"main":"a.js"}`, want: "a.js"},
		{files: "a.cjs", pack: `{"main":"./a"}`, want: "a.cjs"},
		{files: "lib/index.mjs", pack: `{"main":"lib/"}`, want: "lib/index.mjs"},
		{files: "index.js", pack: `{"name":"x"}`, want: "index.js"},
		{files: "index.js", pack: `{"main":"gone.js"}`, problem: `main is "gone.js"`},
		{files: "index.js", pack: `{"main":"../../etc/passwd"}`, problem: "no such file"},
		{files: "index.js", pack: `{`, problem: "package.json"},
	} {
		files := fstest.MapFS{}
		for name := range strings.FieldsSeq(test.files) {
			files[name] = &fstest.MapFile{}
		}
		if test.pack != "" {
			files["package.json"] = &fstest.MapFile{Data: []byte(test.pack)}
		}
		got, err := findEntrypoint(files)
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s %s: got %q, %v, want an error with %q", test.files, test.pack, got, err, test.problem)
			}
		} else if err != nil || got != test.want {
			t.Errorf("%s %s: got %q, %v, want %q", test.files, test.pack, got, err, test.want)
		}
	}
}

func FuzzFindEntrypoint(f *testing.F) {
	f.Add([]byte(`{"main":"lib"}`))
	f.Add([]byte(`{"main":"/../\u0000"}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		files := fstest.MapFS{"package.json": {Data: manifest}, "index.js": {}, "lib/index.js": {}}
		if name, err := findEntrypoint(files); err == nil && files[name] == nil {
			t.Errorf("%q is not a file of the folder", name)
		}
	})
}
