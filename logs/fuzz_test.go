package logs

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"plain", "plain"},
		{"tab\tand ünïcode 日本語 👩‍👩‍👧", "tab\tand ünïcode 日本語 👩‍👩‍👧"},
		{"\x1b[2J\x1b]0;title\x07", `\x1b[2J\x1b]0;title\x07`},
		{"a\r\nb", `a\r\nb`},
		{"\x00\x7f\u009b31m", `\x00\x7f\x9b31m`},
		{"\x9b31m", "\ufffd31m"},
		{"user\u202etxt.exe\u2028\ufeff", `user\u202etxt.exe\u2028\ufeff`},
		{"\U000e0041", `\U000e0041`},
		{`\x1b`, `\x1b`},
	} {
		if got := Printable(c.text); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestPrintableLines(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"one\n":                              "one",
		"Error: x\n    at f\x1b[2J\n\nend\n": "Error: x\n        at f\\x1b[2J\n    \n    end",
	} {
		if got := PrintableLines(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[31m", "\u202e\xff", "\t\n", "\u200d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Printable(text)
		for _, r := range got {
			if unicode.IsControl(r) && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
				t.Errorf("%q: %q has %U", text, got, r)
			}
		}
		if !utf8.ValidString(got) || Printable(got) != got {
			t.Errorf("%q: %q", text, got)
		}
		if got != text && utf8.ValidString(text) && strings.IndexFunc(text, hostile) < 0 {
			t.Errorf("%q was changed to %q", text, got)
		}
	})
}

// FuzzLines: entries are read from a damaged file, and those that are whole are read as they were written.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{}\n"), "r", "message", 2)
	f.Add([]byte("\n\n{\"time\":\"2026-11-22T13:00:00Z\",\"level\":\"info\"}\n"), "", "\xff\u2028\x00", 1)
	f.Fuzz(func(t *testing.T, text []byte, id, message string, n int) {
		before := lastEntries(text, min(n, 1000))
		if len(before) > max(n, 0) {
			t.Fatalf("%d entries, %d asked for", len(before), n)
		}
		e := Entry{Time: time.Unix(0, 1), Level: Level(n), RequestID: id, Message: message}.clean(100)
		b := bytes.NewBuffer(append(bytes.Clone(text), '\n'))
		if err := appendLine(b, e); err != nil {
			t.Fatal(err)
		}
		if got := lastEntries(b.Bytes(), 1); len(got) != 1 || got[0] != e {
			t.Errorf("%+v is read as %+v", e, got)
		}
		for _, e := range before {
			if e.Level > Error || e.Time.IsZero() {
				t.Errorf("%+v", e)
			}
		}
	})
}
