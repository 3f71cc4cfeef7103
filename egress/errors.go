package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/aleph-edge/aleph-edge/abi"
)

// An Error is why there is no answer. Status is an operation's, as abi.OpForbidden; Text says nothing of the node's own
// network.
type Error struct {
	Status uint32
	Text   string
}

func (e *Error) Error() string { return e.Text }

var errClosed = &Error{abi.OpUnavailable, "the node is shutting down"}

func invalid(format string, args ...any) *Error {
	return &Error{abi.OpInvalidArgument, fmt.Sprintf(format, args...)}
}

// Explain makes an *Error of what a request to the host, or reading its answer, failed with.
func Explain(ctx context.Context, host string, err error) *Error {
	var own *Error
	if cause := context.Cause(ctx); errors.As(cause, &own) {
		return own // who ended the context says why
	}
	if errors.As(err, &own) {
		return own
	}
	if ctx.Err() != nil {
		return &Error{abi.OpClosed, "the request was cancelled"}
	}
	var (
		dns         *net.DNSError
		operation   *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		fault       net.Error
		number      syscall.Errno
	)
	connecting := errors.As(err, &operation) && operation.Op == "dial"
	switch timeout := errors.As(err, &fault) && fault.Timeout() || errors.Is(err, context.DeadlineExceeded); {
	case errors.As(err, &dns) && timeout:
		return &Error{abi.OpTimeout, fmt.Sprintf("the address of %q was not to be had within %d s", host, connectTime/1e9)}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &Error{abi.OpNetwork, fmt.Sprintf("no such host %q", host)}
	case errors.As(err, &dns):
		return &Error{abi.OpNetwork, fmt.Sprintf("the address of %q is not to be had: %s", host, dns.Err)}
	case errors.As(err, &certificate):
		return &Error{abi.OpNetwork, fmt.Sprintf("certificate of %s: %s", host, certificateFault(certificate.Err))}
	case errors.As(err, &record):
		return &Error{abi.OpNetwork, host + " does not speak TLS at this port"}
	case errors.As(err, &alert):
		return &Error{abi.OpNetwork, fmt.Sprintf("TLS with %s: %s", host, strings.TrimPrefix(alert.Error(), "tls: "))}
	case timeout && connecting:
		return &Error{abi.OpTimeout, fmt.Sprintf("connecting to %s took over %d s", host, connectTime/1e9)}
	case timeout:
		return &Error{abi.OpTimeout, fmt.Sprintf("%s did not answer in time", host)}
	case errors.As(err, &number) && connecting:
		return &Error{abi.OpNetwork, fmt.Sprintf("connecting to %s: %s", host, number)}
	case errors.As(err, &number):
		return &Error{abi.OpNetwork, fmt.Sprintf("the connection to %s: %s", host, number)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrClosed), errors.Is(err, net.ErrClosed):
		return &Error{abi.OpNetwork, host + " closed the connection before the answer's end"}
	case strings.Contains(err.Error(), "server response headers exceeded"), strings.Contains(err.Error(), "header list larger than"):
		return &Error{abi.OpNetwork, fmt.Sprintf("the answer's headers are over %d KiB", MaxHeaders>>10)}
	case operation != nil && operation.Err != nil: // its own text has the node's addresses
		return &Error{abi.OpNetwork, fmt.Sprintf("%s: %s", host, operation.Err)}
	}
	text := err.Error()
	for _, prefix := range []string{"net/http: ", "HTTP/1.x transport connection broken: ", "http: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return &Error{abi.OpNetwork, fmt.Sprintf("%s: %s", host, text)}
}

func certificateFault(err error) string {
	var name x509.HostnameError
	if errors.As(err, &name) {
		return "it is of another host"
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}
