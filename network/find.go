package network

import (
	"encoding/json"
	"errors"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// Query is what messages to find. An empty field is any; a list is any of its values.
type Query struct {
	Types    []Type
	Hashes   []string // item hashes
	Senders  []string
	Owners   []string
	Channels []string
	Chains   []string
	Refs     []string  // content.ref
	Kinds    []string  // content.type
	Files    []string  // content.item_hash
	Keys     []string  // content.key
	Tags     []string  // of content.content.tags
	NoAmends bool      // no POST that amends another
	From     time.Time // of messages' own times
	Until    time.Time // exclusive
	OldFirst bool      // the default order is by time, newest first
	Skip     int       // so many of those that match
	Limit    int
}

// Found is what a query gave.
type Found struct {
	Messages []*Record
	Total    int       // that match
	Stopped  time.Time // where looking further was given up: Total and Messages are what there is up to there; zero: they are all
}

// effort bounds a query. A step over an index costs 1, reading a message readCost.
const (
	effort   = 20_000
	readCost = 10
)

// A message is found by its time, or by one of its terms and its time.
//
//	time/<time>/<item hash>
//	term/<hash of the term>/<time>/<item hash>
func termPrefix(term string) string { return keyRoot + "term/" + HashContent(term)[:32] + "/" }

func senderTerm(address string) string {
	if strings.HasPrefix(address, "0x") {
		address = strings.ToLower(address)
	}
	return "sender " + address
}
func channelTerm(channel string) string { return "channel " + channel }
func refTerm(ref string) string         { return "ref " + ref }
func kindTerm(kind string) string       { return "kind " + kind }

// termsOf are what a message is found by.
func termsOf(m *Message, c content) []string {
	terms := []string{senderTerm(m.Sender)}
	if m.Channel != "" {
		terms = append(terms, channelTerm(m.Channel))
	}
	ref := ""
	switch c := c.(type) {
	case *Post:
		ref = c.Ref
		terms = append(terms, kindTerm(c.Type))
	case *Store:
		ref = c.Ref
	}
	if ref != "" {
		terms = append(terms, refTerm(ref))
	}
	return terms
}

// Find finds processed messages. It reads no more than effort allows.
func (n *Node) Find(q *Query) (found Found, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		left := effort
		for e, err := range q.entries(tx) {
			if err != nil {
				return err
			}
			if left <= 0 {
				found.Stopped = e.at
				return nil
			}
			left--
			if len(q.Types) > 0 && !slices.Contains(q.Types, e.kind) {
				continue
			}
			wanted := found.Total >= q.Skip && len(found.Messages) < q.Limit
			if !wanted && !q.reads() {
				found.Total++
				continue
			}
			left -= readCost
			r, there, err := load[Record](tx, messageKey(e.hash))
			if err != nil || !there {
				return notThere(err, messageKey(e.hash))
			}
			matches, err := n.matches(q, r)
			if err != nil {
				return err
			}
			if !matches {
				continue
			}
			found.Total++
			if wanted {
				found.Messages = append(found.Messages, r)
			}
		}
		return nil
	})
	return found, err
}

// entry is a message in an index.
type entry struct {
	at   time.Time
	key  string // in order of time
	hash string
	kind Type
}

// entries are the messages that may match, in order: those of the index that has the fewest.
func (q *Query) entries(tx *kv.Txn) iter.Seq2[entry, error] {
	if len(q.Hashes) > 0 {
		return q.named(tx)
	}
	terms := q.terms()
	if len(terms) == 0 {
		return q.walk(tx, keyRoot+"time/")
	}
	var walks []iter.Seq2[entry, error]
	for _, term := range slices.Compact(slices.Sorted(slices.Values(terms))) {
		walks = append(walks, q.walk(tx, termPrefix(term)))
	}
	return q.merge(walks)
}

// terms are those of which a message has one.
func (q *Query) terms() (terms []string) {
	for _, by := range []struct {
		values []string
		term   func(string) string
	}{{q.Refs, refTerm}, {q.Senders, senderTerm}, {q.Channels, channelTerm}} {
		for _, value := range by.values {
			terms = append(terms, by.term(value))
		}
		if len(terms) > 0 {
			return terms
		}
	}
	if len(q.Types) == 1 && q.Types[0] == TypePost {
		for _, kind := range q.Kinds {
			terms = append(terms, kindTerm(kind))
		}
	}
	return terms
}

// reads says whether a message must be read to know that it matches.
func (q *Query) reads() bool {
	indexed := 0
	for _, values := range [][]string{q.Refs, q.Senders, q.Channels} {
		indexed += min(1, len(values))
	}
	others := len(q.Owners) + len(q.Chains) + len(q.Kinds) + len(q.Files) + len(q.Keys) + len(q.Tags)
	return q.NoAmends || others > 0 || indexed > 1 || indexed > 0 && len(q.Hashes) > 0
}

// named are the messages of q.Hashes.
func (q *Query) named(tx *kv.Txn) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		var all []entry
		for _, hash := range slices.Compact(slices.Sorted(slices.Values(q.Hashes))) {
			r, found, err := load[Record](tx, messageKey(hash))
			if err != nil {
				yield(entry{}, err)
				return
			}
			at := time.Time{}
			if found {
				at = fromUnixSeconds(r.Message.Time)
			}
			if !found || r.Status != StatusProcessed || at.Before(q.From) || !q.Until.IsZero() && !at.Before(q.Until) {
				continue
			}
			all = append(all, entry{at, stamp(at) + "/" + hash, hash, r.Message.Type})
		}
		slices.SortFunc(all, q.compare)
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (q *Query) compare(a, b entry) int {
	if q.OldFirst {
		return strings.Compare(a.key, b.key)
	}
	return strings.Compare(b.key, a.key)
}

// walk goes through one index.
func (q *Query) walk(tx *kv.Txn, prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		from, until := prefix+stamp(q.from()), ""
		if !q.Until.IsZero() {
			until = prefix + stamp(q.Until)
		}
		records := tx.IterateBack(prefix, until)
		if q.OldFirst {
			records = tx.Iterate(prefix, from)
		}
		for r, err := range records {
			if err == nil && (r.Key < from || until != "" && r.Key >= until) {
				return
			}
			e := entry{key: strings.TrimPrefix(r.Key, prefix), hash: lastSegment(r.Key), kind: Type(r.Value)}
			if err == nil {
				e.at, err = parseStamp(e.key)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (q *Query) from() time.Time {
	if q.From.Before(time.Unix(0, 0)) {
		return time.Unix(0, 0)
	}
	return q.From
}

// merge goes through several indexes at once. A message that is in more than one comes once.
func (q *Query) merge(walks []iter.Seq2[entry, error]) iter.Seq2[entry, error] {
	if len(walks) == 1 {
		return walks[0]
	}
	return func(yield func(entry, error) bool) {
		type head struct {
			entry
			next func() (entry, error, bool)
		}
		var heads []head
		for _, walk := range walks {
			next, stop := iter.Pull2(walk)
			defer stop()
			e, err, more := next()
			if err != nil {
				yield(entry{}, err)
				return
			}
			if more {
				heads = append(heads, head{e, next})
			}
		}
		last := ""
		for len(heads) > 0 {
			first := 0
			for i := range heads {
				if q.compare(heads[i].entry, heads[first].entry) < 0 {
					first = i
				}
			}
			h := &heads[first]
			if h.key != last {
				last = h.key
				if !yield(h.entry, nil) {
					return
				}
			}
			e, err, more := h.next()
			if err != nil {
				yield(entry{}, err)
				return
			}
			if h.entry = e; !more {
				heads = slices.Delete(heads, first, first+1)
			}
		}
	}
}

// matches compares a message with all that a query names.
func (n *Node) matches(q *Query, r *Record) (bool, error) {
	m := r.Message
	has := func(values []string, value string) bool { return len(values) == 0 || slices.Contains(values, value) }
	hasAddress := func(values []string, address string) bool {
		return len(values) == 0 || slices.ContainsFunc(values, func(v string) bool { return sameAddress(v, address) })
	}
	if !hasAddress(q.Senders, m.Sender) || !hasAddress(q.Owners, r.Owner) || !has(q.Channels, m.Channel) || !has(q.Chains, m.Chain) {
		return false, nil
	}
	if len(q.Refs)+len(q.Kinds)+len(q.Files)+len(q.Keys)+len(q.Tags) == 0 && !q.NoAmends {
		return true, nil
	}
	text, err := n.contentOf(m)
	if gone := (waiting)(nil); errors.As(err, &gone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var c struct {
		Ref, Type, Key any
		ItemHash       any `json:"item_hash"`
		Content        json.RawMessage
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return false, nil // it has been checked, so this is none of the messages that are asked for
	}
	is := func(values []string, value any) bool {
		text, _ := value.(string)
		return has(values, text)
	}
	if !is(q.Refs, c.Ref) || !is(q.Kinds, c.Type) || !is(q.Files, c.ItemHash) || !is(q.Keys, c.Key) || q.NoAmends && c.Type == "amend" {
		return false, nil
	}
	if len(q.Tags) == 0 {
		return true, nil
	}
	var tagged struct{ Tags []any }
	_ = json.Unmarshal(c.Content, &tagged) // anything but a list of tags has none
	return slices.ContainsFunc(tagged.Tags, func(tag any) bool { text, ok := tag.(string); return ok && slices.Contains(q.Tags, text) }), nil
}

func parseStamp(key string) (time.Time, error) {
	text, _, _ := strings.Cut(key, "/")
	nanoseconds, err := strconv.ParseInt(text, 16, 64)
	return time.Unix(0, nanoseconds), err
}

// seconds is the time of Unix seconds as requests give them; 0 is no time.
func seconds(s float64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(math.Round(min(s, 9e9) * 1e6)))
}
