package network

import (
	"context"
	"crypto/ecdsa"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
)

// withRuntime names the runtime of a program.
func withRuntime(ref string, useLatest bool) func(*Program) {
	return func(c *Program) { c.Runtime = Runtime{Ref: ref, UseLatest: useLatest} }
}

// runtimeIs wants the module that the last version of a program, which is its nth, is given to.
func (w *world) runtimeIs(program *Message, n int, code string) {
	w.t.Helper()
	all := w.shelf.deployments(program.ItemHash)
	if len(all) != n {
		w.t.Fatalf("there are %d versions, want %d", len(all), n)
	}
	if m := all[n-1].Runtime; m == nil || m.CodeHash != HashContent(code) {
		w.t.Fatalf("the runtime is %+v, not %q", m, code)
	}
}

// TestFileAsRuntime has programs whose runtime is a file: one follows its new versions, one does not, one waits until it has come.
func TestFileAsRuntime(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	w.shelf.other = true
	code := w.code("code", "")
	w.accept(code, StatusProcessed)
	engine := w.code("engine 1", "")
	latest := w.program(code.ItemHash, "", withRuntime(engine.ItemHash, true))
	w.accept(latest, StatusPending)
	w.accept(engine, StatusProcessed)
	w.eventually("the program comes with its runtime", w.hasStatus(latest.ItemHash, StatusProcessed))
	w.runtimeIs(latest, 1, "engine 1")
	if m := w.shelf.deployments(latest.ItemHash)[0].Runtime; m.Encoding != "plain" || m.Of != "" {
		t.Errorf("%+v", m)
	}
	pinned := w.program(code.ItemHash, "", withRuntime(engine.ItemHash, false))
	w.accept(pinned, StatusProcessed)

	second := w.code("engine 2", engine.ItemHash)
	w.accept(second, StatusProcessed)
	w.runtimeIs(latest, 2, "engine 2")
	w.runtimeIs(pinned, 1, "engine 1")
	exactly := w.program(code.ItemHash, "", withRuntime(second.ItemHash, false))
	w.accept(exactly, StatusProcessed)
	w.runtimeIs(exactly, 1, "engine 2")

	amend := w.code("more code", code.ItemHash) // all follow it, with the runtimes that they have
	w.accept(amend, StatusProcessed)
	w.runtimeIs(latest, 3, "engine 2")
	w.runtimeIs(pinned, 2, "engine 1")

	w.refuse(w.forget(engine.ItemHash), CodeInUse, "content.hashes[0]")
	w.refuse(w.forget(second.ItemHash), CodeInUse, "content.hashes[0]")
	w.accept(w.program(code.ItemHash, pinned.ItemHash, nil), StatusProcessed) // one that the node has
	if m := w.shelf.deployments(pinned.ItemHash)[2].Runtime; m != nil {
		t.Errorf("%+v", m)
	}
	w.accept(w.forget(latest.ItemHash, exactly.ItemHash, engine.ItemHash), StatusProcessed)
	w.refuse(w.program(code.ItemHash, "", withRuntime(engine.ItemHash, true)), CodeRefNotFound, "content.runtime.ref")
	w.accept(w.forget(pinned.ItemHash, code.ItemHash), StatusProcessed)
	w.wantNothingLeft()
}

// TestProgramAsRuntime has programs whose runtime is a program: they take up its new code and its new settings.
func TestProgramAsRuntime(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	w.shelf.other = true
	store, engine := w.deploy("engine 1")
	code := w.code("code", "")
	w.accept(code, StatusProcessed)
	program := w.program(code.ItemHash, "", withRuntime(engine.ItemHash, true))
	w.accept(program, StatusProcessed)
	pinned := w.program(code.ItemHash, "", withRuntime(engine.ItemHash, false))
	w.accept(pinned, StatusProcessed)
	w.runtimeIs(program, 1, "engine 1")
	if m := w.shelf.deployments(program.ItemHash)[0].Runtime; m.Of != "nodejs16" || m.Entrypoint != "handler" {
		t.Errorf("%+v", m)
	}

	w.accept(w.code("engine 2", store.ItemHash), StatusProcessed)
	w.runtimeIs(program, 2, "engine 2")
	w.runtimeIs(pinned, 1, "engine 1")

	other := w.code("engine 3", "")
	w.accept(other, StatusProcessed)
	replaced := w.program(other.ItemHash, engine.ItemHash, func(c *Program) { c.Variables = map[string]string{"A": "b"} })
	w.accept(replaced, StatusProcessed)
	w.runtimeIs(program, 3, "engine 3")
	if m := w.shelf.deployments(program.ItemHash)[2].Runtime; m.Variables["A"] != "b" {
		t.Errorf("%+v", m)
	}
	w.runtimeIs(pinned, 1, "engine 1")
	w.accept(w.code("engine 4", other.ItemHash), StatusProcessed)
	w.runtimeIs(program, 4, "engine 4")
	w.accept(w.code("engine 5", store.ItemHash), StatusProcessed) // nothing follows it any more
	w.runtimeIs(program, 4, "engine 4")

	w.refuse(w.program(other.ItemHash, engine.ItemHash, withRuntime(engine.ItemHash, true)), CodeInvalidFormat, "content.runtime.ref")
	w.refuse(w.forget(engine.ItemHash), CodeInUse, "content.hashes[0]")
	w.refuse(w.forget(store.ItemHash), CodeInUse, "content.hashes[0]") // the pinned one's
	w.accept(w.forget(program.ItemHash, pinned.ItemHash), StatusProcessed)
	w.accept(w.forget(engine.ItemHash, store.ItemHash, other.ItemHash, code.ItemHash), StatusProcessed)
	w.refuse(w.program(code.ItemHash, "", withRuntime(engine.ItemHash, true)), CodeRefNotFound, "content.code.ref")
	w.wantNothingLeft()
}

// TestRuntimeOfAnother uses somebody else's runtime. Its owner may change it in a way that the program cannot start with: the program
// stays as it is, and takes up the next version.
func TestRuntimeOfAnother(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	w.shelf.other = true
	store, engine := w.deploy("engine 1")
	stranger, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	as := func(key *ecdsa.PrivateKey, do func()) {
		before := w.key
		w.key = key
		do()
		w.key = before
	}
	var program *Message
	as(stranger, func() {
		code := w.code("code", "")
		w.accept(code, StatusProcessed)
		program = w.program(code.ItemHash, "", withRuntime(engine.ItemHash, true))
		w.accept(program, StatusProcessed)
	})
	w.shelf.build = func(_ context.Context, d Deployment) error {
		if d.Runtime != nil && d.Runtime.CodeHash == HashContent("engine 2") {
			return reject("load_exception", "", "it does not start")
		}
		return nil
	}
	w.accept(w.code("engine 2", store.ItemHash), StatusProcessed)
	w.runtimeIs(program, 1, "engine 1")
	own := w.code("code", "")
	w.accept(own, StatusProcessed)
	w.refuse(w.program(own.ItemHash, "", withRuntime(engine.ItemHash, true)), "load_exception", "")
	w.accept(w.code("engine 3", store.ItemHash), StatusProcessed)
	w.runtimeIs(program, 2, "engine 3")

	mine := w.program(own.ItemHash, "", withRuntime(engine.ItemHash, true))
	w.accept(mine, StatusProcessed)
	w.refuse(w.code("engine 2", store.ItemHash), "load_exception", "") // it would stop the owner's own
	w.refuse(w.forget(engine.ItemHash), CodeInUse, "content.hashes[0]")
}

// TestNoRuntime names what is no runtime.
func TestNoRuntime(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	w.shelf.other = true
	code := w.code("code", "")
	w.accept(code, StatusProcessed)
	post := w.sign(TypePost, &Post{Type: "x", Address: Address(w.key), Time: w.now()})
	w.accept(post, StatusProcessed)
	w.refuse(w.program(code.ItemHash, "", withRuntime(post.ItemHash, true)), CodeRefNotFound, "content.runtime.ref")
}
