package chain

import (
	"cmp"
	"slices"

	"github.com/ethereum/go-ethereum/common"

	"github.com/aleph-edge/aleph-edge/abi"
)

// maxPerQuery is how many addresses, or topics of one place, a query has: go-ethereum refuses more than 1,000.
const maxPerQuery = maxAddresses

// An index finds the triggers that wait for what a block has. It does not change once it is made.
type index struct {
	logs      map[logKey][]*entry
	shapes    []logKey // which fields the keys of logs have, with zeros for their values
	transfers map[common.Address][]*entry
	blocks    []*entry
	queries   []query // that give every log that any of the triggers waits for, and others
	tests     []bloomTest
}

// A logKey is what a filter and a log that it matches have in common. What a filter does not ask for is not in its key.
type logKey struct {
	hasAddress bool
	hasTopic   bool
	place      uint8 // of the first bound argument; 0 if none is
	address    common.Address
	topic      common.Hash // the first
	value      common.Hash // at place
}

// A bloomTest tells whether a block may have logs that one of the filters with the same address and first topic waits for.
type bloomTest struct{ address, topic *bits }

func newIndex(entries []*entry) *index {
	ix := &index{logs: map[logKey][]*entry{}, transfers: map[common.Address][]*entry{}}
	var logs []*entry
	for _, e := range entries {
		switch e.filter.kind {
		case abi.KindBlock:
			ix.blocks = append(ix.blocks, e)
		case abi.KindTransfer:
			for _, a := range e.filter.addresses {
				ix.transfers[a] = append(ix.transfers[a], e)
			}
		default:
			logs = append(logs, e)
			ix.addLog(e)
		}
	}
	for shape := range ix.logs {
		shape.address, shape.topic, shape.value = common.Address{}, common.Hash{}, common.Hash{}
		if !slices.Contains(ix.shapes, shape) {
			ix.shapes = append(ix.shapes, shape)
		}
	}
	ix.plan(logs)
	return ix
}

func (ix *index) addLog(e *entry) {
	f := e.filter
	addresses := f.addresses
	key := logKey{hasAddress: len(addresses) > 0, hasTopic: len(f.topics[0]) > 0 && !f.event.anonymous}
	if !key.hasAddress {
		addresses = []common.Address{{}}
	}
	if key.hasTopic {
		key.topic = f.topics[0][0]
	}
	values := []common.Hash{{}}
	for place := 1; place < len(f.topics); place++ {
		if len(f.topics[place]) > 0 {
			key.place, values = uint8(place), f.topics[place]
			break
		}
	}
	for _, key.address = range addresses {
		for _, key.value = range values {
			if list := ix.logs[key]; len(list) == 0 || list[len(list)-1] != e { // a value may be there twice
				ix.logs[key] = append(list, e)
			}
		}
	}
}

// match adds to found the triggers that wait for the log.
func (ix *index) match(l *contractLog, found []*entry) []*entry {
	begin := len(found)
	for _, key := range ix.shapes {
		if key.hasTopic && len(l.Topics) == 0 || int(key.place) >= max(1, len(l.Topics)) {
			continue
		}
		if key.hasAddress {
			key.address = l.Address
		}
		if key.hasTopic {
			key.topic = l.Topics[0]
		}
		if key.place > 0 {
			key.value = l.Topics[key.place]
		}
		for _, e := range ix.logs[key] {
			if e.filter.matches(l) {
				found = append(found, e)
			}
		}
	}
	slices.SortFunc(found[begin:], compareEntries)
	return found
}

// empty tells whether there are no logs to ask for.
func (ix *index) noLogs() bool { return len(ix.logs) == 0 }

// may says whether a block with that bloom may have logs that are waited for.
func (ix *index) may(b *bloom) bool {
	for _, t := range ix.tests {
		if (t.address == nil || b.has(*t.address)) && (t.topic == nil || b.has(*t.topic)) {
			return true
		}
	}
	return false
}

// plan makes the queries, as few as possible: filters that name addresses share one, those of any contract another, as far as a
// query's limit goes. An argument is asked for only where all that share the query bind it.
func (ix *index) plan(logs []*entry) {
	slices.SortStableFunc(logs, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(min(1, len(a.filter.addresses)), min(1, len(b.filter.addresses))), slices.CompareFunc(a.filter.addresses, b.filter.addresses, common.Address.Cmp))
	})
	type pair struct {
		address common.Address
		has     bool
		topic   common.Hash
		named   bool
	}
	tested := map[pair]bool{}
	var q *merged
	for _, e := range logs {
		f := e.filter
		if q == nil || !q.add(f) {
			if q != nil {
				ix.queries = append(ix.queries, q.query())
			}
			q = &merged{addresses: map[common.Address]bool{}}
			q.add(f)
		}
		p := pair{named: len(f.topics[0]) > 0}
		if p.named {
			p.topic = f.topics[0][0] // any of those of an anonymous event would do: with several the test is of the address only
			p.named = len(f.topics[0]) == 1
		}
		addresses := f.addresses
		if p.has = len(addresses) > 0; !p.has {
			addresses = []common.Address{{}}
		}
		if !p.named {
			p.topic = common.Hash{}
		}
		for _, p.address = range addresses {
			if tested[p] {
				continue
			}
			tested[p] = true
			var t bloomTest
			if p.has {
				b := bitsOf(p.address[:])
				t.address = &b
			}
			if p.named {
				b := bitsOf(p.topic[:])
				t.topic = &b
			}
			ix.tests = append(ix.tests, t)
		}
	}
	if q != nil {
		ix.queries = append(ix.queries, q.query())
	}
}

// merged is a query for several filters.
type merged struct {
	count     int
	addresses map[common.Address]bool
	topics    [4]map[common.Hash]bool // nil: any
}

// add has the query give the filter's logs, too; false if they belong into another query.
func (q *merged) add(f *filter) bool {
	if q.count > 0 {
		if (len(q.addresses) > 0) != (len(f.addresses) > 0) || (q.topics[0] != nil) != (len(f.topics[0]) > 0) {
			return false
		}
		more := 0
		for _, a := range f.addresses {
			if !q.addresses[a] {
				more++
			}
		}
		if len(q.addresses)+more > maxPerQuery || len(q.topics[0])+len(f.topics[0]) > maxPerQuery && !q.topics[0][f.topics[0][0]] {
			return false
		}
	}
	for _, a := range f.addresses {
		q.addresses[a] = true
	}
	for place, wanted := range f.topics {
		known := q.topics[place]
		if len(wanted) == 0 || q.count > 0 && known == nil {
			q.topics[place] = nil
			continue
		}
		if known == nil {
			known = map[common.Hash]bool{}
		}
		for _, topic := range wanted {
			known[topic] = true
		}
		if place > 0 && len(known) > maxPerQuery {
			known = nil
		}
		q.topics[place] = known
	}
	q.count++
	return true
}

func (q *merged) query() query {
	var made query
	for a := range q.addresses {
		made.Address = append(made.Address, a)
	}
	slices.SortFunc(made.Address, common.Address.Cmp)
	for place, known := range q.topics {
		if known == nil {
			continue
		}
		for len(made.Topics) <= place {
			made.Topics = append(made.Topics, nil)
		}
		for topic := range known {
			made.Topics[place] = append(made.Topics[place], topic)
		}
		slices.SortFunc(made.Topics[place], common.Hash.Cmp)
	}
	return made
}

// has tells whether a log is one that the query asks for.
func (q *query) has(l *contractLog) bool {
	if len(q.Address) > 0 {
		if _, found := slices.BinarySearchFunc(q.Address, l.Address, common.Address.Cmp); !found {
			return false
		}
	}
	if len(l.Topics) < len(q.Topics) {
		return false
	}
	for place, wanted := range q.Topics {
		if len(wanted) == 0 {
			continue
		}
		if _, found := slices.BinarySearchFunc(wanted, l.Topics[place], common.Hash.Cmp); !found {
			return false
		}
	}
	return true
}
