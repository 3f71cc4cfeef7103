package kv

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Code is a stable name of a failure. It is an error itself, so that errors.Is(err, ErrNotACounter) works on what this package
// returns.
type Code string

func (c Code) Error() string { return string(c) }

// The codes of a Store's errors; they are the operation errors of abi/SPEC.md.
const (
	ErrInvalidArgument Code = "invalid_argument"
	ErrNotACounter     Code = "not_a_counter"
	ErrQuotaExceeded   Code = "quota_exceeded"
	ErrValueTooLarge   Code = "value_too_large"
	ErrUnavailable     Code = "unavailable"
)

// The codes of a DB's other errors.
const (
	// ErrInUse: another process, or this one, has the data folder open.
	ErrInUse Code = "data_folder_in_use"
	// ErrConflict: an Update lost against others every time it was tried.
	ErrConflict Code = "conflict"
	// ErrTransactionTooLarge: an Update wrote more than MaxTransaction bytes.
	ErrTransactionTooLarge Code = "transaction_too_large"
)

// Error is every error this package makes. The text names what was wrong, the limit and the value; it may be shown to the guest.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Text }

// Unwrap gives the Code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

func fail(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

func closed() *Error { return fail(ErrUnavailable, "the database is closed") }

// badgerError types what Badger returned and leaves every other error, such as a callback's own, as it is.
func badgerError(err error) error {
	switch {
	case errors.Is(err, badger.ErrTxnTooBig):
		return fail(ErrTransactionTooLarge, "transaction: over its limit of %d bytes or %d writes", MaxTransaction, maxWrites)
	case errors.Is(err, badger.ErrConflict):
		return fail(ErrConflict, "transaction: lost against others %d times", maxAttempts)
	case errors.Is(err, badger.ErrDBClosed), errors.Is(err, badger.ErrBlockedWrites):
		return closed()
	}
	return err
}
