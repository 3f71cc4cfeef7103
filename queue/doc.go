// Package queue is the node's durable queue: events that wait to be delivered to programs, whatever trigger they come from.
//
// A trigger offers events with [Queue.Accept], together with the checkpoint that says how far it has read: both are on the disk when
// it returns, or neither is. A [Handler] runs them and returns an [Outcome].
//
// # What is promised
//
// Every accepted event is delivered at least once, until it is acknowledged or, after Policy.MaxAttempts failures or a rejection, a
// dead letter with its last error. Its attempt number grows with each run and is on the disk before the run. An outcome is on the
// disk before anyone hears of it; an event that was acknowledged never runs again. All of this holds wherever the process is
// killed: what ran then runs again, as the next attempt. An event during whose runs the process died 16 times in a row becomes a
// dead letter, since it may be the cause.
//
// An effect happens exactly once if it is written by the transaction of the acknowledgement ([Outcome.With]).
//
// Events of a program run in about the order in which they became due, up to Policy.Concurrency at the same time; those with one
// Key strictly one after the other, in the order in which they were accepted, retries included. The next of a key becomes due when
// the one before has ended, and goes behind the program's other due events; a dead letter that is retried, behind those of its key.
//
// An event whose id is known is not accepted again. An id is known while its event waits, runs or is a dead letter, and then until
// Options.Remembered (65,536) further events of the program have ended. It is a number and no time, so that no clock shortens
// it. A producer that repeats nothing, since its checkpoint is written with its events, says so (Event.Once): the ids of its events
// are not remembered, but for dead letters, which are found by them.
//
// # Fairness and memory
//
// Programs take turns; each run is one turn. A quarter of the workers is only for programs of which nothing runs, so that
// no program's slow events keep those of the others waiting. Events stay on the disk: in memory are the runs, 64 numbers of each
// program that has something due, and some 200 bytes of each that has events at all.
//
// # Time
//
// The queue's clock is the wall clock, but never goes back, and no event waits longer than it was told to: see clock.
//
// # Layout
//
// Numbers in keys are 8 bytes, big-endian; values are in record.go. Numbers of events and turns are drawn from one counter, which
// begins at boot × 2^40.
//
//	queue/boot                                   how often the queue was opened
//	queue/clock                                  its clock, when an event was last delayed
//	queue/active/<program>                       counts; there while the program has events to deliver: what a start reads
//	queue/totals/<program>                       sums, and how many dead letters, results and ids there are
//	queue/paused/<program>                       there while it is paused
//	queue/event/<program>/<number>               an event, as it was accepted, if it is not in its state
//	queue/ready/<program>/<turn>                 the state of an event that is due or runs
//	queue/delayed/<program>/<due><number>        … of one that is not yet due
//	queue/waiting/<program>/<hash of key><n>     … of one behind another of its key
//	queue/dead/<program>/<number>                … of a dead letter
//	queue/line/<program>/<hash of key>           which waiting events a key has; there while one of its events is ready or delayed
//	queue/id/<program>/<id>                      the number of the event with the id
//	queue/ended/<program>/<n>                    the ids of those that ended, to be forgotten in order
//	queue/result/<program>/<n>                   what came of them
//
// An event is in exactly one of ready, delayed, waiting and dead, or has ended. All of it is written in the database's one writer
// (kv.DB.GroupUpdate), so transactions never conflict, share their syncs, and turns are committed in order: who has read the
// ready events up to a turn need not look before it again, and never walks over the traces of deleted ones. A key's next
// event becomes ready in the transaction that ends the one before, so nothing in memory knows about keys.
//
// An event costs three writes to accept, one to begin and three to acknowledge (five when an old id is forgotten), and its
// program's counts, which are written once in a transaction. One that is offered once, and is small, is in its state's record until
// it is a dead letter: one write each.
package queue
