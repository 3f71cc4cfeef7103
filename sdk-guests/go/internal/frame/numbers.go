package frame

// Tags of the fields, by what they are in.
const (
	// Event and load.
	Kind        = 1
	RequestID   = 2
	Attempt     = 3
	Deadline    = 4
	Program     = 5
	Node        = 6
	Account     = 7
	Seed        = 8
	Time        = 9
	Method      = 16
	Path        = 17
	Query       = 18
	Header      = 19
	Body        = 20
	BodyFollows = 21
	Root        = 22
	Client      = 23
	EventID     = 24
	Detail      = 25
	MemoryLimit = 35

	// Responses.
	ResponseStatus = 1
	ErrorCode      = 64
	ErrorMessage   = 65
	ErrorStack     = 66

	// Operations.
	Status        = 1
	Message       = 2
	Key           = 80
	Value         = 81
	ValueKind     = 82
	TTL           = 83
	Limit         = 84
	Cursor        = 85
	Delta         = 86
	Expected      = 87
	ExpectedKind  = 88
	Flag          = 89
	ListEntry     = 90
	Duration      = 96
	URL           = 110
	Stream        = 112
	More          = 113
	Redirects     = 114
	HTTPStatus    = 115
	End           = 116
	MostBodyRead  = 1 << 20
	MostFetchRead = 256 << 10
)

// Operations.
const (
	Sleep         = 1
	Fetch         = 2
	FetchRead     = 3
	FetchWrite    = 4
	FetchClose    = 5
	BodyRead      = 6
	ReplyStart    = 7
	ReplyWrite    = 8
	StoreGet      = 16
	StoreSet      = 17
	StoreDelete   = 18
	StoreList     = 19
	StoreAdd      = 20
	StoreCompare  = 21
	StoreWatch    = 22
	FirstStore    = StoreGet
	LastPromptly  = StoreCompare
	KindBytes     = 0
	KindJSON      = 1
	KindCounter   = 2
	KindAbsent    = 3
	CodeException = 1
	CodeReply     = 2
	CodeNoHandler = 4
	CodeLoad      = 5
)
