package network

import (
	"encoding/json"
	"strings"
	"testing"
)

func (w *world) aggregate(key, content string) *Message {
	return w.sign(TypeAggregate, &Aggregate{Address: Address(w.key), Key: key, Time: w.now(), Content: decodeObject(w.t, content)})
}

func decodeObject(t *testing.T, text string) (object map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func (w *world) wantAggregate(key, want string) {
	w.t.Helper()
	object, found, err := w.node.Aggregate(strings.ToLower(Address(w.key)), key)
	if err != nil || found != (want != "") {
		w.t.Fatalf("%v, %v", found, err)
	}
	if text, _ := json.Marshal(object); found && string(text) != want {
		w.t.Errorf("%s, want %s", text, want)
	}
}

func TestAggregates(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	first, second, third := w.aggregate("k", `{"a":1,"b":1}`), w.aggregate("k", `{"b":2,"c":2}`), w.aggregate("k", `{"c":3}`)
	w.wantAggregate("k", "")
	w.accept(first, StatusProcessed)
	w.accept(third, StatusProcessed)
	w.accept(second, StatusProcessed) // late, so its c does not count
	w.accept(second, StatusProcessed)
	w.wantAggregate("k", `{"a":1,"b":2,"c":3}`)
	w.accept(w.aggregate("other", `{"a":9}`), StatusProcessed)
	w.accept(w.forget(third.ItemHash), StatusProcessed)
	w.wantAggregate("k", `{"a":1,"b":2,"c":2}`)
	w.accept(w.forget(first.ItemHash, second.ItemHash), StatusProcessed)
	w.wantAggregate("k", "")
	large := `{"a":"` + strings.Repeat("x", 150_000) + `"}`
	for _, name := range []string{"a", "b", "c"} {
		w.accept(w.aggregate("large", strings.Replace(large, "a", name, 1)), StatusProcessed)
	}
	w.refuse(w.aggregate("large", strings.Replace(large, "a", "d", 1)), CodeTooLarge, "content.content")
}

func TestDelegation(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	owner, delegate := Address(w.key), keyOf(t, otherKey)
	post := func(postType string, at float64) *Message {
		return signWith(t, delegate, TypePost, &Post{Type: postType, Address: owner, Time: at})
	}
	security := func(authorizations string) *Message {
		return w.aggregate("security", `{"authorizations":`+authorizations+`}`)
	}
	w.refuse(post("demo", 1), CodePermissionDenied, "sender")
	at := float64(1)
	for _, test := range []struct {
		entry   string
		allowed bool
	}{
		{`{"address":"ADDRESS"}`, true},
		{`{"address":"` + owner + `"}`, false},
		{`{}`, false},
		{`{"address":"ADDRESS","chain":"ETH"}`, true},
		{`{"address":"ADDRESS","chain":"SOL"}`, false},
		{`{"address":"ADDRESS","channels":["A","TEST"]}`, true},
		{`{"address":"ADDRESS","channels":["A"]}`, false},
		{`{"address":"ADDRESS","types":["POST"]}`, true},
		{`{"address":"ADDRESS","types":["STORE"]}`, false},
		{`{"address":"ADDRESS","types":"POST"}`, false},
		{`{"address":"ADDRESS","post_types":["demo"]}`, true},
		{`{"address":"ADDRESS","post_types":["chat"]}`, false},
		{`{"address":"ADDRESS","types":["STORE"]},{"address":"ADDRESS","types":["POST"]}`, true},
	} {
		entry := strings.ReplaceAll(test.entry, "ADDRESS", strings.ToLower(Address(delegate)))
		grant := security("[" + entry + "]")
		w.accept(grant, StatusProcessed)
		at++
		message := post("demo", at)
		if test.allowed {
			w.accept(message, StatusProcessed)
		} else {
			w.refuse(message, CodePermissionDenied, "sender")
		}
	}
	w.accept(security(`[{"address":"`+Address(delegate)+`"}]`), StatusProcessed)
	takeover := signWith(t, delegate, TypeAggregate, &Aggregate{Address: owner, Key: "security", Time: w.now(), Content: decodeObject(t, `{"authorizations":[]}`)})
	w.refuse(takeover, CodePermissionDenied, "sender")

	// A delegate deploys in the owner's name.
	code, err := w.node.Upload([]byte("code"))
	if err != nil {
		t.Fatal(err)
	}
	w.accept(signWith(t, delegate, TypeStore, &Store{Address: owner, ItemType: ItemStorage, ItemHash: code, Time: w.now()}), StatusProcessed)

	w.accept(security(`"everyone"`), StatusProcessed)
	w.refuse(post("demo", 100), CodePermissionDenied, "sender")
}

func TestPostAmends(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	post := func(postType, ref string) *Message {
		return w.sign(TypePost, &Post{Type: postType, Address: Address(w.key), Time: w.now(), Ref: ref})
	}
	first := post("demo", "")
	w.accept(first, StatusProcessed)
	amend := post("amend", first.ItemHash)
	w.accept(amend, StatusProcessed)
	w.refuse(post("amend", amend.ItemHash), CodeAmendNotAllowed, "content.ref")
	w.refuse(post("amend", strings.Repeat("0", 64)), CodeRefNotFound, "content.ref")
	w.key = keyOf(t, otherKey)
	w.refuse(post("amend", first.ItemHash), CodePermissionDenied, "content.ref")
}
