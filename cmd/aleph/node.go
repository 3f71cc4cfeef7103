package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/cli"
	"github.com/aleph-edge/aleph-edge/logs"
	"github.com/aleph-edge/aleph-edge/node"
)

// nodeCommand is "aleph node".
func nodeCommand() *cobra.Command {
	var config node.Config
	var memory, body int
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run a node",
		Long: `Run a node: it takes programs that are deployed to it, answers requests with them and keeps their data.

On a loopback address any account may deploy. On another address the node must be told who may.`,
		Example: "  aleph node\n  aleph node --listen 127.0.0.1:4020 --data ./data\n  aleph node --listen 0.0.0.0:4020 --allow-account 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config.Memory, config.MaxBody = int64(memory)<<20, body<<20
			return runNode(cmd, config)
		},
	}
	f := cmd.Flags()
	f.StringVar(&config.Listen, "listen", node.DefaultListen, "the `address` to serve, host:port")
	f.StringVar(&config.Data, "data", node.DefaultData(), "the data `folder`")
	f.StringVar(&config.Cache, "cache", "", "the `folder` for languages' machine code, which several nodes may share (default: $ALEPH_CACHE, else engines in the data folder)")
	f.IntVar(&memory, "memory", 0, "`MiB` that the memories of all programs may grow by (default: half of the machine's)")
	f.IntVar(&config.Instances, "instances", 0, "how many instances of programs there can be at once (default: what the machine's limits allow)")
	f.IntVar(&body, "max-body", 10, "`MiB` that the body of a request to a program may have")
	f.StringArrayVar(&config.Allow, "allow-account", nil, "an `address` that may deploy (repeatable)")
	f.BoolVar(&config.Open, "open", false, "let any account deploy, also on an address that others can reach")
	f.StringSliceVar(&config.AllowEgress, "allow-egress", nil, "an `address`, block, host or host:port that programs may reach though it is not public, or all (repeatable)")
	f.StringArrayVar(&config.Chains, "chain", nil, "a blockchain to follow: `NAME=URL[,URL…]` of JSON-RPC providers (repeatable)")
	f.StringArrayVar(&config.Brokers, "broker", nil, "a message broker whose messages are posted to a topic: `URL`, nats://… or mqtt://… (repeatable)")
	f.DurationVar(&config.Grace, "grace", 0, "how long requests under way may take when the node stops (default: 10s)")
	return cmd
}

func runNode(cmd *cobra.Command, config node.Config) error {
	out := &terminal{w: cmd.ErrOrStderr()}
	config.Log = slog.New(slog.NewTextHandler(out, nil))
	config.LogSink = out.program
	n, err := node.Open(config)
	var fault *node.Error
	if errors.As(err, &fault) {
		return cli.WithHint(err, fault.Hint)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "aleph node %s\n  address  http://%s\n  data     %s\n", n.ID(), n.Address(), config.Data)
	return n.Serve(cmd.Context())
}

// terminal writes the node's and the programs' lines whole.
type terminal struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}

// program shows an entry of a program's log.
func (t *terminal) program(program string, e logs.Entry) {
	if len(program) > 8 {
		program = program[:8]
	}
	fmt.Fprintf(t, "%s %s %-7s %s\n", e.Time.Local().Format("15:04:05.000"), program, e.Level, logs.PrintableLines(e.Message))
}
