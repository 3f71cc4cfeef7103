package abi

// Kinds of an event.
const (
	KindHTTP     = 0
	KindSchedule = 1
	KindMessage  = 2
	KindTopic    = 3
	KindLog      = 4
	KindBlock    = 5
	KindTransfer = 6
	KindLoad     = 100
)

// KindName is the kind's name in context.event and in usage records.
func KindName(kind uint32) string {
	switch kind {
	case KindHTTP:
		return "http"
	case KindSchedule:
		return "schedule"
	case KindMessage:
		return "message"
	case KindTopic:
		return "topic"
	case KindLog:
		return "log"
	case KindBlock:
		return "block"
	case KindTransfer:
		return "transfer"
	}
	return "load"
}

// Tags of event and load frames. TagHeader and TagBody are a response's, too.
const (
	TagKind        = 1
	TagRequestID   = 2
	TagAttempt     = 3
	TagDeadline    = 4
	TagProgram     = 5
	TagNode        = 6
	TagAccount     = 7
	TagSeed        = 8
	TagTime        = 9
	TagMethod      = 16
	TagPath        = 17
	TagQuery       = 18
	TagHeader      = 19
	TagBody        = 20
	TagBodyFollows = 21
	TagRoot        = 22
	TagClient      = 23
	TagEventID     = 24
	TagDetail      = 25
	TagVariable    = 32
	TagFile        = 33
	TagEntrypoint  = 34
	TagMemoryLimit = 35
)

// Tags of a response frame.
const (
	TagStatus       = 1
	TagErrorCode    = 64
	TagErrorMessage = 65
	TagErrorStack   = 66
)

// Tags of operations' requests and results.
const (
	TagOpStatus      = 1
	TagOpMessage     = 2
	TagKey           = 80
	TagValue         = 81
	TagValueKind     = 82
	TagTTL           = 83
	TagLimit         = 84
	TagCursor        = 85
	TagDelta         = 86
	TagExpected      = 87
	TagExpectedKind  = 88
	TagFlag          = 89 // swapped, existed
	TagEntry         = 90
	TagDuration      = 96
	TagURL           = 110
	TagStream        = 112
	TagMore          = 113
	TagRedirects     = 114
	TagHTTPStatus    = 115
	TagEnd           = 116
	EntryKindDeleted = 3
)

// Operations.
const (
	OpSleep          = 1
	OpFetch          = 2
	OpFetchRead      = 3
	OpFetchWrite     = 4
	OpFetchClose     = 5
	OpBodyRead       = 6
	OpReplyStart     = 7
	OpReplyWrite     = 8
	OpStoreGet       = 16
	OpStoreSet       = 17
	OpStoreDelete    = 18
	OpStoreList      = 19
	OpStoreIncrement = 20
	OpStoreSwap      = 21
	OpStoreWatch     = 22
)

// Statuses of an operation's result.
const (
	OpOK              = 0
	OpInvalidArgument = 1
	OpNotACounter     = 2
	OpQuotaExceeded   = 3
	OpValueTooLarge   = 4
	OpUnavailable     = 5
	OpUnknown         = 6
	OpNetwork         = 7
	OpForbidden       = 8
	OpTimeout         = 9
	OpClosed          = 10
)

// Error codes of a guest's response.
const (
	GuestException     = 1
	GuestInvalidReply  = 2
	GuestSyntaxError   = 3
	GuestNoHandler     = 4
	GuestLoadException = 5
	GuestOutOfMemory   = 6
)

// Limits of what a guest may have outstanding.
const (
	MaxOperations     = 256
	MaxOperationBytes = 16 << 20
)
