package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstalled checks what of an installed package is deployed.
func TestInstalled(t *testing.T) {
	folder := writeFiles(t, map[string]string{
		"yaml/__init__.py": "", "yaml/_yaml.cpython-311-x86_64-linux-gnu.so": "", "yaml/_yaml.pyx": "", "yaml/__pycache__/x.pyc": "",
		"yaml/data/.keep": "", "yaml/bin/x.py": "", "bin/tool": "", "numpy.libs/x.txt": "", ".lock": "",
		"PyYAML-6.0.3.dist-info/METADATA": "", "PyYAML-6.0.3.dist-info/RECORD": "yaml/__init__.py,,\n", "PyYAML-6.0.3.dist-info/INSTALLER": "pip",
		"PyYAML-6.0.3.dist-info/entry_points.txt": "", "PyYAML-6.0.3.dist-info/uv_cache.json": "",
	})
	all, err := installed(folder)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"yaml/__init__.py", "yaml/data/.keep", "yaml/bin/x.py", "PyYAML-6.0.3.dist-info/METADATA", "PyYAML-6.0.3.dist-info/entry_points.txt"}
	for _, name := range want {
		if !all.has(name) {
			t.Errorf("%s is missing", name)
		}
	}
	if len(all) != len(want) {
		t.Errorf("got %v, want %v", all, want)
	}
	if d := all.distributions()["pyyaml"]; d != (distribution{"PyYAML", "6.0.3"}) {
		t.Errorf("got %+v", d)
	}
	links := t.TempDir()
	if err := pureWheel(all.recorded([]byte("yaml/__init__.py,sha256=x,0\nPyYAML-6.0.3.dist-info/METADATA,,\ngone,,\n")), distribution{"PyYAML", "6.0.3"}, links); err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join(links, "PyYAML-6.0.3-py3-none-any.whl"))
	if err != nil {
		t.Fatal(err)
	}
	const info = "PyYAML-6.0.3.dist-info/"
	wheel := unpack(t, packed)
	if len(wheel) != 4 || !runsAnywhere(string(wheel[info+"WHEEL"])) || !strings.HasSuffix(string(wheel[info+"RECORD"]), info+"RECORD,,\n") {
		t.Errorf("got %s", names(t, packed))
	}
}

func TestRunsAnywhere(t *testing.T) {
	for metadata, want := range map[string]bool{
		"Wheel-Version: 1.0\nTag: py2-none-any\r\nTag: py3-none-any\r\n": true,
		"Tag: cp311-cp311-manylinux_2_17_x86_64\n":                       false,
		"Tag: py3-none-any\nTag: py3-none-win32\n":                       false,
	} {
		if runsAnywhere(metadata) != want {
			t.Errorf("%q: not %v", metadata, want)
		}
	}
}
