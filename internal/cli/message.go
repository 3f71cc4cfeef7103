package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
)

func (a *app) messageCommand() *cobra.Command {
	group := &cobra.Command{
		Use:     "message",
		Aliases: []string{"messages"},
		Short:   "Post and read messages",
	}
	asGroup(group)
	group.AddCommand(a.postCommand(), a.getCommand(), a.messagesCommand())
	return group
}

func (a *app) postCommand() *cobra.Command {
	var channel, kind, content, file, ref string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "post",
		Short: "Post a message, signed by this account",
		Long: `Post a POST message, signed by this account, and print its item hash. Programs whose filters it matches are run
by it. The content is any JSON; with --file it is read from a file, or from standard input with --file -.`,
		Example: `  aleph message post --channel TEST --type chat --content '{"text":"hello"}'
  aleph message post --channel TEST --type amend --ref ITEM_HASH --file content.json`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := a.contentFrom(content, file, cmd.Flags().Changed("content"))
			if err != nil {
				return err
			}
			owner, err := a.account()
			if err != nil {
				return err
			}
			message, err := network.Sign(owner.Key(), network.TypePost, network.Post{
				Type: kind, Address: owner.Address, Content: text, Time: network.UnixSeconds(time.Now()), Ref: ref,
			}, network.Options{Channel: channel})
			if err != nil {
				return err
			}
			c, err := a.clientFor(owner.Key())
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.Publish(cmd.Context(), message); err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(message)
			}
			_, err = fmt.Fprintln(a.Out, message.ItemHash)
			return err
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "the message's `channel`")
	cmd.Flags().StringVar(&kind, "type", "", "what the content says it is: its `type`")
	cmd.Flags().StringVar(&content, "content", "", "the content, as `JSON`")
	cmd.Flags().StringVar(&file, "file", "", "a `file` with the content; - is standard input")
	cmd.Flags().StringVar(&ref, "ref", "", "the item `hash` of the message that it is about")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the message as JSON")
	_ = cmd.MarkFlagRequired("type") // fails for an unknown name only
	return cmd
}

// contentFrom is the content that the flags name. given says whether --content was.
func (a *app) contentFrom(content, file string, given bool) (json.RawMessage, error) {
	switch {
	case given && file != "":
		return nil, usagef("--content and --file are both given")
	case !given && file == "":
		return nil, usagef("--content or --file is required")
	}
	text, from := []byte(content), "--content"
	if file != "" {
		from = file
		in := a.In
		if file != "-" {
			opened, err := os.Open(file)
			if err != nil {
				return nil, err
			}
			defer opened.Close()
			in = opened
		}
		var err error
		if text, err = io.ReadAll(io.LimitReader(in, network.MaxInline+1)); err != nil {
			return nil, err
		}
	}
	if len(text) > network.MaxInline {
		return nil, fmt.Errorf("%s is larger than a message may be: %d bytes", from, network.MaxInline)
	}
	if !json.Valid(text) {
		return nil, withHint(fmt.Errorf("%s is not JSON", from), `text is written in quotes, as '"hello"'`)
	}
	return text, nil
}

func (a *app) getCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "get HASH",
		Short:   "Show a message and what became of it",
		Example: "  aleph message get ITEM_HASH",
		Args:    arguments("HASH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !network.IsStorageHash(args[0]) {
				return usagef("HASH is the item hash of a message, 64 hex digits, not %q", args[0])
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.Close()
			state, raw, err := c.Message(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(raw)
			}
			return a.printMessage(&state)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as the node answers")
	return cmd
}

func (a *app) printMessage(s *client.MessageState) error {
	m := &s.Message
	t := newTable(a.Out)
	t.row("Item hash", m.ItemHash)
	t.row("Status", string(s.Status))
	if s.Rejection != nil {
		t.row("Rejected", s.Rejection.Error())
	}
	if len(s.ForgottenBy) > 0 {
		t.row("Forgotten by", strings.Join(s.ForgottenBy, ", "))
	}
	t.row("Type", string(m.Type))
	t.row("Sender", m.Sender+" ("+m.Chain+")")
	t.row("Channel", cmp.Or(m.Channel, "-"))
	t.row("Time", shortTime(timeOf(m.Time)))
	if err := t.flush(); err != nil {
		return err
	}
	var indented bytes.Buffer
	if len(m.Content) == 0 || json.Indent(&indented, m.Content, "", "  ") != nil {
		return nil
	}
	_, err := fmt.Fprintf(a.Out, "\n%s\n", strings.Join(printableAll(strings.Split(indented.String(), "\n")), "\n"))
	return err
}

func printableAll(lines []string) []string {
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return lines
}

func timeOf(seconds float64) time.Time { return time.UnixMilli(int64(math.Round(seconds * 1000))) }

// messageTypes are the types of messages, as opposed to those that POSTs have within.
var messageTypes = []string{"POST", "AGGREGATE", "STORE", "PROGRAM", "INSTANCE", "FORGET"}

func (a *app) messagesCommand() *cobra.Command {
	var types, channels, senders, refs []string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List messages, newest first",
		Long: `List the messages that the node has processed, newest first. Each flag may be given more than once: any of its
values then. --type is a message's type (` + strings.Join(messageTypes, ", ") + `) or what a content
says it is.`,
		Example: "  aleph message list --channel TEST --limit 5\n  aleph message list --type chat --json",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > 1000 {
				return usagef("--limit must be 1 to 1000")
			}
			q := client.MessageQuery{Channels: channels, Senders: senders, Refs: refs, Limit: limit}
			for _, t := range types {
				if slices.Contains(messageTypes, t) {
					q.Types = append(q.Types, t)
				} else {
					q.Kinds = append(q.Kinds, t)
				}
			}
			for _, value := range slices.Concat(types, channels, senders, refs) {
				if strings.Contains(value, ",") {
					return usagef("%q: a value with a comma cannot be asked for", value)
				}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			defer c.Close()
			messages, total, err := c.Messages(cmd.Context(), q)
			if err != nil {
				return err
			}
			if asJSON {
				if messages == nil {
					messages = []client.Message{}
				}
				return a.printJSON(messages)
			}
			if len(messages) == 0 {
				a.say("note", "no such messages at "+c.Host())
				return nil
			}
			t := newTable(a.Out)
			t.row("TIME", "TYPE", "CHANNEL", "SENDER", "ITEM HASH")
			for _, m := range messages {
				t.row(shortTime(timeOf(m.Time)), typeOf(&m), cmp.Or(m.Channel, "-"), m.Sender, m.ItemHash)
			}
			if err := t.flush(); err != nil {
				return err
			}
			if total > len(messages) {
				a.say("note", fmt.Sprintf("there are %d more; see --limit", total-len(messages)))
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&types, "type", nil, "of this `type`")
	cmd.Flags().StringArrayVar(&channels, "channel", nil, "in this `channel`")
	cmd.Flags().StringArrayVar(&senders, "sender", nil, "sent by this `address`")
	cmd.Flags().StringArrayVar(&refs, "ref", nil, "about the message with this item `hash`")
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how `many`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// typeOf is a message's type, and what its content says it is.
func typeOf(m *client.Message) string {
	var content struct{ Type string }
	if json.Unmarshal(m.Content, &content) != nil || content.Type == "" || m.Type != network.TypePost {
		return string(m.Type)
	}
	return string(m.Type) + " " + content.Type
}
