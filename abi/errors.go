package abi

// An Error is a row of the table of errors that callers and owners see: its code is stable, its status is what HTTP
// answers, its hint says what to do.
type Error struct {
	Code   string
	Status int
	Text   string
	Hint   string
}

func (e *Error) Error() string { return e.Code + ": " + e.Text }

// The table. docs/errors.md is printed from it.
var (
	ErrBadRequest        = &Error{"bad_request", 400, "the request cannot be read", ""}
	ErrUnauthorized      = &Error{"unauthorized", 401, "the request is not signed by an account", "sign it as docs/http.md says; the aleph command does"}
	ErrForbidden         = &Error{"forbidden", 403, "only the program's owner may do this", "use the key that deployed the program"}
	ErrNotFound          = &Error{"not_found", 404, "nothing is at this address", ""}
	ErrProgramNotFound   = &Error{"program_not_found", 404, "no program with this id is deployed here", "list programs with: aleph program list"}
	ErrMethodNotAllowed  = &Error{"method_not_allowed", 405, "this address does not answer this method", ""}
	ErrProgramForgotten  = &Error{"program_forgotten", 410, "the program was deleted by its owner", ""}
	ErrBodyTooLarge      = &Error{"body_too_large", 413, "the request's body is over the limit", ""}
	ErrRequestTimeout    = &Error{"request_timeout", 408, "the request did not arrive within a minute", ""}
	ErrHeadersTooLarge   = &Error{"headers_too_large", 431, "the request's line and headers are over 8 KiB", ""}
	ErrRejected          = &Error{"rejected", 422, "the message was rejected", ""}
	ErrException         = &Error{"exception", 500, "the program failed", "the owner sees why with: aleph program logs"}
	ErrTrap              = &Error{"trap", 500, "the program was stopped by a fault in its code", "the owner sees why with: aleph program logs"}
	ErrStackOverflow     = &Error{"stack_overflow", 500, "the program's calls are nested too deeply", ""}
	ErrMemoryLimit       = &Error{"memory_limit", 500, "the program needs more memory than it may use", "deploy it with a larger --memory"}
	ErrInternal          = &Error{"internal", 500, "the node failed", "the node's log has the request id"}
	ErrInvalidReply      = &Error{"invalid_reply", 502, "the program's reply cannot be sent", "the owner sees why with: aleph program logs"}
	ErrNoReply           = &Error{"no_reply", 502, "the program ended without a reply", ""}
	ErrNoCapacity        = &Error{"no_capacity", 503, "no instance is free", "try again after the seconds in Retry-After"}
	ErrUnavailable       = &Error{"unavailable", 503, "the node is shutting down or not ready", "try again"}
	ErrNodeMemory        = &Error{"node_memory", 503, "the node's memory for programs is in use", "try again after the seconds in Retry-After"}
	ErrLoopDetected      = &Error{"loop_detected", 508, "too many programs have called one another, or themselves, to come to this", "look at what the program requests, and at what it is run by"}
	ErrTimeout           = &Error{"timeout", 504, "the program did not answer in time", "deploy it with a larger --timeout (60 s at most), or make it answer sooner"}
	ErrClientGone        = &Error{"client_gone", 499, "the client closed the connection before the answer", ""}
	ErrSyntax            = &Error{"syntax_error", 422, "the program's code cannot be read", ""}
	ErrNoHandler         = &Error{"no_handler", 422, "the program has no handler", ""}
	ErrLoadException     = &Error{"load_exception", 422, "the program failed while it was loaded", ""}
	ErrUnknownRuntime    = &Error{"unknown_runtime", 422, "the runtime is not known", ""}
	ErrInvalidModule     = &Error{"invalid_module", 422, "the WebAssembly module cannot be run here", ""}
	ErrLoadLimit         = &Error{"load_limit", 422, "the program used up a limit while it was loaded", ""}
	ErrUnsupportedBundle = &Error{"unsupported_bundle", 422, "the program's code is not in a form that runs here", ""}
)
