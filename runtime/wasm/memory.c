// Linear memories and fiber stacks: where they lie, how an image comes into one, how it is restored.
//
// All reservations are made at once, when the engine is made: a slot's is 4 GiB and a guard, inaccessible but for the
// memory's pages, so a guest's 32-bit address and static offset cannot leave it. The kernel merges neighbouring
// inaccessible ranges into one map; a slot in use costs at most three (image, growth, rest) and a stack two.
//
// An image is runs of pages in a file over another image, its base: all programs of a language share the pages of the engine's.
// Each run lies over the base's map and splits it, two maps more for each slot; that is why their number is bounded where
// images are written, and why Go counts maps. The restore looks a page's bytes up in the views of the two files instead of
// mapping them once more in the memory's order: that would cost each program in use as many maps again.
//
// A restored memory holds, byte for byte, its image. Two ways:
//   copy     PAGEMAP_SCAN names the pages that were ever written since the image was mapped; each is copied back. The pages
//            stay resident, so the next request takes no fault on them. And who takes no fault writes no other page: where
//            the thread's count of faults has not moved during a run, the pages are those of the last scan (a scan costs
//            1.5 µs and more with the memory's size, the count 0.3). Ranges are copied as they are: to copy a gap between two
//            would write pages that nobody wrote, a fault and a page each.
//   discard  MADV_DONTNEED drops every private page: the next request faults on what it touches. For kernels before 6.7.
// A memory that grew, or wrote more than copy_limit pages, is mapped anew: it keeps nothing resident.
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

// From linux/fs.h of 6.7; Debian 12's headers are older.
#define SCAN_PFNZERO (1ull << 5)
#define SCAN_FILE (1ull << 2)
#define SCAN_PRESENT (1ull << 3)
#define SCAN_SWAPPED (1ull << 4)
struct scan_region {
  uint64_t start, end, categories;
};
struct scan_arg {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted, category_mask, category_anyof_mask,
      return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct scan_arg)
#define SCAN_REGIONS 64 // a call

#define STACK_GUARD (64u << 10)
#define STACK_KEEP (64u << 10) // what a stack keeps resident after deep use
#define STACK_MARK (68u << 10) // the page below; used by whoever went deeper

__thread aleph_slot *aleph_current_slot;

static void lock(uint32_t *l) {
  while (__atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE))
    while (__atomic_load_n(l, __ATOMIC_RELAXED)) __builtin_ia32_pause();
}
static void unlock(uint32_t *l) { __atomic_store_n(l, 0, __ATOMIC_RELEASE); }

static void *reserve(uint64_t len) {
  return mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

char *aleph_memory_reserve(aleph_engine *e) {
  uint64_t slots = e->slot_count;
  e->stack_stride = e->stack_size + STACK_GUARD;
  e->memories = reserve(slots * e->stride);
  e->stack_space = reserve(slots * e->stack_stride + STACK_GUARD);
  e->slots = mmap(NULL, slots * sizeof(aleph_slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  e->stacks = calloc(slots, sizeof *e->stacks);
  if (e->memories == MAP_FAILED || e->stack_space == MAP_FAILED || (void *)e->slots == MAP_FAILED || !e->stacks) {
    char *text;
    if (asprintf(&text, "%llu GiB of address space for %u instances cannot be reserved: %s",
                 (unsigned long long)((slots * (e->stride + e->stack_stride)) >> 30), e->slot_count, strerror(errno)) < 0)
      text = strdup("address space cannot be reserved");
    return text;
  }
  if (e->pagemap >= 0) { // does this kernel scan?
    struct scan_arg probe = {.size = sizeof probe, .start = (uint64_t)e->memories, .end = (uint64_t)e->memories + ALEPH_PAGE,
                             .category_anyof_mask = SCAN_PRESENT, .return_mask = SCAN_PRESENT};
    struct scan_region region;
    probe.vec = (uint64_t)&region, probe.vec_len = 1;
    if (ioctl(e->pagemap, PAGEMAP_SCAN, &probe) < 0) {
      close(e->pagemap);
      e->pagemap = -1;
    }
  }
  return NULL;
}

void aleph_memory_release(aleph_engine *e) {
  if (e->memories && e->memories != MAP_FAILED) munmap(e->memories, e->slot_count * e->stride);
  if (e->stack_space && e->stack_space != MAP_FAILED) munmap(e->stack_space, e->slot_count * e->stack_stride + STACK_GUARD);
  if (e->slots && (void *)e->slots != MAP_FAILED) munmap(e->slots, e->slot_count * sizeof(aleph_slot));
  free(e->stacks);
}

// seal makes [from, to) of the slot's memory inaccessible and gives its pages back.
static int seal(aleph_slot *s, uint64_t from, uint64_t to) {
  if (from >= to) return 0;
  void *p = mmap(s->base + from, to - from, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return p == MAP_FAILED ? errno : 0;
}

// uncharge gives the growth of the slot's memory back to the engine's budget, once it is sealed.
static void uncharge(aleph_slot *s) {
  if (s->charged) __atomic_add_fetch(&s->engine->budget, (int64_t)s->charged, __ATOMIC_RELAXED);
  s->charged = 0;
}

// lay maps the image's runs over its base's. Returns 0 or errno.
static int lay(aleph_slot *s, const aleph_image *image) {
  int fault = image->base ? lay(s, image->base) : 0;
  for (uint32_t i = 0; !fault && i < image->run_count; i++) {
    const aleph_run *r = &image->runs[i];
    if (mmap(s->base + r->start, r->end - r->start, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, image->fd,
             (off_t)r->offset) == MAP_FAILED)
      fault = errno;
  }
  return fault;
}

// aleph_slot_map lays an image into the slot's memory. Returns 0 or errno.
int aleph_slot_map(aleph_slot *s, const aleph_image *image, uint64_t limit) {
  uint64_t old = s->size, size = image->size;
  s->image = image;
  s->limit = limit;
  s->scanned = false;
  s->dirty_pages = s->dirty_len = 0;
  int fault = 0;
  if (size && mmap(s->base, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
    fault = errno;
  if (!fault) fault = lay(s, image);
  if (!fault) fault = seal(s, size, old);
  if (fault) {
    uint64_t most = old > size ? old : size;
    s->size = seal(s, 0, most) ? most : 0;
    s->dirty = s->remap = true; // the next restore tries again
    return fault;
  }
  uncharge(s);
  s->size = size;
  s->dirty = s->remap = false;
  return 0;
}

void aleph_slot_unmap(aleph_slot *s) {
  free(s->dirty_ranges);
  s->dirty_ranges = NULL;
  s->dirty_cap = s->dirty_len = 0;
  s->scanned = false;
  s->image = NULL;
  if (seal(s, 0, s->size)) return;
  uncharge(s);
  s->size = 0;
  s->dirty = s->remap = false;
}

static int map_anew(aleph_slot *s) { return aleph_slot_map(s, s->image, s->limit); }

// source finds the image's bytes at an offset of the memory: where they are, NULL for zeros, and up to which offset they lie
// together.
static const uint8_t *source(const aleph_image *image, uint64_t at, uint64_t *end) {
  *end = UINT64_MAX;
  for (; image; image = image->base) {
    uint32_t low = 0, high = image->run_count; // the first run that ends behind at
    while (low < high) {
      uint32_t mid = (low + high) / 2;
      if (image->runs[mid].end <= at)
        low = mid + 1;
      else
        high = mid;
    }
    if (low == image->run_count) continue;
    const aleph_run *r = &image->runs[low];
    if (r->start <= at) {
      if (r->end < *end) *end = r->end;
      return image->view + r->offset + (at - r->start);
    }
    if (r->start < *end) *end = r->start;
  }
  return NULL;
}

static void copy_range(aleph_slot *s, const aleph_range *r) {
  if (r->source)
    memcpy(s->base + r->start, r->source, r->end - r->start);
  else
    memset(s->base + r->start, 0, r->end - r->start);
}

// remember keeps a range for the next restores; false: there is no room.
static bool remember(aleph_slot *s, aleph_range r) {
  if (s->dirty_len == s->dirty_cap) {
    uint32_t cap = s->dirty_cap ? 2 * s->dirty_cap : 16;
    aleph_range *more = realloc(s->dirty_ranges, cap * sizeof *more);
    if (!more) return false;
    s->dirty_ranges = more;
    s->dirty_cap = cap;
  }
  s->dirty_ranges[s->dirty_len++] = r;
  return true;
}

// copy_back restores the written pages; false if the slot is better mapped anew.
static bool copy_back(aleph_slot *s) {
  if (s->scanned && !s->faulted) {
    for (uint32_t i = 0; i < s->dirty_len; i++) copy_range(s, &s->dirty_ranges[i]);
    return true;
  }
  struct scan_region regions[SCAN_REGIONS];
  struct scan_arg arg = {
      .size = sizeof arg,
      .end = (uint64_t)s->base + s->size,
      .vec = (uint64_t)regions,
      .vec_len = SCAN_REGIONS,
      .category_inverted = SCAN_FILE | SCAN_PFNZERO,
      .category_mask = SCAN_FILE | SCAN_PFNZERO,
      .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
      .return_mask = SCAN_PRESENT,
  };
  uint64_t from = (uint64_t)s->base;
  s->dirty_pages = s->dirty_len = 0;
  s->scanned = true;
  while (from < arg.end) {
    arg.start = from;
    int n = ioctl(s->engine->pagemap, PAGEMAP_SCAN, &arg);
    if (n < 0) return false;
    for (int i = 0; i < n; i++) {
      uint64_t start = regions[i].start - (uint64_t)s->base, end = regions[i].end - (uint64_t)s->base;
      s->dirty_pages += (uint32_t)((end - start) / ALEPH_PAGE);
      if (s->dirty_pages > s->engine->copy_limit) return false;
      while (start < end) {
        uint64_t until;
        aleph_range r = {.start = start, .source = source(s->image, start, &until)};
        r.end = until < end ? until : end;
        copy_range(s, &r);
        s->scanned = remember(s, r) && s->scanned;
        start = r.end;
      }
    }
    if (arg.walk_end <= from) return false;
    from = arg.walk_end;
  }
  s->faulted = false;
  return true;
}

// aleph_slot_restore makes the memory its image again. Returns 0 or errno.
int aleph_slot_restore(aleph_slot *s) {
  if (!s->dirty) return 0;
  if (!s->image) return EINVAL; // nothing was mapped since the last release, which failed
  if (s->remap || s->size != s->image->size) return map_anew(s);
  if (s->engine->pagemap < 0) {
    if (madvise(s->base, s->size, MADV_DONTNEED)) return map_anew(s);
  } else if (!copy_back(s)) {
    return map_anew(s);
  }
  s->dirty = false;
  return 0;
}

// Wasmtime asks for memories and stacks here.

static uint8_t *memory_get(void *env, size_t *size, size_t *capacity) {
  aleph_slot *s = env;
  *size = s->size;
  *capacity = ALEPH_RESERVATION;
  return s->base;
}

static wasmtime_error_t *memory_grow(void *env, size_t size) {
  aleph_slot *s = env;
  if (size > s->limit) {
    s->memory_limited = true;
    return wasmtime_error_new("memory limit");
  }
  int64_t more = (int64_t)(size - s->size);
  if (more <= 0) return NULL;
  if (__atomic_sub_fetch(&s->engine->budget, more, __ATOMIC_RELAXED) < 0) {
    __atomic_add_fetch(&s->engine->budget, more, __ATOMIC_RELAXED);
    s->node_limited = true;
    return wasmtime_error_new("node memory");
  }
  if (mprotect(s->base + s->size, (size_t)more, PROT_READ | PROT_WRITE)) {
    __atomic_add_fetch(&s->engine->budget, more, __ATOMIC_RELAXED);
    s->node_limited = true;
    return wasmtime_error_new(strerror(errno));
  }
  s->charged += (uint64_t)more;
  s->size = size;
  return NULL;
}

static wasmtime_error_t *memory_new(void *env, const wasm_memorytype_t *type, size_t minimum, size_t maximum, size_t reserved,
                                    size_t guard, wasmtime_linear_memory_t *out) {
  (void)env, (void)type, (void)maximum;
  aleph_slot *s = aleph_current_slot;
  if (!s) return wasmtime_error_new("a memory was asked for outside of an instance's start");
  if (reserved > ALEPH_RESERVATION || guard > ALEPH_GUARD) return wasmtime_error_new("a memory needs more address space than a slot has");
  if (minimum > s->size) return wasmtime_error_new("the image is smaller than the module's memory");
  aleph_current_slot = NULL; // one memory an instance
  out->env = s;
  out->get_memory = memory_get;
  out->grow_memory = memory_grow;
  out->finalizer = NULL;
  return NULL;
}

static uint8_t *stack_get(void *env, size_t *len) {
  aleph_stack *stack = env;
  *len = stack->engine->stack_size;
  return stack->base + stack->engine->stack_size;
}

// aleph_stack_at finds the stack that an address lies in.
const aleph_stack *aleph_stack_at(const aleph_engine *e, const void *p) {
  return &e->stacks[(uint64_t)((const uint8_t *)p - e->stack_space) / e->stack_stride];
}

// aleph_stack_deep says that more of a stack was used than it may keep resident.
bool aleph_stack_deep(const aleph_stack *stack) {
  const uint8_t *mark = stack->base + stack->engine->stack_size - STACK_MARK;
  uint64_t used = 0;
  for (int i = 0; i < ALEPH_PAGE; i += 512) used |= *(const uint64_t *)(mark + i);
  return used != 0;
}

static void stack_free(void *env) {
  aleph_stack *stack = env;
  aleph_engine *e = stack->engine;
  if (aleph_stack_deep(stack)) madvise(stack->base, e->stack_size - STACK_KEEP, MADV_DONTNEED);
  lock(&e->stacks_lock);
  stack->next = e->stack_free;
  e->stack_free = stack;
  unlock(&e->stacks_lock);
}

static wasmtime_error_t *stack_new(void *env, size_t size, bool zeroed, wasmtime_stack_memory_t *out) {
  (void)zeroed;
  aleph_engine *e = env;
  if (size > e->stack_size) return wasmtime_error_new("a stack larger than the engine's was asked for");
  lock(&e->stacks_lock);
  aleph_stack *stack = e->stack_free;
  if (stack)
    e->stack_free = stack->next;
  else if (e->stacks_made < e->slot_count)
    stack = &e->stacks[e->stacks_made++];
  unlock(&e->stacks_lock);
  if (!stack) return wasmtime_error_new("no stack is free");
  if (!stack->base) {
    uint8_t *base = e->stack_space + (uint64_t)(stack - e->stacks) * e->stack_stride + STACK_GUARD;
    if (mprotect(base, e->stack_size, PROT_READ | PROT_WRITE)) return wasmtime_error_new(strerror(errno)); // lost, never handed out
    stack->base = base;
    stack->engine = e;
  }
  out->env = stack;
  out->get_stack_memory = stack_get;
  out->finalizer = stack_free;
  return NULL;
}

void aleph_memory_creators(aleph_engine *e, wasm_config_t *config) {
  wasmtime_memory_creator_t memories = {.env = e, .new_memory = memory_new};
  wasmtime_stack_creator_t stacks = {.env = e, .new_stack = stack_new};
  wasmtime_config_host_memory_creator_set(config, &memories);
  wasmtime_config_host_stack_creator_set(config, &stacks);
}
