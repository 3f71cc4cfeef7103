package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/kv"
)

// HandlerOptions are the settings of a Handler. The server must let bodies of these sizes through.
type HandlerOptions struct {
	// MaxMessage bounds the body of a posted message in bytes. The default value is 1 MiB: an inline content may double
	// when it is escaped.
	MaxMessage int

	// MaxFile bounds an uploaded file with its form in bytes. The default value is 32 MiB.
	MaxFile int

	// Depth says how many events have led to a request with that header. The default value says none.
	Depth func(header *fasthttp.RequestHeader) uint32

	// WriteError answers a request that failed. The default value writes {"error":{"code","message","hint"}}.
	WriteError func(ctx *fasthttp.RequestCtx, rejection *Rejection)
}

// Handler serves a Node over HTTP as core nodes of the network do: see docs/http.md. Each method answers one route; path
// parameters are arguments.
type Handler struct {
	node    *Node
	options HandlerOptions
}

// NewHandler makes the handler of a node.
func NewHandler(node *Node, options HandlerOptions) *Handler {
	if options.MaxMessage == 0 {
		options.MaxMessage = 1 << 20
	}
	if options.MaxFile == 0 {
		options.MaxFile = 32 << 20
	}
	if options.Depth == nil {
		options.Depth = func(*fasthttp.RequestHeader) uint32 { return 0 }
	}
	if options.WriteError == nil {
		options.WriteError = writeError
	}
	return &Handler{node, options}
}

// publication is the answer to a posted message. Nothing is published further yet, so nothing fails.
type publication struct {
	PublicationStatus struct {
		Status string   `json:"status"`
		Failed []string `json:"failed"`
	} `json:"publication_status"`
	MessageStatus Status     `json:"message_status"`
	ErrorCode     *int       `json:"error_code,omitempty"`
	Details       *Rejection `json:"details,omitempty"`
}

// PostMessage answers POST /api/v0/messages: 200 processed, 202 pending, 422 rejected.
func (h *Handler) PostMessage(ctx *fasthttp.RequestCtx) {
	body, err := h.body(ctx, h.options.MaxMessage)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	message, err := decodeEnvelope(body, "body")
	if err != nil {
		h.fail(ctx, err)
		return
	}
	status, err := h.node.AcceptAt(context.Background(), message, h.options.Depth(&ctx.Request.Header))
	answer := publication{MessageStatus: status}
	answer.PublicationStatus.Status, answer.PublicationStatus.Failed = "success", []string{}
	switch status {
	case StatusProcessed, StatusPending:
		writeJSON(ctx, httpStatus(status), answer)
	case StatusRejected:
		var rejection *Rejection
		errors.As(err, &rejection)
		code := rejection.NetworkCode()
		answer.ErrorCode, answer.Details = &code, rejection
		writeJSON(ctx, fasthttp.StatusUnprocessableEntity, answer)
	default:
		h.fail(ctx, err)
	}
}

func httpStatus(status Status) int {
	if status == StatusPending {
		return fasthttp.StatusAccepted
	}
	return fasthttp.StatusOK
}

// messageAnswer is a message as nodes hand it out: with its content, and what the network's chains would say of it.
type messageAnswer struct {
	*Message
	Content       json.RawMessage `json:"content,omitempty"`
	Size          int             `json:"size"`
	Confirmed     bool            `json:"confirmed"`
	Confirmations []struct{}      `json:"confirmations"`
}

// statusAnswer is what a node says of a message.
type statusAnswer struct {
	Status        Status        `json:"status"`
	ItemHash      string        `json:"item_hash"`
	ReceptionTime string        `json:"reception_time"`
	Message       messageAnswer `json:"message"`
	ErrorCode     *int          `json:"error_code,omitempty"`
	Details       *Rejection    `json:"details,omitempty"`
	ForgottenBy   []string      `json:"forgotten_by,omitempty"`
}

// GetMessage answers GET /api/v0/messages/{hash}.
func (h *Handler) GetMessage(ctx *fasthttp.RequestCtx, hash string) {
	record, found, err := h.node.Lookup(hash)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	if !found {
		h.fail(ctx, reject(CodeNotFound, "", "no message %s is known here", shorten(hash)))
		return
	}
	answer := statusAnswer{
		Status: record.Status, ItemHash: hash, ReceptionTime: record.Received.Format("2006-01-02T15:04:05.000000-07:00"),
		Message: messageAnswer{Message: record.Message, Confirmations: []struct{}{}}, ForgottenBy: record.ForgottenBy,
	}
	if record.Rejection != nil {
		code := record.Rejection.NetworkCode()
		answer.ErrorCode, answer.Details = &code, record.Rejection
	}
	if record.Status != StatusForgotten {
		answer.Message = h.node.answerOf(record.Message)
	}
	writeJSON(ctx, fasthttp.StatusOK, answer)
}

// fileAnswer is the answer to an upload.
type fileAnswer struct {
	Status string `json:"status"`
	Hash   string `json:"hash"`
	Name   string `json:"name,omitempty"`
	Size   int    `json:"size"`
}

// AddFile answers POST /api/v0/storage/add_file: a file together with its STORE message, which is accepted as if it had
// been posted after the file. Nothing is stored for a message that is not signed by its sender.
func (h *Handler) AddFile(ctx *fasthttp.RequestCtx) {
	body, err := h.body(ctx, h.options.MaxFile)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	u, err := parseUpload(string(ctx.Request.Header.ContentType()), body)
	if err == nil {
		err = h.node.mayUpload(u)
	}
	if err != nil {
		h.fail(ctx, err)
		return
	}
	status, err := h.node.acceptUpload(context.Background(), u, h.options.Depth(&ctx.Request.Header))
	if err != nil {
		h.fail(ctx, err)
		return
	}
	writeJSON(ctx, httpStatus(status), fileAnswer{"success", u.store.ItemHash, u.name, len(u.file)})
}

// AddJSON answers POST /api/v0/storage/add_json: the content of a message that is too large to be inline. It is kept as
// it is sent, byte for byte, until its message comes.
func (h *Handler) AddJSON(ctx *fasthttp.RequestCtx) {
	body, err := h.body(ctx, MaxContent)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	if !json.Valid(body) {
		h.fail(ctx, reject(CodeInvalidFormat, "body", "is not valid JSON"))
		return
	}
	hash, err := h.node.Upload(body)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	writeJSON(ctx, fasthttp.StatusOK, fileAnswer{Status: "success", Hash: hash, Size: len(body)})
}

// Raw answers GET and HEAD /api/v0/storage/raw/{hash}: the bytes of a file.
func (h *Handler) Raw(ctx *fasthttp.RequestCtx, hash string) {
	if !IsStorageHash(hash) {
		h.fail(ctx, reject(CodeNotFound, "", "%q is not the hash of a file", shorten(hash)))
		return
	}
	file, err := os.Open(h.node.blobs.Path(hash))
	if errors.Is(err, os.ErrNotExist) {
		h.fail(ctx, reject(CodeNotFound, "", "no file %s is here", hash))
		return
	}
	if err != nil {
		h.fail(ctx, err)
		return
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		h.fail(ctx, err)
		return
	}
	ctx.SetContentType("application/octet-stream")
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	ctx.Response.Header.Set("Cache-Control", "public, immutable, max-age=31536000")
	ctx.SetBodyStream(file, int(info.Size())) // closes the file
}

// body is the request's body, whether the server streams it or not.
func (h *Handler) body(ctx *fasthttp.RequestCtx, limit int) ([]byte, error) {
	tooLarge := reject(CodeBodyTooLarge, "", "the body is over the limit of %d bytes", limit)
	if ctx.Request.Header.ContentLength() > limit {
		return nil, tooLarge
	}
	body := ctx.Request.Body
	if ctx.Request.IsBodyStream() {
		var buffer bytes.Buffer
		if _, err := buffer.ReadFrom(io.LimitReader(ctx.RequestBodyStream(), int64(limit)+1)); err != nil {
			return nil, reject(CodeInvalidFormat, "", "the body cannot be read: %v", err)
		}
		body = buffer.Bytes
	}
	if content := body(); len(content) <= limit {
		return content, nil
	}
	return nil, tooLarge
}

// fail answers with an error.
func (h *Handler) fail(ctx *fasthttp.RequestCtx, err error) {
	var rejection *Rejection
	if !errors.As(err, &rejection) {
		h.log(ctx, err)
		rejection = reject(CodeInternal, "", "the node failed")
		if errors.Is(err, kv.ErrUnavailable) || errors.Is(err, context.Canceled) {
			rejection = reject(CodeUnavailable, "", "the node is shutting down or not ready").hint("try again")
		}
	}
	h.options.WriteError(ctx, rejection)
}

func (h *Handler) log(ctx *fasthttp.RequestCtx, err error) {
	h.node.options.Log.Error("network request failed", "method", string(ctx.Method()), "path", string(ctx.Path()), "error", err)
}

func writeError(ctx *fasthttp.RequestCtx, rejection *Rejection) {
	writeJSON(ctx, rejection.Status(), map[string]any{"error": map[string]string{
		"code": rejection.Code, "message": rejection.Error(), "hint": rejection.Hint,
	}})
}

// writeJSON answers with a JSON body.
func writeJSON(ctx *fasthttp.RequestCtx, status int, body any) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	encoder := json.NewEncoder(ctx)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil { // only a value that is not JSON fails
		ctx.Error(`{"error":{"code":"internal","message":"the answer cannot be encoded"}}`, fasthttp.StatusInternalServerError)
	}
}
