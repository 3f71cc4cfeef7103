package network

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var testNow = time.Unix(1795338470, 0)

// validContents has one good content of each type.
var validContents = map[Type]string{
	TypeStore:     `{"address":"0xAB","time":1,"item_type":"storage","item_hash":"` + strings.Repeat("a", 64) + `"}`,
	TypeProgram:   `{"address":"0xAB","time":1,"type":"vm-function","allow_amend":true,"metadata":{"name":"hello"},"on":{"http":true},"environment":{},"resources":{"vcpus":1,"memory":128,"seconds":30},"runtime":{"ref":"nodejs16","comment":""},"volumes":[],"variables":{"A":"b"},"code":{"encoding":"plain","entrypoint":"handler","ref":"` + strings.Repeat("a", 64) + `"}}`,
	TypeForget:    `{"address":"0xAB","time":1,"hashes":["` + strings.Repeat("a", 64) + `","QmYULJoNGPDmoRq4WNWTDTUvJGJv1hosox8H6vVd1kCsY8"]}`,
	TypePost:      `{"address":"0xAB","time":1,"type":"demo","content":{"a":[1,2]}}`,
	TypeAggregate: `{"address":"0xAB","time":1,"key":"settings","content":{"a":1}}`,
}

// with sets the field of a path in a JSON object; the value is JSON, empty to remove the field.
func with(t *testing.T, text, path, value string) string {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	field, rest, nested := strings.Cut(path, ".")
	switch {
	case nested:
		object[field] = json.RawMessage(with(t, string(object[field]), rest, value))
	case value == "":
		delete(object, field)
	default:
		object[field] = json.RawMessage(value)
	}
	changed, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(changed)
}

func TestValidContents(t *testing.T) {
	for messageType, text := range validContents {
		if _, err := decodeContent(messageType, []byte(text), testNow); err != nil {
			t.Errorf("%s: %v", messageType, err)
		}
	}
	for _, c := range readCaptures(t) {
		for _, message := range c.messages {
			if message.ItemType != ItemInline || strings.Contains(message.ItemContent, `"ipfs"`) {
				continue
			}
			if _, err := decodeContent(message.Type, []byte(message.ItemContent), testNow.Add(time.Hour)); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestContentRejections(t *testing.T) {
	object := func(count int) string {
		fields := make(map[string]string, count)
		for i := range count {
			fields[strings.Repeat("k", i+1)] = "v"
		}
		text, _ := json.Marshal(fields)
		return string(text)
	}
	for _, test := range []struct {
		messageType       Type
		path, value       string
		code, field, says string
	}{
		{TypeProgram, "address", "", CodeInvalidFormat, "content.address", "missing"},
		{TypeProgram, "address", "17", CodeInvalidFormat, "content.address", "must be a string, not number"},
		{TypeProgram, "time", "", CodeInvalidFormat, "content.time", "more than 0"},
		{TypeProgram, "time", "-1", CodeInvalidFormat, "content.time", "more than 0"},
		{TypeProgram, "time", "1795339071", CodeLimit, "content.time", "ahead"},
		{TypeProgram, "time", `"2026"`, CodeInvalidFormat, "content.time", "must be a number, not string"},
		{TypeProgram, "type", `"vm-instance"`, CodeInvalidFormat, "content.type", "vm-function"},
		{TypeProgram, "surprise", "1", CodeInvalidFormat, "content", `unknown key "surprise"`},
		{TypeProgram, "Address", `"0xCD"`, CodeInvalidFormat, "content", `unknown key "Address"`},
		{TypeProgram, "on.chain", "[]", CodeInvalidFormat, "content.on", `unknown key "chain"`},
		{TypeProgram, "on.persistent", "true", CodeUnsupported, "content.on.persistent", "not served"},
		{TypeProgram, "on.http", `"yes"`, CodeInvalidFormat, "content.on.http", "true or false"},
		{TypeProgram, "on.message", "[" + object(33) + "]", CodeTooLarge, "content.on.message[0]", "33 entries, the limit is 32"},
		{TypeProgram, "on.message", "[" + strings.Repeat("{},", 64) + "{}]", CodeTooLarge, "content.on.message", "65 entries, the limit is 64"},
		{TypeProgram, "metadata", object(257), CodeTooLarge, "content.metadata", "257 entries, the limit is 256"},
		{TypeProgram, "metadata.name", "7", CodeInvalidFormat, "content.metadata.name", "must be a string"},
		{TypeProgram, "metadata.name", `""`, CodeInvalidFormat, "content.metadata.name", "empty"},
		{TypeProgram, "metadata.name", `"a\u001b[2J"`, CodeInvalidFormat, "content.metadata.name", "control characters"},
		{TypeProgram, "metadata.name", `"` + strings.Repeat("n", 129) + `"`, CodeTooLarge, "content.metadata.name", "129 bytes, the limit is 128"},
		{TypeProgram, "resources.memory", "1025", CodeLimit, "content.resources.memory", "1025 is outside 1 to 1024 MiB"},
		{TypeProgram, "resources.memory", "0", CodeLimit, "content.resources.memory", "0 is outside 1 to 1024 MiB"},
		{TypeProgram, "resources.memory", "1.5", CodeInvalidFormat, "content.resources.memory", "must be an integer"},
		{TypeProgram, "resources.seconds", "61", CodeLimit, "content.resources.seconds", "61 is outside 1 to 60 seconds"},
		{TypeProgram, "resources.vcpus", "0", CodeLimit, "content.resources.vcpus", "0 is outside 1 to 256"},
		{TypeProgram, "resources.Memory", "5000", CodeInvalidFormat, "content.resources", `did you mean "memory"`},
		{TypeProgram, "runtime.ref", "", CodeInvalidFormat, "content.runtime.ref", "missing"},
		{TypeProgram, "code.entrypoint", `""`, CodeInvalidFormat, "content.code.entrypoint", "missing"},
		{TypeProgram, "code.ref", `"abc"`, CodeInvalidFormat, "content.code.ref", "not an item hash"},
		{TypeProgram, "code.ref", `"` + strings.Repeat("A", 64) + `"`, CodeInvalidFormat, "content.code.ref", "not an item hash"},
		{TypeProgram, "code.encoding", `"squashfs"`, CodeUnsupported, "content.code.encoding", "squashfs"},
		{TypeProgram, "code.encoding", `"tar"`, CodeInvalidFormat, "content.code.encoding", "plain, zip or squashfs"},
		{TypeProgram, "code.interface", `"wsgi"`, CodeInvalidFormat, "content.code.interface", "asgi or binary"},
		{TypeProgram, "variables", `{"A":1}`, CodeInvalidFormat, "content.variables", "must be a string, not number"},
		{TypeProgram, "variables", `{"A=B":"1"}`, CodeInvalidFormat, "content.variables", "A=B"},
		{TypeProgram, "variables", object(257), CodeTooLarge, "content.variables", "257 entries, the limit is 256"},
		{TypeProgram, "replaces", `"abc"`, CodeInvalidFormat, "content.replaces", "not a program's id"},
		{TypeStore, "item_type", `"ipfs"`, CodeUnsupported, "content.item_type", "ipfs"},
		{TypeStore, "item_hash", `"abc"`, CodeInvalidFormat, "content.item_hash", "SHA-256"},
		{TypeStore, "ref", `"abc"`, CodeInvalidFormat, "content.ref", "not an item hash"},
		{TypeStore, "Item_hash", `"` + strings.Repeat("b", 64) + `"`, CodeInvalidFormat, "content", `did you mean "item_hash"`},
		{TypeForget, "hashes", "[]", CodeInvalidFormat, "content.hashes", "nothing"},
		{TypeForget, "hashes", `["abc"]`, CodeInvalidFormat, "content.hashes[0]", "not an item hash"},
		{TypeForget, "aggregates", `["` + strings.Repeat("a", 64) + `"]`, CodeUnsupported, "content.aggregates", "not forgotten"},
		{TypePost, "type", `"amend"`, CodeInvalidFormat, "content.ref", "must name the post"},
		{TypePost, "type", "", CodeInvalidFormat, "content.type", "missing"},
		{TypeAggregate, "content", "null", CodeInvalidFormat, "content.content", "must be an object"},
		{TypeAggregate, "content", "[]", CodeInvalidFormat, "content.content", "must be an object, not array"},
		{TypeAggregate, "key", `""`, CodeInvalidFormat, "content.key", "missing"},
	} {
		t.Run(string(test.messageType)+" "+test.path+"="+shorten(test.value), func(t *testing.T) {
			text := with(t, validContents[test.messageType], test.path, test.value)
			_, err := decodeContent(test.messageType, []byte(text), testNow)
			rejection := wantRejection(t, err, test.code, test.field)
			if !strings.Contains(rejection.Message, test.says) {
				t.Errorf("%q does not say %q", rejection.Message, test.says)
			}
		})
	}
}

func TestContentDefaults(t *testing.T) {
	text := with(t, with(t, validContents[TypeProgram], "resources", "{}"), "runtime", `{"ref":"python3.11"}`)
	c, err := decodeContent(TypeProgram, []byte(text), testNow)
	if err != nil {
		t.Fatal(err)
	}
	program := c.(*Program)
	if program.Resources != (Resources{VCPUs: 1, Memory: 128, Seconds: 1}) || !program.Runtime.UseLatest || program.Code.UseLatest {
		t.Errorf("%+v", program)
	}
	for _, text := range []string{
		with(t, validContents[TypeProgram], "on.cron", `"*/5 * * * *"`),
		with(t, validContents[TypeProgram], "metadata", "null"),
		with(t, validContents[TypeProgram], "payment", `{"chain":"ETH","type":"hold","receiver":null}`),
		with(t, validContents[TypeProgram], "resources.published_ports", "null"),
	} {
		if _, err := decodeContent(TypeProgram, []byte(text), testNow); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestProgramEncoding(t *testing.T) {
	text, err := EncodeContent(&Program{Address: "0xAB", Time: 1, Type: ProgramKind, Resources: Resources{1, 128, 10},
		Runtime: Runtime{Ref: "nodejs16", UseLatest: true}, Code: Code{Encoding: "plain", Entrypoint: "handler", Ref: strings.Repeat("a", 64)}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "null") { // which the network refuses for lists
		t.Errorf("%s", text)
	}
	if _, err := decodeContent(TypeProgram, []byte(text), testNow); err != nil {
		t.Error(err)
	}
}

func TestEnvelopeRejections(t *testing.T) {
	vector, _ := readVector(t)
	for name, test := range map[string]struct {
		change      func(*Message)
		code, field string
	}{
		"channel too long":   {func(m *Message) { m.Channel = strings.Repeat("c", 257) }, CodeTooLarge, "channel"},
		"channel of escapes": {func(m *Message) { m.Channel = "\x1b" }, CodeInvalidFormat, "channel"},
		"no sender":          {func(m *Message) { m.Sender = "" }, CodeInvalidFormat, "sender"},
		"signature too long": {func(m *Message) { m.Signature = strings.Repeat("0", 4097) }, CodeTooLarge, "signature"},
		"type":               {func(m *Message) { m.Type = "INSTANCE" }, CodeUnsupported, "type"},
		"item type":          {func(m *Message) { m.ItemType = "carrier pigeon" }, CodeInvalidFormat, "item_type"},
		"content on IPFS":    {func(m *Message) { m.ItemType = ItemIPFS }, CodeUnsupported, "item_type"},
		"content twice":      {func(m *Message) { m.ItemType = ItemStorage }, CodeInvalidFormat, "item_content"},
		"content too large":  {func(m *Message) { m.ItemContent = strings.Repeat(" ", 200_001) }, CodeTooLarge, "item_content"},
		"hash":               {func(m *Message) { m.ItemHash = "Qm" }, CodeInvalidFormat, "item_hash"},
		"no time":            {func(m *Message) { m.Time = 0 }, CodeInvalidFormat, "time"},
		"time ahead":         {func(m *Message) { m.Time = 1e12 }, CodeLimit, "time"},
	} {
		t.Run(name, func(t *testing.T) {
			message := vectorMessage(vector)
			test.change(message)
			wantRejection(t, message.checkEnvelope(testNow), test.code, test.field)
		})
	}
}

func FuzzDecodeMessage(f *testing.F) {
	for _, c := range readCaptures(f) {
		f.Add([]byte(c.body))
	}
	f.Add([]byte(`{"message":{"time":"x"}}`))
	f.Add([]byte(`{"message":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		message, err := decodeEnvelope(body, "body")
		if err != nil {
			wantText(t, err)
			return
		}
		if err := message.checkEnvelope(testNow); err != nil {
			wantText(t, err)
			return
		}
		if err := message.Verify(); err != nil {
			wantText(t, err)
		}
	})
}

func FuzzDecodeContent(f *testing.F) {
	for messageType, text := range validContents {
		f.Add(string(messageType), []byte(text))
	}
	f.Fuzz(func(t *testing.T, messageType string, text []byte) {
		c, err := decodeContent(Type(messageType), text, testNow)
		if err != nil {
			wantText(t, err)
			return
		}
		// What was accepted can be encoded again and is accepted then.
		encoded, err := EncodeContent(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeContent(Type(messageType), []byte(encoded), testNow); err != nil {
			t.Fatalf("%s became %s: %v", text, encoded, err)
		}
	})
}

// wantText checks that an error is a rejection of bounded size.
func wantText(t *testing.T, err error) {
	t.Helper()
	rejection, ok := err.(*Rejection)
	if !ok || rejection.Code == "" || rejection.Message == "" || len(rejection.Error()) > 2000 {
		t.Fatalf("%T %v", err, err)
	}
}
