package chain

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aleph-edge/aleph-edge/triggers"
)

func TestParseEvent(t *testing.T) {
	for text, want := range map[string]string{
		"Transfer(address indexed from, address indexed to, uint256 value)": "Transfer(address,address,uint256)",
		"event Transfer(address indexed, address indexed, uint) anonymous;": "Transfer(address,address,uint256)",
		"E()": "E()",
		"E((uint a, (bool b, bytes32[2] c)[] d) indexed x, string[3][] y)": "E((uint256,(bool,bytes32[2])[]),string[3][])",
		"E(tuple(uint a) x, function f, int8 y)":                           "E((uint256),function,int8)",
		"":                                                                 "",
		"Transfer":                                                         "",
		"E(uint7 x)":                                                       "",
		"E(uint08 x)":                                                      "",
		"E(bytes33 x)":                                                     "",
		"E(uint256 x":                                                      "",
		"E(uint256 x) y":                                                   "",
		"E(uint256 x, bool x)":                                             "",
		"E(uint256[0] x)":                                                  "",
		"E(uint256[100000] x)":                                             "",
		"E(uint256[4096][4096] x)":                                         "",
		"E(" + strings.Repeat("(", 20) + "bool" + strings.Repeat(")", 20) + " x)":     "",
		"E(bool" + strings.Repeat("[]", 20) + " x)":                                   "",
		"E(bool indexed a, bool indexed b, bool indexed c, bool indexed d)":           "",
		"E(bool indexed a, bool indexed b, bool indexed c, bool indexed d) anonymous": "E(bool,bool,bool,bool)",
	} {
		e, err := parseEvent(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q: %s", text, e.signature)
			}
			continue
		}
		if err != nil || e.signature != want || e.topic != crypto.Keccak256Hash([]byte(want)) {
			t.Errorf("%q: %+v, %v", text, e, err)
		}
	}
}

func TestParseChain(t *testing.T) {
	c, err := ParseChain("ETH=https://one.example/v3/key?a=b,wss://two.example,confirmations=finalized,poll=1s,rate=5,range=100,bloom=off,thorough=on")
	if err != nil || c.Name != "ETH" || len(c.URLs) != 2 || c.Confirmations.Tag != "finalized" || c.Poll.Seconds() != 1 || c.Rate != 5 || c.Range != 100 || !c.NoBloom || !c.Thorough {
		t.Errorf("%+v, %v", c, err)
	}
	for _, text := range []string{"", "ETH", "ETH=", "=http://x", "E T=http://x", "ETH=ftp://host/secret", "ETH=http://x,poll=1ms", "ETH=http://x,confirmations=many",
		"ETH=http://x,rate=0", "ETH=http://x,range=0", "ETH=http://x,what=1", "ETH=http:// bad/secret", "ETH=confirmations=1"} {
		if c, err := ParseChain(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for text, field := range map[string]string{
		`{"chain":"ETH","event":"E(address indexed a)","args":{"a":"0x00000000000000000000000000000000000a1e9f"}}`: "",
		`{"chain":"ETH","block":1}`: "",
		`{"chain":"ETH","transfer":true,"address":["0x00000000000000000000000000000000000A1E9F"]}`:                                      "",
		`{"chain":"ETH","event":"E(int8 indexed a, bool indexed b, string indexed c)","args":{"a":[-128,127,"0x7f"],"b":true,"c":"x"}}`: "",
		`{"chain":"BTC","block":1}`:                                       "chains[0].chain",
		`{"chain":"ETH"}`:                                                 "chains[0]",
		`{"chain":"ETH","block":1,"transfer":true}`:                       "chains[0]",
		`{"chain":"ETH","transfer":true}`:                                 "chains[0].address",
		`{"chain":"ETH","event":"E()","address":"0x12"}`:                  "chains[0].address",
		`{"chain":"ETH","event":"E()","address":[]}`:                      "chains[0].address",
		`{"chain":"ETH","event":"E("}`:                                    "chains[0].event",
		`{"chain":"ETH","event":"E(bool a)","args":{"a":true}}`:           "chains[0].args",
		`{"chain":"ETH","event":"E(int8 indexed a)","args":{"a":128}}`:    "chains[0].args.a",
		`{"chain":"ETH","event":"E(uint8 indexed a)","args":{"a":-1}}`:    "chains[0].args.a",
		`{"chain":"ETH","event":"E(uint8 indexed a)","args":{"a":1.5}}`:   "chains[0].args.a",
		`{"chain":"ETH","event":"E(uint indexed a)","args":{"a":1e30}}`:   "chains[0].args.a",
		`{"chain":"ETH","event":"E(bytes4 indexed a)","args":{"a":"0x"}}`: "chains[0].args.a",
		`{"chain":"ETH","event":"E(bool indexed a)","args":{"a":[]}}`:     "chains[0].args.a",
		`{"chain":"ETH","block":1,"args":{"a":1}}`:                        "chains[0].args",
		`{"chain":"ETH","block":1,"confirmations":100000000}`:             "chains[0].confirmations",
	} {
		d := &triggers.Declaration{Chains: make([]triggers.Chain, 1)}
		if err := json.Unmarshal([]byte(text), &d.Chains[0]); err != nil {
			t.Fatal(text, err)
		}
		err := Check(d, []string{"ETH"})
		switch fault, _ := err.(*triggers.Error); {
		case field == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case field != "" && (fault == nil || fault.Field != field):
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzEvent compares declarations and decoded logs with accounts/abi.
func FuzzEvent(f *testing.F) {
	word := func(n int64) []byte { return common.BigToHash(big.NewInt(n)).Bytes() }
	cat := func(words ...[]byte) (all []byte) {
		for _, w := range words {
			all = append(all, w...)
		}
		return all
	}
	f.Add("Transfer(address indexed from, address indexed to, uint256 value)", word(1000))
	f.Add("E(string a, uint8[] b)", cat(word(64), word(128), word(2), common.RightPadBytes([]byte("hi"), 32), word(2), word(1), word(2)))
	f.Add("E((uint256 a, string b)[] x)", cat(word(32), word(1), word(32), word(7), word(64), word(1), common.RightPadBytes([]byte("x"), 32)))
	f.Add("E(int8[2][] a, bytes b, bool c, bytes3 d)", cat(word(128), word(224), word(1), word(0), word(1), word(2), word(3), word(1), common.RightPadBytes([]byte{9}, 32)))
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		e, err := parseEvent(text)
		if err != nil || len(data) > 1<<12 {
			return
		}
		again, err := parseEvent(e.signature)
		if err != nil || again.signature != e.signature {
			t.Fatalf("%q: its signature %q is another's: %v", text, e.signature, err)
		}
		topics := make([]common.Hash, e.topics())
		got, ours := e.decode(topics, data)
		if ours == nil && !json.Valid(got) {
			t.Fatalf("no JSON: %s", got)
		}
		var arguments abi.Arguments
		for _, a := range e.arguments {
			if a.indexed {
				continue
			}
			theirs, err := abi.NewType(libraryType(a.typ))
			if err != nil {
				return // tuples with names that Go cannot have
			}
			arguments = append(arguments, abi.Argument{Name: a.name, Type: theirs})
		}
		if strings.Count(text, "[") > 3 || strings.Contains(text, "function") {
			return // it makes arrays as large as they say
		}
		values, theirs := arguments.UnpackValues(data)
		if len(arguments) == 0 || len(data) == 0 || theirs != nil || ours != nil {
			return // what is refused differs in some details
		}
		var have map[string]any
		if err := json.Unmarshal(got, &have); err != nil {
			t.Fatal(err)
		}
		for i, a := range arguments {
			if want := plain(reflect.ValueOf(values[i]), a.Type, named(e, a.Name)); !reflect.DeepEqual(have[a.Name], want) {
				t.Errorf("%s: %v, accounts/abi has %v", a.Name, have[a.Name], want)
			}
		}
	})
}

// libraryType names a type for accounts/abi.
func libraryType(of *typ) (name, internal string, components []abi.ArgumentMarshaling) {
	suffix := ""
	for ; of.elem != nil; of = of.elem {
		if of.kind == arrayKind {
			suffix = fmt.Sprintf("[%d]", of.size) + suffix
		} else {
			suffix = "[]" + suffix
		}
	}
	if of.kind != tupleKind {
		return of.String() + suffix, "", nil
	}
	for i, field := range of.fields {
		name, _, below := libraryType(field.typ)
		components = append(components, abi.ArgumentMarshaling{Name: fmt.Sprintf("f%d", i), Type: name, Components: below})
	}
	return "tuple" + suffix, "", components
}

// plain is a value of accounts/abi as our JSON has it.
func plain(v reflect.Value, of abi.Type, ours *typ) any {
	switch of.T {
	case abi.IntTy, abi.UintTy:
		return fmt.Sprint(v.Interface())
	case abi.BoolTy:
		return v.Bool()
	case abi.StringTy:
		return strings.ToValidUTF8(v.String(), "\uFFFD")
	case abi.AddressTy:
		return lower(v.Interface().(common.Address))
	case abi.BytesTy:
		return fmt.Sprintf("0x%x", v.Bytes())
	case abi.FixedBytesTy:
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		return fmt.Sprintf("0x%x", b)
	case abi.SliceTy, abi.ArrayTy:
		list := []any{}
		for i := range v.Len() {
			list = append(list, plain(v.Index(i), *of.Elem, ours.elem))
		}
		return list
	case abi.TupleTy:
		fields := map[string]any{}
		for i, f := range ours.fields {
			fields[f.name] = plain(v.Field(i), *of.TupleElems[i], f.typ)
		}
		return fields
	}
	return nil
}

func named(e *event, name string) *typ {
	for _, a := range e.arguments {
		if a.name == name {
			return a.typ
		}
	}
	return nil
}

// TestBomb has a few KiB of data that are millions of elements.
func TestBomb(t *testing.T) {
	const n = 60
	word := func(v int) []byte { return common.BigToHash(big.NewInt(int64(v))).Bytes() }
	data := word(32)
	for range 4 { // each array's elements are all the next one
		data = append(data, word(n)...)
		for range n {
			data = append(data, word(32*n)...)
		}
	}
	data = append(data, word(0)...)
	e, err := parseEvent("E(uint256[][][][][] x)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.decode([]common.Hash{e.topic}, data); err == nil {
		t.Error("13 million elements were decoded")
	}
}

func FuzzPayload(f *testing.F) {
	o := &occurrence{kind: 4, topics: []common.Hash{{1}}, data: []byte{1}, dataSize: 1}
	f.Add((&payload{chain: "ETH", declared: "E()", of: o}).encode())
	f.Add((&payload{chain: "ETH", of: &occurrence{kind: 6, value: big.NewInt(5)}}).encode())
	f.Add((&payload{chain: "ETH", of: &occurrence{kind: 5}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePayload(b)
		if err != nil {
			return
		}
		again, err := decodePayload(p.encode())
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"ETH:block", "ETH:0xab:Transfer(address indexed from)", "ETH:0xab:transfer", "ETH=http://x,poll=1s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ParseChain(text)
		c, err := triggers.ParseChain(text)
		if err == nil {
			c.Name = "x"
			_ = Check(&triggers.Declaration{Chains: []triggers.Chain{c}}, nil)
		}
	})
}

func TestParseSpec(t *testing.T) {
	for text, want := range map[string]triggers.Chain{
		"ETH:block":         {Chain: "ETH", Block: 1},
		"ETH:block/100":     {Chain: "ETH", Block: 100},
		"ETH:0xab:transfer": {Chain: "ETH", Address: "0xab", Transfer: true},
		"ETH:0xab:Transfer(address indexed from)": {Chain: "ETH", Address: "0xab", Event: "Transfer(address indexed from)"},
		"ETH:E(bool)": {Chain: "ETH", Event: "E(bool)"},
	} {
		if got, err := triggers.ParseChain(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "ETH", ":block", "ETH:", "ETH:0xab", "ETH:block/0", "ETH:block/x", "ETH:0xab:Transfer"} {
		if got, err := triggers.ParseChain(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// FuzzLogList compares the answers that are read here with package json.
func FuzzLogList(f *testing.F) {
	f.Add([]byte(`[{"address":"0x00000000000000000000000000000000000a1e9f","topics":["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"],"data":"0x01","blockNumber":"0x1","transactionHash":"0x00000000000000000000000000000000000000000000000000000000000a1e9f","transactionIndex":"0x0","blockHash":"0x00000000000000000000000000000000000000000000000000000000000a1e9f","blockTimestamp":"0x5","logIndex":"0x0","removed":false},{"x":null}]`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"topics":[]}, {"data":"0x"}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		var got logList
		var want []contractLog
		ours, theirs := got.UnmarshalJSON(text), json.Unmarshal(text, &want)
		if theirs != nil && ours == nil {
			return // it looks at fields that are not needed, and at names in other cases
		}
		if ours != nil && theirs == nil {
			t.Fatalf("%s: %v", text, ours)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if ours == nil && string(a) != string(b) && !strings.Contains(strings.ToLower(string(b)), "null") && len(want) > 0 {
			t.Errorf("%s\n%s\n%s", text, a, b)
		}
	})
}
