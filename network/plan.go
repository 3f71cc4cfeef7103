package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/aleph-edge/aleph-edge/kv"
)

// plan is what putting one message in force takes, found out before the transaction that does it. It holds locks and
// files until close.
type plan struct {
	node       *Node
	record     *Record // of the message; the plan fills in Owner
	authorized bool    // the sender may speak for the owner
	done       bool    // the transaction was committed

	unlocks []func()
	held    []string // files that the message needs
	writes  []func(*kv.Txn) error
	changes []Change // of programs
	removes []string // files that may not be needed any more
}

// waiting is the error of a plan that lacks something which may still come.
type waiting []string

func (w waiting) Error() string { return "waits for " + strings.Join(w, ", ") }

// lock takes names of one class until the plan is closed.
func (p *plan) lock(class string, names ...string) {
	p.unlocks = append(p.unlocks, p.node.locks.lock(class, names...))
}

// write adds to the transaction. The function may run more than once.
func (p *plan) write(f func(*kv.Txn) error) { p.writes = append(p.writes, f) }

// commit does in a transaction what was planned.
func (p *plan) commit(tx *kv.Txn) error {
	for _, write := range p.writes {
		if err := write(tx); err != nil {
			return err
		}
	}
	for _, change := range p.changes {
		if err := change.Commit(tx); err != nil {
			return err
		}
	}
	return nil
}

// isLarge says whether the transaction may read or write much, so that others should not wait for it in the database's writer.
func (p *plan) isLarge() bool { return len(p.changes) > 0 || p.record.Message.Type == TypeForget }

// close ends the changes of programs, gives up files that are not needed, and the locks.
func (p *plan) close() {
	inForce := p.done && p.record.Status == StatusProcessed
	for _, change := range p.changes {
		if inForce {
			change.Applied()
		} else {
			change.Dropped()
		}
	}
	if inForce {
		p.node.settleFiles(p.removes, (*Blobs).remove)
	}
	p.node.settleFiles(p.held, (*Blobs).release)
	for i := len(p.unlocks) - 1; i >= 0; i-- {
		p.unlocks[i]()
	}
}

// make finds out what the message asks for. The error is waiting, a *Rejection, or one of the node's own.
func (p *plan) make(ctx context.Context) error {
	n, message := p.node, p.record.Message
	text, err := n.contentOf(message)
	if err != nil {
		return err
	}
	c, err := decodeContent(message.Type, text, n.options.Now())
	if err != nil {
		return err
	}
	p.record.Owner, p.record.Terms = c.owner(), termsOf(message, c)
	if err := n.checkSender(message, c); err != nil {
		return err
	}
	p.authorized = true
	if err := n.checkAllowed(c); err != nil {
		return err
	}
	var files []string
	if message.ItemType == ItemStorage {
		files = append(files, message.ItemHash)
	}
	switch c := c.(type) {
	case *Store:
		if err := p.holdFiles(append(files, c.ItemHash), nil); err != nil {
			return err
		}
		return p.store(ctx, c)
	case *Forget:
		return p.forget(ctx, c, files)
	}
	if err := p.holdFiles(files, nil); err != nil {
		return err
	}
	switch c := c.(type) {
	case *Program:
		return p.program(ctx, c)
	case *Aggregate:
		return p.aggregate(c)
	case *Post:
		return p.post(c)
	}
	return fmt.Errorf("content of type %T is not handled", c)
}

// checkAllowed checks that the node takes messages of the owner.
func (n *Node) checkAllowed(c content) error {
	if n.options.Allow(c.owner()) {
		return nil
	}
	return reject(CodeNotAllowed, "content.address", "this node takes no messages of %s", shorten(c.owner())).
		hint("start the node with --allow-account and the address, or with --open")
}

// contentOf is the text of a message's content, wherever it is kept.
func (n *Node) contentOf(message *Message) ([]byte, error) {
	if message.ItemType == ItemInline {
		return []byte(message.ItemContent), nil
	}
	size, there := n.blobs.Has(message.ItemHash)
	if there && size > MaxContent {
		return nil, reject(CodeTooLarge, "content", "%d bytes, the limit is %d", size, MaxContent)
	}
	text, err := n.blobs.Read(message.ItemHash)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, waiting{waitsForFile(message.ItemHash)}
	}
	return text, err
}

// readContent reads the content of a message that was checked when it came.
func (n *Node) readContent(message *Message, c content) error {
	text, err := n.contentOf(message)
	if err == nil {
		err = decode(text, "content", c)
	}
	if err != nil {
		return fmt.Errorf("content of %s %s: %v", message.Type, message.ItemHash, err) // not the new message's fault
	}
	return nil
}

// holdFiles locks files and keeps those that the message needs from being removed: its content, if that is in storage,
// and the file of a STORE.
func (p *plan) holdFiles(needed, others []string) error {
	p.lock(lockFile, slices.Concat(needed, others)...)
	var missing waiting
	for _, file := range needed {
		if p.node.blobs.hold(file) {
			p.held = append(p.held, file)
		} else {
			missing = append(missing, waitsForFile(file))
		}
	}
	if missing != nil {
		return missing
	}
	return nil
}

// settleFiles removes or releases the files that no recorded message needs. They are locked. What is left behind on
// failure is removed when the node starts.
func (n *Node) settleFiles(files []string, settle func(*Blobs, string) error) {
	for _, file := range files {
		needed, err := n.isFileNeeded(file)
		if err == nil && !needed {
			err = settle(n.blobs, file)
		}
		if err != nil {
			n.options.Log.Warn("remove file", "hash", file, "error", err)
		}
	}
}
