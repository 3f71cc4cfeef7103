package network

import (
	"fmt"
	"strings"
)

// Rejection is why a message, an upload or a request was refused, in words for the one who sent it.
type Rejection struct {
	Code    string `json:"code"`            // one of the Code constants
	Field   string `json:"field,omitempty"` // the path of the field at fault, as "content.resources.memory"
	Message string `json:"message"`         // what is wrong, with the limit and the value
	Hint    string `json:"hint,omitempty"`  // what to do about it
}

// Error is the message, with the field before it.
func (r *Rejection) Error() string {
	if r.Field == "" {
		return r.Message
	}
	return r.Field + ": " + r.Message
}

// Codes of rejections. They are stable: clients may decide on them.
const (
	CodeInvalidFormat    = "invalid_format"      // a field is missing or has the wrong form
	CodeInvalidHash      = "invalid_hash"        // item_hash is not the hash of item_content
	CodeInvalidSignature = "invalid_signature"   // the signature is not the sender's
	CodeUnsupportedChain = "unsupported_chain"   // the node cannot check signatures of that chain
	CodePermissionDenied = "permission_denied"   // the sender may not do this to what the message names
	CodeNotAllowed       = "account_not_allowed" // the node does not take messages of that account
	CodeContentMissing   = "content_unavailable" // the content of a message that is not inline has not come
	CodeFileMissing      = "file_unavailable"    // the file that a STORE names has not come
	CodeFileMismatch     = "file_mismatch"       // the uploaded bytes are not the file that the STORE names
	CodeTooLarge         = "too_large"           // a size limit
	CodeLimit            = "limit_exceeded"      // a number outside its range
	CodeUnsupported      = "unsupported"         // legal on the network, not done by this node
	CodeRefNotFound      = "ref_not_found"       // a message that this one refers to is unknown
	CodeAmendNotAllowed  = "amend_not_allowed"   // the target cannot be changed this way
	CodeForgotten        = "forgotten"           // the message was forgotten and cannot come back
	CodeSuperseded       = "superseded"          // a later change, by its time, is already in force
	CodeInUse            = "in_use"              // a program needs what should be forgotten
	CodeUnauthorized     = "unauthorized"        // a request is not signed, or was seen before
	CodeForbidden        = "forbidden"           // a request is signed by another than the owner
	CodeNotFound         = "not_found"           // nothing has this hash
	CodeInternal         = "internal"            // the node failed
	CodeUnavailable      = "unavailable"         // the node is closing or its database takes no writes
	CodeBodyTooLarge     = "body_too_large"      // an HTTP body is over the limit
)

func reject(code, field, format string, args ...any) *Rejection {
	return &Rejection{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// hint adds a hint and returns the rejection.
func (r *Rejection) hint(text string) *Rejection {
	r.Hint = text
	return r
}

// bounded is the rejection as it is kept: a program's stack can be long.
func (r *Rejection) bounded() *Rejection {
	const limit = 8 << 10
	kept := *r
	if len(kept.Message) > limit {
		kept.Message = strings.ToValidUTF8(kept.Message[:limit], "") + "…"
	}
	return &kept
}

// Status is the HTTP status that answers the rejection.
func (r *Rejection) Status() int {
	switch r.Code {
	case CodeUnauthorized:
		return 401
	case CodeForbidden:
		return 403
	case CodeNotFound:
		return 404
	case CodeBodyTooLarge:
		return 413
	case CodeInternal:
		return 500
	case CodeUnavailable:
		return 503
	}
	return 422
}

// NetworkCode is the number that the network's nodes give as error_code (pyaleph's ErrorCode).
func (r *Rejection) NetworkCode() int {
	switch r.Code {
	case CodeInvalidSignature:
		return 1
	case CodePermissionDenied, CodeNotAllowed:
		return 2
	case CodeContentMissing:
		return 3
	case CodeFileMissing:
		return 4
	case CodeRefNotFound:
		return 300
	case CodeAmendNotAllowed:
		return 302
	case CodeInUse:
		return 503
	}
	return 0
}
