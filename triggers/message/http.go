package message

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// Depth is how many events have led to a request: what its CDN-Loop headers say.
func Depth(header *fasthttp.RequestHeader) uint32 {
	return triggers.Depth(string(bytes.Join(header.PeekAll(triggers.LoopHeader), []byte{','})))
}

// PostTopic answers POST /api/v0/topics/{topic}, with the whole body read: 202 {"id","programs"} when all programs have the event on the
// disk. The header Idempotency-Key makes posting again safe.
func (t *Trigger) PostTopic(ctx *fasthttp.RequestCtx, topic string) {
	header := &ctx.Request.Header
	receipt, err := t.Post(context.Background(), topic, string(header.ContentType()), ctx.Request.Body(), string(header.Peek("Idempotency-Key")), Depth(header))
	if err != nil {
		t.refuse(ctx, topic, err)
		return
	}
	body, err := json.Marshal(struct {
		ID       string `json:"id"`
		Programs int    `json:"programs"`
	}{receipt.ID, len(receipt.Programs)})
	if err != nil {
		t.refuse(ctx, topic, err)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusAccepted)
	ctx.SetContentType("application/json")
	ctx.SetBody(append(body, '\n'))
}

func (t *Trigger) refuse(ctx *fasthttp.RequestCtx, topic string, err error) {
	var known *Error
	if !errors.As(err, &known) {
		known = fail(fasthttp.StatusInternalServerError, "internal", "the node failed")
		if errors.Is(err, kv.ErrUnavailable) {
			known = fail(fasthttp.StatusServiceUnavailable, "unavailable", "the node is shutting down or takes no writes").hint("try again")
			known.RetryAfter = retryAfter
		}
		t.cfg.Log.Error("a post to a topic failed", "topic", topic, "error", err)
	}
	t.cfg.WriteError(ctx, known.Status, known.Code, known.Message, known.Hint)
	if known.RetryAfter > 0 {
		ctx.Response.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(known.RetryAfter.Seconds()))))
	}
}

func writeError(ctx *fasthttp.RequestCtx, status int, code, message, hint string) {
	body, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": message, "hint": hint}}) // of strings
	ctx.Error(string(body), status)
	ctx.SetContentType("application/json")
}
