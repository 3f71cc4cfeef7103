package queue

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// Keys of records; doc.go has the layout.
const (
	root      = "queue/"
	bootKey   = root + "boot"
	clockKey  = root + "clock"
	activeKey = root + "active/" // + program
	totalsKey = root + "totals/"
	pausedKey = root + "paused/"

	eventKey   = root + "event/"   // + program / number
	readyKey   = root + "ready/"   // + program / turn
	delayedKey = root + "delayed/" // + program / due, number
	waitingKey = root + "waiting/" // + program / hash of the key, number in its line
	lineKey    = root + "line/"    // + program / hash of the key
	idKey      = root + "id/"      // + program / id
	deadKey    = root + "dead/"    // + program / number
	endedKey   = root + "ended/"   // + program / number among those that ended
	resultKey  = root + "result/"  // + program / number among the results
)

// ofProgram are the kinds of records that a program has many of.
var ofProgram = []string{eventKey, readyKey, delayedKey, waitingKey, lineKey, idKey, deadKey, endedKey, resultKey}

func below(kind, program string) string { return kind + program + "/" }

// numbered is a key that ends in numbers, which sort.
func numbered(kind, program string, numbers ...uint64) string {
	b := append(append(append(make([]byte, 0, len(kind)+len(program)+1+8*len(numbers)), kind...), program...), '/')
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return string(b)
}

// number is the nth number of a key below prefix.
func number(key, prefix string, n int) (uint64, error) {
	if len(key) < len(prefix)+8*(n+1) {
		return 0, fmt.Errorf("queue: broken key %q", key)
	}
	return binary.BigEndian.Uint64([]byte(key[len(prefix)+8*n:])), nil
}

// hash stands for an ordering key, empty for none.
func hash(key string) string {
	if key == "" {
		return ""
	}
	h := sha256.Sum256([]byte(key))
	return string(h[:16])
}

func waitingIn(program, line string, n uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(below(waitingKey, program)+line), n))
}

const format = 1 // the first byte of every record

// errRecord: a record is not what this package writes.
var errRecord = errors.New("queue: broken record")

// writer and reader are the records' form: a byte for the format, then the fields in order; numbers are varints, texts have
// their length before them.
type writer []byte

func (w *writer) number(n uint64) { *w = binary.AppendUvarint(*w, n) }
func (w *writer) time(t int64)    { *w = binary.AppendVarint(*w, t) }
func (w *writer) text(s string) {
	w.number(uint64(len(s)))
	*w = append(*w, s...)
}

type reader struct {
	b      []byte
	broken bool
}

func read(b []byte) *reader {
	if len(b) == 0 || b[0] != format {
		return &reader{broken: true}
	}
	return &reader{b: b[1:]}
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.broken, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) time() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.broken, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) bytes(limit int) []byte {
	n := r.number()
	if n > uint64(min(limit, len(r.b))) {
		r.broken, r.b = true, nil
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) text(limit int) string { return string(r.bytes(limit)) }

func (r *reader) end() error {
	if r.broken || len(r.b) > 0 {
		return errRecord
	}
	return nil
}

// encodeEvent is the part of an event that never changes.
func encodeEvent(e *Event) []byte {
	w := append(make(writer, 0, len(e.Payload)+len(e.Key)+len(e.Trigger)+40), format)
	w.number(uint64(e.Depth))
	w.text(e.Key)
	w.text(e.Trigger)
	w.time(unix(e.Scheduled))
	w.number(uint64(len(e.Payload)))
	return append(w, e.Payload...)
}

// decodeEvent reads what encodeEvent wrote. The payload is a part of b.
func decodeEvent(b []byte) (e Event, err error) {
	r := read(b)
	depth := r.number()
	e.Key, e.Trigger, e.Scheduled, e.Payload = r.text(MaxKey), r.text(MaxTrigger), moment(r.time()), r.bytes(MaxPayload)
	e.Depth = uint32(depth)
	if depth > math.MaxUint32 {
		return Event{}, errRecord
	}
	if err := r.end(); err != nil {
		return Event{}, err
	}
	return e, nil
}

// unix and moment are a time in Unix nanoseconds; 0 is the zero time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// state is the part of an event that changes. It is the value of the one record that says where the event is: ready, delayed,
// waiting or dead.
type state struct {
	number   uint64 // of the event; greater is later
	id       string
	kind     uint32
	line     string // the hash of its key; empty for none
	size     uint64 // bytes of the event's record
	accepted int64  // by the queue's clock, as due
	due      int64
	attempt  uint64 // the last that was begun
	returned uint64 // the last that ended while the node lived, or from which on it counts
	failures uint64 // since it was accepted, or taken from the dead letters
	died     int64  // when it became a dead letter
	err      string // of the last failure
	event    []byte // the event's record, of one that has none of its own
}

func (s *state) encode() []byte {
	w := append(make(writer, 0, len(s.id)+len(s.line)+len(s.err)+len(s.event)+64), format)
	w.number(s.number)
	w.text(s.id)
	w.number(uint64(s.kind))
	w.text(s.line)
	w.number(s.size)
	w.time(s.accepted)
	w.time(s.due)
	w.number(s.attempt)
	w.number(s.returned)
	w.number(s.failures)
	w.time(s.died)
	w.text(s.err)
	w.number(uint64(len(s.event)))
	return append(w, s.event...)
}

// decodeState reads what encode wrote. The event is a part of b.
func decodeState(b []byte) (s state, err error) {
	r := read(b)
	s.number, s.id = r.number(), r.text(MaxID)
	kind := r.number()
	s.kind, s.line, s.size = uint32(kind), r.text(16), r.number()
	s.accepted, s.due = r.time(), r.time()
	s.attempt, s.returned, s.failures = r.number(), r.number(), r.number()
	s.died, s.err = r.time(), r.text(maxError)
	if s.event = r.bytes(maxWhole); len(s.event) == 0 {
		s.event = nil
	}
	if kind > math.MaxUint32 || s.line != "" && len(s.line) != 16 || s.returned > s.attempt || s.attempt > math.MaxUint32 {
		return state{}, errRecord
	}
	if err := r.end(); err != nil {
		return state{}, err
	}
	return s, nil
}

// active is a program that has events to deliver; it has no such record when it has none.
type active struct {
	ready, delayed, waiting uint64 // events; those that run are ready
	bytes                   uint64 // of their records
	low                     uint64 // no ready event has an earlier turn
}

func (a *active) events() uint64 { return a.ready + a.delayed + a.waiting }

func (a *active) encode() []byte {
	w := append(make(writer, 0, 32), format)
	for _, n := range []uint64{a.ready, a.delayed, a.waiting, a.bytes, a.low} {
		w.number(n)
	}
	return w
}

func decodeActive(b []byte) (a active, err error) {
	r := read(b)
	for _, n := range []*uint64{&a.ready, &a.delayed, &a.waiting, &a.bytes, &a.low} {
		*n = r.number()
	}
	if err := r.end(); err != nil {
		return active{}, err
	}
	return a, nil
}

// totals is what a program's events have come to. Of the numbered records of a kind those from low on may be there.
type totals struct {
	acknowledged, failures uint64 // events, attempts
	dead, deadBytes        uint64 // letters that are kept
	deadLow                uint64
	dropped                uint64 // dead letters that gave way to others
	ended, endedLow        uint64
	results, resultsLow    uint64
}

func (t *totals) fields() []*uint64 {
	return []*uint64{&t.acknowledged, &t.failures, &t.dead, &t.deadBytes, &t.deadLow, &t.dropped, &t.ended, &t.endedLow, &t.results, &t.resultsLow}
}

func (t *totals) encode() []byte {
	w := append(make(writer, 0, 48), format)
	for _, n := range t.fields() {
		w.number(*n)
	}
	return w
}

func decodeTotals(b []byte) (t totals, err error) {
	r := read(b)
	for _, n := range t.fields() {
		*n = r.number()
	}
	if err := r.end(); err != nil {
		return totals{}, err
	}
	return t, nil
}

// line is the waiting events of one ordering key, by number in the line; it is there while one of its events is ready or delayed.
type line struct{ next, end uint64 }

func (l *line) encode() []byte {
	w := append(make(writer, 0, 16), format)
	w.number(l.next)
	w.number(l.end)
	return w
}

func decodeLine(b []byte) (l line, err error) {
	r := read(b)
	l.next, l.end = r.number(), r.number()
	if l.next > l.end {
		return line{}, errRecord
	}
	if err := r.end(); err != nil {
		return line{}, err
	}
	return l, nil
}

// Result is what a program made of an event that it acknowledged.
type Result struct {
	ID      string // of the event
	Kind    uint32
	Attempt uint32
	Ended   time.Time
	Data    []byte
}

func (r *Result) encode() []byte {
	w := append(make(writer, 0, len(r.ID)+len(r.Data)+32), format)
	w.text(r.ID)
	w.number(uint64(r.Kind))
	w.number(uint64(r.Attempt))
	w.time(unix(r.Ended))
	w.text(string(r.Data))
	return w
}

func decodeResult(b []byte) (res Result, err error) {
	r := read(b)
	res.ID = r.text(MaxID)
	kind, attempt := r.number(), r.number()
	res.Kind, res.Attempt, res.Ended = uint32(kind), uint32(attempt), moment(r.time())
	res.Data = r.bytes(MaxResult)
	if kind > math.MaxUint32 || attempt > math.MaxUint32 {
		return Result{}, errRecord
	}
	if err := r.end(); err != nil {
		return Result{}, err
	}
	return res, nil
}
