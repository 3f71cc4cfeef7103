package cli

import (
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/client"
)

func TestPick(t *testing.T) {
	const mine, other = "0xAAaa", "0xBBbb"
	id := func(prefix string) string { return prefix + strings.Repeat("0", 64-len(prefix)) }
	programs := []client.Program{
		{ItemHash: id("abcd1"), Name: "hello", Owner: other},
		{ItemHash: id("abcd2"), Name: "hello", Owner: mine},
		{ItemHash: id("ef01"), Name: "abcd", Owner: other},
		{ItemHash: id("1234"), Name: "twin", Owner: other},
		{ItemHash: id("1235"), Name: "twin", Owner: other},
		{ItemHash: id("99aa1"), Name: "double", Owner: mine},
		{ItemHash: id("99aa2"), Name: "double", Owner: mine},
		{ItemHash: id("77777"), Owner: mine},
	}
	for _, test := range []struct{ argument, owner, want, problem string }{
		{argument: "hello", owner: "0xaaAA", want: "abcd2"}, // addresses compare without case
		{argument: "abcd", owner: mine, want: "ef01"},       // a name wins over prefixes
		{argument: "abcd1", owner: mine, want: "abcd1"},
		{argument: "ABCD1", owner: mine, want: "abcd1"},
		{argument: "7777", want: "77777"},
		{argument: "hello", problem: "names 2 programs"}, // no account: both are someone's
		{argument: "twin", owner: mine, problem: "names 2 programs"},
		{argument: "double", owner: mine, problem: id("99aa2")}, // the candidates are listed
		{argument: "99aa", owner: mine, problem: "names 2 programs"},
		{argument: "777", owner: mine, problem: "no program"}, // too short a prefix
		{argument: "", owner: mine, problem: "no program"},
	} {
		got, err := pick(programs, test.argument, test.owner)
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%q of %q: got %v, want an error with %q", test.argument, test.owner, err, test.problem)
			}
		} else if err != nil || got.ItemHash != id(test.want) {
			t.Errorf("%q of %q: got %s, %v, want %s", test.argument, test.owner, got.ItemHash, err, test.want)
		}
	}
}
