package network

import "time"

// Limits of messages. The sizes and MaxMetadata, MaxFilterKeys and MaxVCPUs are the network's own; memory and time are
// those of on-demand functions.
const (
	MaxInline     = 200_000          // bytes of item_content; larger contents go to storage
	MaxContent    = 4 << 20          // bytes of a content kept in storage
	MaxAhead      = 10 * time.Minute // of a message's time before the node's clock
	MaxChannel    = 256              // bytes
	MaxSignature  = 4096             // bytes
	MaxAddress    = 128              // bytes
	MaxMetadata   = 256              // keys
	MaxVariables  = 256              // entries
	MaxName       = 128              // bytes of a program's name, an aggregate's key, a post's type
	MaxEntrypoint = 1024             // bytes
	MaxFilters    = 64               // message filters of a program
	MaxFilterKeys = 32               // keys of one message filter
	MaxForget     = 1000             // item hashes of one FORGET
	MaxVCPUs      = 256
	MaxMemory     = 1024 // MiB
	MaxSeconds    = 60
)

// What the network takes for resources that a PROGRAM leaves out.
const (
	defaultVCPUs   = 1
	defaultMemory  = 128 // MiB
	defaultSeconds = 1
)
