//! The allocator of a program. An instance serves one event and its memory is put back afterwards, page by page: what counts is to write
//! to few pages, and that memory does not grow. So allocations of an event are taken from the front of an arena that is there from the
//! start, and given back if they were the last, or when none is left. What is large, or does not fit any more, comes from the system's
//! allocator: a program that works in a loop for long does not run out of the arena's memory.

#![cfg(all(target_family = "wasm", feature = "allocator"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;

/// The arena, and the largest allocation from it.
const SIZE: usize = 128 << 10;
const MOST: usize = 16 << 10;

/// Kept free in the system's allocator from the start.
const RESERVE: usize = 512 << 10;

#[repr(C, align(16))]
struct Arena {
    state: UnsafeCell<State>,
    bytes: UnsafeCell<[u8; SIZE]>,
}

struct State {
    /// Whether the event has begun: until then everything is the system allocator's, and stays out of the arena's pages.
    open: bool,
    /// Bytes that are taken, and allocations that they hold.
    used: usize,
    live: usize,
}

// SAFETY: there are no threads in a program.
unsafe impl Sync for Arena {}

#[global_allocator]
static ARENA: Arena = Arena { state: UnsafeCell::new(State { open: false, used: 0, live: 0 }), bytes: UnsafeCell::new([0; SIZE]) };

/// Ends the program's preparation: what is allocated from here on is the event's.
pub(crate) fn open() {
    drop(Vec::<u8>::with_capacity(RESERVE));
    // SAFETY: there are no threads, and no other reference to the state is alive.
    unsafe { (*ARENA.state.get()).open = true };
}

impl Arena {
    /// The place of an address in the arena.
    fn place(&self, at: *mut u8) -> Option<usize> {
        let place = (at as usize).wrapping_sub(self.bytes.get() as usize);
        (place < SIZE).then_some(place)
    }
}

// SAFETY: what is given is within the arena, aligned, and not given again until it is given back; all else is the system allocator's.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: there are no threads, and nothing below keeps a reference; the caller keeps GlobalAlloc's promises.
        unsafe {
            let state = &mut *self.state.get();
            let start = state.used.next_multiple_of(layout.align());
            let end = start + layout.size().min(SIZE);
            if state.open && end <= SIZE && layout.size() <= MOST && layout.align() <= 16 {
                state.used = end;
                state.live += 1;
                return self.bytes.get().cast::<u8>().add(start);
            }
            System.alloc(layout)
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe {
            let Some(place) = self.place(at) else {
                return System.dealloc(at, layout);
            };
            let state = &mut *self.state.get();
            state.live -= 1;
            if state.live == 0 {
                state.used = 0;
            } else if place + layout.size() == state.used {
                state.used = place;
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            let at = self.alloc(layout);
            if !at.is_null() {
                at.write_bytes(0, layout.size());
            }
            at
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; a layout of the same alignment and a size that the caller promises is one.
        unsafe {
            let Some(place) = self.place(at) else {
                return System.realloc(at, layout, size);
            };
            let state = &mut *self.state.get();
            if place + layout.size() == state.used && size <= MOST && place + size <= SIZE {
                state.used = place + size; // the last one grows or shrinks in its place
                return at;
            }
            if size <= layout.size() {
                return at;
            }
            let to = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !to.is_null() {
                to.copy_from_nonoverlapping(at, layout.size());
                self.dealloc(at, layout);
            }
            to
        }
    }
}
