// Instances that are kept: a function of the guest's module (package image writes it) takes event after event on one fiber.
//
// Between two events the fiber waits in that function, after aleph_handle has returned and the globals are reset; it is resumed
// when the memory is restored, too. What is the guest's is then as in a new instance: image/serve.go says why. What is the host's:
//
//   store      it holds one instance, and no limit of it counts anything up. Its epoch deadline is one tick at each resumption
//   stack      the fiber waits at the same depth each time, so there is as much left of it for each event
//   slot       reset, clear_operations and over (call.c) set it back for every event, kept or new
//   memory     the instance knows its base and size. Both are the image's: who has grown is dropped, and an image is mapped
//              anew at the same place
//   module     the slot remembers its number. A module that is freed lives on in its instances, and its number is not given again
//
// An instance is dropped when its run ends in any other way than by coming back here, when the slot is given another image or to
// another program, and when it went so deep that its stack would stay resident.
#define _GNU_SOURCE
#include "shim.h"

// begin gives the event's length.
static wasm_trap_t *begin(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)caller, (void)n;
  aleph_slot *s = env;
  s->stack = aleph_stack_at(s->engine, &s);
  v[0].i32 = (int32_t)s->event_len;
  return NULL;
}

// end has the run yield as soon as it looks at the epoch: the deadline is now.
static wasm_trap_t *end(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *v, size_t n) {
  (void)caller, (void)v, (void)n;
  aleph_slot *s = env;
  s->served = true;
  wasmtime_context_set_epoch_deadline(s->context, 0);
  return NULL;
}

static bool set(aleph_slot *s, const wasmtime_table_t *table, uint64_t at, const wasm_functype_t *type, wasmtime_func_unchecked_callback_t f) {
  wasmtime_val_t value = {.kind = WASMTIME_FUNCREF};
  wasmtime_func_new_unchecked(s->context, type, f, s, NULL, &value.of.funcref);
  s->error = wasmtime_table_set(s->context, table, at, &value);
  return !s->error;
}

// aleph_serve_prepare gives a new instance what its serve function calls. False: it failed, with s->error or a fault.
bool aleph_serve_prepare(aleph_slot *s, const aleph_module *m) {
  wasmtime_extern_t table;
  if (!wasmtime_instance_export_get(s->context, &s->instance, "aleph:host", sizeof "aleph:host" - 1, &table) || table.kind != WASMTIME_EXTERN_TABLE)
    return false;
  s->serving = m->id;
  s->kept = m->kept;
  return set(s, &table.of.table, 0, s->engine->begin_type, begin) && set(s, &table.of.table, 1, s->engine->end_type, end);
}

// aleph_serve_park keeps the instance that has served an event, unless it is better dropped.
void aleph_serve_park(aleph_slot *s) {
  s->served = false;
  s->parked = true;
  bool grown = s->charged || s->size != s->image->size;
  if (grown || aleph_stack_deep(s->stack)) aleph_serve_drop(s);
  if (grown) s->remap = true;
}

// aleph_serve_drop ends the instance that is kept, if there is one.
void aleph_serve_drop(aleph_slot *s) {
  if (!s->parked) return;
  s->parked = false;
  s->serving = 0;
  wasmtime_call_future_delete(s->future);
  s->future = NULL;
  wasmtime_store_delete(s->store);
  s->store = NULL;
}
