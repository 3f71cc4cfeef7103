package devchain

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// Send signs a transaction of the development account and sends it. A nil to deploys data. The nonce counts those that wait.
func Send(ctx context.Context, client *rpc.Client, to *common.Address, value *big.Int, data []byte) (common.Hash, error) {
	c := ethclient.NewClient(client)
	id, err := c.ChainID(ctx)
	if err != nil {
		return common.Hash{}, fmt.Errorf("ask for the chain's id: %w", err)
	}
	nonce, err := c.PendingNonceAt(ctx, Account())
	if err != nil {
		return common.Hash{}, fmt.Errorf("ask for the nonce: %w", err)
	}
	gas := uint64(100_000)
	if len(data) > 0 {
		if gas, err = c.EstimateGas(ctx, ethereum.CallMsg{From: Account(), To: to, Value: value, Data: data}); err != nil {
			return common.Hash{}, fmt.Errorf("estimate the gas: %w", err)
		}
		gas += gas / 10
	}
	tx, err := types.SignNewTx(Key(), types.LatestSignerForChainID(id), &types.DynamicFeeTx{ChainID: id, Nonce: nonce, To: to, Value: value, Data: data,
		Gas: gas, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11)})
	if err != nil {
		return common.Hash{}, err
	}
	if err := c.SendTransaction(ctx, tx); err != nil {
		return common.Hash{}, err
	}
	for { // the node counts it a moment later, and the next one needs another nonce
		next, err := c.PendingNonceAt(ctx, Account())
		if err != nil {
			return common.Hash{}, fmt.Errorf("ask for the nonce: %w", err)
		}
		if next > nonce {
			return tx.Hash(), nil
		}
		select {
		case <-ctx.Done():
			return common.Hash{}, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// Mined waits until the transaction is in a block, and gives the block's number.
func Mined(ctx context.Context, client *rpc.Client, hash common.Hash) (uint64, error) {
	c := ethclient.NewClient(client)
	for {
		receipt, err := c.TransactionReceipt(ctx, hash)
		switch {
		case err == nil && receipt.Status != types.ReceiptStatusSuccessful:
			return 0, fmt.Errorf("transaction %s was reverted", hash)
		case err == nil:
			return receipt.BlockNumber.Uint64(), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("transaction %s is in no block: %w", hash, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
