// A reactor as Go's compiler makes it for wasip1, with the imports of abi/SPEC.md declared by hand.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"
	"unsafe"
)

//go:wasmimport aleph_v1 event_read
func eventRead(to unsafe.Pointer, offset, length uint32) uint32

//go:wasmimport aleph_v1 respond
func respond(from unsafe.Pointer, length uint32)

var (
	_        = slept()
	greeting = os.Getenv("GREETING") // in the image
	data, _  = os.ReadFile("data.txt")
	reply    []byte
)

func main() {}

//go:wasmexport aleph_handle
func handle(length uint32) {
	event := make([]byte, length)
	eventRead(unsafe.Pointer(&event[0]), 0, length)
	var body []byte
	for at := 4; at < len(event); {
		tag, n := binary.LittleEndian.Uint32(event[at:]), int(binary.LittleEndian.Uint32(event[at+4:]))
		if tag == 20 {
			body = event[at+8 : at+8+n]
		}
		at += 8 + n
	}
	must(os.MkdirAll("/tmp/d/b", 0o755))
	must(os.WriteFile("/tmp/d/a", []byte("written"), 0o600))
	written, err := os.ReadFile("/tmp/d/a")
	must(err)
	var names []string
	entries, err := os.ReadDir("/tmp/d")
	must(err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	done := make(chan bool)
	go func() {
		time.Sleep(5 * time.Millisecond)
		done <- true
	}()
	<-done
	text := fmt.Sprintf("%s, %s, %s, %v, slept, %s", greeting, data, written, names, body)
	reply = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32([]byte("alv1"), 20), uint32(len(text)))
	reply = append(reply, text...)
	respond(unsafe.Pointer(&reply[0]), uint32(len(reply)))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// slept waits while the program is loaded.
func slept() bool {
	time.Sleep(2 * time.Millisecond)
	return true
}
