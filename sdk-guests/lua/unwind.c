/* See unwind.h. Here unwind_start returns, as it does. */
#include <stddef.h>

__attribute__((import_module("asyncify"), import_name("start_unwind"))) void start(void *);

/* Lua nests 200 C calls at most; a frame saves some hundred bytes. */
static _Alignas(16) char frames[512 << 10];
static struct {
  void *next, *end;
} saved;

void unwind_start(void) {
  saved.next = frames;
  saved.end = frames + sizeof frames;
  start(&saved);
}
