package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aleph-edge/aleph-edge/internal/bundle"
	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
)

// runtimeNamed is the runtime that --runtime means: a name of the node's own, an item hash, or the program of that name or id, whose
// module runs others. What nothing has the node refuses, for it knows which there are.
func (a *app) runtimeNamed(ctx context.Context, c *client.Client, name, owner string) (string, error) {
	if name == "" || network.IsStorageHash(name) || bundle.Known(name) {
		return name, nil
	}
	node, err := c.Node(ctx)
	if err != nil || slices.Contains(node.Runtimes, name) {
		return name, err
	}
	programs, err := c.Programs(ctx, "")
	if err != nil {
		return "", err
	}
	program, err := pick(programs, name, owner)
	if errors.Is(err, errNoProgram) {
		return name, nil
	}
	return program.ItemHash, err
}

// building says what the node does for a deploy: what is asked for, or that it makes the language ready first, once a machine.
func (a *app) building(ctx context.Context, c *client.Client, runtime string) func(what string) (end func()) {
	return func(what string) func() {
		return a.progressOf(func() string {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if node, err := c.Node(ctx); err == nil {
				return preparing(node.Languages, runtime, what)
			}
			return what
		})
	}
}

// preparing is the step of a runtime's language, if it is not ready; else what.
func preparing(languages []client.Language, runtime, what string) string {
	for _, l := range languages {
		if !slices.Contains(l.Runtimes, runtime) {
			continue
		}
		switch l.State {
		case "compiling", "initialising":
			return fmt.Sprintf("%s the language %s, once on this machine", l.State, l.Name)
		}
	}
	return what
}
