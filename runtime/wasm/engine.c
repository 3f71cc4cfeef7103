// The engine: its configuration, the epoch ticker and modules.
#define _GNU_SOURCE
#include "shim.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// aleph_take_error gives an error's text, malloc'ed, and frees the error. NULL for none.
char *aleph_take_error(wasmtime_error_t *error) {
  if (!error) return NULL;
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  char *text = malloc(message.size + 1);
  memcpy(text, message.data, message.size);
  text[message.size] = 0;
  wasm_byte_vec_delete(&message);
  wasmtime_error_delete(error);
  return text;
}

// tick advances the epoch. An engine that ran nothing for a second ticks ten times slower, so that an idle node sleeps.
static void *tick(void *arg) {
  aleph_engine *e = arg;
  uint32_t last = 0, idle = 0, per_second = 1000000000u / e->tick;
  while (!__atomic_load_n(&e->stop, __ATOMIC_ACQUIRE)) {
    uint32_t polls = __atomic_load_n(&e->polls, __ATOMIC_RELAXED);
    idle = polls == last ? idle + 1 : 0;
    last = polls;
    uint64_t ns = e->tick * (idle > per_second ? 10 : 1);
    struct timespec wait = {ns / 1000000000u, ns % 1000000000u};
    nanosleep(&wait, NULL);
    wasmtime_engine_increment_epoch(e->engine);
  }
  return NULL;
}

char *aleph_engine_new(uint32_t slots, uint64_t max_wasm_stack, uint64_t tick_ns, int64_t budget, bool discard, uint32_t copy_limit,
                       uint32_t procs, aleph_engine **out) {
  // As many heaps as threads run guests: more would only lie fragmented. No fast bins: a store's larger blocks would have them
  // consolidated at each run; the thread's own cache serves the small ones.
  mallopt(M_ARENA_MAX, (int)procs);
  mallopt(M_MXFAST, 0);
  // An instance of CPython is one block of some 400 KB, made and freed with each run: from the heap, which keeps it.
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 32 << 20);
  aleph_engine *e = calloc(1, sizeof *e);
  e->slot_count = slots;
  e->stride = ALEPH_RESERVATION + ALEPH_GUARD;
  e->max_wasm_stack = max_wasm_stack;
  e->stack_size = max_wasm_stack + (256u << 10); // what is over is the host functions'
  e->tick = tick_ns;
  e->budget = budget;
  e->copy_limit = copy_limit;
  e->pagemap = discard ? -1 : open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  char *fault = aleph_memory_reserve(e);
  if (fault) goto failed;

  wasm_config_t *config = wasm_config_new();
  wasmtime_config_epoch_interruption_set(config, true);
  wasmtime_config_max_wasm_stack_set(config, e->max_wasm_stack);
  wasmtime_config_async_stack_size_set(config, e->stack_size);
  wasmtime_config_wasm_threads_set(config, false);
  wasmtime_config_wasm_memory64_set(config, false);
  wasmtime_config_wasm_multi_memory_set(config, false);
  wasmtime_config_wasm_gc_set(config, false);
  wasmtime_config_gc_support_set(config, false);
  wasmtime_config_wasm_component_model_set(config, false);
  wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_SPEED);
  wasmtime_config_memory_may_move_set(config, false);
  wasmtime_config_memory_reservation_set(config, ALEPH_RESERVATION);
  wasmtime_config_memory_guard_size_set(config, ALEPH_GUARD);
  wasmtime_config_memory_init_cow_set(config, false);
  wasmtime_config_native_unwind_info_set(config, false);
  aleph_memory_creators(e, config);
  e->engine = wasm_engine_new_with_config(config);
  if (!e->engine) {
    fault = strdup("wasmtime refused its configuration");
    goto failed;
  }
  e->linker = wasmtime_linker_new(e->engine);
  fault = aleph_define_host(e, e->linker);
  if (!fault) fault = aleph_define_wasi(e, e->linker);
  if (fault) goto failed;
  e->begin_type = aleph_signature("", "i");
  e->end_type = aleph_signature("", "");
  pthread_t ticker;
  if (pthread_create(&ticker, NULL, tick, e)) {
    fault = strdup("no thread for the epoch ticker");
    goto failed;
  }
  e->ticker = ticker;
  *out = e;
  return NULL;

failed:
  aleph_engine_delete(e);
  return fault;
}

void aleph_engine_delete(aleph_engine *e) {
  if (e->ticker) {
    __atomic_store_n(&e->stop, 1, __ATOMIC_RELEASE);
    pthread_join(e->ticker, NULL);
  }
  if (e->begin_type) wasm_functype_delete(e->begin_type);
  if (e->end_type) wasm_functype_delete(e->end_type);
  if (e->linker) wasmtime_linker_delete(e->linker);
  if (e->engine) wasm_engine_delete(e->engine);
  aleph_memory_release(e);
  if (e->pagemap >= 0) close(e->pagemap);
  free(e);
}

char *aleph_validate(aleph_engine *e, const uint8_t *wasm, size_t len) {
  return aleph_take_error(wasmtime_module_validate(e->engine, wasm, len));
}

// aleph_compile makes machine code in the form that aleph_module_load reads.
char *aleph_compile(aleph_engine *e, const uint8_t *wasm, size_t len, wasm_byte_vec_t *out) {
  wasmtime_module_t *module;
  wasmtime_error_t *error = wasmtime_module_new(e->engine, wasm, len, &module);
  if (error) return aleph_take_error(error);
  error = wasmtime_module_serialize(module, out);
  wasmtime_module_delete(module);
  malloc_trim(0); // compiling CPython leaves 250 MB free in the heaps
  return aleph_take_error(error);
}

char *aleph_module_load(aleph_engine *e, const char *path, aleph_module *out) {
  out->engine = e;
  return aleph_take_error(wasmtime_module_deserialize_file(e->engine, path, &out->module));
}

char *aleph_module_bind(aleph_module *m) {
  m->id = __atomic_add_fetch(&m->engine->modules, 1, __ATOMIC_RELAXED);
  return aleph_take_error(wasmtime_linker_instantiate_pre(m->engine->linker, m->module, &m->pre));
}

void aleph_module_delete(aleph_module *m) {
  if (m->pre) wasmtime_instance_pre_delete(m->pre);
  if (m->module) wasmtime_module_delete(m->module);
  m->pre = NULL;
  m->module = NULL;
}

char *aleph_wat(const char *text, size_t len, wasm_byte_vec_t *out) {
  return aleph_take_error(wasmtime_wat2wasm(text, len, out));
}
