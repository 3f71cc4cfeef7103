package node

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/egress"
	"github.com/aleph-edge/aleph-edge/logs"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
	"github.com/aleph-edge/aleph-edge/triggers/broker"
	"github.com/aleph-edge/aleph-edge/triggers/chain"
)

// Config is a node's configuration. Flags of "aleph node" map onto it.
type Config struct {
	// Listen is the address to serve, host:port. The default is 127.0.0.1:4020.
	Listen string
	// Data is the data folder. The default is aleph in the user's state folder.
	Data string
	// Cache is the folder for languages' machine code and first images, which are made once for this kind of machine. Several
	// nodes of a user may share it; nobody else may write it. The default is the environment's ALEPH_CACHE, else engines in
	// the data folder.
	Cache string
	// Memory is how many bytes the memories of all programs may grow by, together. The default is half of the machine's.
	Memory int64
	// Instances is how many instances of programs there can be at once. The default is what the machine's limits allow.
	Instances int
	// MaxBody is how many bytes the body of a request to a program may have. The default is 10 MiB.
	MaxBody int
	// Allow names the accounts that may deploy. The default is: any, if Listen is a loopback address.
	Allow []string
	// Open lets any account deploy on an address that is not a loopback address.
	Open bool
	// AllowEgress says what programs may reach beside the public internet: IP addresses, blocks of them (CIDR), hosts, each but a
	// block with a port or without one, or "all". The default is nothing.
	AllowEgress []string
	// Chains are the blockchains to follow, each a name and URLs of its providers: see chain.ParseChain. The default is none.
	Chains []string
	// Brokers are the message brokers whose messages are posted to topics, by URLs: see broker.Parse. The default is none.
	Brokers []string
	// Grace is how long requests under way may take when the node stops. The default is 10 s.
	Grace time.Duration
	// Log is the node's own log. The default is to drop it.
	Log *slog.Logger
	// LogSink gets what programs log. The default is none.
	LogSink func(program string, entry logs.Entry)

	allowEgress egress.Allow
	chains      []chain.Chain
	brokers     []broker.Source
}

// An Error is a fault in the configuration or the machine, with what to do about it.
type Error struct{ Text, Hint string }

func (e *Error) Error() string { return e.Text }

// DefaultListen is the address of a node that is given none.
const DefaultListen = "127.0.0.1:4020"

// DefaultData is the data folder of a node that is given none.
func DefaultData() string {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "aleph-data"
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "aleph")
}

// validate fills in the defaults and tells all faults at once.
func (c *Config) validate() error {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Data == "" {
		c.Data = DefaultData()
	}
	if c.Cache == "" {
		c.Cache = os.Getenv("ALEPH_CACHE")
	}
	if c.Cache == "" {
		c.Cache = filepath.Join(c.Data, "engines")
	}
	if c.MaxBody == 0 {
		c.MaxBody = 10 << 20
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var texts, hints []string
	fault := func(text, hint string) { texts, hints = append(texts, text), append(hints, hint) }
	hostname, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		fault(fmt.Sprintf("--listen %q is not an address", c.Listen), "give host:port, as "+DefaultListen)
	} else if !loopback(hostname) && len(c.Allow) == 0 && !c.Open {
		fault("on "+c.Listen+", which others may reach, a node must be told who may deploy",
			"name accounts with --allow-account 0x…, or let everyone deploy with --open")
	}
	for _, address := range c.Allow {
		if !ethereumAddress(address) {
			fault(fmt.Sprintf("--allow-account %q is not an address", address), "an address is 0x and 40 hexadecimal digits; see: aleph account show")
		}
	}
	if c.Open && len(c.Allow) > 0 {
		fault("--open and --allow-account contradict each other", "give one of them")
	}
	allow, errs := egress.ParseAllow(c.AllowEgress)
	if len(errs) > 0 {
		rules := make([]string, len(errs))
		for i, err := range errs {
			rules[i] = "--allow-egress " + err.Error()
		}
		fault(strings.Join(rules, "\n"), "give addresses, blocks (10.0.0.0/8), hosts or host:port, separated by commas; or all")
	}
	c.allowEgress = allow
	for _, spec := range c.Chains {
		followed, err := chain.ParseChain(spec)
		if err != nil {
			fault("--chain "+err.Error(), "give a name and URLs of JSON-RPC providers: ETH=https://…[,https://…]")
		} else if slices.ContainsFunc(c.chains, func(other chain.Chain) bool { return other.Name == followed.Name }) {
			fault(fmt.Sprintf("--chain %s is given twice", followed.Name), "give all URLs of a chain at once, with commas between")
		} else {
			c.chains = append(c.chains, followed)
		}
	}
	for _, url := range c.Brokers {
		source, err := broker.Parse(url)
		if err != nil {
			fault("--broker "+err.Error(), broker.Hint)
		}
		c.brokers = append(c.brokers, source)
	}
	if c.Memory < 0 || c.MaxBody < 0 || c.Instances < 0 || c.Grace < 0 {
		fault("--memory, --max-body, --instances and --grace must not be negative", "")
	}
	if c.Instances > 0 && c.Instances < wasm.MinSlots {
		fault(fmt.Sprintf("--instances %d is too few", c.Instances), fmt.Sprintf("give %d or more", wasm.MinSlots))
	}
	if len(texts) == 0 {
		return nil
	}
	return &Error{strings.Join(texts, "\n"), strings.Join(hints, "\n")}
}

func ethereumAddress(s string) bool {
	digits, ok := strings.CutPrefix(strings.ToLower(s), "0x")
	return ok && len(digits) == 40 && strings.Trim(digits, "0123456789abcdef") == ""
}

func loopback(hostname string) bool {
	if hostname == "localhost" {
		return true
	}
	ip := net.ParseIP(hostname)
	return ip != nil && ip.IsLoopback()
}

// open says whether any account may deploy.
func (c *Config) open() bool { return len(c.Allow) == 0 }

// allows says whether the account may deploy.
func (c *Config) allows(address string) bool {
	if c.open() {
		return true
	}
	for _, a := range c.Allow {
		if strings.EqualFold(a, address) {
			return true
		}
	}
	return false
}
