package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// over is an image over base with runs [pages] of random content.
func over(t testing.TB, e *Engine, base *Image, size uint64, random *rand.Rand, runs ...[2]uint64) *Image {
	t.Helper()
	layout := Layout{Size: size, Base: base}
	var content []byte
	for _, r := range runs {
		layout.Runs = append(layout.Runs, Run{r[0] * PageSize, r[1] * PageSize, uint64(len(content))})
		content = append(content, noise(random, int(r[1]-r[0])*PageSize)...)
	}
	img, err := e.MapImage(file(t, content), layout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	})
	return img
}

func noise(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

func file(t testing.TB, content []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// striding writes a byte on every stride-th page, event_len times, from the second page on.
func striding(pages, stride int) string {
	return module(pages, fmt.Sprintf(`(func (export "aleph_handle") (param $n i32) (local $at i32)
	  (local.set $at (i32.const 4096))
	  (loop $l (i32.store8 (local.get $at) (i32.xor (i32.load8_u (local.get $at)) (i32.const 255)))
	    (local.set $at (i32.add (local.get $at) (i32.const %d)))
	    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
	  (call $respond (i32.const 0) (i32.const 1)))`, stride*PageSize))
}

// TestImageOverImage: a memory mapped from runs over a base, and one restored, is byte for byte the image, whatever was
// written: in the base, in a run, across their edges, behind both.
func TestImageOverImage(t *testing.T) {
	for _, discard := range []bool{false, true} {
		t.Run(fmt.Sprintf("discard=%v", discard), func(t *testing.T) {
			e := newEngine(t, Config{Discard: discard})
			random := rand.New(rand.NewPCG(1, 2))
			base := image(t, e, 4, noise(random, 40*PageSize))
			img := over(t, e, base, 6<<16, random, [2]uint64{0, 1}, [2]uint64{3, 8}, [2]uint64{9, 10}, [2]uint64{39, 41}, [2]uint64{60, 70}, [2]uint64{95, 96})
			want := img.Bytes()
			if !bytes.Equal(want[PageSize:3*PageSize], base.Bytes()[PageSize:3*PageSize]) || bytes.Equal(want[:PageSize], base.Bytes()[:PageSize]) {
				t.Fatal("the runs do not lie over the base")
			}
			s := slot(t, e, img, 8<<16)
			if !bytes.Equal(s.Memory(), want) {
				t.Fatal("the mapped memory is not the image")
			}
			m := load(t, e, module(6, `(func (export "aleph_handle") (param $n i32) (local $at i32) (local $len i32)
			  (loop $l (drop (call $event_read (i32.const 100) (local.get $at) (i32.const 8)))
			    (memory.fill (i32.load (i32.const 100)) (i32.const 0xEE) (i32.load (i32.const 104)))
			    (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $n)))))`))
			for round := range 200 {
				var event []byte
				writes := random.IntN(10)
				if round%4 == 3 {
					random = rand.New(rand.NewPCG(uint64(round/8), 3)) // the same pages again
					writes = 20
				}
				for range writes + 1 {
					from := random.Uint32N(6<<16 - 1)
					length := random.Uint32N(min(3*PageSize, 6<<16-from))
					event = append(event, byte(from), byte(from>>8), byte(from>>16), 0, byte(length), byte(length>>8), byte(length>>16), 0)
				}
				if status := finish(s, s.Start(m, "aleph_handle", event)); status != Done {
					t.Fatal(s.Fault())
				}
				if err := s.restore(); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(s.Memory(), want) {
					t.Fatalf("round %d: the restored memory is not the image", round)
				}
			}
			if !bytes.Equal(base.Bytes()[40*PageSize:], make([]byte, 4<<16-40*PageSize)) {
				t.Error("the base has changed")
			}
		})
	}
}

// TestRangesAreRemembered: a guest that writes many scattered pages is scanned no more often than one that writes few.
func TestRangesAreRemembered(t *testing.T) {
	e := newEngine(t, Config{})
	if e.Restores() != "copy" {
		t.Skip("this kernel does not say which pages were written")
	}
	s := slot(t, e, image(t, e, 32, nil), 32<<16)
	m := load(t, e, striding(32, 2))
	for range 3 {
		if status := finish(s, s.Start(m, "aleph_handle", make([]byte, 200))); status != Done {
			t.Fatal(s.Fault())
		}
	}
	if s.DirtyPages() != 200 || !s.c.scanned || s.c.dirty_len != 200 {
		t.Errorf("%d pages, %d ranges, scanned %v", s.DirtyPages(), s.c.dirty_len, s.c.scanned)
	}
}

// TestMaps: memories that the process has no maps for are refused, and maps come back with the slots.
func TestMaps(t *testing.T) {
	e := newEngine(t, Config{})
	random := rand.New(rand.NewPCG(1, 2))
	base := image(t, e, 1, []byte("base"))
	img := over(t, e, base, 1<<16, random, [2]uint64{1, 2}, [2]uint64{4, 5}, [2]uint64{9, 10})
	before := e.Maps()
	e.config.Maps = before + 3*(9+mapsPerStack)
	var held []*Slot
	for range 3 {
		s := e.Acquire()
		if err := s.Map(img, 1<<16); err != nil {
			t.Fatal(err)
		}
		held = append(held, s)
	}
	s := e.Acquire()
	if err := s.Map(img, 1<<16); !errors.Is(err, ErrMaps) {
		t.Errorf("one memory too many: %v", err)
	}
	held[0].Release()
	if err := s.Map(img, 1<<16); err != nil {
		t.Error(err)
	}
	if err := s.Map(base, 1<<16); err != nil || e.Maps() != before+9+9+3 {
		t.Errorf("%d maps, %v", e.Maps()-before, err)
	}
	for _, s := range append(held[1:], s) {
		s.Release()
	}
	if e.Maps() != before {
		t.Errorf("%d maps are not given back", e.Maps()-before)
	}
	if err := base.Close(); err == nil {
		t.Error("an image was closed that another lies over")
	}
}

// TestMapsAreCounted compares what an image is said to cost with what the kernel has.
func TestMapsAreCounted(t *testing.T) {
	e := newEngine(t, Config{})
	random := rand.New(rand.NewPCG(1, 2))
	var runs [][2]uint64
	for n := range uint64(64) {
		runs = append(runs, [2]uint64{2 + 5*n, 4 + 5*n})
	}
	img := over(t, e, image(t, e, 64, noise(random, 1000*PageSize)), 64<<16, random, runs...)
	count := func() int {
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(text, []byte("\n"))
	}
	slot(t, e, img, 65<<16) // the first of all also parts the reservation
	before, said := count(), e.Maps()
	slot(t, e, img, 65<<16)
	if got, said := count()-before, e.Maps()-said; got > said || got < said-4 {
		t.Errorf("%d maps, %d were counted", got, said)
	}
}

func TestLayouts(t *testing.T) {
	e := newEngine(t, Config{})
	base := image(t, e, 2, []byte("base"))
	middle := over(t, e, base, 2<<16, rand.New(rand.NewPCG(1, 2)), [2]uint64{1, 2})
	for name, layout := range map[string]Layout{
		"size":            {Size: 4096},
		"over 4 GiB":      {Size: 1<<32 + 65536},
		"base too large":  {Size: 1 << 16, Base: base},
		"base of a base":  {Size: 2 << 16, Base: middle},
		"empty run":       {Size: 1 << 16, Runs: []Run{{4096, 4096, 0}}},
		"backwards":       {Size: 1 << 16, Runs: []Run{{8192, 4096, 0}}},
		"unaligned":       {Size: 1 << 16, Runs: []Run{{1, 4096, 0}}},
		"offset":          {Size: 1 << 16, Runs: []Run{{0, 4096, 1}}},
		"behind the size": {Size: 1 << 16, Runs: []Run{{15 * 4096, 17 * 4096, 0}}},
		"behind the file": {Size: 1 << 16, Runs: []Run{{0, 3 * 4096, 0}}},
		"far behind":      {Size: 1 << 16, Runs: []Run{{0, 4096, 1<<64 - 4096}}},
		"unsorted":        {Size: 1 << 16, Runs: []Run{{8192, 12288, 0}, {0, 4096, 4096}}},
		"overlapping":     {Size: 1 << 16, Runs: []Run{{0, 8192, 0}, {4096, 8192, 0}}},
		"touching":        {Size: 1 << 16, Runs: []Run{{0, 4096, 0}, {4096, 8192, 4096}}},
	} {
		if img, err := e.MapImage(file(t, make([]byte, 2*PageSize)), layout); err == nil {
			t.Errorf("%s: mapped", name)
			img.Close()
		}
	}
}

// BenchmarkLarge restores what a memory of 20 MB has written, scanned and remembered, and maps it anew.
func BenchmarkLarge(b *testing.B) {
	e := newEngine(b, Config{})
	random := rand.New(rand.NewPCG(1, 2))
	const pages = 320 // × 64 KiB
	base := image(b, e, pages, noise(random, 18<<20))
	var runs [][2]uint64
	for n := range uint64(64) {
		runs = append(runs, [2]uint64{1 + 60*n, 9 + 60*n})
	}
	delta := over(b, e, base, pages<<16, random, runs...)
	m := load(b, e, striding(pages, 23))
	for _, img := range []struct {
		name string
		*Image
	}{{"whole", base}, {"delta", delta}} {
		for _, written := range []int{10, 40, 100, 200} {
			s := slot(b, e, img.Image, pages<<16)
			event := make([]byte, written)
			for _, way := range []string{"remembered", "scanned", "mapped"} {
				if way == "mapped" && written != 40 {
					continue
				}
				b.Run(fmt.Sprintf("%s/%d/%s", img.name, written, way), func(b *testing.B) {
					for b.Loop() {
						if status := finish(s, s.Start(m, "aleph_handle", event)); status != Done {
							b.Fatal(s.Fault())
						}
						s.c.faulted = s.c.faulted || way == "scanned"
						s.c.remap = way == "mapped"
					}
				})
			}
		}
	}
}
