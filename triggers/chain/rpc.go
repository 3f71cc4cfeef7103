package chain

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// What providers answer with. The types of go-ethereum's core compute a block's hash from its fields, which is another than the block's
// on chains that have further ones, so the hash is taken from the answer here.

// A header is what is known of a block.
type header struct {
	Number     hexutil.Uint64 `json:"number"`
	Hash       common.Hash    `json:"hash"`
	ParentHash common.Hash    `json:"parentHash"`
	Timestamp  hexutil.Uint64 `json:"timestamp"`
	LogsBloom  bloom          `json:"logsBloom"`
}

// A block is a header with the block's transactions.
type block struct {
	header
	Transactions []transaction `json:"transactions"`
}

type transaction struct {
	Hash  common.Hash     `json:"hash"`
	Index hexutil.Uint64  `json:"transactionIndex"`
	From  common.Address  `json:"from"`
	To    *common.Address `json:"to"`
	Value *hexutil.Big    `json:"value"`
}

type receipt struct {
	TransactionHash common.Hash     `json:"transactionHash"`
	BlockHash       common.Hash     `json:"blockHash"`
	Status          *hexutil.Uint64 `json:"status"` // absent before Byzantium
	Logs            []contractLog   `json:"logs"`
}

type contractLog struct {
	Address     common.Address  `json:"address"`
	Topics      []common.Hash   `json:"topics"`
	Data        hexutil.Bytes   `json:"data"`
	BlockNumber hexutil.Uint64  `json:"blockNumber"`
	BlockHash   common.Hash     `json:"blockHash"`
	BlockTime   *hexutil.Uint64 `json:"blockTimestamp"` // not from all providers
	TxHash      common.Hash     `json:"transactionHash"`
	TxIndex     hexutil.Uint64  `json:"transactionIndex"`
	Index       hexutil.Uint64  `json:"logIndex"`
}

// A query is the filter of eth_getLogs.
type query struct {
	FromBlock *hexutil.Uint64  `json:"fromBlock,omitempty"`
	ToBlock   *hexutil.Uint64  `json:"toBlock,omitempty"`
	BlockHash *common.Hash     `json:"blockHash,omitempty"`
	Address   []common.Address `json:"address,omitempty"`
	Topics    [][]common.Hash  `json:"topics,omitempty"` // by place; null is any
}

// between is the query for a range of blocks, both ends included.
func (q query) between(from, to uint64) query {
	q.FromBlock, q.ToBlock = (*hexutil.Uint64)(&from), (*hexutil.Uint64)(&to)
	return q
}
