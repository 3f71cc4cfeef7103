package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseCall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte{0xff, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{Streams: Streams{In: strings.NewReader("from stdin")}}
	for _, test := range []struct {
		name                      string
		flags                     callFlags
		method, body, contentType string
		query                     string
	}{
		{name: "nothing"},
		{name: "query", flags: callFlags{query: []string{"a=1", "a=2", "b=x=y&z", "c="}}, query: "a=1&a=2&b=x%3Dy%26z&c="},
		{name: "json", flags: callFlags{data: `{"a":1}`}, method: "POST", body: `{"a":1}`, contentType: "application/json"},
		{name: "text", flags: callFlags{data: `hello`}, method: "POST", body: "hello", contentType: "text/plain; charset=utf-8"},
		{name: "file", flags: callFlags{data: "@" + file, method: "put"}, method: "PUT", body: "\xff\x00", contentType: "application/octet-stream"},
		{name: "standard input", flags: callFlags{data: "@-"}, method: "POST", body: "from stdin", contentType: "text/plain; charset=utf-8"},
		{name: "own type", flags: callFlags{data: "1", header: []string{"content-type:  text/x"}}, method: "POST", body: "1", contentType: "text/x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			call, err := a.parseCall(test.flags, test.flags.data != "")
			if err != nil {
				t.Fatal(err)
			}
			if call.Method != test.method || string(call.Body) != test.body || call.Header.Get("Content-Type") != test.contentType || call.Query.Encode() != test.query {
				t.Errorf("got %+v", call)
			}
		})
	}
	for _, bad := range []callFlags{{query: []string{"a"}}, {query: []string{"=1"}}, {header: []string{"a"}}, {header: []string{" : x"}}} {
		if _, err := a.parseCall(bad, false); !errors.As(err, new(usageError)) {
			t.Errorf("%+v: got %v, want wrong usage", bad, err)
		}
	}
	if _, err := a.parseCall(callFlags{data: "@" + file + ".none"}, true); err == nil || !strings.Contains(err.Error(), "there is no file") {
		t.Errorf("got %v", err)
	}
}

func TestForTerminal(t *testing.T) {
	for body, want := range map[string]string{
		"":                  "",
		`{"a":[1,{"b":2}]}`: "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ]\n}\n",
		" \"text\"\n":       "\"text\"\n",
		"plain":             "plain\n",
		"two\nlines\n":      "two\nlines\n",
	} {
		if shown, ok := forTerminal([]byte(body)); !ok || string(shown) != want {
			t.Errorf("%q: got %q, %v, want %q", body, shown, ok, want)
		}
	}
	for _, binary := range []string{"\x89PNG\r\n", "a\x00b"} {
		if _, ok := forTerminal([]byte(binary)); ok {
			t.Errorf("%q was shown", binary)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain\tÄ✓":        "plain\tÄ✓",
		"\x1b[2Jgone\r":    `\x1b[2Jgone\x0d`,
		"a\u202eb\u009bc":  `a\x202eb\x9bc`,
		"invalid \xff end": "invalid \ufffd end",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got, want := printableLines("Error: x\n    at f\x1b\n\nend\n"), "Error: x\n        at f\\x1b\n    \n    end"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
