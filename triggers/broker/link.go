package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers/message"
)

// normalBeat is how often a broker hears that a message is still worked on, and the queue is asked anew what has become of it.
const normalBeat = 3 * time.Second

// A link is the way to one broker.
type link struct {
	t      *Trigger
	source Source
	slots  chan struct{} // one for each message in flight

	mu     sync.Mutex
	status Status
	last   turn // of the message that came last
}

// A turn is a message's place in the order in which messages are posted, which is that in which they came: closed when the one after
// may be.
type turn chan struct{}

// turn gives a message that came its own, and that of the one before.
func (l *link) turn() (before, own turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before = l.last; before == nil {
		before = make(turn)
		close(before)
	}
	l.last = make(turn)
	return before, l.last
}

// A note is a message of a broker.
type note struct {
	id          string
	contentType string // empty: what the body looks like
	body        []byte
	depth       uint32

	alive func()        // tells the broker that it is worked on; may be nil
	end   func(verdict) // tells the broker that it has ended
}

type verdict uint8

const (
	acknowledged verdict = iota
	dead                 // a program failed for the last time
	refused              // it can be no event
)

// run connects again and again until ctx is done.
func (l *link) run(ctx context.Context) {
	pause := minPause
	for ctx.Err() == nil {
		err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if l.now().State != "failed" { // it was connected
			pause = minPause
		}
		l.t.cfg.Log.Warn("a broker is not connected; it is tried again", "broker", l.source.String(), "error", err, "after", pause)
		l.set("failed", err)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, maxPause)
	}
}

// session reads messages until the connection is lost or ctx done, and has ended all it began when it returns.
func (l *link) session(ctx context.Context) error {
	if l.source.Kind == "nats" {
		return l.nats(ctx)
	}
	return l.mqtt(ctx)
}

// deliver posts a message in its turn and tells the broker when no program has it to do any more. If ctx ends before, the broker has to
// bring it again.
func (l *link) deliver(ctx context.Context, n *note, before, own turn) {
	l.count(1)
	defer l.count(-1)
	beats := time.NewTicker(l.t.beat)
	defer beats.Stop()
	receipt, posted := l.inTurn(ctx, n, beats, before, own)
	if !posted {
		return
	}
	v := acknowledged
	for _, program := range receipt.Programs {
		state, err := l.await(ctx, n, program, receipt.ID, beats)
		if err != nil {
			return
		}
		if state == queue.Dead {
			v = dead
		}
	}
	l.end(n, v)
}

func (l *link) inTurn(ctx context.Context, n *note, beats *time.Ticker, before, own turn) (message.Receipt, bool) {
	defer close(own)
	if l.wait(ctx, n, before, beats) != nil {
		return message.Receipt{}, false
	}
	if n.contentType == "" {
		n.contentType = looks(n.body)
	}
	return l.post(ctx, n, beats)
}

func (l *link) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.InFlight += n
}

// end tells the broker, and counts.
func (l *link) end(n *note, v verdict) {
	n.end(v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Acknowledged++
	l.status.Last = time.Now()
	switch v {
	case dead:
		l.status.DeadLetters++
	case refused:
		l.status.Refused++
	}
}

// post makes events of the message, as often as it takes. It is false if there will be none.
func (l *link) post(ctx context.Context, n *note, beats *time.Ticker) (message.Receipt, bool) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		receipt, err := l.t.cfg.Post(ctx, l.source.Topic, n.contentType, n.body, n.id, n.depth)
		if err == nil {
			l.set("connected", nil)
			return receipt, true
		}
		if ctx.Err() != nil {
			return receipt, false
		}
		var typed *message.Error
		if errors.As(err, &typed) && (typed.Code == "body_too_large" || typed.Code == "too_deep") {
			l.t.cfg.Log.Error("a broker's message can be no event; it is acknowledged", "broker", l.source.String(), "id", n.id, "error", err)
			l.end(n, refused)
			return receipt, false
		}
		l.set("waiting", err)
		over := make(chan struct{})
		timer := time.AfterFunc(pause, func() { close(over) })
		err = l.wait(ctx, n, over, beats)
		timer.Stop()
		if err != nil {
			return receipt, false
		}
	}
}

// wait waits, and lets the broker know.
func (l *link) wait(ctx context.Context, n *note, over <-chan struct{}, beats *time.Ticker) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			return nil
		case <-beats.C:
			n.live()
		}
	}
}

func (n *note) live() {
	if n.alive != nil {
		n.alive()
	}
}

// await waits until an event has ended, and says how. One that nobody knows any more has, too: its program was removed.
func (l *link) await(ctx context.Context, n *note, program, id string, beats *time.Ticker) (queue.State, error) {
	key := program + "/" + id
	for {
		w := l.t.watch(key)
		state, known, err := l.t.cfg.Queue.Find(program, id)
		if err == nil && (!known || state != queue.Pending) {
			l.t.unwatch(key, w)
			return state, nil
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-w.ended:
			err = nil
		case <-beats.C:
			n.live()
			err = nil
		}
		l.t.unwatch(key, w)
		if err != nil {
			return "", err
		}
	}
}

// take gets a place for a message in flight, if there is one.
func (l *link) take() bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *link) give() { <-l.slots }

func (l *link) set(state string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.State, l.status.Error = state, ""
	if err != nil {
		l.status.Error = err.Error()
	}
}

func (l *link) now() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// tls is how the broker is to prove who it is.
func (l *link) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.source.CA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(l.source.CA)
	if err != nil {
		return nil, fmt.Errorf("read the certificates: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate is in %s", l.source.CA)
	}
	return config, nil
}

// looks is a body's content type by its looks.
func looks(body []byte) string {
	switch {
	case json.Valid(body):
		return "application/json"
	case utf8.Valid(body):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}
