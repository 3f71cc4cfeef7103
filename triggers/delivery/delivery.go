// Package delivery runs the queue's events in programs, by the same dispatcher that runs requests.
package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/host"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// A Former says what a program sees of an event. An error that wraps triggers.ErrGone ends the event, any other defers it.
type Former interface {
	Form(ctx context.Context, d *queue.Delivery) (triggers.Form, error)
}

// Config is what a Handler is made of. All are required.
type Config struct {
	Dispatcher *host.Dispatcher
	Programs   *programs.Registry
	Draft      func(program string) *kv.Draft // of its store
}

// A Handler is the queue's. Events wait until it was told, by Begin, what makes them.
type Handler struct {
	config  Config
	begun   chan struct{}
	formers map[uint32]Former
}

var _ queue.Handler = (*Handler)(nil)

// New makes a handler.
func New(config Config) *Handler { return &Handler{config: config, begun: make(chan struct{})} }

// Begin lets events run. formers are by kind.
func (h *Handler) Begin(formers map[uint32]Former) {
	h.formers = formers
	close(h.begun)
}

// Policy is how the program's events are delivered.
func (h *Handler) Policy(id string) queue.Policy {
	d := h.declared(id)
	return queue.Policy{Concurrency: d.Concurrency, MaxAttempts: d.Attempts, Backoff: time.Duration(d.Backoff), MaxBackoff: time.Duration(d.MaxBackoff)}
}

func (h *Handler) declared(id string) triggers.Delivery {
	p := h.config.Programs.Lookup(id)
	if p == nil || p.Record().Forgotten {
		return triggers.Delivery{}
	}
	return p.Record().ActiveVersion().Triggers.Delivery
}

// Run runs one event.
func (h *Handler) Run(ctx context.Context, d *queue.Delivery) queue.Outcome {
	select {
	case <-h.begun:
	case <-ctx.Done():
		return queue.Defer(ctx.Err())
	}
	program, former := h.config.Programs.Lookup(d.Program), h.formers[d.Kind]
	if program == nil || former == nil {
		return queue.Reject(fmt.Errorf("the program is not deployed, or events of kind %d are not known here", d.Kind))
	}
	form, err := former.Form(ctx, d)
	if err != nil {
		return forming(err)
	}
	inv, failed := h.config.Dispatcher.Begin(ctx, program, d.Kind, d.Attempt, caller{ctx})
	if failed != nil {
		return outcome(failed)
	}
	defer inv.End()
	origin := host.Origin{ID: d.ID, Depth: d.Depth, Details: append(form.Details, trigger(d))}
	var draft *kv.Draft
	if inv.Serving().Triggers.Delivery.Effects == "once" {
		draft = h.config.Draft(d.Program)
		defer draft.Close()
		origin.Store = draft
	}
	inv.From(origin)
	appendRequest(inv, &form)
	result, failed := run(inv)
	if reason := inv.Reason(); failed != nil && reason != "" {
		return outcome(&host.Error{Row: failed.Row, Detail: reason})
	}
	if failed != nil {
		return outcome(failed)
	}
	o := queue.Acknowledge(result)
	if draft == nil {
		return o
	}
	draft.Close() // operations that the guest forgot must not come after
	if draft.Empty() {
		return o
	}
	return o.With(draft.Commit)
}

func forming(err error) queue.Outcome {
	if errors.Is(err, triggers.ErrGone) {
		return queue.Reject(err)
	}
	return queue.Defer(err)
}

// trigger names the event's trigger.
func trigger(d *queue.Delivery) triggers.Detail {
	name, _ := json.Marshal(d.Trigger)
	return triggers.Detail{Name: "trigger", JSON: name}
}

// appendRequest makes the event the POST that programs see.
func appendRequest(inv *host.Invocation, form *triggers.Form) {
	kind := form.ContentType
	if kind == "" {
		kind = "application/json"
	}
	e := abi.Bytes(inv.Event, abi.TagMethod, "POST")
	e = abi.Bytes(e, abi.TagPath, "/")
	e = abi.Bytes(e, abi.TagRoot, "")
	e = abi.Bytes(e, abi.TagQuery, "")
	e = abi.Pair(e, abi.TagHeader, "content-type", kind)
	inv.Event = abi.Bytes(e, abi.TagBody, form.Body)
}

// run runs the event until its guest has returned, and gives the reply's body: up to what the queue keeps of one, else nothing.
func run(inv *host.Invocation) (result []byte, failed *host.Error) {
	reply, failed := inv.Run()
	if failed != nil {
		return nil, failed
	}
	status, body := reply.Status, append([]byte(nil), reply.Body...)
	for inv.Streams() {
		part, failed := inv.Next()
		if failed != nil {
			return nil, failed
		}
		if part == nil {
			break
		}
		if len(body) <= queue.MaxResult {
			body = append(body, part...)
		}
	}
	if failed := inv.Finish(); failed != nil {
		return nil, failed
	}
	if status < 200 || status > 399 {
		failed := &host.Error{Row: abi.ErrException, Detail: fmt.Sprintf("it replied with status %d: %.200q", status, body)}
		inv.Fail(failed)
		return nil, failed
	}
	return body, nil
}

// outcome is what becomes of an event whose run failed.
func outcome(failed *host.Error) queue.Outcome {
	switch failed.Row {
	case abi.ErrProgramForgotten:
		return queue.Reject(failed)
	case abi.ErrNoCapacity, abi.ErrUnavailable, abi.ErrNodeMemory, abi.ErrInternal, abi.ErrClientGone:
		return queue.Defer(failed) // not the program's fault
	}
	return queue.Fail(failed)
}

// caller ends a run when the queue gives it up.
type caller struct{ ctx context.Context }

// Watch is host.Caller.
func (c caller) Watch(gone func()) (stop func()) {
	unwatch := context.AfterFunc(c.ctx, gone)
	return func() { unwatch() }
}
