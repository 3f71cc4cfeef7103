package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Level is how grave an entry is. The numbers are those of abi/SPEC.md.
type Level uint8

const (
	Debug   Level = 0
	Info    Level = 1
	Warning Level = 2
	Error   Level = 3
)

func (l Level) String() string {
	switch l {
	case Debug:
		return "debug"
	case Info:
		return "info"
	case Warning:
		return "warning"
	}
	return "error"
}

// MarshalText gives the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the level's name.
func (l *Level) UnmarshalText(text []byte) error {
	for level := Debug; level <= Error; level++ {
		if level.String() == string(text) {
			*l = level
			return nil
		}
	}
	return fmt.Errorf("level: %q, must be debug, info, warning or error", text)
}

// Entry is one line of a program's log. Its JSON is a line of docs/http.md's NDJSON.
type Entry struct {
	Time      time.Time `json:"time"` // the zero time is now
	Level     Level     `json:"level"`
	RequestID string    `json:"request_id"` // empty for what no request caused
	Message   string    `json:"message"`    // any text, also control characters: see Printable
}

// maxRequestID bounds an entry's request id, in bytes.
const maxRequestID = 128

// clean makes e what it will be when it is read from its file: UTF-8 of a bounded length, with a time in UTC.
func (e Entry) clean(maxMessage int) Entry {
	if y := e.Time.UTC().Year(); e.Time.IsZero() || y < 0 || y > 9999 { // RFC 3339 has no such year
		e.Time = time.Now()
	}
	return Entry{e.Time.Round(0).UTC(), min(e.Level, Error), cut(e.RequestID, maxRequestID), cut(e.Message, maxMessage)}
}

// cut makes s UTF-8 of about limit bytes at most. A longer one ends in a note.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return strings.ToValidUTF8(s, "\ufffd")
	}
	end := limit
	for end > limit-utf8.UTFMax && end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "\ufffd") + fmt.Sprintf("… (cut: %d bytes, limit %d)", len(s), limit)
}

// size is what e counts for in a queue, in bytes.
func (e Entry) size() int { return 64 + len(e.RequestID) + len(e.Message) }

// lost is the entry in place of n that are missing. at is its time.
func lost(n int, at time.Time, why string) Entry {
	return Entry{Time: at, Level: Warning, Message: fmt.Sprintf("log: %d entries lost, %s", n, why)}
}

// appendLine appends e's line.
func appendLine(b *bytes.Buffer, e Entry) error {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(e)
}

// lastEntries reads the last n entries of a file's text, oldest first. Lines that are no entries are skipped.
func lastEntries(text []byte, n int) []Entry {
	var entries []Entry // newest first
	for len(text) > 0 && len(entries) < n {
		text = bytes.TrimSuffix(text, []byte("\n"))
		start := bytes.LastIndexByte(text, '\n') + 1
		var e Entry
		if json.Unmarshal(text[start:], &e) == nil && !e.Time.IsZero() {
			entries = append(entries, e)
		}
		text = text[:start]
	}
	slices.Reverse(entries)
	return entries
}
