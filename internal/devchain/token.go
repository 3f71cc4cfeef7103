package devchain

import (
	"encoding/binary"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
)

// TokenAddress is where the chain has its token from the first block on.
var TokenAddress = common.HexToAddress("0x00000000000000000000000000000000000a1e9f")

// TransferEvent is the event that the token's transfers make, as a trigger declares it.
const TransferEvent = "Transfer(address indexed from, address indexed to, uint256 value)"

var (
	transferTopic = crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)"))
	transferCall  = selector("transfer(address,uint256)")
	burstCall     = selector("burst(address,uint256)")
)

func selector(signature string) []byte { return crypto.Keccak256([]byte(signature))[:4] }

// TransferData is the call transfer(to, value), which makes one event.
func TransferData(to common.Address, value *big.Int) []byte { return call(transferCall, to, value) }

// BurstData is the call burst(to, count), which makes count events, with the values count to 1.
func BurstData(to common.Address, count uint64) []byte {
	return call(burstCall, to, new(big.Int).SetUint64(count))
}

func call(selector []byte, to common.Address, value *big.Int) []byte {
	data := append(append([]byte{}, selector...), common.LeftPadBytes(to[:], 32)...)
	return append(data, common.LeftPadBytes(value.Bytes(), 32)...)
}

// TokenCode is the token's code. It is a token of which everyone has enough: it keeps no balances, and only tells of transfers.
//
//	transfer(address to, uint256 value) returns (bool)
//	burst(address to, uint256 count)
func TokenCode() []byte {
	var a assembler
	a.push(0).op(vm.CALLDATALOAD).push(0xe0).op(vm.SHR)
	a.op(vm.DUP1).pushBytes(transferCall).op(vm.EQ).pushLabel("transfer").op(vm.JUMPI)
	a.pushBytes(burstCall).op(vm.EQ).pushLabel("burst").op(vm.JUMPI)
	a.push(0).op(vm.DUP1, vm.REVERT)

	a.label("transfer")
	a.push(0x24).op(vm.CALLDATALOAD).log()
	a.push(1).push(0).op(vm.MSTORE).push(0x20).push(0).op(vm.RETURN)

	a.label("burst")
	a.push(0x24).op(vm.CALLDATALOAD)
	a.label("next") // stack: how many are left
	a.op(vm.DUP1, vm.ISZERO).pushLabel("end").op(vm.JUMPI)
	a.op(vm.DUP1).log()
	a.push(1).op(vm.SWAP1, vm.SUB).pushLabel("next").op(vm.JUMP)
	a.label("end")
	a.op(vm.STOP)
	return a.assemble()
}

// Deploy is the code of a transaction that deploys code.
func Deploy(code []byte) []byte {
	const size = 12 // of what is before the code
	var a assembler
	a.pushBytes([]byte{byte(len(code) >> 8), byte(len(code))}).op(vm.DUP1).push(size).push(0).op(vm.CODECOPY).push(0).op(vm.RETURN)
	return append(a.assemble(), code...)
}

// An assembler makes the EVM's code. Labels are two bytes.
type assembler struct {
	code   []byte
	labels map[string]int
	uses   map[int]string
}

func (a *assembler) op(codes ...vm.OpCode) *assembler {
	for _, code := range codes {
		a.code = append(a.code, byte(code))
	}
	return a
}

func (a *assembler) push(b byte) *assembler { return a.pushBytes([]byte{b}) }

func (a *assembler) pushBytes(b []byte) *assembler {
	a.code = append(append(a.code, byte(vm.PUSH1)+byte(len(b)-1)), b...)
	return a
}

func (a *assembler) pushLabel(name string) *assembler {
	if a.uses == nil {
		a.uses = map[int]string{}
	}
	a.uses[len(a.code)+1] = name
	return a.pushBytes([]byte{0, 0})
}

func (a *assembler) label(name string) {
	if a.labels == nil {
		a.labels = map[string]int{}
	}
	a.labels[name] = len(a.code)
	a.op(vm.JUMPDEST)
}

// log takes the value from the stack and makes the event Transfer(caller, the call's first argument, value).
func (a *assembler) log() *assembler {
	a.push(0).op(vm.MSTORE)
	a.push(0x04).op(vm.CALLDATALOAD, vm.CALLER).pushBytes(transferTopic[:])
	return a.push(0x20).push(0).op(vm.LOG3)
}

func (a *assembler) assemble() []byte {
	for at, name := range a.uses {
		binary.BigEndian.PutUint16(a.code[at:], uint16(a.labels[name]))
	}
	return a.code
}
