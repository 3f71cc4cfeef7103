package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// TestClockGoesOn: the guests' clock never goes back behind what an image has seen, as after a reboot.
func TestClockGoesOn(t *testing.T) {
	l := newLab(t)
	later := l.engine.Clock() + int64(time.Hour)
	path := filepath.Join(t.TempDir(), "image")
	if err := Write(path, []byte("x"), 1<<16, later); err != nil {
		t.Fatal(err)
	}
	l.open(path, nil)
	if l.engine.Clock() < later {
		t.Error("the clock is behind the image's")
	}
}

// TestDelta: what is opened is what was written, the file has little more than what differs, and so it is after a capture.
func TestDelta(t *testing.T) {
	l := newLab(t)
	random := rand.New(rand.NewPCG(1, 2))
	before := make([]byte, 64<<16)
	for i := range before[:50<<16] {
		before[i] = byte(random.Uint32())
	}
	base := l.image(before, 64<<16)
	for round := range 30 {
		memory := append(bytes.Clone(before), make([]byte, random.IntN(3)<<16)...)
		touched := random.IntN(200)
		for range touched {
			at := random.IntN(len(memory))
			switch random.IntN(4) {
			case 0: // a page becomes zero
				clear(memory[at&^4095 : at&^4095+4096])
			default:
				memory[at] ^= 1
			}
		}
		path := filepath.Join(t.TempDir(), "image")
		if err := write(path, memory, uint64(len(memory)), base, 0); err != nil {
			t.Fatal(err)
		}
		img := l.open(path, base)
		if !bytes.Equal(img.Bytes(), memory) {
			t.Fatalf("round %d: the image is not what was written", round)
		}
		if n := len(img.Runs()); n > maxRuns {
			t.Errorf("%d runs", n)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if touched <= maxRuns && info.Size() > int64(1+touched*(1+minGap/pageSize))*pageSize {
			t.Errorf("%d bytes for %d pages", info.Size(), touched)
		}
		s := l.engine.Acquire()
		if err := s.Map(img, 1<<30); err != nil || !bytes.Equal(s.Memory(), memory) {
			t.Errorf("round %d: the memory is not what was written: %v", round, err)
		}
		s.Release()
	}
}

// TestCaptureOverBase initialises a module in two steps, of which the second writes only what it changed.
func TestCaptureOverBase(t *testing.T) {
	l := newLab(t)
	p, err := l.prepare(head + `(data (i32.const 0) "data") (data (i32.const 50000) "far") (func $s (i32.store8 (i32.const 20000) (i32.add (i32.load8_u (i32.const 20000)) (i32.const 1)))) (start $s)
	  (func (export "aleph_init") (param i32) (i32.store8 (i32.const 0) (i32.const 68)))
	  (func (export "aleph_load") (param i32) (i32.store8 (i32.const 50000) (i32.const 70)) (drop (memory.grow (i32.const 1))) (i32.store8 (i32.const 65536) (i32.const 1)))
	  (func (export "aleph_handle") (param i32)))`)
	if err != nil {
		t.Fatal(err)
	}
	module := l.module(p.Module)
	folder := t.TempDir()
	capture := func(base *wasm.Image, name, step string) *wasm.Image {
		t.Helper()
		path := filepath.Join(folder, name)
		if _, err := Capture(l.engine, p, module, base, path, []Step{{Export: step, Takes: true}}, limits, nil, nil); err != nil {
			t.Fatal(err)
		}
		return l.open(path, base)
	}
	base := capture(nil, "base", "aleph_init")
	img := capture(base, "image", "aleph_load")
	want := make([]byte, 2<<16)
	copy(want, "Data")
	copy(want[50000:], "Far")
	want[20000], want[65536] = 1, 1 // start ran once
	if got := img.Bytes(); !bytes.Equal(got, want) {
		t.Errorf("%q %q %d %d", got[:4], got[50000:50003], got[20000], got[65536])
	}
	if runs := img.Runs(); !slices.Equal(runs, []wasm.Run{{Start: 12 * 4096, End: 17 * 4096, Offset: 4096}}) {
		t.Errorf("%v", runs)
	}
	if _, err := Open(l.engine, filepath.Join(folder, "image"), nil); !errors.Is(err, ErrBase) {
		t.Errorf("without its base: %v", err)
	}
	if _, err := Open(l.engine, filepath.Join(folder, "base"), base); !errors.Is(err, ErrBase) {
		t.Errorf("with a base, where it has none: %v", err)
	}
	other := l.image(append([]byte("Data"), 1), 1<<16)
	if _, err := Open(l.engine, filepath.Join(folder, "image"), other); !errors.Is(err, ErrBase) || !errors.Is(err, ErrImage) {
		t.Errorf("over another base: %v", err)
	}
}

// TestCoalesce has what must hold of any runs: all that differs is covered, in order, by no more than may be, with the
// smallest gaps closed.
func TestCoalesce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var runs []span
		at := uint64(0)
		for range random.IntN(100) {
			start := at + uint64(1+random.IntN(12))*pageSize
			at = start + uint64(1+random.IntN(5))*pageSize
			runs = append(runs, span{start, at})
		}
		before := slices.Clone(runs)
		most, small := 1+random.IntN(70), uint64(random.IntN(8))*pageSize
		got := coalesce(runs, small, most)
		if !slices.Equal(runs, before) {
			t.Fatal("the runs given were changed")
		}
		if len(got) > most {
			t.Fatalf("%d runs, %d may be", len(got), most)
		}
		var closed, open []uint64
		for n, i := 0, 0; i < len(runs); i++ {
			if runs[i].start > got[n].end {
				open = append(open, runs[i].start-got[n].end)
				n++
			}
			if runs[i].start < got[n].start || runs[i].end > got[n].end {
				t.Fatalf("%v is in no run", runs[i])
			}
			if i > 0 && runs[i-1].end >= got[n].start {
				closed = append(closed, runs[i].start-runs[i-1].end)
			}
		}
		if len(open) != max(0, len(got)-1) {
			t.Fatalf("%d runs with %d gaps", len(got), len(open))
		}
		if len(closed) > 0 && len(open) > 0 && slices.Max(closed) > max(small, slices.Min(open)) {
			t.Errorf("a gap of %d is closed, one of %d is open", slices.Max(closed), slices.Min(open))
		}
		if len(got) < most && len(open) > 0 && slices.Min(open) <= small {
			t.Errorf("a gap of %d is open, those of %d are to be closed", slices.Min(open), small)
		}
	}
}

func TestFaultyFiles(t *testing.T) {
	l := newLab(t)
	path := filepath.Join(t.TempDir(), "image")
	memory := make([]byte, 3*4096)
	memory[5000] = 1
	if err := Write(path, memory, 1<<16, 0); err != nil {
		t.Fatal(err)
	}
	if got := l.open(path, nil).Bytes(); len(got) != 1<<16 || got[5000] != 1 {
		t.Errorf("%d bytes", len(got))
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(at int, v uint64) func(b []byte) []byte {
		return func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b[at:], v)
			return b
		}
	}
	const size, runs, run = 16, headerFixed - 8, headerFixed
	for name, change := range map[string]func(b []byte) []byte{
		"cut": func(b []byte) []byte { return b[:len(b)-1] }, "longer": func(b []byte) []byte { return append(b, 0) },
		"empty": func([]byte) []byte { return nil }, "header only": func(b []byte) []byte { return b[:100] },
		"magic": put(0, 0), "version": put(8, 1), "size": put(size, 4096), "odd size": put(size, 1<<16+1), "large": put(size, 1<<33),
		"runs": put(runs, 2), "many runs": put(runs, 1<<62), "no runs": put(runs, 0),
		"run's start": put(run, 0), "odd start": put(run, 1), "run's end": put(run+8, 1<<16), "backwards": put(run+8, 0), "far": put(run+8, 1<<63),
	} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, change(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		if img, err := Open(l.engine, bad, nil); !errors.Is(err, ErrImage) {
			t.Errorf("%s: %v, %v", name, img, err)
		}
	}
}

// TestWriteFails: a write that fails leaves what was there, and nothing else.
func TestWriteFails(t *testing.T) {
	l := newLab(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "image")
	if err := Write(path, []byte("first"), 1<<16, 0); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(folder, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "file"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(taken, []byte("second"), 1<<16, 0); err == nil {
		t.Error("a folder was replaced")
	}
	if err := Write(filepath.Join(folder, "missing", "image"), []byte("second"), 1<<16, 0); err == nil {
		t.Error("written into a folder that is not there")
	}
	if got := l.open(path, nil).Bytes()[:5]; string(got) != "first" {
		t.Errorf("%q", got)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

func FuzzHeader(f *testing.F) {
	h := header{size: 3 << 16, clock: 5, runs: []span{{0, 4096}, {8192, 65536}}}
	f.Add(h.encode(), uint64(1+1+14)*pageSize)
	f.Add((&header{}).encode(), uint64(pageSize))
	f.Fuzz(func(t *testing.T, b []byte, length uint64) {
		if len(b) < pageSize {
			b = append(b, make([]byte, pageSize-len(b))...)
		}
		h, err := decodeHeader(b[:pageSize], length)
		if err != nil {
			return
		}
		total := uint64(pageSize)
		for _, r := range h.runs {
			if r.start >= r.end || r.end > h.size {
				t.Errorf("%v in %d bytes", r, h.size)
			}
			total += r.end - r.start
		}
		if total != length {
			t.Errorf("%d bytes are described, %d are there", total, length)
		}
		if again, err := decodeHeader(h.encode(), length); err != nil || !slices.Equal(again.runs, h.runs) || again.size != h.size || again.base != h.base || again.id != h.id {
			t.Errorf("%v, %v", again, err)
		}
	})
}
