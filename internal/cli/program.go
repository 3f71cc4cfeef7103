package cli

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/bundle"
	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
)

// idHelp ends the help of commands that take an ID.
const idHelp = `

ID is a program's id, the beginning of it (at least 4 digits), or a name; this account's programs come first.`

func (a *app) programCommand() *cobra.Command {
	program := &cobra.Command{
		Use:     "program",
		Aliases: []string{"programs"},
		Short:   "Deploy, call and manage programs",
	}
	asGroup(program)
	program.AddCommand(
		a.deployCommand(), a.callCommand(), a.listCommand(), a.showCommand(), a.logsCommand(),
		a.usageCommand(), a.rollbackCommand(), a.deleteCommand(),
	)
	return program
}

func (a *app) listCommand() *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List this account's programs",
		Long:    "List this account's programs, or everyone's with --all or where there is no account yet.",
		Example: "  aleph program list\n  aleph program list --all --json",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.Close()
			owner := ""
			if !all {
				owner = a.knownAddress()
			}
			programs, err := c.Programs(cmd.Context(), owner)
			if err != nil {
				return err
			}
			if asJSON {
				if programs == nil {
					programs = []client.Program{}
				}
				return a.printJSON(programs)
			}
			if len(programs) == 0 {
				a.say("note", "no programs at "+c.Host()+"; deploy one with: aleph program deploy --name NAME --file FILE")
				return nil
			}
			return a.printPrograms(programs, owner == "")
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "those of every account, too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with full ids")
	return cmd
}

func (a *app) printPrograms(programs []client.Program, withOwner bool) error {
	t := newTable(a.Out)
	heading := []string{"NAME", "ID", "RUNTIME", "MEMORY", "TIMEOUT", "VERSION", "UPDATED"}
	if withOwner {
		heading = append(heading, "OWNER")
	}
	t.row(heading...)
	for _, p := range programs {
		row := []string{
			cmp.Or(p.Name, "-"), shortID(p.ItemHash), p.Runtime, fmt.Sprintf("%d MiB", p.Memory), fmt.Sprintf("%d s", p.Timeout),
			strconv.Itoa(p.ActiveVersion), shortTime(p.Updated),
		}
		if withOwner {
			row = append(row, p.Owner)
		}
		t.row(row...)
	}
	return t.flush()
}

func (a *app) showCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "show ID",
		Short:             "Show a program, its limits and versions",
		Long:              "Show a program: its endpoint, limits, variables and versions." + idHelp,
		Example:           "  aleph program show hello-world",
		Args:              arguments("ID"),
		ValidArgsFunction: a.completeProgram,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := a.resolve(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			program, err := c.Program(cmd.Context(), id)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(program)
			}
			return a.printProgram(program)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printProgram(p client.Program) error {
	t := newTable(a.Out)
	t.row("Name", cmp.Or(p.Name, "-"))
	if p.Description != "" {
		t.row("Description", p.Description)
	}
	t.row("ID", p.ItemHash)
	t.row("Endpoint", p.Endpoint)
	t.row("Owner", p.Owner)
	t.row("Status", p.Status)
	runtime := p.Runtime
	if bundle.RunsAs(runtime) != "" {
		runtime += " (" + p.Engine + ")"
	}
	t.row("Runtime", runtime)
	t.row("Entrypoint", cmp.Or(p.Entrypoint, "-"))
	t.row("Memory", fmt.Sprintf("%d MiB", p.Memory))
	t.row("Timeout", fmt.Sprintf("%d s", p.Timeout))
	if p.NoInternet {
		t.row("Internet", "no")
	}
	for i, name := range sortedKeys(p.Variables) {
		label := ""
		if i == 0 {
			label = "Variables"
		}
		t.row(label, name+"="+p.Variables[name])
	}
	t.row("Created", shortTime(p.Created))
	t.row("Updated", shortTime(p.Updated))
	if err := t.flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.Out)
	t = newTable(a.Out)
	t.row("VERSION", "CREATED", "RUNTIME", "MEMORY", "TIMEOUT", "CODE", "")
	for _, v := range slices.Backward(p.Versions) {
		active := ""
		if v.Version == p.ActiveVersion {
			active = "active"
		}
		t.row(strconv.Itoa(v.Version), shortTime(v.Created), v.Runtime, fmt.Sprintf("%d MiB", v.Memory),
			fmt.Sprintf("%d s", v.Timeout), shortID(v.CodeHash), active)
	}
	return t.flush()
}

func (a *app) usageCommand() *cobra.Command {
	var asJSON bool
	var records int
	cmd := &cobra.Command{
		Use:               "usage ID",
		Short:             "Show what a program has used",
		Long:              "Show what a program has used since it was deployed. Only its owner may." + idHelp,
		Example:           "  aleph program usage hello-world\n  aleph program usage hello-world --json --records 10",
		Args:              arguments("ID"),
		ValidArgsFunction: a.completeProgram,
		RunE: func(cmd *cobra.Command, args []string) error {
			if records < 0 || (records > 0 && !asJSON) {
				return usagef("--records takes a number above 0 and --json")
			}
			c, id, err := a.owned(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			usage, err := c.Usage(cmd.Context(), id, records)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(usage)
			}
			t := newTable(a.Out)
			t.row("Invocations", strconv.FormatInt(usage.Invocations, 10))
			t.row("Errors", strconv.FormatInt(usage.Errors, 10))
			t.row("GB-seconds", fmt.Sprintf("%.6f", usage.GBSeconds))
			t.row("CPU time", millis(usage.CPUMillis))
			t.row("Wall time", millis(usage.WallMillis))
			t.row("Egress", byteSize(usage.EgressBytes))
			t.row("Outbound requests", fmt.Sprintf("%d, %s in their answers", usage.Fetches, byteSize(usage.Inbound)))
			t.row("Store operations", strconv.FormatInt(usage.StoreOps, 10))
			return t.flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&records, "records", 0, "with --json, add the records of the last `N` invocations")
	return cmd
}

func (a *app) rollbackCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rollback ID [VERSION]",
		Short: "Serve an earlier version of a program",
		Long: `Serve an earlier version of a program again: its code, limits and variables as they were. Nothing is built
anew and no request is lost. Without VERSION it is the one before the active one.` + idHelp,
		Example:           "  aleph program rollback hello-world\n  aleph program rollback hello-world 3",
		Args:              arguments("ID", "[VERSION]"),
		ValidArgsFunction: a.completeProgram,
		RunE: func(cmd *cobra.Command, args []string) error {
			version := 0
			if len(args) == 2 {
				var err error
				if version, err = strconv.Atoi(args[1]); err != nil || version < 1 {
					return usagef("VERSION must be a number from 1, not %q", args[1])
				}
			}
			c, id, err := a.owned(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			program, err := c.Rollback(cmd.Context(), id, version)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(program)
			}
			fmt.Fprintf(a.Out, "%s serves version %d\n", printable(cmp.Or(program.Name, id)), program.ActiveVersion)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the program as JSON")
	return cmd
}

func (a *app) deleteCommand() *cobra.Command {
	var yes, keepCode bool
	cmd := &cobra.Command{
		Use:     "delete ID",
		Aliases: []string{"rm"},
		Short:   "Delete a program, its data and its code, for good",
		Long: `Delete a program, the data in its store and its code, for good: its id answers 410 from then on. Code that another
program uses stays. At a terminal the command asks first, unless --yes is given.` + idHelp,
		Example:           "  aleph program delete hello-world",
		Args:              arguments("ID"),
		ValidArgsFunction: a.completeProgram,
		RunE: func(cmd *cobra.Command, args []string) error {
			owner, err := a.account()
			if err != nil {
				return err
			}
			c, err := a.clientFor(owner.Key())
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := a.resolve(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			program, err := c.Program(cmd.Context(), id)
			if err != nil {
				return err
			}
			if !yes && isTerminal(a.In) && !a.confirm(fmt.Sprintf("Delete %s (%s) and its data?", cmp.Or(program.Name, "the program"), shortID(id))) {
				return errors.New("nothing was deleted")
			}
			if err := forget(cmd.Context(), c, owner.Key(), id); err != nil {
				return err
			}
			if !keepCode {
				if err := forgetCode(cmd.Context(), c, owner.Key(), &program); err != nil {
					a.say("note", "its code stays: "+err.Error())
				}
			}
			fmt.Fprintf(a.Out, "Deleted %s %s\n", printable(cmp.Or(program.Name, "program")), id)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&keepCode, "keep-code", false, "leave the code in the node's storage")
	return cmd
}

// forget publishes that messages of this account are to be forgotten: all of them, or none.
func forget(ctx context.Context, c *client.Client, key *ecdsa.PrivateKey, hashes ...string) error {
	message, err := network.Sign(key, network.TypeForget, network.Forget{
		Address: network.Address(key), Time: network.UnixSeconds(time.Now()), Hashes: hashes,
	}, network.Options{})
	if err != nil {
		return err
	}
	return c.Publish(ctx, message)
}

// forgetCode forgets the STORE messages of a deleted program's versions.
func forgetCode(ctx context.Context, c *client.Client, key *ecdsa.PrivateKey, p *client.Program) error {
	var stores []string
	for _, version := range p.Versions {
		stores = append(stores, version.CodeRef)
	}
	slices.Sort(stores)
	return forget(ctx, c, key, slices.Compact(stores)...)
}

// confirm asks a question at the terminal; anything but y or yes is no.
func (a *app) confirm(question string) bool {
	fmt.Fprintf(a.Err, "%s [y/N] ", printable(question))
	var answer string
	_, _ = fmt.Fscanln(a.In, &answer)
	return answer == "y" || answer == "Y" || answer == "yes"
}

// owned resolves an argument and gives a client that signs with this account's key. The caller closes the client.
func (a *app) owned(ctx context.Context, argument string) (*client.Client, string, error) {
	owner, err := a.account()
	if err != nil {
		return nil, "", err
	}
	c, err := a.clientFor(owner.Key())
	if err != nil {
		return nil, "", err
	}
	id, err := a.resolve(ctx, c, argument)
	if err != nil {
		c.Close()
		return nil, "", err
	}
	return c, id, nil
}

// onOwned is a command that asks the node, in this account's name, about the program that its first argument names.
func (a *app) onOwned(run func(ctx context.Context, c *client.Client, id string, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, id, err := a.owned(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer c.Close()
		return run(cmd.Context(), c, id, args)
	}
}

// printJSON prints a value as JSON, indented.
func (a *app) printJSON(value any) error { return writeJSON(a.Out, value) }

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// millis is a time in milliseconds as people write it.
func millis(ms float64) string {
	if ms < 1000 {
		return fmt.Sprintf("%.3g ms", ms)
	}
	return fmt.Sprintf("%.2f s", ms/1000)
}
