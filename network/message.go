// Package network is the node's side of the Aleph network: signed messages, how they are checked, stored and answered.
//
// A program is deployed by publishing two messages: a STORE, which names the code by its hash, and a PROGRAM, which
// refers to the STORE. The PROGRAM's item hash is the program's id. The forms are those of the published clients
// (aleph-sdk-ts, aleph-sdk-python) and of the network's own nodes (pyaleph, aleph-message), so a message that this
// package accepts can be published on the network unchanged.
//
// Clients use Sign and SignRequest. A node uses Node, which takes messages in and keeps them, Handler, which serves it
// over HTTP, and RequestVerifier, which checks the requests that only a program's owner may make.
package network

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Type is a message's type; it decides the form of its content.
type Type string

// The message types of the network that a node handles.
const (
	TypeStore     Type = "STORE"     // content is a Store
	TypeProgram   Type = "PROGRAM"   // content is a Program
	TypeForget    Type = "FORGET"    // content is a Forget
	TypePost      Type = "POST"      // content is a Post
	TypeAggregate Type = "AGGREGATE" // content is an Aggregate
)

// ItemType says where a message's content, or a STORE's file, is kept.
type ItemType string

const (
	ItemInline  ItemType = "inline"  // in the message itself, as item_content
	ItemStorage ItemType = "storage" // in a node's storage, addressed by SHA-256
	ItemIPFS    ItemType = "ipfs"    // addressed by an IPFS content id
)

// Message is a signed message, as it is posted and as nodes hand it out.
type Message struct {
	Chain       string   `json:"chain"`             // whose keys sign: "ETH", "SOL", …
	Sender      string   `json:"sender"`            // the signer's address on that chain
	Channel     string   `json:"channel,omitempty"` // a free label; not signed
	Time        float64  `json:"time"`              // Unix seconds; not signed
	Type        Type     `json:"type"`
	ItemType    ItemType `json:"item_type"`
	ItemHash    string   `json:"item_hash"`              // lower-case hex SHA-256 of ItemContent; the message's identity
	ItemContent string   `json:"item_content,omitempty"` // the content as JSON text, exactly as signed; empty unless inline
	Signature   string   `json:"signature"`
}

// Store is the content of a STORE message: a file, named by its hash.
type Store struct {
	Address  string         `json:"address"` // the owner
	ItemType ItemType       `json:"item_type"`
	ItemHash string         `json:"item_hash"` // of the file
	Time     float64        `json:"time"`
	Ref      string         `json:"ref,omitempty"` // the item hash of the first STORE of this file, of which this is a new version
	Metadata map[string]any `json:"metadata,omitempty"`
	Payment  *Payment       `json:"payment,omitempty"`
}

// Program is the content of a PROGRAM message.
type Program struct {
	Address        string            `json:"address"` // the owner
	Time           float64           `json:"time"`
	Type           string            `json:"type"` // always ProgramKind
	AllowAmend     bool              `json:"allow_amend"`
	Metadata       map[string]any    `json:"metadata,omitempty"` // free; "name" is the program's name
	AuthorizedKeys []string          `json:"authorized_keys,omitempty"`
	On             On                `json:"on"`
	Environment    Environment       `json:"environment"`
	Resources      Resources         `json:"resources"`
	Runtime        Runtime           `json:"runtime"`
	Requirements   json.RawMessage   `json:"requirements,omitempty"` // of the machine; kept, not used
	Volumes        []json.RawMessage `json:"volumes,omitempty"`      // kept, not mounted
	Variables      map[string]string `json:"variables,omitempty"`    // the program's environment; public
	Payment        *Payment          `json:"payment,omitempty"`
	Code           Code              `json:"code"`
	Data           json.RawMessage   `json:"data,omitempty"`     // kept, not used
	Export         json.RawMessage   `json:"export,omitempty"`   // kept, not used
	Replaces       string            `json:"replaces,omitempty"` // the id of the program that this one changes
}

// ProgramKind is the only value of Program.Type.
const ProgramKind = "vm-function"

// Name is the program's name, metadata.name; empty if it has none.
func (p *Program) Name() string {
	name, _ := p.Metadata["name"].(string)
	return name
}

// On says what calls a program.
type On struct {
	HTTP       bool             `json:"http"`
	Persistent bool             `json:"persistent"`
	Message    []map[string]any `json:"message,omitempty"` // filters: fields of a message that must all match
	Cron       json.RawMessage  `json:"cron,omitempty"`    // this node's own; the network keeps schedules in metadata.triggers
}

// Environment is what a program may reach and promises.
type Environment struct {
	Reproducible bool `json:"reproducible"`
	Internet     bool `json:"internet"`
	AlephAPI     bool `json:"aleph_api"`
	SharedCache  bool `json:"shared_cache"`
}

// Resources are the limits of one invocation of a program.
type Resources struct {
	VCPUs   int `json:"vcpus"`
	Memory  int `json:"memory"`  // MiB
	Seconds int `json:"seconds"` // of one invocation
}

// Runtime names the language engine: a name of the node's as "nodejs16", or the item hash of a PROGRAM or STORE that is one.
type Runtime struct {
	Ref       string `json:"ref"`
	UseLatest bool   `json:"use_latest"` // follow its later versions
	Comment   string `json:"comment"`
}

// Code says which file holds the program and how to start it.
type Code struct {
	Encoding   string   `json:"encoding"`            // plain, zip or squashfs
	Entrypoint string   `json:"entrypoint"`          // the file or module to start from, with ":name" where a language has it
	Ref        string   `json:"ref"`                 // the item hash of the STORE message with the code
	UseLatest  bool     `json:"use_latest"`          // follow later STORE messages that amend Ref
	Interface  string   `json:"interface,omitempty"` // asgi or binary
	Args       []string `json:"args,omitempty"`      // of a binary
}

// Payment is how the network charges the owner. This node keeps it and charges nothing.
type Payment struct {
	Chain    string `json:"chain"`
	Receiver string `json:"receiver,omitempty"`
	Type     string `json:"type"` // hold, superfluid or credit
}

// Forget is the content of a FORGET message: what its owner wants gone.
type Forget struct {
	Address    string   `json:"address"`
	Time       float64  `json:"time"`
	Hashes     []string `json:"hashes"`               // item hashes of messages
	Aggregates []string `json:"aggregates,omitempty"` // item hashes of AGGREGATE messages
	Reason     string   `json:"reason,omitempty"`
}

// Post is the content of a POST message.
type Post struct {
	Type    string          `json:"type"` // free; "amend" changes the post that Ref names
	Address string          `json:"address"`
	Content json.RawMessage `json:"content,omitempty"`
	Time    float64         `json:"time"`
	Ref     string          `json:"ref,omitempty"`
}

// Aggregate is the content of an AGGREGATE message: keys to merge into the owner's object of that name.
type Aggregate struct {
	Address string                     `json:"address"`
	Key     string                     `json:"key"`
	Time    float64                    `json:"time"`
	Content map[string]json.RawMessage `json:"content"`
}

// HashContent is the item hash of a content: the lower-case hex SHA-256 of its text. A content is hashed as it was
// received and never encoded anew: JavaScript, Python and Go escape the same value differently.
func HashContent(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// EncodeContent is the JSON text of a content, to be hashed and signed.
func EncodeContent(content any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(content); err != nil {
		return "", fmt.Errorf("encode content: %w", err)
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}

// UnixSeconds is a time as messages write it: Unix seconds with milliseconds.
func UnixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
