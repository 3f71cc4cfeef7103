package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
)

// minPrefix is how many digits of an id name a program at least.
const minPrefix = 4

// resolve finds the program that an argument names: by its id, by its name (this account's programs first), or by the
// beginning of its id. A full id is taken as it is.
func (a *app) resolve(ctx context.Context, c *client.Client, argument string) (string, error) {
	if network.IsStorageHash(argument) {
		return argument, nil
	}
	programs, err := c.Programs(ctx, "")
	if err != nil {
		return "", err
	}
	program, err := pick(programs, argument, a.knownAddress())
	return program.ItemHash, err
}

// errNoProgram begins the error of an argument that names nothing.
var errNoProgram = errors.New("no program has")

// pick chooses among programs as resolve says. Owner is this account's address, or empty.
func pick(programs []client.Program, argument, owner string) (client.Program, error) {
	named := func(p client.Program) bool { return argument != "" && p.Name == argument }
	prefix := strings.ToLower(argument)
	for _, matches := range []func(client.Program) bool{
		func(p client.Program) bool { return named(p) && strings.EqualFold(p.Owner, owner) },
		named,
		func(p client.Program) bool { return len(prefix) >= minPrefix && strings.HasPrefix(p.ItemHash, prefix) },
	} {
		var found []client.Program
		for _, p := range programs {
			if matches(p) {
				found = append(found, p)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		return client.Program{}, ambiguous(argument, found)
	}
	return client.Program{}, withHint(fmt.Errorf("%w the name %q, nor an id that begins with it", errNoProgram, argument),
		"see them with: aleph program list --all")
}

// ambiguous is the error of an argument that names several programs.
func ambiguous(argument string, found []client.Program) error {
	const shown = 10
	var text strings.Builder
	fmt.Fprintf(&text, "%q names %d programs:", argument, len(found))
	for i, p := range found {
		if i == shown {
			fmt.Fprintf(&text, "\n… and %d more", len(found)-shown)
			break
		}
		fmt.Fprintf(&text, "\n%s  %s  of %s, updated %s", p.ItemHash, p.Name, p.Owner, shortTime(p.Updated))
	}
	return withHint(fmt.Errorf("%s", &text), "give the id of one of them")
}

// shortID is the beginning of an id, for tables.
func shortID(id string) string { return id[:min(12, len(id))] }

// completionTime is how long completion may wait for the node.
const completionTime = time.Second

// completeProgram offers the names and ids of the node's programs for the first argument.
func (a *app) completeProgram(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	programs, err := c.Programs(ctx, a.knownAddress())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offered []cobra.Completion
	for _, p := range programs {
		if p.Name != "" {
			offered = append(offered, cobra.CompletionWithDesc(printable(p.Name), shortID(p.ItemHash)))
		}
		offered = append(offered, cobra.CompletionWithDesc(p.ItemHash, printable(p.Name)))
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}

// completeRuntime offers the runtimes of the node.
func (a *app) completeRuntime(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	node, err := c.Node(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return node.Runtimes, cobra.ShellCompDirectiveNoFileComp
}
