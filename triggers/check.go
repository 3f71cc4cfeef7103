package triggers

import (
	"fmt"
	"time"
)

// Limits of a declaration.
const (
	MaxName    = 64  // bytes of a trigger's name
	MaxOfAKind = 100 // triggers of one list

	MaxConcurrency = 256
	MaxAttempts    = 100
	MaxBackoff     = 24 * time.Hour
)

// Complete gives each trigger that has no name its default, and checks what all kinds have in common: names and delivery.
// The error is an *Error. Each kind's own fields are checked by its package.
func (d *Declaration) Complete() error {
	names := map[string]string{}
	for i := range d.Schedules {
		if err := name(names, &d.Schedules[i].Name, "schedule", "schedules", i); err != nil {
			return err
		}
	}
	for i := range d.Messages {
		if err := name(names, &d.Messages[i].Name, "message", "messages", i); err != nil {
			return err
		}
	}
	for i := range d.Topics {
		if err := name(names, &d.Topics[i].Name, "topic", "topics", i); err != nil {
			return err
		}
	}
	for i := range d.Chains {
		if err := name(names, &d.Chains[i].Name, d.Chains[i].Kind(), "chains", i); err != nil {
			return err
		}
	}
	return d.Delivery.check()
}

// Empty says that nothing is declared to make events.
func (d *Declaration) Empty() bool {
	return d == nil || len(d.Schedules)+len(d.Messages)+len(d.Topics)+len(d.Chains) == 0
}

// Kind names the kind of the chain's events: log, block or transfer.
func (c *Chain) Kind() string {
	switch {
	case c.Transfer:
		return "transfer"
	case c.Block > 0:
		return "block"
	}
	return "log"
}

// name completes and checks one name.
func name(names map[string]string, name *string, kind, list string, i int) error {
	field := fmt.Sprintf("%s[%d]", list, i)
	if i >= MaxOfAKind {
		return Errorf(list, "over %d, the limit", MaxOfAKind)
	}
	if *name == "" {
		*name = fmt.Sprintf("%s-%d", kind, i+1)
	}
	if len(*name) > MaxName {
		return Errorf(field+".name", "%d bytes, limit %d", len(*name), MaxName)
	}
	for _, c := range []byte(*name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return Errorf(field+".name", "%q: letters, digits, -, _ and . only", *name)
		}
	}
	if other, taken := names[*name]; taken {
		return Errorf(field+".name", "%q is that of %s, too", *name, other)
	}
	names[*name] = field
	return nil
}

func (d *Delivery) check() error {
	switch {
	case d.Concurrency < 0 || d.Concurrency > MaxConcurrency:
		return Errorf("delivery.concurrency", "%d, must be 1 to %d", d.Concurrency, MaxConcurrency)
	case d.Attempts < 0 || d.Attempts > MaxAttempts:
		return Errorf("delivery.attempts", "%d, must be 1 to %d", d.Attempts, MaxAttempts)
	case time.Duration(d.Backoff) > MaxBackoff:
		return Errorf("delivery.backoff", "%v, limit %v", time.Duration(d.Backoff), MaxBackoff)
	case time.Duration(d.MaxBackoff) > MaxBackoff:
		return Errorf("delivery.max_backoff", "%v, limit %v", time.Duration(d.MaxBackoff), MaxBackoff)
	case d.Effects != "" && d.Effects != "once":
		return &Error{Field: "delivery.effects", Text: fmt.Sprintf("%q is none", d.Effects), Hint: `"once", or leave it out`}
	}
	return nil
}
