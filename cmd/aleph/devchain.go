package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/cli"
)

// devChain is the binary behind "aleph dev-chain".
const devChain = "aleph-dev-chain"

// devChainCommand is "aleph dev-chain", which starts the binary of that name beside this one, or in the path.
func devChainCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "dev-chain",
		Short:              "Run a blockchain for development",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := findDevChain()
			if err != nil {
				return cli.WithHint(err, "build it: go build -o bin/ ./cmd/"+devChain)
			}
			return syscall.Exec(path, append([]string{path}, args...), os.Environ()) // it returns only if it fails
		},
	}
}

func findDevChain() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), devChain)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return beside, nil
		}
	}
	path, err := exec.LookPath(devChain)
	if err != nil {
		return "", errors.New(devChain + " is neither beside aleph nor in the path")
	}
	return path, nil
}
