package alephguest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/host"
)

// An Error is a failed operation of the node: of a fetch, of the store. errors.Is(err, alephguest.Forbidden) asks for its code.
type (
	Error = host.Error
	Code  = host.Code
)

// The codes of errors.
const (
	InvalidArgument  = host.InvalidArgument
	NotACounter      = host.NotACounter
	QuotaExceeded    = host.QuotaExceeded
	ValueTooLarge    = host.ValueTooLarge
	Unavailable      = host.Unavailable
	UnknownOperation = host.UnknownOperation
	Network          = host.Network
	Forbidden        = host.Forbidden
	TimedOut         = host.TimedOut
	Closed           = host.Closed
	TooMany          = host.TooMany
	NotNow           = host.NotNow
)

// Kind is what an event is.
type Kind uint32

// The kinds of events. All but HTTP come as a POST to "/" with the event's payload as the body.
const (
	HTTP Kind = iota
	Schedule
	Message
	Topic
	Log
	Block
	Transfer
)

// String is the kind's name, as "schedule".
func (k Kind) String() string {
	if names := [...]string{"http", "schedule", "message", "topic", "log", "block", "transfer"}; int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// An Event is what happened, beside the request that a handler sees.
type Event struct {
	ID        string // the same at every attempt at the event, and at no other event of the program
	RequestID string // also the id in the log and in errors
	Kind      Kind
	Attempt   int // 1 is the first
	Time      time.Time
	Deadline  time.Time // the node ends the event then
	Program   string    // the program's item hash
	Node      string
	Account   string // the owner's address

	details []detail
	seed    [16]byte
}

type detail struct{ name, json string }

type eventKey struct{}

// EventOf gives the event of a request's context; nil if it is not of one.
func EventOf(ctx context.Context) *Event {
	e, _ := ctx.Value(eventKey{}).(*Event)
	return e
}

// Detail reads what else is known of an event that is not of HTTP ("trigger", "scheduled_at", "topic", "message", "log" and so on) into what
// to points to, as json.Unmarshal does. False if there is no such detail, or it is not of that type.
func (e *Event) Detail(name string, to any) bool {
	for i := len(e.details) - 1; i >= 0; i-- {
		if e.details[i].name == name {
			return json.Unmarshal([]byte(e.details[i].json), to) == nil
		}
	}
	return false
}

// Rand gives a generator that begins differently in each instance, which the functions of math/rand do not: they go on from where they were
// when the program was deployed. It is not for secrets; crypto/rand is.
func (e *Event) Rand() *rand.Rand {
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(e.seed[:]), binary.LittleEndian.Uint64(e.seed[8:])))
}

// A request is an event as it was read.
type request struct {
	Event
	method, path, query, root, client string
	headers                           []header
	body                              string
	follows                           bool
}

type header struct{ name, value string }

// read reads an event's frame. Its strings are views of text.
func (q *request) read(text string) error {
	unix := func(ns uint64) time.Time { return time.Unix(0, int64(min(ns, 1<<63-1))) }
	r := frame.Read(text)
	for r.Next() {
		switch r.Tag {
		case frame.Kind:
			q.Kind = Kind(r.U32())
		case frame.RequestID:
			q.RequestID = r.Value
		case frame.EventID:
			q.ID = r.Value
		case frame.Attempt:
			q.Attempt = int(r.U32())
		case frame.Deadline:
			q.Deadline = unix(r.U64())
		case frame.Time:
			q.Time = unix(r.U64())
		case frame.Program:
			q.Program = r.Value
		case frame.Node:
			q.Node = r.Value
		case frame.Account:
			q.Account = r.Value
		case frame.Seed:
			copy(q.seed[:], r.Value)
		case frame.Detail:
			name, value := r.Pair()
			q.details = append(q.details, detail{name, value})
		case frame.Method:
			q.method = r.Value
		case frame.Path:
			q.path = r.Value
		case frame.Query:
			q.query = r.Value
		case frame.Header:
			name, value := r.Pair()
			q.headers = append(q.headers, header{name, value})
		case frame.Body:
			q.body = r.Value
		case frame.BodyFollows:
			q.follows = r.U32() == 1
		case frame.Root:
			q.root = r.Value
		case frame.Client:
			q.client = r.Value
		}
	}
	if q.ID == "" {
		q.ID = q.RequestID
	}
	return r.Err()
}
