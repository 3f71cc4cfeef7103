package host

//go:wasmimport aleph_v1 event_read
//go:noescape
func eventRead(to *byte, offset, length uint32) uint32

//go:wasmimport aleph_v1 respond
//go:noescape
func respond(frame *byte, length uint32)

//go:wasmimport aleph_v1 log
//go:noescape
func log(level uint32, text *byte, length uint32)

//go:wasmimport aleph_v1 op_start
//go:noescape
func opStart(operation uint32, request *byte, length uint32) int32

//go:wasmimport aleph_v1 op_wait
func opWait(ticket int32) uint64

//go:wasmimport aleph_v1 op_poll
func opPoll() uint64

//go:wasmimport aleph_v1 op_take
//go:noescape
func opTake(ticket int32, to *byte, length uint32) uint32

//go:wasmimport aleph_v1 op_cancel
func opCancel(ticket int32)

// at is where bytes are.
func at(b []byte) *byte {
	if len(b) == 0 {
		return nil
	}
	return &b[0]
}

// Event reads the event's frame, of length bytes, into buffer, or into one of its own if that is too small.
func Event(buffer []byte, length uint32) []byte {
	if uint64(length) > uint64(cap(buffer)) {
		buffer = make([]byte, length)
	}
	buffer = buffer[:length]
	return buffer[:eventRead(at(buffer), 0, length)]
}

// responded is kept until the node has read it, which is when the export returns.
var responded []byte

// Respond gives the response's frame.
func Respond(frame []byte) {
	responded = frame
	respond(at(frame), uint32(len(frame)))
}

// Log writes an entry of the program's log. Levels: 0 debug, 1 info, 2 warning, 3 error.
func Log(level int, text []byte) { log(uint32(level), at(text), uint32(len(text))) }
