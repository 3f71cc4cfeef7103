/* Operations: what a program asks of the node and awaits. Each is a promise; all that were started run in parallel. When
   no JavaScript is left to run, run_until() waits for whichever completes first. */

typedef struct Operation {
    struct Operation *next;
    uint32_t ticket;          /* 0: not started, for there are too many at once */
    uint32_t op;
    uint32_t id;              /* of a fetch, for its cancellation */
    JSValue resolve, reject, key;
    FrameWriter frame;
} Operation;

static Operation *operations; /* in the order of their start */

static const char not_at_load[] =
    "the store, fetch and timers are not available while the program loads, only while it handles an event";

static const char *const operation_codes[] = {
    "ok", "invalid_argument", "not_a_counter", "quota_exceeded", "value_too_large", "unavailable", "unknown_operation",
    "network", "forbidden", "timeout", "closed",
};

static JSValue new_error(JSContext *ctx, const char *code, const char *message, size_t len)
{
    JSValue error = JS_NewError(ctx);
    if (JS_IsException(error))
        return error;
    JS_DefinePropertyValueStr(ctx, error, "message", JS_NewStringLen(ctx, message, len), JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    JS_DefinePropertyValueStr(ctx, error, "code", JS_NewString(ctx, code), JS_PROP_C_W_E);
    return error;
}

static void operation_unlink(Operation *o)
{
    Operation **p = &operations;
    while (*p != o)
        p = &(*p)->next;
    *p = o->next;
}

static void operation_free(JSContext *ctx, Operation *o)
{
    JS_FreeValue(ctx, o->resolve);
    JS_FreeValue(ctx, o->reject);
    JS_FreeValue(ctx, o->key);
    free(o->frame.bytes);
    free(o);
}

/* Hands the operation to the node if it takes one more. */
static int operation_start(Operation *o)
{
    int32_t ticket = aleph_op_start(o->op, o->frame.bytes, o->frame.len);
    if (ticket > 0) {
        o->ticket = ticket;
        free(o->frame.bytes);
        o->frame.bytes = NULL;
    }
    return ticket;
}

static Operation *operation_new(JSContext *ctx, uint32_t op)
{
    Operation *o = calloc(1, sizeof(*o));
    if (!o) {
        JS_ThrowOutOfMemory(ctx);
        return NULL;
    }
    o->op = op;
    o->resolve = o->reject = o->key = JS_UNDEFINED;
    frame_begin(&o->frame);
    return o;
}

/* Starts it and keeps it. Returns -1 with an exception if the node refuses. */
static int operation_keep(JSContext *ctx, Operation *o)
{
    if (o->frame.failed) {
        JS_ThrowOutOfMemory(ctx);
        return -1;
    }
    uint32_t op = o->op;
    int32_t ticket = operation_start(o);
    if (ticket < -1) {
        const char *code = ticket == -2 ? "not_available" : "value_too_large";
        const char *text = ticket == -2 ? not_at_load : op == OP_FETCH ? "a request and its body may have 16 MiB together" : "an operation's key and value may have 16 MiB together";
        JS_Throw(ctx, new_error(ctx, code, text, strlen(text)));
        return -1;
    }
    Operation **p = &operations;
    while (*p)
        p = &(*p)->next;
    *p = o;
    return 0;
}

static void frame_value(JSContext *ctx, FrameWriter *w, uint32_t tag, JSValueConst v)
{
    const uint8_t *at;
    size_t len;
    if (bytes_of(ctx, v, &at, &len))
        frame_bytes(w, tag, at, len);
    else
        frame_string(ctx, w, tag, v);
}

static void frame_number(JSContext *ctx, FrameWriter *w, uint32_t tag, JSValueConst v, int size)
{
    int64_t n;
    if (JS_ToInt64(ctx, &n, v) < 0)
        w->failed = 1;
    else
        frame_bytes(w, tag, &n, size);
}

/* operate(op, key, value, kind, ttl, limit, cursor, delta, expected, expectedKind): undefined is absent. */
static JSValue native_operate(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    static const struct { uint32_t tag; int size; } fields[] = {
        {0, 0}, {TAG_KEY, 0}, {TAG_VALUE, 0}, {TAG_VALUE_KIND, 4}, {TAG_TTL, 8}, {TAG_LIMIT, 4}, {TAG_CURSOR, 0},
        {TAG_DELTA, 8}, {TAG_EXPECTED, 0}, {TAG_EXPECTED_KIND, 4},
    };
    uint32_t op;
    if (JS_ToUint32(ctx, &op, argv[0]) < 0)
        return JS_EXCEPTION;
    Operation *o = operation_new(ctx, op);
    if (!o)
        return JS_EXCEPTION;
    for (int i = 1; i < argc && i < (int)countof(fields); i++) {
        if (JS_IsUndefined(argv[i]))
            continue;
        if (fields[i].size)
            frame_number(ctx, &o->frame, fields[i].tag, argv[i], fields[i].size);
        else
            frame_value(ctx, &o->frame, fields[i].tag, argv[i]);
    }
    JSValue resolving[2];
    JSValue promise = JS_NewPromiseCapability(ctx, resolving);
    if (JS_IsException(promise))
        return promise;
    o->resolve = resolving[0];
    o->reject = resolving[1];
    o->key = JS_DupValue(ctx, argv[1]);
    if (operation_keep(ctx, o)) {
        operation_free(ctx, o);
        return JS_EXCEPTION;
    }
    return promise;
}

static uint32_t last_fetch;

/* fetch(method, url, headers, body, redirects): [promise, id]. headers is [name, value, name, value, …]; body a string, bytes
   or null. The promise is of [status, reason, url, headers, body], the body a Uint8Array. */
static JSValue native_fetch(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    Operation *o = operation_new(ctx, OP_FETCH);
    if (!o)
        return JS_EXCEPTION;
    o->id = ++last_fetch;
    frame_string(ctx, &o->frame, TAG_METHOD, argv[0]);
    frame_string(ctx, &o->frame, TAG_URL, argv[1]);
    int64_t headers = 0;
    JS_GetLength(ctx, argv[2], &headers);
    for (int64_t i = 0; i + 1 < headers; i += 2) {
        JSValue name = JS_GetPropertyInt64(ctx, argv[2], i), value = JS_GetPropertyInt64(ctx, argv[2], i + 1);
        size_t name_len, value_len;
        const char *n = JS_ToCStringLen(ctx, &name_len, name), *v = JS_ToCStringLen(ctx, &value_len, value);
        if (n && v)
            frame_pair(&o->frame, TAG_HEADER, n, name_len, v, value_len);
        else
            o->frame.failed = 1;
        JS_FreeCString(ctx, n);
        JS_FreeCString(ctx, v);
        JS_FreeValue(ctx, name);
        JS_FreeValue(ctx, value);
    }
    if (!JS_IsNull(argv[3]))
        frame_value(ctx, &o->frame, TAG_BODY, argv[3]);
    frame_number(ctx, &o->frame, TAG_REDIRECTS, argv[4], 4);
    JSValue resolving[2];
    JSValue promise = JS_NewPromiseCapability(ctx, resolving);
    if (JS_IsException(promise))
        return promise;
    o->resolve = resolving[0];
    o->reject = resolving[1];
    uint32_t id = o->id;
    if (operation_keep(ctx, o)) {
        operation_free(ctx, o);
        JS_FreeValue(ctx, promise);
        return JS_EXCEPTION;
    }
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, promise);
    JS_SetPropertyUint32(ctx, pair, 1, JS_NewUint32(ctx, id));
    return pair;
}

/* Starts the first operation that waits for room. */
static void operation_start_next(void)
{
    for (Operation *o = operations; o; o = o->next)
        if (!o->ticket) {
            operation_start(o);
            return;
        }
}

/* cancel(id): ends a fetch. Its promise is never settled. */
static JSValue native_cancel(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    uint32_t id;
    if (JS_ToUint32(ctx, &id, argv[0]) < 0)
        return JS_EXCEPTION;
    for (Operation *o = operations; o; o = o->next)
        if (o->op == OP_FETCH && o->id == id) {
            uint32_t ticket = o->ticket;
            operation_unlink(o);
            operation_free(ctx, o);
            if (ticket) {
                aleph_op_cancel(ticket);
                operation_start_next();
            }
            break;
        }
    return JS_UNDEFINED;
}

static Operation *sleeping;

/* sleep(ms): hooks.wake is called once, after that time; a call before it is over takes its place. Negative: none. */
static JSValue native_sleep(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    double ms;
    if (JS_ToFloat64(ctx, &ms, argv[0]) < 0)
        return JS_EXCEPTION;
    if (sleeping) {
        if (sleeping->ticket)
            aleph_op_cancel(sleeping->ticket);
        operation_unlink(sleeping);
        operation_free(ctx, sleeping);
        sleeping = NULL;
    }
    if (ms < 0)
        return JS_UNDEFINED;
    Operation *o = operation_new(ctx, OP_SLEEP);
    if (!o)
        return JS_EXCEPTION;
    frame_u64(&o->frame, TAG_DURATION, (uint64_t)(ms * 1e6));
    if (operation_keep(ctx, o)) {
        operation_free(ctx, o);
        return JS_EXCEPTION;
    }
    sleeping = o;
    return JS_UNDEFINED;
}

static JSValue decode_value(JSContext *ctx, uint32_t kind, const uint8_t *at, uint32_t len)
{
    switch (kind) {
    case KIND_JSON: {
        char *text = js_strndup(ctx, (const char *)at, len); /* JS_ParseJSON wants a terminator */
        JSValue v = text ? JS_ParseJSON(ctx, text, len, "stored value") : JS_EXCEPTION;
        js_free(ctx, text);
        return v;
    }
    case KIND_COUNTER:
        return JS_NewInt64(ctx, len >= 8 ? (int64_t)get_u64(at) : 0);
    case KIND_DELETED:
        return JS_NULL;
    default:
        return JS_NewUint8ArrayCopy(ctx, at, len);
    }
}

static int decode_entry(JSContext *ctx, const Field *f, JSValue *key, JSValue *value, uint32_t *kind)
{
    if (f->len < 8 || get_u32(f->at) > f->len - 8)
        return -1;
    uint32_t n = get_u32(f->at);
    *kind = get_u32(f->at + 4 + n);
    *key = JS_NewStringLen(ctx, (const char *)f->at + 4, n);
    *value = decode_value(ctx, *kind, f->at + 8 + n, f->len - 8 - n);
    return JS_IsException(*key) || JS_IsException(*value) ? -1 : 0;
}

static void put(JSContext *ctx, JSValue object, const char *name, JSValue v)
{
    JS_DefinePropertyValueStr(ctx, object, name, v, JS_PROP_C_W_E);
}

/* What a fetch resolves to. */
static JSValue fetch_result(JSContext *ctx, FrameReader r)
{
    Field f, name, value, reason = {0}, url = {0}, body = {0};
    uint32_t status = 0, n = 0;
    JSValue headers = JS_NewArray(ctx);
    while (frame_next(&r, &f)) {
        switch (f.tag) {
        case TAG_HTTP_STATUS: status = field_u32(&f); break;
        case TAG_OP_MESSAGE: reason = f; break;
        case TAG_URL: url = f; break;
        case TAG_BODY: body = f; break;
        case TAG_HEADER:
            if (field_pair(&f, &name, &value)) {
                JS_SetPropertyUint32(ctx, headers, n++, new_string(ctx, &name));
                JS_SetPropertyUint32(ctx, headers, n++, new_string(ctx, &value));
            }
            break;
        }
    }
    JSValue parts = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, parts, 0, JS_NewUint32(ctx, status));
    JS_SetPropertyUint32(ctx, parts, 1, new_string(ctx, &reason));
    JS_SetPropertyUint32(ctx, parts, 2, new_string(ctx, &url));
    JS_SetPropertyUint32(ctx, parts, 3, headers);
    JSValue bytes = JS_NewUint8ArrayCopy(ctx, body.at, body.len);
    if (JS_IsException(bytes)) {
        JS_FreeValue(ctx, parts);
        return bytes;
    }
    JS_SetPropertyUint32(ctx, parts, 4, bytes);
    return parts;
}

static JSValue operation_result(JSContext *ctx, Operation *o, const uint8_t *frame, uint32_t len)
{
    FrameReader r;
    Field f, value = {0}, cursor = {0}, delta = {0}, message = {0}, entry = {0};
    uint32_t status = 0, kind = KIND_BYTES, done = 0;
    if (!frame_open(&r, frame, len))
        return JS_ThrowInternalError(ctx, "the node's answer is no frame");
    FrameReader entries = r;
    while (frame_next(&r, &f)) {
        switch (f.tag) {
        case TAG_OP_STATUS: status = field_u32(&f); break;
        case TAG_OP_MESSAGE: message = f; break;
        case TAG_VALUE: value = f; break;
        case TAG_VALUE_KIND: kind = field_u32(&f); break;
        case TAG_CURSOR: cursor = f; break;
        case TAG_DELTA: delta = f; break;
        case TAG_DONE: done = field_u32(&f); break;
        case TAG_ENTRY: entry = f; break;
        }
    }
    if (status) {
        const char *code = status < countof(operation_codes) ? operation_codes[status] : "unavailable";
        if (!message.len)
            message = (Field){0, strlen(code), (const uint8_t *)code};
        return JS_Throw(ctx, new_error(ctx, code, (const char *)message.at, message.len));
    }
    JSValue object, keys, list, k, v;
    switch (o->op) {
    case OP_FETCH:
        return fetch_result(ctx, entries);
    case OP_GET:
        return value.at ? decode_value(ctx, kind, value.at, value.len) : JS_NULL;
    case OP_SET:
        object = JS_NewObject(ctx);
        put(ctx, object, "key", JS_DupValue(ctx, o->key));
        return object;
    case OP_DELETE:
    case OP_COMPARE_AND_SET:
        return JS_NewBool(ctx, done != 0);
    case OP_INCREMENT:
        return JS_NewInt64(ctx, (int64_t)field_u64(&delta));
    case OP_LIST:
        object = JS_NewObject(ctx);
        keys = JS_NewArray(ctx);
        list = JS_NewArray(ctx);
        for (uint32_t i = 0; frame_next(&entries, &f);) {
            if (f.tag != TAG_ENTRY)
                continue;
            if (decode_entry(ctx, &f, &k, &v, &kind))
                return JS_EXCEPTION;
            JSValue one = JS_NewObject(ctx);
            put(ctx, one, "key", JS_DupValue(ctx, k));
            put(ctx, one, "value", v);
            JS_SetPropertyUint32(ctx, keys, i, k);
            JS_SetPropertyUint32(ctx, list, i++, one);
        }
        put(ctx, object, "keys", keys);
        put(ctx, object, "entries", list);
        put(ctx, object, "cursor", cursor.at ? new_string(ctx, &cursor) : JS_NULL);
        return object;
    case OP_WATCH:
        if (decode_entry(ctx, &entry, &k, &v, &kind))
            return JS_EXCEPTION;
        object = JS_NewObject(ctx);
        put(ctx, object, "key", k);
        put(ctx, object, "value", v);
        put(ctx, object, "deleted", JS_NewBool(ctx, kind == KIND_DELETED));
        return object;
    }
    return JS_UNDEFINED;
}

static void operation_complete(JSContext *ctx, Operation *o, uint32_t len)
{
    uint8_t *frame = malloc(len ? len : 1);
    uint32_t ticket = o->ticket;
    operation_unlink(o);
    for (Operation *q = operations; q; q = q->next)
        if (!q->ticket) { /* there is room for one more when this one is taken */
            if (frame)
                aleph_op_take(ticket, frame, len);
            operation_start(q);
            goto taken;
        }
    if (frame)
        aleph_op_take(ticket, frame, len);
taken:;
    JSValue result;
    if (!frame)
        result = JS_ThrowOutOfMemory(ctx);
    else if (o->op == OP_SLEEP) {
        sleeping = NULL;
        result = JS_Call(ctx, hooks.wake, JS_UNDEFINED, 0, NULL);
    } else
        result = operation_result(ctx, o, frame, len);
    int failed = JS_IsException(result);
    if (failed)
        result = JS_GetException(ctx);
    JSValue settle = failed ? o->reject : o->resolve;
    if (!JS_IsUndefined(settle))
        JS_FreeValue(ctx, JS_Call(ctx, settle, JS_UNDEFINED, 1, vc(&result)));
    JS_FreeValue(ctx, result);
    free(frame);
    operation_free(ctx, o);
}

/* Logs an error that no one can catch. */
static void report(JSContext *ctx, JSValue error, const char *what)
{
    JSValue args[] = {error, JS_NewString(ctx, what)};
    JS_FreeValue(ctx, JS_Call(ctx, hooks.uncaught, JS_UNDEFINED, 2, vc(args)));
}

static void run_jobs(JSContext *ctx)
{
    JSContext *of;
    int ran;
    while ((ran = JS_ExecutePendingJob(ctx->rt, &of)) != 0)
        if (ran < 0)
            report(ctx, JS_GetException(ctx), "Uncaught exception");
}

/* Runs whatever can run until the promise is settled. If it never is, the node's deadline ends the wait. */
static void run_until(JSContext *ctx, JSValueConst promise)
{
    for (;;) {
        run_jobs(ctx);
        if (JS_PromiseState(ctx, promise) != JS_PROMISE_PENDING)
            return;
        int64_t done = aleph_op_wait(0);
        uint32_t ticket = (uint32_t)(done >> 32);
        for (Operation *o = operations; o; o = o->next)
            if (o->ticket == ticket) {
                operation_complete(ctx, o, (uint32_t)done);
                break;
            }
    }
}
