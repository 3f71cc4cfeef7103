// Package api is the node's one HTTP interface: it finds the handler of a request. docs/http.md describes it.
package api

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/logs"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers/delivery"
	triggers "github.com/aleph-edge/aleph-edge/triggers/http"
	"github.com/aleph-edge/aleph-edge/usage"
)

// Config is what an API is made of. All are required.
type Config struct {
	Life     context.Context // ends what streams without end
	NodeID   string
	Version  string
	Open     bool // any account may deploy
	MaxBody  int  // bytes of a request to the node; those to programs have the trigger's bound
	Trigger  *triggers.Trigger
	Programs *programs.Registry
	Messages *network.Handler
	Requests *network.RequestVerifier
	Logs     *logs.Logs
	Meter    *usage.Meter
	Queue    *queue.Queue
	Sources  *delivery.Sources
	Topics   func(ctx *fasthttp.RequestCtx, topic string) // answers what is posted to a topic
	Counters func() map[string]int64                      // what the node holds now, for /about/usage/system
	Log      *slog.Logger
}

// An API answers HTTP requests.
type API struct{ Config }

// WriteRejection answers with what the network package rejects.
func WriteRejection(ctx *fasthttp.RequestCtx, r *network.Rejection) {
	message := r.Message
	if r.Field != "" {
		message = r.Field + ": " + message
	}
	triggers.WriteErrorText(ctx, r.Status(), r.Code, message, r.Hint, nil)
}

var (
	runPrefix = []byte("/api/v0/run/")
	vmPrefix  = []byte("/vm/")
)

// Handle answers a request.
func (a *API) Handle(ctx *fasthttp.RequestCtx) {
	if ctx.Request.Header.ContentLength() == -1 && twoLengths(ctx.Request.Header.RawHeaders()) {
		triggers.WriteError(ctx, abi.ErrBadRequest, "it has both Content-Length and Transfer-Encoding", nil)
		ctx.SetConnectionClose()
		return
	}
	if triggers.RefuseHeader(ctx) {
		return
	}
	target, query, _ := bytes.Cut(ctx.RequestURI(), []byte{'?'})
	if len(target) > 0 && target[0] != '/' {
		target = originForm(target)
	}
	switch {
	case bytes.HasPrefix(target, runPrefix):
		a.run(ctx, target, len(runPrefix), query)
	case bytes.HasPrefix(target, vmPrefix):
		a.run(ctx, target, len(vmPrefix), query)
	default:
		if id := hostProgram(ctx.Host()); id != "" {
			a.call(ctx, a.Programs.Lookup(id), triggers.Target{Path: target, Query: query})
			return
		}
		if triggers.ReadBody(ctx, a.MaxBody) {
			a.route(ctx, string(target))
		}
	}
}

// originForm is a target without the scheme and authority that it has in a request made for a proxy (RFC 9112, 3.2.2).
func originForm(target []byte) []byte {
	scheme := bytes.Index(target, []byte("://"))
	if scheme < 0 {
		return target
	}
	if path := bytes.IndexByte(target[scheme+3:], '/'); path >= 0 {
		return target[scheme+3+path:]
	}
	return []byte{'/'}
}

// twoLengths says whether a chunked request names a length, too: what is in front of this node may then have seen another
// request than this one (RFC 9112, 6.3).
func twoLengths(headers []byte) bool {
	for line := range bytes.Lines(headers) {
		if name, _, ok := bytes.Cut(line, []byte{':'}); ok && bytes.EqualFold(bytes.TrimSpace(name), []byte("content-length")) {
			return true
		}
	}
	return false
}

// run answers a request whose path has a program's id from at on.
func (a *API) run(ctx *fasthttp.RequestCtx, path []byte, at int, query []byte) {
	end := bytes.IndexByte(path[at:], '/')
	if end < 0 {
		end = len(path) - at
	}
	a.call(ctx, a.Programs.LookupBytes(path[at:at+end]), triggers.Target{Root: path[:at+end], Path: path[at+end:], Query: query})
}

func (a *API) call(ctx *fasthttp.RequestCtx, program *programs.Program, target triggers.Target) {
	if program == nil {
		triggers.WriteError(ctx, abi.ErrProgramNotFound, "", nil)
		return
	}
	a.Trigger.Serve(ctx, program, target)
}

// hostProgram is the id in a host name whose first label is an id in base32, or nothing.
func hostProgram(host []byte) string {
	const labelLength = 52 // 32 bytes in base32, without padding
	if len(host) <= labelLength || host[labelLength] != '.' {
		return ""
	}
	label := bytes.ToUpper(host[:labelLength])
	var id [32]byte
	if n, err := base32.StdEncoding.WithPadding(base32.NoPadding).Decode(id[:], label); err != nil || n != len(id) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// route answers everything that is not a program's.
func (a *API) route(ctx *fasthttp.RequestCtx, path string) {
	const base = "/api/v0/"
	method := string(ctx.Method())
	get := method == fasthttp.MethodGet || method == fasthttp.MethodHead
	rest, isAPI := strings.CutPrefix(path, base)
	if path == "/about/usage/system" && get {
		writeJSON(ctx, a.Counters())
		return
	}
	first, tail, _ := strings.Cut(rest, "/")
	allowed := "GET, HEAD"
	switch {
	case !isAPI:
		allowed = ""
	case rest == "messages":
		if allowed = fasthttp.MethodPost; method == allowed {
			a.Messages.PostMessage(ctx)
			return
		}
	case first == "messages" && tail != "" && !strings.Contains(tail, "/"):
		if get {
			a.Messages.GetMessage(ctx, tail)
			return
		}
	case rest == "messages.json":
		if get {
			a.Messages.ListMessages(ctx)
			return
		}
	case rest == "posts.json":
		if get {
			a.Messages.ListPosts(ctx)
			return
		}
	case first == "aggregates" && strings.HasSuffix(tail, ".json") && !strings.Contains(tail, "/"):
		if get {
			a.Messages.GetAggregates(ctx, strings.TrimSuffix(tail, ".json"))
			return
		}
	case first == "topics" && tail != "" && !strings.Contains(tail, "/"):
		if allowed = fasthttp.MethodPost; method == allowed {
			a.Topics(ctx, tail)
			return
		}
	case rest == "storage/add_file":
		if allowed = fasthttp.MethodPost; method == allowed {
			a.Messages.AddFile(ctx)
			return
		}
	case rest == "storage/add_json":
		if allowed = fasthttp.MethodPost; method == allowed {
			a.Messages.AddJSON(ctx)
			return
		}
	case strings.HasPrefix(rest, "storage/raw/"):
		if get {
			a.Messages.Raw(ctx, rest[len("storage/raw/"):])
			return
		}
	case rest == "node":
		if get {
			writeJSON(ctx, map[string]any{"node_id": a.NodeID, "version": a.Version, "runtimes": a.Programs.Runtimes(),
				"languages": a.Programs.Languages(), "open": a.Open})
			return
		}
	case rest == "programs":
		if get {
			a.list(ctx)
			return
		}
	case first == "programs":
		a.program(ctx, method, tail)
		return
	default:
		allowed = ""
	}
	if allowed == "" {
		triggers.WriteError(ctx, abi.ErrNotFound, path, nil)
		return
	}
	ctx.Response.Header.Set("Allow", allowed)
	triggers.WriteError(ctx, abi.ErrMethodNotAllowed, method, nil)
}

// authorized says whether the request is signed by the program's owner; if not, it is answered.
func (a *API) authorized(ctx *fasthttp.RequestCtx, owner string) bool {
	err := a.Requests.Verify(string(ctx.Request.Header.Peek("Authorization")), owner, string(ctx.Method()), string(ctx.RequestURI()), ctx.Request.Body())
	var rejection *network.Rejection
	switch {
	case err == nil:
		return true
	case errors.As(err, &rejection):
		WriteRejection(ctx, rejection)
	default:
		a.internal(ctx, err)
	}
	return false
}

func (a *API) internal(ctx *fasthttp.RequestCtx, err error) {
	a.Log.Error("request failed", "method", string(ctx.Method()), "path", string(ctx.Path()), "error", err)
	triggers.WriteError(ctx, abi.ErrInternal, "", nil)
}

func writeJSON(ctx *fasthttp.RequestCtx, value any) {
	ctx.Response.Header.SetContentType("application/json")
	encoder := json.NewEncoder(ctx.Response.BodyWriter())
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // into memory
}
