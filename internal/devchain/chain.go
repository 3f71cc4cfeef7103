// Package devchain is a blockchain for development and tests: a go-ethereum node in this process that mines by itself, with an account
// that has all the money and a token whose transfers make events. It is far from a node's dependencies: cmd/aleph-dev-chain is a binary
// of its own.
package devchain

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/catalyst"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/rpc"
)

// DefaultListen is where a chain listens.
const DefaultListen = "127.0.0.1:8545"

// Key is the key of the account that has money. Everyone knows it: it is the hash of a text.
func Key() *ecdsa.PrivateKey {
	key, err := crypto.ToECDSA(crypto.Keccak256([]byte("aleph-edge development account")))
	if err != nil {
		panic(err) // the hash is a valid key
	}
	return key
}

// Account is Key's address.
func Account() common.Address { return crypto.PubkeyToAddress(Key().PublicKey) }

// Config of a Chain. The zero value is a chain that mines a block for each transaction, on a free port.
type Config struct {
	Listen string        // host:port for HTTP and WebSocket; empty: a free port on this machine
	Period time.Duration // whole seconds between blocks; 0: a block for each transaction
	Manual bool          // blocks come by Commit only
}

// A Chain is a running node.
type Chain struct {
	node   *node.Node
	eth    *eth.Ethereum
	beacon *catalyst.SimulatedBeacon
	manual bool
}

// Open starts a chain. It begins anew each time, with another first block.
func Open(config Config) (*Chain, error) {
	if config.Listen == "" {
		config.Listen = "127.0.0.1:0"
	}
	host, portText, err := net.SplitHostPort(config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen: port %q: must be 0 to 65535", portText)
	}
	if config.Period%time.Second != 0 || config.Period < 0 {
		return nil, fmt.Errorf("period: %v, must be whole seconds", config.Period)
	}
	modules := []string{"eth", "net", "web3", "txpool"}
	nodeConfig := node.DefaultConfig
	nodeConfig.DataDir = "" // in memory
	nodeConfig.P2P = p2p.Config{NoDiscovery: true, ListenAddr: "", MaxPeers: 0}
	nodeConfig.HTTPHost, nodeConfig.HTTPPort, nodeConfig.HTTPModules = host, int(port), modules
	nodeConfig.HTTPCors, nodeConfig.HTTPVirtualHosts = []string{"*"}, []string{"localhost"}
	nodeConfig.WSHost, nodeConfig.WSPort, nodeConfig.WSModules, nodeConfig.WSOrigins = host, int(port), modules, []string{"*"}
	stack, err := node.New(&nodeConfig)
	if err != nil {
		return nil, err
	}
	c := &Chain{node: stack, manual: config.Manual}
	if err := c.start(config); err != nil {
		return nil, errors.Join(err, stack.Close())
	}
	return c, nil
}

func (c *Chain) start(config Config) error {
	account := Account()
	genesis := core.DeveloperGenesisBlock(60_000_000, &account)
	genesis.Timestamp = uint64(time.Now().Unix())
	genesis.ExtraData = fmt.Append(nil, time.Now().UnixNano()) // so that two chains are never taken for one
	genesis.Alloc[TokenAddress] = types.Account{Balance: new(big.Int), Nonce: 1, Code: TokenCode()}

	ethConfig := ethconfig.Defaults
	ethConfig.NetworkId = 1337
	ethConfig.Genesis = genesis
	ethConfig.SyncMode = ethconfig.FullSync
	ethConfig.TxPool.NoLocals = true
	ethConfig.LogNoHistory = true
	ethConfig.RPCTxFeeCap = 0 // none: the money is worth nothing
	ethConfig.Miner.GasCeil = genesis.GasLimit
	var err error
	if c.eth, err = eth.New(c.node, &ethConfig); err != nil {
		return err
	}
	system := filters.NewFilterSystem(c.eth.APIBackend, filters.Config{LogQueryLimit: 1000})
	c.node.RegisterAPIs([]rpc.API{{Namespace: "eth", Service: filters.NewFilterAPI(system)}})
	if c.beacon, err = catalyst.NewSimulatedBeacon(uint64(config.Period/time.Second), common.Address{}, c.eth); err != nil {
		return err
	}
	if !config.Manual {
		if config.Period == 0 {
			catalyst.RegisterSimulatedBeaconAPIs(c.node, c.beacon) // mines at each transaction
		}
		c.node.RegisterLifecycle(c.beacon)
	}
	return c.node.Start()
}

// URL is the JSON-RPC address.
func (c *Chain) URL() string { return c.node.HTTPEndpoint() }

// WebSocketURL is that for WebSocket.
func (c *Chain) WebSocketURL() string { return c.node.WSEndpoint() }

// Client is a client of the chain in this process.
func (c *Chain) Client() *rpc.Client { return c.node.Attach() }

// Commit mines a block of what waits.
func (c *Chain) Commit() common.Hash {
	hash := c.beacon.Commit()
	_ = c.eth.TxPool().Sync() // fails only when the node has ended
	return hash
}

// Fork makes a block the latest: those above it are no longer on the chain, and the next Commit goes on from it. Transactions of theirs
// wait again; those that waited before are dropped.
func (c *Chain) Fork(hash common.Hash) error {
	c.beacon.Rollback()
	if err := c.beacon.Fork(hash); err != nil {
		return err
	}
	return c.eth.TxPool().Sync()
}

// Close ends the node.
func (c *Chain) Close() error {
	if c.manual {
		return errors.Join(c.beacon.Stop(), c.node.Close())
	}
	return c.node.Close()
}

// Wait returns when ctx is done or the node has ended.
func (c *Chain) Wait(ctx context.Context) {
	ended := make(chan struct{})
	go func() { c.node.Wait(); close(ended) }()
	select {
	case <-ctx.Done():
	case <-ended:
	}
}
