package bundle

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestProjectRequirements(t *testing.T) {
	for _, test := range []struct{ text, want, problem string }{
		{text: "", want: ""},
		{text: "[tool.black]\nline-length = 100\n", want: ""},
		{text: "[project]\nname = 'x'\ndependencies = [\n  \"flask[async]>=3; python_version > '3.8'\", # comment ]\n  'pyyaml',\n]\n", want: "flask[async]>=3; python_version > '3.8'|pyyaml"},
		{text: "[project]\ndynamic = ['version', 'dependencies']\n", problem: "dynamic"},
		{text: "[project\n", problem: "expected"},
		{text: "[project]\ndependencies = 'flask'\n", problem: "project.dependencies"},
	} {
		got, err := projectRequirements(test.text)
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%q: got %v", test.text, err)
			}
		} else if err != nil || strings.Join(got, "|") != test.want {
			t.Errorf("%q: got %q, %v", test.text, got, err)
		}
	}
}

func TestInlineRequirements(t *testing.T) {
	for source, want := range map[string][]string{
		"def handler(req): pass": nil,
		"# /// script\n# requires-python = '>=3.11'\n# dependencies = [\n#   'flask',\n#\n#   'pyyaml<7',\n# ]\n# ///\nimport flask\n": {"flask", "pyyaml<7"},
		"#!x\r\n# /// script\r\n# dependencies = ['a']\r\n# ///\r\n":                                                                   {"a"},
		"# /// other\n# dependencies = ['a']\n# ///\n":                                                                                 nil,
		"# /// script\n# dependencies = ['a']\nimport a\n":                                                                             nil,
	} {
		got, err := inlineRequirements(source)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v", source, got, err)
		}
	}
	if _, err := inlineRequirements("# /// script\n# dependencies = [\n# ///\n"); err == nil {
		t.Error("metadata that is not TOML was taken")
	}
}

func FuzzInlineRequirements(f *testing.F) {
	f.Add("# /// script\n# dependencies = ['a']\n# ///\n")
	f.Fuzz(func(_ *testing.T, source string) { _, _ = inlineRequirements(source) })
}

// TestRequirements checks which of the files that can ask for packages is the one that does.
func TestRequirements(t *testing.T) {
	for _, test := range []struct {
		files map[string]string
		want  string // the name of what asks
	}{
		{map[string]string{"main.py": ""}, ""},
		{map[string]string{"requirements.txt": "# nothing\n\n"}, ""},
		{map[string]string{"requirements.txt": "flask", "pyproject.toml": "[project]\ndependencies = ['x']"}, "requirements.txt"},
		{map[string]string{"requirements.txt": "", "pyproject.toml": "[project]\ndependencies = ['x']"}, ""},
		{map[string]string{"pyproject.toml": "[project]\ndependencies = ['x']"}, "pyproject.toml"},
	} {
		s := &Source{folder: "folder", files: files{}}
		for name, text := range test.files {
			s.files[name] = []byte(text)
		}
		r, err := s.requirements(s.files, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case test.want == "" && r != nil, test.want != "" && (r == nil || r.from != test.want):
			t.Errorf("%v: got %+v, want %q", test.files, r, test.want)
		case test.want == "requirements.txt" && r.file != filepath.Join("folder", "requirements.txt"): // where relative paths begin
			t.Errorf("%v: got %+v", test.files, r)
		}
	}
}

func TestMentions(t *testing.T) {
	for _, test := range []struct {
		text, name string
		want       bool
	}{
		{"no matching distribution found for numpy", "numpy", true},
		{"numpy-stubs and mynumpy", "numpy", false},
		{"pydantic-core==2.1 (from pydantic>=2)", "pydantic", true},
		{"pydantic-core==2.1", "pydantic", false},
		{"", "x", false},
	} {
		if mentions(test.text, test.name) != test.want {
			t.Errorf("%q in %q: not %v", test.name, test.text, test.want)
		}
	}
}
