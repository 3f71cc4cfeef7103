package message

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// Limits of what is posted to a topic.
const (
	MaxTopic       = 128                         // bytes of a topic's name
	MaxKey         = 100                         // bytes of an idempotency key
	MaxContentType = 256                         // bytes
	MaxBody        = queue.MaxPayload - 1024     // bytes, so that an event holds the rest, too
	maxPost        = queue.MaxEventsBytes - 4096 // bytes of one Accept
	maxFanOut      = 256 << 20                   // bytes of all programs' copies of a body
)

// retryAfter is when a post should be tried again whose programs have too many events.
const retryAfter = 5 * time.Second

// An Error is why what was posted to a topic was not taken, or not for all programs.
type Error struct {
	Status  int    // of the HTTP answer: 404, 413, 422 or 503
	Code    string // stable
	Message string
	Hint    string // what to do; may be empty

	RetryAfter time.Duration // when it can be tried again; 0: it cannot
}

func (e *Error) Error() string { return e.Message }

func fail(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) hint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// A Receipt is for something that was posted: all of these programs have it as an event with that id, on the disk.
type Receipt struct {
	ID       string
	Programs []string
}

// topics are who hears what is posted where.
type topics struct {
	mu       sync.RWMutex // held for reading while events are accepted, so that none comes for a program after it left
	programs map[string]map[string]subscription
	of       map[string][]triggers.Topic

	last sync.Map // [2]string{program, topic} → time.Time
}

type subscription struct {
	name    string // of the trigger
	ordered bool
}

// set replaces what a program hears.
func (s *topics) set(program string, declared []triggers.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, before := range s.of[program] {
		delete(s.programs[before.Topic], program)
		if len(s.programs[before.Topic]) == 0 {
			delete(s.programs, before.Topic)
		}
		if !slices.ContainsFunc(declared, func(now triggers.Topic) bool { return now.Topic == before.Topic }) {
			s.last.Delete([2]string{program, before.Topic})
		}
	}
	delete(s.of, program)
	if len(declared) == 0 {
		return
	}
	s.of[program] = slices.Clone(declared)
	for _, topic := range declared {
		if s.programs[topic.Topic] == nil {
			s.programs[topic.Topic] = map[string]subscription{}
		}
		s.programs[topic.Topic][program] = subscription{topic.Name, topic.Ordered}
	}
}

func (s *topics) list(program string) (list []triggers.Status) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, topic := range s.of[program] {
		last, _ := s.last.Load([2]string{program, topic.Topic})
		at, _ := last.(time.Time)
		list = append(list, triggers.Status{Name: topic.Name, Kind: "topic", Spec: topic.Topic, State: "active", Last: at})
	}
	return list
}

// checkTopic says what is wrong with a topic's name: it is one segment of a path that nothing on the way changes.
func checkTopic(name string) *Error {
	if name == "" || len(name) > MaxTopic {
		return fail(422, "invalid_argument", "a topic's name has 1 to %d bytes, not %d", MaxTopic, len(name))
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' && c != ':' {
			return fail(422, "invalid_argument", "%.40q is not a topic's name", name).hint("letters, digits and _ - . :, as in orders.created")
		}
	}
	if name == "." || name == ".." {
		return fail(422, "invalid_argument", "%q is not a topic's name", name)
	}
	return nil
}

// Post makes an event of body for each program that hears a topic. What was posted with the same id to the same topic before is not
// an event again, for as long as the queue knows it; an empty id is a random one. Programs do not wait for each other: the error may
// be an *Error with RetryAfter, if some have too many events; posting again with the id in its Hint's words, that of the Receipt
// without its topic, then reaches those, and only those.
func (t *Trigger) Post(ctx context.Context, topic, contentType string, body []byte, id string, depth uint32) (Receipt, error) {
	if err := cmp.Or(checkTopic(topic), checkPost(contentType, body, id)); err != nil {
		return Receipt{}, err
	}
	if id == "" {
		id = queue.NewID()
	}
	t.topics.mu.RLock()
	defer t.topics.mu.RUnlock()
	heard := t.topics.programs[topic]
	if len(heard) == 0 {
		return Receipt{}, fail(404, "not_found", "no program hears the topic %s", topic).hint("deploy one with --topic %s", topic)
	}
	if len(body)*len(heard) > maxFanOut {
		return Receipt{}, fail(413, "body_too_large", "the body's %d bytes for each of %d programs are over the limit of %d bytes", len(body), len(heard), maxFanOut).
			hint("post where it can be fetched from")
	}
	receipt := Receipt{ID: "topic:" + topic + ":" + id, Programs: slices.Sorted(maps.Keys(heard))}
	payload := post{topic, contentType, body}.encode()
	events := make([]queue.Event, 0, len(heard))
	for _, program := range receipt.Programs {
		e := queue.Event{Program: program, ID: receipt.ID, Kind: abi.KindTopic, Trigger: heard[program].name, Payload: payload, Depth: depth}
		if heard[program].ordered {
			e.Key = "topic:" + topic
		}
		events = append(events, e)
	}
	full := 0
	for some := range slices.Chunk(events, max(1, min(queue.MaxEvents, maxPost/(len(payload)+512)))) {
		if err := ctx.Err(); err != nil {
			return Receipt{}, err
		}
		refused, err := t.accept(some, topic)
		if err != nil {
			return Receipt{}, err
		}
		full += refused
	}
	if full > 0 {
		err := fail(503, "quota_exceeded", "%d of %d programs that hear the topic %s have too many events to be delivered", full, len(heard), topic).
			hint("post it again with Idempotency-Key: %s; the others do not get it twice", id)
		err.RetryAfter = retryAfter
		return Receipt{}, err
	}
	return receipt, nil
}

func checkPost(contentType string, body []byte, id string) *Error {
	switch {
	case len(body) > MaxBody:
		return fail(413, "body_too_large", "the body has %d bytes, the limit is %d", len(body), MaxBody)
	case len(contentType) > MaxContentType || !isText(contentType):
		return fail(422, "invalid_argument", "the content type is not text of up to %d bytes", MaxContentType)
	case len(id) > MaxKey || !isText(id):
		return fail(422, "invalid_argument", "the idempotency key is not text of up to %d bytes", MaxKey)
	}
	return nil
}

func isText(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// accept has the queue accept events, but for those of programs that have too many: it says how many those are.
func (t *Trigger) accept(events []queue.Event, topic string) (full int, err error) {
	for {
		_, err := t.cfg.Queue.Accept(events, nil)
		var refusal *queue.RefusedError
		switch {
		case err == nil:
			now := t.cfg.Now()
			for i := range events {
				t.topics.last.Store([2]string{events[i].Program, topic}, now)
			}
			return full, nil
		case !errors.As(err, &refusal):
			return 0, err
		case errors.Is(err, queue.ErrTooDeep):
			return 0, fail(422, "too_deep", "it is not taken: %v", refusal.Err).hint("programs that post what they are run by go round in circles")
		case !errors.Is(err, kv.ErrQuotaExceeded):
			return 0, fmt.Errorf("post to the topic %s: %w", topic, err)
		}
		full++
		if events = slices.Delete(slices.Clone(events), refusal.Index, refusal.Index+1); len(events) == 0 {
			return full, nil
		}
	}
}
