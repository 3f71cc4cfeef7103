package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aleph-edge/aleph-edge/network"
)

// Message is a message as a node hands it out.
type Message struct {
	network.Message
	Content json.RawMessage `json:"content"` // its content; null where the node has none of it
}

// MessageState is what a node knows of a message.
type MessageState struct {
	Status      network.Status     `json:"status"`
	Received    string             `json:"reception_time"`
	Message     Message            `json:"message"`
	Rejection   *network.Rejection `json:"details"`
	ForgottenBy []string           `json:"forgotten_by"`
}

// MessageQuery is which messages to list; an empty field is any.
type MessageQuery struct {
	Types    []string // POST, STORE, …
	Kinds    []string // of a content: what a POST says it is
	Channels []string
	Senders  []string
	Refs     []string
	Limit    int // the newest so many; 0 is the node's default
}

// Message asks for a message. JSON is the node's answer as it came.
func (c *Client) Message(ctx context.Context, hash string) (state MessageState, raw json.RawMessage, err error) {
	err = c.exchange(ctx, request{method: http.MethodGet, path: "/api/v0/messages/" + url.PathEscape(hash)}, &raw)
	if err == nil {
		err = json.Unmarshal(raw, &state)
	}
	return state, raw, err
}

// Messages lists processed messages, newest first, and says how many there are.
func (c *Client) Messages(ctx context.Context, q MessageQuery) (list []Message, total int, err error) {
	query := url.Values{}
	for name, values := range map[string][]string{"msgTypes": q.Types, "contentTypes": q.Kinds, "channels": q.Channels, "addresses": q.Senders, "refs": q.Refs} {
		if len(values) > 0 {
			query.Set(name, strings.Join(values, ","))
		}
	}
	if q.Limit > 0 {
		query.Set("pagination", strconv.Itoa(q.Limit))
	}
	var answer struct {
		Messages []Message `json:"messages"`
		Total    int       `json:"pagination_total"`
	}
	err = c.exchange(ctx, request{method: http.MethodGet, path: "/api/v0/messages.json?" + query.Encode()}, &answer)
	return answer.Messages, answer.Total, err
}
