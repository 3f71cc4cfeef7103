/* Lua's errors without setjmp and longjmp, which WebAssembly lacks. Included before each of Lua's sources.
 *
 * An error ends every function between luaD_throw and luaD_rawrunprotected. binaryen's asyncify (wasm-opt) gives all that may be among them
 * a check after each call, and two functions that begin and end an unwinding: while there is one, functions return at once. asyncify could
 * resume them later, from what it saves of them; an error never does, so what is saved is overwritten by the next. */
#ifndef UNWIND_H
#define UNWIND_H

_Noreturn void unwind_start(void); /* to those who call it: unwind.c knows that it returns */
__attribute__((import_module("asyncify"), import_name("start_unwind"))) void unwind_from(void *);
__attribute__((import_module("asyncify"), import_name("stop_unwind"))) void unwind_stop(void);

#define luai_jmpbuf int
#define LUAI_THROW(L, c) unwind_start()

/* Beginning again, from nowhere, only sets asyncify's globals to what they were before the first error: an engine's stay the same. */
#define LUAI_TRY(L, c, a) { a if ((c)->status != LUA_OK) { unwind_stop(); unwind_from(0); unwind_stop(); } }

/* A secret of the image's, so that nobody outside can make strings that collide. */
unsigned lua_seed(void);
#define luai_makeseed(L) lua_seed()

#endif
