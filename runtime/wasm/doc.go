// Package wasm runs WebAssembly modules on wasmtime: the only package with cgo and unsafe code.
//
// An Engine owns slots; a Slot is a linear memory, mapped from an Image, in which one instance of a Module runs at a time.
// The guest is a coroutine: Start and Resume return Done, Failed, Yielded (its slice is over) or Waiting (it waits for
// operations, which Started and Complete connect to Go). Go code is never called from C, and a waiting guest holds no thread.
//
// Invariants:
//
//   - A Slot is used by one goroutine at a time; the engine hands it out (Acquire) and takes it back (Release).
//   - A memory is, at every start, byte for byte its image: what a guest wrote is gone before the next one runs.
//   - All else of an instance is, at every start, as in a new one. Most often it is one; where package image has proved that an
//     event can leave nothing in it but in the memory and what its code sets back, the instance stays in its slot (serve.c).
//   - Nothing of wasmtime is owned outside the shim: modules live until Close, stores until the run ends or Cancel, or, of an
//     instance that is kept, until the slot holds another image or is released.
//   - C keeps a Go pointer only for the length of one call (the event, during the first poll).
//   - Views (Response, Memory, a started operation's request) are of C or guest memory and end where their comment says.
//   - Lengths and addresses from the guest are checked in C against the memory's size at that moment, or in Go where Go uses
//     them.
package wasm
