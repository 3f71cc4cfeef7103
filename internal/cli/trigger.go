package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/triggers"
)

func (a *app) triggerCommand() *cobra.Command {
	trigger := &cobra.Command{
		Use:     "trigger",
		Aliases: []string{"triggers"},
		Short:   "See and steer what runs programs beside HTTP",
		Long: `See and steer what runs programs beside HTTP: schedules, messages, topics and blockchain events. They are declared when
a program is deployed. Each makes events, which are kept until the program has handled them.`,
	}
	asGroup(trigger)
	trigger.AddCommand(a.triggerList(), a.triggerFire(), a.triggerResults(), a.triggerEvents(),
		a.triggerAct("retry ID [EVENT]", "retry", "Run dead letters again", "Run a dead letter again, or all of them without EVENT, with a new count of attempts.", "%d events run again\n"),
		a.triggerAct("discard ID [EVENT]", "discard", "Delete dead letters", "Delete a dead letter, or all of them without EVENT.", "%d events deleted\n"),
		a.triggerAct("pause ID", "pause", "Let no event of a program begin", "Let no event of a program begin until it is resumed. More are accepted meanwhile.", ""),
		a.triggerAct("resume ID", "resume", "Let a program's events begin again", "Let a program's events begin again after a pause.", ""))
	return trigger
}

func (a *app) triggerList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "list [ID]",
		Aliases:           []string{"ls"},
		Short:             "List triggers: what they wait for, when they come next, how their events are doing",
		Long:              "List the triggers of a program, or of all of this account's programs: what each waits for, when a schedule comes next,\nhow far a chain is read, and how many events wait, have failed, or are dead letters." + idHelp,
		Example:           "  aleph trigger list\n  aleph trigger list report --json",
		Args:              arguments("[ID]"),
		ValidArgsFunction: a.completeProgram,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, programs, err := a.triggered(ctx, args)
			if err != nil {
				return err
			}
			defer c.Close()
			type row struct {
				Program string `json:"program"`
				Name    string `json:"name"`
				client.Triggers
			}
			rows := []row{}
			for _, p := range programs {
				t, err := c.Triggers(ctx, p.ItemHash)
				if err != nil {
					return err
				}
				rows = append(rows, row{p.ItemHash, p.Name, t})
			}
			if asJSON {
				return a.printJSON(rows)
			}
			if len(rows) == 0 {
				a.say("note", "no program has triggers; deploy one with --schedule, --on-message, --topic or --on-chain")
				return nil
			}
			for i, r := range rows {
				if i > 0 {
					fmt.Fprintln(a.Out)
				}
				if err := a.printTriggers(cmp.Or(r.Name, shortID(r.Program)), r.Triggers); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// triggered are the program of an argument, or all of this account's that have triggers. The caller closes the client.
func (a *app) triggered(ctx context.Context, args []string) (*client.Client, []client.Program, error) {
	if len(args) == 1 {
		c, id, err := a.owned(ctx, args[0])
		if err != nil {
			return nil, nil, err
		}
		p, err := c.Program(ctx, id)
		return c, []client.Program{p}, err
	}
	owner, err := a.account()
	if err != nil {
		return nil, nil, err
	}
	c, err := a.clientFor(owner.Key())
	if err != nil {
		return nil, nil, err
	}
	all, err := c.Programs(ctx, owner.Address)
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	var some []client.Program
	for _, p := range all {
		if p.Triggers != nil {
			some = append(some, p)
		}
	}
	return c, some, nil
}

func (a *app) printTriggers(name string, t client.Triggers) error {
	e := t.Events
	fmt.Fprintf(a.Out, "%s: %d pending, %d running, %d delayed, %d dead; %d done, %d failed attempts", printable(name),
		e.Pending, e.Running, e.Delayed, e.DeadLetters, e.Acknowledged, e.Failures)
	if e.LagSeconds >= 1 {
		fmt.Fprintf(a.Out, "; %s behind", (time.Duration(e.LagSeconds) * time.Second).String())
	}
	if e.Paused {
		fmt.Fprint(a.Out, "; paused")
	}
	fmt.Fprintln(a.Out)
	table := newTable(a.Out)
	table.row("  NAME", "KIND", "STATE", "NEXT", "LAST", "FOR")
	for _, s := range t.Triggers {
		table.row("  "+s.Name, s.Kind, s.State, next(s), shortTime(s.Last), s.Spec)
		if s.Error != "" {
			table.row("", "", "", "", "", s.Error)
		}
	}
	return table.flush()
}

// next is when, or where, a trigger goes on.
func next(s triggers.Status) string {
	var parts []string
	for i, at := range s.Next {
		if i == 3 {
			break
		}
		parts = append(parts, at.Local().Format("01-02 15:04:05"))
	}
	if s.Head > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d", s.Position, s.Head))
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

func (a *app) triggerFire() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "fire ID [TRIGGER]",
		Short:             "Run a schedule now",
		Long:              "Make an event of a schedule now, beside its times. TRIGGER is its name; it may be left out where the program has one schedule." + idHelp,
		Example:           "  aleph trigger fire report\n  aleph trigger fire report nightly",
		Args:              arguments("ID", "[TRIGGER]"),
		ValidArgsFunction: a.completeProgram,
		RunE: a.onOwned(func(ctx context.Context, c *client.Client, id string, args []string) error {
			var name string
			var err error
			if len(args) == 2 {
				name = args[1]
			} else if name, err = onlySchedule(ctx, c, id); err != nil {
				return err
			}
			event, err := c.Fire(ctx, id, name)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(map[string]string{"id": event})
			}
			fmt.Fprintf(a.Out, "Fired %s: event %s\n", printable(name), printable(event))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// onlySchedule is the name of a program's one schedule.
func onlySchedule(ctx context.Context, c *client.Client, id string) (string, error) {
	t, err := c.Triggers(ctx, id)
	if err != nil {
		return "", err
	}
	var names []string
	for _, s := range t.Triggers {
		if s.Kind == "schedule" {
			names = append(names, s.Name)
		}
	}
	switch len(names) {
	case 0:
		return "", withHint(fmt.Errorf("the program has no schedule"), "deploy it with --schedule")
	case 1:
		return names[0], nil
	}
	return "", usagef("TRIGGER is missing: the program has the schedules %s", strings.Join(names, ", "))
}

func (a *app) triggerResults() *cobra.Command {
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:               "results ID",
		Short:             "Show what a program returned for its events",
		Long:              "Show what a program returned for its last events, newest first." + idHelp,
		Example:           "  aleph trigger results report\n  aleph trigger results report --limit 1 --json",
		Args:              arguments("ID"),
		ValidArgsFunction: a.completeProgram,
		RunE: a.onOwned(func(ctx context.Context, c *client.Client, id string, _ []string) error {
			results, err := c.Results(ctx, id, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(results)
			}
			table := newTable(a.Out)
			table.row("ENDED", "KIND", "EVENT", "ATTEMPT", "RESULT")
			for _, r := range results {
				text := string(r.JSON)
				if r.Base64 != nil {
					text = fmt.Sprintf("%d bytes", len(r.Base64))
				}
				table.row(shortTime(r.Ended), r.Kind, r.ID, strconv.FormatUint(uint64(r.Attempt), 10), clipped(text))
			}
			return table.flush()
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with whole results")
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many of the last `results`")
	return cmd
}

// clipped is the beginning of a text that may be long.
func clipped(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func (a *app) triggerEvents() *cobra.Command {
	var asJSON bool
	var limit int
	var state string
	cmd := &cobra.Command{
		Use:   "events ID",
		Short: "List events that wait, run, or are dead letters",
		Long: `List a program's events: pending (due), running, delayed (to be tried again, or not yet due) or dead (dead letters: they
have failed too often, and wait for "aleph trigger retry" or "discard").` + idHelp,
		Example:           "  aleph trigger events report --state dead",
		Args:              arguments("ID"),
		ValidArgsFunction: a.completeProgram,
		RunE: a.onOwned(func(ctx context.Context, c *client.Client, id string, _ []string) error {
			events, err := c.Events(ctx, id, state, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(events)
			}
			table := newTable(a.Out)
			table.row("ACCEPTED", "KIND", "EVENT", "STATE", "ATTEMPT", "ERROR")
			for _, e := range events {
				table.row(shortTime(e.Accepted), e.Kind, e.ID, e.State, strconv.FormatUint(uint64(e.Attempt), 10), clipped(e.Error))
			}
			return table.flush()
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&state, "state", "pending", "`which`: pending, running, delayed or dead")
	cmd.Flags().IntVarP(&limit, "limit", "n", 100, "how many `events`")
	return cmd
}

// triggerAct is a command that does something with a program's events; done tells how many.
func (a *app) triggerAct(use, what, short, long, done string) *cobra.Command {
	names := strings.Fields(use)[1:]
	return &cobra.Command{
		Use: use, Short: short, Long: long + idHelp,
		Example:           "  aleph trigger " + what + " report",
		Args:              arguments(names...),
		ValidArgsFunction: a.completeProgram,
		RunE: a.onOwned(func(ctx context.Context, c *client.Client, id string, args []string) error {
			event := ""
			if len(args) == 2 {
				event = args[1]
			}
			n, err := c.Act(ctx, id, what, event)
			if err == nil && done != "" {
				fmt.Fprintf(a.Out, done, n)
			}
			return err
		}),
	}
}
