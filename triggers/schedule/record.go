package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/aleph-edge/aleph-edge/kv"
)

// prefix is of the checkpoints' keys.
const prefix = "checkpoint/schedule/"

const format = 1

var errRecord = errors.New("a schedule's checkpoint cannot be read")

func key(program, name string) string { return prefix + program + "/" + name }

// A mark is a schedule's checkpoint. Times are in Unix seconds.
type mark struct {
	expression [16]byte // hash of its text
	last       int64    // no time up to here is looked at again
	made       int64    // the last time that made an event; 0 for none
	skipped    uint64   // times, because of the event before
}

func hash(expression string) (h [16]byte) {
	sum := sha256.Sum256([]byte(expression))
	copy(h[:], sum[:])
	return h
}

func (m *mark) encode() []byte {
	b := append(make([]byte, 0, 41), format)
	b = append(b, m.expression[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.last))
	b = binary.BigEndian.AppendUint64(b, uint64(m.made))
	return binary.BigEndian.AppendUint64(b, m.skipped)
}

func decodeMark(b []byte) (m mark, err error) {
	if len(b) != 41 || b[0] != format {
		return m, errRecord
	}
	copy(m.expression[:], b[1:])
	m.last = int64(binary.BigEndian.Uint64(b[17:]))
	m.made = int64(binary.BigEndian.Uint64(b[25:]))
	m.skipped = binary.BigEndian.Uint64(b[33:])
	return m, nil
}

// load reads all checkpoints, by program and name.
func load(db *kv.DB) (map[string]map[string]mark, error) {
	marks := map[string]map[string]mark{}
	err := db.View(func(tx *kv.Txn) error {
		for r, err := range tx.Iterate(prefix, "") {
			if err != nil {
				return err
			}
			m, err := decodeMark(r.Value)
			if err != nil {
				return fmt.Errorf("%w: %q", err, r.Key)
			}
			program, name, _ := strings.Cut(r.Key[len(prefix):], "/")
			if marks[program] == nil {
				marks[program] = map[string]mark{}
			}
			marks[program][name] = m
		}
		return nil
	})
	return marks, err
}
