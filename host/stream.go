package host

import (
	"errors"
	"io"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
	"github.com/aleph-edge/aleph-edge/usage"
)

// A Body is what of an event's body is not in its frame. Read is called by one goroutine at a time; Interrupt, by any, ends a
// Read that waits and all later ones. A Body whose client sends more than it may answers with ErrBodyTooLarge.
type Body interface {
	io.Reader
	Interrupt()
}

// ErrBodyTooLarge is wrapped by the error of a Body that is longer than the node takes.
var ErrBodyTooLarge = errors.New("body too large")

// Sizes of what one body read gives, in bytes.
const (
	bodyReadDefault = 64 << 10
	bodyReadMost    = 1 << 20
)

// bodyTicket marks a completion that is a body read's. The ticket it is for is known when it is delivered, for a guest may
// forget one read and start another: what has come is not lost.
const bodyTicket = 0

// body is how far the guest has read its event's body.
type body struct {
	source  Body
	ticket  uint32        // of the read that waits
	limit   int           // bytes that it takes
	reading chan struct{} // closed when the goroutine that reads ends; nil: none does
	left    []byte        // read, and not yet given to the guest
	err     error         // of the last read

	got []byte // by the goroutine that reads, until it is delivered
}

// Follow says that the event's body follows, before Run.
func (inv *Invocation) Follow(source Body) {
	inv.body = &body{source: source}
	inv.Event = abi.U32(inv.Event, abi.TagBodyFollows, 1)
}

// replyStream is a reply whose body comes in parts.
type replyStream struct {
	head    abi.Response
	begun   bool // the head was given to the trigger
	writes  []replyPart
	current uint32 // ticket of the part that the trigger sends
	ended   bool   // the last part was given
	over    bool   // the guest has returned, or failed
}

type replyPart struct {
	ticket uint32
	data   []byte
	end    bool
}

// offers says whether there is something for the trigger; the head alone counts only if the guest is not about to add to it.
func (o *replyStream) offers(idle bool) bool {
	return o != nil && (len(o.writes) > 0 || idle && !o.begun)
}

func (o *replyStream) begin(record *usage.Record) *abi.Response {
	o.begun = true
	record.Status = uint16(o.head.Status)
	return &o.head
}

// startStream begins an operation on the event's body or the reply's. Like startStore it is kept out of start.
//
//go:noinline
func (inv *Invocation) startStream(op wasm.Operation) {
	var status uint32
	var err error
	switch op.Op {
	case abi.OpBodyRead:
		status, err = inv.startBodyRead(op)
	case abi.OpReplyStart:
		status, err = inv.startReply(op)
	case abi.OpReplyWrite:
		status, err = inv.startReplyWrite(op)
	}
	if err != nil {
		inv.instance.Complete(op.Ticket, refuse(status, err.Error()))
	}
}

func (inv *Invocation) startBodyRead(op wasm.Operation) (uint32, error) {
	limit := uint32(0)
	r := abi.Read(op.Request)
	for r.Next() {
		if r.Tag == abi.TagLimit {
			limit = r.U32()
		}
	}
	if r.Err() != nil {
		return abi.OpInvalidArgument, r.Err()
	}
	b := inv.body
	if b == nil {
		inv.instance.Complete(op.Ticket, bodyPart(nil, true))
		return 0, nil
	}
	if b.ticket != 0 && inv.instance.Knows(b.ticket) {
		return abi.OpInvalidArgument, errors.New("a body read is under way; one at a time")
	}
	b.ticket, b.limit = op.Ticket, min(int(limit), bodyReadMost)
	if limit == 0 {
		b.limit = bodyReadDefault
	}
	if b.reading != nil {
		return 0, nil // of a read that was forgotten; this one gets what comes
	}
	if len(b.left) > 0 || b.err != nil {
		inv.giveBody()
		return 0, nil
	}
	d := inv.dispatcher
	d.work.Add(1)
	d.waiting.Add(1)
	reading, buffer := make(chan struct{}), make([]byte, b.limit)
	b.reading = reading
	go func() {
		defer d.work.Done()
		defer d.waiting.Add(-1)
		defer close(reading)
		n, err := b.source.Read(buffer)
		b.got, b.err = buffer[:n], err
		inv.completed(bodyTicket, nil)
	}()
	return 0, nil
}

// bodyRead takes what a read has brought.
func (inv *Invocation) bodyRead() {
	b := inv.body
	if b.reading == nil {
		return // it was ended
	}
	<-b.reading
	b.reading, b.left, b.got = nil, b.got, nil
	inv.record.RequestBytes += uint64(len(b.left))
	if b.ticket != 0 && inv.instance.Knows(b.ticket) {
		inv.giveBody()
	}
}

// giveBody completes the body read that waits.
func (inv *Invocation) giveBody() {
	b := inv.body
	ticket := b.ticket
	b.ticket = 0
	n := min(len(b.left), b.limit)
	part := b.left[:n]
	b.left = b.left[n:]
	switch {
	case n > 0 || b.err == nil || b.err == io.EOF:
		inv.instance.Complete(ticket, bodyPart(part, len(b.left) == 0 && b.err == io.EOF))
	case errors.Is(b.err, ErrBodyTooLarge):
		inv.instance.Complete(ticket, refuse(abi.OpValueTooLarge, b.err.Error()))
	default:
		inv.instance.Complete(ticket, refuse(abi.OpNetwork, "the client's body cannot be read to its end"))
	}
}

func bodyPart(data []byte, end bool) []byte {
	b := abi.U32(abi.Frame(make([]byte, 0, 40+len(data))), abi.TagOpStatus, abi.OpOK)
	b = abi.Bytes(b, abi.TagBody, data)
	if end {
		b = abi.U32(b, abi.TagEnd, 1)
	}
	return b
}

// StopBody ends the reading of the event's body, a read that is under way, too; its source may go away afterwards.
func (inv *Invocation) StopBody() {
	b := inv.body
	if b == nil {
		return
	}
	if b.reading != nil {
		b.source.Interrupt()
		<-b.reading
	}
	b.reading, b.left, b.err = nil, nil, io.ErrClosedPipe
	if b.ticket != 0 && inv.instance.Knows(b.ticket) {
		inv.giveBody()
	}
}

func (inv *Invocation) startReply(op wasm.Operation) (uint32, error) {
	if inv.out != nil {
		return abi.OpInvalidArgument, errors.New("the reply has begun")
	}
	head, err := abi.ParseReplyStart(append([]byte(nil), op.Request...))
	if err != nil {
		return abi.OpInvalidArgument, err
	}
	inv.out = &replyStream{head: head}
	inv.instance.Complete(op.Ticket, ok)
	return 0, nil
}

func (inv *Invocation) startReplyWrite(op wasm.Operation) (uint32, error) {
	o := inv.out
	if o == nil {
		return abi.OpInvalidArgument, errors.New("the reply has not begun")
	}
	part := replyPart{ticket: op.Ticket}
	r := abi.Read(op.Request)
	for r.Next() {
		switch r.Tag {
		case abi.TagBody:
			part.data = append([]byte(nil), r.Value...)
		case abi.TagEnd:
			part.end = r.U32() != 0
		}
	}
	switch {
	case r.Err() != nil:
		return abi.OpInvalidArgument, r.Err()
	case o.ended || len(o.writes) > 0 && o.writes[len(o.writes)-1].end:
		return abi.OpClosed, errors.New("the reply has ended")
	}
	o.writes = append(o.writes, part)
	return 0, nil
}

// Streams says whether the body of the reply that Run gave comes by Next.
func (inv *Invocation) Streams() bool { return inv.out != nil }

// Next lets the guest go on until it has written the next part of the reply's body, and gives it; nil at the body's end. The
// part before is then taken to have been sent.
func (inv *Invocation) Next() ([]byte, *Error) {
	o := inv.out
	for {
		inv.taken()
		if len(o.writes) > 0 {
			part := o.writes[0]
			o.writes = o.writes[1:]
			o.current, o.ended = part.ticket, part.end
			if len(part.data) > 0 {
				inv.record.ResponseBytes += uint64(len(part.data))
				return part.data, nil
			}
			continue
		}
		if o.ended {
			return nil, nil
		}
		if failed := inv.more(); failed != nil {
			return nil, failed
		}
	}
}

// taken completes the write of the part that the trigger was given.
func (inv *Invocation) taken() {
	if o := inv.out; o.current != 0 {
		inv.instance.Complete(o.current, ok)
		o.current = 0
	}
}

// more lets the guest of a streamed reply go on.
func (inv *Invocation) more() *Error {
	var failed *Error
	if inv.out.over {
		failed = &Error{Row: abi.ErrNoReply, Detail: "the body was not ended"}
	} else {
		failed = inv.advance()
		inv.drainLogs()
	}
	if failed != nil {
		inv.out.over = true
		inv.record.ErrorClass = failed.Row.Code
	}
	return failed
}

// Abort records that the client did not take the reply to its end.
func (inv *Invocation) Abort() {
	inv.record.Status, inv.record.ErrorClass = uint16(abi.ErrClientGone.Status), abi.ErrClientGone.Code
}

// Detach ends the invocation when the guest has returned: the client has its reply, but the guest may have more to do. What it
// still writes is dropped. The caller and the body's source are not used any more.
func (inv *Invocation) Detach() {
	inv.StopBody()
	inv.caller = nil
	if inv.wait != nil {
		inv.wait.detach()
	}
	if inv.out.over {
		inv.End()
		return
	}
	inv.dispatcher.work.Go(func() {
		defer inv.End()
		_ = inv.Finish() // it is in the log
	})
}

// Finish lets the guest of a streamed reply go on until it has returned. What it still writes is dropped.
func (inv *Invocation) Finish() *Error {
	for o := inv.out; o != nil && !o.over; {
		inv.taken()
		for _, part := range o.writes {
			inv.instance.Complete(part.ticket, ok)
		}
		o.writes = nil
		if failed := inv.more(); failed != nil {
			return failed
		}
	}
	return nil
}

// Head is the head of a streamed reply.
func (inv *Invocation) Head() *abi.Response { return &inv.out.head }

// BodyEnded says whether the guest has read its event's body to the end.
func (inv *Invocation) BodyEnded() bool {
	return inv.body == nil || inv.body.reading == nil && inv.body.err == io.EOF
}
