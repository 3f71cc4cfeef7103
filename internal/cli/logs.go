package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/client"
)

func (a *app) logsCommand() *cobra.Command {
	var follow, asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Show what a program logged",
		Long: `Show the last lines of a program's log, oldest first: what it printed, and the errors of its calls. With
--follow it goes on until it is interrupted. Only the program's owner may.` + idHelp,
		Example:           "  aleph program logs hello-world\n  aleph program logs hello-world -f\n  aleph program logs hello-world --limit 1000 --json",
		Args:              arguments("ID"),
		ValidArgsFunction: a.completeProgram,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usagef("--limit must be at least 0")
			}
			ctx := cmd.Context()
			c, id, err := a.owned(ctx, args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			for entry, err := range c.Logs(ctx, id, limit, follow) {
				if err != nil {
					if follow && ctx.Err() != nil {
						return nil // interrupting is how following ends
					}
					return err
				}
				if err := writeEntry(a.Out, entry, asJSON); err != nil {
					return err
				}
			}
			if follow && ctx.Err() == nil {
				return withHint(errors.New("the node ended the log"), "it has stopped, or the program was deleted")
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with lines as they come")
	cmd.Flags().IntVarP(&limit, "limit", "n", 100, "how many of the last `lines`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// writeEntry prints an entry: the local time, the level, the beginning of the request's id, and the message, whose further
// lines are indented, so that none of them looks like an entry.
func writeEntry(w io.Writer, entry client.LogEntry, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(entry)
	}
	_, err := fmt.Fprintf(w, "%s %-7s %s %s\n", entry.Time.Local().Format("2006-01-02 15:04:05.000"),
		strings.ToUpper(printable(entry.Level)), printable(shortID(entry.RequestID)), printableLines(entry.Message))
	return err
}
