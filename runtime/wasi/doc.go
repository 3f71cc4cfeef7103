// Package wasi is what a guest finds of wasi_snapshot_preview1 beyond clocks, randomness and the log, which package wasm's C
// answers: arguments, variables, files, waiting, and, for a command, the event on its standard input and the reply on its
// standard output.
//
// A Program is what the runs of one deployed program share: its arguments, variables and files. A process answers the calls of
// one run. It is made at the run's first call that needs it; a guest that makes none pays nothing for it. Nothing of the
// machine's own file system is reached: the tree is the program's files, which cannot be changed, and /tmp, which is the run's
// own, in the node's memory, and gone with it.
//
// A run's process is used by one goroutine at a time, that which runs the guest; the Program's tree does not change once it is
// made. What a call may cost is bounded: a path by its length and the symbolic links in it, a transfer by transferMost.
//
// The standard is https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md, and where it is silent POSIX.
package wasi
