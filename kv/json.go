package kv

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// equalJSON tells whether two valid JSON texts mean the same.
func equalJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	// A lone surrogate, which JavaScript may escape and Go cannot hold, would be read as U+FFFD like any other.
	if loneSurrogate(a) || loneSurrogate(b) {
		return false
	}
	x, errX := parseJSON(a)
	y, errY := parseJSON(b)
	return errX == nil && errY == nil && equalParsed(x, y)
}

func parseJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func equalParsed(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && parseNumber(string(a)) == parseNumber(string(b))
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equalParsed(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, value := range a {
			other, ok := b[key]
			if !ok || !equalParsed(value, other) {
				return false
			}
		}
		return true
	}
	return a == b // a string, a bool or nil, so comparable
}

// number is a decimal number, digits × 10^exponent, written in one way: no zeros at either end, zero without digits.
type number struct {
	negative bool
	digits   string
	exponent int
}

// parseNumber reads a valid JSON number. An exponent beyond int leaves it as it is spelt.
func parseNumber(text string) number {
	var n number
	rest, negative := strings.CutPrefix(text, "-")
	n.negative = negative
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		exponent, err := strconv.ParseInt(rest[i+1:], 10, 48)
		if err != nil {
			return number{digits: text}
		}
		n.exponent = int(exponent)
		rest = rest[:i]
	}
	whole, fraction, _ := strings.Cut(rest, ".")
	n.exponent -= len(fraction)
	digits := strings.TrimLeft(whole+fraction, "0")
	n.digits = strings.TrimRight(digits, "0")
	n.exponent += len(digits) - len(n.digits)
	if n.digits == "" {
		return number{}
	}
	return n
}

// jsonInteger reads a JSON text that is an integer within int64, however it is spelt: 5, 5.0, 5e3.
func jsonInteger(text []byte) (int64, bool) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return 0, false
	}
	n := parseNumber(string(text))
	if n.exponent < 0 || n.exponent > 18 {
		return 0, false
	}
	digits := n.digits + strings.Repeat("0", n.exponent)
	if n.negative {
		digits = "-" + digits
	}
	if digits == "" {
		digits = "0"
	}
	i, err := strconv.ParseInt(digits, 10, 64)
	return i, err == nil
}

// loneSurrogate tells whether a valid JSON text escapes half of a surrogate pair.
func loneSurrogate(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		text = text[i:]
		switch unit := escapedUnit(text); {
		case unit>>10 == 0xD800>>10:
			if text = text[6:]; escapedUnit(text)>>10 != 0xDC00>>10 {
				return true
			}
			text = text[6:]
		case unit>>10 == 0xDC00>>10:
			return true
		default:
			text = text[2:]
		}
	}
}

// escapedUnit reads \uXXXX at the start of text; 0 if it is something else.
func escapedUnit(text []byte) uint64 {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, _ := strconv.ParseUint(string(text[2:6]), 16, 16)
	return unit
}
