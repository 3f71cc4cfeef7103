package logs

import (
	"fmt"
	"strings"
	"unicode"
)

// Printable is text as it may be written to a terminal, on one line: what could move the cursor, change colours, answer for the
// user, reorder or hide text is replaced by its escape, such as \n, \x1b or \u202e; bytes that are not UTF-8 by U+FFFD.
// Tabs stay, and so do the joiners U+200C and U+200D, which Persian, Hindi and emoji need.
func Printable(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	first := strings.IndexFunc(text, hostile)
	if first < 0 {
		return text
	}
	var b strings.Builder
	b.WriteString(text[:first])
	for _, r := range text[first:] {
		switch {
		case !hostile(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// PrintableLines is text of several lines, each of them Printable. All but the first are indented, so that none looks like an entry.
func PrintableLines(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n    ")
}

func hostile(r rune) bool {
	return !unicode.IsGraphic(r) && r != '\t' && r != '\u200c' && r != '\u200d'
}
