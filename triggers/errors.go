package triggers

import (
	"errors"
	"fmt"
)

// An Error says what is wrong with a declaration.
type Error struct {
	Field string // its path in content.metadata.triggers, as in schedules[0].cron
	Text  string
	Hint  string // what to do; may be empty
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Text
	}
	return e.Field + ": " + e.Text
}

// Errorf makes an Error without a hint.
func Errorf(field, format string, args ...any) *Error {
	return &Error{Field: field, Text: fmt.Sprintf(format, args...)}
}

// ErrGone is wrapped by errors that say that what an event was about is gone for good: it can never be delivered.
var ErrGone = errors.New("gone")
