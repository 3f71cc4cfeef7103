package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/kv"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(killedEnvironment); folder != "" {
		runKilled(folder, os.Getenv(killedAtEnvironment))
		return
	}
	goleak.VerifyTestMain(m, // what fasthttp leaves to end by itself some seconds after a server
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

func TestPending(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	hash := HashContent("late code")
	store := w.storeOf(hash, "")
	program := w.program(store.ItemHash, "", nil)
	w.accept(program, StatusPending)
	w.accept(program, StatusPending)
	w.accept(store, StatusPending)
	w.accept(program, StatusPending)
	if got, err := w.node.Upload([]byte("late code")); got != hash || err != nil {
		t.Fatal(got, err)
	}
	w.eventually("the program is processed", w.hasStatus(program.ItemHash, StatusProcessed))
	w.wantStatus(store.ItemHash, StatusProcessed)
	if got := w.shelf.deployments(program.ItemHash); len(got) != 1 {
		t.Errorf("%d deployments", len(got))
	}
}

// TestPendingRestart closes the node between a STORE and the retry of what waited for it.
func TestPendingRestart(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	content := []byte("late code")
	store := w.storeOf(HashContent("late code"), "")
	program := w.program(store.ItemHash, "", nil)
	w.accept(program, StatusPending)
	w.node.end() // no retries from here on
	if _, err := w.node.Upload(content); err != nil {
		t.Fatal(err)
	}
	w.accept(store, StatusProcessed)
	w.wantStatus(program.ItemHash, StatusPending)
	w.node.Close()
	w.open(NodeOptions{})
	w.eventually("the program is processed", w.hasStatus(program.ItemHash, StatusProcessed))
}

func TestPendingThenRejected(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	w.shelf.build = func(context.Context, Deployment) error { return reject("no_handler", "", "no") }
	store := w.code("late", "")
	program := w.program(store.ItemHash, "", nil)
	w.accept(program, StatusPending)
	w.accept(store, StatusProcessed)
	w.eventually("the program is rejected", w.hasStatus(program.ItemHash, StatusRejected))
	w.shelf.build = nil
	w.accept(program, StatusProcessed)
}

// TestStorageContent has a message whose content comes separately.
func TestStorageContent(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	message := w.sign(TypePost, &Post{Type: "demo", Address: Address(w.key), Time: 1, Content: json.RawMessage(`"` + strings.Repeat("x", 60_000) + `"`)})
	text := message.ItemContent
	message.ItemType, message.ItemContent = ItemStorage, ""
	w.accept(message, StatusPending)
	if _, err := w.node.Upload([]byte(text)); err != nil {
		t.Fatal(err)
	}
	w.eventually("the post is processed", w.hasStatus(message.ItemHash, StatusProcessed))
	forget := w.forget(message.ItemHash)
	w.accept(forget, StatusProcessed)
	if _, there := w.node.Blobs().Has(message.ItemHash); there {
		t.Error("the content of a forgotten message is still there")
	}
}

// TestSquatting has a stranger post another's content under its item hash first.
func TestSquatting(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	stranger := keyOf(t, otherKey)
	store := w.code("code", "")
	steal := func(m *Message) *Message {
		stolen := *m
		stolen.Sender = Address(stranger)
		signature, err := personalSign(stranger, stolen.signedText())
		if err != nil {
			t.Fatal(err)
		}
		stolen.Signature = signature
		return &stolen
	}
	w.refuse(steal(store), CodePermissionDenied, "sender")
	w.accept(store, StatusProcessed)

	program := w.program(w.storeOf(HashContent("not here"), "").ItemHash, "", nil)
	withoutContent := steal(program)
	withoutContent.ItemType, withoutContent.ItemContent = ItemStorage, ""
	w.accept(withoutContent, StatusPending)
	w.accept(program, StatusPending)
	if r := w.wantStatus(program.ItemHash, StatusPending); r.Message.Sender != Address(w.key) {
		t.Error("the stranger's message is kept")
	}
	w.refuse(steal(program), CodePermissionDenied, "sender")
	w.accept(withoutContent, StatusPending)
	if r := w.wantStatus(program.ItemHash, StatusPending); r.Message.Sender != Address(w.key) {
		t.Error("the stranger's message took the place of the owner's")
	}
}

func TestAllow(t *testing.T) {
	_, key := readVector(t)
	w := newWorld(t, NodeOptions{Allow: func(address string) bool { return sameAddress(address, Address(key)) }})
	w.deploy("one")
	w.key = keyOf(t, otherKey)
	message := w.sign(TypePost, &Post{Type: "demo", Address: Address(w.key), Time: 1})
	w.refuse(message, CodeNotAllowed, "content.address")
	if _, found, _ := w.node.Lookup(message.ItemHash); found {
		t.Error("a message of an account that is not allowed is kept")
	}
}

func TestQueuesAreBounded(t *testing.T) {
	w := newWorld(t, NodeOptions{MaxPending: 5, MaxRejected: 5})
	var rejected, pending []*Message
	for i := range 12 {
		rejected = append(rejected, w.code(fmt.Sprint(i), strings.Repeat("0", 64)))
		w.refuse(rejected[i], CodeRefNotFound, "content.ref")
		pending = append(pending, w.storeOf(HashContent(fmt.Sprint("missing", i)), ""))
		w.accept(pending[i], StatusPending)
	}
	for _, messages := range [][]*Message{rejected, pending} {
		kept := 0
		for _, message := range messages {
			if _, found, err := w.node.Lookup(message.ItemHash); err != nil {
				t.Fatal(err)
			} else if found {
				kept++
			}
		}
		if kept > 5 || kept < 4 {
			t.Errorf("%d of 12 kept, the limit is 5", kept)
		}
		if _, found, _ := w.node.Lookup(messages[11].ItemHash); !found {
			t.Error("the newest was dropped")
		}
		if _, found, _ := w.node.Lookup(messages[0].ItemHash); found {
			t.Error("the oldest was kept")
		}
	}
	// What leaves a queue otherwise makes room in it.
	if _, err := w.node.Upload([]byte("missing11")); err != nil {
		t.Fatal(err)
	}
	w.eventually("the last one is processed", w.hasStatus(pending[11].ItemHash, StatusProcessed))
	if got := w.node.queued[StatusPending].Load(); got > 4 {
		t.Errorf("%d counted as pending", got)
	}
}

func TestTimeIndex(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	var want []string
	for i := range 5 {
		message, err := Sign(w.key, TypePost, &Post{Type: "demo", Address: Address(w.key), Time: w.now()}, Options{Time: time.Unix(int64(1000+i), 0)})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, message.ItemHash)
		w.accept(message, StatusProcessed)
	}
	var got []string
	err := w.db.View(func(tx *kv.Txn) (err error) {
		got, err = below(tx, keyRoot+"time/")
		return err
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// TestClose stops a build that is under way.
func TestClose(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store := w.code("one", "")
	w.accept(store, StatusProcessed)
	started := make(chan struct{})
	w.shelf.build = func(ctx context.Context, _ Deployment) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	}
	program := w.program(store.ItemHash, "", nil)
	result := make(chan error)
	go func() {
		_, err := w.node.Accept(context.Background(), program)
		result <- err
	}()
	<-started
	w.node.end()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, found, _ := w.node.Lookup(program.ItemHash); found {
		t.Error("recorded")
	}
}
