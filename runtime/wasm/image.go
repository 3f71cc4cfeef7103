package wasm

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PageSize is what images are made of, bytes.
const PageSize = 4096

// A Run is a part of a memory that is in an image's file: [Start, End) of the memory, and where in the file it begins. All
// are multiples of PageSize.
type Run struct{ Start, End, Offset uint64 }

// A Layout says what of an image is where.
type Layout struct {
	// Size is the memory's in bytes, a multiple of 64 KiB.
	Size uint64
	// Base is the image that Runs lie over; nil: what is in no run is zero. Its own base must be nil.
	Base *Image
	// Runs are what is in the image's file, sorted, not touching each other.
	Runs []Run
	// ID names the image's content. Nothing here looks at it.
	ID [32]byte
}

// An Image is a memory's content in files, mapped read-only. Slots that hold it share its pages.
type Image struct {
	engine *Engine
	c      *C.aleph_image
	file   *os.File
	view   []byte
	layout Layout
	maps   int64        // that a slot costs that holds it
	over   atomic.Int32 // images with this base
}

// MapImage maps the file of an image. It owns the file from here on, error or not.
func (e *Engine) MapImage(file *os.File, layout Layout) (_ *Image, err error) {
	defer func() {
		if err != nil {
			file.Close()
			err = fmt.Errorf("mapping an image: %w", err)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := layout.check(uint64(info.Size())); err != nil {
		return nil, err
	}
	img := &Image{engine: e, file: file, layout: layout, maps: 3 + 2*int64(max(0, len(layout.Runs)-1))}
	if info.Size() > 0 {
		if img.view, err = unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return nil, err
		}
	}
	img.c = (*C.aleph_image)(C.calloc(1, C.sizeof_aleph_image))
	img.c.fd, img.c.view, img.c.size = C.int(file.Fd()), bytesOf(img.view), C.uint64_t(layout.Size)
	if base := layout.Base; base != nil {
		img.c.base = base.c
		img.maps = base.maps + 2*int64(len(layout.Runs))
		base.over.Add(1)
	}
	if n := len(layout.Runs); n > 0 {
		img.c.run_count, img.c.runs = C.uint32_t(n), (*C.aleph_run)(C.calloc(C.size_t(n), C.sizeof_aleph_run))
		runs := unsafe.Slice(img.c.runs, n)
		for i, r := range layout.Runs {
			runs[i] = C.aleph_run{start: C.uint64_t(r.Start), end: C.uint64_t(r.End), offset: C.uint64_t(r.Offset)}
		}
	}
	e.maps.Add(1)
	return img, nil
}

// check says what is wrong with a layout for a file of length bytes.
func (l *Layout) check(length uint64) error {
	switch {
	case l.Size%65536 != 0 || l.Size > 1<<32:
		return fmt.Errorf("a memory of %d bytes", l.Size)
	case l.Base != nil && (l.Base.layout.Base != nil || l.Base.layout.Size > l.Size):
		return errors.New("the base is larger, or has a base itself")
	}
	end := uint64(0)
	for i, r := range l.Runs {
		if r.Start%PageSize != 0 || r.End%PageSize != 0 || r.Offset%PageSize != 0 || r.Start >= r.End || r.End > l.Size ||
			i > 0 && r.Start <= end || r.Offset > length || r.End-r.Start > length-r.Offset {
			return fmt.Errorf("the run %d to %d at %d of %d bytes", r.Start, r.End, r.Offset, length)
		}
		end = r.End
	}
	return nil
}

// Size is the memory's size in bytes.
func (img *Image) Size() uint64 { return img.layout.Size }

// ID is the layout's.
func (img *Image) ID() [32]byte { return img.layout.ID }

// Runs are the layout's. They must not be changed.
func (img *Image) Runs() []Run { return img.layout.Runs }

// Part gives the memory's bytes from at on, as far as they lie together in a file, and where they end; nil bytes are zeros.
// The view lasts until Close.
func (img *Image) Part(at uint64) (part []byte, end uint64) {
	end = img.layout.Size
	for i := img; i != nil; i = i.layout.Base {
		runs := i.layout.Runs
		n, _ := slices.BinarySearchFunc(runs, at, func(r Run, at uint64) int { return cmp.Compare(r.End, at+1) })
		if n == len(runs) {
			continue
		}
		if r := runs[n]; r.Start <= at {
			end = min(end, r.End)
			from := r.Offset + at - r.Start
			return i.view[from : from+end-at], end
		}
		end = min(end, runs[n].Start)
	}
	return nil, end
}

// Bytes copies the whole memory. For tests and tools.
func (img *Image) Bytes() []byte {
	memory := make([]byte, img.layout.Size)
	for at := uint64(0); at < img.layout.Size; {
		part, end := img.Part(at)
		copy(memory[at:end], part)
		at = end
	}
	return memory
}

// Close unmaps the image. No slot may hold it, and no image may have it as its base.
func (img *Image) Close() error {
	if n := img.over.Load(); n > 0 {
		return fmt.Errorf("%d images lie over this one", n)
	}
	if base := img.layout.Base; base != nil {
		base.over.Add(-1)
	}
	var err error
	if img.view != nil {
		err = unix.Munmap(img.view)
	}
	C.free(unsafe.Pointer(img.c.runs))
	C.free(unsafe.Pointer(img.c))
	img.engine.maps.Add(-1)
	return errors.Join(err, img.file.Close())
}

// MemoryImage is an image of content in a memory of size bytes, without a file in any folder.
func (e *Engine) MemoryImage(content []byte, size uint64) (*Image, error) {
	fd, err := unix.MemfdCreate("image", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	file := os.NewFile(uintptr(fd), "image")
	layout := Layout{Size: size}
	if content = bytes.TrimRight(content, "\x00"); len(content) > 0 {
		end := (len(content) + PageSize - 1) / PageSize * PageSize
		layout.Runs = []Run{{End: uint64(end)}}
		_, err = file.Write(content)
		if err == nil {
			err = file.Truncate(int64(end))
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("making an image: %w", err)
	}
	return e.MapImage(file, layout)
}
