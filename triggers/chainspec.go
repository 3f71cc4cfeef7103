package triggers

import (
	"strconv"
	"strings"
)

// ParseChain reads what the command line declares a Chain by: the chain, the contract's address and the event, with colons between.
// The event is as in Solidity; "block" or "block/100" stands for every block or every hundredth, "transfer" for native transfers to the
// address. The address may be left out, for an event of any contract. What it holds is checked by the node.
//
//	ETH:0x6b17…0f:Transfer(address indexed from, address indexed to, uint256 value)
//	ETH:Transfer(address indexed from, address indexed to, uint256 value)
//	ETH:0x19e7…f2a:transfer
//	ETH:block
func ParseChain(spec string) (Chain, error) {
	const field = "chains"
	chain, what, found := strings.Cut(spec, ":")
	c := Chain{Chain: strings.TrimSpace(chain)}
	if !found || c.Chain == "" {
		return Chain{}, &Error{field, "a chain's name must come first, as in ETH:block", chainHint}
	}
	head, _, _ := strings.Cut(what, "(") // a colon after it would be the event's own
	if address, rest, found := strings.Cut(what, ":"); found && len(address) < len(head) {
		c.Address, what = strings.TrimSpace(address), rest
	}
	what = strings.TrimSpace(what)
	every, blocks := strings.CutPrefix(what, "block")
	switch {
	case what == "transfer":
		c.Transfer = true
	case what == "block":
		c.Block = 1
	case blocks && strings.HasPrefix(every, "/"):
		n, err := strconv.ParseUint(every[1:], 10, 64)
		if err != nil || n == 0 {
			return Chain{}, Errorf(field, "%.40q: must be block/ and a number above 0", what)
		}
		c.Block = n
	case strings.ContainsRune(what, '('):
		c.Event = what
	default:
		return Chain{}, &Error{field, strconv.Quote(cut(what, 80)) + ": must be an event with its arguments, block or transfer", chainHint}
	}
	return c, nil
}

const chainHint = `as in 'ETH:0xaddress:Transfer(address indexed from, address indexed to, uint256 value)', ETH:block or ETH:0xaddress:transfer`

// cut is the start of s, for an error.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
