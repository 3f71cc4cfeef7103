package network

import (
	"context"

	"github.com/aleph-edge/aleph-edge/kv"
)

// ProgramHandler builds and removes the programs that messages ask for. The calls for one program never overlap; those
// for different programs do.
type ProgramHandler interface {
	// Runs says whether a runtime of that name is the handler's own. Others are looked for among the messages.
	Runs(runtime string) bool

	// Prepare builds a program, or a new version of it, without putting it in force. It may take seconds; no
	// transaction is open meanwhile. A *Rejection as the error rejects the message with it (a program that does not
	// start, an unknown runtime); any other error means that the node failed, and the message may be posted again.
	Prepare(ctx context.Context, d Deployment) (Change, error)

	// Remove prepares the end of a program that its owner forgets.
	Remove(ctx context.Context, program string) (Change, error)
}

// Change is a prepared change of a program. Commit is followed by Applied if its transaction was committed; in every
// other case Dropped is called. Either is called exactly once.
type Change interface {
	// Commit writes the change in the transaction that records the message. When the transaction meets a conflict it
	// is repeated with another tx, so Commit must do nothing but write to tx.
	Commit(tx *kv.Txn) error

	// Applied puts the change in force: it is on the disk.
	Applied()

	// Dropped gives up what was prepared.
	Dropped()
}

// Deployment is what a program is to become.
type Deployment struct {
	Program  string         // its id: the item hash of its first PROGRAM message
	Message  string         // the item hash of the message that asks for it: that PROGRAM, one that replaces it, or a STORE with new code
	Owner    string         // address
	Content  *Program       // of the latest PROGRAM message
	CodeRef  string         // the item hash of the STORE message with the code: code.ref or the latest that amends it
	CodeHash string         // the SHA-256 of the code, lower-case hex
	CodePath string         // the file with the code; it stays there, unchanged, as long as the program does
	Runtime  *RuntimeModule // what content.runtime names, unless that is a runtime of the handler's own
	Time     float64        // of the content that asks for it, Unix seconds
}
