package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestDeploy(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store, program := w.deploy("one")
	w.accept(program, StatusProcessed) // again
	w.accept(store, StatusProcessed)
	deployments := w.shelf.deployments(program.ItemHash)
	if len(deployments) != 1 {
		t.Fatalf("%d deployments", len(deployments))
	}
	d := deployments[0]
	if d.Program != program.ItemHash || d.Message != program.ItemHash || d.Owner != Address(w.key) || d.CodeRef != store.ItemHash ||
		d.CodeHash != HashContent("one") || d.Content.Name() != "hello" || d.Content.Resources.Memory != 128 {
		t.Errorf("%+v", d)
	}
	if stored := w.shelf.stored(t, program.ItemHash); stored == nil || stored.CodeHash != d.CodeHash {
		t.Errorf("stored: %+v", stored)
	}
}

func TestDeployAgain(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store, program := w.deploy("one")
	id := program.ItemHash

	newCode := w.code("two", store.ItemHash)
	w.accept(newCode, StatusProcessed)
	newLimits := w.program(store.ItemHash, id, func(p *Program) { p.Resources.Memory = 256 })
	w.accept(newLimits, StatusProcessed)
	w.accept(newLimits, StatusProcessed)
	otherFile := w.code("three", "")
	w.accept(otherFile, StatusProcessed)
	otherCode := w.program(otherFile.ItemHash, id, nil)
	w.accept(otherCode, StatusProcessed)
	w.accept(w.code("of the first file", store.ItemHash), StatusProcessed) // which the program has left

	got := w.shelf.deployments(id)
	want := []struct {
		message *Message
		ref     *Message
		code    string
		memory  int
	}{
		{program, store, "one", 128}, {newCode, newCode, "two", 128}, {newLimits, newCode, "two", 256}, {otherCode, otherFile, "three", 128},
	}
	if len(got) != len(want) {
		t.Fatalf("%d deployments, want %d", len(got), len(want))
	}
	for i, w := range want {
		d := got[i]
		if d.Program != id || d.Message != w.message.ItemHash || d.CodeRef != w.ref.ItemHash || d.CodeHash != HashContent(w.code) || d.Content.Resources.Memory != w.memory {
			t.Errorf("deployment %d: %+v, want code %q and memory %d", i, d, w.code, w.memory)
		}
	}
}

func TestFixedCode(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store := w.code("one", "")
	w.accept(store, StatusProcessed)
	fixed := func(p *Program) { p.Code.UseLatest = false }
	first := w.program(store.ItemHash, "", fixed)
	w.accept(first, StatusProcessed)
	amend := w.code("two", store.ItemHash)
	w.accept(amend, StatusProcessed)
	second := w.program(amend.ItemHash, "", fixed)
	w.accept(second, StatusProcessed)
	latest := w.program(amend.ItemHash, "", nil) // follows the file from any of its versions
	w.accept(latest, StatusProcessed)
	w.accept(w.code("three", store.ItemHash), StatusProcessed)
	for program, codes := range map[*Message][]string{first: {"one"}, second: {"two"}, latest: {"two", "three"}} {
		var got []string
		for _, d := range w.shelf.deployments(program.ItemHash) {
			got = append(got, d.CodeHash)
		}
		for i, code := range codes {
			codes[i] = HashContent(code)
		}
		if !slices.Equal(got, codes) {
			t.Errorf("codes %v, want %v", got, codes)
		}
	}
}

func TestOrderOfChanges(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store, program := w.deploy("one")
	early, earlySettings := w.code("early", store.ItemHash), w.program(store.ItemHash, program.ItemHash, nil)
	w.accept(w.code("late", store.ItemHash), StatusProcessed)
	w.accept(w.program(store.ItemHash, program.ItemHash, nil), StatusProcessed)
	// Whoever keeps an owner's old messages cannot bring old code back.
	w.refuse(early, CodeSuperseded, "content.time")
	w.refuse(earlySettings, CodeSuperseded, "content.time")
	if got := w.shelf.deployments(program.ItemHash); len(got) != 3 || got[2].CodeHash != HashContent("late") {
		t.Errorf("%+v", got)
	}
}

func TestAmendRules(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store, program := w.deploy("one")
	amend := w.code("two", store.ItemHash)
	w.accept(amend, StatusProcessed)
	update := w.program(store.ItemHash, program.ItemHash, nil)
	w.accept(update, StatusProcessed)
	unknown := strings.Repeat("0", 64)

	w.refuse(w.code("x", unknown), CodeRefNotFound, "content.ref")
	w.refuse(w.code("x", amend.ItemHash), CodeAmendNotAllowed, "content.ref")
	w.refuse(w.code("x", program.ItemHash), CodeAmendNotAllowed, "content.ref")
	w.refuse(w.program(store.ItemHash, unknown, nil), CodeRefNotFound, "content.replaces")
	w.refuse(w.program(store.ItemHash, update.ItemHash, nil), CodeAmendNotAllowed, "content.replaces")
	w.refuse(w.program(store.ItemHash, store.ItemHash, nil), CodeAmendNotAllowed, "content.replaces")
	w.refuse(w.program(program.ItemHash, "", nil), CodeRefNotFound, "content.code.ref")

	frozen := w.program(store.ItemHash, "", func(p *Program) { p.AllowAmend = false })
	w.accept(frozen, StatusProcessed)
	w.refuse(w.program(store.ItemHash, frozen.ItemHash, nil), CodeAmendNotAllowed, "content.replaces")

	owner := w.key
	w.key = keyOf(t, otherKey)
	w.refuse(w.code("x", store.ItemHash), CodePermissionDenied, "content.ref")
	w.refuse(w.program(store.ItemHash, program.ItemHash, nil), CodePermissionDenied, "content.replaces")
	w.refuse(w.forget(program.ItemHash), CodePermissionDenied, "content.hashes[0]")
	w.refuse(w.sign(TypePost, &Post{Type: "demo", Address: Address(owner), Time: 1}), CodePermissionDenied, "sender")
	w.accept(w.program(store.ItemHash, "", nil), StatusProcessed) // another's code may be used
	if got := len(w.shelf.deployments(program.ItemHash)); got != 3 {
		t.Errorf("%d deployments of the program", got)
	}
}

func TestBuildFails(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	w.shelf.build = func(_ context.Context, d Deployment) error {
		if d.CodeHash == HashContent("bad") {
			return &Rejection{Code: "syntax_error", Message: "line 1, column 2: " + strings.Repeat("x", 10_000), Hint: "fix it"}
		}
		return nil
	}
	bad := w.code("bad", "")
	w.accept(bad, StatusProcessed)
	program := w.program(bad.ItemHash, "", nil)
	w.refuse(program, "syntax_error", "")
	record := w.wantStatus(program.ItemHash, StatusRejected)
	if r := record.Rejection; r.Code != "syntax_error" || r.Hint != "fix it" || len(r.Message) > 9000 || !strings.HasPrefix(r.Message, "line 1") {
		t.Errorf("kept: %+v", r)
	}
	if w.shelf.stored(t, program.ItemHash) != nil {
		t.Error("a rejected program is stored")
	}

	store, good := w.deploy("good")
	worse := w.code("bad", store.ItemHash)
	w.refuse(worse, "syntax_error", "")
	if got := w.shelf.deployments(good.ItemHash); len(got) != 1 {
		t.Errorf("%d deployments after new code that does not start", len(got))
	}
	w.accept(w.code("better", store.ItemHash), StatusProcessed)

	w.shelf.build = func(context.Context, Deployment) error { return errors.New("disk full") }
	program = w.program(store.ItemHash, "", nil)
	if status, err := w.node.Accept(context.Background(), program); status != "" || err == nil {
		t.Fatalf("%s, %v", status, err)
	}
	if _, found, _ := w.node.Lookup(program.ItemHash); found {
		t.Error("a message is recorded though the node failed")
	}
	w.shelf.build = nil
	w.accept(program, StatusProcessed)
}

// TestSharedCode has one STORE change two programs: both or none.
func TestSharedCode(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store, first := w.deploy("one")
	second := w.program(store.ItemHash, "", nil)
	w.accept(second, StatusProcessed)
	w.shelf.build = func(_ context.Context, d Deployment) error {
		if d.Program == second.ItemHash {
			return reject("load_exception", "", "no")
		}
		return nil
	}
	w.refuse(w.code("two", store.ItemHash), "load_exception", "")
	w.shelf.build = nil
	w.accept(w.code("three", store.ItemHash), StatusProcessed)
	for _, program := range []*Message{first, second} {
		got := w.shelf.deployments(program.ItemHash)
		if len(got) != 2 || got[1].CodeHash != HashContent("three") {
			t.Errorf("%+v", got)
		}
	}
}

// TestSameMessageAtOnce posts one message many times at once: it is built once and all get the same answer.
func TestSameMessageAtOnce(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store := w.code("one", "")
	w.accept(store, StatusProcessed)
	program := w.program(store.ItemHash, "", nil)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if status, err := w.node.Accept(context.Background(), program); status != StatusProcessed || err != nil {
				t.Error(status, err)
			}
		})
	}
	group.Wait()
	if got := w.shelf.deployments(program.ItemHash); len(got) != 1 {
		t.Errorf("%d deployments", len(got))
	}
}

// TestDeploysAtOnce changes code and settings of programs that share code, and forgets some, all at once. The shelf
// fails on overlapping builds of one program; at the end memory and database agree.
func TestDeploysAtOnce(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store, first := w.deploy("zero")
	second := w.program(store.ItemHash, "", nil)
	w.accept(second, StatusProcessed)
	doomed := w.program(store.ItemHash, "", nil)
	w.accept(doomed, StatusProcessed)
	w.clock += 100
	at := w.now() // the same for all, so that none is superseded
	var messages []*Message
	for i := range 8 {
		w.clock = at - 1
		messages = append(messages, w.code(fmt.Sprintf("code %d", i), store.ItemHash))
		for _, program := range []*Message{first, second} {
			w.clock = at - 1
			messages = append(messages, w.program(store.ItemHash, program.ItemHash, func(p *Program) { p.Resources.Memory = i + 1 }))
		}
	}
	messages = append(messages, w.forget(doomed.ItemHash))
	var group sync.WaitGroup
	for _, message := range messages {
		group.Go(func() {
			if status, err := w.node.Accept(context.Background(), message); status != StatusProcessed || err != nil {
				t.Errorf("%s: %s, %v", message.ItemContent, status, err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	for _, program := range []*Message{first, second} {
		got := w.shelf.deployments(program.ItemHash)
		if len(got) != 1+8+8 {
			t.Errorf("%d deployments", len(got))
		}
		last, stored := got[len(got)-1], w.shelf.stored(t, program.ItemHash)
		if stored.Message != last.Message || stored.CodeHash != last.CodeHash || stored.Content.Resources != last.Content.Resources {
			t.Errorf("in force: %+v, stored: %+v", last, stored)
		}
	}
	if w.shelf.deployments(first.ItemHash)[16].CodeHash != w.shelf.deployments(second.ItemHash)[16].CodeHash {
		t.Error("two programs with the same code ended on different versions of it")
	}
	w.locksFree()
}

func (w *world) locksFree() {
	w.node.locks.mu.Lock()
	defer w.node.locks.mu.Unlock()
	if held := w.node.locks.held; len(held) != 0 {
		w.t.Errorf("locks held: %v", held)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var history []int
	for i := range maxHistory + 5 {
		history = appendBounded(history, i)
	}
	if len(history) != maxHistory || history[0] != 0 || history[1] != 6 || history[maxHistory-1] != maxHistory+4 {
		t.Errorf("%d entries: %v … %v", len(history), history[:2], history[maxHistory-1])
	}
}
