package node

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/programs"
)

// deployments hands what messages ask for to the registry.
type deployments struct{ node *Node }

var _ network.ProgramHandler = (*deployments)(nil)

// Runs says whether a runtime is the node's own.
func (d *deployments) Runs(runtime string) bool {
	return slices.Contains(d.node.registry.Runtimes(), runtime)
}

// Prepare builds a program.
func (d *deployments) Prepare(ctx context.Context, m network.Deployment) (network.Change, error) {
	declared, err := d.node.declared(m.Content)
	if err != nil {
		return nil, err
	}
	name, _ := m.Content.Metadata["name"].(string)
	description, _ := m.Content.Metadata["description"].(string)
	variables := map[string]string{}
	for key, value := range m.Content.Variables {
		variables[key] = value
	}
	codeRef := ""
	if m.Content.Code.UseLatest {
		codeRef = m.Content.Code.Ref
	}
	change, err := d.node.registry.Prepare(ctx, programs.Deployment{
		ID: m.Program, Name: name, Description: description, Owner: m.Owner, CodeRef: codeRef,
		Version: programs.Version{CodeRef: m.CodeRef, CodeHash: m.CodeHash, Encoding: string(m.Content.Code.Encoding),
			Entrypoint: m.Content.Code.Entrypoint, Runtime: m.Content.Runtime.Ref, Stored: stored(m.Runtime), Memory: m.Content.Resources.Memory,
			Timeout: m.Content.Resources.Seconds, Variables: variables, NoInternet: !m.Content.Environment.Internet, Triggers: *declared, Message: m.Message, Created: time.Now().UTC()}})
	var fault *programs.BuildError
	if errors.As(err, &fault) {
		hint := fault.Hint
		if hint == "" {
			hint = fault.Code.Hint
		}
		return nil, &network.Rejection{Code: fault.Code.Code, Message: explain(fault), Hint: hint}
	}
	if err != nil {
		return nil, err
	}
	return change, nil
}

// stored is a runtime that is not the node's own.
func stored(m *network.RuntimeModule) *programs.Runtime {
	if m == nil {
		return nil
	}
	return &programs.Runtime{CodeHash: m.CodeHash, Encoding: m.Encoding, Entrypoint: m.Entrypoint, Variables: m.Variables, Of: m.Of}
}

// explain is a fault's message and its stack, without the stack's beginning where that says the message again.
func explain(fault *programs.BuildError) string {
	stack := strings.TrimPrefix(fault.Stack, fault.Message)
	if first, rest, _ := strings.Cut(stack, "\n"); strings.HasSuffix(fault.Message, first) {
		stack = rest
	}
	if stack == "" {
		return fault.Message
	}
	return fault.Message + "\n" + stack
}

// Remove ends a program.
func (d *deployments) Remove(_ context.Context, id string) (network.Change, error) {
	change, err := d.node.registry.PrepareRemoval(id)
	if err != nil {
		return nil, err
	}
	return change, nil
}

// drop drops a forgotten program's data and log. What it used stays.
func (n *Node) drop(id string) {
	n.egress.Remove(id)
	err := errors.Join(n.dropEvents(id), n.db.DropStore(id), n.logs.Remove(id), n.meter.Remove(id))
	if err != nil {
		n.config.Log.Error("what a forgotten program had is not all dropped; the next start tries again", "program", id, "error", err)
	}
}
