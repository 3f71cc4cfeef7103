/* The JavaScript engine: quickjs-ng as a guest of aleph_v1 (abi/SPEC.md).

     aleph_init    makes the runtime, runs the prelude, freezes: the engine's image
     aleph_load    runs the program's modules, finds its handler, freezes again: the program's image
     aleph_handle  over a restored image: one event, one call, one response

   The instance is thrown away after an event, so nothing is ever torn down. quickjs.c is included, not linked, for what
   its interface does not give: objects built from a shape, the random generator's state, the lists that a freeze moves.

   Who owns what: everything lives until the instance is gone. An event's frame stays in memory (headers and the raw body
   are read from it), a response frame is left untouched after respond(). */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "quickjs.c"
#include "abi.h"

#define EXPORT(name) __attribute__((export_name(#name)))

/* The stack is the memory's first 1 MiB (build.sh). JavaScript may use so much of it; the rest is for what C calls without
   asking. quickjs itself sets no limit on WASI. */
#define STACK_SIZE (1024 * 1024)
#define MAX_STACK (700 * 1024)

static JSRuntime *rt;
static JSContext *context;

/* What the prelude gives the C side, as properties of the object that it is called with. */
static struct {
    JSValue describe;           /* (error) -> [message, stack] */
    JSValue uncaught;           /* (error, what): logs it */
    JSValue wake;               /* () the time of sleep() is over */
    JSValue header_list;        /* (Headers | Map | object) -> [[name, value], …] */
    JSValue response_prototype;
    JSValue response_parts;     /* (Response) -> [status, headers, body] */
    JSValue fetch;              /* (handler object, req, context) -> what its fetch() returned */
    JSValue pending;            /* () -> text that says what is still armed after loading, or undefined */
} hooks;

static JSAtom atom_status, atom_status_code, atom_headers, atom_body, atom_then, atom_message;

static enum { HANDLER_FUNCTION, HANDLER_METHOD, HANDLER_FETCH } handler_kind;
static JSValue handler, handler_object;

#include "text.c"
#include "request.c"
#include "reply.c"
#include "operations.c"
#include "modules.c"
#include "url.c"
#include "natives.c"
#include "prelude.c"

/* Answers with the pending exception. 'what' comes before its message and its stack. */
static void take_exception(uint32_t code, const char *what)
{
    JSContext *ctx = context;
    JSValue error = JS_GetException(ctx);
    if (JS_IsObject(error) && JS_VALUE_GET_OBJ(error)->shape->proto == JS_VALUE_GET_OBJ(ctx->native_error_proto[JS_INTERNAL_ERROR])) {
        JSValue message = JS_GetProperty(ctx, error, atom_message);
        const char *text = JS_ToCString(ctx, message);
        if (text && !strcmp(text, "out of memory")) {
            fail_plainly(ERROR_OUT_OF_MEMORY, "out of memory");
            return;
        }
    }
    JSValue pair = JS_Call(ctx, hooks.describe, JS_UNDEFINED, 1, vc(&error));
    if (JS_IsException(pair)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        fail_plainly(code, "an exception that cannot be described");
        return;
    }
    size_t message_len, stack_len;
    const char *message = JS_ToCStringLen(ctx, &message_len, JS_ConcatString3(ctx, what, JS_GetPropertyUint32(ctx, pair, 0), ""));
    const char *stack = JS_ToCStringLen(ctx, &stack_len, JS_ConcatString3(ctx, what, JS_GetPropertyUint32(ctx, pair, 1), ""));
    if (!message || !stack)
        fail_plainly(ERROR_OUT_OF_MEMORY, "out of memory");
    else
        fail(code, message, message_len, stack, stack_len);
}

/* A promise for a value: itself if it is one; one that follows it if it can be awaited; else JS_UNDEFINED. */
static JSValue promise_of(JSContext *ctx, JSValue v)
{
    if (JS_VALUE_GET_TAG(v) != JS_TAG_OBJECT)
        return JS_UNDEFINED;
    if (JS_VALUE_GET_OBJ(v)->class_id == JS_CLASS_PROMISE)
        return JS_DupValue(ctx, v);
    JSValue then = JS_GetProperty(ctx, v, atom_then);
    if (JS_IsException(then) || !JS_IsFunction(ctx, then)) {
        JS_FreeValue(ctx, then);
        return JS_IsException(then) ? then : JS_UNDEFINED;
    }
    JS_FreeValue(ctx, then);
    JSValue resolving[2];
    JSValue promise = JS_NewPromiseCapability(ctx, resolving);
    if (!JS_IsException(promise))
        JS_FreeValue(ctx, JS_Call(ctx, resolving[0], JS_UNDEFINED, 1, vc(&v)));
    return promise;
}

/* Promises rejected with no one listening, as far as known; whoever listens later is taken off again. */
static JSValue *rejections;
static uint32_t rejection_count, rejection_size;

static void track_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool handled, void *opaque)
{
    if (handled) {
        for (uint32_t i = 0; i < rejection_count; i++)
            if (JS_VALUE_GET_PTR(rejections[i]) == JS_VALUE_GET_PTR(promise)) {
                rejections[i] = rejections[--rejection_count];
                return;
            }
        return;
    }
    if (rejection_count == rejection_size) {
        uint32_t size = rejection_size ? rejection_size * 2 : 16;
        JSValue *more = realloc(rejections, size * sizeof(JSValue));
        if (!more)
            return;
        rejections = more;
        rejection_size = size;
    }
    rejections[rejection_count++] = JS_DupValue(ctx, promise);
}

/* Logs all but the one whose fate is the answer. */
static void report_rejections(JSContext *ctx, JSValueConst but)
{
    for (uint32_t i = 0; i < rejection_count; i++)
        if (!JS_IsObject(but) || JS_VALUE_GET_PTR(rejections[i]) != JS_VALUE_GET_PTR(but))
            report(ctx, JS_PromiseResult(ctx, rejections[i]), "Unhandled promise rejection");
    rejection_count = 0;
}

/* Awaits a value. Returns what it settled to, or JS_EXCEPTION. The value is the caller's no more. */
static JSValue await(JSContext *ctx, JSValue v, JSValue *promise)
{
    *promise = promise_of(ctx, v);
    if (JS_IsUndefined(*promise))
        return v;
    if (JS_IsException(*promise))
        return JS_EXCEPTION;
    run_until(ctx, *promise);
    JSValue result = JS_PromiseResult(ctx, *promise);
    if (JS_PromiseState(ctx, *promise) == JS_PROMISE_REJECTED)
        return JS_Throw(ctx, result);
    return result;
}

static JSValue hook(JSContext *ctx, JSValue native, const char *name)
{
    return JS_GetPropertyStr(ctx, native, name);
}

/* Runs the prelude's files, each the body of a function (native). */
static int run_prelude(JSContext *ctx, JSValue native)
{
    static const char before[] = "(function (native) { 'use strict'; ", after[] = "\n})";
    for (size_t i = 0; i < countof(prelude); i++) {
        size_t n = strlen(prelude[i].text);
        char *text = malloc(n + sizeof(before) + sizeof(after));
        strcpy(text, before);
        strcat(text, prelude[i].text);
        strcat(text, after);
        JSValue function = JS_Eval(ctx, text, strlen(text), prelude[i].name, JS_EVAL_TYPE_GLOBAL);
        free(text);
        if (JS_IsException(function) || JS_IsException(JS_Call(ctx, function, JS_UNDEFINED, 1, vc(&native))))
            return -1;
        JS_FreeValue(ctx, function);
    }
    return 0;
}

/* Tables that grow by doubling get their next size now, not in a request. */
static void reserve_tables(JSContext *ctx)
{
    JSAtom atoms[512];
    char name[16];
    for (unsigned i = 0; i < countof(atoms); i++) {
        snprintf(name, sizeof(name), "reserve %u", i);
        atoms[i] = JS_NewAtom(ctx, name);
    }
    for (unsigned i = countof(atoms); i-- > 0;)
        JS_FreeAtom(ctx, atoms[i]);
    if (2 * (rt->shape_hash_count + 256) > rt->shape_hash_size)
        resize_shape_hash(rt, rt->shape_hash_bits + 1);
}

static void list_move(struct list_head *to, struct list_head *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    init_list_head(from);
}

static struct list_head image_objects;

/* What was left on the stack by deeper calls would only make the image larger. */
static __attribute__((noinline)) void clear_stack(void)
{
    uint8_t here;
    for (uint8_t *page = (uint8_t *)HEAP_PAGE; page + 2 * HEAP_PAGE < &here; page += HEAP_PAGE)
        for (uint32_t *p = (uint32_t *)page; p < (uint32_t *)(page + HEAP_PAGE); p++)
            if (*p)
                *p = 0;
}

/* All that was made so far becomes the image (heap.h). The collector need not look at it again: it only follows the
   objects of the request, and takes what the image refers to as alive. */
static void freeze(JSContext *ctx, uint64_t memory_limit)
{
    JS_RunGC(rt);
    reserve_tables(ctx);
    JS_RunGC(rt);
    list_move(&image_objects, &rt->gc_obj_list);
    heap_freeze();
    clear_stack();
    /* Reference counts free most garbage at once; cycles are looked for when a fair part of the memory is used. */
    uint64_t spare = memory_limit > heap.top ? (memory_limit - heap.top) / 4 : 0;
    rt->malloc_gc_threshold = rt->malloc_state.malloc_size + (spare > (4 << 20) ? spare : 4 << 20);
}

EXPORT(aleph_init) void aleph_init(uint32_t len)
{
    heap_init();
    init_list_head(&image_objects);
    rt = JS_NewRuntime();
    context = JS_NewContext(rt);
    JSContext *ctx = context;
    JS_AddIntrinsicDOMException(ctx);
    rt->stack_limit = STACK_SIZE - MAX_STACK;
    JS_SetHostPromiseRejectionTracker(rt, track_rejection, NULL);
    JS_SetModuleLoaderFunc(rt, module_name, load_module, NULL);
    atom_status = JS_NewAtom(ctx, "status");
    atom_status_code = JS_NewAtom(ctx, "statusCode");
    atom_headers = JS_NewAtom(ctx, "headers");
    atom_body = JS_NewAtom(ctx, "body");
    atom_then = JS_NewAtom(ctx, "then");
    atom_message = JS_NewAtom(ctx, "message");
    request_init(ctx);
    event_read(len);
    JSValue native = natives_init(ctx);
    if (run_prelude(ctx, native)) {
        JSValue error = JS_GetException(ctx), stack = JS_GetPropertyStr(ctx, error, "stack");
        failf(ERROR_LOAD, "the prelude failed: %s %s", JS_ToCString(ctx, error), JS_ToCString(ctx, stack));
        return;
    }
    hooks.describe = hook(ctx, native, "describe");
    hooks.uncaught = hook(ctx, native, "uncaught");
    hooks.wake = hook(ctx, native, "wake");
    hooks.header_list = hook(ctx, native, "headerList");
    hooks.response_prototype = hook(ctx, native, "responsePrototype");
    hooks.response_parts = hook(ctx, native, "responseParts");
    hooks.fetch = hook(ctx, native, "fetchHandler");
    hooks.pending = hook(ctx, native, "pending");
    aleph_object = hook(ctx, native, "aleph");
    JS_FreeValue(ctx, native);
    run_jobs(ctx);
    freeze(ctx, 0);
}

/* The place that the parser gave as the first line of a stack, "    at file:line:column"; NULL if it is none in the
   program's files. The engine counts columns in bytes. */
static const File *syntax_place(const char *stack, unsigned *line, unsigned *column)
{
    char place[300];
    if (strncmp(stack, "    at ", 7))
        return NULL;
    snprintf(place, sizeof(place), "%.*s", (int)strcspn(stack + 7, "\n"), stack + 7);
    for (unsigned *number = column;; number = line) {
        char *colon = strrchr(place, ':');
        if (!colon)
            return NULL;
        *number = atoi(colon + 1);
        *colon = 0;
        if (number == line)
            return find_file(place);
    }
}

/* Answers with "file:line:column: message"; the stack adds the line itself and a mark below the column. */
static void fail_syntax(const File *f, unsigned line, unsigned column, const char *message)
{
    const char *at = (const char *)f->at, *end = at + f->len;
    for (unsigned i = 1; i < line && at < end; i++) {
        at = memchr(at, '\n', end - at);
        at = at ? at + 1 : end;
    }
    const char *stop = memchr(at, '\n', end - at);
    if (!stop)
        stop = end;
    if (stop > at && stop[-1] == '\r')
        stop--;
    size_t n = strlen(message);
    if (n > 4 && !strcmp(message + n - 4, ": ''"))
        message = "unexpected end of input";
    unsigned characters = 1;
    char mark[202], head[700], text[1400];
    size_t marks = 0;
    for (const char *p = at; p + 1 < at + column && p < stop; p++)
        if (((uint8_t)*p & 0xc0) != 0x80) {
            characters++;
            if (marks < 200)
                mark[marks++] = *p == '\t' ? '\t' : ' ';
        }
    mark[marks++] = '^';
    mark[marks] = 0;
    snprintf(head, sizeof(head), "%s:%u:%u: %s", f->name, line, characters, message);
    if (characters <= 200)
        snprintf(text, sizeof(text), "%s\n%.*s\n%s", head, stop - at < 400 ? (int)(stop - at) : 400, at, mark);
    else
        text[0] = 0;
    fail(ERROR_SYNTAX, head, strlen(head), text, strlen(text));
}

static void fail_load(JSContext *ctx)
{
    JSValue error = JS_GetException(ctx);
    if (JS_IsObject(error) && JS_VALUE_GET_OBJ(error)->shape->proto == JS_VALUE_GET_OBJ(ctx->native_error_proto[JS_SYNTAX_ERROR])) {
        JSValue stack_value = JS_GetPropertyStr(ctx, error, "stack"), message_value = JS_GetProperty(ctx, error, atom_message);
        const char *stack = JS_ToCString(ctx, stack_value), *message = JS_ToCString(ctx, message_value);
        unsigned line, column;
        const File *f = stack && message ? syntax_place(stack, &line, &column) : NULL;
        if (f) {
            fail_syntax(f, line, column, message);
            return;
        }
        if (stack && message && !*stack) { /* the linker's, that an import is not exported */
            failf(ERROR_SYNTAX, "%s", message);
            return;
        }
    }
    JS_Throw(ctx, error);
    take_exception(ERROR_LOAD, "");
}

static const char expected_handler[] =
    "export default a function (req, context), or an object with a method fetch(request) or handler(req, context)";

/* The kind of thing, in words. */
static const char *kind_of(JSContext *ctx, JSValueConst v)
{
    switch (JS_VALUE_GET_NORM_TAG(v)) {
    case JS_TAG_UNDEFINED: return "undefined";
    case JS_TAG_NULL: return "null";
    case JS_TAG_BOOL: return "a boolean";
    case JS_TAG_INT: case JS_TAG_FLOAT64: return "a number";
    case JS_TAG_STRING: case JS_TAG_STRING_ROPE: return "a string";
    case JS_TAG_OBJECT: return JS_IsArray(v) ? "an array" : "an object without them";
    default: return "something else";
    }
}

static void fail_no_handler(JSContext *ctx, const char *file, const char *name, JSValueConst exports, JSValueConst found)
{
    char list[512] = "";
    size_t n = 0;
    if (!JS_IsUndefined(found)) {
        failf(ERROR_NO_HANDLER, "the export %s of %s is %s: %s", name, file, kind_of(ctx, found), expected_handler);
        return;
    }
    JSPropertyEnum *names;
    uint32_t count;
    if (JS_IsObject(exports) && !JS_GetOwnPropertyNames(ctx, &names, &count, exports, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY))
        for (uint32_t i = 0; i < count && n < sizeof(list) - 64; i++) {
            const char *one = JS_AtomToCString(ctx, names[i].atom);
            n += snprintf(list + n, sizeof(list) - n, "%s%.60s", i ? ", " : "", one ? one : "?");
        }
    failf(ERROR_NO_HANDLER, "%s has no export %s (it exports %s): %s", file, name, n ? list : "nothing", expected_handler);
}

/* Takes a function, or an object with fetch or handler. */
static int take_handler(JSContext *ctx, JSValueConst v)
{
    static const struct { const char *name; int kind; } methods[] = {{"fetch", HANDLER_FETCH}, {"handler", HANDLER_METHOD}};
    if (JS_IsFunction(ctx, v)) {
        handler_kind = HANDLER_FUNCTION;
        handler = JS_DupValue(ctx, v);
        return 1;
    }
    if (!JS_IsObject(v))
        return 0;
    for (size_t i = 0; i < countof(methods); i++) {
        JSValue method = JS_GetPropertyStr(ctx, v, methods[i].name);
        if (JS_IsFunction(ctx, method)) {
            handler_kind = methods[i].kind;
            handler = method;
            handler_object = JS_DupValue(ctx, v);
            return 1;
        }
        JS_FreeValue(ctx, JS_IsException(method) ? JS_GetException(ctx) : method);
    }
    return 0;
}

static char *copy_text(const Field *f)
{
    char *s = malloc(f->len + 1);
    memcpy(s, f->at, f->len);
    s[f->len] = 0;
    return s;
}

/* The exports of the entrypoint after it has run; JS_EXCEPTION if it failed, with the exception pending or, if 'answered',
   already reported. */
static JSValue run_entrypoint(JSContext *ctx, File *f, int *answered)
{
    JSValue commonjs = JS_UNDEFINED;
    if (ends_with(f->name, ".json"))
        return load_commonjs(ctx, f);
    JSValue module = compile_file(ctx, f, &commonjs);
    if (JS_IsException(module))
        return module;
    if (JS_IsUndefined(module)) {
        JSValue exports = run_commonjs(ctx, f, commonjs);
        run_jobs(ctx);
        return exports;
    }
    JSModuleDef *m = JS_VALUE_GET_PTR(module);
    if (JS_ResolveModule(ctx, module) < 0)
        return JS_EXCEPTION;
    JSValue promise = JS_EvalFunction(ctx, module);
    if (JS_IsException(promise))
        return promise;
    run_jobs(ctx);
    if (JS_PromiseState(ctx, promise) == JS_PROMISE_REJECTED) {
        JSValue reason = JS_PromiseResult(ctx, promise);
        track_rejection(ctx, promise, reason, true, NULL);
        return JS_Throw(ctx, reason);
    }
    if (JS_PromiseState(ctx, promise) == JS_PROMISE_PENDING) {
        failf(ERROR_LOAD, "%s awaits something at its top level that never comes: %s", f->name, not_at_load);
        *answered = 1;
        return JS_EXCEPTION;
    }
    return JS_GetModuleNamespace(ctx, m);
}

EXPORT(aleph_load) void aleph_load(uint32_t len)
{
    JSContext *ctx = context;
    FrameReader r;
    Field f, name, value, entrypoint = {0};
    uint64_t memory_limit = 0;
    if (event_read(len) || files_read(ctx)) {
        fail_plainly(ERROR_OUT_OF_MEMORY, "out of memory while reading the program");
        return;
    }
    frame_open(&r, event.frame, event.len);
    while (frame_next(&r, &f)) {
        if (f.tag == TAG_ENTRYPOINT)
            entrypoint = f;
        else if (f.tag == TAG_MEMORY_LIMIT)
            memory_limit = field_u64(&f);
        else if (f.tag == TAG_VARIABLE && field_pair(&f, &name, &value)) {
            JSAtom atom = new_atom(ctx, name.at, name.len);
            JS_DefinePropertyValue(ctx, env_object, atom, new_string(ctx, &value), JS_PROP_C_W_E);
            JS_FreeAtom(ctx, atom);
        }
    }
    if (event.seed)
        ctx->random_state = event.seed;
    char *file = copy_text(&entrypoint), *export = strrchr(file, ':');
    if (export)
        *export++ = 0;
    clean_path(file);
    File *main = find_file(file);
    if (!main) {
        failf(ERROR_NO_HANDLER, "the entrypoint %s is not among the program's %u files", *file ? file : "(none given)", file_count);
        return;
    }
    int answered = 0;
    JSValue exports = run_entrypoint(ctx, main, &answered);
    if (answered)
        return;
    if (JS_IsException(exports)) {
        fail_load(ctx);
        return;
    }
    const char *wanted = export ? export : "default";
    JSValue found = JS_IsObject(exports) ? JS_GetPropertyStr(ctx, exports, wanted) : JS_UNDEFINED;
    int is_commonjs = JS_IsObject(main->exports);
    if (!(JS_IsUndefined(found) ? 0 : take_handler(ctx, found)) && !(!export && is_commonjs && take_handler(ctx, exports)) &&
        !(!export && JS_IsUndefined(found) && take_handler(ctx, exports))) {
        if (is_commonjs && !JS_IsObject(exports))
            found = exports;
        fail_no_handler(ctx, file, wanted, exports, found);
        return;
    }
    report_rejections(ctx, JS_UNDEFINED);
    JSValue pending = JS_Call(ctx, hooks.pending, JS_UNDEFINED, 0, NULL);
    if (!JS_IsUndefined(pending) || operations) {
        failf(ERROR_LOAD, "%s", JS_IsString(pending) ? JS_ToCString(ctx, pending) : not_at_load);
        return;
    }
    event_forget();
    freeze(ctx, memory_limit);
    FrameWriter w;
    frame_begin(&w);
    send(&w);
}

EXPORT(aleph_handle) void aleph_handle(uint32_t len)
{
    JSContext *ctx = context;
    if (event_read(len)) {
        fail_plainly(ERROR_OUT_OF_MEMORY, "out of memory while reading the event");
        return;
    }
    if (event.seed)
        ctx->random_state = event.seed;
    clock_start();
    JSValue args[3] = {JS_UNDEFINED, new_request(ctx), JS_UNDEFINED};
    args[2] = JS_IsException(args[1]) ? JS_EXCEPTION : new_context(ctx);
    if (JS_IsException(args[2])) {
        take_exception(ERROR_EXCEPTION, "");
        return;
    }
    JSValue result, promise;
    if (handler_kind == HANDLER_FETCH) {
        args[0] = handler_object;
        result = JS_Call(ctx, hooks.fetch, JS_UNDEFINED, 3, vc(args));
    } else {
        result = JS_Call(ctx, handler, handler_kind == HANDLER_METHOD ? handler_object : JS_UNDEFINED, 2, vc(args + 1));
    }
    promise = JS_UNDEFINED;
    if (!JS_IsException(result))
        result = await(ctx, result, &promise);
    if (JS_IsException(result))
        take_exception(ERROR_EXCEPTION, "");
    else
        reply(ctx, result);
    if (JS_IsJobPending(rt))
        run_jobs(ctx);
    if (rejection_count)
        report_rejections(ctx, promise);
}
