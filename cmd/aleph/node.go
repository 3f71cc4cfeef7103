package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// nodeCommand is "aleph node".
func nodeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "node",
		Short:   "Run a node",
		Example: "  aleph node\n  aleph node --listen 127.0.0.1:4020 --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("this build has no node")
		},
	}
}
