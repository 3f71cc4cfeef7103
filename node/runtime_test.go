package node

import (
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// echoing is an engine whose programs answer with their load frame.
const echoing = `(module
	(import "aleph_v1" "event_read" (func $read (param i32 i32 i32) (result i32)))
	(import "aleph_v1" "respond" (func $respond (param i32 i32)))
	(memory (export "memory") 2)
	(data (i32.const 512) "alv1\14\00\00\00")
	(func (export "aleph_load") (param $n i32)
		(i32.store (i32.const 520) (call $read (i32.const 524) (i32.const 0) (local.get $n))))
	(func (export "aleph_handle") (param i32)
		(call $respond (i32.const 512) (i32.add (i32.const 12) (i32.load (i32.const 520))))))`

// TestRuntimeOfAFile deploys a program whose runtime is a STORE that comes after it: it is pending until then, answers 404, and is
// served with the file's new versions.
func TestRuntimeOfAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	engine, err := wasm.WAT(echoing)
	if err != nil {
		t.Fatal(err)
	}
	store := w.storeMessage(engine, "")
	published := make(chan error, 1)
	d := deployment{name: "on top", runtime: store.ItemHash, source: "the code"}
	file, code := w.code(d)
	codeStore := w.storeMessage(code, "")
	if err := w.api.Upload(t.Context(), codeStore, file, code); err != nil {
		t.Fatal(err)
	}
	message := w.programMessage(d, file, codeStore.ItemHash, "")
	p := program{&w.site, message.ItemHash, codeStore.ItemHash, message, d.name}
	go func() { published <- p.api.Publish(t.Context(), message) }()
	for end := time.Now().Add(time.Minute); !strings.Contains(w.do("GET", "/api/v0/messages/"+message.ItemHash, "").body, `"status":"pending"`); {
		if time.Now().After(end) {
			t.Fatal("it is not pending")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if a := p.get(""); a.status != 404 {
		t.Errorf("while it is pending: %v", a)
	}
	if err := w.api.Upload(t.Context(), store, "engine.wasm", engine); err != nil {
		t.Fatal(err)
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	a := p.get("")
	for end := time.Now().Add(time.Minute); a.status == 404 && time.Now().Before(end); a = p.get("") { // the message is processed a moment before
		time.Sleep(time.Millisecond)
	}
	if a.status != 200 || !strings.Contains(a.body, "the code") {
		t.Errorf("got %v", a)
	}

	second, err := wasm.WAT(strings.Replace(echoing, "$respond (i32.const 512)", "$respond (i32.const 513)", 1)) // answers with what is no frame
	if err != nil {
		t.Fatal(err)
	}
	if err := w.api.Upload(t.Context(), w.storeMessage(second, store.ItemHash), "engine.wasm", second); err != nil {
		t.Fatal(err)
	}
	if a := p.get(""); a.status != 502 {
		t.Errorf("with the new version: %v", a)
	}
}
