package message

import (
	"encoding/binary"
	"fmt"

	"github.com/aleph-edge/aleph-edge/kv"
)

// Keys of records; doc.go has the layout.
const (
	logKey     = "checkpoint/message/log"
	programKey = "checkpoint/message/program/" // + program
)

const format = 1 // the first byte of every record

// A position is how far messages have been handed out: those up to a sequence, and the one after it to the programs up to one, by id.
type position struct {
	sequence uint64
	program  string // empty: to none
}

func (p position) encode() []byte {
	return append(binary.BigEndian.AppendUint64([]byte{format}, p.sequence), p.program...)
}

func decodePosition(b []byte) (position, error) {
	if len(b) < 9 || b[0] != format {
		return position{}, fmt.Errorf("record %s is broken", logKey)
	}
	return position{binary.BigEndian.Uint64(b[1:]), string(b[9:])}, nil
}

// A mark is from where on a program sees messages.
type mark struct {
	after  uint64 // this sequence
	behind bool   // it has not seen all of those that the follower has read; otherwise it came when the log was there
	lost   uint64 // messages that the log no longer had for it
}

func (m mark) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{format}, m.after)
	b = binary.BigEndian.AppendUint64(b, m.lost)
	if m.behind {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodeMark(b []byte) (mark, error) {
	if len(b) != 18 || b[0] != format {
		return mark{}, fmt.Errorf("a record below %s is broken", programKey)
	}
	return mark{binary.BigEndian.Uint64(b[1:]), b[17] == 1, binary.BigEndian.Uint64(b[9:])}, nil
}

// load reads all records.
func load(db *kv.DB) (at position, marks map[string]mark, err error) {
	marks = map[string]mark{}
	err = db.View(func(tx *kv.Txn) error {
		b, found, err := tx.Get(logKey)
		if err != nil {
			return err
		}
		if found {
			if at, err = decodePosition(b); err != nil {
				return err
			}
		}
		for r, err := range tx.Iterate(programKey, "") {
			if err != nil {
				return err
			}
			if marks[r.Key[len(programKey):]], err = decodeMark(r.Value); err != nil {
				return err
			}
		}
		return nil
	})
	return at, marks, err
}
