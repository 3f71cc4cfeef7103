package client

import (
	"context"
	"errors"
	"net/http"

	"github.com/aleph-edge/aleph-edge/network"
)

// authorize gives the Authorization header of a signed request. The first time it asks the node for its id, which the
// signature is bound to.
func (c *Client) authorize(ctx context.Context, r request) (string, error) {
	if c.key == nil {
		return "", errors.New("the request must be signed, and there is no key")
	}
	id, err := c.signedFor(ctx)
	if err != nil {
		return "", err
	}
	return network.SignRequest(c.key, id, r.method, r.path, r.body)
}

// signedFor is the node's id, asked for once.
func (c *Client) signedFor(ctx context.Context) (string, error) {
	c.mu.Lock()
	id := c.nodeID
	c.mu.Unlock()
	if id != "" {
		return id, nil
	}
	node, err := c.Node(ctx)
	if err != nil {
		return "", err
	}
	if node.ID == "" {
		return "", c.foreign(http.StatusOK)
	}
	c.mu.Lock()
	c.nodeID = node.ID
	c.mu.Unlock()
	return node.ID, nil
}
