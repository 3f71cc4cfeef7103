package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/triggers"
)

// parse reads JSON as declarations are read.
func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func TestMatches(t *testing.T) {
	const message = `{"chain":"ETH","sender":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A","type":"POST","item_type":"inline","channel":"TEST","time":1700000000.5,
		"content":{"address":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A","type":"chat","ref":null,"empty":{},
		"content":{"tags":["a","b",["c"]],"n":5,"big":12345678901234567890,"yes":true,"items":[{"id":1,"x":"p"},{"id":2,"x":"q"}],"huge":1e999}}}`
	for filter, want := range map[string]bool{
		`{}`:                                true,
		`{"type":"POST"}`:                   true,
		`{"type":"post"}`:                   false,
		`{"channel":"TEST","type":"STORE"}`: false,
		`{"sender":"0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"}`:              true,
		`{"sender":"0X19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"}`:              false,
		`{"content":{"address":"0x19E7E376E7C213B7E7E7E46CC70A5DD086DAFF2A"}}`: true,
		`{"channel":["A","TEST"]}`:                                             true,
		`{"channel":["A","B"]}`:                                                false,
		`{"content":{"type":"chat"}}`:                                          true,
		`{"content":{"type":"chat","content":{"n":5}}}`:                        true,
		`{"content":{"type":"chat","content":{"n":6}}}`:                        false,
		`{"content":{"content":{"n":5.0,"yes":true}}}`:                         true,
		`{"content":{"content":{"n":"5"}}}`:                                    false,
		`{"content":{"content":{"yes":false}}}`:                                false,
		`{"content":{"content":{"big":12345678901234567890}}}`:                 true,
		`{"content":{"content":{"huge":1}}}`:                                   false,
		`{"content":{"content":{"tags":"a"}}}`:                                 true,
		`{"content":{"content":{"tags":"c"}}}`:                                 true,
		`{"content":{"content":{"tags":["x","b"]}}}`:                           true,
		`{"content":{"content":{"tags":"x"}}}`:                                 false,
		`{"content":{"content":{"items":{"id":1,"x":"p"}}}}`:                   true,
		`{"content":{"content":{"items":{"id":1,"x":"q"}}}}`:                   false, // not of the same one
		`{"content":{"content":{"items":[{"id":3},{"x":"q"}]}}}`:               true,
		`{"content":{"type":"chat","ref":null}}`:                               true,
		`{"content":{"type":"chat","nothing":null}}`:                           true,
		`{"content":{"type":null}}`:                                            false,
		`{"content":{"type":[null,"chat"]}}`:                                   true,
		`{"content":{"nothing":[null,"chat"]}}`:                                true,
		`{"content":{"empty":{}}}`:                                             true,
		`{"content":{"type":{}}}`:                                              false,
		`{"content":{"type":{"a":null}}}`:                                      false,
		`{"content":{"empty":{"a":null}}}`:                                     true,
		`{"time":1700000000.5}`:                                                true,
		`{"content":{"content":"a"}}`:                                          false,
		`{"content":{"content":{"nothing":{"a":1}}}}`:                          false,
		`{"content":[{"type":"other"},{"content":{"n":[4,5]}}]}`:               true,
		`{"content":[{"type":"other"},{"content":{"n":{"a":[4,5]}}}]}`:         false,
	} {
		is, _, err := compile(parse(t, filter))
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		document, err := decode([]byte(message))
		if err != nil {
			t.Fatal(err)
		}
		if got := matches(is, document); got != want {
			t.Errorf("%s matches: %t, want %t", filter, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	many := func(n int, format string) string {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf(format, i))
		}
		return strings.Join(parts, ",")
	}
	for _, test := range []struct{ declared, field, text string }{
		{`{"messages":[{"filter":{}}]}`, "", ""},
		{`{"messages":[{}]}`, "", ""},
		{`{"messages":[{"filter":{"channel":"TEST","content":{"type":["a","b"]}},"order":"content.ref"}]}`, "", ""},
		{`{"messages":[{"filter":{}},{"filter":{"chanel":"TEST"}}]}`, "messages[1].filter", `"chanel" is no field of a message`},
		{`{"messages":[{"filter":{"content":"x"}}]}`, "messages[0].filter.content", "must be an object"},
		{`{"messages":[{"filter":{"channel":[]}}]}`, "messages[0].filter", "channel: an empty list"},
		{`{"messages":[{"filter":{"content":{"ref":null}}}]}`, "messages[0].filter", "names no value"},
		{`{"messages":[{"filter":{"content":{}}}]}`, "messages[0].filter", "names no value"},
		{`{"messages":[{"filter":{"channel":["a",null]}}]}`, "messages[0].filter", "names no value"},
		{`{"messages":[{"filter":{"content":{` + many(33, `"k%d":1`) + `}}}]}`, "messages[0].filter", "34 keys, the limit is 32"},
		{`{"messages":[{"filter":{"channel":[` + many(101, `"%d"`) + `]}}]}`, "messages[0].filter", "101 values, the limit is 100"},
		{`{"messages":[{"filter":{"channel":"` + strings.Repeat("x", 9000) + `"}}]}`, "messages[0].filter", "the limit is 8192"},
		{`{"messages":[{"filter":{"content":{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}}}]}`, "messages[0].filter", "nested deeper than 8"},
		{`{"messages":[{"filter":{},"order":"senders"}]}`, "messages[0].order", `"senders" is not the path`},
		{`{"messages":[{"filter":{},"order":"content."}]}`, "messages[0].order", "is not the path"},
		{`{"messages":[` + many(65, `{"filter":{"channel":"%d"}}`) + `]}`, "messages", "65 entries, the limit is 64"},
		{`{"topics":[{"topic":"orders.created"},{"topic":"a:b-c_d"}]}`, "", ""},
		{`{"topics":[{"topic":"a"},{"topic":"a"}]}`, "topics[1].topic", `"a" is there twice`},
		{`{"topics":[{"topic":""}]}`, "topics[0].topic", "1 to 128 bytes, not 0"},
		{`{"topics":[{"topic":"a/b"}]}`, "topics[0].topic", `"a/b" is not a topic's name`},
		{`{"topics":[{"topic":".."}]}`, "topics[0].topic", "is not a topic's name"},
		{`{"topics":[{"topic":"` + strings.Repeat("x", 129) + `"}]}`, "topics[0].topic", "not 129"},
		{`{"topics":[` + many(65, `{"topic":"t%d"}`) + `]}`, "topics", "65 entries, the limit is 64"},
	} {
		var d triggers.Declaration
		if err := json.Unmarshal([]byte(test.declared), &d); err != nil {
			t.Fatal(err)
		}
		err := Check(&d)
		var typed *triggers.Error
		switch {
		case test.text == "" && err == nil:
		case !errors.As(err, &typed) || typed.Field != test.field || !strings.Contains(typed.Text, test.text):
			t.Errorf("%.80s: %#v, want %s: %s", test.declared, err, test.field, test.text)
		}
	}
}

func TestOrderKey(t *testing.T) {
	document := parse(t, `{"sender":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A","content":{"n":5,"yes":true,"o":{},"l":["a"]}}`)
	for order, want := range map[string]string{
		"sender": "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a", "content.n": "5", "content.yes": "true", "content.o": "", "content.l": "", "content.x": "", "sender.x": "",
	} {
		if got := orderKey(order, document); got != want {
			t.Errorf("%s is %q, want %q", order, got, want)
		}
	}
}

// naive matches without an index, from the parsed JSON: the model.
func naive(filter, message any) bool {
	if some, ok := filter.([]any); ok {
		return slices.ContainsFunc(some, func(one any) bool { return naive(one, message) })
	}
	if list, ok := message.([]any); ok {
		return slices.ContainsFunc(list, func(element any) bool { return naive(filter, element) })
	}
	if fields, ok := filter.(map[string]any); ok {
		object, ok := message.(map[string]any)
		for name, is := range fields {
			ok = ok && naive(is, object[name])
		}
		return ok
	}
	if a, ok := filter.(string); ok && isAddress(a) {
		if b, ok := message.(string); ok && isAddress(b) {
			return strings.EqualFold(a, b)
		}
	}
	switch message.(type) {
	case map[string]any:
		return false
	}
	return filter == message
}

func isAddress(s string) bool { return len(s) == 42 && strings.HasPrefix(s, "0x") && isHex(s[2:]) }

// FuzzIndex has several programs with a filter each, some of which come and go, and looks a message up: those found are those that
// the model finds.
func FuzzIndex(f *testing.F) {
	for _, seed := range [][4]string{
		{`{}`, `{"type":"POST"}`, `{"content":{"a":[1,"x",null]}}`, `{"type":"POST","content":{"a":[[1],{"b":2}]}}`},
		{`{"content":{"a":{"b":2}}}`, `{"content":{"a":{"b":2},"c":null}}`, `{"content":[{"a":1},{"a":{"b":[2,3]}}]}`, `{"type":"POST","content":{"a":[[1],{"b":2}]}}`},
		{`{"sender":"0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a"}`, `{"channel":["A","B"]}`, `{"channel":"A","type":["POST","STORE"]}`,
			`{"channel":"A","type":"POST","sender":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"}`},
		{`{"content":{"n":1}}`, `{"content":{"n":1.0}}`, `{"content":{"n":10e-1}}`, `{"content":{"n":1,"m":1e999}}`},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, first, second, third, message string) {
		x := newIndex()
		filters := map[string]map[string]any{}
		var programs []*program
		for i, text := range []string{first, second, third, first} {
			var filter map[string]any
			if json.Unmarshal([]byte(text), &filter) != nil {
				continue
			}
			d := declare(filter)
			if Check(d) != nil {
				continue
			}
			is, canonical, err := compile(filter)
			if err != nil {
				t.Fatal(err)
			}
			p := &program{id: fmt.Sprint(i), texts: []string{canonical}}
			x.add(p, 0, is, canonical)
			programs, filters[p.id] = append(programs, p), filter
		}
		value, err := decode([]byte(message))
		document, ok := value.(map[string]any)
		if err != nil || !ok || !json.Valid([]byte(message)) {
			return
		}
		var plain map[string]any
		if json.Unmarshal([]byte(message), &plain) != nil {
			plain = nil // a number that is none
		}
		for len(programs) > 0 {
			found := map[string]bool{}
			x.match(document, func(f *filter) {
				for _, s := range f.programs {
					if found[s.program.id] {
						t.Fatalf("%s is found twice", f.text)
					}
					found[s.program.id] = true
				}
			})
			for _, p := range programs {
				if plain != nil && naive(filters[p.id], plain) != found[p.id] {
					t.Fatalf("filter %v, message %s: found %t", filters[p.id], message, found[p.id])
				}
			}
			x.remove(programs[0], programs[0].texts[0])
			programs = programs[1:]
		}
		if len(x.root.fields) > 0 || len(x.filters) > 0 || len(x.every) > 0 {
			t.Fatalf("something is left: %+v", x)
		}
	})
}
