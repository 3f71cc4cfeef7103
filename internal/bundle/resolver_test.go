package bundle

import (
	"slices"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	for _, test := range []struct{ tool, said, text, hint string }{
		{"pip", "\nUsage:\n  python3 -m pip install [options]\n\nno such option: --report\n", "r.txt: this pip is too old:\n", "update it"},
		{"uv", "error: unexpected argument '--format' found\n", "r.txt: this uv is too old:\n", "update it"},
		{"pip", "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(…)': /simple/x/\nERROR: No matching distribution found for x\n",
			"r.txt: pip cannot fetch packages:\nWARNING: Retrying", networkHint},
		{"uv", "error: Failed to fetch: `x`\n  Caused by: dns error\n", "r.txt: uv cannot fetch packages:\nerror: Failed to fetch: `x`\n  Caused by: dns error", networkHint},
		{"pip", "Looking in indexes\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n", "r.txt: pip does not take what it finds:\nTHESE PACKAGES", "leave out --hash"},
		{"pip", "Collecting x\nERROR: No matching distribution found for x\n", "r.txt: pip finds nothing that fits:\nNo matching distribution found for x", "pip wheel"},
		{"uv", "Using CPython 3.11\nerror: No solution\n  cause: x\n", "r.txt: uv finds nothing that fits:\nerror: No solution\n  cause: x", "pip wheel"},
		{"uv", strings.Repeat("because\n", 100), "r.txt: uv finds nothing that fits:\n" + strings.Repeat("because\n", 12) + "…", "pip wheel"},
	} {
		err, ok := (&resolveError{test.tool, test.said}).explain("r.txt").(*Error)
		if !ok || !strings.HasPrefix(err.Text, test.text) || !strings.Contains(err.Hint, test.hint) {
			t.Errorf("%q: got\n%s\n%s", test.said, err.Text, err.Hint)
		}
	}
}

func TestParseAnswers(t *testing.T) {
	lock, err := parseLock([]byte(`
lock-version = "1.0"
[[packages]]
name = "Charset_Normalizer"
version = "3.5.2"
wheels = [
    { url = "https://x.example/charset_normalizer-3.5.2-cp311-cp311-manylinux2014_x86_64.whl" },
    { url = "https://x.example/charset_normalizer-3.5.2-py3-none-any.whl", hashes = { sha256 = "00" } },
]
[[packages]]
name = "numpy"
version = "2.3.1"
wheels = [{ name = "numpy-2.3.1-cp311-cp311-manylinux2014_x86_64.whl", path = "wheels/x" }]
[[packages]]
name = "own"
version = "1"
`))
	if want := []choice{{"charset-normalizer", "3.5.2", true}, {"numpy", "2.3.1", false}, {"own", "1", true}}; err != nil || !slices.Equal(lock, want) {
		t.Errorf("got %v, %v", lock, err)
	}
	report, err := parseReport([]byte(`{"version":"1","install":[
		{"download_info":{"url":"https://x.example/Jinja2-3.1.6-py3-none-any.whl#sha256=00"},"metadata":{"name":"Jinja2","version":"3.1.6"}},
		{"download_info":{"url":"file:///w/numpy-2.3.1-cp311-cp311-manylinux2014_x86_64.whl"},"metadata":{"name":"numpy","version":"2.3.1"}}]}`))
	if want := []choice{{"jinja2", "3.1.6", true}, {"numpy", "2.3.1", false}}; err != nil || !slices.Equal(report, want) {
		t.Errorf("got %v, %v", report, err)
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte("[[packages]]\nname = 'a'\nwheels = [{ url = 'a-1-py3-none-any.whl' }]\n"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = parseLock(text) })
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`{"install":[{"download_info":{"url":"a-1-py3-none-any.whl"},"metadata":{"name":"a"}}]}`))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = parseReport(text) })
}
