package wasi

// Numbers of the standard.

// errno is how a call ended. Zero is success.
type errno uint16

const (
	eAGAIN       errno = 6
	eBADF        errno = 8
	eBUSY        errno = 10
	eEXIST       errno = 20
	eFAULT       errno = 21
	eFBIG        errno = 22
	eILSEQ       errno = 25
	eINVAL       errno = 28
	eIO          errno = 29
	eISDIR       errno = 31
	eLOOP        errno = 32
	eMFILE       errno = 33
	eNAMETOOLONG errno = 37
	eNOENT       errno = 44
	eNOSPC       errno = 51
	eNOSYS       errno = 52
	eNOTDIR      errno = 54
	eNOTEMPTY    errno = 55
	eNOTSOCK     errno = 57
	eNOTSUP      errno = 58
	ePERM        errno = 63
	ePIPE        errno = 64
	eROFS        errno = 69
	eSPIPE       errno = 70
	eXDEV        errno = 75
	eNOTCAPABLE  errno = 76
)

// filetype is what a descriptor or a directory's entry is.
type filetype uint8

const (
	unknown         filetype = 0
	characterDevice filetype = 2
	directory       filetype = 3
	regularFile     filetype = 4
	symbolicLink    filetype = 7
)

// rights are what a descriptor may be used for.
type rights uint64

const (
	rightFdDatasync rights = 1 << iota
	rightFdRead
	rightFdSeek
	rightFdFdstatSetFlags
	rightFdSync
	rightFdTell
	rightFdWrite
	rightFdAdvise
	rightFdAllocate
	rightPathCreateDirectory
	rightPathCreateFile
	rightPathLinkSource
	rightPathLinkTarget
	rightPathOpen
	rightFdReaddir
	rightPathReadlink
	rightPathRenameSource
	rightPathRenameTarget
	rightPathFilestatGet
	rightPathFilestatSetSize
	rightPathFilestatSetTimes
	rightFdFilestatGet
	rightFdFilestatSetSize
	rightFdFilestatSetTimes
	rightPathSymlink
	rightPathRemoveDirectory
	rightPathUnlinkFile
	rightPollFdReadwrite

	allRights = rightPollFdReadwrite<<1 - 1

	fileRights = rightFdDatasync | rightFdRead | rightFdSeek | rightFdFdstatSetFlags | rightFdSync | rightFdTell | rightFdWrite |
		rightFdAdvise | rightFdAllocate | rightFdFilestatGet | rightFdFilestatSetSize | rightFdFilestatSetTimes | rightPollFdReadwrite
	writeRights     = rightFdDatasync | rightFdWrite | rightFdAllocate | rightFdFilestatSetSize
	directoryRights = allRights &^ (rightFdRead | rightFdSeek | rightFdTell | rightFdWrite | rightFdAdvise | rightFdAllocate | rightFdFilestatSetSize | rightPollFdReadwrite)
)

// Flags of descriptors, path_open, lookups, times and subscriptions.
const (
	fdAppend  = 1 << 0
	fdFlagAll = 1<<5 - 1

	openCreate    = 1 << 0
	openDirectory = 1 << 1
	openExclusive = 1 << 2
	openTruncate  = 1 << 3
	openFlagAll   = 1<<4 - 1

	followSymlink = 1 << 0

	setAccess      = 1 << 0
	setAccessNow   = 1 << 1
	setModified    = 1 << 2
	setModifiedNow = 1 << 3

	absoluteTime = 1 << 0
)

// Limits of a process.
const (
	tmpQuota       = 16 << 20 // bytes of /tmp
	nodeCost       = 512      // bytes of it that a file or directory counts for, beside its content and name
	contentUnit    = 4096     // bytes in which content counts
	descriptorMost = 1024
	pathMost       = 4096 // bytes; Linux's PATH_MAX
	nameMost       = 255  // bytes of one part of a path
	linksMost      = 40   // symbolic links followed for one path, as on Linux
	vectorsMost    = 1024 // buffers of one read or write; Linux's IOV_MAX
	transferMost   = 16 << 20
	pollMost       = 4096 // subscriptions
)
