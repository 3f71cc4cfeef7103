package message

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// Form is what a program sees of an event of this package: of a message, the message with its content, which is context.event.message,
// too; of a topic, what was posted, and context.event.topic. The error wraps triggers.ErrGone where the message was forgotten.
func (t *Trigger) Form(_ context.Context, d *queue.Delivery) (triggers.Form, error) {
	if d.Kind == abi.KindTopic {
		p, err := decodePost(d.Payload)
		if err != nil {
			return triggers.Form{}, err
		}
		return triggers.Form{ContentType: p.contentType, Body: p.body, Details: []triggers.Detail{{Name: "topic", JSON: fmt.Appendf(nil, "%q", p.topic)}}}, nil
	}
	body, err := t.messageJSON(string(d.Payload))
	if err != nil {
		return triggers.Form{}, err
	}
	return triggers.Form{ContentType: "application/json", Body: body}, nil
}

// messageJSON is a message as nodes hand it out: with its content, as JSON, beside the text that was signed.
func (t *Trigger) messageJSON(hash string) ([]byte, error) {
	r, content, err := t.cfg.Network.Content(hash)
	if err != nil {
		return nil, err
	}
	if content == nil {
		return nil, fmt.Errorf("message %s was forgotten: %w", hash, triggers.ErrGone)
	}
	return json.Marshal(struct {
		*network.Message
		Content json.RawMessage `json:"content"`
	}{r.Message, content})
}

// A post is what an event of a topic carries.
type post struct {
	topic, contentType string
	body               []byte
}

func (p post) encode() []byte {
	b := append(make([]byte, 0, len(p.topic)+len(p.contentType)+len(p.body)+8), format)
	for _, text := range []string{p.topic, p.contentType} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return append(b, p.body...)
}

func decodePost(b []byte) (p post, err error) {
	broken := fmt.Errorf("the payload of a topic's event is broken")
	if len(b) == 0 || b[0] != format {
		return p, broken
	}
	b = b[1:]
	for _, text := range []*string{&p.topic, &p.contentType} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return p, broken
		}
		*text, b = string(b[size:size+int(n)]), b[size+int(n):]
	}
	p.body = b
	return p, nil
}
