package chain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// Limits of a declared event, which comes from whoever deploys.
const (
	maxEventText = 1 << 10 // bytes
	maxNesting   = 8       // arrays and tuples in each other
	maxWords     = 1 << 12 // 32-byte words of a type of fixed size
)

// An event is what a contract's log is decoded by.
type event struct {
	name      string
	signature string      // Transfer(address,address,uint256)
	topic     common.Hash // the hash of signature: the log's first topic, unless it is anonymous
	anonymous bool
	arguments []argument
}

// An argument of an event, or a field of a tuple.
type argument struct {
	name    string // arg0, arg1, … if it was declared without one
	indexed bool
	typ     *typ
}

// A typ is a type of Solidity's ABI. accounts/abi has one, too, but makes a Go type of every tuple with reflect.StructOf, and those are
// never freed: declarations come from strangers.
type typ struct {
	kind   kind
	size   int        // bits of integers, bytes of fixed bytes, length of a fixed array
	elem   *typ       // of arrays
	fields []argument // of a tuple
	words  int        // of its encoding if that has a fixed size; 0 for a dynamic type
}

type kind uint8

const (
	uintKind kind = iota
	intKind
	boolKind
	addressKind
	fixedBytesKind
	functionKind
	bytesKind
	stringKind
	arrayKind // of fixed length
	sliceKind
	tupleKind
)

func (t *typ) dynamic() bool { return t.words == 0 }

// hashed says that an indexed argument of the type is known only by its hash.
func (t *typ) hashed() bool { return t.kind >= bytesKind }

// String is the type as it stands in a signature.
func (t *typ) String() string {
	switch t.kind {
	case uintKind:
		return "uint" + strconv.Itoa(t.size)
	case intKind:
		return "int" + strconv.Itoa(t.size)
	case boolKind:
		return "bool"
	case addressKind:
		return "address"
	case fixedBytesKind:
		return "bytes" + strconv.Itoa(t.size)
	case functionKind:
		return "function"
	case bytesKind:
		return "bytes"
	case stringKind:
		return "string"
	case arrayKind:
		return t.elem.String() + "[" + strconv.Itoa(t.size) + "]"
	case sliceKind:
		return t.elem.String() + "[]"
	}
	return signature("", t.fields)
}

func signature(name string, arguments []argument) string {
	types := make([]string, len(arguments))
	for i, a := range arguments {
		types[i] = a.typ.String()
	}
	return name + "(" + strings.Join(types, ",") + ")"
}

// parseEvent reads a declaration as Solidity has it: Transfer(address indexed from, address indexed to, uint256 value). The word event
// before it, anonymous after it and a semicolon may be there. Names of arguments may be missing; a tuple is written as (uint256 a, bool b).
func parseEvent(text string) (*event, error) {
	if len(text) > maxEventText {
		return nil, fmt.Errorf("%d bytes, limit %d", len(text), maxEventText)
	}
	p := &parser{rest: text}
	e := &event{name: p.word()}
	if e.name == "event" {
		e.name = p.word()
	}
	if !identifier(e.name) {
		return nil, p.expected("the event's name")
	}
	var err error
	if e.arguments, err = p.arguments(0, true); err != nil {
		return nil, err
	}
	if p.word() == "anonymous" {
		e.anonymous = true
		p.next()
	}
	if p.token == ";" {
		p.next()
	}
	if p.token != "" {
		return nil, p.expected("the end")
	}
	indexed, most := 0, 3
	if e.anonymous {
		most = 4
	}
	for _, a := range e.arguments {
		if a.indexed {
			indexed++
		}
	}
	if indexed > most {
		return nil, fmt.Errorf("%d indexed arguments, limit %d", indexed, most)
	}
	e.signature = signature(e.name, e.arguments)
	e.topic = crypto.Keccak256Hash([]byte(e.signature))
	return e, nil
}

// indexed are the arguments that are topics, in their order.
func (e *event) indexed() []argument {
	return slices.DeleteFunc(slices.Clone(e.arguments), func(a argument) bool { return !a.indexed })
}

// topics is how many topics a log of the event has.
func (e *event) topics() int {
	n := len(e.indexed())
	if !e.anonymous {
		n++
	}
	return n
}

// A parser reads one token after the other: a word, or a sign.
type parser struct {
	rest  string
	token string // empty at the end
}

func (p *parser) next() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	n := 0
	for n < len(p.rest) && letter(p.rest[n]) {
		n++
	}
	if n == 0 && p.rest != "" {
		n = 1
	}
	p.token, p.rest = p.rest[:n], p.rest[n:]
}

// word goes on to the next token and gives it.
func (p *parser) word() string {
	p.next()
	return p.token
}

func (p *parser) expected(what string) error {
	if p.token == "" {
		return fmt.Errorf("ends where %s is missing", what)
	}
	return fmt.Errorf("%.40q where %s must be", p.token, what)
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$'
}

func identifier(s string) bool { return s != "" && letter(s[0]) && !(s[0] >= '0' && s[0] <= '9') }

// arguments reads a list of them with its parentheses, and stands behind it without having read on.
func (p *parser) arguments(depth int, top bool) ([]argument, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("types within types: more than %d", maxNesting)
	}
	if depth > 0 && p.token != "(" || depth == 0 && p.word() != "(" {
		return nil, p.expected(`"("`)
	}
	list := []argument{}
	p.next()
	if p.token == ")" && top {
		return list, nil
	}
	for {
		a := argument{name: "arg" + strconv.Itoa(len(list))}
		var err error
		if a.typ, err = p.typ(depth); err != nil {
			return nil, err
		}
		if p.token == "indexed" && top {
			a.indexed = true
			p.next()
		}
		for p.token == "memory" || p.token == "calldata" || p.token == "payable" {
			p.next()
		}
		if identifier(p.token) {
			a.name = p.token
			p.next()
		}
		if slices.ContainsFunc(list, func(b argument) bool { return a.name == b.name }) {
			return nil, fmt.Errorf("two arguments are named %s", a.name)
		}
		list = append(list, a)
		switch p.token {
		case ")":
			return list, nil
		case ",":
			p.next()
		default:
			return nil, p.expected(`"," or ")"`)
		}
	}
}

// typ reads a type, whose first token is read already, and the token behind it.
func (p *parser) typ(depth int) (*typ, error) {
	var t *typ
	if p.token == "tuple" {
		p.next()
	}
	if p.token == "(" {
		fields, err := p.arguments(depth+1, false)
		if err != nil {
			return nil, err
		}
		t = &typ{kind: tupleKind, fields: fields}
		for _, f := range fields {
			if f.typ.dynamic() {
				t.words = 0
				break
			}
			t.words += f.typ.words
		}
	} else if t = elementary(p.token); t == nil {
		return nil, p.expected("a type")
	}
	p.next()
	for n := depth; p.token == "["; n++ {
		if n >= maxNesting {
			return nil, fmt.Errorf("types within types: more than %d", maxNesting)
		}
		if p.word() == "]" {
			t = &typ{kind: sliceKind, elem: t}
		} else {
			size, err := strconv.Atoi(p.token)
			if err != nil || size < 1 || size > maxWords || t.words*size > maxWords {
				return nil, fmt.Errorf("array of %.20s: must be of 1 to %d words", p.token, maxWords)
			}
			if t = (&typ{kind: arrayKind, elem: t, size: size, words: t.words * size}); p.word() != "]" {
				return nil, p.expected(`"]"`)
			}
		}
		p.next()
	}
	if t.words > maxWords {
		return nil, fmt.Errorf("%d words, limit %d", t.words, maxWords)
	}
	return t, nil
}

// elementary is the type of that name; nil if there is none.
func elementary(name string) *typ {
	switch name {
	case "uint":
		name = "uint256"
	case "int":
		name = "int256"
	case "bool":
		return &typ{kind: boolKind, words: 1}
	case "address":
		return &typ{kind: addressKind, words: 1}
	case "function":
		return &typ{kind: functionKind, words: 1}
	case "bytes":
		return &typ{kind: bytesKind}
	case "string":
		return &typ{kind: stringKind}
	}
	base := strings.TrimRight(name, "0123456789")
	size, err := strconv.Atoi(name[len(base):])
	if err != nil || name[len(base)] == '0' {
		return nil
	}
	whole := size >= 8 && size <= 256 && size%8 == 0
	switch {
	case base == "uint" && whole:
		return &typ{kind: uintKind, size: size, words: 1}
	case base == "int" && whole:
		return &typ{kind: intKind, size: size, words: 1}
	case base == "bytes" && size >= 1 && size <= 32:
		return &typ{kind: fixedBytesKind, size: size, words: 1}
	}
	return nil
}
