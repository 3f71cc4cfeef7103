package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/client"
)

// maxPretty is how much of a reply is read before it is shown, to indent it at a terminal.
const maxPretty = 1 << 20

// callFlags are the flags of "program call".
type callFlags struct {
	method, path, data string
	query, header      []string
	include            bool
}

func (a *app) callCommand() *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "call ID",
		Short: "Call a program and print its reply",
		Long: `Call a program over HTTP and print the body of its reply. A reply with a status of 400 or more is an error
(exit status 1).` + idHelp,
		Example: `  aleph program call hello-world --query name=Alice
  aleph program call hello-world --data '{"name":"Alice"}'
  aleph program call hello-world --path /users/7 --method DELETE --header 'x-reason: test' --include
  aleph program call resize --data @photo.jpg --header 'content-type: image/jpeg' > small.jpg`,
		Args:              arguments("ID"),
		ValidArgsFunction: a.completeProgram,
		RunE: func(cmd *cobra.Command, args []string) error {
			call, err := a.parseCall(f, cmd.Flags().Changed("data"))
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), args[0], call, f.include)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.query, "query", "q", nil, "a query parameter `k=v`; repeat for more")
	flags.StringVarP(&f.method, "method", "X", "", "the `method` (default GET, with --data POST)")
	flags.StringArrayVarP(&f.header, "header", "H", nil, "a header `'name: value'`; repeat for more")
	flags.StringVarP(&f.data, "data", "d", "", "the body: `text`, @file, or @- for standard input; JSON is sent as such")
	flags.StringVar(&f.path, "path", "", "the `path` after the program's id, sent as it is")
	flags.BoolVarP(&f.include, "include", "i", false, "print the status and headers before the body")
	return cmd
}

// parseCall makes a request of the flags.
func (a *app) parseCall(f callFlags, hasData bool) (client.Call, error) {
	call := client.Call{Method: strings.ToUpper(f.method), Path: f.path, Query: url.Values{}, Header: http.Header{}}
	for _, pair := range f.query {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return call, usagef("--query takes k=v, not %q", pair)
		}
		call.Query.Add(name, value)
	}
	for _, line := range f.header {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return call, usagef("--header takes 'name: value', not %q", line)
		}
		call.Header.Add(name, strings.TrimSpace(value))
	}
	if !hasData {
		return call, nil
	}
	var err error
	if call.Body, err = a.readData(f.data); err != nil {
		return call, err
	}
	if call.Method == "" {
		call.Method = http.MethodPost
	}
	if call.Header.Get("Content-Type") == "" {
		call.Header.Set("Content-Type", contentType(call.Body))
	}
	return call, nil
}

// readData is the body that --data names.
func (a *app) readData(data string) ([]byte, error) {
	switch {
	case data == "@-":
		return io.ReadAll(a.In)
	case strings.HasPrefix(data, "@"):
		body, err := os.ReadFile(data[1:])
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("--data: there is no file %s", data[1:])
		}
		return body, err
	}
	return []byte(data), nil
}

// contentType is what a body is sent as if no header says it.
func contentType(body []byte) string {
	switch {
	case json.Valid(body):
		return "application/json"
	case utf8.Valid(body):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// call calls a program and prints the reply.
func (a *app) call(ctx context.Context, argument string, call client.Call, include bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	id, err := a.resolve(ctx, c, argument)
	if err != nil {
		return err
	}
	done := a.progress("waiting for the reply")
	defer done()
	reply, err := c.Call(ctx, id, call)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	done()
	if include {
		fmt.Fprintf(a.Out, "%s %s\n", reply.Proto, reply.Status)
		_ = reply.Header.Write(a.Out)
		fmt.Fprintln(a.Out)
	}
	if err := a.printBody(reply); err != nil {
		return fmt.Errorf("the reply ended early: %w", err)
	}
	if reply.StatusCode < http.StatusBadRequest {
		return nil
	}
	a.say("error", "the call was answered with "+client.StatusText(reply.StatusCode))
	if request := reply.Header.Get("Aleph-Request-Id"); request != "" && reply.StatusCode >= http.StatusInternalServerError {
		a.say("hint", fmt.Sprintf("the log may say why (request %s): aleph program logs %s", request, argument))
	}
	return errSaid
}

// printBody copies a reply's body to standard output, at a terminal as forTerminal has it.
func (a *app) printBody(reply *http.Response) error {
	if !isTerminal(a.Out) {
		_, err := io.Copy(a.Out, reply.Body)
		return err
	}
	start, err := io.ReadAll(io.LimitReader(reply.Body, maxPretty))
	if err != nil {
		return err
	}
	if len(start) < maxPretty {
		shown, ok := forTerminal(start)
		if !ok {
			a.say("note", fmt.Sprintf("the reply is binary, %s: redirect it to a file to keep it", byteSize(int64(len(start)))))
			return nil
		}
		start = shown
	}
	if _, err := a.Out.Write(start); err != nil {
		return err
	}
	_, err = io.Copy(a.Out, reply.Body)
	return err
}

// forTerminal is a body as a terminal shows it: JSON is indented, and a last line is ended. Binary data is not shown.
func forTerminal(body []byte) (shown []byte, ok bool) {
	var indented bytes.Buffer
	switch {
	case len(body) == 0:
		return nil, true
	case json.Indent(&indented, body, "", "  ") == nil:
		body = bytes.TrimSpace(indented.Bytes())
	case !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0:
		return nil, false
	}
	return append(bytes.TrimSuffix(body, []byte("\n")), '\n'), true
}
