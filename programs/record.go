// Package programs is what is deployed: each program's versions, the images they start from, and which of them is served.
//
// A Registry keeps a Record for each program in the database and a Program for each that can be called. Changes are prepared
// (built) outside of any transaction, committed in the caller's, and then put in force: requests under way end on the version
// they began with, later ones take the new one, none is lost.
package programs

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A Version is one state of a program: its code and its limits.
type Version struct {
	Number     int                  `json:"version"`
	CodeRef    string               `json:"code_ref"`  // the STORE message with the code
	CodeHash   string               `json:"code_hash"` // SHA-256 of the code
	CodePath   string               `json:"-"`
	Encoding   string               `json:"encoding"` // plain or zip
	Entrypoint string               `json:"entrypoint"`
	Runtime    string               `json:"runtime"`
	Stored     *Runtime             `json:"stored_runtime,omitempty"` // what Runtime names, unless that is a name of the node's own
	Memory     int                  `json:"memory"`                   // MiB
	Timeout    int                  `json:"timeout"`                  // seconds
	Variables  map[string]string    `json:"variables,omitempty"`
	NoInternet bool                 `json:"no_internet,omitempty"` // it may make no outbound requests
	Triggers   triggers.Declaration `json:"triggers,omitzero"`     // what it is run by, beside HTTP
	Message    string               `json:"message"`               // the message that asked for it
	Created    time.Time            `json:"created"`
}

// A Record is what the database keeps of a program.
type Record struct {
	ID          string    `json:"item_hash"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Owner       string    `json:"owner"`
	CodeRef     string    `json:"code_ref,omitempty"` // the STORE that one with new code refers to; empty: the code is pinned
	Versions    []Version `json:"versions"`           // oldest first
	Active      int       `json:"active_version"`
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	Forgotten   bool      `json:"forgotten,omitempty"`
	Cleared     bool      `json:"cleared,omitempty"` // nothing of a forgotten program is left
}

// MaxVersions is how many versions of a program are kept; the oldest that is not active goes first.
const MaxVersions = 100

// ErrUnknownVersion is wrapped by a rollback's error.
var ErrUnknownVersion = errors.New("unknown version")

// ActiveVersion is the version that is served.
func (r *Record) ActiveVersion() *Version { return r.version(r.Active) }

func (r *Record) version(number int) *Version {
	for i := range r.Versions {
		if r.Versions[i].Number == number {
			return &r.Versions[i]
		}
	}
	return nil
}

// with gives the record with one more version, active.
func (r *Record) with(v Version) *Record {
	next := *r
	v.Number = 1
	if n := len(r.Versions); n > 0 {
		v.Number = r.Versions[n-1].Number + 1
	}
	next.Versions = append(append([]Version(nil), r.Versions...), v)
	for len(next.Versions) > MaxVersions {
		next.Versions = next.Versions[1:]
	}
	next.Active, next.Updated = v.Number, v.Created
	return &next
}

const keyPrefix = "programs/"

func (r *Record) save(tx *kv.Txn) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return tx.Set(keyPrefix+r.ID, text)
}

func loadAll(db *kv.DB, each func(*Record) error) error {
	return db.View(func(tx *kv.Txn) error {
		for row, err := range tx.Iterate(keyPrefix, "") {
			if err != nil {
				return err
			}
			r := &Record{}
			if err := json.Unmarshal(row.Value, r); err != nil {
				return fmt.Errorf("program record %s: %w", row.Key, err)
			}
			if err := each(r); err != nil {
				return err
			}
		}
		return nil
	})
}
