package image

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// The file form: a page of header, then the pages of the runs, one after the other. Little-endian:
//
//	"alephimg" version:u64 size:u64 clock:u64 id:[32]byte base:[32]byte runs:u64 { start:u64 end:u64 }*
//
// size is the memory's, clock the guests' monotonic clock at the capture, id a hash of everything else, base the id of the
// image that the runs lie over (zeros: none, what is in no run is zero).
const (
	pageSize    = wasm.PageSize
	fileMagic   = "alephimg"
	fileVersion = 2
	headerFixed = len(fileMagic) + 3*8 + 2*sha256.Size + 8
)

// How many runs an image over a base has at most, and up to which gap neighbouring runs are made one.
//
// A run is a map of its own in each memory that holds the image, and parts its base's: two maps, about 400 bytes of the kernel
// and 3 to 4 µs when the memory is mapped. Of the 65,530 maps that a process may have by default, 64 runs let 460 instances
// with such images be held. A page that is in a run although it is the base's costs 4 KiB of file and of page cache, once a
// program. So the smallest gaps are closed until the number is right, and those of up to 8 pages in any case: a small
// JavaScript program has then 8 runs of 0.2 MB, a Python one 55 of 0.9 to 1.2 MB. (With 16 pages it is 4 of 0.4 and 40 of 1.6
// to 2.0, with 4 it is 12 of 0.1 and 60 of 0.7 to 1.0.)
const (
	maxRuns = 64
	minGap  = 8 * pageSize
)

// Errors about files.
var (
	// ErrImage is wrapped by every error about a file that is not an image.
	ErrImage = errors.New("invalid image")
	// ErrBase says that an image was made over another base.
	ErrBase = errors.New("the image is of another base")
)

// Write writes memory as an image of a memory of size bytes, durably: the file is there whole, or not at all. clock is the
// guests' monotonic clock at the capture.
func Write(path string, memory []byte, size uint64, clock int64) error {
	return write(path, memory, size, nil, clock)
}

// write is Write of what differs from base.
func write(path string, memory []byte, size uint64, base *wasm.Image, clock int64) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), temporaryPattern)
	if err != nil {
		return fmt.Errorf("writing an image: %w", err)
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
			err = fmt.Errorf("writing an image: %w", err)
		}
	}()
	if rest := len(memory) % pageSize; rest > 0 {
		memory = append(memory[:len(memory):len(memory)], make([]byte, pageSize-rest)...)
	}
	most := maxRuns
	if base == nil {
		most = 1 // zeros between are holes of the file
	}
	h := header{size: size, clock: clock, runs: coalesce(differing(memory, base), minGap, most)}
	if base != nil {
		h.base = base.ID()
	}
	sum := sha256.New()
	sum.Write(h.encode())
	at := int64(pageSize)
	for _, r := range h.runs {
		for page := r.start; page < r.end; page += pageSize {
			content := memory[page : page+pageSize]
			sum.Write(content)
			if !bytes.Equal(content, zeroPage) {
				if _, err := file.WriteAt(content, at); err != nil {
					return err
				}
			}
			at += pageSize
		}
	}
	if err := file.Truncate(at); err != nil {
		return err
	}
	sum.Sum(h.id[:0])
	if _, err := file.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

var zeroPage = make([]byte, pageSize)

// differing gives the pages of memory that are not as in base, or not zero.
func differing(memory []byte, base *wasm.Image) (runs []span) {
	var part []byte
	end := uint64(0) // of part; behind the base all is zero
	for at := uint64(0); at < uint64(len(memory)); at += pageSize {
		if base != nil && at >= end {
			if part, end = nil, uint64(len(memory)); at < base.Size() {
				part, end = base.Part(at)
			}
		}
		page, before := memory[at:at+pageSize], zeroPage
		if part != nil {
			before, part = part[:pageSize], part[pageSize:]
		}
		if bytes.Equal(page, before) {
			continue
		}
		if n := len(runs); n > 0 && runs[n-1].end == at {
			runs[n-1].end = at + pageSize
		} else {
			runs = append(runs, span{at, at + pageSize})
		}
	}
	return runs
}

// coalesce closes the gaps of up to small bytes between runs, and then the smallest until there are at most most.
func coalesce(runs []span, small uint64, most int) []span {
	if len(runs) < 2 {
		return runs
	}
	gaps := make([]int, len(runs)-1) // by their number: gap i is before run i+1
	for i := range gaps {
		gaps[i] = i
	}
	size := func(gap int) uint64 { return runs[gap+1].start - runs[gap].end }
	slices.SortStableFunc(gaps, func(a, b int) int { return cmp.Compare(size(a), size(b)) })
	closed := make([]bool, len(gaps))
	for i, gap := range gaps {
		closed[gap] = i < len(runs)-most || size(gap) <= small
	}
	out := []span{runs[0]}
	for i, r := range runs[1:] {
		if closed[i] {
			out[len(out)-1].end = r.end
		} else {
			out = append(out, r)
		}
	}
	return out
}

// Open maps the image in the file at path, and lets the guests' clock go on from the image's. base is what it was captured
// from, nil if that was nothing; it must outlive the image.
func Open(e *wasm.Engine, path string, base *wasm.Image) (*wasm.Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	h, err := readHeader(file)
	if err == nil && base != nil && h.base != base.ID() || err == nil && base == nil && h.base != [sha256.Size]byte{} {
		err = ErrBase
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrImage, path, err)
	}
	layout := wasm.Layout{Size: h.size, Base: base, ID: h.id}
	offset := uint64(pageSize)
	for _, r := range h.runs {
		layout.Runs = append(layout.Runs, wasm.Run{Start: r.start, End: r.end, Offset: offset})
		offset += r.end - r.start
	}
	img, err := e.MapImage(file, layout)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrImage, path, err)
	}
	e.AdvanceClock(h.clock)
	return img, nil
}

// A span is a part of a memory.
type span struct{ start, end uint64 }

type header struct {
	size  uint64
	clock int64
	id    [sha256.Size]byte
	base  [sha256.Size]byte
	runs  []span
}

// encode gives the header's page.
func (h *header) encode() []byte {
	b := append(make([]byte, 0, pageSize), fileMagic...)
	b = binary.LittleEndian.AppendUint64(b, fileVersion)
	b = binary.LittleEndian.AppendUint64(b, h.size)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.clock))
	b = append(append(b, h.id[:]...), h.base[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(h.runs)))
	for _, r := range h.runs {
		b = binary.LittleEndian.AppendUint64(b, r.start)
		b = binary.LittleEndian.AppendUint64(b, r.end)
	}
	return b[:pageSize]
}

// readHeader reads the header of a file whose length it checks.
func readHeader(file *os.File) (*header, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, pageSize)
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, pageSize), b); err != nil {
		return nil, err
	}
	return decodeHeader(b, uint64(info.Size()))
}

// decodeHeader reads the header of a file of length bytes.
func decodeHeader(b []byte, length uint64) (*header, error) {
	if len(b) != pageSize || string(b[:len(fileMagic)]) != fileMagic {
		return nil, errors.New("it does not begin as an image")
	}
	b = b[len(fileMagic):]
	number := func() uint64 {
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return v
	}
	if v := number(); v != fileVersion {
		return nil, fmt.Errorf("it has version %d, %d is known", v, fileVersion)
	}
	h := &header{size: number(), clock: int64(number())}
	b = b[copy(h.id[:], b):]
	b = b[copy(h.base[:], b):]
	count := number()
	if count > uint64(len(b)/16) {
		return nil, fmt.Errorf("%d runs", count)
	}
	pages := uint64(0)
	for range count {
		r := span{number(), number()}
		if r.start >= r.end || r.end > h.size || r.start%pageSize != 0 || r.end%pageSize != 0 {
			return nil, fmt.Errorf("the run %d to %d", r.start, r.end)
		}
		h.runs = append(h.runs, r)
		pages += (r.end - r.start) / pageSize
	}
	if h.size > maxMemory || length != (1+pages)*pageSize {
		return nil, fmt.Errorf("it is %d bytes and describes %d", length, (1+pages)*pageSize)
	}
	return h, nil
}
