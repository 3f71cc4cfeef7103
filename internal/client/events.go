package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aleph-edge/aleph-edge/triggers"
)

// Triggers is what runs a program beside HTTP, and how its events are doing.
type Triggers struct {
	Triggers []triggers.Status `json:"triggers"`
	Events   EventCounts       `json:"events"`
}

// EventCounts are the numbers of a program's events.
type EventCounts struct {
	Pending      int     `json:"pending"` // due, or behind another of their key
	Running      int     `json:"running"`
	Delayed      int     `json:"delayed"` // to be tried again, or not yet due
	DeadLetters  int     `json:"dead_letters"`
	Bytes        uint64  `json:"bytes"`
	LagSeconds   float64 `json:"lag_seconds"` // how long the event that runs next has been due
	Paused       bool    `json:"paused"`
	Acknowledged uint64  `json:"acknowledged"`
	Failures     uint64  `json:"failures"` // attempts
	Dropped      uint64  `json:"dropped"`  // dead letters that gave way to others
}

// Event is an event that waits, runs or is a dead letter.
type Event struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	State    string    `json:"state"`
	Attempt  uint32    `json:"attempt"` // the last that was begun
	Accepted time.Time `json:"accepted"`
	Due      time.Time `json:"due"`
	Died     time.Time `json:"died,omitzero"`
	Error    string    `json:"error,omitempty"` // of the last failure
}

// Result is what a program returned for an event: JSON, or bytes that are no text.
type Result struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	Attempt uint32          `json:"attempt"`
	Ended   time.Time       `json:"ended"`
	JSON    json.RawMessage `json:"result,omitempty"`
	Base64  []byte          `json:"result_base64,omitempty"`
}

// Triggers says how a program's triggers and events are doing. Signed, as are all methods here.
func (c *Client) Triggers(ctx context.Context, id string) (Triggers, error) {
	var t Triggers
	err := c.exchange(ctx, request{method: http.MethodGet, path: programPath(id, "/triggers"), signed: true}, &t)
	return t, err
}

// Fire makes an event of a trigger now, and gives its id.
func (c *Client) Fire(ctx context.Context, id, trigger string) (string, error) {
	var fired struct {
		ID string `json:"id"`
	}
	err := c.exchange(ctx, request{method: http.MethodPost, path: programPath(id, "/triggers/"+url.PathEscape(trigger)+"/fire"), signed: true}, &fired)
	return fired.ID, err
}

// Events lists a program's events that are pending, running, delayed or dead.
func (c *Client) Events(ctx context.Context, id, state string, limit int) ([]Event, error) {
	var list struct {
		Events []Event `json:"events"`
	}
	path := programPath(id, "/events?state="+url.QueryEscape(state)+"&limit="+strconv.Itoa(limit))
	err := c.exchange(ctx, request{method: http.MethodGet, path: path, signed: true}, &list)
	return list.Events, err
}

// Results lists what a program returned last for its events, newest first.
func (c *Client) Results(ctx context.Context, id string, limit int) ([]Result, error) {
	var list struct {
		Results []Result `json:"results"`
	}
	err := c.exchange(ctx, request{method: http.MethodGet, path: programPath(id, "/results?limit="+strconv.Itoa(limit)), signed: true}, &list)
	return list.Results, err
}

// Act pauses or resumes a program's events, or retries or discards its dead letters: that of one event, or all if event is empty. It
// gives how many.
func (c *Client) Act(ctx context.Context, id, what, event string) (int, error) {
	path := programPath(id, "/events/"+what)
	if event != "" {
		path += "?id=" + url.QueryEscape(event)
	}
	var done struct {
		Events int `json:"events"`
	}
	err := c.exchange(ctx, request{method: http.MethodPost, path: path, signed: true}, &done)
	return done.Events, err
}
