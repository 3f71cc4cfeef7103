package chain

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// Limits of one filter.
const (
	maxAddresses = 500
	maxValues    = 500    // of one argument
	maxKeys      = 10_000 // entries in the index: addresses times values of the first argument that is bound
	maxBlocks    = 1 << 20
)

// A filter is what a declared trigger waits for.
type filter struct {
	kind      uint32           // abi.KindLog, abi.KindBlock or abi.KindTransfer
	addresses []common.Address // of contracts, or receivers; none: any
	event     *event
	declared  string           // the event as it was declared
	topics    [4][]common.Hash // by place: any of them; none: any
	every     uint64           // blocks
	from      uint64           // the first block
	hasFrom   bool
	settled   triggers.Confirmations
	ordered   bool
}

// Check says what is wrong with the chains of a declaration; chains are the names of those that the node follows. The error is a
// *triggers.Error.
func Check(d *triggers.Declaration, chains []string) error {
	for i := range d.Chains {
		c := &d.Chains[i]
		field := fmt.Sprintf("chains[%d]", i)
		if _, err := newFilter(field, c, triggers.Confirmations{}); err != nil {
			return err
		}
		if slices.Contains(chains, c.Chain) {
			continue
		}
		e := triggers.Errorf(field+".chain", "%q: this node follows no chain", cut(c.Chain, 40))
		if len(chains) > 0 {
			e.Text = fmt.Sprintf("%q: this node follows only %s", cut(c.Chain, 40), strings.Join(chains, ", "))
		}
		e.Hint = "start the node with --chain NAME=URL of a provider"
		return e
	}
	return nil
}

// newFilter reads a declared trigger. otherwise is for one that declares no confirmations. The error is a *triggers.Error.
func newFilter(field string, c *triggers.Chain, otherwise triggers.Confirmations) (*filter, error) {
	f := &filter{every: c.Block, settled: c.Confirmations, ordered: c.Ordered}
	if f.settled.IsZero() {
		f.settled = otherwise
	}
	if f.settled.Blocks > maxBlocks {
		return nil, triggers.Errorf(field+".confirmations", "%d blocks, limit %d", f.settled.Blocks, maxBlocks)
	}
	if c.From != nil {
		if *c.From > math.MaxInt64 {
			return nil, triggers.Errorf(field+".from", "%d, limit %d", *c.From, math.MaxInt64)
		}
		f.from, f.hasFrom = *c.From, true
	}
	if !validName(c.Chain) {
		return nil, triggers.Errorf(field+".chain", "%q: must be a name of letters and digits", cut(c.Chain, 40))
	}
	var err error
	if f.addresses, err = parseAddresses(c.Address); err != nil {
		return nil, triggers.Errorf(field+".address", "%v", err)
	}
	kinds := 0
	for _, is := range []bool{c.Event != "", c.Block != 0, c.Transfer} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return nil, triggers.Errorf(field, "must have one of event, block and transfer, has %d of them", kinds)
	}
	switch {
	case c.Block != 0:
		f.kind = abi.KindBlock
		if len(f.addresses) > 0 {
			return nil, triggers.Errorf(field+".address", "blocks have none")
		}
	case c.Transfer:
		f.kind = abi.KindTransfer
		if len(f.addresses) == 0 {
			return nil, triggers.Errorf(field+".address", "is missing: whose transfers?")
		}
	default:
		f.kind, f.declared = abi.KindLog, c.Event
		if f.event, err = parseEvent(c.Event); err != nil {
			return nil, &triggers.Error{Field: field + ".event", Text: err.Error(), Hint: "as in Transfer(address indexed from, address indexed to, uint256 value)"}
		}
		return f, f.bind(field, c.Args)
	}
	if len(c.Args) > 0 {
		return nil, triggers.Errorf(field+".args", "only events have arguments")
	}
	return f, nil
}

// bind sets the topics that the filter asks for.
func (f *filter) bind(field string, args map[string]any) error {
	place := 0
	if !f.event.anonymous {
		f.topics[0] = []common.Hash{f.event.topic}
		place = 1
	}
	known := 0
	keys := max(1, len(f.addresses))
	for i, a := range f.event.indexed() {
		wanted, ok := args[a.name]
		if !ok {
			continue
		}
		values, isList := wanted.([]any)
		if !isList {
			values = []any{wanted}
		}
		if len(values) == 0 || len(values) > maxValues {
			return triggers.Errorf(field+".args."+a.name, "%d values, must be 1 to %d", len(values), maxValues)
		}
		if known++; known == 1 {
			keys *= len(values)
		}
		for _, value := range values {
			topic, err := topicOf(a.typ, value)
			if err != nil {
				return triggers.Errorf(field+".args."+a.name, "%s is no %s: %v", show(value), a.typ, err)
			}
			f.topics[place+i] = append(f.topics[place+i], topic)
		}
	}
	if known < len(args) {
		for _, name := range sortedKeys(args) {
			if !slices.ContainsFunc(f.event.indexed(), func(a argument) bool { return a.name == name }) {
				return triggers.Errorf(field+".args", "%q: is not an indexed argument of %s", cut(name, 40), f.event.signature)
			}
		}
	}
	if keys > maxKeys {
		return triggers.Errorf(field, "%d addresses times values of the first bound argument, limit %d", keys, maxKeys)
	}
	return nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "it"
	}
	return cut(string(text), 80)
}

// parseAddresses reads an address, or a list of them.
func parseAddresses(of any) (list []common.Address, err error) {
	values, isList := of.([]any)
	switch {
	case of == nil:
		return nil, nil
	case !isList:
		values = []any{of}
	case len(values) == 0 || len(values) > maxAddresses:
		return nil, fmt.Errorf("%d of them, must be 1 to %d", len(values), maxAddresses)
	}
	for _, value := range values {
		text, _ := value.(string)
		if text == "" && !isList {
			return nil, nil
		}
		b, err := hexBytes(text)
		if err != nil || len(b) != common.AddressLength {
			return nil, fmt.Errorf("%s: must be 0x and 40 hexadecimal digits", show(value))
		}
		list = append(list, common.BytesToAddress(b))
	}
	slices.SortFunc(list, common.Address.Cmp)
	return slices.Compact(list), nil
}

func hexBytes(text string) ([]byte, error) {
	digits, found := strings.CutPrefix(strings.ToLower(text), "0x")
	if !found {
		return nil, fmt.Errorf("must begin with 0x")
	}
	return hex.DecodeString(digits)
}

// topicOf is the topic that an indexed argument of that value has.
func topicOf(t *typ, value any) (topic common.Hash, err error) {
	text, isText := value.(string)
	switch t.kind {
	case boolKind:
		is, ok := value.(bool)
		if !ok {
			return topic, fmt.Errorf("must be true or false")
		}
		if is {
			topic[31] = 1
		}
		return topic, nil
	case uintKind, intKind:
		return integerTopic(t, value)
	}
	if !isText {
		return topic, fmt.Errorf("must be text")
	}
	if t.kind == stringKind {
		return crypto.Keccak256Hash([]byte(text)), nil
	}
	b, err := hexBytes(text)
	if err != nil {
		return topic, err
	}
	size := 32 // an array's or a tuple's hash
	switch t.kind {
	case bytesKind:
		return crypto.Keccak256Hash(b), nil
	case addressKind:
		if len(b) == 20 {
			return common.BytesToHash(b), nil
		}
		size = 20
	case fixedBytesKind:
		size = t.size
	case functionKind:
		size = 24
	}
	if len(b) != size {
		return topic, fmt.Errorf("%d bytes, must be %d", len(b), size)
	}
	copy(topic[:], b)
	return topic, nil
}

func integerTopic(t *typ, value any) (topic common.Hash, err error) {
	var text string
	switch value := value.(type) {
	case string:
		text = value
	case json.Number:
		text = value.String()
	case float64:
		if math.Abs(value) > 1<<53 || value != math.Trunc(value) {
			return topic, fmt.Errorf("a number must be whole and at most 2^53; write it as text")
		}
		text = big.NewInt(int64(value)).String()
	case int:
		text = big.NewInt(int64(value)).String()
	default:
		return topic, fmt.Errorf("must be a number")
	}
	n, ok := new(big.Int), len(text) <= 80
	if ok {
		if digits, isHex := strings.CutPrefix(text, "0x"); isHex {
			_, ok = n.SetString(digits, 16)
			ok = ok && digits[0] != '-' && digits[0] != '+'
		} else {
			_, ok = n.SetString(text, 10)
		}
	}
	if !ok {
		return topic, fmt.Errorf("must be a whole number, decimal or in hex with 0x")
	}
	least, most := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(t.size))
	if t.kind == intKind {
		most.Rsh(most, 1)
		least.Neg(most)
	}
	if n.Cmp(least) < 0 || n.Cmp(most) >= 0 {
		return topic, fmt.Errorf("is out of its range")
	}
	if n.Sign() < 0 {
		n.Add(n, twoTo256)
	}
	n.FillBytes(topic[:])
	return topic, nil
}

// matches says whether a log is one of the filter's. Logs with another number of topics are of another event, though the signature is
// the same: a Transfer of ERC-721 has four, that of ERC-20 has three.
func (f *filter) matches(l *contractLog) bool {
	if len(l.Topics) != f.event.topics() || len(f.addresses) > 0 && !slices.Contains(f.addresses, l.Address) {
		return false
	}
	for place, wanted := range f.topics {
		if len(wanted) > 0 && !slices.Contains(wanted, l.Topics[place]) {
			return false
		}
	}
	return true
}

// spec is what the filter waits for, in a line.
func (f *filter) spec(chain string) string {
	var b strings.Builder
	b.WriteString(chain)
	for i, a := range f.addresses {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more", len(f.addresses)-i)
			break
		}
		b.WriteString(" " + lower(a))
	}
	switch f.kind {
	case abi.KindBlock:
		if f.every == 1 {
			b.WriteString(" every block")
		} else {
			fmt.Fprintf(&b, " every %d blocks", f.every)
		}
	case abi.KindTransfer:
		b.WriteString(" transfers")
	default:
		b.WriteString(" " + f.event.signature)
	}
	switch {
	case f.settled.Tag != "":
		b.WriteString(", " + f.settled.Tag)
	case f.settled.Blocks > 0:
		fmt.Fprintf(&b, ", %d confirmations", f.settled.Blocks)
	}
	return b.String()
}

// lower is an address in lower case, as logs and arguments have it.
func lower(a common.Address) string { return hexutil.Encode(a[:]) }

// same tells whether two filters wait for the same, from the same block on.
func (f *filter) same(g *filter) bool { return bytes.Equal(f.hash(), g.hash()) }

// hash is the same for filters that wait for the same.
func (f *filter) hash() []byte {
	text, _ := json.Marshal([]any{f.kind, f.addresses, f.declared, f.topics, f.every, f.from, f.hasFrom}) // of plain values
	return crypto.Keccak256(text)[:16]
}
