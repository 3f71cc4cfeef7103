package wasi

import (
	"errors"
	"fmt"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A Command is a Program that is served as CGI: its main runs once for each event, with the event's body on standard input and
// what RFC 3875 says of a request in its environment, and writes header lines and a body to standard output.
type Command struct{ Program *Program }

// Entry is the export that a command begins with.
const Entry = "_start"

// Start runs the command on an event, whose frame must stay until the run ends.
func (k *Command) Start(s *wasm.Slot, m *wasm.Module, event []byte) wasm.Status {
	s.SetSystem(wasm.System{Output: true, Process: func() wasm.Process {
		p := newProcess(k.Program)
		p.fds[1] = &descriptor{kind: unknown, rights: rightFdWrite | rightFdFilestatGet | rightPollFdReadwrite}
		p.exchange = newExchange(event)
		return p
	}})
	return s.Main(m, Entry)
}

// Reply reads what the command that ended has written. It is false if there is nothing.
func (k *Command) Reply(s *wasm.Slot) (abi.Response, bool, error) {
	p, _ := s.Process().(*process)
	status, _ := s.Exited()
	var out []byte
	if p != nil {
		switch e := p.exchange; {
		case e.fault != nil:
			return abi.Response{}, true, e.fault
		case e.streams:
			return abi.Response{Status: e.head.status, Body: e.out, Rest: true}, true, nil
		default:
			out = e.out
		}
	}
	if len(out) == 0 && status == 0 {
		return abi.Response{}, false, nil
	}
	head, body, err := readHead(out)
	switch {
	case err != nil && status != 0:
		return abi.Response{ErrorCode: abi.GuestException, ErrorMessage: fmt.Appendf(nil, "the command ended with the exit status %d, without a reply", status)}, true, nil
	case err != nil:
		return abi.Response{}, true, fmt.Errorf("standard output: %w", err)
	}
	reply, err := abi.ParseResponse(head.frame(abi.TagStatus))
	reply.Body = body
	return reply, true, err
}

// Stages of an exchange's output: what the call that waits has begun.
const (
	replyIdle = iota
	replyStarts
	replyWrites
)

// streamFrom is how many bytes of output are kept before they are sent; a reply that is longer is streamed. A head is no longer.
const streamFrom = 64 << 10

// An exchange is a command's event and its reply.
type exchange struct {
	event     []byte
	described bool // the environment was made

	body    []byte // what is there and not yet read
	follows bool   // more comes by body read
	stage   int

	out     []byte // written and not yet sent
	head    head   // of a reply that streams
	streams bool
	fault   error // why there is no reply
}

func newExchange(event []byte) *exchange {
	e := &exchange{event: event}
	for r := abi.Read(event); r.Next(); {
		switch r.Tag {
		case abi.TagBody:
			e.body = r.Value
		case abi.TagBodyFollows:
			e.follows = r.U32() != 0
		}
	}
	return e
}

// read is fd_read of standard input.
func (e *exchange) read(c *call) errno {
	list, count, result := c.Args[1], c.Args[2], c.Args[3]
	if c.Result != nil {
		r := abi.Read(c.Result)
		for r.Next() {
			switch r.Tag {
			case abi.TagOpStatus:
				if r.U32() != abi.OpOK {
					e.follows = false
					return eIO
				}
			case abi.TagBody:
				e.body = append(e.body, r.Value...)
			case abi.TagEnd:
				e.follows = r.U32() == 0
			}
		}
	}
	if len(e.body) == 0 && e.follows {
		room := uint64(0)
		if errno := c.vectors(list, count, result, func(buffer []byte) (int, errno) {
			room += uint64(len(buffer))
			return len(buffer), 0
		}); errno != 0 {
			return errno
		}
		if room == 0 {
			return 0
		}
		e.body = nil // not to be appended to: it was the event's
		if !c.Wait(abi.OpBodyRead, abi.U32(abi.Frame(make([]byte, 0, 16)), abi.TagLimit, uint32(room))) {
			return eAGAIN
		}
		return 0
	}
	return c.vectors(list, count, result, func(buffer []byte) (int, errno) {
		n := copy(buffer, e.body)
		e.body = e.body[n:]
		return n, 0
	})
}

// write is fd_write to standard output.
func (e *exchange) write(c *call) errno {
	if c.Result != nil {
		for r := abi.Read(c.Result); r.Next(); {
			if r.Tag == abi.TagOpStatus && r.U32() != abi.OpOK {
				e.fault = errors.New("the reply could not be sent")
			}
		}
	}
	if e.fault != nil {
		return ePIPE
	}
	if c.Result == nil {
		if errno := c.vectors(c.Args[1], c.Args[2], c.Args[3], func(buffer []byte) (int, errno) {
			n := min(len(buffer), 2*streamFrom-len(e.out))
			e.out = append(e.out, buffer[:n]...)
			return n, 0
		}); errno != 0 {
			return errno
		}
	}
	switch {
	case len(e.out) <= streamFrom && e.stage == replyIdle:
		return 0
	case !e.streams:
		return e.begin(c)
	case e.stage == replyWrites:
		e.stage = replyIdle
		return 0
	}
	part := abi.Bytes(abi.Frame(make([]byte, 0, 16+len(e.out))), abi.TagBody, e.out)
	e.out, e.stage = e.out[:0], replyWrites
	return e.wait(c, abi.OpReplyWrite, part)
}

// begin sends the head of a reply that is too long to be kept.
func (e *exchange) begin(c *call) errno {
	head, body, err := readHead(e.out)
	if err != nil {
		e.fault = fmt.Errorf("standard output: %w", err)
		return ePIPE
	}
	e.head, e.out, e.streams, e.stage = head, body, true, replyStarts
	return e.wait(c, abi.OpReplyStart, head.frame(abi.TagHTTPStatus))
}

// wait has the call wait until a part of the reply is sent. What cannot be sent is not kept either.
func (e *exchange) wait(c *call, op uint32, request []byte) errno {
	if !c.Wait(op, request) {
		e.fault = errors.New("too many operations are under way for the reply to be sent")
		return ePIPE
	}
	return 0
}
