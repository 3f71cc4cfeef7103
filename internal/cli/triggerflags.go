package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// triggerFlags are the flags of "program deploy" that say what runs a program beside HTTP. Each replaces what the program has of its
// kind; an empty one removes that.
type triggerFlags struct {
	schedules, messages, topics, chains []string
	file                                string
	once                                bool
}

func (f *triggerFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.schedules, "schedule", nil, "run it at those times: a cron `expression`, as \"*/5 * * * *\" or @hourly; repeat for more")
	flags.StringArrayVar(&f.messages, "on-message", nil, "run it for messages with those fields: a `JSON` object, as {\"channel\":\"TEST\"}; repeat for more")
	flags.StringArrayVar(&f.topics, "topic", nil, "run it for what is posted to this `topic`; repeat for more")
	flags.StringArrayVar(&f.chains, "on-chain", nil, "run it for a blockchain's events: `CHAIN:ADDRESS:EVENT`, as ETH:0x…:Transfer(address indexed from, …); repeat for more")
	flags.StringVar(&f.file, "triggers", "", "a JSON `file` with triggers and all their options, instead of the flags above")
	flags.BoolVar(&f.once, "effects-once", false, "an event's writes to the store and its end are one transaction; =false undoes it")
}

// apply changes what the flags say.
func (f *triggerFlags) apply(d *triggers.Declaration, given *pflag.FlagSet) error {
	if given.Changed("triggers") {
		for _, other := range []string{"schedule", "on-message", "topic", "on-chain", "effects-once"} {
			if given.Changed(other) {
				return usagef("--triggers and --%s contradict each other", other)
			}
		}
		return f.read(d)
	}
	if given.Changed("schedule") {
		d.Schedules = nil
		for _, expression := range present(f.schedules) {
			d.Schedules = append(d.Schedules, triggers.Schedule{Cron: expression})
		}
	}
	if given.Changed("topic") {
		d.Topics = nil
		for _, topic := range present(f.topics) {
			d.Topics = append(d.Topics, triggers.Topic{Topic: topic})
		}
	}
	if given.Changed("on-message") {
		d.Messages = nil
		for _, text := range present(f.messages) {
			var filter map[string]any
			if err := json.Unmarshal([]byte(text), &filter); err != nil || filter == nil {
				return usagef(`--on-message takes a JSON object such as {"channel":"TEST"}, not %s`, text)
			}
			d.Messages = append(d.Messages, triggers.Message{Filter: filter})
		}
	}
	if given.Changed("on-chain") {
		d.Chains = nil
		for _, spec := range present(f.chains) {
			chain, err := triggers.ParseChain(spec)
			if wrong := (*triggers.Error)(nil); errors.As(err, &wrong) {
				return usageError{withHint(fmt.Errorf("--on-chain: %s", wrong.Text), wrong.Hint)}
			} else if err != nil {
				return err
			}
			d.Chains = append(d.Chains, chain)
		}
	}
	if given.Changed("effects-once") {
		if d.Delivery.Effects = ""; f.once {
			d.Delivery.Effects = "once"
		}
	}
	return wrongTriggers(d.Complete())
}

// read takes the triggers of a file.
func (f *triggerFlags) read(d *triggers.Declaration) error {
	*d = triggers.Declaration{}
	if f.file == "" {
		return nil
	}
	text, err := os.ReadFile(f.file)
	if err != nil {
		return err
	}
	read, err := triggers.Read(text)
	if err != nil {
		return wrongTriggers(err)
	}
	*d = *read
	return wrongTriggers(d.Complete())
}

// wrongTriggers gives what is wrong with a declaration its hint.
func wrongTriggers(err error) error {
	if wrong := (*triggers.Error)(nil); errors.As(err, &wrong) {
		return withHint(fmt.Errorf("triggers: %w", err), wrong.Hint)
	}
	return err
}

// present are the values that are not empty.
func present(values []string) (some []string) {
	for _, v := range values {
		if strings.TrimSpace(v) != "" {
			some = append(some, v)
		}
	}
	return some
}

// declare writes a declaration into a PROGRAM's content: filters of messages where the network has them, all else in its metadata.
func declare(content *network.Program, d triggers.Declaration) error {
	content.On.Message, content.On.Cron = nil, nil
	var named []triggers.Message
	for i, m := range d.Messages {
		if len(named) == 0 && m.Order == "" && (m.Name == "" || m.Name == fmt.Sprintf("message-%d", i+1)) {
			content.On.Message = append(content.On.Message, m.Filter)
		} else {
			named = append(named, m)
		}
	}
	d.Messages = named
	delete(content.Metadata, "triggers")
	if d.Empty() && d.Delivery == (triggers.Delivery{}) {
		return nil
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	var written any
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	content.Metadata["triggers"] = written
	return nil
}

// declaredBy is what runs a program that is deployed.
func declaredBy(p *client.Program) triggers.Declaration {
	if p.Triggers == nil {
		return triggers.Declaration{}
	}
	return *p.Triggers
}

// sameTriggers says whether two declarations are the same.
func sameTriggers(a, b triggers.Declaration) bool {
	first, err := json.Marshal(a)
	second, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(first) == string(second)
}
