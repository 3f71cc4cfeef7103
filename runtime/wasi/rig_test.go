package wasi

import (
	"encoding/binary"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig makes calls as a guest does, of a process over a real slot's memory. Addresses below scratch are the test's own; what
// it puts into the memory for a call comes behind.
type rig struct {
	testing.TB
	slot    *wasm.Slot
	process *process
	at      uint64
}

const (
	memorySize = 1 << 20
	scratch    = 0x1000
	outside    = memorySize - 3 // where no number fits any more
)

// files are those of the rig's program.
func files() ([]File, error) {
	return []File{{"data.txt", []byte("from the bundle")}, {"folder/inner.txt", []byte("inner")}, {"folder/deep/er.txt", nil}, {"tmp/hidden", nil}}, nil
}

func newRig(t testing.TB) *rig {
	t.Helper()
	engine, err := wasm.NewEngine(wasm.Config{Slots: 4})
	if err != nil {
		t.Fatal(err)
	}
	image, err := engine.MemoryImage(nil, memorySize)
	if err != nil {
		t.Fatal(err)
	}
	slot := engine.Acquire()
	if err := slot.Map(image, memorySize); err != nil {
		t.Fatal(err)
	}
	before := engine.Budget()
	t.Cleanup(func() {
		slot.Release()
		if after := engine.Budget(); after != before {
			t.Errorf("%d bytes of the budget were not given back", before-after)
		}
		if err := errors.Join(image.Close(), engine.Close()); err != nil {
			t.Error(err)
		}
	})
	r := &rig{TB: t, slot: slot}
	r.fresh()
	return r
}

// fresh begins a new process.
func (r *rig) fresh() {
	r.slot.Cancel()
	r.process = newProcess(&Program{Arguments: []string{"guest.wasm", "two"}, Variables: []string{"A=1", "LONG=a value"}, Files: files})
}

// call makes a call; arguments are numbers, strings (their address and length) and vectors (an iovec list and its length).
func (r *rig) call(f wasm.Function, args ...any) errno {
	r.at = scratch
	c := &wasm.Call{Slot: r.slot, Function: f}
	i := 0
	add := func(n uint64) {
		c.Args[i] = n
		i++
	}
	for _, a := range args {
		switch a := a.(type) {
		case int:
			add(uint64(a))
		case uint64:
			add(a)
		case rights:
			add(uint64(a))
		case string:
			at := r.put([]byte(a))
			add(at)
			add(uint64(len(a)))
		case vectors:
			var list []byte
			for _, v := range a {
				list = binary.LittleEndian.AppendUint32(list, uint32(r.put([]byte(v))))
				list = binary.LittleEndian.AppendUint32(list, uint32(len(v)))
			}
			at := r.put(list)
			add(at)
			add(uint64(len(a)))
		default:
			r.Fatalf("an argument of the type %T", a)
		}
	}
	return errno(r.process.Answer(c))
}

// vectors are buffers: what is written, or in whose place is read.
type vectors []string

func (r *rig) put(b []byte) uint64 {
	at := r.at
	copy(r.slot.Memory()[at:], b)
	r.at += uint64(len(b)+8) &^ 7
	return at
}

func (r *rig) u32(at int) uint32 { return binary.LittleEndian.Uint32(r.slot.Memory()[at:]) }
func (r *rig) u64(at int) uint64 { return binary.LittleEndian.Uint64(r.slot.Memory()[at:]) }

// text is n bytes from an address on.
func (r *rig) text(at, n int) string { return string(r.slot.Memory()[at : at+n]) }

// must makes a call that succeeds.
func (r *rig) must(f wasm.Function, args ...any) {
	r.Helper()
	if e := r.call(f, args...); e != 0 {
		r.Fatalf("%v%v: errno %d", f, args, e)
	}
}

// open opens a path for reading and writing, with the flags of path_open.
func (r *rig) open(path string, flags int) int {
	r.Helper()
	need := allRights
	if flags&openDirectory != 0 {
		need = directoryRights
	}
	return r.openFor(path, flags, need)
}

func (r *rig) openFor(path string, flags int, need rights) int {
	r.Helper()
	r.must(wasm.PathOpen, preopen, followSymlink, path, flags, need, allRights, 0, 0)
	return int(r.u32(0))
}

// write makes a file.
func (r *rig) write(path, content string) {
	r.Helper()
	fd := r.open(path, openCreate|openTruncate)
	r.must(wasm.FdWrite, fd, vectors{content}, 0)
	r.must(wasm.FdClose, fd)
}

// read reads a file.
func (r *rig) read(path string) string {
	r.Helper()
	fd := r.openFor(path, 0, fileRights&^writeRights)
	r.must(wasm.FdRead, fd, vectors{string(make([]byte, 4096))}, 0)
	content := r.text(scratch, int(r.u32(0)))
	r.must(wasm.FdClose, fd)
	return content
}

// names lists a directory, read in buffers of size bytes.
func (r *rig) names(path string, size int) (names []string) {
	r.Helper()
	fd := r.open(path, openDirectory)
	defer r.must(wasm.FdClose, fd)
	for cookie := uint64(0); ; {
		r.must(wasm.FdReaddir, fd, scratch, size, cookie, 0)
		used := int(r.u32(0))
		at := scratch
		for at+24 <= scratch+used {
			n := int(r.u32(at + 16))
			if at+24+n > scratch+used {
				break // it was cut
			}
			names = append(names, r.text(at+24, n))
			cookie = r.u64(at)
			at += 24 + n
		}
		if used < size {
			return names
		}
	}
}
