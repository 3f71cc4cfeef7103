/* The engine's heap.

   One allocator for QuickJS, the URL parser and libc, with one property that a general one lacks: at heap_freeze()
   everything allocated so far becomes the *image*. From then on

     - no block of the image is freed, reused or has its reference count written (see JS_REF_COUNT in quickjs.patch);
     - new blocks come from fresh memory behind it, in order of allocation.

   So a request writes to the few pages behind the image, and to those of the image that it really changes. A page of the
   image that is written has to be restored after the request; counting references in place would touch one for nearly
   every object that a handler looks at.

   Blocks are multiples of 16 bytes and lie back to back, so that the heap can be walked:

     small (up to 1024 bytes)   | JSMallocBlockHeader | user data |              block_idx = size / 16
     large                      | LargeHeader | JSMallocBlockHeader | user data | block_idx = 0xffff

   Free small blocks wait in one list per size; free large ones in bins, four to each power of two. Neighbours are merged
   when a large block is freed or extended (forwards), and all over the heap before memory is said to be out.

   Included by quickjs.c (quickjs.patch), in the place of its arena allocator. */

#define HEAP_PAGE        4096u
#define HEAP_SMALL_MAX   1024u
#define HEAP_LARGE_MIN   1040u
#define HEAP_LARGE       0xffffu
#define HEAP_SPARE       (2u << 20) /* zero pages behind the image, so that an ordinary request need not grow the memory */
#define HEAP_GROW        (1u << 20)

extern uint8_t __heap_base;

typedef struct LargeHeader {
    uint16_t mark; /* HEAP_LARGE */
    uint16_t is_free;
    uint32_t size; /* of the whole block */
} LargeHeader;

typedef struct FreeLarge {
    LargeHeader header;
    struct FreeLarge *next, *prev;
} FreeLarge;

#define HEAP_BINS 96

static struct {
    uintptr_t top;                 /* end of the blocks */
    uintptr_t end;                 /* end of the memory */
    uint32_t unmerged;             /* bytes freed since the last heap_merge() */
    uint32_t bin_map[HEAP_BINS / 32];
    void *small[HEAP_SMALL_MAX / 16 + 1];
    FreeLarge *bins[HEAP_BINS];
} heap;

static inline JSMallocBlockHeader *heap_header(const void *p)
{
    return (JSMallocBlockHeader *)((uintptr_t)p - sizeof(JSMallocBlockHeader));
}

static inline LargeHeader *heap_large(const void *p)
{
    return (LargeHeader *)((uintptr_t)p - sizeof(JSMallocBlockHeader) - sizeof(LargeHeader));
}

static size_t heap_usable(const void *p)
{
    uint32_t idx = heap_header(p)->u.block_idx;
    if (idx != HEAP_LARGE)
        return idx * 16 - sizeof(JSMallocBlockHeader);
    return heap_large(p)->size - sizeof(JSMallocBlockHeader) - sizeof(LargeHeader);
}

static inline unsigned heap_bin(uint32_t size)
{
    unsigned log = 31 - __builtin_clz(size); /* at least 10 */
    unsigned bin = (log - 10) * 4 + ((size >> (log - 2)) & 3);
    return bin < HEAP_BINS ? bin : HEAP_BINS - 1;
}

static void heap_bin_add(void *block, uint32_t size)
{
    FreeLarge *f = block;
    unsigned bin = heap_bin(size);
    f->header = (LargeHeader){HEAP_LARGE, 1, size};
    f->prev = NULL;
    f->next = heap.bins[bin];
    if (f->next)
        f->next->prev = f;
    heap.bins[bin] = f;
    heap.bin_map[bin / 32] |= 1u << (bin % 32);
}

static void heap_bin_remove(FreeLarge *f)
{
    unsigned bin = heap_bin(f->header.size);
    if (f->next)
        f->next->prev = f->prev;
    if (f->prev) {
        f->prev->next = f->next;
    } else {
        heap.bins[bin] = f->next;
        if (!f->next)
            heap.bin_map[bin / 32] &= ~(1u << (bin % 32));
    }
    f->header.is_free = 0;
}

/* Makes a free block of a piece of memory whose size is a multiple of 16. */
static void heap_give(uintptr_t at, uint32_t size)
{
    if (size >= HEAP_LARGE_MIN) {
        heap_bin_add((void *)at, size);
    } else if (size) {
        JSMallocBlockHeader *b = (JSMallocBlockHeader *)at;
        b->u.block_idx = size / 16;
        b->block_size_idx = 1; /* free */
        *(void **)b->user_data = heap.small[size / 16];
        heap.small[size / 16] = b;
    }
}

static void *heap_take_bin(uint32_t size)
{
    for (unsigned bin = heap_bin(size); bin < HEAP_BINS; bin++) {
        if (!(heap.bin_map[bin / 32] >> (bin % 32))) {
            bin |= 31;
            continue;
        }
        int tries = 16; /* the first bin may hold smaller blocks; do not search it for ever */
        for (FreeLarge *f = heap.bins[bin]; f && tries; f = f->next, tries--) {
            uint32_t have = f->header.size;
            if (have < size)
                continue;
            heap_bin_remove(f);
            heap_give((uintptr_t)f + size, have - size);
            f->header.size = size;
            return f;
        }
    }
    return NULL;
}

/* A piece of the smallest free large block. */
static void *heap_carve(uint32_t size)
{
    for (unsigned i = 0; i < HEAP_BINS / 32; i++) {
        if (!heap.bin_map[i])
            continue;
        FreeLarge *f = heap.bins[i * 32 + __builtin_ctz(heap.bin_map[i])];
        heap_bin_remove(f);
        heap_give((uintptr_t)f + size, f->header.size - size);
        return f;
    }
    return NULL;
}

static int heap_grow(uint32_t need)
{
    uint32_t want = heap.top / 8 > HEAP_GROW ? heap.top / 8 : HEAP_GROW;
    if (want < need)
        want = need;
    for (;;) {
        uint32_t pages = (uint32_t)(((uint64_t)want + 65535) / 65536);
        if (pages <= 65536 && __builtin_wasm_memory_grow(0, pages) != (size_t)-1) {
            uint64_t end = (uint64_t)__builtin_wasm_memory_size(0) * 65536;
            heap.end = end > UINT32_MAX ? UINT32_MAX & ~15u : (uintptr_t)end;
            return 1;
        }
        if (want == need)
            return 0;
        want = need;
    }
}

/* Merges all neighbouring free blocks. Blocks of the image are left alone. */
static void heap_merge(uintptr_t from)
{
    memset(heap.small, 0, sizeof(heap.small));
    memset(heap.bins, 0, sizeof(heap.bins));
    memset(heap.bin_map, 0, sizeof(heap.bin_map));
    heap.unmerged = 0;
    uintptr_t run = 0;
    for (uintptr_t at = from; at < heap.top;) {
        LargeHeader *l = (LargeHeader *)at;
        JSMallocBlockHeader *b = (JSMallocBlockHeader *)at;
        int large = l->mark == HEAP_LARGE;
        uint32_t size = large ? l->size : b->u.block_idx * 16u;
        int is_free = large ? l->is_free : b->block_size_idx == 1;
        if (is_free) {
            if (!run)
                run = at;
        } else if (run) {
            heap_give(run, at - run);
            run = 0;
        }
        at += size;
    }
    if (run)
        heap.top = run;
}

static void *heap_bump(uint32_t size)
{
    uintptr_t at = heap.top;
    if (unlikely(size > heap.end - at))
        return NULL;
    heap.top = at + size;
    return (void *)at;
}

/* Makes room for a block when the lists and the memory at hand have none. False: out of memory. */
static no_inline int heap_make_room(uint32_t size)
{
    if (heap.unmerged > HEAP_GROW && heap.unmerged > heap.top / 4) {
        heap_merge(js_image_end);
        return 1;
    }
    if (heap_grow(size - (heap.end - heap.top)))
        return 1;
    if (!heap.unmerged)
        return 0;
    heap_merge(js_image_end);
    return 1;
}

static no_inline void *heap_alloc_large(size_t n)
{
    if (n > 0xfffff000u)
        return NULL;
    uint32_t size = (n + sizeof(LargeHeader) + sizeof(JSMallocBlockHeader) + 15) & ~15u;
    if (size < HEAP_LARGE_MIN)
        size = HEAP_LARGE_MIN;
    LargeHeader *l;
    while (!(l = heap_take_bin(size)) && !(l = heap_bump(size)))
        if (!heap_make_room(size))
            return NULL;
    *l = (LargeHeader){HEAP_LARGE, 0, size};
    JSMallocBlockHeader *b = (JSMallocBlockHeader *)(l + 1);
    b->u.block_idx = HEAP_LARGE;
    return b->user_data;
}

static no_inline JSMallocBlockHeader *heap_refill(uint32_t size)
{
    JSMallocBlockHeader *b;
    while (!(b = heap_carve(size)) && !(b = heap_bump(size))) {
        if (!heap_make_room(size))
            return NULL;
        if ((b = heap.small[size / 16])) {
            heap.small[size / 16] = *(void **)b->user_data;
            break;
        }
    }
    return b;
}

static void *heap_alloc(size_t n)
{
    if (unlikely(n > HEAP_SMALL_MAX - sizeof(JSMallocBlockHeader)))
        return heap_alloc_large(n);
    uint32_t size = (n + sizeof(JSMallocBlockHeader) + 15) & ~15u;
    JSMallocBlockHeader *b = heap.small[size / 16];
    if (b) {
        heap.small[size / 16] = *(void **)b->user_data;
    } else {
        b = heap_bump(size);
        if (unlikely(!b) && !(b = heap_refill(size)))
            return NULL;
        b->u.block_idx = size / 16;
    }
    b->block_size_idx = 0;
    return b->user_data;
}

static void heap_free(void *p)
{
    if ((uintptr_t)p < js_image_end)
        return;
    JSMallocBlockHeader *b = heap_header(p);
    uint32_t idx = b->u.block_idx;
    if (likely(idx != HEAP_LARGE)) {
        b->block_size_idx = 1;
        *(void **)b->user_data = heap.small[idx];
        heap.small[idx] = b;
        heap.unmerged += idx * 16;
        return;
    }
    LargeHeader *l = heap_large(p);
    uintptr_t at = (uintptr_t)l;
    uint32_t size = l->size;
    heap.unmerged += size;
    FreeLarge *next = (FreeLarge *)(at + size);
    if ((uintptr_t)next < heap.top && next->header.mark == HEAP_LARGE && next->header.is_free) {
        heap_bin_remove(next);
        size += next->header.size;
    }
    if (at + size == heap.top)
        heap.top = at;
    else
        heap_bin_add((void *)at, size);
}

/* Extends a large block in place if what follows it allows. */
static int heap_extend(LargeHeader *l, uint32_t size)
{
    uintptr_t next = (uintptr_t)l + l->size;
    uint32_t more = size - l->size;
    if (next == heap.top) {
        if (more > heap.end - heap.top && !heap_grow(more - (heap.end - heap.top)))
            return 0;
        heap.top += more;
        l->size = size;
        return 1;
    }
    FreeLarge *f = (FreeLarge *)next;
    if (f->header.mark != HEAP_LARGE || !f->header.is_free || f->header.size < more)
        return 0;
    heap_bin_remove(f);
    heap_give(next + more, f->header.size - more);
    l->size = size;
    return 1;
}

static void *heap_realloc(void *p, size_t n)
{
    if (!p)
        return heap_alloc(n);
    size_t have = heap_usable(p);
    JSMallocBlockHeader *b = heap_header(p);
    if (n <= have && (n > have / 2 || have < 256 || (uintptr_t)p < js_image_end))
        return p;
    if (n > have && (uintptr_t)p >= js_image_end && b->u.block_idx == HEAP_LARGE && n < 0xfffff000u) {
        uint32_t size = (n + sizeof(LargeHeader) + sizeof(JSMallocBlockHeader) + 15) & ~15u;
        if (heap_extend(heap_large(p), size))
            return p;
    }
    void *q = heap_alloc(n);
    if (!q)
        return n <= have ? p : NULL;
    JSMallocBlockHeader *c = heap_header(q);
    c->gc_obj_type = b->gc_obj_type;
    c->mark = b->mark;
    c->ref_count = b->ref_count;
    memcpy(q, p, n < have ? n : have);
    heap_free(p);
    return q;
}

static void heap_init(void)
{
    heap.top = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    heap.end = __builtin_wasm_memory_size(0) * 65536;
}

/* Everything allocated so far becomes the image. Memory that only held garbage is cleared, so that it costs nothing there. */
static void heap_freeze(void)
{
    uintptr_t from = js_image_end ? js_image_end : ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    heap_merge(from);
    for (unsigned bin = 0; bin < HEAP_BINS; bin++)
        for (FreeLarge *f = heap.bins[bin]; f; f = f->next)
            memset(f + 1, 0, f->header.size - sizeof(FreeLarge));
    uintptr_t top = (heap.top + HEAP_PAGE - 1) & ~(uintptr_t)(HEAP_PAGE - 1);
    if (top > heap.end || heap.end - top < HEAP_SPARE) {
        uintptr_t short_by = top + HEAP_SPARE - heap.end;
        __builtin_wasm_memory_grow(0, (short_by + 65535) / 65536);
        heap.end = __builtin_wasm_memory_size(0) * 65536;
    }
    if (top > heap.end)
        top = heap.end;
    memset((void *)heap.top, 0, heap.end - heap.top);
    memset(&heap.small, 0, sizeof(heap.small));
    memset(heap.bins, 0, sizeof(heap.bins));
    memset(heap.bin_map, 0, sizeof(heap.bin_map));
    heap.unmerged = 0;
    heap.top = top;
    js_image_end = top;
}

/* What quickjs.c calls. */

static void js_arena_init(JSRuntime *rt) { (void)rt; }
static void js_arena_free_all(JSRuntime *rt) { (void)rt; }
static void *js_arena_malloc(JSRuntime *rt, size_t n) { (void)rt; return heap_alloc(n); }
static void js_arena_free(JSRuntime *rt, void *p) { (void)rt; if (p) heap_free(p); }
static size_t js_arena_usable_size(JSRuntime *rt, const void *p) { (void)rt; return p ? heap_usable(p) : 0; }
static void *js_arena_realloc(JSRuntime *rt, void *p, size_t n) { (void)rt; return heap_realloc(p, n); }
static void *js_arena_calloc(JSRuntime *rt, size_t count, size_t size)
{
    (void)rt;
    void *p = heap_alloc(count * size);
    return p ? memset(p, 0, count * size) : NULL;
}

/* What libc and the URL parser call. */

void *malloc(size_t n) { return heap_alloc(n); }
void free(void *p) { if (p) heap_free(p); }
void *realloc(void *p, size_t n) { return heap_realloc(p, n); }
size_t malloc_usable_size(void *p) { return p ? heap_usable(p) : 0; }
void *calloc(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    void *p = heap_alloc(n);
    return p ? memset(p, 0, n) : NULL;
}

/* Under these names libc itself allocates. */
void *__libc_malloc(size_t n) { return heap_alloc(n); }
void __libc_free(void *p) { free(p); }
void *__libc_calloc(size_t count, size_t size) { return calloc(count, size); }

/* The C++ library refers to these; nothing here asks for more than a block's natural 8 bytes. */
void *aligned_alloc(size_t alignment, size_t n) { return alignment <= 8 ? heap_alloc(n) : NULL; }
int posix_memalign(void **p, size_t alignment, size_t n)
{
    *p = aligned_alloc(alignment, n);
    return *p ? 0 : 12 /* ENOMEM */;
}
