package alephguest

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	_ "unsafe" // for go:linkname

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/host"
)

// Go does not run main in a library (-buildmode=c-shared), and says nothing against who does.
//
//go:linkname programMain main.main
func programMain()

var (
	loading bool
	serving = make(chan http.Handler) // what main gives to Serve
	handler http.Handler
	next    *call // made when the program is loaded, for the instance's event
)

// Serve serves events with the handler, http.DefaultServeMux if it is nil, and does not return. It belongs at the end of main. Outside of
// a node it serves HTTP on the port in the variable PORT, or 8080.
func Serve(handler http.Handler) {
	if !loading {
		panic("alephguest: Serve belongs into main, and is called once")
	}
	loading = false
	if handler == nil {
		handler = http.DefaultServeMux
	}
	serving <- handler
	select {}
}

// A failure is why an event, or the load, ended without an answer.
type failure struct {
	code    uint32
	message string
	stack   []byte
}

func (f *failure) respond() {
	b := frame.U32(frame.Begin(nil), frame.ErrorCode, f.code)
	b = frame.Bytes(b, frame.ErrorMessage, f.message)
	host.Respond(frame.Bytes(b, frame.ErrorStack, f.stack))
}

// initialise runs main until it serves. The image is taken when it returns.
//
//go:wasmexport aleph_init
func initialise(length uint32) {
	logToNode()
	http.DefaultTransport = transport{}
	r := frame.Read(host.Event(nil, length))
	for r.Next() {
		if r.Tag == frame.MemoryLimit {
			debug.SetMemoryLimit(int64(r.U64() / 8 * 7)) // the rest is code's data, and what a garbage collection lags behind
		}
	}
	loading = true
	failed := make(chan *failure)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				failed <- &failure{frame.CodeLoad, fmt.Sprint("panic: ", v), debug.Stack()}
			}
		}()
		programMain()
		failed <- &failure{frame.CodeNoHandler, "main returned, and did not call alephguest.Serve", nil}
	}()
	select {
	case handler = <-serving:
	case f := <-failed:
		f.respond()
		return
	}
	prepare()
	next = newCall()
}

// handle serves the event.
//
//go:wasmexport aleph_handle
func handle(length uint32) {
	c := next
	if next = nil; c == nil {
		c = newCall()
	}
	reply, failed := c.serve(host.Event(c.buffer[:], length), handler)
	switch {
	case failed != nil:
		failed.respond()
	case reply != nil:
		host.Respond(reply)
	}
}

// bodies says that bodies may follow their events.
//
//go:wasmexport aleph_body
func bodies() {}

// serve gives the frame of a whole reply; nil if it was streamed, or failed.
func (c *call) serve(text string, handler http.Handler) (reply []byte, failed *failure) {
	defer func() {
		switch v := recover(); {
		case v == nil:
		case v == http.ErrAbortHandler:
			failed = &failure{frame.CodeException, http.ErrAbortHandler.Error(), nil}
		default:
			failed = &failure{frame.CodeException, fmt.Sprint("panic: ", v), debug.Stack()}
		}
	}()
	if err := c.read(text); errors.Is(err, frame.ErrFrame) {
		return nil, &failure{frame.CodeException, err.Error(), nil}
	} else if err != nil {
		http.Error(&c.response, "400 Bad Request", http.StatusBadRequest)
	} else {
		host.EventDeadline = c.event.Deadline
		handler.ServeHTTP(&c.response, c.request)
	}
	reply, err := c.response.finish()
	if err != nil {
		return nil, &failure{frame.CodeReply, err.Error(), nil}
	}
	return reply, nil
}
