package wasi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// TestErrors has, for each function, every errno that it can answer with, each in a fresh process with a file and a folder in
// /tmp: fd 4 is /tmp/f, fd 5 /tmp/d, fd 6 /tmp/f for reading only, fd 7 /data.txt, fd 8 /tmp/d without any right.
func TestErrors(t *testing.T) {
	r := newRig(t)
	const f, d, readOnly, bundled, powerless, none = 4, 5, 6, 7, 8, 99
	long := strings.Repeat("n", nameMost+1)
	for _, test := range []struct {
		function wasm.Function
		args     []any
		want     errno
	}{
		{wasm.ArgsGet, []any{0, 64}, 0},
		{wasm.ArgsGet, []any{0, outside}, eFAULT},
		{wasm.ArgsGet, []any{outside, 0}, eFAULT},
		{wasm.ArgsSizesGet, []any{0, 4}, 0},
		{wasm.ArgsSizesGet, []any{outside, 0}, eFAULT},
		{wasm.EnvironGet, []any{0, 64}, 0},
		{wasm.EnvironGet, []any{0, outside}, eFAULT},
		{wasm.EnvironSizesGet, []any{0, 4}, 0},
		{wasm.EnvironSizesGet, []any{0, outside}, eFAULT},
		{wasm.FdAdvise, []any{f, 0, 10, 5}, 0},
		{wasm.FdAdvise, []any{f, 0, 10, 6}, eINVAL},
		{wasm.FdAdvise, []any{d, 0, 10, 0}, eNOTCAPABLE},
		{wasm.FdAdvise, []any{none, 0, 10, 0}, eBADF},
		{wasm.FdAllocate, []any{f, 0, 10}, 0},
		{wasm.FdAllocate, []any{f, 0, 0}, eINVAL},
		{wasm.FdAllocate, []any{f, uint64(1 << 63), 1}, eINVAL},
		{wasm.FdAllocate, []any{f, uint64(1<<63 - 1), 10}, eFBIG},
		{wasm.FdAllocate, []any{f, 0, tmpQuota + 1}, eNOSPC},
		{wasm.FdAllocate, []any{f, 0, tmpQuota}, eNOSPC}, // the file itself counts, too
		{wasm.FdAllocate, []any{readOnly, 0, 10}, eNOTCAPABLE},
		{wasm.FdAllocate, []any{1, 0, 10}, eNOTCAPABLE},
		{wasm.FdAllocate, []any{none, 0, 10}, eBADF},
		{wasm.FdClose, []any{f}, 0},
		{wasm.FdClose, []any{0}, 0},
		{wasm.FdClose, []any{none}, eBADF},
		{wasm.FdClose, []any{uint64(1<<32 - 1)}, eBADF},
		{wasm.FdDatasync, []any{f}, 0},
		{wasm.FdDatasync, []any{readOnly}, eNOTCAPABLE},
		{wasm.FdDatasync, []any{none}, eBADF},
		{wasm.FdSync, []any{f}, 0},
		{wasm.FdSync, []any{powerless}, eNOTCAPABLE},
		{wasm.FdSync, []any{none}, eBADF},
		{wasm.FdFdstatGet, []any{f, 0}, 0},
		{wasm.FdFdstatGet, []any{1, 0}, 0},
		{wasm.FdFdstatGet, []any{f, outside}, eFAULT},
		{wasm.FdFdstatGet, []any{none, 0}, eBADF},
		{wasm.FdFdstatSetFlags, []any{f, fdAppend}, 0},
		{wasm.FdFdstatSetFlags, []any{f, 32}, eINVAL},
		{wasm.FdFdstatSetFlags, []any{1, 4}, eNOTSUP},
		{wasm.FdFdstatSetFlags, []any{powerless, 0}, eNOTCAPABLE},
		{wasm.FdFdstatSetFlags, []any{none, 0}, eBADF},
		{wasm.FdFdstatSetRights, []any{f, rightFdRead, rights(0)}, 0},
		{wasm.FdFdstatSetRights, []any{readOnly, rightFdWrite, rights(0)}, eNOTCAPABLE},
		{wasm.FdFdstatSetRights, []any{powerless, rights(0), rightFdRead}, eNOTCAPABLE},
		{wasm.FdFdstatSetRights, []any{none, rights(0), rights(0)}, eBADF},
		{wasm.FdFilestatGet, []any{f, 0}, 0},
		{wasm.FdFilestatGet, []any{0, 0}, 0},
		{wasm.FdFilestatGet, []any{preopen, 0}, 0},
		{wasm.FdFilestatGet, []any{f, outside}, eFAULT},
		{wasm.FdFilestatGet, []any{powerless, 0}, eNOTCAPABLE},
		{wasm.FdFilestatGet, []any{none, 0}, eBADF},
		{wasm.FdFilestatSetSize, []any{f, 100}, 0},
		{wasm.FdFilestatSetSize, []any{f, tmpQuota + 1}, eNOSPC},
		{wasm.FdFilestatSetSize, []any{f, uint64(1<<64 - 1)}, eNOSPC},
		{wasm.FdFilestatSetSize, []any{bundled, 0}, eNOTCAPABLE},
		{wasm.FdFilestatSetSize, []any{d, 0}, eNOTCAPABLE},
		{wasm.FdFilestatSetSize, []any{none, 0}, eBADF},
		{wasm.FdFilestatSetTimes, []any{f, 1, 2, setAccess | setModified}, 0},
		{wasm.FdFilestatSetTimes, []any{f, 1, 2, setAccess | setAccessNow}, eINVAL},
		{wasm.FdFilestatSetTimes, []any{f, 1, 2, setModified | setModifiedNow}, eINVAL},
		{wasm.FdFilestatSetTimes, []any{f, 1, 2, 16}, eINVAL},
		{wasm.FdFilestatSetTimes, []any{bundled, 1, 2, setAccess}, eROFS},
		{wasm.FdFilestatSetTimes, []any{powerless, 1, 2, setAccess}, eNOTCAPABLE},
		{wasm.FdFilestatSetTimes, []any{none, 1, 2, setAccess}, eBADF},
		{wasm.FdPread, []any{f, vectors{"xx"}, 0, 0}, 0},
		{wasm.FdPread, []any{f, vectors{"xx"}, 0, outside}, eFAULT},
		{wasm.FdPread, []any{0, vectors{"xx"}, 0, 0}, eSPIPE},
		{wasm.FdPread, []any{d, vectors{"xx"}, 0, 0}, eISDIR},
		{wasm.FdPread, []any{none, vectors{"xx"}, 0, 0}, eBADF},
		{wasm.FdPwrite, []any{f, vectors{"xx"}, 0, 0}, 0},
		{wasm.FdPwrite, []any{f, vectors{"xx"}, uint64(1<<63 - 1), 0}, eFBIG},
		{wasm.FdPwrite, []any{f, vectors{"xx"}, uint64(1<<64 - 1), 0}, eFBIG},
		{wasm.FdPwrite, []any{f, vectors{"xx"}, tmpQuota, 0}, eNOSPC},
		{wasm.FdPwrite, []any{readOnly, vectors{"xx"}, 0, 0}, eBADF},
		{wasm.FdPwrite, []any{2, vectors{"xx"}, 0, 0}, eSPIPE},
		{wasm.FdPwrite, []any{none, vectors{"xx"}, 0, 0}, eBADF},
		{wasm.FdPrestatGet, []any{preopen, 0}, 0},
		{wasm.FdPrestatGet, []any{preopen, outside}, eFAULT},
		{wasm.FdPrestatGet, []any{f, 0}, eBADF},
		{wasm.FdPrestatGet, []any{none, 0}, eBADF},
		{wasm.FdPrestatDirName, []any{preopen, 0, 1}, 0},
		{wasm.FdPrestatDirName, []any{preopen, 0, 0}, eNAMETOOLONG},
		{wasm.FdPrestatDirName, []any{preopen, memorySize, 1}, eFAULT},
		{wasm.FdPrestatDirName, []any{d, 0, 1}, eBADF},
		{wasm.FdPrestatDirName, []any{none, 0, 1}, eBADF},
		{wasm.FdRead, []any{f, vectors{"xx", "yy"}, 0}, 0},
		{wasm.FdRead, []any{0, vectors{"xx"}, 0}, 0},
		{wasm.FdRead, []any{f, memorySize - 4, 1, 0}, eFAULT},
		{wasm.FdRead, []any{f, 0, vectorsMost + 1, 0}, eINVAL},
		{wasm.FdRead, []any{f, vectors{"xx"}, outside}, eFAULT},
		{wasm.FdRead, []any{d, vectors{"xx"}, 0}, eISDIR},
		{wasm.FdRead, []any{1, vectors{"xx"}, 0}, eBADF},
		{wasm.FdRead, []any{none, vectors{"xx"}, 0}, eBADF},
		{wasm.FdReaddir, []any{d, scratch, 100, 0, 0}, 0},
		{wasm.FdReaddir, []any{preopen, scratch, 0, 0, 0}, 0},
		{wasm.FdReaddir, []any{d, scratch, 100, uint64(1<<64 - 1), 0}, 0},
		{wasm.FdReaddir, []any{d, memorySize - 10, 100, 0, 0}, eFAULT},
		{wasm.FdReaddir, []any{d, scratch, 100, 0, outside}, eFAULT},
		{wasm.FdReaddir, []any{f, scratch, 100, 0, 0}, eNOTDIR},
		{wasm.FdReaddir, []any{powerless, scratch, 100, 0, 0}, eNOTCAPABLE},
		{wasm.FdReaddir, []any{none, scratch, 100, 0, 0}, eBADF},
		{wasm.FdRenumber, []any{f, d}, 0},
		{wasm.FdRenumber, []any{f, f}, 0},
		{wasm.FdRenumber, []any{f, 1}, 0},
		{wasm.FdRenumber, []any{1, f}, eNOTSUP},
		{wasm.FdRenumber, []any{f, none}, eBADF},
		{wasm.FdRenumber, []any{none, f}, eBADF},
		{wasm.FdSeek, []any{f, 3, 0, 0}, 0},
		{wasm.FdSeek, []any{f, 3, 3, 0}, eINVAL},
		{wasm.FdSeek, []any{f, uint64(1<<64 - 5), 1, 0}, eINVAL},
		{wasm.FdSeek, []any{f, 3, 0, outside}, eFAULT},
		{wasm.FdSeek, []any{1, 3, 0, 0}, eSPIPE},
		{wasm.FdSeek, []any{d, 3, 0, 0}, eNOTCAPABLE},
		{wasm.FdSeek, []any{none, 3, 0, 0}, eBADF},
		{wasm.FdTell, []any{f, 0}, 0},
		{wasm.FdTell, []any{f, outside}, eFAULT},
		{wasm.FdTell, []any{2, 0}, eSPIPE},
		{wasm.FdTell, []any{none, 0}, eBADF},
		{wasm.FdWrite, []any{f, vectors{"xx"}, 0}, 0},
		{wasm.FdWrite, []any{readOnly, vectors{"xx"}, 0}, eBADF},
		{wasm.FdWrite, []any{d, vectors{"xx"}, 0}, eISDIR},
		{wasm.FdWrite, []any{f, 0, vectorsMost + 1, 0}, eINVAL},
		{wasm.FdWrite, []any{f, memorySize - 4, 1, 0}, eFAULT},
		{wasm.FdWrite, []any{0, vectors{"xx"}, 0}, eBADF},
		{wasm.FdWrite, []any{none, vectors{"xx"}, 0}, eBADF},
		{wasm.PathCreateDirectory, []any{preopen, "tmp/new"}, 0},
		{wasm.PathCreateDirectory, []any{preopen, "tmp/new/"}, 0},
		{wasm.PathCreateDirectory, []any{preopen, "tmp/d"}, eEXIST},
		{wasm.PathCreateDirectory, []any{preopen, "."}, eEXIST},
		{wasm.PathCreateDirectory, []any{preopen, "new"}, eROFS},
		{wasm.PathCreateDirectory, []any{preopen, "tmp/no/new"}, eNOENT},
		{wasm.PathCreateDirectory, []any{preopen, "tmp/f/new"}, eNOTDIR},
		{wasm.PathCreateDirectory, []any{preopen, ""}, eNOENT},
		{wasm.PathCreateDirectory, []any{preopen, "/tmp/new"}, ePERM},
		{wasm.PathCreateDirectory, []any{preopen, "../new"}, ePERM},
		{wasm.PathCreateDirectory, []any{d, "../new"}, ePERM},
		{wasm.PathCreateDirectory, []any{preopen, "tmp/a\x00b"}, eINVAL},
		{wasm.PathCreateDirectory, []any{preopen, "tmp/\xff"}, eILSEQ},
		{wasm.PathCreateDirectory, []any{preopen, "tmp/" + long}, eNAMETOOLONG},
		{wasm.PathCreateDirectory, []any{preopen, strings.Repeat("./", pathMost)}, eNAMETOOLONG},
		{wasm.PathCreateDirectory, []any{preopen, memorySize - 2, 10}, eFAULT},
		{wasm.PathCreateDirectory, []any{f, "new"}, eNOTDIR},
		{wasm.PathCreateDirectory, []any{powerless, "new"}, eNOTCAPABLE},
		{wasm.PathCreateDirectory, []any{none, "new"}, eBADF},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/f", 0}, 0},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/f", outside}, eFAULT},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/no", 0}, eNOENT},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/dangling", 0}, eNOENT},
		{wasm.PathFilestatGet, []any{preopen, 0, "tmp/dangling", 0}, 0},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/loop", 0}, eLOOP},
		{wasm.PathFilestatGet, []any{preopen, 0, "tmp/loop", 0}, 0},
		{wasm.PathFilestatGet, []any{preopen, 0, "tmp/loop/", 0}, eLOOP},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/away", 0}, ePERM},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/absolute", 0}, 0},
		{wasm.PathFilestatGet, []any{d, 1, "absolute", 0}, ePERM},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/f/", 0}, eNOTDIR},
		{wasm.PathFilestatGet, []any{preopen, 1, "tmp/d/../f", 0}, 0},
		{wasm.PathFilestatGet, []any{powerless, 1, "x", 0}, eNOTCAPABLE},
		{wasm.PathFilestatGet, []any{none, 1, "x", 0}, eBADF},
		{wasm.PathFilestatSetTimes, []any{preopen, 1, "tmp/f", 1, 2, setAccess}, 0},
		{wasm.PathFilestatSetTimes, []any{preopen, 1, "tmp/f", 1, 2, 16}, eINVAL},
		{wasm.PathFilestatSetTimes, []any{preopen, 1, "tmp/no", 1, 2, setAccess}, eNOENT},
		{wasm.PathFilestatSetTimes, []any{preopen, 1, "data.txt", 1, 2, setAccess}, eROFS},
		{wasm.PathFilestatSetTimes, []any{powerless, 1, "f", 1, 2, setAccess}, eNOTCAPABLE},
		{wasm.PathFilestatSetTimes, []any{none, 1, "f", 1, 2, setAccess}, eBADF},
		{wasm.PathLink, []any{preopen, 0, "tmp/f", preopen, "tmp/g"}, 0},
		{wasm.PathLink, []any{preopen, 0, "tmp/f", preopen, "tmp/d"}, eEXIST},
		{wasm.PathLink, []any{preopen, 0, "tmp/f", preopen, "tmp/g/"}, eNOENT},
		{wasm.PathLink, []any{preopen, 0, "tmp/d", preopen, "tmp/g"}, ePERM},
		{wasm.PathLink, []any{preopen, 0, "tmp/no", preopen, "tmp/g"}, eNOENT},
		{wasm.PathLink, []any{preopen, 0, "tmp/f", preopen, "g"}, eROFS},
		{wasm.PathLink, []any{preopen, 0, "data.txt", preopen, "tmp/g"}, eXDEV},
		{wasm.PathLink, []any{powerless, 0, "x", preopen, "tmp/g"}, eNOTCAPABLE},
		{wasm.PathLink, []any{preopen, 0, "tmp/f", powerless, "g"}, eNOTCAPABLE},
		{wasm.PathLink, []any{none, 0, "x", preopen, "tmp/g"}, eBADF},
		{wasm.PathOpen, []any{preopen, 1, "tmp/f", 0, fileRights, fileRights, 0, 0}, 0},
		{wasm.PathOpen, []any{preopen, 1, "tmp/f", 16, fileRights, fileRights, 0, 0}, eINVAL},
		{wasm.PathOpen, []any{preopen, 2, "tmp/f", 0, fileRights, fileRights, 0, 0}, eINVAL},
		{wasm.PathOpen, []any{preopen, 1, "tmp/f", 0, fileRights, fileRights, 32, 0}, eINVAL},
		{wasm.PathOpen, []any{preopen, 1, "tmp/f", openCreate | openDirectory, fileRights, fileRights, 0, 0}, eINVAL},
		{wasm.PathOpen, []any{preopen, 1, "tmp/f", 0, fileRights, fileRights, 0, outside}, eFAULT},
		{wasm.PathOpen, []any{preopen, 1, "tmp/f", openCreate | openExclusive, fileRights, fileRights, 0, 0}, eEXIST},
		{wasm.PathOpen, []any{preopen, 1, "tmp/dangling", openCreate | openExclusive, fileRights, fileRights, 0, 0}, eEXIST},
		{wasm.PathOpen, []any{preopen, 1, "tmp/dangling", openCreate, fileRights, fileRights, 0, 0}, 0},
		{wasm.PathOpen, []any{preopen, 0, "tmp/dangling", 0, fileRights, fileRights, 0, 0}, eLOOP},
		{wasm.PathOpen, []any{preopen, 1, "tmp/f", openDirectory, rightFdReaddir, rights(0), 0, 0}, eNOTDIR},
		{wasm.PathOpen, []any{preopen, 1, "tmp/d", 0, rightFdWrite, rights(0), 0, 0}, eISDIR},
		{wasm.PathOpen, []any{preopen, 1, "tmp/d", openCreate, rightFdRead, rights(0), 0, 0}, eISDIR},
		{wasm.PathOpen, []any{preopen, 1, "tmp/new/", openCreate, rightFdRead, rights(0), 0, 0}, eISDIR},
		{wasm.PathOpen, []any{preopen, 1, "tmp/no", 0, rightFdRead, rights(0), 0, 0}, eNOENT},
		{wasm.PathOpen, []any{preopen, 1, "data.txt", 0, rightFdWrite, rights(0), 0, 0}, eROFS},
		{wasm.PathOpen, []any{preopen, 1, "data.txt", openTruncate, rightFdRead, rights(0), 0, 0}, eROFS},
		{wasm.PathOpen, []any{preopen, 1, "new", openCreate, rightFdRead, rights(0), 0, 0}, eROFS},
		{wasm.PathOpen, []any{powerless, 1, "x", 0, rightFdRead, rights(0), 0, 0}, eNOTCAPABLE},
		{wasm.PathOpen, []any{9, 1, "x", openCreate, rights(0), rights(0), 0, 0}, eNOTCAPABLE},
		{wasm.PathOpen, []any{9, 1, "../f", 0, rightFdWrite, rights(0), 0, 0}, ePERM},
		{wasm.PathOpen, []any{9, 1, "x", 0, rightFdWrite, rights(0), 0, 0}, eNOTCAPABLE},
		{wasm.PathOpen, []any{none, 1, "x", 0, rightFdRead, rights(0), 0, 0}, eBADF},
		{wasm.PathReadlink, []any{preopen, "tmp/dangling", scratch, 10, 0}, 0},
		{wasm.PathReadlink, []any{preopen, "tmp/dangling", memorySize - 2, 10, 0}, eFAULT},
		{wasm.PathReadlink, []any{preopen, "tmp/f", scratch, 10, 0}, eINVAL},
		{wasm.PathReadlink, []any{preopen, "tmp/no", scratch, 10, 0}, eNOENT},
		{wasm.PathReadlink, []any{powerless, "x", scratch, 10, 0}, eNOTCAPABLE},
		{wasm.PathReadlink, []any{none, "x", scratch, 10, 0}, eBADF},
		{wasm.PathRemoveDirectory, []any{preopen, "tmp/empty"}, 0},
		{wasm.PathRemoveDirectory, []any{preopen, "tmp/empty/"}, 0},
		{wasm.PathRemoveDirectory, []any{preopen, "tmp/d"}, eNOTEMPTY},
		{wasm.PathRemoveDirectory, []any{preopen, "tmp/f"}, eNOTDIR},
		{wasm.PathRemoveDirectory, []any{preopen, "tmp/no"}, eNOENT},
		{wasm.PathRemoveDirectory, []any{preopen, "tmp/empty/."}, eINVAL},
		{wasm.PathRemoveDirectory, []any{preopen, "tmp"}, eROFS},
		{wasm.PathRemoveDirectory, []any{preopen, "folder"}, eROFS},
		{wasm.PathRemoveDirectory, []any{powerless, "x"}, eNOTCAPABLE},
		{wasm.PathRemoveDirectory, []any{none, "x"}, eBADF},
		{wasm.PathRename, []any{preopen, "tmp/f", preopen, "tmp/d/g"}, 0},
		{wasm.PathRename, []any{preopen, "tmp/f", preopen, "tmp/f"}, 0},
		{wasm.PathRename, []any{preopen, "tmp/d", preopen, "tmp/empty"}, 0},
		{wasm.PathRename, []any{preopen, "tmp/empty", preopen, "tmp/d"}, eNOTEMPTY},
		{wasm.PathRename, []any{preopen, "tmp/f", preopen, "tmp/d"}, eISDIR},
		{wasm.PathRename, []any{preopen, "tmp/d", preopen, "tmp/f"}, eNOTDIR},
		{wasm.PathRename, []any{preopen, "tmp/d", preopen, "tmp/d/x"}, eINVAL},
		{wasm.PathRename, []any{preopen, "tmp/f", preopen, "tmp/g/"}, eNOTDIR},
		{wasm.PathRename, []any{preopen, "tmp/no", preopen, "tmp/g"}, eNOENT},
		{wasm.PathRename, []any{preopen, "tmp/f", preopen, "g"}, eROFS},
		{wasm.PathRename, []any{preopen, "data.txt", preopen, "tmp/g"}, eROFS},
		{wasm.PathRename, []any{preopen, "tmp/.", preopen, "tmp/g"}, eINVAL},
		{wasm.PathRename, []any{powerless, "x", preopen, "tmp/g"}, eNOTCAPABLE},
		{wasm.PathRename, []any{preopen, "tmp/f", powerless, "g"}, eNOTCAPABLE},
		{wasm.PathRename, []any{none, "x", preopen, "tmp/g"}, eBADF},
		{wasm.PathSymlink, []any{"f", preopen, "tmp/s"}, 0},
		{wasm.PathSymlink, []any{"f", preopen, "tmp/f"}, eEXIST},
		{wasm.PathSymlink, []any{"f", preopen, "tmp/s/"}, eNOENT},
		{wasm.PathSymlink, []any{"", preopen, "tmp/s"}, eNOENT},
		{wasm.PathSymlink, []any{"a\x00", preopen, "tmp/s"}, eINVAL},
		{wasm.PathSymlink, []any{"\xff", preopen, "tmp/s"}, eILSEQ},
		{wasm.PathSymlink, []any{strings.Repeat("x", pathMost+1), preopen, "tmp/s"}, eNAMETOOLONG},
		{wasm.PathSymlink, []any{"f", preopen, "s"}, eROFS},
		{wasm.PathSymlink, []any{memorySize - 2, 10, preopen, "tmp/s"}, eFAULT},
		{wasm.PathSymlink, []any{"f", powerless, "s"}, eNOTCAPABLE},
		{wasm.PathSymlink, []any{"f", none, "s"}, eBADF},
		{wasm.PathUnlinkFile, []any{preopen, "tmp/f"}, 0},
		{wasm.PathUnlinkFile, []any{preopen, "tmp/dangling"}, 0},
		{wasm.PathUnlinkFile, []any{preopen, "tmp/f/"}, eNOTDIR},
		{wasm.PathUnlinkFile, []any{preopen, "tmp/d"}, eISDIR},
		{wasm.PathUnlinkFile, []any{preopen, "tmp/no"}, eNOENT},
		{wasm.PathUnlinkFile, []any{preopen, "data.txt"}, eROFS},
		{wasm.PathUnlinkFile, []any{powerless, "x"}, eNOTCAPABLE},
		{wasm.PathUnlinkFile, []any{none, "x"}, eBADF},
		{wasm.PollOneoff, []any{scratch, 0, 0, 0}, eINVAL},
		{wasm.PollOneoff, []any{scratch, 0, pollMost + 1, 0}, eINVAL},
		{wasm.PollOneoff, []any{memorySize - 40, 0, 1, 0}, eFAULT},
		{wasm.PollOneoff, []any{scratch, memorySize - 30, 1, 0}, eFAULT},
		{wasm.PollOneoff, []any{scratch, 0, 1, outside}, eFAULT},
		{wasm.SockAccept, []any{f, 0, 0}, eNOTSOCK},
		{wasm.SockAccept, []any{none, 0, 0}, eBADF},
		{wasm.SockRecv, []any{f, vectors{"x"}, 0, 0, 0}, eNOTSOCK},
		{wasm.SockRecv, []any{none, vectors{"x"}, 0, 0, 0}, eBADF},
		{wasm.SockSend, []any{f, vectors{"x"}, 0, 0}, eNOTSOCK},
		{wasm.SockSend, []any{none, vectors{"x"}, 0, 0}, eBADF},
		{wasm.SockShutdown, []any{f, 0}, eNOTSOCK},
		{wasm.SockShutdown, []any{none, 0}, eBADF},
	} {
		r.fresh()
		r.write("tmp/f", "content")
		r.must(wasm.PathCreateDirectory, preopen, "tmp/d")
		r.must(wasm.PathCreateDirectory, preopen, "tmp/empty")
		r.write("tmp/d/x", "")
		for link, target := range map[string]string{"dangling": "nothing", "loop": "loop", "away": "../../etc", "absolute": "/tmp/f", "d/absolute": "/tmp/f"} {
			r.must(wasm.PathSymlink, target, preopen, "tmp/"+link)
		}
		r.open("tmp/f", 0)
		r.open("tmp/d", openDirectory)
		r.openFor("tmp/f", 0, fileRights&^writeRights)
		r.openFor("data.txt", 0, allRights&^rightFdWrite)
		r.must(wasm.PathOpen, preopen, 0, "tmp/d", openDirectory, rights(0), rights(0), 0, 0)
		r.must(wasm.PathOpen, preopen, 0, "tmp/d", openDirectory, rightPathOpen, rightFdRead, 0, 0)
		if got := r.call(test.function, test.args...); got != test.want {
			t.Errorf("%v%.60v: errno %d, want %d", test.function, test.args, got, test.want)
		}
	}
}

// TestFiles goes through a file's life.
func TestFiles(t *testing.T) {
	r := newRig(t)
	if got := r.read("data.txt") + r.read("app/data.txt") + r.read("folder/../folder/./inner.txt"); got != "from the bundlefrom the bundleinner" {
		t.Errorf("read %q", got)
	}
	r.write("tmp/a", "0123456789")
	fd := r.open("tmp/a", 0)
	r.must(wasm.FdSeek, fd, uint64(1<<64-3), 2, 0)
	r.must(wasm.FdRead, fd, vectors{"..", ".."}, 0)
	if got := r.text(scratch, 2) + r.text(scratch+8, 1); r.u32(0) != 3 || got != "789" {
		t.Errorf("read %d, %q", r.u32(0), got)
	}
	r.must(wasm.FdTell, fd, 0)
	if r.u64(0) != 10 {
		t.Errorf("at %d", r.u64(0))
	}
	r.must(wasm.FdSeek, fd, 2, 0, 0)
	r.must(wasm.FdFdstatSetFlags, fd, fdAppend)
	r.must(wasm.FdWrite, fd, vectors{"AB", "", "CD"}, 0)
	r.must(wasm.FdPwrite, fd, vectors{"__"}, 1, 0)
	if got := r.read("tmp/a"); got != "0__3456789ABCD" {
		t.Errorf("holds %q", got)
	}
	r.must(wasm.FdFilestatSetSize, fd, 4)
	r.must(wasm.FdFilestatSetSize, fd, 6)
	r.must(wasm.FdAllocate, fd, 0, 5)
	if got := r.read("tmp/a"); got != "0__3\x00\x00" {
		t.Errorf("holds %q after it was cut and grew", got)
	}
	r.must(wasm.FdFilestatSetTimes, fd, 111, 222, setAccess|setModified)
	r.must(wasm.FdFilestatGet, fd, 0)
	if r.u64(16) != uint64(regularFile) || r.u64(24) != 1 || r.u64(32) != 6 || r.u64(40) != 111 || r.u64(48) != 222 {
		t.Errorf("stat is %x", r.text(0, 64))
	}
	before := uint64(time.Now().UnixNano())
	r.must(wasm.PathFilestatSetTimes, preopen, 0, "tmp/a", 0, 0, setModifiedNow)
	r.must(wasm.PathFilestatGet, preopen, 0, "tmp/a", 0)
	if r.u64(40) != 111 || r.u64(48) < before {
		t.Errorf("times are %d and %d", r.u64(40), r.u64(48))
	}

	r.must(wasm.PathUnlinkFile, preopen, "tmp/a") // who has it open keeps it
	r.must(wasm.FdPread, fd, vectors{"...."}, 0, 0)
	if got := r.text(scratch, 4); got != "0__3" {
		t.Errorf("read %q from a removed file", got)
	}
	r.must(wasm.FdClose, fd)
	if r.process.used != 0 {
		t.Errorf("%d bytes are in use", r.process.used)
	}
	r.write("tmp/a", "one")
	r.write("tmp/b", "two")
	r.must(wasm.PathRename, preopen, "tmp/a", preopen, "tmp/b")
	if got := r.read("tmp/b"); got != "one" {
		t.Errorf("holds %q after the rename", got)
	}
	r.must(wasm.PathLink, preopen, 0, "tmp/b", preopen, "tmp/c")
	r.must(wasm.PathUnlinkFile, preopen, "tmp/b")
	if got := r.read("tmp/c"); got != "one" {
		t.Errorf("holds %q under its other name", got)
	}
	r.must(wasm.PathUnlinkFile, preopen, "tmp/c")
	if r.process.used != 0 {
		t.Errorf("%d bytes are in use", r.process.used)
	}
}

// TestRights: a descriptor gives away no more than it has, and can lose what it has.
func TestRights(t *testing.T) {
	r := newRig(t)
	r.write("tmp/f", "x")
	fd := r.open("tmp/f", 0)
	r.must(wasm.FdFdstatGet, fd, 0)
	if got := rights(r.u64(8)); got != fileRights {
		t.Errorf("a file has %x", got)
	}
	r.must(wasm.FdFdstatSetRights, fd, rightFdRead, rights(0))
	if e := r.call(wasm.FdWrite, fd, vectors{"x"}, 0); e != eBADF {
		t.Errorf("write without the right: %d", e)
	}
	if e := r.call(wasm.FdFilestatGet, fd, 0); e != eNOTCAPABLE {
		t.Errorf("stat without the right: %d", e)
	}
	r.must(wasm.PathOpen, preopen, 0, "tmp", openDirectory, rightPathOpen|rightFdReaddir, rightFdRead, 0, 0)
	d := int(r.u32(0))
	if e := r.call(wasm.PathOpen, d, 0, "f", 0, rightFdRead|rightFdWrite, rights(0), 0, 0); e != eNOTCAPABLE {
		t.Errorf("a right that is not inherited: %d", e)
	}
	r.must(wasm.PathOpen, d, 0, "f", 0, rightFdRead, rights(0), 0, 0)
}

// TestDirectories: a walk in small parts sees each entry once, in the order they were made.
func TestDirectories(t *testing.T) {
	r := newRig(t)
	want := []string{".", ".."}
	for i := range 200 {
		name := fmt.Sprintf("file-%03d-%s", i, strings.Repeat("x", i))
		r.write("tmp/"+name, "")
		want = append(want, name)
	}
	for _, size := range []int{300, 1000, 1 << 16} {
		if got := r.names("tmp", size); !slices.Equal(got, want) {
			t.Errorf("in parts of %d: %d names, want %d", size, len(got), len(want))
		}
	}
	for _, name := range want[2:] {
		r.must(wasm.PathUnlinkFile, preopen, "tmp/"+name)
	}
	if got := r.names("tmp", 300); !slices.Equal(got, want[:2]) {
		t.Errorf("%d names are left", len(got))
	}
	if got, want := r.names(".", 300), []string{".", "..", "tmp", "data.txt", "folder", "app"}; !slices.Equal(got, want) {
		t.Errorf("the root has %q", got)
	}
	d := r.open("tmp", openDirectory)
	r.must(wasm.PathCreateDirectory, d, "gone")
	gone := r.open("tmp/gone", openDirectory)
	r.must(wasm.PathRemoveDirectory, d, "gone")
	if e := r.call(wasm.PathCreateDirectory, gone, "x"); e != eNOENT {
		t.Errorf("in a removed directory: %d", e)
	}
}

// TestQuota: whatever fills /tmp, it ends at the quota, and what is removed is there again.
func TestQuota(t *testing.T) {
	r := newRig(t)
	fill := map[string]func(i int) errno{
		"content": func(i int) errno {
			fd := r.open("tmp/f", openCreate)
			defer r.call(wasm.FdClose, fd)
			return r.call(wasm.FdPwrite, fd, vectors{strings.Repeat("x", 1<<19)}, i<<19, 0)
		},
		"files": func(i int) errno {
			return r.call(wasm.PathCreateDirectory, preopen, fmt.Sprintf("tmp/%0200d", i))
		},
		"links": func(i int) errno {
			return r.call(wasm.PathSymlink, strings.Repeat("x", pathMost), preopen, fmt.Sprintf("tmp/%d", i))
		},
	}
	for name, one := range fill {
		r.fresh()
		n := 0
		for one(n) == 0 {
			if n++; n > tmpQuota/nodeCost {
				t.Fatalf("%s: no end after %d", name, n)
			}
		}
		if e := one(n); e != eNOSPC {
			t.Errorf("%s: errno %d", name, e)
		}
		if r.process.used > tmpQuota || r.process.used < tmpQuota-1<<20 {
			t.Errorf("%s: %d bytes in use", name, r.process.used)
		}
	}
	r.fresh()
	fd := r.open("tmp/f", openCreate)
	r.must(wasm.FdAllocate, fd, 0, tmpQuota-nodeCost-contentUnit)
	r.must(wasm.FdClose, fd)
	r.must(wasm.PathUnlinkFile, preopen, "tmp/f")
	if r.process.used != 0 {
		t.Errorf("%d bytes in use", r.process.used)
	}
}

func TestDescriptors(t *testing.T) {
	r := newRig(t)
	r.write("tmp/f", "")
	n := 0
	for ; r.call(wasm.PathOpen, preopen, 0, "tmp/f", 0, rightFdRead, rights(0), 0, 0) == 0; n++ {
	}
	if e := r.call(wasm.PathOpen, preopen, 0, "tmp/new", openCreate, rightFdRead, rights(0), 0, 0); n != descriptorMost-4 || e != eMFILE {
		t.Errorf("%d descriptors, errno %d", n, e)
	}
	if e := r.call(wasm.PathFilestatGet, preopen, 0, "tmp/new", 0); e != eNOENT {
		t.Errorf("a file was made that could not be opened: %d", e)
	}
	r.must(wasm.FdClose, 100)
	r.must(wasm.PathOpen, preopen, 0, "data.txt", 0, rightFdRead, rights(0), 0, 0)
	if got := r.u32(0); got != 100 {
		t.Errorf("opened as %d", got)
	}
	r.must(wasm.FdRenumber, 100, 1)
	r.must(wasm.FdRead, 1, vectors{"...."}, 0)
	if got := r.text(scratch, 4); got != "from" {
		t.Errorf("read %q", got)
	}
}

// TestLeft: what an image cannot hold is named.
func TestLeft(t *testing.T) {
	for want, do := range map[string]func(*rig){
		"": func(r *rig) {
			r.write("tmp/f", "")
			r.read("data.txt")
			r.must(wasm.PathUnlinkFile, preopen, "tmp/f")
		},
		"leaves a file open":           func(r *rig) { r.openFor("data.txt", 0, rightFdRead) },
		"leaves files in /tmp (f)":     func(r *rig) { r.write("tmp/f", "") },
		"closes a standard descriptor": func(r *rig) { r.must(wasm.FdClose, 2) },
	} {
		t.Run(want, func(t *testing.T) {
			r := newRig(t)
			do(r)
			if got := r.process.Left(); got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestStrings(t *testing.T) {
	r := newRig(t)
	r.must(wasm.ArgsSizesGet, 0, 4)
	r.must(wasm.ArgsGet, 8, 64)
	if r.u32(0) != 2 || r.u32(4) != 15 || r.u32(8) != 64 || r.u32(12) != 75 || r.text(64, 15) != "guest.wasm\x00two\x00" {
		t.Errorf("arguments are %d, %d, %q", r.u32(0), r.u32(4), r.text(64, 15))
	}
	r.must(wasm.EnvironSizesGet, 0, 4)
	r.must(wasm.EnvironGet, 8, 64)
	if r.u32(0) != 2 || r.u32(4) != 17 || r.text(64, 17) != "A=1\x00LONG=a value\x00" {
		t.Errorf("variables are %d, %d, %q", r.u32(0), r.u32(4), r.text(64, 17))
	}
}

// TestMissingFiles: where the program's files cannot be had, all that needs them says so.
func TestMissingFiles(t *testing.T) {
	r := newRig(t)
	r.process = newProcess(&Program{Files: func() ([]File, error) { return nil, errors.New("gone") }})
	if e := r.call(wasm.PathFilestatGet, preopen, 0, "tmp", 0); e != eIO {
		t.Errorf("errno %d", e)
	}
	r.must(wasm.FdPrestatGet, preopen, 0) // does not
}
