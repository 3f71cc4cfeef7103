// Package logs keeps what programs log.
//
// [Logs.Append] puts entries in a program's queue, in memory, and hands them to those who follow the program and to the node's
// terminal. One goroutine writes the queues to files some 200 ms later:
//
//	Append ─┬► queue of the program ─► writer ─► <program>.log ─► <program>.1.log ─► gone
//	        ├► followers' channels
//	        └► sink's channel ─► sink goroutine ─► Options.Sink
//
// Nobody waits for anybody: every one of these is bounded, and where one is full its entries are dropped, counted, and an entry
// in their place says how many.
//
// # Files
//
// A program has a file that grows and the one before it, of at most Options.FileSize each, so that between one and two times
// that of its last entries is kept. When all files together pass Options.TotalSize, the ones that were written longest ago
// are deleted. A file holds one JSON object a line, as docs/http.md shows it. No file is open but while it is read or written.
//
// # Durability
//
// When the process dies, the entries of the last Options.FlushEvery are lost. Files are not synced: when the machine dies, what
// its kernel had not written is lost too. A line that was cut is removed when its file is next written, and skipped until then.
package logs
