// Package chain makes events of what happens on blockchains: logs of contracts, native transfers, new blocks. The node is its own
// indexer: it asks JSON-RPC providers, and keeps how far it has read.
//
//	providers ─ pool ─ tracker (the end of the canonical chain)
//	                └─ scan    (ranges of settled blocks, or one block by its hash)
//	                     └─ index: which triggers wait for it ─ queue.Accept(events, position)
//
// # Reading
//
// eth_getLogs is what counts; a WebSocket's subscription to new blocks only wakes the loop. A trigger reads as far as its confirmations
// let it: so many blocks below the latest, or the chain's safe or finalized block. Triggers that have read equally far, and want as many
// confirmations, share a cursor and with it the queries, which ask for the union of their addresses and topics; what comes is
// matched by an index, not by looking at each filter. One that reads what was before, or whose program takes no more events for now, has a
// cursor of its own until it has caught up. Cursors take turns.
//
// Blocks that are final, or 256 below the latest, are read in ranges, which halve when a provider refuses and grow again; the next range is
// fetched while one is handed to the queue. Blocks above are read one by one, by their hash, if their bloom says that they may have
// something.
//
// # Reorganisations
//
// Of blocks that may still be replaced it is kept what they follow and what was sent of them. When the block that a cursor read last
// is no longer on the chain, its events are sent again, the last one first, with removed: true, and then the cursor goes on from the block
// before; so it comes to the common ancestor, and reads the new branch from there. Logs that a program was told of, less those
// that were removed, are those of the canonical chain.
//
// # What is promised
//
// A position and the events before it are one transaction, so that wherever the process dies no event is lost. The queue knows an
// event that comes again by its id,
//
//	<chain id>:<block>:<transaction>:<log's index>:<trigger>[:again-<n>][:removed]
//
// without the index for a transfer, and without the transaction for a block. again counts how often the block had been removed
// before: what comes back after that is news. The id in the payload is without the trigger and what follows it, so an
// event and its removal share it.
//
// Native transfers are transactions with a value that succeeded. What a contract sends on is no transaction and not seen.
//
// # Providers
//
// A chain may have several. One is asked until it fails, lies or falls behind; then another, and it rests. What is checked:
// that it is of the same chain; that it has the latest block that it says; that blocks name each other as parent; that a block's
// logs are numbered without a gap and make up the header's bloom, else its receipts are asked for; that a range's logs are in order,
// of that range and of what was asked for; that a long answer was not cut off, by asking for its end once more; and one block of each
// range by its bloom. A
// provider that leaves out single logs of settled blocks is found out by those samples only, unless the chain is Thorough; and logs whose
// addresses and topics are all in other logs of the block leave no trace in a bloom.
//
// URLs may hold keys, so nothing shows more of them than the host. Answers are bounded, as is each wait.
//
// # Records
//
//	checkpoint/chain/trigger/<program>/<trigger>            which cursor it has, and the first block that it hears of
//	checkpoint/chain/of/<chain>/identity                    its id and first block
//	checkpoint/chain/of/<chain>/cursor/<id>                 a position
//	checkpoint/chain/of/<chain>/block/<number>/<hash>       a block that may be replaced: its parent, and how often it was removed
//	checkpoint/chain/of/<chain>/sent/<number>/<hash>/<n>    what was sent of it
//
// Those of blocks are kept until they can no longer be replaced and all cursors are past them, at most 4,096 blocks.
//
// A backfill of 40,000 logs into a database on the disk, from a go-ethereum node in the same process, which shares two busy cores with it,
// makes 0.62 to 0.77 of the logs a second that eth_getLogs alone gives there (BenchmarkBackfill): fetching and accepting overlap, but compete.
package chain
