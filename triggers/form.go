package triggers

// A Form is what a program sees of an event that is no request: the body of its POST, and what context.event has beside id, kind,
// attempt and trigger.
type Form struct {
	ContentType string // of Body; empty: application/json
	Body        []byte
	Details     []Detail
}

// A Detail is one field of context.event.
type Detail struct {
	Name string
	JSON []byte
}
