// Package kv is the node's one database and, on it, the key-value store of every program.
//
// A [DB] is a Badger database in the node's data folder. Other packages keep their records in it through [DB.View],
// [DB.Update] and [DB.GroupUpdate]; guests reach theirs (context.aleph.store) through a [Store], one per program, from [DB.Store].
//
// # Layout
//
//	network/                      messages                                  (records)
//	programs/                     what is deployed                          (records)
//	queue/                        events to deliver, see package queue      (records)
//	checkpoint/                   how far each trigger has read             (records)
//	usage/                        what invocations cost                     (records)
//	store/<program>/k<key>        a program's entry                         (Store)
//	store/<program>/t<key>        the last bytes of an entry over 1 MiB - 1 (Store)
//	store/<program>/u             the program's bytes and keys in use       (Store)
//	expiry/<unix ms><program>/<key>  entries that expire, by time           (Store)
//
// A record belongs to the package that writes it; what is below store/ and expiry/ is written by this package only.
//
// # Durability
//
// Acknowledged means on disk: Badger runs with SyncWrites, and a write returns after its log was synced. Badger syncs once per
// transaction even when it takes several at a time off its queue, so many writers gain little by that alone. All Stores
// and GroupUpdates therefore share one writer: it gathers what is waiting into one transaction, commits it with one sync, and
// answers all of it, while the next batch gathers. Acknowledged writes per second, 100-byte values, 2 cores, ext4, 0.2 ms a sync
// (BenchmarkUpdate, BenchmarkGroupUpdate, BenchmarkStoreSet, BenchmarkIncrement):
//
//	                                  1 writer    16 writers    256 writers
//	own transactions (Update)            3,500         4,700          5,100
//	shared transactions (GroupUpdate)    2,900        16,300         86,100  (while own ones made 1,400 to 1,500)
//	Stores, different keys               4,100        17,600         72,900
//	Stores, one counter                  3,700        19,000        172,000
//
// A GroupUpdate may write to stores, too ([Txn.Store]), in one transaction with its records.
//
// The one writer is also what makes the rest simple. No two store writes ever conflict, so an increment is a read and a write,
// and a hot counter costs one write a batch; usage is counted in the transaction that changes it, so that it is exact whenever
// the process dies; watchers see changes in commit order.
//
// When Badger fails to write or sync, the outcome of that write is unknown and later ones could be lost behind it: the DB refuses
// all writes from then on (unavailable) until it is opened again. Reads go on. So it does, for as long as that lasts, when the
// disk is nearly full (Options.MinFree): Badger's files are memory-mapped, and meeting the disk's end in one kills the process.
//
// # Values
//
// Values stay in the LSM tree, never in Badger's value log: there, a program overwriting one large value would fill the disk
// many times over its quota before the log is collected, since collection waits for compactions that small pointers never
// cause. (1,500 overwrites of 1 MiB: at most 82 MB of disk in the tree; 1.5 GB in the log, of which RunValueLogGC gave back
// nothing.) The log stays empty, so there is nothing to collect. Badger's tree takes values below 1 MiB, so the last bytes of
// a larger entry are kept beside it.
//
// # Expiry
//
// A Store's TTL does not use Badger's, which forgets an entry without giving its size back. The time is kept with the entry,
// in milliseconds, and in an index. A read after it gives absence at once; the writer deletes what is due each second and gives
// its quota back, and does so before it refuses a write for lack of quota: an expired entry never costs a write.
package kv
