package wasi

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// FuzzPaths walks arbitrary paths from the root and from a folder of /tmp with links of every sort: what it reaches is in the tree,
// and below where it began.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{"tmp/d/../f", "../x", "tmp/up/up/f", "tmp/loop/x", "tmp/root/data.txt", "a\x00", "/abs", "tmp//.//d/", "app/app/app/tmp/f", "\xff", "tmp/d/away/../..", ""} {
		f.Add(path, "../d/e")
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, path, target string) {
		r.TB = t
		r.fresh()
		r.must(wasm.PathCreateDirectory, preopen, "tmp/d")
		r.must(wasm.PathCreateDirectory, preopen, "tmp/d/e")
		r.write("tmp/f", "")
		for link, to := range map[string]string{"up": "..", "loop": "loop/x", "root": "/", "d/away": "../../..", "d/e/back": "../e/back2", "d/e/back2": "../../up/tmp"} {
			r.must(wasm.PathSymlink, to, preopen, "tmp/"+link)
		}
		if len(target) < 4096 {
			r.call(wasm.PathSymlink, target, preopen, "tmp/given")
		}
		if len(path) > 3*pathMost {
			path = path[:3*pathMost]
		}
		p := r.process
		d := p.tmp.entries["d"]
		for _, base := range []*node{p.root, d} {
			for _, follow := range []bool{false, true} {
				at, e := p.walk(base, []byte(path), follow)
				if e != 0 {
					continue
				}
				if strings.ContainsRune(path, 0) || path == "" || path[0] == '/' {
					t.Errorf("%q leads somewhere", path)
				}
				if at.node != nil && at.name != "" && p.child(at.dir, at.name) != at.node {
					t.Errorf("%q leads to what its directory does not have", path)
				}
				above := at.dir
				for above != base && above != above.parent {
					above = above.parent
				}
				if above != base {
					t.Errorf("%q leaves where it began", path)
				}
			}
		}
	})
}

// FuzzCalls makes any calls with any arguments over any memory: they end, and what they do stays within the quota and the memory.
func FuzzCalls(f *testing.F) {
	add := func(memory string, calls ...uint32) {
		var b []byte
		for _, n := range calls {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
		f.Add([]byte(memory), b)
	}
	// function, then nine arguments, each call; the memory begins with the paths.
	add("tmp/f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00", uint32(wasm.PathOpen), 3, 1, 0, 5, 1, 0xffffff, 0xffffff, 0, 100,
		uint32(wasm.FdWrite), 4, 8, 1, 200, 0, 0, 0, 0, 0, uint32(wasm.FdPread), 4, 8, 1, 1, 200, 0, 0, 0, 0)
	add("\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x0f\x00\xff\xff\x00\x00", uint32(wasm.FdRead), 0, 0, 2, 100, 0, 0, 0, 0, 0, uint32(wasm.FdReaddir), 3, 50, 4000, 1, 100, 0, 0, 0, 0)
	r := newRig(f)
	f.Fuzz(func(t *testing.T, memory, calls []byte) {
		r.TB = t
		r.fresh()
		clear(r.slot.Memory())
		copy(r.slot.Memory(), memory)
		for n := 0; len(calls) >= 40 && n < 64; n++ {
			c := &wasm.Call{Slot: r.slot, Function: wasm.Function(binary.LittleEndian.Uint32(calls) % uint32(wasm.SockShutdown+1))}
			for i := range c.Args {
				v := binary.LittleEndian.Uint32(calls[4+4*i:])
				if c.Args[i] = uint64(v); v>>24 == 0xee { // a large one, where the function takes it
					c.Args[i] = uint64(v) << 40
				}
			}
			calls = calls[40:]
			if c.Function == wasm.PollOneoff || !argumentsFit(c) {
				continue
			}
			r.process.Answer(c)
			if r.process.used < 0 || r.process.used > tmpQuota {
				t.Fatalf("%v%v: %d bytes in use", c.Function, c.Args, r.process.used)
			}
		}
	})
}

// argumentsFit says whether the call's arguments are of 32 bits where the function's are.
func argumentsFit(c *wasm.Call) bool {
	wide := map[wasm.Function][]int{wasm.FdAdvise: {1, 2}, wasm.FdAllocate: {1, 2}, wasm.FdFdstatSetRights: {1, 2}, wasm.FdFilestatSetSize: {1},
		wasm.FdFilestatSetTimes: {1, 2}, wasm.FdPread: {3}, wasm.FdPwrite: {3}, wasm.FdReaddir: {3}, wasm.FdSeek: {1},
		wasm.PathFilestatSetTimes: {4, 5}, wasm.PathOpen: {5, 6}}
	for i, v := range c.Args {
		if v>>32 != 0 {
			fits := false
			for _, w := range wide[c.Function] {
				fits = fits || w == i
			}
			if !fits {
				return false
			}
		}
	}
	return true
}
