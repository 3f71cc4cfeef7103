package network

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// entries are the log's entries behind a sequence, read in small steps.
func entries(t *testing.T, n *Node, after uint64) (all []Processed) {
	t.Helper()
	for {
		some, err := n.Messages(after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			return all
		}
		for _, p := range some {
			if p.Sequence != after+1 {
				t.Fatalf("sequence %d after %d", p.Sequence, after)
			}
			after = p.Sequence
		}
		all = append(all, some...)
	}
}

func wantLog(t *testing.T, got []Processed, want ...*Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i, message := range want {
		if got[i].Hash != message.ItemHash || got[i].Message == nil || string(got[i].Content) != message.ItemContent {
			t.Errorf("entry %d is %+v, want %s", i, got[i], message.ItemHash)
		}
	}
}

// TestLog: messages of all types are in the log in the order in which they were processed, those that waited when they no longer do.
func TestLog(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	store := w.storeOf(HashContent("code"), "")
	program := w.program(store.ItemHash, "", nil)
	post := w.sign(TypePost, &Post{Type: "note", Address: Address(w.key), Time: w.now()})
	if status, err := w.node.AcceptAt(context.Background(), program, 3); status != StatusPending || err != nil {
		t.Fatal(status, err)
	}
	w.accept(store, StatusPending)
	w.accept(post, StatusProcessed)
	w.accept(post, StatusProcessed)
	<-w.node.NewMessages()
	if _, err := w.node.Upload([]byte("code")); err != nil {
		t.Fatal(err)
	}
	w.eventually("the program is processed", w.hasStatus(program.ItemHash, StatusProcessed))
	<-w.node.NewMessages()
	all := entries(t, w.node, 0)
	wantLog(t, all, post, store, program)
	if all[0].Depth != 0 || all[2].Depth != 3 {
		t.Errorf("depths %d and %d, want 0 and 3", all[0].Depth, all[2].Depth)
	}

	forget := w.forget(post.ItemHash)
	w.accept(forget, StatusProcessed)
	all = entries(t, w.node, 0)
	if all[0].Hash != "" || all[0].Message != nil || all[0].Content != nil {
		t.Errorf("the forgotten one is %+v", all[0])
	}
	wantLog(t, all[1:], store, program, forget)

	for _, through := range []uint64{2, 1, 2} {
		if err := w.node.TrimMessages(through); err != nil {
			t.Fatal(err)
		}
	}
	w.node.Close()
	w.open(NodeOptions{})
	wantLog(t, entries(t, w.node, 2), program, forget)
	if some, err := w.node.Messages(0, 1); err != nil || len(some) != 1 || some[0].Sequence != 3 {
		t.Errorf("the trimmed log begins with %+v, %v", some, err)
	}
	if err := w.node.TrimMessages(1 << 60); err != nil {
		t.Fatal(err)
	}
	another := w.sign(TypePost, &Post{Type: "note", Address: Address(w.key), Time: w.now()})
	w.accept(another, StatusProcessed)
	large := w.sign(TypePost, &Post{Type: "note", Address: Address(w.key), Time: w.now(), Content: json.RawMessage(`"` + strings.Repeat("x", 2*maxCopied) + `"`)})
	w.accept(large, StatusProcessed)
	last, err := w.node.LastMessage()
	if err != nil || last != 6 {
		t.Errorf("the last is %d, %v; want 6", last, err)
	}
	wantLog(t, entries(t, w.node, 4), another, large)
	if err := w.node.TrimMessages(5); err != nil {
		t.Fatal(err)
	}
	w.accept(w.forget(another.ItemHash, large.ItemHash), StatusProcessed)
	if all := entries(t, w.node, 5); len(all) != 2 || all[0].Message != nil || all[1].Message == nil {
		t.Errorf("%+v; the trimmed one is not to come back", all)
	}
}

// TestLogTogether processes small and large messages at the same time: none meets a conflict, and the log has no gap.
func TestLogTogether(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	const posts, forgets = 300, 20
	var victims []*Message
	for i := range forgets {
		victims = append(victims, w.sign(TypePost, &Post{Type: fmt.Sprint("victim", i), Address: Address(w.key), Time: w.now()}))
		w.accept(victims[i], StatusProcessed)
	}
	var messages []*Message
	for i := range posts {
		messages = append(messages, w.sign(TypePost, &Post{Type: fmt.Sprint("post", i), Address: Address(w.key), Time: w.now()}))
	}
	for _, victim := range victims {
		messages = append(messages, w.forget(victim.ItemHash))
	}
	work := make(chan *Message)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for message := range work {
				if status, err := w.node.Accept(context.Background(), message); status != StatusProcessed || err != nil {
					t.Errorf("%s: %s, %v", message.Type, status, err)
				}
			}
		})
	}
	for i := range messages {
		work <- messages[(i*7)%len(messages)] // mixed; 7 does not divide their number
	}
	close(work)
	wg.Wait()
	seen, gone := map[string]bool{}, 0
	for _, p := range entries(t, w.node, 0) {
		if p.Message == nil {
			gone++
			continue
		}
		if seen[p.Hash] {
			t.Errorf("%s is there twice", p.Hash)
		}
		seen[p.Hash] = true
	}
	if len(seen) != len(messages) || gone != forgets {
		t.Errorf("%d messages in the log and %d forgotten ones, want %d and %d", len(seen), gone, len(messages), forgets)
	}
}
