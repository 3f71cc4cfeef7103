package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/aleph-edge/aleph-edge/kv"
)

// The log of messages says in which order they were processed. An entry is written in the transaction that puts its message in
// force, so a reader that keeps how far it has read misses none, whenever the process dies. Sequences count from 1 without gaps, also
// across restarts. Entries stay until TrimMessages.
//
// The sequence is the one record that every message writes. Messages share the database's writer (kv.DB.GroupUpdate), where that
// costs nothing. Deploys and FORGETs, which may read much, have a transaction of their own, while the others wait (Node.order):
// otherwise they would meet a conflict each time that a message came meanwhile.
const (
	sequenceKey = keyRoot + "sequence" // of the last message
	trimmedKey  = keyRoot + "trimmed"  // the last sequence without an entry
	logPrefix   = keyRoot + "log/"
)

func logKey(sequence uint64) string { return fmt.Sprintf("%s%016x", logPrefix, sequence) }

// maxRead is when Messages returns what it has, in bytes of contents.
const maxRead = 1 << 20

// trimmed is how many entries one transaction deletes.
const trimmed = 2048

// maxCopied bounds the content that an entry holds, in bytes. A larger one is read from where it is kept.
const maxCopied = 16 << 10

// A Processed message is an entry of the log.
type Processed struct {
	Sequence uint64
	Hash     string   // item hash; empty if it has been forgotten, and the rest, too
	Depth    uint32   // how many events have led to it; 0 from outside
	Message  *Message // without its signature and ItemContent
	Content  []byte   // its content, as JSON, wherever it is kept
}

// appendLog writes a message's entry. It holds all that a reader of the log looks at, so that reading many is one pass.
func appendLog(tx *kv.Txn, r *Record) error {
	last, err := loadSequence(tx, sequenceKey)
	if err != nil {
		return err
	}
	if err := saveSequence(tx, sequenceKey, last+1); err != nil {
		return err
	}
	r.Sequence = last + 1
	return tx.Set(logKey(r.Sequence), encodeEntry(r))
}

// eraseLog takes a forgotten message out of its entry, if that is still there.
func eraseLog(tx *kv.Txn, r *Record) error {
	if r.Sequence == 0 {
		return nil
	}
	_, there, err := tx.Get(logKey(r.Sequence))
	if err != nil || !there {
		return err
	}
	return tx.Set(logKey(r.Sequence), nil)
}

// encodeEntry is the value of an entry: the depth, the time, texts with their length before them, and the content.
func encodeEntry(r *Record) []byte {
	m := r.Message
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 256+len(m.ItemContent)), r.Depth)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(m.Time))
	for _, text := range []string{m.ItemHash, m.Chain, m.Sender, m.Channel, string(m.Type), string(m.ItemType)} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	if len(m.ItemContent) > maxCopied {
		return b
	}
	return append(b, m.ItemContent...)
}

func decodeEntry(b []byte) (p Processed, err error) {
	broken := errors.New("a broken entry of the log")
	if len(b) < 12 {
		return p, broken
	}
	p.Depth, p.Message = binary.BigEndian.Uint32(b), &Message{Time: math.Float64frombits(binary.BigEndian.Uint64(b[4:]))}
	b = b[12:]
	m := p.Message
	for _, text := range []*string{&m.ItemHash, &m.Chain, &m.Sender, &m.Channel, (*string)(&m.Type), (*string)(&m.ItemType)} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return p, broken
		}
		*text, b = string(b[size:size+int(n)]), b[size+int(n):]
	}
	p.Hash, p.Content = m.ItemHash, bytes.Clone(b)
	return p, nil
}

func loadSequence(tx *kv.Txn, key string) (uint64, error) {
	value, found, err := tx.Get(key)
	if err != nil || !found {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("record %s: %d bytes", key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

func saveSequence(tx *kv.Txn, key string, sequence uint64) error {
	return tx.Set(key, binary.BigEndian.AppendUint64(nil, sequence))
}

// LastMessage is the sequence of the message that was processed last; 0 if there is none.
func (n *Node) LastMessage() (sequence uint64, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		sequence, err = loadSequence(tx, sequenceKey)
		return err
	})
	return sequence, err
}

// Messages reads the log behind a sequence: at least one message, if there is one, and at most limit, or as many as have a MiB of
// content together.
func (n *Node) Messages(after uint64, limit int) (some []Processed, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		bytes := 0
		for entry, err := range tx.Iterate(logPrefix, logKey(after+1)) {
			if err != nil {
				return err
			}
			p, err := n.processed(tx, entry)
			if err != nil {
				return err
			}
			some = append(some, p)
			if bytes += len(p.Content); len(some) >= limit || bytes >= maxRead {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the log of messages: %w", err)
	}
	return some, nil
}

// processed reads an entry.
func (n *Node) processed(tx *kv.Txn, entry kv.Record) (p Processed, err error) {
	sequence, err := strconv.ParseUint(lastSegment(entry.Key), 16, 64)
	if err != nil {
		return p, fmt.Errorf("record %s: %w", entry.Key, err)
	}
	if len(entry.Value) == 0 {
		return Processed{Sequence: sequence}, nil // forgotten
	}
	if p, err = decodeEntry(entry.Value); err != nil {
		return p, fmt.Errorf("record %s: %w", entry.Key, err)
	}
	if p.Sequence = sequence; len(p.Content) > 0 {
		return p, nil
	}
	r, found, err := load[Record](tx, messageKey(p.Hash))
	if err != nil || !found {
		return p, notThere(err, messageKey(p.Hash))
	}
	p.Content, err = n.contentOf(r.Message)
	if gone := (waiting)(nil); errors.As(err, &gone) { // it is being forgotten
		return Processed{Sequence: sequence}, nil
	}
	return p, err
}

// TrimMessages deletes the log's entries up to a sequence.
func (n *Node) TrimMessages(through uint64) error {
	for {
		more := false
		err := n.db.GroupUpdate(func(tx *kv.Txn) error {
			low, err := loadSequence(tx, trimmedKey)
			if err != nil {
				return err
			}
			last, err := loadSequence(tx, sequenceKey)
			if err != nil {
				return err
			}
			to := min(low+trimmed, through, last)
			if more = to > low && to < min(through, last); to <= low {
				return nil
			}
			for sequence := low + 1; sequence <= to; sequence++ {
				if err := tx.Delete(logKey(sequence)); err != nil {
					return err
				}
			}
			return saveSequence(tx, trimmedKey, to)
		})
		if err != nil {
			return fmt.Errorf("trim the log of messages: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// NewMessages has a value after messages were processed. It is for one reader.
func (n *Node) NewMessages() <-chan struct{} { return n.logged }

// Content is a processed message's record and its content as JSON; nil if it was forgotten, or is unknown.
func (n *Node) Content(hash string) (r *Record, content []byte, err error) {
	r, found, err := n.Lookup(hash)
	if err != nil || !found || r.Status != StatusProcessed {
		return r, nil, err
	}
	content, err = n.contentOf(r.Message)
	if gone := (waiting)(nil); errors.As(err, &gone) { // it is being forgotten
		return r, nil, nil
	}
	return r, content, err
}
