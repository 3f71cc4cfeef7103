package message

import (
	"fmt"

	"github.com/aleph-edge/aleph-edge/network"
)

// A parsed message is an entry of the log as filters see it.
type parsed struct {
	network.Processed
	document map[string]any // nil if the message was forgotten
}

// parse reads some messages of the log.
func (t *Trigger) parse(after uint64) ([]parsed, error) {
	messages, err := t.cfg.Network.Messages(after, readAtOnce)
	if err != nil {
		return nil, err
	}
	some := make([]parsed, 0, len(messages))
	for i := range messages {
		document, err := documentOf(&messages[i])
		if err != nil {
			return nil, err
		}
		messages[i].Content = nil // it is in the document
		some = append(some, parsed{messages[i], document})
	}
	return some, nil
}

// documentOf is a message as filters see it: nil if it is forgotten.
func documentOf(m *network.Processed) (map[string]any, error) {
	if m.Message == nil {
		return nil, nil
	}
	content, err := decode(m.Content)
	if err != nil {
		return nil, fmt.Errorf("content of message %s: %w", m.Hash, err)
	}
	document := map[string]any{"chain": m.Message.Chain, "sender": m.Message.Sender, "time": m.Message.Time, "type": string(m.Message.Type),
		"item_type": string(m.Message.ItemType), "item_hash": m.Message.ItemHash, "content": content}
	if m.Message.Channel != "" {
		document["channel"] = m.Message.Channel
	}
	return document, nil
}

// ahead is a part of the log that is read while the queue writes what came before it.
type ahead struct {
	after uint64
	read  chan struct{} // closed when the rest is there
	some  []parsed
	err   error
}

// readAhead begins to read. It is for next to take.
func (t *Trigger) readAhead(after uint64) {
	a := &ahead{after: after, read: make(chan struct{})}
	t.ahead = a
	go func() {
		defer close(a.read)
		a.some, a.err = t.parse(after)
	}()
}

// readAlready is what has been read and is not handed out yet.
func readAlready(after uint64, some []parsed) *ahead {
	a := &ahead{after: after, read: make(chan struct{}), some: some}
	close(a.read)
	return a
}

// next is what comes behind a sequence.
func (t *Trigger) next(after uint64) ([]parsed, error) {
	if a := t.wait(); a != nil && a.after == after && a.err == nil && len(a.some) > 0 {
		return a.some, nil
	}
	return t.parse(after)
}

// wait ends reading ahead.
func (t *Trigger) wait() *ahead {
	a := t.ahead
	if a != nil {
		<-a.read
		t.ahead = nil
	}
	return a
}
