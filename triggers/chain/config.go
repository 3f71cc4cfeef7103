package chain

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A Config is what a Trigger is made of.
type Config struct {
	DB     *kv.DB
	Queue  *queue.Queue
	Chains []Chain
	Log    *slog.Logger     // the default is slog.Default()
	Now    func() time.Time // the wall clock; the default is time.Now
}

// A Chain is a blockchain that the node follows. Zero fields have their defaults.
type Chain struct {
	Name string   // as declarations name it: ETH
	URLs []string // of JSON-RPC providers, http, https, ws or wss. They may hold keys: nothing shows more of them than the host

	// Confirmations of triggers that declare none. The default is 12 blocks.
	Confirmations triggers.Confirmations

	// Poll is how often a provider is asked for the latest block. The default is 2 s, and 250 ms if all URLs are on this machine.
	Poll time.Duration

	// Rate is how many calls a second each provider gets. The default is 50, and 1,000 for one on this machine.
	Rate float64

	// Range is how many blocks one query of logs may span: it begins small, grows up to that, and halves when a provider refuses.
	// The default is 10,000.
	Range uint64

	// NoBloom says that the blooms in the chain's headers do not tell which logs the blocks have, as on some rollups. Without them
	// no provider can be held to account for the logs it leaves out.
	NoBloom bool

	// Thorough has every block read by its hash and compared with its bloom, not only those that may still be replaced: two calls for
	// each that has logs, one for each other, instead of one or two for thousands. Without it a provider that leaves out logs of settled
	// blocks is found out where it cuts off long answers, and otherwise only by samples, one block of each range.
	Thorough bool

	// Timeout bounds a call. The default is 20 s.
	Timeout time.Duration
}

// ParseChain reads a chain as the command line has it: a name, and after an equals sign URLs and options with commas between.
//
//	ETH=https://one.example/v3/key,wss://two.example,confirmations=0,poll=2s,rate=50,range=10000,bloom=off,thorough=on
func ParseChain(spec string) (Chain, error) {
	name, rest, found := strings.Cut(spec, "=")
	c := Chain{Name: strings.TrimSpace(name)}
	if !found || !validName(c.Name) {
		return Chain{}, fmt.Errorf("chain %q: must be a name of letters and digits and a URL, as in ETH=https://…", cut(c.Name, 40))
	}
	for part := range strings.SplitSeq(rest, ",") {
		part = strings.TrimSpace(part)
		option, value, isOption := strings.Cut(part, "=")
		if strings.Contains(part, "://") {
			isOption = false
		}
		var err error
		switch {
		case !isOption:
			err = checkURL(part)
			c.URLs = append(c.URLs, part)
		case option == "confirmations":
			err = c.Confirmations.UnmarshalJSON([]byte(value))
			if err != nil {
				err = c.Confirmations.UnmarshalJSON([]byte(strconv.Quote(value)))
			}
		case option == "poll":
			c.Poll, err = time.ParseDuration(value)
			if err == nil && (c.Poll < 10*time.Millisecond || c.Poll > time.Hour) {
				err = fmt.Errorf("poll: %s, must be 10ms to 1h", value)
			}
		case option == "rate":
			c.Rate, err = strconv.ParseFloat(value, 64)
			if err == nil && !(c.Rate >= 0.01 && c.Rate <= 1e6) {
				err = fmt.Errorf("rate: %s, must be 0.01 to 1000000 calls a second", value)
			}
		case option == "range":
			c.Range, err = strconv.ParseUint(value, 10, 32)
			if err == nil && c.Range == 0 {
				err = fmt.Errorf("range: 0, must be 1 or more blocks")
			}
		case option == "bloom" && (value == "on" || value == "off"):
			c.NoBloom = value == "off"
		case option == "thorough" && (value == "on" || value == "off"):
			c.Thorough = value == "on"
		default:
			err = fmt.Errorf("%q: must be a URL, confirmations=, poll=, rate=, range=, bloom=off or thorough=on", cut(option, 40))
		}
		if err != nil {
			return Chain{}, fmt.Errorf("chain %s: %w", c.Name, err)
		}
	}
	if len(c.URLs) == 0 {
		return Chain{}, fmt.Errorf("chain %s: a provider's URL is missing", c.Name)
	}
	return c, nil
}

func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !letter(c) && c != '-' && c != '.' {
			return false
		}
	}
	return name != "" && len(name) <= 32
}

// checkURL says what is wrong with a provider's URL, without showing it.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return fmt.Errorf("a provider is no URL; it must be as in https://host/path")
	}
	switch u.Scheme {
	case "http", "https", "ws", "wss":
		return nil
	}
	return fmt.Errorf("provider at %s: its scheme must be http, https, ws or wss", u.Host)
}

func (c Chain) withDefaults() Chain {
	local := true
	for _, text := range c.URLs {
		local = local && isLocal(text)
	}
	if c.Confirmations.IsZero() {
		c.Confirmations = triggers.Confirmations{Blocks: 12, Set: true}
	}
	if c.Poll == 0 {
		if c.Poll = 2 * time.Second; local {
			c.Poll = 250 * time.Millisecond
		}
	}
	if c.Range == 0 {
		c.Range = 10_000
	}
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	return c
}

// rate is how many calls a second the provider at that URL gets.
func (c Chain) rate(text string) float64 {
	switch {
	case c.Rate > 0:
		return c.Rate
	case isLocal(text):
		return 1000
	}
	return 50
}

func isLocal(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// cut is the start of s, for an error.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
