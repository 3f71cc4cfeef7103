/* A language engine on the guest contract (abi/SPEC.md): Lua's interpreter, over the C SDK.
 *
 * aleph_init makes a state with the libraries and the prelude, once for all programs. aleph_load runs a program's script in it. What each
 * event begins with is the state as it was then. */
#include "../c/aleph_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"
#include "unwind.h"

enum { TAG_VARIABLE = 32, TAG_ENTRYPOINT = 34, TAG_ERROR_CODE = 64, TAG_ERROR_MESSAGE, TAG_ERROR_STACK };
enum { SYNTAX_ERROR = 3, NO_HANDLER = 4, LOAD_EXCEPTION = 5, OUT_OF_MEMORY = 6 };

static lua_State *L;
static int variables, dispatch, randomseed; /* references into the registry */

static const char prelude[] = {
#embed "prelude.lua"
};

unsigned lua_seed(void) {
  unsigned seed;
  aleph_random(&seed, sizeof seed);
  return seed;
}

static aleph_bytes check_bytes(lua_State *l, int at) {
  aleph_bytes b;
  b.data = luaL_checklstring(l, at, &b.len);
  return b;
}

static void push(lua_State *l, aleph_bytes b) { lua_pushlstring(l, b.len ? b.data : "", b.len); }

/* ---- What the prelude makes aleph of. Each operation gives back the SDK's memory; Lua has its own copies. ---- */

static int failed(lua_State *l, int error, aleph_place place) {
  lua_pushfstring(l, "%s: ", aleph_error_name(error));
  push(l, aleph_message());
  lua_concat(l, 2);
  aleph_release(place);
  return lua_error(l);
}

/* kind, and the value: a text or a number. */
static void push_value(lua_State *l, const aleph_value *v) {
  lua_pushinteger(l, v->kind);
  if (v->kind == ALEPH_VALUE_COUNTER) lua_pushinteger(l, v->number);
  else push(l, v->data);
}

static int store_get(lua_State *l) {
  aleph_value value;
  const aleph_bytes key = check_bytes(l, 1);
  const aleph_place place = aleph_mark();
  const int error = aleph_store_get(key, &value);
  if (error) return failed(l, error, place);
  push_value(l, &value);
  aleph_release(place);
  return 2;
}

static int store_set(lua_State *l) { /* key, is JSON, text, seconds */
  const aleph_bytes key = check_bytes(l, 1), text = check_bytes(l, 3);
  const uint64_t ttl = (uint64_t)luaL_optinteger(l, 4, 0);
  const aleph_place place = aleph_mark();
  const int error = aleph_store_set(key, lua_toboolean(l, 2) ? aleph_value_json(text) : aleph_value_bytes(text), ttl);
  if (error) return failed(l, error, place);
  aleph_release(place);
  return 0;
}

static int store_delete(lua_State *l) {
  bool existed;
  const aleph_bytes key = check_bytes(l, 1);
  const aleph_place place = aleph_mark();
  const int error = aleph_store_delete(key, &existed);
  if (error) return failed(l, error, place);
  aleph_release(place);
  lua_pushboolean(l, existed);
  return 1;
}

static int store_increment(lua_State *l) {
  int64_t number;
  const aleph_bytes key = check_bytes(l, 1);
  const int64_t delta = luaL_optinteger(l, 2, 1);
  const aleph_place place = aleph_mark();
  const int error = aleph_store_increment(key, delta, &number);
  if (error) return failed(l, error, place);
  aleph_release(place);
  lua_pushinteger(l, number);
  return 1;
}

static int store_list(lua_State *l) { /* prefix, limit, cursor: a list of key, kind, value; the cursor */
  aleph_listing listing;
  const aleph_bytes prefix = check_bytes(l, 1), cursor = {luaL_checkstring(l, 3), lua_rawlen(l, 3)};
  const uint32_t limit = (uint32_t)luaL_checkinteger(l, 2);
  luaL_checkstack(l, 8, NULL);
  const aleph_place place = aleph_mark();
  const int error = aleph_store_list(prefix, limit, cursor, &listing);
  if (error) return failed(l, error, place);
  lua_createtable(l, (int)(3 * listing.count), 0);
  lua_Integer at = 0;
  for (size_t i = 0; i < listing.count; i++) {
    push(l, listing.entries[i].key);
    lua_rawseti(l, -2, ++at);
    push_value(l, &listing.entries[i].value);
    lua_rawseti(l, -3, at + 2);
    lua_rawseti(l, -2, at + 1);
    at += 2;
  }
  push(l, listing.cursor);
  aleph_release(place);
  return 2;
}

/* A request under way keeps what it was made of, and its ticket: method, URL, body, headers as a list of names and values. */
static int fetch_start(lua_State *l) {
  aleph_fetch_request request = {.method = luaL_checkstring(l, 1), .url = luaL_checkstring(l, 2), .body = check_bytes(l, 3), .redirects = 20};
  luaL_checktype(l, 4, LUA_TTABLE);
  const size_t n = lua_rawlen(l, 4) / 2;
  luaL_checkstack(l, (int)(2 * n), "too many headers");
  aleph_pair *headers = lua_newuserdatauv(l, (n + 1) * sizeof *headers, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(l, 4, (lua_Integer)(2 * i + 1));
    lua_rawgeti(l, 4, (lua_Integer)(2 * i + 2));
    headers[i] = (aleph_pair){check_bytes(l, -2), check_bytes(l, -1)};
  }
  request.headers = headers;
  request.header_count = n;
  lua_pushinteger(l, aleph_fetch_start(&request));
  return 1;
}

static int fetch_wait(lua_State *l) { /* a ticket: status, URL, body, headers */
  aleph_answer answer;
  const aleph_ticket ticket = (aleph_ticket)luaL_checkinteger(l, 1);
  const aleph_place place = aleph_mark();
  const int error = aleph_fetch_wait(ticket, &answer);
  if (error) return failed(l, error, place);
  lua_pushinteger(l, answer.status);
  push(l, answer.url);
  push(l, answer.body);
  lua_createtable(l, 0, (int)answer.header_count);
  for (size_t i = 0; i < answer.header_count; i++) {
    push(l, answer.headers[i].name);
    push(l, answer.headers[i].value);
    lua_rawset(l, -3);
  }
  aleph_release(place);
  return 4;
}

static int write_log(lua_State *l) {
  const lua_Integer level = luaL_checkinteger(l, 1);
  aleph_log_bytes((int)level, check_bytes(l, 2));
  return 0;
}

static int getenv_(lua_State *l) {
  luaL_checkstring(l, 1);
  lua_rawgeti(l, LUA_REGISTRYINDEX, variables);
  lua_pushvalue(l, 1);
  lua_rawget(l, -2);
  return 1;
}

static const luaL_Reg host[] = {
    {"get", store_get},   {"set", store_set},   {"delete", store_delete}, {"increment", store_increment},
    {"list", store_list}, {"start", fetch_start}, {"wait", fetch_wait},   {"log", write_log},
    {NULL, NULL},
};

/* ---- Calls into Lua. An error has a message and a stack. ---- */

static int traced(lua_State *l) {
  const char *text = luaL_tolstring(l, 1, NULL);
  luaL_traceback(l, l, text, 1);
  lua_createtable(l, 2, 0);
  lua_pushvalue(l, 2);
  lua_rawseti(l, -2, 1);
  lua_pushvalue(l, 3);
  lua_rawseti(l, -2, 2);
  return 1;
}

static const char *message, *stack; /* of the last call that failed */

/* Calls what is below the arguments. */
static int call(int arguments, int results) {
  const int base = lua_gettop(L) - arguments;
  lua_pushcfunction(L, traced);
  lua_insert(L, base);
  const int status = lua_pcall(L, arguments, results, base);
  lua_remove(L, base);
  fflush(stdout);
  if (status == LUA_OK) return status;
  message = "out of memory";
  stack = NULL;
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, 1);
    message = lua_tostring(L, -1);
    lua_rawgeti(L, -2, 2);
    stack = lua_tostring(L, -1);
  } else if (lua_isstring(L, -1)) {
    message = lua_tostring(L, -1);
  }
  return status;
}

/* ---- Initialisation ---- */

void aleph_setup(void) {
  L = luaL_newstate();
  if (!L) {
    aleph_fail(NULL, "there is no memory for a state", NULL);
    return;
  }
  luaL_openlibs(L);
  lua_newtable(L);
  variables = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  randomseed = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getglobal(L, "os");
  lua_pushcfunction(L, getenv_);
  lua_setfield(L, -2, "getenv");
  lua_settop(L, 0);
  int status = luaL_loadbufferx(L, prelude, sizeof prelude, "=prelude", "t");
  if (status == LUA_OK) {
    luaL_newlib(L, host);
    status = call(1, 1);
  } else {
    message = lua_tostring(L, -1);
  }
  if (status != LUA_OK) aleph_fail(NULL, message, NULL);
  else dispatch = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
}

/* ---- A program ---- */

static void refuse(uint32_t code, const char *text, const char *trace) {
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  aleph_frame_u32(&frame, TAG_ERROR_CODE, code);
  aleph_frame_bytes(&frame, TAG_ERROR_MESSAGE, aleph_text(text));
  if (trace) aleph_frame_bytes(&frame, TAG_ERROR_STACK, aleph_text(trace));
  aleph_host_respond(frame.data, (uint32_t)frame.len);
}

/* Keeps the variables of a load frame, and pushes the entrypoint. The files in it are WASI's as well, and read from there. */
static void read_load(uint32_t length) {
  char *frame = malloc(length);
  aleph_bytes rest;
  aleph_field field;
  aleph_pair pair;
  lua_rawgeti(L, LUA_REGISTRYINDEX, variables);
  lua_pushliteral(L, "");
  if (!frame) return;
  if (aleph_frame_open((aleph_bytes){frame, aleph_host_event_read(frame, 0, length)}, &rest)) {
    while (aleph_frame_next(&rest, &field)) {
      if (field.tag == TAG_ENTRYPOINT) {
        push(L, field.value);
        lua_replace(L, 2);
      } else if (field.tag == TAG_VARIABLE && aleph_field_pair(&field, &pair)) {
        push(L, pair.name);
        push(L, pair.value);
        lua_rawset(L, 1);
      }
    }
  }
  memset(frame, 0, length); /* pages of zeros are in no image */
  free(frame);
}

ALEPH_EXPORT("aleph_load") void aleph_load(uint32_t length);

void aleph_load(uint32_t length) {
  read_load(length);
  const char *file = lua_tostring(L, 2);
  if (luaL_loadfilex(L, file, "t") != LUA_OK) {
    refuse(SYNTAX_ERROR, lua_tostring(L, -1), NULL);
    return;
  }
  const int status = call(0, 1);
  if (status != LUA_OK) {
    refuse(status == LUA_ERRMEM ? OUT_OF_MEMORY : LOAD_EXCEPTION, message, stack);
    return;
  }
  if (!lua_isfunction(L, -1)) lua_getglobal(L, "handler");
  if (!lua_isfunction(L, -1)) {
    lua_pushfstring(L, "%s returns no function, and has no global one named handler", file);
    refuse(NO_HANDLER, lua_tostring(L, -1), NULL);
    return;
  }
  lua_replace(L, 1); /* the handler is all that stays on the stack */
  lua_settop(L, 1);
  lua_gc(L, LUA_GCCOLLECT);
}

/* ---- An event ---- */

static void set(const char *name, aleph_bytes value) {
  push(L, value);
  lua_setfield(L, -2, name);
}

static void push_pairs(const aleph_pair *pairs, size_t count) {
  lua_createtable(L, 0, (int)count);
  for (size_t i = 0; i < count; i++) {
    push(L, pairs[i].name);
    push(L, pairs[i].value);
    lua_rawset(L, -3);
  }
}

static void push_request(const aleph_request *r) {
  lua_createtable(L, 0, 8);
  set("method", r->method);
  set("path", aleph_path(r));
  set("query_string", r->query);
  set("body", r->body);
  set("client", r->client);
  push_pairs(r->headers, r->header_count);
  lua_setfield(L, -2, "headers");
  lua_newtable(L);
  aleph_bytes rest = r->query;
  for (aleph_pair p; aleph_next_param(&rest, &p);) {
    push(L, p.name);
    if (lua_pushvalue(L, -1), lua_rawget(L, -3) != LUA_TNIL) { /* the first counts */
      lua_pop(L, 2);
      continue;
    }
    lua_pop(L, 1);
    push(L, p.value);
    lua_rawset(L, -3);
  }
  lua_setfield(L, -2, "query");
}

static void push_context(const aleph_request *r) {
  lua_createtable(L, 0, 8);
  set("program", r->program);
  set("node", r->node);
  set("account", r->account);
  set("request_id", r->id);
  set("event_id", r->event_id);
  lua_pushinteger(L, r->kind);
  lua_setfield(L, -2, "kind");
  lua_pushinteger(L, r->attempt);
  lua_setfield(L, -2, "attempt");
  push_pairs(r->details, r->detail_count); /* their values are JSON */
  lua_setfield(L, -2, "details");
}

/* Answers with what dispatch gave: a status, a list of header names and values, a body. */
static void answer(aleph_response *response) {
  aleph_status(response, (uint32_t)lua_tointeger(L, -3));
  const lua_Integer n = (lua_Integer)lua_rawlen(L, -2);
  for (lua_Integer i = 1; i < n; i += 2) {
    lua_rawgeti(L, -2, i);
    lua_rawgeti(L, -3, i + 1);
    aleph_add_header(response, lua_tostring(L, -2), lua_tostring(L, -1));
    lua_pop(L, 2);
  }
  size_t length;
  const char *body = lua_tolstring(L, -1, &length);
  aleph_write(response, body, length);
}

void aleph_serve(const aleph_request *request, aleph_response *response) {
  if (!lua_isfunction(L, 1)) {
    aleph_add_header(response, "content-type", "text/plain; charset=utf-8");
    aleph_print(response, LUA_RELEASE ", a runtime. Deploy a script on it: aleph program deploy --name NAME --runtime ");
    aleph_print_bytes(response, request->program);
    aleph_print(response, " --file main.lua\n");
    return;
  }
  lua_Integer seed[2];
  memcpy(seed, request->seed, sizeof seed);
  lua_rawgeti(L, LUA_REGISTRYINDEX, randomseed);
  lua_pushinteger(L, seed[0]);
  lua_pushinteger(L, seed[1]);
  lua_call(L, 2, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, dispatch);
  lua_pushvalue(L, 1);
  push_request(request);
  push_context(request);
  if (call(3, 3) == LUA_OK) answer(response);
  else aleph_fail(response, message, stack);
}
