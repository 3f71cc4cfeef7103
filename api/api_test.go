package api

import (
	"encoding/base32"
	"encoding/hex"
	"strings"
	"testing"
)

func base32Label(id string) string {
	raw, err := hex.DecodeString(id)
	if err != nil {
		panic(err)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
}

// TestHostProgram reads ids from host names.
func TestHostProgram(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	label := base32Label(id)
	for host, want := range map[string]string{
		label + ".example.org":                      id,
		label + ".localhost:4020":                   id,
		label + ".a.b.c":                            id,
		strings.ToUpper(label) + ".example.org":     id,
		label:                                       "",
		label + ":4020":                             "",
		label + "a.example.org":                     "",
		label[1:] + ".example.org":                  "",
		"www." + label + ".example.org":             "",
		"1" + label[1:] + ".example.org":            "",
		label[:51] + "=.example.org":                "",
		label[:20] + "\n" + label[21:] + ".example": "",
		"":               "",
		"127.0.0.1:4020": "",
	} {
		if got := hostProgram([]byte(host)); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}

// TestOriginForm reads targets of requests that were made for a proxy.
func TestOriginForm(t *testing.T) {
	for target, want := range map[string]string{
		"http://example.org/a/b": "/a/b",
		"https://[::1]:4020/":    "/",
		"http://example.org":     "/",
		"http://":                "/",
		"*":                      "*",
		"":                       "",
	} {
		if got := string(originForm([]byte(target))); got != want {
			t.Errorf("%q: got %q, want %q", target, got, want)
		}
	}
}

func FuzzHostProgram(f *testing.F) {
	f.Add([]byte(base32Label(strings.Repeat("ab", 32)) + ".example.org"))
	f.Add([]byte("localhost"))
	f.Fuzz(func(t *testing.T, host []byte) {
		id := hostProgram(host)
		if id == "" {
			return
		}
		if label, _, _ := strings.Cut(string(host), "."); !strings.EqualFold(base32Label(id)[:51], label[:51]) { // the last digit has four bits too many
			t.Errorf("%q is the id %s, whose label is %s", host, id, base32Label(id))
		}
	})
}
