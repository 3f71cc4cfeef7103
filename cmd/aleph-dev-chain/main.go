// Command aleph-dev-chain runs a blockchain for development. It is "aleph dev-chain", and not in that binary because go-ethereum's node
// would make it larger by two thirds, and each start of it slower.
package main

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/devchain"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

func command() *cobra.Command {
	var config devchain.Config
	cmd := &cobra.Command{
		Use:   "aleph dev-chain",
		Short: "Run a blockchain for development",
		Long: `Run a blockchain for development: go-ethereum in one process and in memory, which mines a block for each transaction. It begins anew each
time. It has an account with money, whose key everyone knows, and a token of which everyone has enough.

The commands below it make transactions of that account.

Environment:
  ALEPH_DEV_CHAIN  the chain's address, host:port (default ` + devchain.DefaultListen + `)`,
		Example: `  aleph dev-chain
  aleph dev-chain transfer --to 0x00000000000000000000000000000000000a11ce --value 1000`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return serve(cmd, config) },
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.Flags().StringVar(&config.Listen, "listen", address(), "the `address` to serve JSON-RPC at, by HTTP and WebSocket")
	cmd.Flags().DurationVar(&config.Period, "period", 0, "`time` between blocks, in whole seconds (default: a block for each transaction)")
	cmd.AddCommand(
		sendCommand("transfer", "Transfer the token: one Transfer event", "tokens, in their smallest unit",
			func(to common.Address, value *big.Int) (*common.Address, *big.Int, []byte) {
				return &devchain.TokenAddress, nil, devchain.TransferData(to, value)
			}),
		sendCommand("send", "Send money: a native transfer", "wei",
			func(to common.Address, value *big.Int) (*common.Address, *big.Int, []byte) { return &to, value, nil }),
		sendCommand("burst", "Make many Transfer events in one transaction", "events",
			func(to common.Address, count *big.Int) (*common.Address, *big.Int, []byte) {
				return &devchain.TokenAddress, nil, devchain.BurstData(to, count.Uint64())
			}))
	return cmd
}

// address is where a chain is that no flag says otherwise of.
func address() string { return cmp.Or(os.Getenv("ALEPH_DEV_CHAIN"), devchain.DefaultListen) }

func serve(cmd *cobra.Command, config devchain.Config) error {
	chain, err := devchain.Open(config)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), `development chain
  address  %s
  chain id 1337
  account  %s
  key      0x%x (everyone knows it: for development only)
  token    %s
  event    %s

follow it with
  aleph node --chain 'ETH=%s,confirmations=0'
`, chain.URL(), devchain.Account(), crypto.FromECDSA(devchain.Key()), devchain.TokenAddress, devchain.TransferEvent, chain.WebSocketURL())
	chain.Wait(cmd.Context())
	return chain.Close()
}

// sendCommand is a command that makes one transaction and waits until it is mined.
func sendCommand(name, short, unit string, transaction func(common.Address, *big.Int) (*common.Address, *big.Int, []byte)) *cobra.Command {
	var url, to, value string
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !common.IsHexAddress(to) {
				return fmt.Errorf("--to %q: must be 0x and 40 hexadecimal digits", to)
			}
			amount, ok := new(big.Int).SetString(value, 0)
			if !ok || amount.Sign() < 0 || amount.BitLen() > 256 {
				return fmt.Errorf("--value %q: must be a whole number", value)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
			defer cancel()
			client, err := rpc.DialContext(ctx, url)
			if err != nil {
				return err
			}
			defer client.Close()
			receiver, wei, data := transaction(common.HexToAddress(to), amount)
			hash, err := devchain.Send(ctx, client, receiver, wei, data)
			if err != nil {
				return fmt.Errorf("%w (is aleph dev-chain running?)", err)
			}
			block, err := devchain.Mined(ctx, client, hash)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "block %d, transaction %s\n", block, hash)
			return nil
		},
	}
	cmd.Flags().StringVar(&url, "url", "http://"+address(), "the chain's `URL`")
	cmd.Flags().StringVar(&to, "to", "0x00000000000000000000000000000000000a11ce", "the receiver's `address`")
	cmd.Flags().StringVar(&value, "value", "1", "`how` many "+unit)
	return cmd
}
