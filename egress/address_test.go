package egress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
)

// notPublic are addresses of every block that must not be reached, its first and last ones above all.
var notPublic = map[string]string{
	"0.0.0.0": "an unspecified address", "0.0.0.1": "a reserved address", "0.255.255.255": "a reserved address",
	"10.0.0.0": "a private address", "10.255.255.255": "a private address",
	"100.64.0.0": "a carrier's shared address", "100.127.255.255": "a carrier's shared address", "100.100.100.200": "a cloud's metadata address",
	"127.0.0.1": "a loopback address", "127.255.255.255": "a loopback address",
	"168.63.129.16": "a cloud's metadata address", "169.254.169.254": "a cloud's metadata address",
	"169.254.0.0": "a link-local address", "169.254.255.255": "a link-local address",
	"172.16.0.0": "a private address", "172.31.255.255": "a private address",
	"192.0.0.0": "a reserved address", "192.0.0.192": "a cloud's metadata address", "192.0.0.255": "a reserved address",
	"192.0.2.1": "a documentation address", "192.88.99.1": "a 6to4 address",
	"192.168.0.0": "a private address", "192.168.255.255": "a private address",
	"198.18.0.0": "a benchmark address", "198.19.255.255": "a benchmark address",
	"198.51.100.7": "a documentation address", "203.0.113.9": "a documentation address",
	"224.0.0.0": "a multicast address", "239.255.255.255": "a multicast address",
	"240.0.0.0": "a reserved address", "255.255.255.254": "a reserved address", "255.255.255.255": "a broadcast address",

	"::": "an unspecified address", "::1": "a loopback address", "::2": "an IPv4-compatible address",
	"::10.0.0.1": "an IPv4-compatible address", "::8.8.8.8": "an IPv4-compatible address",
	"::ffff:10.0.0.1": "a private address", "::ffff:127.0.0.1": "a loopback address", "::ffff:169.254.169.254": "a cloud's metadata address",
	"::ffff:0:10.0.0.1": "an IPv4-translated address", "::ffff:0:8.8.8.8": "an IPv4-translated address",
	"64:ff9b::10.0.0.1": "a private address", "64:ff9b::127.0.0.1": "a loopback address", "64:ff9b::169.254.169.254": "a cloud's metadata address",
	"64:ff9b:1::1": "a private address", "100::1": "a discard address", "100:0:0:1::1": "a reserved address",
	"2001::1": "a Teredo address", "2001:0:ffff::1": "a Teredo address", "2001:2::1": "a benchmark address", "2001:10::1": "a reserved address",
	"2001:1ff:ffff::1": "a reserved address", "2001:db8::1": "a documentation address", "2002::1": "a 6to4 address", "2002:a00:1::1": "a 6to4 address",
	"3fff::1": "a documentation address", "3fff:fff:ffff::1": "a documentation address", "5f00::1": "a reserved address",
	"fc00::1": "a private address", "fdff:ffff::1": "a private address", "fd00:ec2::254": "a cloud's metadata address", "fd20:ce::254": "a cloud's metadata address",
	"fe80::1": "a link-local address", "febf:ffff::1": "a link-local address", "fec0::1": "a site-local address",
	"ff00::1": "a multicast address", "ff02::1": "a multicast address", "4000::1": "a reserved address", "1fff::1": "a reserved address", "e000::1": "a reserved address",
}

func TestSpecial(t *testing.T) {
	for text, want := range notPublic {
		if got := special(addr(text)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	if got := special(addr("fe80::1%lo")); got != "a link-local address" {
		t.Errorf("with a zone it is %q", got)
	}
	for _, text := range []string{"1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
		"198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "3ffe::1"} {
		if got := special(addr(text)); got != "" {
			t.Errorf("%s is %q", text, got)
		}
	}
}

// TestRefused requests each of the addresses, as it is and by a name that has it.
func TestRefused(t *testing.T) {
	n := newNames(t)
	c := newClient(t, Config{Resolver: n.resolver()}, "127.0.0.2:80", "other.test")
	p := c.Program("p")
	i := 0
	for text, is := range notPublic {
		a := addr(text)
		host := text
		if a.Is6() {
			host = "[" + text + "]"
		}
		_, _, err := get(p, "http://"+host+"/")
		if a.IsUnspecified() {
			is = "" // it is dialled as loopback
		}
		fails(t, err, abi.OpForbidden, strings.TrimSuffix(fmt.Sprintf("%s is %s", text, is), " "))

		i++
		name := fmt.Sprintf("n%d.test", i)
		n.set(name, []netip.Addr{a})
		_, _, err = get(p, "http://"+name+":8080/")
		fails(t, err, abi.OpForbidden, strings.TrimSuffix(fmt.Sprintf("%s is at %s", name, is), " "))
		if err != nil && strings.Contains(err.Error(), text) && len(text) > 3 {
			t.Errorf("the error tells what the name's address is: %v", err)
		}
	}
	for _, host := range []string{"127.0.0.2:81", "localhost", "LOCALHOST.", "127.1", "0x7f000001", "2130706433", "[::ffff:7f00:1]", "0"} {
		_, _, err := get(p, "http://"+host+"/")
		if err == nil {
			t.Errorf("%s: no error", host)
			continue
		}
		if e := err.(*Error); e.Status != abi.OpForbidden && e.Status != abi.OpNetwork {
			t.Errorf("%s: %v", host, err)
		}
	}
	_, _, err := get(p, "http://127.0.0.1/")
	fails(t, err, abi.OpForbidden, "127.0.0.1 is a loopback address; the operator can allow it with --allow-egress")
	if c.Connections() != 0 {
		t.Errorf("%d connections", c.Connections())
	}
}

func TestOwnAddress(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil || len(addresses) == 0 {
		t.Skip("no interfaces")
	}
	for _, a := range addresses {
		own, ok := netip.AddrFromSlice(a.(*net.IPNet).IP)
		if !ok || !ownAddress(own) {
			t.Errorf("%v is not this machine's", a)
		}
	}
	if ownAddress(addr("8.8.8.8")) {
		t.Error("8.8.8.8 is this machine's")
	}
}

// TestRebinding has a name change its address between two requests, and have two addresses at once.
func TestRebinding(t *testing.T) {
	n := newNames(t)
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		fmt.Fprint(w, "reached")
	})
	c := newClient(t, Config{Resolver: n.resolver()}, "127.0.0.1:"+port(server))
	p := c.Program("p")
	n.set("rebind.test", []netip.Addr{addr("127.0.0.1")}, []netip.Addr{addr("10.0.0.1")})
	if _, body, err := get(p, "http://rebind.test:"+port(server)); err != nil || body != "reached" {
		t.Fatal(body, err)
	}
	_, _, err := get(p, "http://rebind.test:"+port(server))
	fails(t, err, abi.OpForbidden, "rebind.test is at a private address")

	n.set("two.test", []netip.Addr{addr("192.168.7.7"), addr("127.0.0.1")})
	if _, body, err := get(p, "http://two.test:"+port(server)); err != nil || body != "reached" {
		t.Errorf("of two addresses the allowed one: %q, %v", body, err)
	}
}

func TestAllow(t *testing.T) {
	for _, c := range []struct {
		rules, host, address string
		want                 bool
	}{
		{"all", "x.test", "127.0.0.1:80", true},
		{"10.1.2.3", "10.1.2.3", "10.1.2.3:80", true},
		{"10.1.2.3", "10.1.2.4", "10.1.2.4:80", false},
		{"10.1.2.3:8080", "10.1.2.3", "10.1.2.3:80", false},
		{"10.1.2.3:8080", "10.1.2.3", "10.1.2.3:8080", true},
		{"10.1.2.3", "10.1.2.3", "[::ffff:10.1.2.3]:80", true},
		{"10.0.0.0/8", "x.test", "10.255.0.1:80", true},
		{"10.0.0.0/8", "x.test", "11.0.0.1:80", false},
		{"fd00::/8", "x.test", "[fd12::1]:80", true},
		{"fd00::1", "x.test", "[fd00::1]:80", true},
		{"[fd00::1]", "x.test", "[fd00::1]:80", true},
		{"[fd00::1]:443", "x.test", "[fd00::1]:80", false},
		{"[fd00::1]:443", "x.test", "[fd00::1]:443", true},
		{"db.internal", "db.internal", "10.0.0.1:5432", true},
		{"DB.Internal.", "db.internal", "10.0.0.1:5432", true},
		{"db.internal", "DB.internal.", "10.0.0.1:5432", true},
		{"db.internal", "x.db.internal", "10.0.0.1:5432", false},
		{"db.internal:80", "db.internal", "10.0.0.1:5432", false},
		{"db.internal:5432", "db.internal", "10.0.0.1:5432", true},
		{"10.0.0.1,db_2.internal", "db_2.internal", "10.0.0.9:1", true},
	} {
		allow, errs := ParseAllow(strings.Split(c.rules, ","))
		if errs != nil {
			t.Errorf("%s: %v", c.rules, errs)
		}
		if got := allow.permits(c.host, netip.MustParseAddrPort(c.address)); got != c.want {
			t.Errorf("%s for %s, %s: %v", c.rules, c.host, c.address, got)
		}
	}
	faults := []string{"", "10.0.0.0/40", "10.0.0.1/8", "10.0.0.300", "1.2.3", "x.test:0", "x.test:70000", "x.test:http", "http://x.test", "x..test", "-", "a b",
		"fe80::1%eth0", "[fd00::1", "[fd00::1]x", "::ffff:10.0.0.0/104", strings.Repeat("a", 64) + ".test", "*.test", ":80", "]:1"}
	faults = faults[:len(faults):len(faults)]
	allow, errs := ParseAllow(append(faults, "10.0.0.1"))
	if len(errs) != len(faults)-1 { // "-" is a name
		t.Errorf("%d faults told of %d: %v", len(errs), len(faults), errs)
	}
	if !allow.permits("x", netip.MustParseAddrPort("10.0.0.1:1")) {
		t.Error("the rule among the faults is lost")
	}
	for _, err := range errs {
		if strings.Contains(err.Error(), "10.0.0.1/8") && !strings.Contains(err.Error(), "10.0.0.0/8") {
			t.Error(err)
		}
	}
}

// TestNameAllowed reaches a name whatever its address, and at the port of the rule only.
func TestNameAllowed(t *testing.T) {
	n := newNames(t)
	n.set("db.test", []netip.Addr{addr("127.0.0.1")})
	n.set("other.test", []netip.Addr{addr("127.0.0.1")})
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	p := newClient(t, Config{Resolver: n.resolver()}, "db.test:"+port(server)).Program("p")
	if _, body, err := get(p, "http://DB.test:"+port(server)); err != nil || body != "DB.test:"+port(server) {
		t.Errorf("%q, %v", body, err)
	}
	_, _, err := get(p, "http://other.test:"+port(server))
	fails(t, err, abi.OpForbidden, "other.test is at a loopback address")
	_, _, err = get(p, "http://db.test:1")
	fails(t, err, abi.OpForbidden, "db.test is at a loopback address")
}

func TestNames(t *testing.T) {
	n := newNames(t)
	n.set("empty.test", []netip.Addr{})
	n.set("silent.test")
	p := newClient(t, Config{Resolver: n.resolver()}, "all").Program("p")
	for _, name := range []string{"unknown.test", "empty.test"} {
		_, _, err := get(p, "http://"+name)
		fails(t, err, abi.OpNetwork, fmt.Sprintf("no such host %q", name))
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	late := &Error{abi.OpTimeout, "too late"}
	time.AfterFunc(50*time.Millisecond, func() { cancel(late) })
	_, err := p.Do(ctx, &Request{Method: "GET", URL: "http://silent.test", Traffic: &Traffic{}})
	fails(t, err, abi.OpTimeout, "too late")
}

func TestMailPorts(t *testing.T) {
	p := newClient(t, Config{}, "127.0.0.2:25").Program("p")
	for url, allowed := range map[string]bool{"http://127.0.0.1:25": false, "https://8.8.8.8:465": false, "http://127.0.0.1:587": false, "http://127.0.0.2:25": true} {
		if _, _, err := get(p, url); allowed {
			fails(t, err, abi.OpNetwork, "connecting to 127.0.0.2: connection refused")
		} else {
			fails(t, err, abi.OpForbidden, "port ")
		}
	}
}
