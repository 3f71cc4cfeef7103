package chain

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/aleph-edge/aleph-edge/triggers"
)

// An entry is one trigger of a program.
type entry struct {
	program, name string
	chain         string // by its name: the node may not follow it
	filter        *filter
	created       time.Time

	// Under the Trigger's mutex.
	started bool
	start   uint64  // the first block that it hears of, once it has started
	cursor  *cursor // nil until then
	last    time.Time
}

func compareEntries(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.program, b.program), cmp.Compare(a.name, b.name))
}

// An entryRecord is what is kept of one.
type entryRecord struct {
	Chain   string    `json:"chain"`
	Filter  []byte    `json:"filter"` // its hash: another filter begins anew
	Created time.Time `json:"created"`
	Started bool      `json:"started,omitempty"`
	Start   uint64    `json:"start,omitempty"`
	Cursor  uint64    `json:"cursor,omitempty"`
}

func (e *entry) record() []byte {
	r := entryRecord{Chain: e.chain, Filter: e.filter.hash(), Created: e.created, Started: e.started, Start: e.start}
	if e.cursor != nil {
		r.Cursor = e.cursor.id
	}
	text, _ := json.Marshal(r) // of plain values
	return text
}

// A position is how far a cursor has read a chain. Cursors with equal ones may become one.
type position struct {
	next   uint64      // the block that comes next
	parent common.Hash // of the one before, if it was read while it could still be replaced; else zero

	// Of the block that is under way: the next, or, if removing, the one before, which is no longer on the chain and whose events
	// are offered again, from the last to the first, as removed. Done are the events before (ordinal, match), or after it if removing.
	partial  bool
	removing bool
	hash     common.Hash // of that block
	ordinal  uint64
	match    uint32 // which of the triggers that wait for the same
	round    uint32 // how often the block was removed before
}

func (p position) encode() []byte {
	flags := byte(0)
	if p.partial {
		flags |= 1
	}
	if p.removing {
		flags |= 2
	}
	b := append(make([]byte, 0, 90), codecVersion, flags)
	b = binary.BigEndian.AppendUint64(b, p.next)
	b = append(b, p.parent[:]...)
	b = append(b, p.hash[:]...)
	b = binary.BigEndian.AppendUint64(b, p.ordinal)
	b = binary.BigEndian.AppendUint32(b, p.match)
	return binary.BigEndian.AppendUint32(b, p.round)
}

func decodePosition(b []byte) (p position, err error) {
	if len(b) != 90 || b[0] != codecVersion {
		return position{}, errRecord
	}
	p.partial, p.removing = b[1]&1 != 0, b[1]&2 != 0
	p.next = binary.BigEndian.Uint64(b[2:])
	copy(p.parent[:], b[10:])
	copy(p.hash[:], b[42:])
	p.ordinal = binary.BigEndian.Uint64(b[74:])
	p.match = binary.BigEndian.Uint32(b[82:])
	p.round = binary.BigEndian.Uint32(b[86:])
	return p, nil
}

// after is the position when all of a block is done. A block that can no longer be replaced has no hash here.
func after(number uint64, hash common.Hash) position { return position{next: number + 1, parent: hash} }

// done tells whether the event at that place of a block is done.
func (p position) done(number, ordinal uint64, match int) bool {
	at := cmp.Or(cmp.Compare(ordinal, p.ordinal), cmp.Compare(uint64(match), uint64(p.match)))
	switch {
	case p.removing:
		return at >= 0
	case p.partial && number == p.next:
		return at < 0
	}
	return false
}

// begin is the position in which the removal of the block before begins.
func (p position) begin(round uint32) position {
	return position{next: p.next, parent: p.parent, removing: true, hash: p.parent, ordinal: math.MaxUint64, round: round}
}

// abandon is the position in which the removal of a block begins of which only a part was done.
func (p position) abandon() position {
	return position{next: p.next + 1, parent: p.hash, removing: true, hash: p.hash, ordinal: p.ordinal, match: p.match, round: p.round}
}

// A cursor reads a chain for its members. Triggers that have read as far as each other, and want as many confirmations, share one;
// whose program takes no more events for now gets its own. It is used by its chain's loop; members and stale are under the
// Trigger's mutex, too.
type cursor struct {
	id      uint64
	settled triggers.Confirmations // of all members
	at      position
	members map[*entry]bool
	index   *index // of the members
	stale   bool   // it must be made again

	span     uint64 // blocks of the next query
	most     int    // events of the next batch
	ahead    *scan  // the query after the one that is being handed over; may be nil
	failures int
	wait     time.Time // it rests before
	err      error     // why: it could not read (failed), or its program takes no more
	failed   bool
}

const firstSpan = 64

func newCursor(id uint64, settled triggers.Confirmations, at position) *cursor {
	return &cursor{id: id, settled: settled, at: at, members: map[*entry]bool{}, stale: true, span: firstSpan, most: math.MaxInt}
}

// Keys of records below checkpoint/chain/; see the package comment.
const (
	entryKey = "checkpoint/chain/trigger/"
	chainKey = "checkpoint/chain/of/"
)

func (e *entry) key() string { return entryKey + e.program + "/" + e.name }

func (f *follower) key(of string) string { return chainKey + f.chain.Name + "/" + of }

func (f *follower) cursorKey(id uint64) string { return f.key("cursor/") + fmt.Sprintf("%016x", id) }

func (f *follower) blockKey(number uint64, hash common.Hash) string {
	return fmt.Sprintf("%s%016x/%x", f.key("block/"), number, hash[:])
}

func (f *follower) sentPrefix(number uint64, hash common.Hash) string {
	return fmt.Sprintf("%s%016x/%x/", f.key("sent/"), number, hash[:])
}

// A blockRecord is kept of a block that could be replaced when it was read.
type blockRecord struct {
	parent common.Hash
	round  uint32 // how often it was removed
}

func (r blockRecord) encode() []byte {
	return binary.BigEndian.AppendUint32(append([]byte{codecVersion}, r.parent[:]...), r.round)
}

func decodeBlockRecord(b []byte) (r blockRecord, err error) {
	if len(b) != 37 || b[0] != codecVersion {
		return r, errRecord
	}
	copy(r.parent[:], b[1:])
	r.round = binary.BigEndian.Uint32(b[33:])
	return r, nil
}
