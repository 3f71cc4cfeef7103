package wasi

import (
	"encoding/binary"
	"testing"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// TestPoll: subscriptions that have happened already; those that have not are waited for in host's TestCommandReplies.
func TestPoll(t *testing.T) {
	r := newRig(t)
	r.write("tmp/f", "content")
	fd := r.open("tmp/f", 0)
	r.must(wasm.FdSeek, fd, 2, 0, 0)
	clock := func(id uint32, timeout uint64, flags uint16) []byte {
		b := make([]byte, subscriptionSize)
		b[8] = pollClock
		binary.LittleEndian.PutUint32(b[16:], id)
		binary.LittleEndian.PutUint64(b[24:], timeout)
		binary.LittleEndian.PutUint16(b[40:], flags)
		return b
	}
	ready := func(kind byte, fd int) []byte {
		b := make([]byte, subscriptionSize)
		b[8] = kind
		binary.LittleEndian.PutUint32(b[16:], uint32(fd))
		return b
	}
	for name, test := range map[string]struct {
		subscription []byte
		errno        errno
		bytes        uint64
		happens      bool
	}{
		"no time":              {clock(1, 0, 0), 0, 0, true},
		"a time that was":      {clock(0, 1, absoluteTime), 0, 0, true},
		"a monotonic one":      {clock(1, 1, absoluteTime), 0, 0, true},
		"an hour":              {clock(1, 3600e9, 0), 0, 0, false},
		"the end of time":      {clock(0, 1<<64-1, absoluteTime), 0, 0, false},
		"the time on CPU":      {clock(2, 0, 0), eNOTSUP, 0, true},
		"a file to read":       {ready(pollRead, fd), 0, 5, true},
		"a file to write":      {ready(pollWrite, fd), 0, 0, true},
		"standard input":       {ready(pollRead, 0), 0, 0, true},
		"standard output":      {ready(pollWrite, 1), 0, 0, true},
		"output to read":       {ready(pollRead, 1), eBADF, 0, true},
		"no descriptor":        {ready(pollRead, 99), eBADF, 0, true},
		"what nobody heard of": {ready(7, 1), eINVAL, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			r.TB = t
			binary.LittleEndian.PutUint64(test.subscription, 77)
			always := clock(1, 0, 0)
			binary.LittleEndian.PutUint64(always, 88)
			copy(r.slot.Memory()[scratch:], append(test.subscription, always...))
			r.must(wasm.PollOneoff, scratch, scratch, 2, 0) // events over subscriptions
			want := uint32(1)
			at := scratch
			if test.happens {
				want = 2
				if r.u64(at) != 77 || errno(r.u32(at+8)&0xffff) != test.errno || r.text(at+10, 1) != string(test.subscription[8:9]) || r.u64(at+16) != test.bytes {
					t.Errorf("the event is %x", r.text(at, eventSize))
				}
				at += eventSize
			}
			if r.u32(0) != want || r.u64(at) != 88 {
				t.Errorf("%d events, the last %x", r.u32(0), r.text(at, eventSize))
			}
		})
	}
}
