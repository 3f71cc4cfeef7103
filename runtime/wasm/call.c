// One run of a guest: a store and an instance over the slot's memory, a call on a fiber, polled until it ends.
#define _GNU_SOURCE
#include "shim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define TABLE_LIMIT 1000000 // elements
#define LOG_KEEP (16u << 10)
#define SCAN_DEAR (8u << 20) // a memory of this size takes over 5 µs to scan

static uint64_t now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// cpu_now is the clock a poll is measured with. The first slice of a run is counted by the monotonic clock (a twelfth of the
// cost, and off by no more than a tick); a run that outlives it is counted by its thread's CPU time.
static uint64_t cpu_now(const aleph_slot *s) { return now(s->exact ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC); }

// aleph_slot_cpu is the time that the run has been on CPU, while it is.
uint64_t aleph_slot_cpu(const aleph_slot *s) { return s->cpu + (cpu_now(s) - s->poll_start); }

static wasmtime_error_t *deadline(wasmtime_context_t *context, void *data, uint64_t *delta, wasmtime_update_deadline_kind_t *kind) {
  (void)context;
  aleph_slot *s = data;
  if (!s->served && aleph_slot_cpu(s) >= s->cpu_budget) {
    s->fault = ALEPH_FAULT_CPU;
    return wasmtime_error_new("cpu budget");
  }
  *delta = 1;
  *kind = WASMTIME_UPDATE_DEADLINE_YIELD;
  return NULL;
}

static __thread long last_faults = -1; // of this thread, when it was looked at last

static long faults(void) {
  struct rusage use;
  getrusage(RUSAGE_THREAD, &use);
  return use.ru_minflt + use.ru_majflt;
}

// forget_faults has those before a poll not count, where the 0.3 µs for it are little to what a scan costs.
static void forget_faults(const aleph_slot *s) {
  if (s->image && s->image->size >= SCAN_DEAR && s->scanned && !s->faulted) last_faults = faults();
}

// note_faults says whether this thread took a page fault since it ended a poll before: then the run may have written pages
// that no run of its slot has written before. Faults of others on the thread count, too: that costs a scan, no more.
static void note_faults(aleph_slot *s) {
  long now = faults();
  if (now != last_faults) s->faulted = true;
  last_faults = now;
}

static void clear_operations(aleph_slot *s) {
  for (uint32_t i = 0; i < s->ops_cap && s->ops_used; i++)
    if (s->ops[i].state != ALEPH_OP_FREE) aleph_op_free(s, &s->ops[i]);
  free(s->ops);
  s->ops = NULL;
  s->ops_cap = 0;
  s->started_len = s->complete_len = s->complete_head = 0;
  s->waiting = false;
}

static void reset(aleph_slot *s) {
  s->fault = ALEPH_FAULT_NONE;
  s->trap_code = 255;
  free(s->fault_message);
  s->fault_message = NULL;
  s->memory_limited = s->node_limited = s->responded = s->exact = s->exited = false;
  s->cpu = 0;
  s->exit_status = 0;
  s->log_len = 0;
  s->log_total = s->log_dropped = 0;
  if (s->log_cap > LOG_KEEP) {
    free(s->log);
    s->log = NULL;
    s->log_cap = 0;
  }
}

// failed takes the trap or error of the call that ended.
static int failed(aleph_slot *s) {
  if (s->exited) { // a trap is how a function that does not return ends the guest
    if (s->trap) wasm_trap_delete(s->trap);
    if (s->error) wasmtime_error_delete(s->error);
    s->trap = NULL;
    s->error = NULL;
    return ALEPH_DONE;
  }
  if (s->fault == ALEPH_FAULT_NONE) s->fault = s->trap ? ALEPH_FAULT_TRAP : ALEPH_FAULT_HOST;
  char *text = NULL;
  if (s->trap) {
    wasmtime_trap_code_t code;
    if (wasmtime_trap_code(s->trap, &code)) s->trap_code = code;
    wasm_message_t message;
    wasm_trap_message(s->trap, &message);
    text = strndup(message.data, message.size);
    wasm_byte_vec_delete(&message);
    wasm_trap_delete(s->trap);
    s->trap = NULL;
  } else {
    text = aleph_take_error(s->error);
    s->error = NULL;
  }
  if (s->fault_message)
    free(text);
  else
    s->fault_message = text;
  s->remap = true;
  return ALEPH_FAILED;
}

// open makes the store and the instance. The instance takes this slot's memory.
static int open_instance(aleph_slot *s, const aleph_module *m) {
  s->dirty = true;
  s->store = wasmtime_store_new(s->engine->engine, s, NULL);
  s->context = wasmtime_store_context(s->store);
  wasmtime_store_limiter(s->store, -1, TABLE_LIMIT, -1, -1, -1);
  wasmtime_store_epoch_deadline_callback(s->store, deadline, s, NULL);
  wasmtime_context_set_epoch_deadline(s->context, 1);
  s->trap = NULL;
  s->error = NULL;
  aleph_current_slot = s;
  wasmtime_call_future_t *future = wasmtime_instance_pre_instantiate_async(m->pre, s->context, &s->instance, &s->trap, &s->error);
  while (!wasmtime_call_future_poll(future)) { // nothing of the guest runs here, so it never yields
  }
  wasmtime_call_future_delete(future);
  aleph_current_slot = NULL;
  return s->trap || s->error ? failed(s) : ALEPH_DONE;
}

// over ends what a run has of the slot beside its instance.
static void over(aleph_slot *s) {
  aleph_lines_end(s);
  s->call.state = ALEPH_CALL_NONE;
  clear_operations(s);
  free(s->event_copy);
  s->event_copy = NULL;
  s->event = NULL;
}

void aleph_slot_close(aleph_slot *s) {
  aleph_serve_drop(s);
  if (s->future) {
    wasmtime_call_future_delete(s->future);
    s->future = NULL;
    s->remap = true; // it was in the middle of something
  }
  if (s->store) {
    wasmtime_store_delete(s->store);
    s->store = NULL;
  }
  over(s);
  s->served = false;
  s->serving = 0;
  if (s->charged) s->remap = true; // it grew
}

// poll lets the run go on. It has begun to, for the clock, at s->poll_start.
static int poll(aleph_slot *s) {
  __atomic_add_fetch(&s->engine->polls, 1, __ATOMIC_RELAXED);
  bool ended = wasmtime_call_future_poll(s->future);
  s->cpu += cpu_now(s) - s->poll_start;
  note_faults(s);
  if (s->served) {
    over(s);
    aleph_serve_park(s);
    return ALEPH_DONE;
  }
  if (!ended) {
    if (s->event && s->event != s->event_copy) { // Go's bytes are only there during the first poll
      s->event_copy = malloc(s->event_len ? s->event_len : 1);
      memcpy(s->event_copy, s->event, s->event_len);
      s->event = s->event_copy;
    }
    if (s->call.state == ALEPH_CALL_ASKED) return ALEPH_CALLED;
    if (s->waiting) return ALEPH_WAITING;
    s->exact = true;
    return ALEPH_YIELDED;
  }
  int status = s->trap || s->error ? failed(s) : ALEPH_DONE;
  aleph_lines_end(s);
  wasmtime_call_future_delete(s->future);
  s->future = NULL;
  if (!s->keep) aleph_slot_close(s);
  return status;
}

int aleph_slot_poll(aleph_slot *s) {
  forget_faults(s);
  s->poll_start = cpu_now(s);
  return poll(s);
}

// aleph_slot_call begins a call of an export of the open instance.
int aleph_slot_call(aleph_slot *s, const char *name, size_t name_len, bool with_event, const uint8_t *event, uint32_t event_len) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(s->context, &s->instance, name, name_len, &item) || item.kind != WASMTIME_EXTERN_FUNC) {
    s->fault = ALEPH_FAULT_HOST;
    s->fault_message = strdup("the export is missing");
    return ALEPH_FAILED;
  }
  s->func = item.of.func;
  s->event = event;
  s->event_len = event_len;
  s->argument.kind = WASMTIME_I32;
  s->argument.of.i32 = (int32_t)event_len;
  s->responded = false;
  s->trap = NULL;
  s->error = NULL;
  s->future = wasmtime_func_call_async(s->context, &s->func, &s->argument, with_event, NULL, 0, &s->trap, &s->error);
  return aleph_slot_poll(s);
}

// clean makes slot and memory as they are before any run.
static int clean(aleph_slot *s) {
  reset(s);
  if (!aleph_slot_restore(s)) return ALEPH_DONE;
  s->fault = ALEPH_FAULT_HOST;
  s->fault_message = strdup("the memory cannot be mapped");
  return ALEPH_FAILED;
}

// aleph_slot_open makes an instance to be called several times.
int aleph_slot_open(aleph_slot *s, const aleph_module *m) {
  uint64_t begun = now(CLOCK_MONOTONIC);
  aleph_serve_drop(s);
  int status = clean(s);
  if (status == ALEPH_DONE) status = open_instance(s, m);
  s->init = now(CLOCK_MONOTONIC) - begun;
  return status;
}

// aleph_slot_start is the hot path: restore, instance, call, first poll, and most often the end, in one crossing from Go.
int aleph_slot_start(aleph_slot *s, const aleph_module *m, const char *name, size_t name_len, bool with_event, const uint8_t *event,
                     uint32_t event_len) {
  int status = aleph_slot_open(s, m);
  if (status == ALEPH_DONE) status = aleph_slot_call(s, name, name_len, with_event, event, event_len);
  if (status == ALEPH_FAILED) aleph_slot_close(s);
  return status;
}

// aleph_slot_serve does the same for aleph_handle of a module whose instances are kept: in that which waits, or in a new one.
int aleph_slot_serve(aleph_slot *s, const aleph_module *m, const uint8_t *event, uint32_t event_len) {
  int status;
  if (s->parked && s->serving == m->id) {
    uint64_t begun = now(CLOCK_MONOTONIC);
    status = clean(s);
    forget_faults(s);
    s->dirty = true;
    s->parked = false;
    s->event = event;
    s->event_len = event_len;
    s->poll_start = now(CLOCK_MONOTONIC);
    s->init = s->poll_start - begun;
    if (status == ALEPH_DONE) status = poll(s);
  } else {
    status = aleph_slot_open(s, m);
    if (status == ALEPH_DONE && !aleph_serve_prepare(s, m)) status = failed(s);
    if (status == ALEPH_DONE) status = aleph_slot_call(s, "aleph:serve", sizeof "aleph:serve" - 1, false, event, event_len);
  }
  if (status == ALEPH_FAILED) aleph_slot_close(s);
  return status;
}

// aleph_slot_global reads an exported global: its kind and its bits. Returns 0, -1: no such global, -2: a reference.
int aleph_slot_global(aleph_slot *s, const char *name, size_t len, uint8_t *kind, uint8_t *value16) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(s->context, &s->instance, name, len, &item) || item.kind != WASMTIME_EXTERN_GLOBAL) return -1;
  wasmtime_val_t value;
  wasmtime_global_get(s->context, &item.of.global, &value);
  *kind = value.kind;
  if (value.kind > WASMTIME_V128) {
    void *raw = value.kind == WASMTIME_FUNCREF && value.of.funcref.store_id ? wasmtime_func_to_raw(s->context, &value.of.funcref) : NULL;
    memset(value16, 0, 16);
    memcpy(value16, &raw, sizeof raw);
    return value.kind == WASMTIME_FUNCREF ? 0 : -2;
  }
  static const uint8_t sizes[] = {4, 8, 4, 8, 16};
  memset(value16, 0, 16);
  memcpy(value16, &value.of, sizes[value.kind]);
  return 0;
}

// aleph_slot_table reads an exported table of functions as addresses that are equal for equal functions of this instance.
// Returns its size, -1: no such table, -2: not functions.
int64_t aleph_slot_table(aleph_slot *s, const char *name, size_t len, void **out, uint64_t cap) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(s->context, &s->instance, name, len, &item) || item.kind != WASMTIME_EXTERN_TABLE) return -1;
  uint64_t size = wasmtime_table_size(s->context, &item.of.table);
  for (uint64_t i = 0; i < size && i < cap; i++) {
    wasmtime_val_t value;
    if (!wasmtime_table_get(s->context, &item.of.table, i, &value) || value.kind != WASMTIME_FUNCREF) return -2;
    out[i] = value.of.funcref.store_id ? wasmtime_func_to_raw(s->context, &value.of.funcref) : NULL;
  }
  return (int64_t)size;
}
