package network

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aleph-edge/aleph-edge/kv"
)

// maxAggregate is the largest aggregate in bytes of JSON: what fits into one record.
const maxAggregate = 512 << 10

// aggregateState is an owner's object under one key: what all AGGREGATE messages for it make together. Each of its keys
// has the value of the latest message, by the content's time, whatever the order in which they came.
type aggregateState map[string]aggregateValue

type aggregateValue struct {
	Time  float64         `json:"time"`
	From  string          `json:"from"` // item hash
	Value json.RawMessage `json:"value"`
}

func (s aggregateState) merge(c *Aggregate, hash string) {
	for key, value := range c.Content {
		if before, there := s[key]; !there || c.Time >= before.Time {
			s[key] = aggregateValue{c.Time, hash, value}
		}
	}
}

func aggregateKey(owner, key string) string {
	return keyRoot + "aggregate/" + addressKey(owner) + "/" + HashContent(key)
}

func elementPrefix(owner, key string) string {
	return keyRoot + "element/" + addressKey(owner) + "/" + HashContent(key) + "/"
}

// aggregate plans an AGGREGATE.
func (p *plan) aggregate(c *Aggregate) error {
	hash := p.record.Message.ItemHash
	p.write(func(tx *kv.Txn) error {
		state, found, err := load[aggregateState](tx, aggregateKey(c.Address, c.Key))
		if err != nil {
			return err
		}
		if !found {
			state = &aggregateState{}
		}
		state.merge(c, hash)
		if err := tx.Set(elementPrefix(c.Address, c.Key)+hash, nil); err != nil {
			return err
		}
		return saveAggregate(tx, c, *state)
	})
	return p.checkAggregate(c)
}

// checkAggregate refuses a message that would make the aggregate too large to keep.
func (p *plan) checkAggregate(c *Aggregate) error {
	return p.node.db.View(func(tx *kv.Txn) error {
		before, _, err := tx.Get(aggregateKey(c.Address, c.Key))
		if err != nil {
			return err
		}
		added, err := json.Marshal(c.Content)
		if err != nil {
			return err
		}
		if size := len(before) + len(added) + 150*len(c.Content); size > maxAggregate {
			return reject(CodeTooLarge, "content.content", "the aggregate %q would be up to %d bytes, the limit is %d", c.Key, size, maxAggregate)
		}
		return nil
	})
}

func saveAggregate(tx *kv.Txn, c *Aggregate, state aggregateState) error {
	if len(state) == 0 {
		return tx.Delete(aggregateKey(c.Address, c.Key))
	}
	return save(tx, aggregateKey(c.Address, c.Key), state)
}

// forgetElement makes an aggregate anew without one of its messages.
func (n *Node) forgetElement(tx *kv.Txn, forgotten *Message) error {
	var c Aggregate
	if err := n.readContent(forgotten, &c); err != nil {
		return err
	}
	prefix := elementPrefix(c.Address, c.Key)
	if err := tx.Delete(prefix + forgotten.ItemHash); err != nil {
		return err
	}
	hashes, err := below(tx, prefix)
	if err != nil {
		return err
	}
	state := aggregateState{}
	for _, hash := range hashes {
		r, found, err := load[Record](tx, messageKey(hash))
		if err != nil || !found {
			return notThere(err, messageKey(hash))
		}
		var element Aggregate
		if err := n.readContent(r.Message, &element); err != nil {
			return err
		}
		state.merge(&element, hash)
	}
	return saveAggregate(tx, &c, state)
}

// Aggregate is an owner's object of that key; false if there is none.
func (n *Node) Aggregate(owner, key string) (object map[string]json.RawMessage, found bool, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		var state *aggregateState
		state, found, err = load[aggregateState](tx, aggregateKey(owner, key))
		if err != nil || !found {
			return err
		}
		object = make(map[string]json.RawMessage, len(*state))
		for name, value := range *state {
			object[name] = value.Value
		}
		return nil
	})
	return object, found, err
}

// post plans a POST. It has no effect but to be there; an amend must be of the owner's own post.
func (p *plan) post(c *Post) error {
	if c.Type != "amend" {
		return nil
	}
	return p.node.db.View(func(tx *kv.Txn) error {
		target, err := p.node.target(tx, "content.ref", c.Ref, TypePost)
		if err != nil {
			return err
		}
		if !sameAddress(target.Owner, c.Address) {
			return reject(CodePermissionDenied, "content.ref", "%s belongs to %s", c.Ref, target.Owner)
		}
		var post Post
		if err := p.node.readContent(target.Message, &post); err != nil {
			return err
		}
		if post.Type == "amend" {
			return reject(CodeAmendNotAllowed, "content.ref", "%s amends another post itself", c.Ref)
		}
		return nil
	})
}

// securityKey is the aggregate in which an owner says who else may send messages in the owner's name.
const securityKey = "security"

// authorization is an entry of the security aggregate's authorizations. An empty field allows everything.
type authorization struct {
	Address       string   `json:"address"`
	Chain         string   `json:"chain"`
	Channels      []string `json:"channels"`
	Types         []Type   `json:"types"`
	PostTypes     []string `json:"post_types"`
	AggregateKeys []string `json:"aggregate_keys"`
}

func (a *authorization) allows(m *Message, c content) bool {
	if !sameAddress(a.Address, m.Sender) || !allows(a.Channels, m.Channel) || !allows(a.Types, m.Type) {
		return false
	}
	if a.Chain != "" && a.Chain != m.Chain {
		return false
	}
	switch c := c.(type) {
	case *Post:
		return allows(a.PostTypes, c.Type)
	case *Aggregate:
		return c.Key != securityKey && allows(a.AggregateKeys, c.Key)
	}
	return true
}

func allows[T comparable](listed []T, value T) bool {
	return len(listed) == 0 || slices.Contains(listed, value)
}

// checkSender checks that the sender may speak for the owner: they are the same, or the owner's security aggregate has
// an entry for the sender. Only the owner can change that aggregate.
func (n *Node) checkSender(m *Message, c content) error {
	if sameAddress(m.Sender, c.owner()) {
		return nil
	}
	security, found, err := n.Aggregate(c.owner(), securityKey)
	if err != nil {
		return fmt.Errorf("read security aggregate: %w", err)
	}
	if found {
		var entries []json.RawMessage
		_ = json.Unmarshal(security["authorizations"], &entries) // anything but an array authorizes no one
		for _, entry := range entries {
			var a authorization
			if json.Unmarshal(entry, &a) == nil && a.allows(m, c) {
				return nil
			}
		}
	}
	return reject(CodePermissionDenied, "sender", "%s may not send this in the name of %s", shorten(m.Sender), shorten(c.owner())).
		hint("sign with the owner's key, or list the sender in authorizations of the owner's security aggregate")
}
