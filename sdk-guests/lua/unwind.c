/* See unwind.h. Here unwind_start returns, as it does. */
__attribute__((import_module("asyncify"), import_name("start_unwind"))) void unwind_from(void *);

/* Lua nests 200 C calls at most; a frame saves some hundred bytes. */
static _Alignas(16) char frames[512 << 10];
static struct {
  void *next, *end;
} saved;

void unwind_start(void) {
  saved.next = frames;
  saved.end = frames + sizeof frames;
  unwind_from(&saved);
}
