// Package message makes events of the network's messages, and of what is posted to topics.
//
// # Filters
//
// A filter is an object of a message's fields: chain, sender, channel, time, type, item_type, item_hash and content. All that it
// names must match:
//
//   - a string, number or boolean matches the same value. Numbers are compared as IEEE doubles; Ethereum addresses (0x and 40 hex
//     digits) whatever their case
//   - null matches null, and where there is nothing
//   - an object matches an object in which each of its fields matches, at any depth
//   - a list matches what one of its values matches
//   - where the message has a list, one of its values must match: {"content":{"content":{"tags":"a"}}} matches tags ["a","b"]
//
// The network's nodes match strings and objects only, and in the same way, but for the filter without any field: there it
// matches nothing, here every message. Of a program's filters the first that matches counts: it gets a message once, as there.
//
// # From a message to the queue
//
//	network: process ─► log of messages ─► follower: match ─► queue.Accept, with the checkpoint ─► trim the log
//
// The network writes a message into its log in the transaction that puts it in force. The follower, one goroutine, reads the log
// behind its checkpoint and hands what matches to the queue together with the new checkpoint, at most 1,000 events at a time. A
// message that matches more takes several; the checkpoint then names the last program that has its event (programs go by id). So
// each message is offered once for each program that it matches, wherever the process is killed, and the queue need not remember its
// item hash (queue.Event.Once).
//
// An event carries only the message's hash. Form loads the message when it is delivered; one that was forgotten meanwhile is gone.
//
// A program sees the messages that are processed after its filters came in force. New filters see those that the old ones had
// still to see.
//
// # Programs that do not keep up
//
// A program whose queue is full falls behind: it gets a checkpoint of its own, and the follower goes on without it. From time to time,
// one step for each of the others', the follower reads the log again for those that are behind. The log keeps what they have not seen,
// up to Config.Behind messages; what is older is lost to them, which their state tells. Order is kept throughout.
//
// # Layout
//
//	checkpoint/message/log           how far the follower has read
//	checkpoint/message/program/<id>  after which message a program sees them, and if it is behind, how far it has read
package message
