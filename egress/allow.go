package egress

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Allow says which addresses may be connected to beside those of the public internet. The zero value allows none.
type Allow struct {
	all    bool
	blocks []allowedBlock
	hosts  []allowedHost
}

type allowedBlock struct {
	prefix netip.Prefix
	port   uint16 // 0: any
}

type allowedHost struct {
	name string // lower case, without a dot at the end
	port uint16
}

// ParseAllow reads rules: "all", an IP address, a block of them in CIDR form, a host's name, and an address or a name with a
// port. A name is allowed whatever it resolves to. All rules that cannot be read are returned as errors.
func ParseAllow(rules []string) (Allow, []error) {
	var a Allow
	var errs []error
	for _, rule := range rules {
		if err := a.add(strings.TrimSpace(rule)); err != nil {
			errs = append(errs, fmt.Errorf("%q %w", rule, err))
		}
	}
	return a, errs
}

func (a *Allow) add(rule string) error {
	if rule == "all" {
		a.all = true
		return nil
	}
	if strings.Contains(rule, "/") {
		prefix, err := netip.ParsePrefix(rule)
		if err != nil {
			return fmt.Errorf("is not a block of addresses")
		}
		if whole := prefix.Masked(); whole != prefix {
			return fmt.Errorf("is not a block of addresses: the one around it is %s", whole)
		}
		if prefix.Addr().Is4In6() {
			return fmt.Errorf("is a block of IPv4 addresses in IPv6's form: give it in IPv4's")
		}
		a.blocks = append(a.blocks, allowedBlock{prefix: prefix})
		return nil
	}
	host, port := rule, uint16(0)
	if at := strings.LastIndexByte(rule, ':'); at >= 0 && (strings.HasPrefix(rule, "[") && rule[at-1] == ']' || strings.Count(rule, ":") == 1) {
		n, err := strconv.ParseUint(rule[at+1:], 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("has no port from 1 to 65535 after the colon")
		}
		host, port = rule[:at], uint16(n)
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return fmt.Errorf("has a zone, which is not taken")
		}
		addr = addr.Unmap()
		a.blocks = append(a.blocks, allowedBlock{netip.PrefixFrom(addr, addr.BitLen()), port})
		return nil
	}
	name := hostName(host)
	if !validName(name) {
		return fmt.Errorf("is not an address, a block of addresses or a host's name")
	}
	a.hosts = append(a.hosts, allowedHost{name, port})
	return nil
}

// permits says whether a rule allows the address, which the host of a URL has.
func (a *Allow) permits(host string, to netip.AddrPort) bool {
	if a.all || a.names(host, to.Port()) {
		return true
	}
	addr := to.Addr().Unmap()
	for _, b := range a.blocks {
		if b.prefix.Contains(addr) && (b.port == 0 || b.port == to.Port()) {
			return true
		}
	}
	return false
}

// names says whether a rule allows the host whatever its address.
func (a *Allow) names(host string, port uint16) bool {
	host = hostName(host)
	for _, h := range a.hosts {
		if h.name == host && (h.port == 0 || h.port == port) {
			return true
		}
	}
	return false
}

// hostName is a host's name in the form in which names are compared.
func hostName(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// validName says whether a name in lower case can be a host's: labels of letters, digits, hyphens and underscores, the last
// one not a number.
func validName(name string) bool {
	if name == "" || len(name) > 253 || net.ParseIP(name) != nil {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
		last = label
	}
	return strings.Trim(last, "0123456789") != ""
}
