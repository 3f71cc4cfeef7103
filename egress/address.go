package egress

import "net/netip"

// A block is a range of addresses that are not of the public internet, and what they are.
type block struct {
	prefix netip.Prefix
	is     string
}

// blocks are those of the IANA's registries of special-purpose addresses whose addresses are not to be reached globally, and
// the addresses at which clouds tell a machine about itself. The first that contains an address says what it is.
//
// Sources: https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry, RFC 5735 and RFC 6890.
var blocks = []block{
	of("169.254.169.254/32", "a cloud's metadata address"),
	of("168.63.129.16/32", "a cloud's metadata address"), // Azure's
	of("100.100.100.200/32", "a cloud's metadata address"),
	of("192.0.0.192/32", "a cloud's metadata address"),
	of("fd00:ec2::254/128", "a cloud's metadata address"),
	of("fd20:ce::254/128", "a cloud's metadata address"),

	of("0.0.0.0/32", "an unspecified address"),
	of("0.0.0.0/8", "a reserved address"),
	of("10.0.0.0/8", "a private address"),
	of("100.64.0.0/10", "a carrier's shared address"), // RFC 6598
	of("127.0.0.0/8", "a loopback address"),
	of("169.254.0.0/16", "a link-local address"),
	of("172.16.0.0/12", "a private address"),
	of("192.0.0.0/24", "a reserved address"),
	of("192.0.2.0/24", "a documentation address"),
	of("192.88.99.0/24", "a 6to4 address"),
	of("192.168.0.0/16", "a private address"),
	of("198.18.0.0/15", "a benchmark address"),
	of("198.51.100.0/24", "a documentation address"),
	of("203.0.113.0/24", "a documentation address"),
	of("224.0.0.0/4", "a multicast address"),
	of("255.255.255.255/32", "a broadcast address"),
	of("240.0.0.0/4", "a reserved address"),

	of("::/128", "an unspecified address"),
	of("::1/128", "a loopback address"),
	of("::/96", "an IPv4-compatible address"),
	of("::ffff:0:0:0/96", "an IPv4-translated address"), // RFC 2765
	of("64:ff9b:1::/48", "a private address"),           // RFC 8215
	of("100::/64", "a discard address"),
	of("100:0:0:1::/64", "a reserved address"),
	of("2001::/32", "a Teredo address"),
	of("2001:2::/48", "a benchmark address"),
	of("2001::/23", "a reserved address"), // protocols': ORCHID and others
	of("2001:db8::/32", "a documentation address"),
	of("2002::/16", "a 6to4 address"),
	of("3fff::/20", "a documentation address"),
	of("5f00::/16", "a reserved address"), // segment routing
	of("fc00::/7", "a private address"),
	of("fe80::/10", "a link-local address"),
	of("fec0::/10", "a site-local address"),
	of("ff00::/8", "a multicast address"),
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last four bytes are an IPv4 address
	global = netip.MustParsePrefix("2000::/3")     // all that the IANA has given out
)

func of(prefix, is string) block { return block{netip.MustParsePrefix(prefix), is} }

// special says what an address is that is not of the public internet, as "a private address"; empty if it is.
func special(a netip.Addr) string {
	if a.Zone() != "" {
		return "a link-local address"
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, b := range blocks {
		if b.prefix.Contains(a) {
			return b.is
		}
	}
	if a.Is6() && !global.Contains(a) {
		return "a reserved address"
	}
	return ""
}
