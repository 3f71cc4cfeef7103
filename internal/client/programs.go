package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// Node is what a node says of itself.
type Node struct {
	ID       string   `json:"node_id"`
	Version  string   `json:"version"`
	Runtimes []string `json:"runtimes"` // slugs that a program may name
	Open     bool     `json:"open"`     // whether any account may deploy

	Languages []Language `json:"languages"`
}

// Language is how far a node is with an engine of its own.
type Language struct {
	Name     string   `json:"name"`
	Runtimes []string `json:"runtimes"` // those that it runs
	State    string   `json:"state"`    // ready, waiting, compiling, initialising or failed
}

// Program is a deployed program; its limits, code and variables are those of the active version.
type Program struct {
	ItemHash      string                `json:"item_hash"` // the program's id
	Name          string                `json:"name"`
	Description   string                `json:"description,omitempty"`
	Owner         string                `json:"owner"` // an address
	Runtime       string                `json:"runtime"`
	Engine        string                `json:"engine,omitempty"` // what runs the runtime, as python3.11 runs python3.9
	Memory        int                   `json:"memory"`           // MiB
	Timeout       int                   `json:"timeout"`          // seconds
	Variables     map[string]string     `json:"variables"`
	NoInternet    bool                  `json:"no_internet,omitempty"` // it may make no outbound requests
	Triggers      *triggers.Declaration `json:"triggers,omitempty"`    // what runs it beside HTTP; nil: nothing
	Encoding      string                `json:"encoding"`              // of the code: plain or zip
	Entrypoint    string                `json:"entrypoint"`
	CodeRef       string                `json:"code_ref,omitempty"` // the STORE that a STORE with new code names; empty if the code is pinned
	Endpoint      string                `json:"endpoint"`           // the URL that calls it
	Created       time.Time             `json:"created"`
	Updated       time.Time             `json:"updated"`
	ActiveVersion int                   `json:"active_version"`
	Versions      []Version             `json:"versions"` // oldest first
	Status        string                `json:"status"`   // "active"
}

// Version is one state of a program's code and limits.
type Version struct {
	Version  int       `json:"version"` // from 1
	CodeRef  string    `json:"code_ref"`
	CodeHash string    `json:"code_hash"` // SHA-256 of the code's bytes
	Runtime  string    `json:"runtime"`
	Memory   int       `json:"memory"`
	Timeout  int       `json:"timeout"`
	Message  string    `json:"message"` // the message that made it
	Created  time.Time `json:"created"`
}

// Active is the version that is served; the zero Version if the node did not list it.
func (p *Program) Active() Version {
	for _, v := range p.Versions {
		if v.Version == p.ActiveVersion {
			return v
		}
	}
	return Version{}
}

// Latest reports whether the version that is served is the newest.
func (p *Program) Latest() bool {
	return len(p.Versions) > 0 && p.Versions[len(p.Versions)-1].Version == p.ActiveVersion
}

// Usage is what a program has used since it was deployed.
type Usage struct {
	Invocations int64             `json:"invocations"`
	Errors      int64             `json:"errors"`
	GBSeconds   float64           `json:"gb_seconds"`
	CPUMillis   float64           `json:"cpu_ms"`
	WallMillis  float64           `json:"wall_ms"`
	EgressBytes int64             `json:"egress_bytes"`
	Fetches     int64             `json:"fetches"`
	Inbound     int64             `json:"inbound_bytes"`
	StoreOps    int64             `json:"store_ops"`
	Records     []json.RawMessage `json:"records,omitzero"` // the last invocations; nil if not asked for
}

// Node asks the node for its id, version and runtimes.
func (c *Client) Node(ctx context.Context) (Node, error) {
	var node Node
	err := c.exchange(ctx, request{method: http.MethodGet, path: "/api/v0/node"}, &node)
	return node, err
}

// Programs lists the programs of an owner, or of everyone if owner is empty.
func (c *Client) Programs(ctx context.Context, owner string) ([]Program, error) {
	path := "/api/v0/programs"
	if owner != "" {
		path += "?owner=" + url.QueryEscape(owner)
	}
	var list struct {
		Programs []Program `json:"programs"`
	}
	err := c.exchange(ctx, request{method: http.MethodGet, path: path}, &list)
	return list.Programs, err
}

// Program gives one program by its id.
func (c *Client) Program(ctx context.Context, id string) (Program, error) {
	var program Program
	err := c.exchange(ctx, request{method: http.MethodGet, path: programPath(id, "")}, &program)
	return program, err
}

// Settings is the content of the PROGRAM message that a program's active version has its settings from: versions that new
// code made have those of a version before. Nil if the node lists none any more.
func (c *Client) Settings(ctx context.Context, p *Program) (*network.Program, error) {
	for _, version := range slices.Backward(p.Versions) {
		if version.Version > p.ActiveVersion {
			continue
		}
		var answer struct {
			Message struct {
				Type    network.Type    `json:"type"`
				Content json.RawMessage `json:"content"`
			} `json:"message"`
		}
		if err := c.exchange(ctx, request{method: http.MethodGet, path: "/api/v0/messages/" + version.Message}, &answer); err != nil {
			return nil, err
		}
		if answer.Message.Type != network.TypeProgram || answer.Message.Content == nil {
			continue
		}
		content := &network.Program{Resources: network.Resources{VCPUs: 1}, Runtime: network.Runtime{UseLatest: true}} // where they are left out
		if err := json.Unmarshal(answer.Message.Content, content); err != nil {
			return nil, fmt.Errorf("PROGRAM message %s: %w", version.Message, err)
		}
		return content, nil
	}
	return nil, nil
}

// Rollback makes an earlier version the one that is served; 0 is the one before the active one. Signed.
func (c *Client) Rollback(ctx context.Context, id string, version int) (Program, error) {
	body, err := json.Marshal(struct {
		Version int `json:"version,omitempty"`
	}{version})
	if err != nil {
		return Program{}, err
	}
	var program Program
	err = c.exchange(ctx, request{
		method: http.MethodPost, path: programPath(id, "/rollback"), body: body, signed: true,
		header: http.Header{"Content-Type": {"application/json"}},
	}, &program)
	return program, err
}

// Usage gives what a program has used, and its last records if records is above 0. Signed.
func (c *Client) Usage(ctx context.Context, id string, records int) (Usage, error) {
	path := programPath(id, "/usage")
	if records > 0 {
		path += "?records=" + strconv.Itoa(records)
	}
	var usage Usage
	err := c.exchange(ctx, request{method: http.MethodGet, path: path, signed: true}, &usage)
	return usage, err
}

func programPath(id, rest string) string { return "/api/v0/programs/" + url.PathEscape(id) + rest }
