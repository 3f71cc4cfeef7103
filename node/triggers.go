package node

import (
	"encoding/json"
	"errors"

	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/triggers"
	"github.com/aleph-edge/aleph-edge/triggers/chain"
	"github.com/aleph-edge/aleph-edge/triggers/message"
	"github.com/aleph-edge/aleph-edge/triggers/schedule"
)

// declared is what a PROGRAM message says that the program is run by: content.on's own triggers come before those in the metadata.
// The error is a *network.Rejection.
func (n *Node) declared(content *network.Program) (*triggers.Declaration, error) {
	d := &triggers.Declaration{}
	if written, any := content.Metadata["triggers"]; any {
		text, err := json.Marshal(written)
		if err != nil {
			return nil, err
		}
		if d, err = triggers.Read(text); err != nil {
			return nil, undeclared(err)
		}
	}
	schedules, err := onCron(content.On.Cron)
	if err != nil {
		return nil, undeclared(err)
	}
	d.Schedules = append(schedules, d.Schedules...)
	var messages []triggers.Message
	for _, filter := range content.On.Message {
		messages = append(messages, triggers.Message{Filter: filter})
	}
	d.Messages = append(messages, d.Messages...)
	for _, check := range []func(*triggers.Declaration) error{
		(*triggers.Declaration).Complete, schedule.Check, message.Check,
		func(d *triggers.Declaration) error { return chain.Check(d, n.events.followed) },
	} {
		if err := check(d); err != nil {
			return nil, undeclared(err)
		}
	}
	return d, nil
}

// undeclared rejects a message for its triggers.
func undeclared(err error) error {
	var e *triggers.Error
	if !errors.As(err, &e) {
		return err
	}
	field := "content.metadata.triggers"
	if e.Field != "" {
		field += "." + e.Field
	}
	return &network.Rejection{Code: network.CodeInvalidFormat, Field: field, Message: e.Text, Hint: e.Hint}
}

// onCron reads content.on.cron: an expression, or several.
func onCron(text json.RawMessage) ([]triggers.Schedule, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	var one string
	several := []string{}
	if json.Unmarshal(text, &one) == nil {
		several = append(several, one)
	} else if err := json.Unmarshal(text, &several); err != nil {
		return nil, triggers.Errorf("on.cron", "must be an expression or a list of them")
	}
	schedules := make([]triggers.Schedule, len(several))
	for i, expression := range several {
		schedules[i].Cron = expression
	}
	return schedules, nil
}
