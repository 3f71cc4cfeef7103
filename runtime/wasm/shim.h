// The C half of package wasm. See doc.go for what it promises; this header says who owns what.
//
//   aleph_engine   one per process, made by aleph_engine_new, freed by aleph_engine_delete when no slot is in use
//   aleph_module   compiled code bound to the host functions; outlives every slot that runs it
//   aleph_slot     one linear memory and what runs in it; lives in the engine's array. One goroutine at a time uses it
//
// Threads: a slot may be resumed from any thread, one after the other. While guest code runs nothing else touches its slot.
// Memory returned in fields named *_message is malloc'ed and the slot's; it is freed at the next start.
#ifndef ALEPH_SHIM_H
#define ALEPH_SHIM_H

#include "wasmtime.h"

#define ALEPH_PAGE 4096u
#define ALEPH_RESERVATION (1ull << 32) // what a 32-bit memory can address
#define ALEPH_GUARD (32ull << 20)      // and a static offset beyond it; wasmtime's default
#define ALEPH_OPS 256
#define ALEPH_OPS_BYTES (16u << 20)

enum aleph_status { ALEPH_DONE, ALEPH_FAILED, ALEPH_YIELDED, ALEPH_WAITING, ALEPH_CALLED };

// Why a run failed, where it is known better than by the trap's code.
enum aleph_fault { ALEPH_FAULT_NONE, ALEPH_FAULT_ABI, ALEPH_FAULT_CPU, ALEPH_FAULT_TRAP, ALEPH_FAULT_HOST };

enum aleph_op_state { ALEPH_OP_FREE, ALEPH_OP_STARTED, ALEPH_OP_RUNNING, ALEPH_OP_COMPLETE, ALEPH_OP_REPORTED };

typedef struct {
  uint32_t state, op, ticket, request_len, result_len;
  uint8_t *request; // malloc'ed at op_start, the host frees it with the ticket
  uint8_t *result;  // malloc'ed by the host, freed with the ticket
} aleph_op;

// A call of a function that Go answers. The guest is suspended in it, so there is one at a time.
#define ALEPH_CALL_ARGS 9
enum aleph_call_state { ALEPH_CALL_NONE, ALEPH_CALL_ASKED, ALEPH_CALL_WAITING, ALEPH_CALL_ANSWERED };

typedef struct {
  uint32_t state, function, error;
  uint32_t ticket; // of the operation that it waits for
  uint64_t args[ALEPH_CALL_ARGS];
  wasmtime_val_t *result;
} aleph_call;

// What was written to the log and is not a line yet.
typedef struct {
  uint8_t *text;
  uint32_t len;
} aleph_line;

// A written range of a memory, and where its bytes are in the image; NULL: they are zeros.
typedef struct {
  uint64_t start, end; // offsets in the memory
  const uint8_t *source;
} aleph_range;

// A part of a memory that is in an image's file.
typedef struct {
  uint64_t start, end; // offsets in the memory, multiples of the page size
  uint64_t offset;     // of its first byte in the file, a multiple of the page size
} aleph_run;

// An image: runs over a base. What is in no run is the base's, where there is none zeros.
typedef struct aleph_image {
  const struct aleph_image *base; // outlives this
  int fd;
  const uint8_t *view;  // of the whole file, read-only
  uint64_t size;        // the memory's
  uint32_t run_count;
  aleph_run *runs;      // sorted; they do not touch
} aleph_image;

typedef struct aleph_engine aleph_engine;

typedef struct aleph_stack {
  aleph_engine *engine;
  uint8_t *base; // lowest accessible byte
  struct aleph_stack *next;
} aleph_stack;

typedef struct {
  aleph_engine *engine;
  wasmtime_module_t *module;
  wasmtime_instance_pre_t *pre;
  uint64_t id;   // no other module of the engine has it, or had
  uint32_t kept; // bytes that an instance takes which is kept from event to event; 0: none is
} aleph_module;

typedef struct {
  aleph_engine *engine;

  // Linear memory: [base, base+size) is accessible, the rest of the reservation and the guard are not.
  uint8_t *base;
  uint64_t size;             // bytes, a multiple of 64 KiB
  uint64_t limit;            // what size may grow to
  const aleph_image *image;  // what is mapped, NULL: nothing
  bool dirty;                // a guest ran since the last restore
  bool remap;                // it cannot be restored in place
  bool scanned;              // dirty_ranges are all pages written since the image was mapped, but for those of faulted runs
  bool faulted;              // a run since the last scan may have written others
  uint32_t dirty_pages;      // pages copied back by the last restore
  uint32_t dirty_len, dirty_cap;
  aleph_range *dirty_ranges; // malloc'ed; no more than copy_limit

  // The run.
  uint64_t serving;          // the id of the module whose serve function is called; 0: another function is
  uint32_t kept;             // … and its kept
  bool served;               // it has served the event
  bool parked;               // … and waits for the next one
  const aleph_stack *stack;  // that it runs on
  wasmtime_store_t *store;
  wasmtime_context_t *context;
  wasmtime_instance_t instance;
  wasmtime_call_future_t *future;
  wasmtime_func_t func;
  wasmtime_val_t argument;
  wasm_trap_t *trap;
  wasmtime_error_t *error;
  bool keep;                 // the instance outlives the call (captures)
  bool loading;              // operations are refused
  const uint8_t *event;      // Go's during the first poll, the slot's copy later
  uint8_t *event_copy;
  uint32_t event_len;
  uint64_t response_ptr;
  uint32_t response_len;
  bool responded;
  aleph_call call;
  uint32_t log_fds;          // bit n: what is written to fd n goes to the log

  // What happened.
  bool exited;               // it ended itself
  uint32_t exit_status;
  uint32_t fault;            // enum aleph_fault
  uint32_t trap_code;        // wasmtime_trap_code_t, 255: none
  char *fault_message;
  bool memory_limited;       // memory.grow was refused for the limit
  bool node_limited;         // … for the node's budget
  uint64_t charged;          // bytes of growth charged to the engine's budget; given back when the growth is unmapped

  // Time on CPU, nanoseconds.
  uint64_t cpu, cpu_budget;
  uint64_t init;             // of restoring the memory and making the instance
  uint64_t poll_start;
  bool exact;                // count thread CPU time instead of the clock's

  // Log entries: level u8, length u32, text.
  uint8_t *log;
  uint32_t log_len, log_cap;
  uint64_t log_total, log_limit, log_dropped;
  aleph_line lines[2];       // of fds 1 and 2

  // Operations.
  uint32_t ops_used, ops_bytes, ops_generation;
  uint32_t started_len, complete_head, complete_len;
  uint32_t waiting_for;      // ticket, 0: any
  bool waiting;
  wasmtime_val_t *wait_result;
  uint32_t ops_cap;          // 0, 4, 16, 64 or 256: most guests have few at once
  aleph_op *ops;             // one block of memory with the two below
  uint16_t *started, *complete; // indices; complete is a ring
} aleph_slot;

struct aleph_engine {
  wasm_engine_t *engine;
  wasmtime_linker_t *linker;
  wasm_functype_t *begin_type, *end_type; // of the functions that serve calls
  uint64_t modules;                       // that were bound, ever
  aleph_slot *slots;
  uint32_t slot_count;
  uint8_t *memories;   // slot_count reservations with their guards
  uint64_t stride;
  int pagemap;         // /proc/self/pagemap, -1: restore by discarding
  uint32_t copy_limit; // pages; a slot with more is mapped anew

  // Fiber stacks: as many as slots, made when first needed, then kept in a free list.
  uint8_t *stack_space;
  uint64_t stack_size, stack_stride, max_wasm_stack;
  aleph_stack *stacks, *stack_free;
  uint32_t stacks_made, stacks_lock;

  int64_t clock_offset; // monotonic to the guests' monotonic clock, ns
  int64_t budget;       // bytes that memories may still grow by
  uint32_t polls;       // counts runs, so that an idle engine ticks slowly
  uint32_t stop;
  uint64_t tick;        // ns
  unsigned long ticker; // pthread_t
};

// engine.c
char *aleph_engine_new(uint32_t slots, uint64_t max_wasm_stack, uint64_t tick_ns, int64_t budget, bool discard, uint32_t copy_limit,
                       uint32_t procs, aleph_engine **out);
void aleph_engine_delete(aleph_engine *);
char *aleph_compile(aleph_engine *, const uint8_t *wasm, size_t len, wasm_byte_vec_t *out);
char *aleph_validate(aleph_engine *, const uint8_t *wasm, size_t len);
char *aleph_module_load(aleph_engine *, const char *path, aleph_module *out);
char *aleph_module_bind(aleph_module *);
void aleph_module_delete(aleph_module *);
char *aleph_wat(const char *text, size_t len, wasm_byte_vec_t *out);
char *aleph_take_error(wasmtime_error_t *);

// memory.c
void aleph_memory_creators(aleph_engine *, wasm_config_t *);
char *aleph_memory_reserve(aleph_engine *);
void aleph_memory_release(aleph_engine *);
int aleph_slot_map(aleph_slot *, const aleph_image *, uint64_t limit);
void aleph_slot_unmap(aleph_slot *);
int aleph_slot_restore(aleph_slot *);
const aleph_stack *aleph_stack_at(const aleph_engine *, const void *);
bool aleph_stack_deep(const aleph_stack *);
extern __thread aleph_slot *aleph_current_slot; // whose memory the instance being made takes

// host.c
char *aleph_define_host(aleph_engine *, wasmtime_linker_t *);
void aleph_op_free(aleph_slot *, aleph_op *);
aleph_op *aleph_op_find(aleph_slot *, uint32_t ticket);
void aleph_op_complete(aleph_slot *, uint32_t index, uint8_t *result, uint32_t len);
int64_t aleph_clock(aleph_engine *, uint32_t id);
void aleph_log(aleph_slot *, uint32_t level, const uint8_t *text, uint32_t len);
int32_t aleph_op_begin(aleph_slot *, uint32_t op, const uint8_t *request, uint32_t len);
bool aleph_op_report(aleph_slot *, uint32_t ticket);
wasm_functype_t *aleph_signature(const char *params, const char *results);

// wasi.c
char *aleph_define_wasi(aleph_engine *, wasmtime_linker_t *);
const char *aleph_call_name(uint32_t function);
void aleph_lines_end(aleph_slot *);

// serve.c
bool aleph_serve_prepare(aleph_slot *, const aleph_module *);
void aleph_serve_park(aleph_slot *);
void aleph_serve_drop(aleph_slot *);

// call.c
int aleph_slot_start(aleph_slot *, const aleph_module *, const char *name, size_t name_len, bool with_event, const uint8_t *event,
                     uint32_t event_len);
int aleph_slot_serve(aleph_slot *, const aleph_module *, const uint8_t *event, uint32_t event_len);
int aleph_slot_open(aleph_slot *, const aleph_module *);
int aleph_slot_call(aleph_slot *, const char *name, size_t name_len, bool with_event, const uint8_t *event, uint32_t event_len);
int aleph_slot_poll(aleph_slot *);
uint64_t aleph_slot_cpu(const aleph_slot *);
void aleph_slot_close(aleph_slot *);
int aleph_slot_global(aleph_slot *, const char *name, size_t len, uint8_t *kind, uint8_t *value16);
int64_t aleph_slot_table(aleph_slot *, const char *name, size_t len, void **out, uint64_t cap);

#endif
