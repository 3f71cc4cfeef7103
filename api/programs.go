package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/programs"
	declaration "github.com/aleph-edge/aleph-edge/triggers"
	triggers "github.com/aleph-edge/aleph-edge/triggers/http"
)

// programJSON is a program as callers see it.
type programJSON struct {
	*programs.Record
	Runtime    string                   `json:"runtime"`
	Engine     string                   `json:"engine,omitempty"` // what runs the runtime's programs
	Memory     int                      `json:"memory"`
	Timeout    int                      `json:"timeout"`
	Variables  map[string]string        `json:"variables"`
	NoInternet bool                     `json:"no_internet,omitempty"`
	Triggers   *declaration.Declaration `json:"triggers,omitempty"`
	Encoding   string                   `json:"encoding"`
	Entrypoint string                   `json:"entrypoint"`
	Endpoint   string                   `json:"endpoint"`
	Status     string                   `json:"status"`
}

func (a *API) describe(ctx *fasthttp.RequestCtx, r *programs.Record) programJSON {
	v := r.ActiveVersion()
	variables := v.Variables
	if variables == nil {
		variables = map[string]string{}
	}
	var declared *declaration.Declaration
	if !v.Triggers.Empty() {
		declared = &v.Triggers
	}
	return programJSON{Record: r, Runtime: v.Runtime, Engine: a.Programs.Language(v.Runtime), Memory: v.Memory, Timeout: v.Timeout, Variables: variables, NoInternet: v.NoInternet, Triggers: declared, Encoding: v.Encoding,
		Entrypoint: v.Entrypoint, Endpoint: fmt.Sprintf("%s://%s%s%s", ctx.URI().Scheme(), ctx.Host(), runPrefix, r.ID), Status: "active"}
}

func (a *API) list(ctx *fasthttp.RequestCtx) {
	list := []programJSON{}
	for _, r := range a.Programs.List(string(ctx.QueryArgs().Peek("owner"))) {
		list = append(list, a.describe(ctx, r))
	}
	writeJSON(ctx, map[string]any{"programs": list})
}

// program answers what concerns one program.
func (a *API) program(ctx *fasthttp.RequestCtx, method, rest string) {
	id, what, _ := strings.Cut(rest, "/")
	p := a.Programs.Lookup(id)
	if p == nil {
		triggers.WriteError(ctx, abi.ErrProgramNotFound, "", nil)
		return
	}
	handler, allowed, public := a.show, fasthttp.MethodGet, true
	switch what {
	case "":
		allowed = "GET, HEAD"
	case "logs":
		handler, public = a.logs, false
	case "usage":
		handler, public = a.usage, false
	case "rollback":
		handler, allowed, public = a.rollback, fasthttp.MethodPost, false
	case "triggers":
		handler, public = a.triggers, false
	case "events":
		handler, public = a.events, false
	case "results":
		handler, public = a.results, false
	case "events/pause", "events/resume", "events/retry", "events/discard":
		handler, allowed, public = func(ctx *fasthttp.RequestCtx, p *programs.Program) { a.act(ctx, p, what[len("events/"):]) }, fasthttp.MethodPost, false
	default:
		name, fires := strings.CutSuffix(what, "/fire")
		name, named := strings.CutPrefix(name, "triggers/")
		if !fires || !named {
			triggers.WriteError(ctx, abi.ErrNotFound, string(ctx.Path()), nil)
			return
		}
		handler, allowed, public = func(ctx *fasthttp.RequestCtx, p *programs.Program) { a.fire(ctx, p, name) }, fasthttp.MethodPost, false
	}
	if !slices.Contains(strings.Split(allowed, ", "), method) {
		ctx.Response.Header.Set("Allow", allowed)
		triggers.WriteError(ctx, abi.ErrMethodNotAllowed, method, nil)
		return
	}
	if !public && !a.authorized(ctx, p.Owner) {
		return
	}
	if p.Record().Forgotten && what != "usage" { // what was used stays readable
		triggers.WriteError(ctx, abi.ErrProgramForgotten, "", nil)
		return
	}
	handler(ctx, p)
}

func (a *API) show(ctx *fasthttp.RequestCtx, p *programs.Program) {
	writeJSON(ctx, a.describe(ctx, p.Record()))
}

func (a *API) rollback(ctx *fasthttp.RequestCtx, p *programs.Program) {
	var body struct {
		Version int `json:"version"`
	}
	if b := ctx.Request.Body(); len(b) > 0 {
		if err := json.Unmarshal(b, &body); err != nil || body.Version < 0 {
			triggers.WriteError(ctx, abi.ErrBadRequest, `the body must be {"version": a whole number from 1}`, nil)
			return
		}
	}
	record, err := a.Programs.Rollback(context.Background(), p.ID, body.Version)
	switch {
	case errors.Is(err, programs.ErrForgotten):
		triggers.WriteError(ctx, abi.ErrProgramForgotten, "", nil)
	case errors.Is(err, programs.ErrUnknownVersion):
		triggers.WriteError(ctx, abi.ErrBadRequest, err.Error(), nil)
	case err != nil:
		a.internal(ctx, err)
	default:
		writeJSON(ctx, a.describe(ctx, record))
	}
}

// number reads a query argument, a whole number from 0 to most.
func number(ctx *fasthttp.RequestCtx, name string, otherwise, most int) (int, bool) {
	if !ctx.QueryArgs().Has(name) {
		return otherwise, true
	}
	n, err := ctx.QueryArgs().GetUint(name)
	if err != nil || n > most {
		triggers.WriteError(ctx, abi.ErrBadRequest, fmt.Sprintf("%s must be a whole number from 0 to %d", name, most), nil)
		return 0, false
	}
	return n, true
}

func (a *API) usage(ctx *fasthttp.RequestCtx, p *programs.Program) {
	n, ok := number(ctx, "records", 0, 1000)
	if !ok {
		return
	}
	account, err := a.Meter.Program(p.ID)
	if err != nil {
		a.internal(ctx, err)
		return
	}
	writeJSON(ctx, account.Report(n))
}

func (a *API) logs(ctx *fasthttp.RequestCtx, p *programs.Program) {
	n, ok := number(ctx, "limit", 100, 10_000)
	if !ok {
		return
	}
	ctx.Response.Header.SetContentType("application/x-ndjson")
	if !ctx.QueryArgs().GetBool("follow") {
		entries, err := a.Logs.Tail(p.ID, n)
		if err != nil {
			a.internal(ctx, err)
			return
		}
		encoder := json.NewEncoder(ctx.Response.BodyWriter())
		encoder.SetEscapeHTML(false)
		for i := range entries {
			_ = encoder.Encode(&entries[i]) // into memory
		}
		return
	}
	a.follow(ctx, p, n)
}

const (
	followPause = 15 * time.Second // without entries, after which an empty line shows that the connection still holds
	followStall = time.Minute      // that a client may take to read
)

// follow streams the program's log until the client goes or the node stops.
func (a *API) follow(ctx *fasthttp.RequestCtx, p *programs.Program, n int) {
	life, end := context.WithCancel(a.Life)
	entries, err := a.Logs.Follow(life, p.ID, n)
	if err != nil {
		end()
		a.internal(ctx, err)
		return
	}
	conn := triggers.RawConn(ctx)
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer end()
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		pause := time.NewTicker(followPause)
		defer pause.Stop()
		for {
			var err error
			select {
			case entry, more := <-entries:
				if !more {
					return
				}
				err = encoder.Encode(&entry)
			case <-pause.C:
				err = w.WriteByte('\n')
			}
			if err == nil && len(entries) == 0 {
				_ = conn.SetWriteDeadline(time.Now().Add(followStall)) // a closed connection fails in Flush
				err = w.Flush()
			}
			if err != nil {
				return
			}
		}
	})
}
