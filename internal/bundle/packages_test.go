package bundle

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// uvVersion is the uv that is tested, beside the pip that is there.
const uvVersion = "0.13.9"

// tools are values of PATH with uv in it, and without.
func tools(t *testing.T) map[string]string {
	t.Helper()
	if testing.Short() {
		t.Skip("fetches packages")
	}
	folder := t.TempDir()
	install := exec.Command("python3", "-m", "pip", "install", "--quiet", "--target", folder, "uv=="+uvVersion)
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("uv cannot be installed: %v\n%s", err, output)
	}
	without := slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, "uv"))
		return err == nil
	})
	pip := strings.Join(without, string(filepath.ListSeparator))
	return map[string]string{"pip": pip, "uv": filepath.Join(folder, "bin") + string(filepath.ListSeparator) + pip}
}

// fault packs a folder with these requirements, which must fail.
func fault(t *testing.T, requirements string) *Error {
	t.Helper()
	s, err := Read(writeFiles(t, map[string]string{"main.py": "", "requirements.txt": requirements}), "", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Pack(t.Context(), "python3.11", quiet)
	fault := (*Error)(nil)
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return fault
}

// TestResolve holds the tests that resolve with the same uv and pip.
func TestResolve(t *testing.T) {
	paths := tools(t)
	t.Run("packages", func(t *testing.T) { testPackages(t, paths) })
	t.Run("refused", func(t *testing.T) { testRefused(t, paths) })
	t.Run("optional", func(t *testing.T) { testOptional(t, paths["uv"]) })
}

// testPackages resolves with pip and with uv, and imports what came with a Python of this machine: nothing but the bundle and the
// standard library.
func testPackages(t *testing.T, paths map[string]string) {
	folder := writeFiles(t, map[string]string{
		"requirements.txt": "flask==3.1.3\njsonschema<5\nPyYAML==6.0.3\n",
		"main.py": `
import importlib.metadata, sys
import flask, jsonschema, markupsafe, yaml
def here():
    raise ValueError
print(importlib.metadata.version("MarkupSafe"), yaml.safe_load("a: [1]"), markupsafe.escape("<"))
`,
	})
	s, err := Read(folder, "main:here", "")
	if err != nil {
		t.Fatal(err)
	}
	var first *Bundle
	for tool, path := range paths {
		t.Run(tool, func(t *testing.T) {
			t.Setenv("PATH", path)
			var notes []string
			b, err := s.Pack(t.Context(), "python3.11", Reporter{Note: func(text string) { notes = append(notes, text) }, Progress: quiet.Progress})
			if err != nil {
				t.Fatalf("%v\n%+v", err, err)
			}
			if len(notes) != 1 || !strings.Contains(notes[0], "jsonschema 4.17.3 instead of 4.") {
				t.Errorf("notes: %q", notes)
			}
			if first != nil && b.Hash() != first.Hash() {
				t.Error("pip and uv give different bundles")
			}
			first = b
		})
	}
	if first == nil {
		return
	}
	if first.Encoding != "zip" || first.Entrypoint != "main:here" {
		t.Errorf("got %s, %s", first.Encoding, first.Entrypoint)
	}
	unpacked := unpack(t, first.Bytes)
	for name := range unpacked {
		if isNative(name) || isInstallers(name) || strings.HasPrefix(name, packagesFolder+"/bin/") {
			t.Errorf("%s is in the bundle", name)
		}
	}
	app := t.TempDir()
	if err := unpacked.write(app); err != nil {
		t.Fatal(err)
	}
	python := interpreter(t.Context(), python311)
	if python == "" {
		t.Fatal("no Python 3.11 is installed")
	}
	run := exec.Command(python, "-I", "-S", "-B", "-v", "-c", `
import sys
sys.path[:0] = sys.argv[1:]
import main`, app, filepath.Join(app, packagesFolder))
	var said bytes.Buffer
	run.Stderr = &said
	output, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, lastLines(said.String(), 20))
	}
	if got, want := string(output), "3.0.4 {'a': [1]} &lt;\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for line := range strings.Lines(said.String()) {
		if strings.HasPrefix(line, "# code object from "+app) {
			t.Errorf("compiled anew: %s", line)
		}
	}
	if _, ok := unpacked["__pycache__/main.cpython-311.pyc"]; !ok {
		t.Error("there is no bytecode of main.py")
	}
	if !bytes.Contains(unpacked["__pycache__/main.cpython-311.pyc"], []byte("/app/main.py")) {
		t.Error("bytecode does not say /app/main.py")
	}
}

func unpack(t *testing.T, packed []byte) files {
	t.Helper()
	all, err := readZip("bundle", packed)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// testRefused checks what is said of packages that cannot run.
func testRefused(t *testing.T, paths map[string]string) {
	for tool, path := range paths {
		t.Run(tool, func(t *testing.T) {
			t.Setenv("PATH", path)
			t.Setenv("PIP_RETRIES", "1") // pip says nothing of what it does not try again
			t.Setenv("UV_HTTP_RETRIES", "0")
			for _, test := range []struct{ requirements, text, hint string }{
				{"requests\nnumpy==2.3.1\n", "requirements.txt: numpy 2.3.1 is native code", "numpy: math"},
				{"fastapi==0.125.0\npydantic>=2.10,<2.12\n", "requirements.txt: pydantic-core 2.33.2 is native code", "pydantic 1.10 runs"},
				{"docopt==0.6.2\n", "requirements.txt: " + tool + " finds nothing that fits:\n", "pip wheel"},
				{"--index-url http://127.0.0.1:1/simple\nrequests\n", "requirements.txt: " + tool + " cannot fetch packages:\n", networkHint},
			} {
				got := fault(t, test.requirements)
				if !strings.HasPrefix(got.Text, test.text) || !strings.Contains(got.Hint, test.hint) {
					t.Errorf("%q: got\n%s\n%s\nwant\n%s\n%s", test.requirements, got.Text, got.Hint, test.text, test.hint)
				}
			}
		})
	}
}

// testOptional strips every package that can do without its native code, and sees that it does.
func testOptional(t *testing.T, path string) {
	t.Setenv("PATH", path)
	imports := map[string]string{ // by which a package is known to work; none where it is only asked for
		"greenlet": "", "httptools": "", "uvloop": "", "watchfiles": "", "ruamel-yaml-clib": "",
		"pyyaml": "yaml", "lazy-object-proxy": "lazy_object_proxy", "zope-interface": "zope.interface",
	}
	var wanted, statements []string
	for name := range optional {
		wanted = append(wanted, name)
		module, listed := imports[name]
		if !listed {
			module = name
		}
		if module != "" {
			statements = append(statements, "import "+module)
		}
	}
	s, err := Read(writeFiles(t, map[string]string{"main.py": "", "requirements.txt": strings.Join(wanted, "\n")}), "", "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Pack(t.Context(), "python3.11", quiet)
	if err != nil {
		t.Fatal(err)
	}
	app := t.TempDir()
	if err := unpack(t, b.Bytes).write(app); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(interpreter(t.Context(), python311), "-I", "-S", "-B", "-c", "import sys; sys.path.insert(0, sys.argv[1])\n"+strings.Join(statements, "\n"),
		filepath.Join(app, packagesFolder))
	if output, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// TestNoResolver checks that a machine without uv and pip is told so.
func TestNoResolver(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("PYENV_ROOT", t.TempDir())
	if got := fault(t, "flask\n"); !strings.Contains(got.Text, "neither uv nor pip") {
		t.Errorf("got %s", got.Text)
	}
}

// TestOwnPackages checks that a zip that brings its packages is left as it is, but for bytecode, and that bytecode is the same each time.
func TestOwnPackages(t *testing.T) {
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for name, text := range map[string]string{
		"main.py": "import a\ndef handler(req): return {1, 'x', 'y'}", "a.py": "X = 1", "broken.py": "def", "a-1.dist-info/METADATA": "Name: a",
		"requirements.txt": "nosuch-package", "data/.hidden": "h", "sub/enum.py": "", "__pycache__/main.cpython-311.pyc": "stale",
	} {
		entry, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(entry, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "app.zip")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	b := readAndPack(t, file)
	const want = "__pycache__/a.cpython-311.pyc __pycache__/main.cpython-311.pyc a-1.dist-info/METADATA a.py broken.py data/.hidden main.py requirements.txt sub/__pycache__/enum.cpython-311.pyc sub/enum.py"
	if got := names(t, b.Bytes); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if readAndPack(t, file).Hash() != b.Hash() {
		t.Error("packed again it has another hash")
	}
}
