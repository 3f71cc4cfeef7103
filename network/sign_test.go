package network

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
)

// testVector is what the published TypeScript client makes of one content.
type testVector struct {
	PrivateKey  string `json:"private_key"`
	Address     string `json:"address"`
	ItemContent string `json:"item_content"`
	ItemHash    string `json:"item_hash"`
	Signature   string `json:"signature"`
}

func readJSON(t testing.TB, path string, target any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, target); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func readVector(t testing.TB) (testVector, *ecdsa.PrivateKey) {
	var vector testVector
	readJSON(t, "testdata/eth-signature-vector.json", &vector)
	return vector, keyOf(t, strings.TrimPrefix(vector.PrivateKey, "0x"))
}

// vectorMessage is the vector as a message.
func vectorMessage(v testVector) *Message {
	return &Message{
		Chain: "ETH", Sender: v.Address, Time: 1700000000.123, Type: TypeProgram, ItemType: ItemInline,
		ItemHash: v.ItemHash, ItemContent: v.ItemContent, Signature: v.Signature,
	}
}

func keyOf(t testing.TB, digits string) *ecdsa.PrivateKey {
	t.Helper()
	key, err := crypto.HexToECDSA(digits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wantRejection checks an error's code and field.
func wantRejection(t *testing.T, err error, code, field string) *Rejection {
	t.Helper()
	var rejection *Rejection
	if !errors.As(err, &rejection) {
		t.Fatalf("got %v, want a rejection %s of %q", err, code, field)
	}
	if rejection.Code != code || rejection.Field != field {
		t.Fatalf("got %s of %q (%v), want %s of %q", rejection.Code, rejection.Field, err, code, field)
	}
	return rejection
}

func TestVector(t *testing.T) {
	vector, key := readVector(t)
	if err := vectorMessage(vector).Verify(); err != nil {
		t.Fatal(err)
	}
	if Address(key) != vector.Address {
		t.Errorf("address %s, want %s", Address(key), vector.Address)
	}
	message, err := Sign(key, TypeProgram, json.RawMessage(vector.ItemContent), Options{Channel: "TEST", Time: time.UnixMilli(1700000000123)})
	if err != nil {
		t.Fatal(err)
	}
	if message.ItemHash != vector.ItemHash || message.ItemContent != vector.ItemContent || message.Signature != vector.Signature {
		t.Errorf("signed %+v, want %+v", message, vector)
	}
	if message.Time != 1700000000.123 || message.Channel != "TEST" || message.Chain != "ETH" || message.ItemType != ItemInline {
		t.Errorf("envelope %+v", message)
	}
}

// TestCaptures verifies every message that the published client was recorded to send.
func TestCaptures(t *testing.T) {
	messages := 0
	for _, capture := range readCaptures(t) {
		for _, message := range capture.messages {
			messages++
			if err := message.Verify(); err != nil {
				t.Errorf("%s: %v", capture.name, err)
			}
			if err := message.checkEnvelope(time.Unix(1795338471, 0)); err != nil {
				t.Errorf("%s: %v", capture.name, err)
			}
		}
	}
	if messages < 20 {
		t.Errorf("%d messages found", messages)
	}
}

// capture is one recorded request.
type capture struct {
	name     string
	url      string
	body     json.RawMessage
	messages []*Message // of request and answer
}

func readCaptures(t testing.TB) []capture {
	paths, err := filepath.Glob("testdata/captures/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no captures", err)
	}
	captures := make([]capture, 0, len(paths))
	for _, path := range paths {
		var recorded struct {
			Request struct {
				URL  string          `json:"url"`
				Body json.RawMessage `json:"body"`
			} `json:"request"`
			Response json.RawMessage `json:"response"`
		}
		readJSON(t, path, &recorded)
		c := capture{name: filepath.Base(path), url: recorded.Request.URL, body: recorded.Request.Body}
		findMessages(t, recorded.Request.Body, &c.messages)
		findMessages(t, recorded.Response, &c.messages)
		captures = append(captures, c)
	}
	return captures
}

// findMessages collects every object below a "message" key that has a signature.
func findMessages(t testing.TB, text json.RawMessage, found *[]*Message) {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil {
		for _, element := range list {
			findMessages(t, element, found)
		}
		return
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		return
	}
	for key, value := range object {
		if key == "message" && strings.Contains(string(value), `"signature"`) {
			message, err := DecodeMessage(value)
			if err != nil {
				t.Fatal(err)
			}
			*found = append(*found, message)
			continue
		}
		findMessages(t, value, found)
	}
}

func TestVerifyRefuses(t *testing.T) {
	vector, _ := readVector(t)
	raw, err := hex.DecodeString(vector.Signature[2:])
	if err != nil {
		t.Fatal(err)
	}
	withByte := func(i int, value byte) string {
		changed := append([]byte(nil), raw...)
		changed[i] = value
		return "0x" + hex.EncodeToString(changed)
	}
	for name, test := range map[string]struct {
		change func(*Message)
		code   string
		field  string
	}{
		"content":          {func(m *Message) { m.ItemContent += " " }, CodeInvalidHash, "item_hash"},
		"hash":             {func(m *Message) { m.ItemHash = strings.Repeat("0", 64) }, CodeInvalidHash, "item_hash"},
		"upper-case hash":  {func(m *Message) { m.ItemHash = strings.ToUpper(m.ItemHash) }, CodeInvalidHash, "item_hash"},
		"type":             {func(m *Message) { m.Type = TypePost }, CodeInvalidSignature, "signature"},
		"other EVM chain":  {func(m *Message) { m.Chain = "BASE" }, CodeInvalidSignature, "signature"},
		"unknown chain":    {func(m *Message) { m.Chain = "TEZOS" }, CodeUnsupportedChain, "chain"},
		"sender":           {func(m *Message) { m.Sender = "0x" + strings.Repeat("1", 40) }, CodeInvalidSignature, "signature"},
		"sender's case":    {func(m *Message) { m.Sender = strings.ToLower(m.Sender) }, CodeInvalidSignature, "signature"},
		"no signature":     {func(m *Message) { m.Signature = "" }, CodeInvalidSignature, "signature"},
		"not hex":          {func(m *Message) { m.Signature = "0x" + strings.Repeat("zz", 65) }, CodeInvalidSignature, "signature"},
		"short":            {func(m *Message) { m.Signature = m.Signature[:130] }, CodeInvalidSignature, "signature"},
		"v of 2":           {func(m *Message) { m.Signature = withByte(64, 2) }, CodeInvalidSignature, "signature"},
		"v of 29":          {func(m *Message) { m.Signature = withByte(64, 29) }, CodeInvalidSignature, "signature"},
		"other v":          {func(m *Message) { m.Signature = withByte(64, raw[64]^7) }, CodeInvalidSignature, "signature"}, // 27 <-> 28
		"r":                {func(m *Message) { m.Signature = withByte(0, raw[0]^1) }, CodeInvalidSignature, "signature"},
		"r of 0":           {func(m *Message) { m.Signature = "0x" + strings.Repeat("0", 64) + m.Signature[66:] }, CodeInvalidSignature, "signature"},
		"s of 2^256-1":     {func(m *Message) { m.Signature = m.Signature[:66] + strings.Repeat("f", 64) + "1b" }, CodeInvalidSignature, "signature"},
		"Solana signature": {func(m *Message) { m.Chain = "SOL" }, CodeInvalidSignature, "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			message := vectorMessage(vector)
			test.change(message)
			rejection := wantRejection(t, message.Verify(), test.code, test.field)
			if test.code == CodeUnsupportedChain && !strings.Contains(rejection.Message, "TEZOS") {
				t.Errorf("%q does not name the chain", rejection.Message)
			}
		})
	}
}

// TestSignatureForms has the spellings of one signature that clients and chains use.
func TestSignatureForms(t *testing.T) {
	vector, _ := readVector(t)
	raw, _ := hex.DecodeString(vector.Signature[2:])
	r, s, v := raw[:32], raw[32:64], raw[64]-27
	order := crypto.S256().Params().N
	highS := new(big.Int).Sub(order, new(big.Int).SetBytes(s)).FillBytes(make([]byte, 32))
	form := func(r, s []byte, v byte) string {
		return hex.EncodeToString(append(append(append([]byte(nil), r...), s...), v))
	}
	for name, signature := range map[string]string{
		"v of 27 or 28":    "0x" + form(r, s, v+27),
		"v of 0 or 1":      "0x" + form(r, s, v),
		"without 0x":       form(r, s, v),
		"upper-case hex":   "0x" + strings.ToUpper(form(r, s, v)),
		"high s, other v":  "0x" + form(r, highS, (v^1)+27),
		"high s, v 0 or 1": "0x" + form(r, highS, v^1),
	} {
		message := vectorMessage(vector)
		message.Signature = signature
		if err := message.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignForEVMChains(t *testing.T) {
	_, key := readVector(t)
	post := &Post{Type: "demo", Address: Address(key), Time: 1}
	for chain := range evmChains {
		message, err := Sign(key, TypePost, post, Options{Chain: chain})
		if err != nil {
			t.Fatal(err)
		}
		if err := message.Verify(); err != nil {
			t.Errorf("%s: %v", chain, err)
		}
	}
	_, err := Sign(key, TypePost, post, Options{Chain: "SOL"})
	wantRejection(t, err, CodeUnsupportedChain, "chain")
	_, err = Sign(key, TypePost, strings.Repeat("x", MaxInline), Options{})
	wantRejection(t, err, CodeTooLarge, "item_content")
}

func TestSignKeepsText(t *testing.T) {
	text, err := EncodeContent(map[string]string{"a": "<é&>\u2028"})
	if err != nil || text != "{\"a\":\"<é&>\\u2028\"}" {
		t.Errorf("%s, %v", text, err)
	}
}

func TestSolana(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	message := &Message{Chain: "SOL", Sender: encodeBase58(public), Type: TypePost, ItemType: ItemInline, ItemContent: "{}"}
	message.ItemHash = HashContent("{}")
	signature := encodeBase58(ed25519.Sign(key, []byte(message.signedText())))
	proof := func(signature, key string) string {
		text, _ := json.Marshal(map[string]string{"signature": signature, "publicKey": key})
		return string(text)
	}
	message.Signature = proof(signature, message.Sender)
	if message.Sender != "4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS" { // the public key of the seed of zeros
		t.Errorf("sender %s", message.Sender)
	}
	if err := message.Verify(); err != nil {
		t.Fatal(err)
	}
	other := encodeBase58(ed25519.NewKeyFromSeed(append(make([]byte, 31), 1)).Public().(ed25519.PublicKey))
	for name, signature := range map[string]string{
		"other key":         proof(signature, other),
		"short key":         proof(signature, message.Sender[1:]),
		"not base58":        proof("0OIl"+signature[4:], message.Sender),
		"long":              proof(strings.Repeat("z", 1000), message.Sender),
		"empty":             proof("", ""),
		"no JSON":           "0x1234",
		"another signature": proof(encodeBase58(ed25519.Sign(key, []byte("other"))), message.Sender),
	} {
		message.Signature = signature
		if err := message.Verify(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// encodeBase58 is for making test messages only.
func encodeBase58(content []byte) string {
	number, radix, digit := new(big.Int).SetBytes(content), big.NewInt(58), new(big.Int)
	text := ""
	for number.Sign() > 0 {
		number.DivMod(number, radix, digit)
		text = string(base58Alphabet[digit.Int64()]) + text
	}
	for _, b := range content {
		if b != 0 {
			break
		}
		text = "1" + text
	}
	return text
}

func TestBase58(t *testing.T) {
	for _, content := range [][]byte{{0}, {0, 0, 1}, {255}, {58}, []byte("hello world"), make([]byte, 64)} {
		decoded, ok := decodeBase58(encodeBase58(content), len(content))
		if !ok || string(decoded) != string(content) {
			t.Errorf("%x came back as %x, %v", content, decoded, ok)
		}
	}
	if decoded, _ := decodeBase58("StV1DL6CwTryKyV", 11); string(decoded) != "hello world" { // the draft of the base58 specification
		t.Errorf("%q", decoded)
	}
}
