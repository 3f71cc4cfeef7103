/* The engine's heap: malloc for CPython, which is built without an allocator of its own, for libc and all libraries.

   Its one uncommon property: at heap_freeze() everything allocated so far becomes the *image*. From then on no block of the
   image is freed, reused or moved in place, and new blocks come from fresh memory behind it, in order of allocation. So a
   request writes to few pages, one after another, and not to wherever the image has holes.

   A block is a multiple of 8 bytes; the user's 8-aligned bytes follow its header, the size with FREE in bit 0. Blocks lie back
   to back, so that the heap can be walked. Free small blocks wait in one list per size; large ones in bins, four to each power
   of two. Neighbours are merged when a large block is freed (forwards), and everywhere before memory is said to be out. */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

#define PAGE 4096u
#define SMALL_MAX 1024u         /* the largest small block, header included */
#define LARGE_MIN 1032u
#define FREE 1u
#define GROW (1u << 20)         /* what the memory grows by, at least */
#define BINS 96
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

typedef struct Block {
    uint32_t size;              /* with FREE */
    struct Block *next, *prev;  /* of a free one; prev only of a large one. Else the user's bytes */
} Block;

extern uint8_t __heap_base;

static struct {
    uintptr_t top;              /* end of the blocks; 4 modulo 8 */
    uintptr_t end;              /* end of the memory */
    uintptr_t image;            /* end of the image, or the start of the heap */
    uint32_t unmerged;          /* bytes freed since blocks were merged */
    uint32_t bin_map[BINS / 32];
    Block *small[SMALL_MAX / 8 + 1];
    Block *bins[BINS];
} heap;

static inline Block *block_of(const void *p) { return (Block *)((uintptr_t)p - 4); }
static inline void *bytes_of(Block *b) { return (uint8_t *)b + 4; }
static inline uint32_t block_size(size_t n) { return n < 12 ? 16 : (n + 4 + 7) & ~7u; }

static inline unsigned bin_of(uint32_t size)
{
    unsigned log = 31 - __builtin_clz(size); /* at least 10 */
    unsigned bin = (log - 10) * 4 + ((size >> (log - 2)) & 3);
    return bin < BINS ? bin : BINS - 1;
}

static void bin_add(Block *b, uint32_t size)
{
    unsigned bin = bin_of(size);
    b->size = size | FREE;
    b->prev = NULL;
    b->next = heap.bins[bin];
    if (b->next)
        b->next->prev = b;
    heap.bins[bin] = b;
    heap.bin_map[bin / 32] |= 1u << (bin % 32);
}

static void bin_remove(Block *b)
{
    unsigned bin = bin_of(b->size);
    if (b->next)
        b->next->prev = b->prev;
    if (b->prev) {
        b->prev->next = b->next;
    } else {
        heap.bins[bin] = b->next;
        if (!b->next)
            heap.bin_map[bin / 32] &= ~(1u << (bin % 32));
    }
    b->size &= ~FREE;
}

/* Makes a free block of a piece of memory. A piece of 8 bytes is too small for a list and waits to be merged. */
static void give(uintptr_t at, uint32_t size)
{
    Block *b = (Block *)at;
    if (size >= LARGE_MIN) {
        bin_add(b, size);
    } else if (size) {
        b->size = size | FREE;
        if (size > 8) {
            b->next = heap.small[size / 8];
            heap.small[size / 8] = b;
        }
    }
}

static Block *take_bin(uint32_t size)
{
    for (unsigned bin = bin_of(size); bin < BINS; bin++) {
        if (!(heap.bin_map[bin / 32] >> (bin % 32))) {
            bin |= 31;
            continue;
        }
        int tries = 16; /* the first bin may hold smaller blocks; it is not searched for ever */
        for (Block *b = heap.bins[bin]; b && tries; b = b->next, tries--) {
            uint32_t have = b->size & ~FREE;
            if (have < size)
                continue;
            bin_remove(b);
            give((uintptr_t)b + size, have - size);
            b->size = size;
            return b;
        }
    }
    return NULL;
}

/* A piece of the smallest free large block. */
static Block *carve(uint32_t size)
{
    for (unsigned i = 0; i < BINS / 32; i++) {
        if (!heap.bin_map[i])
            continue;
        Block *b = heap.bins[i * 32 + __builtin_ctz(heap.bin_map[i])];
        bin_remove(b);
        give((uintptr_t)b + size, b->size - size);
        b->size = size;
        return b;
    }
    return NULL;
}

static int grow(uint32_t need)
{
    uint32_t want = heap.top / 8 > GROW ? heap.top / 8 : GROW;
    if (want < need)
        want = need;
    for (;; want = need) {
        uint32_t pages = (uint32_t)(((uint64_t)want + 65535) / 65536);
        if (pages <= 65536 && __builtin_wasm_memory_grow(0, pages) != (size_t)-1) {
            uint64_t end = (uint64_t)__builtin_wasm_memory_size(0) * 65536;
            heap.end = end > UINT32_MAX ? UINT32_MAX & ~15u : (uintptr_t)end;
            return 1;
        }
        if (want == need)
            return 0;
    }
}

/* Merges all neighbouring free blocks behind the image. */
static void merge(void)
{
    memset(heap.small, 0, sizeof(heap.small));
    memset(heap.bins, 0, sizeof(heap.bins));
    memset(heap.bin_map, 0, sizeof(heap.bin_map));
    heap.unmerged = 0;
    uintptr_t run = 0;
    for (uintptr_t at = heap.image; at < heap.top; at += ((Block *)at)->size & ~FREE) {
        if (((Block *)at)->size & FREE) {
            if (!run)
                run = at;
        } else if (run) {
            give(run, at - run);
            run = 0;
        }
    }
    if (run)
        heap.top = run;
}

static inline Block *bump(uint32_t size)
{
    uintptr_t at = heap.top;
    if (unlikely(size > heap.end - at))
        return NULL;
    heap.top = at + size;
    ((Block *)at)->size = size;
    return (Block *)at;
}

/* Makes room for a block when the lists and the memory at hand have none. False: out of memory. */
static __attribute__((noinline)) int make_room(uint32_t size)
{
    if (heap.unmerged > GROW && heap.unmerged > heap.top / 4) {
        merge();
        return 1;
    }
    if (grow(size - (heap.end - heap.top)))
        return 1;
    if (!heap.unmerged)
        return 0;
    merge();
    return 1;
}

static __attribute__((noinline)) void *alloc_large(size_t n)
{
    if (n > 0xfffff000u) {
        errno = ENOMEM;
        return NULL;
    }
    uint32_t size = block_size(n);
    Block *b;
    while (!(b = take_bin(size)) && !(b = bump(size)))
        if (!make_room(size)) {
            errno = ENOMEM;
            return NULL;
        }
    return bytes_of(b);
}

static __attribute__((noinline)) void *refill(uint32_t size)
{
    Block *b;
    while (!(b = carve(size)) && !(b = bump(size))) {
        if (!make_room(size)) {
            errno = ENOMEM;
            return NULL;
        }
        if ((b = heap.small[size / 8])) {
            heap.small[size / 8] = b->next;
            b->size = size;
            break;
        }
    }
    return bytes_of(b);
}

void *malloc(size_t n)
{
    if (unlikely(n > SMALL_MAX - 4))
        return alloc_large(n);
    uint32_t size = block_size(n);
    Block *b = heap.small[size / 8];
    if (b) {
        heap.small[size / 8] = b->next;
        b->size = size;
    } else if (unlikely(!(b = bump(size)))) {
        return refill(size);
    }
    return bytes_of(b);
}

void free(void *p)
{
    if ((uintptr_t)p < heap.image)
        return;
    Block *b = block_of(p);
    uint32_t size = b->size;
    heap.unmerged += size;
    if (likely(size <= SMALL_MAX)) {
        b->size = size | FREE;
        b->next = heap.small[size / 8];
        heap.small[size / 8] = b;
        return;
    }
    Block *next = (Block *)((uintptr_t)b + size);
    if ((uintptr_t)next < heap.top && next->size & FREE && next->size >= LARGE_MIN) {
        bin_remove(next);
        size += next->size;
    }
    if ((uintptr_t)b + size == heap.top)
        heap.top = (uintptr_t)b;
    else
        bin_add(b, size);
}

/* Extends a large block in place if what follows it allows. */
static int extend(Block *b, uint32_t size)
{
    Block *next = (Block *)((uintptr_t)b + b->size);
    uint32_t more = size - b->size;
    if ((uintptr_t)next == heap.top) {
        if (more > heap.end - heap.top && !grow(more - (heap.end - heap.top)))
            return 0;
        heap.top += more;
        b->size = size;
        return 1;
    }
    if (!(next->size & FREE) || next->size < LARGE_MIN || (next->size & ~FREE) < more)
        return 0;
    bin_remove(next);
    give((uintptr_t)next + more, next->size - more);
    b->size = size;
    return 1;
}

size_t malloc_usable_size(void *p) { return p ? block_of(p)->size - 4 : 0; }

void *realloc(void *p, size_t n)
{
    if (!p)
        return malloc(n);
    Block *b = block_of(p);
    size_t have = b->size - 4;
    int ours = (uintptr_t)p >= heap.image;
    if (n <= have && (n > have / 2 || have < 256 || !ours))
        return p;
    if (n > have && ours && b->size >= LARGE_MIN && n < 0xfffff000u && extend(b, block_size(n)))
        return p;
    void *q = malloc(n);
    if (!q)
        return n <= have ? p : NULL;
    memcpy(q, p, n < have ? n : have);
    free(p);
    return q;
}

void *calloc(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        errno = ENOMEM;
        return NULL;
    }
    void *p = malloc(n);
    return p ? memset(p, 0, n) : NULL;
}

void *aligned_alloc(size_t alignment, size_t n)
{
    if (alignment <= 8)
        return malloc(n);
    uintptr_t p = (uintptr_t)malloc(n + alignment + 16);
    uintptr_t at = (p + alignment - 1) & ~(uintptr_t)(alignment - 1);
    if (!p || at == p)
        return (void *)p;
    while (at - p < 16) /* what comes before it becomes a block of its own */
        at += alignment;
    Block *b = block_of((void *)p), *c = block_of((void *)at);
    c->size = b->size - (at - p);
    b->size = at - p;
    free((void *)p);
    return (void *)at;
}

int posix_memalign(void **p, size_t alignment, size_t n)
{
    *p = aligned_alloc(alignment, n);
    return *p ? 0 : ENOMEM;
}

/* Under these names libc itself allocates. */
void *__libc_malloc(size_t n) { return malloc(n); }
void *__libc_calloc(size_t count, size_t size) { return calloc(count, size); }
void __libc_free(void *p) { free(p); }

void heap_init(void)
{
    heap.image = heap.top = (((uintptr_t)&__heap_base + 7) & ~(uintptr_t)7) + 4;
    heap.end = __builtin_wasm_memory_size(0) * 65536;
}

uint32_t heap_used(void) { return heap.top; }

/* Everything allocated so far becomes the image, and spare bytes of zeros wait behind it. Memory that only held garbage is
   cleared, so that it costs nothing there. */
void heap_freeze(uint32_t spare)
{
    merge();
    for (unsigned bin = 0; bin < BINS; bin++)
        for (Block *b = heap.bins[bin]; b; b = b->next)
            memset(&b->prev + 1, 0, (b->size & ~FREE) - sizeof(Block));
    uintptr_t top = ((heap.top + PAGE - 1) & ~(uintptr_t)(PAGE - 1)) + 4;
    if (top > heap.end || heap.end - top < spare) {
        __builtin_wasm_memory_grow(0, (top + spare - heap.end + 65535) / 65536);
        heap.end = __builtin_wasm_memory_size(0) * 65536;
    }
    memset((void *)heap.top, 0, heap.end - heap.top);
    memset(&heap.small, 0, sizeof(heap.small));
    memset(heap.bins, 0, sizeof(heap.bins));
    memset(heap.bin_map, 0, sizeof(heap.bin_map));
    heap.unmerged = 0;
    if (top < heap.end)
        heap.image = heap.top = top;
}
