package network

// Limits of messages. Those of sizes are the network's.
const (
	MaxInline = 200_000 // bytes of item_content; larger contents go to storage
)
