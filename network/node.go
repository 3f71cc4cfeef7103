package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// NodeOptions are the settings of a Node. Programs is required.
type NodeOptions struct {
	// Programs builds and removes programs.
	Programs ProgramHandler

	// Allow reports whether the node takes messages of an owner's address. The default value is every address.
	Allow func(address string) bool

	// MaxPending and MaxRejected bound how many messages of that status are kept; the oldest go first.
	// The default value is 10,000 each.
	MaxPending, MaxRejected int

	// MaxLoose bounds the bytes of uploaded files that no message has named yet. The default value is 256 MiB.
	MaxLoose int64

	// Now is the clock. The default value is time.Now.
	Now func() time.Time

	// Log gets what goes wrong when no one waits for the answer. The default value is slog.Default().
	Log *slog.Logger
}

func (o NodeOptions) withDefaults() NodeOptions {
	if o.Allow == nil {
		o.Allow = func(string) bool { return true }
	}
	if o.MaxPending == 0 {
		o.MaxPending = 10_000
	}
	if o.MaxRejected == 0 {
		o.MaxRejected = 10_000
	}
	if o.MaxLoose == 0 {
		o.MaxLoose = 256 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Node takes messages in, puts them in force and keeps them.
//
// A message goes through these steps:
//
//  1. its form, hash and signature are checked; one that fails here leaves no trace
//  2. its content is read and its sender's right to speak for the owner is checked
//  3. what it asks for is planned: files are held, other messages looked up, programs built. This can take seconds and
//     happens outside of any transaction, under locks on the names of what is changed (see keyLocks)
//  4. one transaction records the message and everything that it changes, programs included
//  5. messages that waited for it are tried again
//
// So whenever the process dies, a message is either in force with all its effects or has none. What lies outside of the
// database, files and built programs, is made before the transaction and found unused at the next start if it never came.
type Node struct {
	db      *kv.DB
	blobs   *Blobs
	options NodeOptions
	locks   keyLocks
	queued  map[Status]*atomic.Int64 // pending and rejected messages kept
	order   sync.RWMutex             // of transactions that append to the log; held alone by those that do not share the writer
	logged  chan struct{}            // there are new entries in the log

	life context.Context // ends when the node closes
	end  context.CancelFunc
	work sync.WaitGroup // retries
}

// Open starts a node that keeps its messages in db and files in dataFolder/blobs. It removes files that no message needs
// and tries again, in the background, what is pending. The caller closes db after the node.
func Open(db *kv.DB, dataFolder string, options NodeOptions) (*Node, error) {
	if options.Programs == nil {
		return nil, errors.New("open network: no program handler")
	}
	n := &Node{db: db, options: options.withDefaults(), queued: make(map[Status]*atomic.Int64), logged: make(chan struct{}, 1)}
	var err error
	n.blobs, err = openBlobs(filepath.Join(dataFolder, "blobs"), n.options.MaxLoose, n.isFileNeeded)
	if err != nil {
		return nil, err
	}
	var pending []string
	err = db.View(func(tx *kv.Txn) error {
		rejected, err := below(tx, queuePrefix(StatusRejected))
		if err != nil {
			return err
		}
		pending, err = below(tx, queuePrefix(StatusPending))
		n.queued[StatusRejected], n.queued[StatusPending] = newCounter(len(rejected)), newCounter(len(pending))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open network: %w", err)
	}
	n.life, n.end = context.WithCancel(context.Background())
	n.retry(pending)
	return n, nil
}

// Close stops builds and retries and waits for them. No other method may run or be called any more.
func (n *Node) Close() {
	n.end()
	n.work.Wait()
}

// Blobs are the node's files.
func (n *Node) Blobs() *Blobs { return n.blobs }

// Upload stores a file and tries again what waited for it. See Blobs.Put.
func (n *Node) Upload(content []byte) (hash string, err error) {
	hash, err = n.blobs.Put(content)
	if err != nil {
		return "", err
	}
	n.wake(waitsForFile(hash))
	return hash, nil
}

// Lookup is what the node knows of a message; false if it knows nothing.
func (n *Node) Lookup(hash string) (record *Record, found bool, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		record, found, err = load[Record](tx, messageKey(hash))
		return err
	})
	return record, found, err
}

// Accept takes a message in and waits until it is processed, pending or rejected. Accepting a message again, also at the
// same time, changes nothing; a rejected one is tried again. The error is a *Rejection exactly if the status is
// StatusRejected; with any other error nothing is recorded and the message may be posted again.
func (n *Node) Accept(ctx context.Context, message *Message) (Status, error) {
	return n.AcceptAt(ctx, message, 0)
}

// AcceptAt is Accept for a message that so many events have led to.
func (n *Node) AcceptAt(ctx context.Context, message *Message, depth uint32) (Status, error) {
	if err := message.checkEnvelope(n.options.Now()); err != nil {
		return StatusRejected, err
	}
	if err := message.Verify(); err != nil {
		return StatusRejected, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.life, cancel)()

	unlock := n.locks.lock(lockMessage, message.ItemHash)
	defer unlock()
	before, found, err := n.Lookup(message.ItemHash)
	if err != nil {
		return "", fmt.Errorf("look up message: %w", err)
	}
	received := n.options.Now().UTC()
	if found {
		switch received = before.Received; before.Status {
		case StatusProcessed:
			return StatusProcessed, nil
		case StatusForgotten:
			return StatusRejected, reject(CodeForgotten, "item_hash", "the message was forgotten by %s", strings.Join(before.ForgottenBy, ", "))
		}
	}
	return n.process(ctx, &Record{Message: message, Received: received, Depth: depth}, before)
}

// process plans a message and records the outcome. before is its record until now, nil if there is none. The message is
// locked.
//
// An item hash says nothing of the sender: anyone can sign another's content. So a pending message gives way only to one
// whose sender was found to have the right to send it.
func (n *Node) process(ctx context.Context, r *Record, before *Record) (Status, error) {
	p := &plan{node: n, record: r}
	defer p.close()
	err := p.make(ctx)
	var waits waiting
	var rejection *Rejection
	switch {
	case err == nil:
		r.Status, r.Files = StatusProcessed, p.held
	case errors.As(err, &waits):
		r.Status, r.Waits, r.Files = StatusPending, waits, p.held
	case errors.As(err, &rejection):
		r.Status, r.Rejection = StatusRejected, rejection.bounded()
	default:
		return "", err
	}
	if rejection != nil && rejection.Code == CodeNotAllowed {
		return r.Status, rejection
	}
	retried := before != nil && before.Message == r.Message
	if keep := before != nil && before.Status == StatusPending && !p.authorized && !retried; !keep {
		if err := n.record(r, before, p); err != nil {
			return "", err
		}
	}
	switch r.Status {
	case StatusRejected:
		return r.Status, rejection
	case StatusPending:
		if n.isAvailable(waits) { // it came after the plan looked and before the record could be found
			n.retry([]string{r.Message.ItemHash})
		}
		return r.Status, nil
	}
	n.wake(waitsForMessage(r.Message.ItemHash))
	return r.Status, nil
}

// record writes the outcome of a plan in one transaction.
func (n *Node) record(r, before *Record, p *plan) error {
	update := n.db.GroupUpdate
	if p.isLarge() {
		update = n.db.Update
		n.order.Lock()
		defer n.order.Unlock()
	} else {
		n.order.RLock()
		defer n.order.RUnlock()
	}
	err := update(func(tx *kv.Txn) error {
		if r.Status == StatusProcessed {
			if err := p.commit(tx); err != nil {
				return err
			}
			if err := appendLog(tx, r); err != nil {
				return err
			}
		}
		return saveMessage(tx, r)
	})
	if err != nil {
		return fmt.Errorf("record message: %w", err)
	}
	if r.Status == StatusProcessed {
		select {
		case n.logged <- struct{}{}:
		default:
		}
	}
	p.done = true
	if before != nil && n.queued[before.Status] != nil {
		n.queued[before.Status].Add(-1)
	}
	n.enqueued(r.Status)
	return nil
}

// isAvailable reports whether something that a message waits for is there.
func (n *Node) isAvailable(waits waiting) bool {
	for _, dependency := range waits {
		kind, hash, _ := strings.Cut(dependency, "-")
		if kind == "file" {
			if _, there := n.blobs.Has(hash); there {
				return true
			}
		} else if r, found, err := n.Lookup(hash); err == nil && found && r.Status == StatusProcessed {
			return true
		}
	}
	return false
}

// wake tries again what waits for something that has come. If it fails, the next start does it.
func (n *Node) wake(dependency string) {
	var waiters []string
	err := n.db.View(func(tx *kv.Txn) (err error) {
		waiters, err = below(tx, waitPrefix(dependency))
		return err
	})
	if err != nil {
		n.options.Log.Error("find waiting messages", "for", dependency, "error", err)
	}
	n.retry(waiters)
}

// retry processes pending messages again, one after the other, in the background.
func (n *Node) retry(hashes []string) {
	if len(hashes) == 0 || n.life.Err() != nil {
		return
	}
	n.work.Go(func() {
		for _, hash := range hashes {
			if n.life.Err() != nil {
				return
			}
			if err := n.retryOne(hash); err != nil {
				n.options.Log.Error("retry pending message", "item_hash", hash, "error", err)
			}
		}
	})
}

func (n *Node) retryOne(hash string) error {
	unlock := n.locks.lock(lockMessage, hash)
	defer unlock()
	before, found, err := n.Lookup(hash)
	if err != nil || !found || before.Status != StatusPending {
		return err
	}
	status, err := n.process(n.life, &Record{Message: before.Message, Received: before.Received, Depth: before.Depth}, before)
	if status == StatusRejected || n.life.Err() != nil {
		return nil // the sender finds the reason by the item hash
	}
	return err
}

// enqueued counts a pending or rejected message that was recorded and drops the oldest when there are too many.
func (n *Node) enqueued(status Status) {
	count := n.queued[status]
	if count == nil {
		return
	}
	limit := n.options.MaxRejected
	if status == StatusPending {
		limit = n.options.MaxPending
	}
	if count.Add(1) <= int64(limit) {
		return
	}
	// A part of them at once, since finding the oldest means reading the queue.
	drop := limit/10 + 1
	dropped := 0
	err := n.db.Update(func(tx *kv.Txn) error {
		dropped = 0
		hashes, err := below(tx, queuePrefix(status))
		if err != nil {
			return err
		}
		for _, hash := range hashes[:min(drop, len(hashes))] {
			r, found, err := load[Record](tx, messageKey(hash))
			if err != nil || !found {
				return err
			}
			if err := deleteMessage(tx, r); err != nil {
				return err
			}
			dropped++
		}
		return nil
	})
	if err != nil {
		n.options.Log.Error("drop old messages", "status", status, "error", err)
		return
	}
	count.Add(int64(-dropped))
}

// isFileNeeded reports whether a recorded message needs a file.
func (n *Node) isFileNeeded(file string) (needed bool, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		needed, err = isFileNeeded(tx, file)
		return err
	})
	return needed, err
}

func newCounter(value int) *atomic.Int64 {
	counter := new(atomic.Int64)
	counter.Store(int64(value))
	return counter
}
