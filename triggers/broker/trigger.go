package broker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers/message"
)

const (
	prefix  = "checkpoint/broker/"
	nodeKey = prefix + "node"

	// A broker that cannot be reached is tried again after minPause, and after twice as long each time, up to maxPause.
	minPause = time.Second
	maxPause = 30 * time.Second
)

// Config is what a Trigger is made of. All but Log are required; without Sources there is nothing to do.
type Config struct {
	DB      *kv.DB
	Queue   *queue.Queue
	Post    Post // message.Trigger's
	Sources []Source

	Log *slog.Logger // the default is slog.Default()
}

// Post makes events of what is posted to a topic. Its errors are those of message.Trigger.Post.
type Post func(ctx context.Context, topic, contentType string, body []byte, id string, depth uint32) (message.Receipt, error)

// A Trigger posts what brokers bring to topics.
type Trigger struct {
	cfg   Config
	links []*link
	beat  time.Duration // normalBeat, but in tests

	mu      sync.Mutex
	watched map[string]*watch // by program, / and event
}

// A watch is told when an event has ended.
type watch struct {
	ended chan struct{} // closed then
	by    int           // how many watch
}

// Status is how a broker is doing.
type Status struct {
	Broker string `json:"broker"` // its address and what is read there; no credentials
	Topic  string `json:"topic"`

	State string `json:"state"`           // connecting, connected, waiting (a message cannot be an event now), failed
	Error string `json:"error,omitempty"` // why, while it is waiting or failed

	InFlight     int       `json:"in_flight"`    // messages that are with programs
	Acknowledged uint64    `json:"acknowledged"` // messages, since the node started
	DeadLetters  uint64    `json:"dead_letters"` // of those, that a program failed for the last time
	Refused      uint64    `json:"refused"`      // of those, that could not be events
	Last         time.Time `json:"last,omitzero"`
}

// Open makes a trigger. It connects to no broker until Run.
func Open(cfg Config) (*Trigger, error) {
	if cfg.DB == nil || cfg.Queue == nil || cfg.Post == nil {
		return nil, errors.New("open the brokers: the database, the queue and where to post to are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	t := &Trigger{cfg: cfg, beat: normalBeat, watched: map[string]*watch{}}
	if len(cfg.Sources) == 0 {
		return t, nil
	}
	node, err := t.node()
	if err != nil {
		return nil, fmt.Errorf("open the brokers: %w", err)
	}
	same := map[string]bool{}
	for _, s := range cfg.Sources {
		l := &link{t: t, source: s, slots: make(chan struct{}, s.InFlight), status: Status{Broker: s.String(), Topic: s.Topic, State: "connecting"}}
		if s.Kind == "mqtt" && s.Client == "" {
			l.source.Client = client(node, s.Filter)
		}
		key := s.Kind + " " + s.Address + " " + s.Stream + " " + s.Consumer + l.source.Client
		if same[key] {
			return nil, fmt.Errorf("open the brokers: %v: given twice", s)
		}
		same[key] = true
		t.links = append(t.links, l)
	}
	return t, nil
}

// node is the name that brokers know this node by: random, and always the same.
func (t *Trigger) node() (name string, err error) {
	err = t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error {
		stored, found, err := tx.Get(nodeKey)
		if err != nil || found {
			name = string(stored)
			return err
		}
		var b [4]byte
		rand.Read(b[:])
		name = hex.EncodeToString(b[:])
		return tx.Set(nodeKey, []byte(name))
	})
	return name, err
}

// Run reads from the brokers until ctx is done.
func (t *Trigger) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, l := range t.links {
		running.Go(func() { l.run(ctx) })
	}
	running.Wait()
	return nil
}

// List says how the brokers are doing, in the order in which they were given.
func (t *Trigger) List() []Status {
	list := make([]Status, 0, len(t.links))
	for _, l := range t.links {
		list = append(list, l.now())
	}
	return list
}

// Settled is to hear of the queue's outcomes (queue.Options.Settled). It does not wait.
func (t *Trigger) Settled(s queue.Settlement) {
	if s.State != queue.Acknowledged && s.State != queue.Dead {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := s.Program + "/" + s.ID
	if w := t.watched[key]; w != nil {
		close(w.ended)
		delete(t.watched, key)
	}
}

func (t *Trigger) watch(key string) *watch {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.watched[key]
	if w == nil {
		w = &watch{ended: make(chan struct{})}
		t.watched[key] = w
	}
	w.by++
	return w
}

func (t *Trigger) unwatch(key string, w *watch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.by--; w.by == 0 && t.watched[key] == w {
		delete(t.watched, key)
	}
}
