// Package usage counts what every program consumes.
//
// Each invocation leaves a [Record] with the program's [Account]: its numbers are added to the account's [Totals], and it is one
// of the last records (100 by default), which are kept in memory. A [Meter] holds the accounts and writes the totals of those
// that changed to the database once a second.
//
// # What is counted
//
//	invocations   records
//	errors        records with an error class; a status that the program itself chose is none
//	gb_seconds    memory limit in GiB x wall time in seconds
//	cpu_ms        time on a CPU, in milliseconds
//	wall_ms       time from the start to the end, in milliseconds
//	egress_bytes  bytes of responses and of the requests that the program sent out
//	fetches       requests that the program sent out; each that a redirect asked for is one
//	inbound_bytes bytes of the answers to them
//	store_ops     reads and writes of the program's store
//
// Of a request that a program sends out, and of its answer, the bytes of method, URL, headers and body are counted, not those of
// TLS and framing.
//
// Totals are sums of integers (nanoseconds, bytes, bytes x nanoseconds), wide enough never to wrap or round, so they equal the
// sum of the records. In JSON they are exact decimals.
//
// # Durability
//
// When the process dies, what was added since the last flush is missing from the totals: at most the last second and the time
// that one flush takes. Close loses nothing. Records do not outlive the process.
//
// # Forgotten programs
//
// The totals of a program that was forgotten stay, in the database and for its owner to read, since they are what is billed;
// its records go.
package usage
