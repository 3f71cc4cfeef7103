package bundle

import (
	"strings"
	"testing"
)

// TestFindStart checks what a folder or zip starts with.
func TestFindStart(t *testing.T) {
	for _, test := range []struct {
		files      string // names, separated by spaces
		pack       string // package.json, if not empty
		entrypoint string
		runtime    string
		want       string
		language   Language
		problem    string // in the error
	}{
		{files: "index.js function.js", want: "index.js", language: JavaScript},
		{files: "function.js main.js", want: "function.js", language: JavaScript},
		{files: "main.mjs", want: "main.mjs", language: JavaScript},
		{files: "src/index.js", problem: "no package.json with main"},
		{files: "a.js index.js", pack: `{"main":"a.js"}`, want: "a.js", language: JavaScript},
		{files: "a.cjs", pack: `{"main":"./a"}`, want: "a.cjs", language: JavaScript},
		{files: "lib/index.mjs", pack: `{"main":"lib/"}`, want: "lib/index.mjs", language: JavaScript},
		{files: "index.js", pack: `{"name":"x"}`, want: "index.js", language: JavaScript},
		{files: "index.js", pack: `{"main":"gone.js"}`, problem: `main is "gone.js"`},
		{files: "index.js", pack: `{"main":"../../etc/passwd"}`, problem: "no such file"},
		{files: "index.js", pack: `{`, problem: "package.json"},
		{files: "a.js", entrypoint: "a.js", want: "a.js", language: JavaScript},
		{files: "a.js", entrypoint: "a.js:run", want: "a.js:run", language: JavaScript},

		{files: "main.py util.py", want: "main.py", language: Python},
		{files: "wsgi.py models.py", want: "wsgi.py", language: Python},
		{files: "app/main.py app/__init__.py", want: "app/main.py", language: Python},
		{files: "hello.py conftest.py setup.py tests/test.py", want: "hello.py", language: Python},
		{files: "a.py b.py", problem: "no main.py, function.py"},
		{files: "a/b.py", problem: "no main.py, function.py"},
		{files: "main.py", pack: `{"name":"tools"}`, want: "main.py", language: Python},
		{files: "main.py main.js", problem: "it has main.js and main.py"},
		{files: "main.py main.js", runtime: "python3.9", want: "main.py", language: Python},
		{files: "main.py main.js", runtime: "nodejs20", want: "main.js", language: JavaScript},
		{files: "main.js", runtime: "python3.13", problem: "no main.py"},
		{files: "main.py", entrypoint: "main:app", want: "main:app", language: Python},
		{files: "main.py", entrypoint: "main", want: "main", language: Python},
		{files: "shop/web/__init__.py", entrypoint: "shop.web:make", want: "shop.web:make", language: Python},
		{files: "shop/web.py", entrypoint: "shop/web.py", want: "shop/web.py", language: Python},
		{files: "main.py", entrypoint: "server:app", problem: `the entrypoint "server:app" is not there`},
		{files: "main.py", entrypoint: ":app", problem: "is not there"},
		{files: "main.wasm", entrypoint: "main.wasm", runtime: "wasm", want: "main.wasm"},
	} {
		all := files{}
		for name := range strings.FieldsSeq(test.files) {
			all[name] = nil
		}
		if test.pack != "" {
			all["package.json"] = []byte(test.pack)
		}
		s := &Source{Name: "app", path: "app", Entrypoint: test.entrypoint, started: test.entrypoint != "", files: all}
		err := s.findStart(test.runtime)
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s %s: got %q, %v, want an error with %q", test.files, test.pack, s.Entrypoint, err, test.problem)
			}
		} else if err != nil || s.Entrypoint != test.want || s.Language != test.language {
			t.Errorf("%s %s: got %q, %d, %v, want %q", test.files, test.pack, s.Entrypoint, s.Language, err, test.want)
		}
	}
}

func FuzzJavascriptStart(f *testing.F) {
	f.Add([]byte(`{"main":"lib"}`))
	f.Add([]byte(`{"main":"/../\u0000"}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		all := files{"package.json": manifest, "index.js": nil, "lib/index.js": nil}
		if name, reason := all.javascriptStart(); reason == "" && !all.has(name) {
			t.Errorf("%q is not a file of the folder", name)
		}
	})
}
