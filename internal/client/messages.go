package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/aleph-edge/aleph-edge/network"
)

// Publish posts a signed message and waits until the node has processed it: a program that it deploys is built and
// served then. The error is a *network.Rejection if the node rejected the message.
func (c *Client) Publish(ctx context.Context, message *network.Message) error {
	body, err := json.Marshal(envelope{message, true})
	if err != nil {
		return err
	}
	return c.publish(ctx, message.ItemHash, request{
		method: http.MethodPost, path: "/api/v0/messages", body: body,
		header: http.Header{"Content-Type": {"application/json"}},
	})
}

// Upload posts a STORE message together with the file it names, and waits like Publish.
func (c *Client) Upload(ctx context.Context, message *network.Message, name string, file []byte) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	metadata, err := json.Marshal(envelope{message, true})
	if err != nil {
		return err
	}
	// Writes to a bytes.Buffer cannot fail.
	_ = form.WriteField("metadata", string(metadata))
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	_, _ = part.Write(file)
	_ = form.Close()
	return c.publish(ctx, message.ItemHash, request{
		method: http.MethodPost, path: "/api/v0/storage/add_file", body: body.Bytes(),
		header: http.Header{"Content-Type": {form.FormDataContentType()}},
	})
}

// envelope is the form in which messages are posted.
type envelope struct {
	Message *network.Message `json:"message"`
	Sync    bool             `json:"sync"`
}

// publication is a node's answer about a message; which fields there are depends on the request and the status.
type publication struct {
	MessageStatus string            `json:"message_status"`
	Status        string            `json:"status"`
	Details       network.Rejection `json:"details"`
}

// publish sends a message. While the node answers that it is pending, it asks again until it is processed or rejected,
// or the time to publish is over.
func (c *Client) publish(ctx context.Context, hash string, r request) error {
	ctx, cancel := context.WithTimeoutCause(ctx, publishTimeout, errSilent{publishTimeout})
	defer cancel()
	r.timeout = publishTimeout
	a, err := c.answer(ctx, r)
	if err != nil {
		return err
	}
	switch a.status {
	case http.StatusOK:
		var p publication
		return c.decode(a, &p)
	case http.StatusAccepted:
		return c.await(ctx, hash)
	case http.StatusUnprocessableEntity:
		return c.rejection(a)
	}
	return c.refusal(a.status, a.body)
}

// await asks for a pending message until it is not.
func (c *Client) await(ctx context.Context, hash string) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		select {
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return &Error{
					Status: http.StatusAccepted, Message: fmt.Sprintf("the node has not processed the message within %v", publishTimeout),
					Hint: "it is not lost: see " + c.host + "/api/v0/messages/" + hash,
				}
			}
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		a, err := c.answer(ctx, request{method: http.MethodGet, path: "/api/v0/messages/" + hash})
		if err != nil {
			return err
		}
		if a.status >= 300 {
			return c.refusal(a.status, a.body)
		}
		var p publication
		if err := c.decode(a, &p); err != nil {
			return err
		}
		switch p.Status {
		case "processed":
			return nil
		case "rejected":
			return c.rejection(a)
		}
	}
}

// rejection is the *network.Rejection in an answer about a message, or what else the answer says.
func (c *Client) rejection(a answer) error {
	var p publication
	if json.Unmarshal(a.body, &p) == nil && p.Details.Message != "" {
		return &p.Details
	}
	return c.refusal(a.status, a.body)
}
