package network

import (
	"slices"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/kv"
)

func TestForget(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store, program := w.deploy("one")
	amend := w.code("two", store.ItemHash)
	w.accept(amend, StatusProcessed)
	update := w.program(store.ItemHash, program.ItemHash, nil)
	w.accept(update, StatusProcessed)

	w.refuse(w.forget(store.ItemHash), CodeInUse, "content.hashes[0]")
	w.refuse(w.forget(amend.ItemHash), CodeInUse, "content.hashes[0]")
	w.refuse(w.forget(update.ItemHash), CodeAmendNotAllowed, "content.hashes[0]")
	w.refuse(w.forget(program.ItemHash, strings.Repeat("0", 64)), CodeRefNotFound, "content.hashes[1]")
	w.wantStatus(program.ItemHash, StatusProcessed)

	forget := w.forget(program.ItemHash)
	w.accept(forget, StatusProcessed)
	for _, message := range []*Message{program, update} {
		record := w.wantStatus(message.ItemHash, StatusForgotten)
		if !slices.Equal(record.ForgottenBy, []string{forget.ItemHash}) || record.Message.ItemContent != "" {
			t.Errorf("%+v", record)
		}
		w.refuse(message, CodeForgotten, "item_hash")
	}
	if w.shelf.stored(t, program.ItemHash) != nil || w.shelf.deployments(program.ItemHash) != nil {
		t.Error("the program is still there")
	}
	w.accept(forget, StatusProcessed)
	w.accept(w.forget(program.ItemHash), StatusProcessed) // nothing left to do
	w.refuse(w.forget(forget.ItemHash), CodeAmendNotAllowed, "content.hashes[0]")
	w.refuse(w.program(store.ItemHash, program.ItemHash, nil), CodeRefNotFound, "content.replaces")

	w.accept(w.forget(store.ItemHash), StatusProcessed)
	w.wantStatus(amend.ItemHash, StatusForgotten)
	for _, code := range []string{"one", "two"} {
		if _, there := w.node.Blobs().Has(HashContent(code)); there {
			t.Errorf("file %q is still there", code)
		}
	}
	w.refuse(w.program(store.ItemHash, "", nil), CodeRefNotFound, "content.code.ref")
	w.wantNothingLeft()
}

// TestForgetAtOnce forgets a program together with its code, and keeps a file that another STORE needs.
func TestForgetAtOnce(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store, program := w.deploy("same")
	amend := w.code("more", store.ItemHash)
	w.accept(amend, StatusProcessed)
	other := w.code("same", "")
	w.accept(other, StatusProcessed)
	w.accept(w.forget(store.ItemHash, program.ItemHash, amend.ItemHash), StatusProcessed)
	if _, there := w.node.Blobs().Has(HashContent("same")); !there {
		t.Error("a file that another STORE needs is gone")
	}
	w.accept(w.program(other.ItemHash, "", nil), StatusProcessed)
}

func TestForgetAmend(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store := w.code("one", "")
	w.accept(store, StatusProcessed)
	amend := w.code("two", store.ItemHash)
	w.accept(amend, StatusProcessed)
	w.accept(w.forget(amend.ItemHash), StatusProcessed)
	program := w.program(store.ItemHash, "", nil)
	w.accept(program, StatusProcessed)
	if got := w.shelf.deployments(program.ItemHash); got[0].CodeHash != HashContent("one") {
		t.Errorf("%+v", got)
	}
}

func TestForgetPendingAndRejected(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store := w.storeOf(HashContent("never"), "")
	w.accept(store, StatusPending)
	denied := w.code("x", strings.Repeat("0", 64))
	w.refuse(denied, CodeRefNotFound, "content.ref")
	w.accept(w.forget(store.ItemHash, denied.ItemHash), StatusProcessed)
	w.wantStatus(store.ItemHash, StatusForgotten)
	if _, err := w.node.Upload([]byte("never")); err != nil {
		t.Fatal(err)
	}
	w.refuse(store, CodeForgotten, "item_hash")
	w.wantNothingLeft()
}

// wantNothingLeft checks that all that is kept of forgotten messages is their records.
func (w *world) wantNothingLeft() {
	w.t.Helper()
	err := w.db.View(func(tx *kv.Txn) error {
		for _, kind := range []string{"queue/pending/", "wait/", "file/", "code/", "follower/", "program/"} {
			for record, err := range tx.Iterate(keyRoot+kind, "") {
				if err != nil {
					return err
				}
				w.t.Errorf("left: %s", record.Key)
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
