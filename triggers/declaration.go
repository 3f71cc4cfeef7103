// Package triggers is what a program declares it is run by, beside HTTP. The packages below it each make events of one kind.
//
// A declaration is part of a PROGRAM message: content.on.message and content.on.cron, and what the network lacks in
// content.metadata.triggers, whose JSON is Declaration's.
package triggers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Declaration says when a program runs. What each field may hold is checked by the package that makes its events.
type Declaration struct {
	Schedules []Schedule `json:"schedules,omitempty"`
	Messages  []Message  `json:"messages,omitempty"`
	Topics    []Topic    `json:"topics,omitempty"`
	Chains    []Chain    `json:"chains,omitempty"`
	Delivery  Delivery   `json:"delivery,omitzero"`
}

// A Schedule is a time that comes again and again.
type Schedule struct {
	Name    string   `json:"name,omitempty"`    // unique in the program; the default is schedule-1, schedule-2, …
	Cron    string   `json:"cron"`              // five or six fields, @every, @daily, …; CRON_TZ=… in front
	Missed  string   `json:"missed,omitempty"`  // what of the times that passed while the node was down: once (the default), skip, all
	Overlap string   `json:"overlap,omitempty"` // while a run of it is under way or waits: allow (the default), forbid
	Jitter  Duration `json:"jitter,omitempty"`  // each run is up to so much late
}

// A Message is a filter of the network's messages: every field that it names must match.
type Message struct {
	Name   string         `json:"name,omitempty"`  // unique in the program; the default is message-1, …
	Filter map[string]any `json:"filter"`          // fields of a message; a list means any of its values
	Order  string         `json:"order,omitempty"` // the message's field (as "sender" or "content.ref") whose values are ordering keys
}

// A Topic is a name that events are posted to.
type Topic struct {
	Name    string `json:"name,omitempty"` // unique in the program; the default is topic-1, …
	Topic   string `json:"topic"`
	Ordered bool   `json:"ordered,omitempty"` // one event after the other, each as long as it takes
}

// A Chain names what happens on a blockchain: a log, or new blocks, or native transfers to an address.
type Chain struct {
	Name    string `json:"name,omitempty"`    // unique in the program; the default is log-1, block-1, transfer-1, …
	Chain   string `json:"chain"`             // as the node's --chain names it: ETH
	Address any    `json:"address,omitempty"` // of the contract, or the receiver of transfers: a string or a list of them; none: any contract

	Event string         `json:"event,omitempty"` // as in Solidity: Transfer(address indexed from, address indexed to, uint256 value)
	Args  map[string]any `json:"args,omitempty"`  // values of indexed arguments; a list means any of them

	Block    uint64 `json:"block,omitempty"`    // every so many blocks, instead of an event: 1 is every block
	Transfer bool   `json:"transfer,omitempty"` // native transfers to Address, instead of an event

	Confirmations Confirmations `json:"confirmations,omitzero"` // a number of blocks, "safe" or "finalized"; the default is the node's
	From          *uint64       `json:"from,omitempty"`         // the first block; the default is the next after deploy
	Ordered       bool          `json:"ordered,omitempty"`      // one event after the other
}

// A Delivery is how a program's events are delivered. A field that is zero has the node's default.
type Delivery struct {
	Concurrency int      `json:"concurrency,omitempty"` // how many events run at the same time; the default is 8
	Attempts    int      `json:"attempts,omitempty"`    // how many may fail before the event is a dead letter; the default is 5
	Backoff     Duration `json:"backoff,omitempty"`     // before the second attempt; it doubles before each later one. The default is 1 s
	MaxBackoff  Duration `json:"max_backoff,omitempty"` // the default is 1 h
	Effects     string   `json:"effects,omitempty"`     // "once": the store's writes and the acknowledgement are one transaction
}

// A Duration is written as Go writes one, as in "1m30s", or as a number of seconds.
type Duration time.Duration

func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

func (d *Duration) UnmarshalJSON(text []byte) error {
	var seconds float64
	if json.Unmarshal(text, &seconds) == nil {
		if seconds < 0 || seconds > 366*24*3600 {
			return fmt.Errorf("duration %v: must be 0 to 366 days, in seconds", seconds)
		}
		*d = Duration(seconds * float64(time.Second))
		return nil
	}
	var written string
	if err := json.Unmarshal(text, &written); err != nil {
		return fmt.Errorf(`duration %.40s: must be text such as "30s", or a number of seconds`, text)
	}
	parsed, err := time.ParseDuration(written)
	if err != nil || parsed < 0 {
		return fmt.Errorf(`duration %q: must be as "30s" or "1m30s"`, written)
	}
	*d = Duration(parsed)
	return nil
}

// Confirmations are how settled a block must be: a number of blocks after it, or one of the chain's own words for it.
type Confirmations struct {
	Blocks uint64
	Tag    string // "safe" or "finalized"; then Blocks does not count
	Set    bool
}

// IsZero says that nothing was declared.
func (c Confirmations) IsZero() bool { return !c.Set }

func (c Confirmations) MarshalJSON() ([]byte, error) {
	if c.Tag != "" {
		return json.Marshal(c.Tag)
	}
	return json.Marshal(c.Blocks)
}

func (c *Confirmations) UnmarshalJSON(text []byte) error {
	*c = Confirmations{Set: true}
	if json.Unmarshal(text, &c.Blocks) == nil {
		return nil
	}
	if json.Unmarshal(text, &c.Tag) == nil && (c.Tag == "safe" || c.Tag == "finalized") {
		return nil
	}
	return fmt.Errorf(`confirmations %.40s: must be a number of blocks, "safe" or "finalized"`, text)
}

// MaxText bounds the JSON of a declaration, in bytes.
const MaxText = 256 << 10

// Read reads a declaration from JSON. The error is an *Error.
func Read(text []byte) (*Declaration, error) {
	if len(text) > MaxText {
		return nil, Errorf("", "%d bytes, limit %d", len(text), MaxText)
	}
	d := &Declaration{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(d)
	if err == nil && decoder.More() {
		err = errors.New("there is something after the object")
	}
	mismatch, wrong := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case err == nil:
		return d, nil
	case wrong:
		return nil, Errorf(mismatch.Field, "must not be %s", mismatch.Value)
	}
	return nil, &Error{Text: strings.TrimPrefix(err.Error(), "json: "), Hint: "docs/triggers.md has the form of triggers"}
}
