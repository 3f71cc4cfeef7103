package host

import "unsafe"

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

// Event reads the event's frame, of length bytes, into buffer, or into one of its own if that is too small. The buffer is the frame's
// from then on: nobody writes to it again.
func Event(buffer []byte, length uint32) string {
	if uint64(length) > uint64(len(buffer)) {
		buffer = make([]byte, length)
	}
	return unsafe.String(unsafe.SliceData(buffer), eventRead(unsafe.SliceData(buffer), 0, length))
}

// responded is kept until the node has read it, which is when the export returns.
var responded []byte

// Respond gives the response's frame.
func Respond(frame []byte) {
	responded = frame
	respond(unsafe.SliceData(frame), uint32(len(frame)))
}

// Log writes an entry of the program's log. Levels: 0 debug, 1 info, 2 warning, 3 error.
func Log(level int, text []byte) { log(uint32(level), unsafe.SliceData(text), uint32(len(text))) }
