// Package cli is the aleph command, but for "aleph node".
//
// The rules of its interface: what was asked for goes to standard output, and nothing else does; notes, progress and
// errors go to standard error. An error is a line "error: …", with a line "hint: …" where something can be done about
// it. The exit status is 0, 1 for a failure, 2 for wrong usage, 130 if interrupted. With --json the output is for
// programs and stable; without, it is for people and may change.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/bundle"
	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
)

// Exit statuses.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// Streams are the standard streams of the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// app is what the commands share.
type app struct {
	Streams
	apiHost string // of --api-host
}

// Main runs the command that args name and returns the exit status. Local are the commands that are no client's, as "aleph node". When
// ctx ends the command stops.
func Main(ctx context.Context, args []string, streams Streams, local ...*cobra.Command) int {
	a := &app{Streams: streams}
	root := a.rootCommand(local)
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	markFailures(root)
	command, err := root.ExecuteContextC(ctx)
	return a.report(ctx, command, err)
}

func (a *app) rootCommand(local []*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:   "aleph",
		Short: "Run functions on demand",
		Long: `Run functions on demand: start a node, deploy functions to it, call them.

Environment:
  ALEPH_API_HOST      the node to talk to (default ` + client.DefaultHost + `)
  ALEPH_PRIVATE_KEY   the account's key, in hex (default: the file ` + shownKeyFile + `,
                      which is made when a key is first needed)`,
		Example: `  aleph node
  aleph program deploy --name hello-world --runtime nodejs16 --memory 128 --timeout 10 --file ./function.js
  aleph program call hello-world --query name=Alice`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&a.apiHost, "api-host", "", "the node's address (default $ALEPH_API_HOST, else "+client.DefaultHost+")")
	root.SetVersionTemplate("aleph {{.Version}}\n")
	// A group of commands has one usage line, not a second one of its own.
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if not .HasAvailableSubCommands}}", 1))
	asGroup(root)
	root.AddCommand(local...)
	root.AddCommand(a.programCommand(), a.triggerCommand(), a.messageCommand(), a.accountCommand(), a.versionCommand())
	return root
}

// asGroup makes a command that only holds others: alone it shows its help, with an unknown name it is wrong usage.
func asGroup(group *cobra.Command) {
	group.Args = cobra.ArbitraryArgs
	group.SuggestionsMinimumDistance = 2
	group.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		err := fmt.Errorf("unknown command %q", cmd.CommandPath()+" "+args[0])
		if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
			return usageError{withHint(err, "did you mean "+cmd.CommandPath()+" "+similar[0]+"?")}
		}
		return usageError{err}
	}
}

// arguments demands the arguments of those names; one in brackets may be left out.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			return fmt.Errorf("unexpected argument %q", args[len(names)])
		case len(args) < len(names) && !strings.HasPrefix(names[len(args)], "["):
			return fmt.Errorf("%s is missing", names[len(args)])
		}
		return nil
	}
}

// host is the node's address, from the flag, the environment or the default.
func (a *app) host() string {
	if a.apiHost != "" {
		return a.apiHost
	}
	if host := os.Getenv("ALEPH_API_HOST"); host != "" {
		return host
	}
	return client.DefaultHost
}

// failure marks an error that a command met while it ran, as opposed to one in how it was called.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// usageError is wrong usage that only the running command could see.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// usagef makes a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// hinted is an error with what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

func withHint(err error, hint string) error { return hinted{err, hint} }

// WithHint adds to an error what to do about it, for commands that are not this package's.
func WithHint(err error, hint string) error { return withHint(err, hint) }

// errSaid ends the command with status 1, everything having been said.
var errSaid = errors.New("")

// markFailures lets report tell what cobra refused (flags, arguments) from what the commands returned.
func markFailures(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := run(cmd, args); err != nil {
				return failure{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		markFailures(sub)
	}
}

// report says what went wrong and returns the exit status.
func (a *app) report(ctx context.Context, cmd *cobra.Command, err error) int {
	failed, misused := failure{}, usageError{}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &misused), !errors.As(err, &failed):
		a.say("error", err.Error())
		if hint := hintFor(err); hint != "" {
			a.say("hint", hint)
		}
		usage := cmd.UseLine()
		if cmd.HasAvailableSubCommands() {
			usage = cmd.CommandPath() + " COMMAND"
		}
		fmt.Fprintf(a.Err, "usage: %s\nSee %s --help\n", usage, cmd.CommandPath())
		return exitUsage
	case errors.Is(err, errSaid):
		return exitFailure
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		a.say("error", "interrupted")
		return exitInterrupted
	}
	a.say("error", err.Error())
	if hint := hintFor(err); hint != "" {
		a.say("hint", hint)
	}
	return exitFailure
}

// say prints a line for people: "error", "hint" or "note", and the text. Lines of the text after the first are indented.
func (a *app) say(kind, text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	fmt.Fprintf(a.Err, "%s: %s\n", kind, strings.Join(lines, "\n  "))
}

// hintFor is what can be done about an error; empty if nothing is known.
func hintFor(err error) string {
	var (
		told        hinted
		unpackable  *bundle.Error
		rejected    *network.Rejection
		refused     *client.Error
		unreachable *client.UnreachableError
	)
	switch {
	case errors.As(err, &told):
		return told.hint
	case errors.As(err, &unpackable):
		return unpackable.Hint
	case errors.As(err, &rejected):
		return rejected.Hint
	case errors.As(err, &refused):
		return refused.Hint
	case errors.Is(err, syscall.ECONNREFUSED):
		return "start one with: aleph node"
	case errors.As(err, &unreachable):
		return "check the node's address (--api-host or ALEPH_API_HOST)"
	}
	return ""
}
