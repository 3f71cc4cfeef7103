// Command aleph runs a node, and deploys and calls programs.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/aleph-edge/aleph-edge/internal/cli"
)

func main() { os.Exit(run()) }

// run is main with its exit status. The first SIGINT or SIGTERM ends the command's context, a second one the process.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	return cli.Main(ctx, os.Args[1:], streams, nodeCommand(), devChainCommand())
}
