package triggers

import "time"

// A Status is how one trigger of a program is doing, as "aleph trigger list" shows it.
type Status struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // schedule, message, topic, log, block or transfer
	Spec string `json:"spec"` // what it waits for, in a line

	State string `json:"state"`           // active, waiting (the program has too many events), behind (it reads what was before), failed
	Error string `json:"error,omitempty"` // the last one, while State is failed or waiting

	Next []time.Time `json:"next,omitempty"` // when a schedule comes next
	Last time.Time   `json:"last,omitzero"`  // when it last made an event

	Skipped uint64 `json:"skipped,omitempty"` // times of a schedule without an event, as the one before was not over

	Position uint64 `json:"position,omitempty"` // the last block, or message, that was looked at
	Head     uint64 `json:"head,omitempty"`     // the last there is
	Lag      uint64 `json:"lag,omitempty"`      // how many are between them
}
