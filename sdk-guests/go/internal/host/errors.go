// Package host is the node as a guest reaches it: operations that are started and waited for, the log, the event and its reply. Built
// for another machine than WebAssembly it is a node of one process: a store in memory, and the log on standard error.
package host

import (
	"context"
	"strconv"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
)

// A Code is why the node refused or failed an operation. It is an error, for errors.Is.
type Code uint32

// The codes.
const (
	InvalidArgument Code = iota + 1
	NotACounter
	QuotaExceeded
	ValueTooLarge
	Unavailable
	UnknownOperation
	Network
	Forbidden
	TimedOut
	Closed

	// TooMany and NotNow are of the guest itself: 256 operations are under way; the program is being loaded, and has none.
	TooMany Code = 1<<32 - 2
	NotNow  Code = 1<<32 - 1
)

var names = [...]string{"", "invalid_argument", "not_a_counter", "quota_exceeded", "value_too_large", "unavailable", "unknown_operation",
	"network", "forbidden", "timeout", "closed"}

// Error is the code's name, as "not_a_counter".
func (c Code) Error() string {
	switch {
	case c > 0 && int(c) < len(names):
		return names[c]
	case c == TooMany:
		return "too_many_operations"
	case c == NotNow:
		return "refused"
	}
	return "error_" + strconv.Itoa(int(c))
}

// An Error is a failed operation.
type Error struct {
	Code    Code
	Message string // the node's sentence; may be empty
}

// Error is the code's name and the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.Error()
	}
	return e.Code.Error() + ": " + e.Message
}

// Unwrap is the code.
func (e *Error) Unwrap() error { return e.Code }

// Timeout says whether time ran out, as net.Error has it; Temporary, whether the node could not do it now.
func (e *Error) Timeout() bool   { return e.Code == TimedOut }
func (e *Error) Temporary() bool { return e.Code == TimedOut || e.Code == Unavailable }

// Call starts an operation and waits for it. The result is a frame whose status was 0.
func Call(ctx context.Context, operation uint32, request []byte) ([]byte, error) {
	o, err := Start(operation, request)
	if err != nil {
		return nil, err
	}
	return o.Wait(ctx)
}

// Checked gives the result of an operation, or the error that it says.
func Checked(result []byte) ([]byte, error) {
	var failed Error
	r := frame.Read(result)
	for r.Next() {
		switch r.Tag {
		case frame.Status:
			failed.Code = Code(r.U32())
		case frame.Message:
			failed.Message = string(r.Value)
		}
		if r.Tag == frame.Status && failed.Code == 0 {
			return result, r.Err() // it comes first
		}
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	return nil, &failed
}
