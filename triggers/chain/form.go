package chain

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// What a program sees, as JSON. Addresses and hashes are in lower case, so that equal ones are equal text; integers of the ABI and
// amounts are decimal strings, since they may be larger than what JSON's readers hold.
type (
	form struct {
		Type          string           `json:"type"`
		ID            string           `json:"id"`
		Chain         string           `json:"chain"`
		ChainID       uint64           `json:"chainId"`
		Removed       bool             `json:"removed"`
		Confirmations uint64           `json:"confirmations"`
		Block         formBlock        `json:"block"`
		Transaction   *formTransaction `json:"transaction,omitempty"`
		Log           *formLog         `json:"log,omitempty"`
		Event         *formEvent       `json:"event,omitempty"`
		Transfer      *formTransfer    `json:"transfer,omitempty"`
		Trigger       formTrigger      `json:"trigger"`
	}
	formBlock struct {
		Number     uint64       `json:"number"`
		Hash       common.Hash  `json:"hash"`
		ParentHash *common.Hash `json:"parentHash,omitempty"` // of a block's own event
		Timestamp  uint64       `json:"timestamp"`
	}
	formTransaction struct {
		Hash  common.Hash `json:"hash"`
		Index uint64      `json:"index"`
	}
	formLog struct {
		Address  common.Address `json:"address"`
		Index    uint64         `json:"index"`
		Topics   []common.Hash  `json:"topics"`
		Data     *hexutil.Bytes `json:"data"`               // null if it is longer than 128 KiB
		DataSize uint64         `json:"dataSize,omitempty"` // then
	}
	formEvent struct {
		Name      string          `json:"name"`
		Signature string          `json:"signature"`
		Args      json.RawMessage `json:"args"`            // null if the log's data is none of the event's
		Error     string          `json:"error,omitempty"` // then
	}
	formTransfer struct {
		From  common.Address `json:"from"`
		To    common.Address `json:"to"`
		Value string         `json:"value"` // in wei
	}
	formTrigger struct {
		ProgramID string `json:"programId"`
		Filter    string `json:"filter"`
		Attempt   uint32 `json:"attempt"`
	}
)

// Form is [Form]. It may be called before the trigger runs, and needs no provider: all that it tells is in the event.
func (t *Trigger) Form(_ context.Context, d *queue.Delivery) (triggers.Form, error) { return Form(d) }

// Form is what a program sees of an event: its body is the JSON of a form, and so is context.event.log, .block or .transfer.
func Form(d *queue.Delivery) (triggers.Form, error) {
	p, err := decodePayload(d.Payload)
	if err != nil {
		return triggers.Form{}, fmt.Errorf("%w: %w", triggers.ErrGone, err)
	}
	o := p.of
	f := form{ID: o.id(p.chainID), Chain: p.chain, ChainID: p.chainID, Removed: p.removed, Confirmations: p.confirmations,
		Block:   formBlock{Number: o.block.number, Hash: o.block.hash, Timestamp: o.block.time},
		Trigger: formTrigger{d.Program, d.Trigger, d.Attempt}}
	switch o.kind {
	case abi.KindBlock:
		f.Type = "blockchain.block"
		f.Block.ParentHash = &o.block.parent
	case abi.KindTransfer:
		f.Type = "blockchain.transfer"
		f.Transaction = &formTransaction{o.tx, o.index}
		f.Transfer = &formTransfer{o.from, o.to, o.value.String()}
	default:
		f.Type = "blockchain.event"
		f.Transaction = &formTransaction{o.tx, o.txIndex}
		if f.Log, f.Event, err = o.forms(p.declared); err != nil {
			return triggers.Form{}, fmt.Errorf("%w: %w", triggers.ErrGone, err)
		}
	}
	body, err := json.Marshal(&f)
	if err != nil {
		return triggers.Form{}, err
	}
	return triggers.Form{ContentType: "application/json", Body: body}, nil
}

func (o *occurrence) forms(declared string) (*formLog, *formEvent, error) {
	e, err := parseEvent(declared)
	if err != nil {
		return nil, nil, err
	}
	log := &formLog{Address: o.address, Index: o.index, Topics: o.topics}
	if log.Topics == nil {
		log.Topics = []common.Hash{}
	}
	event := &formEvent{Name: e.name, Signature: e.signature}
	if o.dataSize > uint64(len(o.data)) {
		log.DataSize = o.dataSize
		event.Error = fmt.Sprintf("the log has %d bytes of data, limit %d", o.dataSize, maxData)
		return log, event, nil
	}
	log.Data = (*hexutil.Bytes)(&o.data)
	if event.Args, err = e.decode(o.topics, o.data); err != nil {
		event.Args, event.Error = nil, err.Error()
	}
	return log, event, nil
}
