// The functions of wasi_snapshot_preview1. What needs nothing but the slot answers here: clocks, randomness, what is written to
// the log, the end of the program. All others suspend the guest and are answered in Go, one call at a time (runtime/wasi).
//
// Errors and layouts are those of
// https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { OK = 0, BADF = 8, FAULT = 21, INVAL = 28, IO = 29, NOTSUP = 58 };

#define RANDOM_MOST (16u << 20) // no host function runs for long
#define VECTORS_MOST 1024u      // Linux's IOV_MAX
#define WRITE_MOST (1u << 20)   // bytes; who writes more learns how much was taken
#define LINE_MOST 8192u         // bytes; a longer line is several entries of the log

static aleph_slot *slot_of(wasmtime_caller_t *caller) {
  return wasmtime_context_get_data(wasmtime_caller_context(caller));
}

static uint8_t *at(aleph_slot *s, uint32_t ptr, uint32_t len) {
  return (uint64_t)ptr + len <= s->size ? s->base + ptr : NULL;
}

static wasm_trap_t *answer(wasmtime_val_raw_t *v, int32_t number) {
  v[0].i32 = number;
  return NULL;
}

// line_end logs what is left of a line.
static void line_end(aleph_slot *s, uint32_t stream) {
  aleph_line *line = &s->lines[stream];
  if (line->len) aleph_log(s, stream ? 3 : 1, line->text, line->len);
  line->len = 0;
}

void aleph_lines_end(aleph_slot *s) {
  for (uint32_t i = 0; i < 2; i++)
    if (s->lines[i].text) {
      line_end(s, i);
      free(s->lines[i].text);
      s->lines[i].text = NULL;
    }
}

// line_add logs the lines of what was written, and keeps what is behind the last.
static void line_add(aleph_slot *s, uint32_t stream, const uint8_t *text, uint32_t len) {
  aleph_line *line = &s->lines[stream];
  if (!line->text && !(line->text = malloc(LINE_MOST))) return;
  while (len) {
    const uint8_t *newline = memchr(text, '\n', len);
    uint32_t n = newline ? (uint32_t)(newline - text) : len, room = LINE_MOST - line->len;
    bool whole = n <= room;
    if (!whole) n = room;
    memcpy(line->text + line->len, text, n);
    line->len += n;
    if (whole && newline) n++;
    if (newline || !whole) line_end(s, stream);
    text += n;
    len -= n;
  }
}

// call is a function that Go answers. A continuation that is polled before the answer is there suspends the guest.

static bool answered(void *env) {
  aleph_slot *s = env;
  if (s->call.state != ALEPH_CALL_ANSWERED) return false;
  s->call.state = ALEPH_CALL_NONE;
  s->call.result->kind = WASMTIME_I32;
  s->call.result->of.i32 = (int32_t)s->call.error;
  return true;
}

static void call(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs, wasmtime_val_t *results, size_t nresults,
                 wasm_trap_t **trap, wasmtime_async_continuation_t *then) {
  (void)nresults, (void)trap;
  aleph_slot *s = slot_of(caller);
  s->call.state = ALEPH_CALL_ASKED;
  s->call.function = (uint32_t)(uintptr_t)env;
  for (size_t i = 0; i < nargs && i < ALEPH_CALL_ARGS; i++)
    s->call.args[i] = args[i].kind == WASMTIME_I32 ? (uint32_t)args[i].of.i32 : (uint64_t)args[i].of.i64;
  s->call.result = results;
  then->callback = answered;
  then->env = s;
  then->finalizer = NULL;
}

static wasm_trap_t *clock_res_get(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  uint8_t *to = at(s, (uint32_t)v[1].i32, 8);
  if ((uint32_t)v[0].i32 > 3) return answer(v, INVAL);
  if (!to) return answer(v, FAULT);
  memcpy(to, &(uint64_t){1}, 8);
  return answer(v, OK);
}

static wasm_trap_t *clock_time_get(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)n;
  aleph_slot *s = slot_of(caller);
  uint8_t *to = at(s, (uint32_t)v[2].i32, 8);
  uint32_t id = (uint32_t)v[0].i32;
  if (id > 3) return answer(v, INVAL);
  if (!to) return answer(v, FAULT);
  uint64_t now = id < 2 ? (uint64_t)aleph_clock(env, id) : aleph_slot_cpu(s);
  memcpy(to, &now, 8);
  return answer(v, OK);
}

static wasm_trap_t *random_get(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  uint32_t len = (uint32_t)v[1].i32;
  uint8_t *to = at(s, (uint32_t)v[0].i32, len);
  if (!to) return answer(v, FAULT);
  if (len > RANDOM_MOST) return answer(v, INVAL);
  while (len) {
    ssize_t got = getrandom(to, len, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return answer(v, IO);
    to += got;
    len -= (uint32_t)got;
  }
  return answer(v, OK);
}

static wasm_trap_t *sched_yield(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)caller, (void)n;
  return answer(v, OK); // whose slice is over yields at its next loop or call
}

static wasm_trap_t *proc_exit(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  s->exited = true;
  s->exit_status = (uint32_t)v[0].i32;
  return wasmtime_trap_new("exit", 4);
}

static wasm_trap_t *proc_raise(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)env, (void)n;
  aleph_slot *s = slot_of(caller);
  uint32_t signal = (uint32_t)v[0].i32;
  if (signal == 0) return answer(v, OK); // it asks whether one could be raised
  char text[64];
  snprintf(text, sizeof text, "the program raised the signal %u", signal);
  s->fault = ALEPH_FAULT_TRAP;
  free(s->fault_message);
  s->fault_message = strdup(text);
  return wasmtime_trap_new(text, strlen(text));
}

// log_write is fd_write to 1 or 2 where they are the program's log.
static int32_t log_write(aleph_slot *s, uint32_t stream, uint32_t vectors, uint32_t count, uint32_t written) {
  if (count > VECTORS_MOST) return INVAL;
  const uint8_t *vector = at(s, vectors, 8 * count);
  uint8_t *to = at(s, written, 4);
  if (!vector || !to) return FAULT;
  uint32_t sum = 0;
  for (uint32_t i = 0; i < count && sum < WRITE_MOST; i++) {
    uint32_t ptr, len;
    memcpy(&ptr, vector + 8 * i, 4);
    memcpy(&len, vector + 8 * i + 4, 4);
    const uint8_t *text = at(s, ptr, len);
    if (!text) return FAULT;
    if (len > WRITE_MOST - sum) len = WRITE_MOST - sum;
    line_add(s, stream, text, len);
    sum += len;
  }
  memcpy(to, &sum, 4);
  return OK;
}

static void fd_write(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs, wasmtime_val_t *results,
                     size_t nresults, wasm_trap_t **trap, wasmtime_async_continuation_t *then) {
  aleph_slot *s = slot_of(caller);
  uint32_t fd = (uint32_t)args[0].of.i32;
  call(env, caller, args, nargs, results, nresults, trap, then);
  if (fd > 2 || !(s->log_fds & 1u << fd)) return;
  s->call.error = (uint32_t)log_write(s, fd - 1, (uint32_t)args[1].of.i32, (uint32_t)args[2].of.i32, (uint32_t)args[3].of.i32);
  s->call.state = ALEPH_CALL_ANSWERED;
}

// The order is that of Function in system.go.
static const struct {
  const char *name, *params;
  wasmtime_func_unchecked_callback_t now; // NULL: it is a call
} functions[] = {
    {"args_get", "ii", NULL},
    {"args_sizes_get", "ii", NULL},
    {"environ_get", "ii", NULL},
    {"environ_sizes_get", "ii", NULL},
    {"clock_res_get", "ii", clock_res_get},
    {"clock_time_get", "iIi", clock_time_get},
    {"fd_advise", "iIIi", NULL},
    {"fd_allocate", "iII", NULL},
    {"fd_close", "i", NULL},
    {"fd_datasync", "i", NULL},
    {"fd_fdstat_get", "ii", NULL},
    {"fd_fdstat_set_flags", "ii", NULL},
    {"fd_fdstat_set_rights", "iII", NULL},
    {"fd_filestat_get", "ii", NULL},
    {"fd_filestat_set_size", "iI", NULL},
    {"fd_filestat_set_times", "iIIi", NULL},
    {"fd_pread", "iiiIi", NULL},
    {"fd_prestat_get", "ii", NULL},
    {"fd_prestat_dir_name", "iii", NULL},
    {"fd_pwrite", "iiiIi", NULL},
    {"fd_read", "iiii", NULL},
    {"fd_readdir", "iiiIi", NULL},
    {"fd_renumber", "ii", NULL},
    {"fd_seek", "iIii", NULL},
    {"fd_sync", "i", NULL},
    {"fd_tell", "ii", NULL},
    {"fd_write", "iiii", NULL},
    {"path_create_directory", "iii", NULL},
    {"path_filestat_get", "iiiii", NULL},
    {"path_filestat_set_times", "iiiiIIi", NULL},
    {"path_link", "iiiiiii", NULL},
    {"path_open", "iiiiiIIii", NULL},
    {"path_readlink", "iiiiii", NULL},
    {"path_remove_directory", "iii", NULL},
    {"path_rename", "iiiiii", NULL},
    {"path_symlink", "iiiii", NULL},
    {"path_unlink_file", "iii", NULL},
    {"poll_oneoff", "iiii", NULL},
    {"proc_exit", "i", proc_exit},
    {"proc_raise", "i", proc_raise},
    {"random_get", "ii", random_get},
    {"sched_yield", "", sched_yield},
    {"sock_accept", "iii", NULL},
    {"sock_recv", "iiiiii", NULL},
    {"sock_send", "iiiii", NULL},
    {"sock_shutdown", "ii", NULL},
};

const char *aleph_call_name(uint32_t function) {
  return function < sizeof functions / sizeof *functions ? functions[function].name : "";
}

char *aleph_define_wasi(aleph_engine *e, wasmtime_linker_t *linker) {
  static const char module[] = "wasi_snapshot_preview1";
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    const char *name = functions[i].name;
    wasm_functype_t *type = aleph_signature(functions[i].params, functions[i].now == proc_exit ? "" : "i");
    wasmtime_error_t *error;
    if (functions[i].now)
      error = wasmtime_linker_define_func_unchecked(linker, module, sizeof module - 1, name, strlen(name), type, functions[i].now, e, NULL);
    else
      error = wasmtime_linker_define_async_func(linker, module, sizeof module - 1, name, strlen(name), type,
                                                strcmp(name, "fd_write") ? call : fd_write, (void *)(uintptr_t)i, NULL);
    wasm_functype_delete(type);
    if (error) return aleph_take_error(error);
  }
  return NULL;
}
