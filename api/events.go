package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
	"github.com/aleph-edge/aleph-edge/triggers/delivery"
	"github.com/aleph-edge/aleph-edge/triggers/http"
)

// triggersJSON is what runs a program beside HTTP, and how its events are doing.
type triggersJSON struct {
	Triggers []triggers.Status `json:"triggers"`
	Events   eventsJSON        `json:"events"`
}

type eventsJSON struct {
	Pending      int     `json:"pending"`
	Running      int     `json:"running"`
	Delayed      int     `json:"delayed"`
	DeadLetters  int     `json:"dead_letters"`
	Bytes        uint64  `json:"bytes"`
	LagSeconds   float64 `json:"lag_seconds"` // how long the event that runs next has been due
	Paused       bool    `json:"paused"`
	Acknowledged uint64  `json:"acknowledged"`
	Failures     uint64  `json:"failures"` // attempts
	Dropped      uint64  `json:"dropped"`  // dead letters that gave way to others
}

func (a *API) triggers(ctx *fasthttp.RequestCtx, p *programs.Program) {
	s, err := a.Queue.Stats(p.ID)
	if err != nil {
		a.internal(ctx, err)
		return
	}
	writeJSON(ctx, triggersJSON{a.Sources.List(p.ID), eventsJSON{s.Pending, s.Running, s.Delayed, s.DeadLetters, s.Bytes, s.Lag.Seconds(), s.Paused,
		s.Acknowledged, s.Failures, s.Dropped}})
}

// fire makes an event of a trigger now.
func (a *API) fire(ctx *fasthttp.RequestCtx, p *programs.Program, name string) {
	id, err := a.Sources.Fire(context.Background(), p.ID, name)
	var refused *queue.RefusedError
	switch {
	case errors.Is(err, delivery.ErrNoTrigger):
		http.WriteErrorText(ctx, fasthttp.StatusNotFound, abi.ErrNotFound.Code, fmt.Sprintf("the program has no trigger %q", name), "see them with: aleph trigger list", nil)
	case errors.Is(err, delivery.ErrNoFiring):
		http.WriteErrorText(ctx, fasthttp.StatusBadRequest, abi.ErrBadRequest.Code, err.Error(), "schedules can; post a message or to a topic for the others", nil)
	case errors.As(err, &refused) && errors.Is(err, kv.ErrQuotaExceeded):
		http.WriteErrorText(ctx, fasthttp.StatusServiceUnavailable, string(kv.ErrQuotaExceeded), refused.Err.Error(), "try again when it has caught up", nil)
	case err != nil:
		a.internal(ctx, err)
	default:
		ctx.SetStatusCode(fasthttp.StatusAccepted)
		writeJSON(ctx, map[string]string{"id": id})
	}
}

// An eventJSON is an event that waits, runs or is a dead letter.
type eventJSON struct {
	ID       string      `json:"id"`
	Kind     string      `json:"kind"`
	State    queue.State `json:"state"`
	Attempt  uint32      `json:"attempt"` // the last that was begun
	Accepted time.Time   `json:"accepted"`
	Due      time.Time   `json:"due"`
	Died     time.Time   `json:"died,omitzero"`
	Error    string      `json:"error,omitempty"` // of the last failure
}

// events lists events in a state.
func (a *API) events(ctx *fasthttp.RequestCtx, p *programs.Program) {
	n, ok := number(ctx, "limit", 100, queue.MaxList)
	if !ok {
		return
	}
	state := queue.State(ctx.QueryArgs().Peek("state"))
	if state == "" {
		state = queue.Pending
	}
	entries, err := a.Queue.List(p.ID, state, n)
	if err != nil {
		a.queueError(ctx, err)
		return
	}
	list := make([]eventJSON, len(entries))
	for i, e := range entries {
		list[i] = eventJSON{e.ID, abi.KindName(e.Kind), e.State, e.Attempt, e.Accepted, e.Due, e.Died, e.Err}
	}
	writeJSON(ctx, map[string]any{"events": list})
}

// A resultJSON is what a program returned for an event: as it is where it is JSON, as a string where it is UTF-8.
type resultJSON struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	Attempt uint32          `json:"attempt"`
	Ended   time.Time       `json:"ended"`
	JSON    json.RawMessage `json:"result,omitempty"`
	Base64  []byte          `json:"result_base64,omitempty"`
}

// results lists what the program returned last, newest first.
func (a *API) results(ctx *fasthttp.RequestCtx, p *programs.Program) {
	n, ok := number(ctx, "limit", 100, queue.MaxList)
	if !ok {
		return
	}
	results, err := a.Queue.Results(p.ID, n)
	if err != nil {
		a.queueError(ctx, err)
		return
	}
	list := make([]resultJSON, len(results))
	for i, r := range results {
		list[i] = resultOf(r)
	}
	writeJSON(ctx, map[string]any{"results": list})
}

func resultOf(r queue.Result) resultJSON {
	j := resultJSON{ID: r.ID, Kind: abi.KindName(r.Kind), Attempt: r.Attempt, Ended: r.Ended}
	switch {
	case json.Valid(r.Data):
		j.JSON = r.Data
	case utf8.Valid(r.Data):
		j.JSON, _ = json.Marshal(string(r.Data))
	default:
		j.Base64 = r.Data
	}
	return j
}

// act does something with the queue's events of a program: retry and discard with the dead letter of the query's id, or with all.
func (a *API) act(ctx *fasthttp.RequestCtx, p *programs.Program, what string) {
	id := string(ctx.QueryArgs().Peek("id"))
	var count int
	var err error
	switch what {
	case "pause":
		err = a.Queue.Pause(p.ID)
	case "resume":
		err = a.Queue.Resume(p.ID)
	case "retry":
		count, err = one(id, p.ID, a.Queue.Retry, a.Queue.RetryAll)
	case "discard":
		count, err = one(id, p.ID, a.Queue.Discard, a.Queue.DiscardAll)
	}
	if err != nil {
		a.queueError(ctx, err)
		return
	}
	writeJSON(ctx, map[string]int{"events": count})
}

// one does something with one dead letter, or with all.
func one(id, program string, this func(program, id string) error, all func(program string) (int, error)) (int, error) {
	if id == "" {
		return all(program)
	}
	return 1, this(program, id)
}

func (a *API) queueError(ctx *fasthttp.RequestCtx, err error) {
	switch {
	case errors.Is(err, queue.ErrNotFound):
		http.WriteErrorText(ctx, fasthttp.StatusNotFound, abi.ErrNotFound.Code, "the program has no dead letter with this id", "see them with: aleph trigger dead", nil)
	case errors.Is(err, kv.ErrInvalidArgument):
		http.WriteError(ctx, abi.ErrBadRequest, err.Error(), nil)
	default:
		a.internal(ctx, err)
	}
}
