// Package broker makes events of the messages of brokers: NATS (JetStream) and MQTT 3.1.1. A broker is configured on the node, by a
// URL; its messages are posted to a topic, and are events for each program that hears it.
//
// # What is promised
//
// A message is acknowledged to its broker when no program has it to do any more: each that heard the topic has acknowledged its event,
// or failed for the last time. Until then the broker keeps it, and brings it again to a node that crashed. So each message is delivered
// at least once to each program that hears the topic.
//
// A dead letter is acknowledged, too: the node keeps it, with its error, and has it run again when told to. To the broker it says so
// where there is a word for it (Term, in NATS). Were it given back, the broker would bring it again and again.
//
// A message whose topic no program hears stays with the broker until one does, and one that never could be an event, as it is too large,
// is logged and ends.
//
// A message that comes again is known by its id, for as long as the queue remembers that, and makes no second event. NATS numbers its
// messages. MQTT does not: the packet number of a message is kept until the message is acknowledged, and one that comes again says so
// (DUP), and has the same number and content. What comes again because only its acknowledgement was lost is a second event.
//
// # Bounds
//
// A Source's InFlight is how many of its messages are with programs at a time. NATS keeps the others, and hears that those are still
// worked on. MQTT has no word for either: what a broker sends beyond that is left unanswered, and fetched by a new connection when the
// others have ended. An ordered topic's message waits for the one before, as long as that takes.
//
// # Layout
//
//	checkpoint/broker/node                     a random name that the broker knows this node by
//	checkpoint/broker/mqtt/<client>/<packet>   the message that has the packet number: hash of its content, id
package broker
