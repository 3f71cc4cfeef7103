package alephguest

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"unsafe"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
)

// prepare leaves memory so that an event touches little of it, and waits for nothing that could have been done before: what main left
// over is collected, what the runtime and net/http make at their first use is made, each of the allocator's size classes has a span
// with room, and the stack is as deep as handlers go.
func prepare() {
	runtime.GC()
	for range 2 {
		warm()
	}
	for size := 8; size <= largestClass; size += 8 {
		for range spanSize / 8 {
			if first(make([]byte, size)) {
				break
			}
		}
		for range spanSize / 8 {
			if first(make([]*byte, size/8)) {
				break
			}
		}
		if size >= 128 {
			size += size/16&^7 - 8 // no two classes are nearer than that
		}
	}
	object = nil
	deepen(24)
}

const (
	spanSize     = 8 << 10 // of the smaller classes
	largestClass = 2 << 10
)

// object keeps what is made from being made on the stack.
var object unsafe.Pointer

// first says whether a new object is the first of its span. A word in front of larger ones may be the allocator's.
func first[T any](made []T) bool {
	object = unsafe.Pointer(unsafe.SliceData(made))
	return uintptr(object)%spanSize <= 8
}

// warm serves an event that is none, so that what the runtime and net/http make at their first use is in the image, and the allocator
// has begun the spans that an event will use.
func warm() {
	b := frame.U64(frame.Begin(nil), frame.Deadline, 1)
	for tag, text := range map[uint32]string{frame.RequestID: "warm", frame.Method: "GET", frame.Path: "/", frame.Query: "name=value", frame.Client: "192.0.2.1:4711"} {
		b = frame.Bytes(b, tag, text)
	}
	for _, name := range []string{"host", "user-agent", "accept", "x-forwarded-for"} {
		b = frame.Pair(b, frame.Header, name, "value")
	}
	c := newCall()
	_, _ = c.serve(string(b), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, "%s %s\n", r.FormValue("name"), r.URL.Path)
		_, _ = io.WriteString(rw, r.URL.Query().Get("name"))
	}))
}

// deepen makes room on the stack of the goroutine that serves.
func deepen(n int) byte {
	var room [1 << 10]byte
	if n > 0 {
		room[n] = deepen(n - 1)
	}
	return room[0]
}
