// The host functions of aleph_v1 that answer at once, and op_wait, the one that suspends. abi/SPEC.md says what they mean.
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static aleph_slot *slot_of(wasmtime_caller_t *caller) {
  return wasmtime_context_get_data(wasmtime_caller_context(caller));
}

// violation ends the guest: it broke the contract.
static wasm_trap_t *violation(aleph_slot *s, const char *what) {
  s->fault = ALEPH_FAULT_ABI;
  free(s->fault_message);
  s->fault_message = strdup(what);
  return wasmtime_trap_new(what, strlen(what));
}

// at checks [ptr, ptr+len) against the memory as it is now.
static uint8_t *at(aleph_slot *s, uint32_t ptr, uint32_t len) {
  return (uint64_t)ptr + len <= s->size ? s->base + ptr : NULL;
}

#define OUTSIDE(name) violation(s, "abi: " name ": the address range is outside of the memory")

static wasm_trap_t *event_read(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  uint32_t offset = (uint32_t)v[1].i32, len = (uint32_t)v[2].i32;
  if (offset > s->event_len) offset = s->event_len;
  if (len > s->event_len - offset) len = s->event_len - offset;
  uint8_t *to = at(s, (uint32_t)v[0].i32, len);
  if (!to) return OUTSIDE("event_read");
  memcpy(to, s->event + offset, len);
  v[0].i32 = (int32_t)len;
  return NULL;
}

static wasm_trap_t *respond(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  if (!at(s, (uint32_t)v[0].i32, (uint32_t)v[1].i32)) return OUTSIDE("respond");
  s->response_ptr = (uint32_t)v[0].i32;
  s->response_len = (uint32_t)v[1].i32;
  s->responded = true;
  return NULL;
}

static wasm_trap_t *log_entry(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  uint32_t len = (uint32_t)v[2].i32;
  const uint8_t *text = at(s, (uint32_t)v[1].i32, len);
  if (!text) return OUTSIDE("log");
  aleph_log(s, (uint32_t)v[0].i32, text, len);
  return NULL;
}

// aleph_log adds an entry to the program's log.
void aleph_log(aleph_slot *s, uint32_t level, const uint8_t *text, uint32_t len) {
  if (s->log_dropped || s->log_total + len + 64 > s->log_limit) { // an entry is charged 64 bytes, so that empty ones end, too
    s->log_dropped++;
    return;
  }
  uint32_t need = s->log_len + 5 + len;
  if (need > s->log_cap) {
    uint32_t cap = need < 1024 ? 1024 : need * 2;
    uint8_t *more = realloc(s->log, cap);
    if (!more) {
      s->log_dropped++;
      return;
    }
    s->log = more;
    s->log_cap = cap;
  }
  s->log[s->log_len] = level > 3 ? 3 : (uint8_t)level;
  memcpy(s->log + s->log_len + 1, &len, 4);
  memcpy(s->log + s->log_len + 5, text, len);
  s->log_len = need;
  s->log_total += len + 64;
}

int64_t aleph_clock(aleph_engine *e, uint32_t id) {
  struct timespec t;
  clock_gettime(id ? CLOCK_MONOTONIC : CLOCK_REALTIME, &t);
  int64_t ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
  return id ? ns + __atomic_load_n(&e->clock_offset, __ATOMIC_RELAXED) : ns;
}

static wasm_trap_t *clock_now(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)caller, (void)n;
  uint32_t id = (uint32_t)v[0].i32;
  v[0].i64 = aleph_clock(env, id);
  return NULL;
}

#define RANDOM_MOST 65536u // as in Web Cryptography; no host function runs for long

static wasm_trap_t *random_bytes(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  uint32_t len = (uint32_t)v[1].i32;
  uint8_t *to = at(s, (uint32_t)v[0].i32, len);
  if (!to) return OUTSIDE("random");
  if (len > RANDOM_MOST) return violation(s, "abi: random: more than 65536 bytes at once");
  while (len) {
    ssize_t got = getrandom(to, len, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return violation(s, "host: no randomness");
    to += got;
    len -= (uint32_t)got;
  }
  return NULL;
}

// Operations. A ticket is generation << 8 | index, plus 1, so that a late answer never meets a ticket's next owner.

aleph_op *aleph_op_find(aleph_slot *s, uint32_t ticket) {
  uint32_t index = (ticket - 1) % ALEPH_OPS;
  if (!ticket || index >= s->ops_cap) return NULL;
  aleph_op *op = &s->ops[index];
  return op->state != ALEPH_OP_FREE && op->ticket == ticket ? op : NULL;
}

// more_ops makes room for four times as many operations.
static bool more_ops(aleph_slot *s) {
  uint32_t cap = s->ops_cap ? s->ops_cap * 4 : 4;
  aleph_op *ops = calloc(cap, sizeof *ops + 2 * sizeof *s->started);
  if (!ops) return false;
  uint16_t *started = (uint16_t *)(ops + cap), *complete = started + cap;
  for (uint32_t i = 0; i < s->ops_cap; i++) ops[i] = s->ops[i];
  for (uint32_t i = 0; i < s->started_len; i++) started[i] = s->started[i];
  for (uint32_t i = 0; i < s->complete_len; i++) complete[i] = s->complete[(s->complete_head + i) % s->ops_cap];
  s->complete_head = 0;
  free(s->ops);
  s->ops = ops;
  s->started = started;
  s->complete = complete;
  s->ops_cap = cap;
  return true;
}

void aleph_op_free(aleph_slot *s, aleph_op *op) {
  s->ops_bytes -= op->request_len;
  free(op->request);
  free(op->result);
  memset(op, 0, sizeof *op);
  s->ops_used--;
}

// aleph_op_begin starts an operation: its ticket, or why not, as op_start says.
int32_t aleph_op_begin(aleph_slot *s, uint32_t number, const uint8_t *request, uint32_t len) {
  int32_t refusal = s->loading ? -2 : s->ops_used == ALEPH_OPS ? -1 : len > ALEPH_OPS_BYTES - s->ops_bytes ? -3 : 0;
  if (!refusal && s->ops_used == s->ops_cap && !more_ops(s)) refusal = -1;
  uint8_t *copy = refusal ? NULL : malloc(len ? len : 1);
  if (!copy) return refusal ? refusal : -3;
  memcpy(copy, request, len);
  uint32_t index = s->ops_generation % s->ops_cap; // spread, so that a free one is found at once
  while (s->ops[index].state != ALEPH_OP_FREE) index = (index + 1) % s->ops_cap;
  s->ops_generation++;
  aleph_op *op = &s->ops[index];
  op->state = ALEPH_OP_STARTED;
  op->op = number;
  op->ticket = ((s->ops_generation & 0x3fffff) << 8 | index) + 1;
  op->request = copy;
  op->request_len = len;
  s->ops_used++;
  s->ops_bytes += len;
  s->started[s->started_len++] = (uint16_t)index;
  return (int32_t)op->ticket;
}

static wasm_trap_t *op_start(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  uint32_t number = (uint32_t)v[0].i32, len = (uint32_t)v[2].i32;
  const uint8_t *request = at(s, (uint32_t)v[1].i32, len);
  if (!request) return OUTSIDE("op_start");
  v[0].i32 = aleph_op_begin(s, number, request, len);
  return NULL;
}

// aleph_op_complete takes result, which is malloc'ed.
void aleph_op_complete(aleph_slot *s, uint32_t index, uint8_t *result, uint32_t len) {
  aleph_op *op = &s->ops[index];
  op->state = ALEPH_OP_COMPLETE;
  op->result = result;
  op->result_len = len;
  s->complete[(s->complete_head + s->complete_len++) % s->ops_cap] = (uint16_t)index;
}

// report takes a complete operation out of the queue: the one with that ticket, or for 0 the oldest.
static int64_t report(aleph_slot *s, uint32_t ticket) {
  for (uint32_t i = 0; i < s->complete_len; i++) {
    aleph_op *op = &s->ops[s->complete[(s->complete_head + i) % s->ops_cap]];
    if (ticket && op->ticket != ticket) continue;
    for (uint32_t j = i; j > 0; j--) // close the gap towards the head
      s->complete[(s->complete_head + j) % s->ops_cap] = s->complete[(s->complete_head + j - 1) % s->ops_cap];
    s->complete_head = (s->complete_head + 1) % s->ops_cap;
    s->complete_len--;
    op->state = ALEPH_OP_REPORTED;
    return (int64_t)op->ticket << 32 | op->result_len;
  }
  aleph_op *op = ticket ? aleph_op_find(s, ticket) : NULL;
  return op && op->state == ALEPH_OP_REPORTED ? (int64_t)op->ticket << 32 | op->result_len : 0;
}

// aleph_op_report does so for Go; false: it is not complete.
bool aleph_op_report(aleph_slot *s, uint32_t ticket) { return report(s, ticket) != 0; }

static wasm_trap_t *op_poll(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  v[0].i64 = report(slot_of(caller), 0);
  return NULL;
}

static bool op_waited(void *env) {
  aleph_slot *s = env;
  int64_t answer = s->fault ? 1 : report(s, s->waiting_for); // a violation traps when the wait is over
  if (!answer) return false;
  s->wait_result->kind = WASMTIME_I64;
  s->wait_result->of.i64 = answer;
  s->waiting = false;
  return true;
}

static void op_wait(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs, wasmtime_val_t *results,
                    size_t nresults, wasm_trap_t **trap, wasmtime_async_continuation_t *then) {
  (void)env, (void)nargs, (void)nresults;
  aleph_slot *s = slot_of(caller);
  uint32_t ticket = (uint32_t)args[0].of.i32;
  then->callback = op_waited;
  then->env = s;
  then->finalizer = NULL;
  s->waiting_for = ticket;
  s->wait_result = results;
  s->waiting = true;
  if (s->loading)
    *trap = violation(s, "abi: op_wait: nothing can be waited for while the program is loaded");
  else if (ticket && !aleph_op_find(s, ticket))
    *trap = violation(s, "abi: op_wait: no operation has this ticket");
}

static wasm_trap_t *op_take(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  aleph_op *op = aleph_op_find(s, (uint32_t)v[0].i32);
  if (!op || op->state != ALEPH_OP_REPORTED) return violation(s, "abi: op_take: no operation with this ticket was reported complete");
  uint32_t len = (uint32_t)v[2].i32;
  if (len > op->result_len) len = op->result_len;
  uint8_t *to = at(s, (uint32_t)v[1].i32, len);
  if (!to) return OUTSIDE("op_take");
  memcpy(to, op->result, len);
  aleph_op_free(s, op);
  v[0].i32 = (int32_t)len;
  return NULL;
}

static wasm_trap_t *op_cancel(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  aleph_op *op = aleph_op_find(s, (uint32_t)v[0].i32);
  if (!op) return NULL;
  if (op->state == ALEPH_OP_COMPLETE) report(s, op->ticket);
  if (op->state == ALEPH_OP_STARTED) {
    uint32_t i = 0;
    while (&s->ops[s->started[i]] != op) i++;
    memmove(&s->started[i], &s->started[i + 1], (--s->started_len - i) * sizeof s->started[0]);
  }
  aleph_op_free(s, op);
  return NULL;
}

// aleph_signature makes a function's type: i is an i32, I an i64.
wasm_functype_t *aleph_signature(const char *params, const char *results) {
  wasm_valtype_vec_t p, r;
  wasm_valtype_t *types[16];
  size_t n = 0;
  for (; params[n]; n++) types[n] = wasm_valtype_new(params[n] == 'i' ? WASM_I32 : WASM_I64);
  wasm_valtype_vec_new(&p, n, types);
  for (n = 0; results[n]; n++) types[n] = wasm_valtype_new(results[n] == 'i' ? WASM_I32 : WASM_I64);
  wasm_valtype_vec_new(&r, n, types);
  return wasm_functype_new(&p, &r);
}

char *aleph_define_host(aleph_engine *e, wasmtime_linker_t *linker) {
  static const char module[] = "aleph_v1";
  static const struct {
    const char *name, *params, *results;
    wasmtime_func_unchecked_callback_t call;
  } functions[] = {
      {"event_read", "iii", "i", event_read}, {"respond", "ii", "", respond},       {"log", "iii", "", log_entry},
      {"clock", "i", "I", clock_now},         {"random", "ii", "", random_bytes},   {"op_start", "iii", "i", op_start},
      {"op_poll", "", "I", op_poll},          {"op_take", "iii", "i", op_take},     {"op_cancel", "i", "", op_cancel},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    wasm_functype_t *type = aleph_signature(functions[i].params, functions[i].results);
    wasmtime_error_t *error =
        wasmtime_linker_define_func_unchecked(linker, module, sizeof module - 1, functions[i].name, strlen(functions[i].name), type,
                                              functions[i].call, e, NULL);
    wasm_functype_delete(type);
    if (error) return aleph_take_error(error);
  }
  wasm_functype_t *type = aleph_signature("i", "I");
  wasmtime_error_t *error =
      wasmtime_linker_define_async_func(linker, module, sizeof module - 1, "op_wait", strlen("op_wait"), type, op_wait, e, NULL);
  wasm_functype_delete(type);
  return aleph_take_error(error);
}
