/* What the prelude is built on: the functions of the object "native" that its files are called with. */

static JSValue env_object; /* process.env */
static int64_t clock_origin;  /* of performance.now, in steady nanoseconds */

static void clock_start(void) { clock_origin = aleph_clock(CLOCK_STEADY); }

static void event_forget(void)
{
    memset(&event, 0, sizeof(event));
    event.raw_body = JS_UNDEFINED;
}

/* log(level, text) */
static JSValue native_log(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    int32_t level = LOG_INFO;
    size_t len;
    JS_ToInt32(ctx, &level, argv[0]);
    const char *text = JS_ToCStringLen(ctx, &len, argv[1]);
    if (!text)
        return JS_EXCEPTION;
    aleph_log(level, text, len);
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

/* random(view): fills it */
static JSValue native_random(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    const uint8_t *at;
    size_t len;
    if (!bytes_of(ctx, argv[0], &at, &len))
        return JS_ThrowTypeError(ctx, "not an ArrayBuffer or a view of one");
    aleph_random((void *)at, len);
    return JS_UNDEFINED;
}

/* now(): milliseconds since the event began, or since the engine was made */
static JSValue native_now(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    return JS_NewFloat64(ctx, (double)(aleph_clock(CLOCK_STEADY) - clock_origin) / 1e6);
}

/* started(): Unix milliseconds of the event's start */
static JSValue native_started(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    return JS_NewFloat64(ctx, event.time ? (double)event.time / 1e6 : (double)aleph_clock(CLOCK_UNIX) / 1e6);
}

/* hrtime(): steady nanoseconds, a BigInt */
static JSValue native_hrtime(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    return JS_NewBigInt64(ctx, aleph_clock(CLOCK_STEADY));
}

/* promiseState(promise): [state, result] */
static JSValue native_promise_state(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    static const char *const states[] = {"pending", "fulfilled", "rejected"};
    JSPromiseStateEnum state = JS_PromiseState(ctx, argv[0]);
    JSValue pair = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, pair, 0, JS_NewString(ctx, states[state]));
    JS_SetPropertyUint32(ctx, pair, 1, state == JS_PROMISE_PENDING ? JS_UNDEFINED : JS_PromiseResult(ctx, argv[0]));
    return pair;
}

static JSValue call_job(JSContext *ctx, int argc, JSValueConst *argv)
{
    return JS_Call(ctx, argv[0], JS_UNDEFINED, argc - 1, argv + 1);
}

/* enqueue(f, ...args): calls it in a job of its own */
static JSValue native_enqueue(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    return JS_EnqueueJob(ctx, call_job, argc, argv) < 0 ? JS_EXCEPTION : JS_UNDEFINED;
}

/* utf8Encode(text): a Uint8Array */
static JSValue native_utf8_encode(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    size_t len;
    const char *text = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text)
        return JS_EXCEPTION;
    JSValue bytes;
    if (is_utf8((const uint8_t *)text, len)) {
        bytes = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)text, len);
    } else { /* lone surrogates: three bytes each, to be replaced by the three of U+FFFD */
        uint8_t *copy = js_malloc(ctx, len);
        if (!copy)
            return JS_EXCEPTION;
        memcpy(copy, text, len);
        for (size_t i = 0; i + 2 < len; i++)
            if (copy[i] == 0xed && copy[i + 1] >= 0xa0)
                memcpy(copy + i, "\xef\xbf\xbd", 3);
        bytes = JS_NewUint8ArrayCopy(ctx, copy, len);
        js_free(ctx, copy);
    }
    JS_FreeCString(ctx, text);
    return bytes;
}

/* utf8Decode(view, fatal): a string, or null if 'fatal' and it is not UTF-8 */
static JSValue native_utf8_decode(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    const uint8_t *at;
    size_t len;
    if (!bytes_of(ctx, argv[0], &at, &len))
        return JS_ThrowTypeError(ctx, "not an ArrayBuffer or a view of one");
    if (JS_ToBool(ctx, argv[1]) && !is_utf8(at, len))
        return JS_NULL;
    return new_text(ctx, at, len);
}

/* body(): the event's body, a new Uint8Array, or null */
static JSValue native_body(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    return event.body.len ? JS_NewUint8ArrayCopy(ctx, event.body.at, event.body.len) : JS_NULL;
}

/* query(): the event's query as it came */
static JSValue native_query(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    return new_text(ctx, event.query.at, event.query.len);
}

static const JSCFunctionListEntry native_functions[] = {
    JS_CFUNC_DEF("log", 2, native_log),
    JS_CFUNC_DEF("random", 1, native_random),
    JS_CFUNC_DEF("now", 0, native_now),
    JS_CFUNC_DEF("startTime", 0, native_started),
    JS_CFUNC_DEF("hrtime", 0, native_hrtime),
    JS_CFUNC_DEF("promiseState", 1, native_promise_state),
    JS_CFUNC_DEF("enqueue", 3, native_enqueue),
    JS_CFUNC_DEF("utf8Encode", 1, native_utf8_encode),
    JS_CFUNC_DEF("utf8Decode", 2, native_utf8_decode),
    JS_CFUNC_DEF("body", 0, native_body),
    JS_CFUNC_DEF("query", 0, native_query),
    JS_CFUNC_DEF("urlParse", 2, native_url_parse),
    JS_CFUNC_DEF("urlSet", 3, native_url_set),
    JS_CFUNC_DEF("formParse", 1, native_form_parse),
    JS_CFUNC_DEF("formEncode", 1, native_form_encode),
    JS_CFUNC_DEF("operate", 10, native_operate),
    JS_CFUNC_DEF("fetch", 5, native_fetch),
    JS_CFUNC_DEF("cancel", 1, native_cancel),
    JS_CFUNC_DEF("sleep", 1, native_sleep),
};

static JSValue natives_init(JSContext *ctx)
{
    JSValue native = JS_NewObject(ctx);
    JS_SetPropertyFunctionList(ctx, native, native_functions, countof(native_functions));
    env_object = JS_NewObject(ctx);
    put(ctx, native, "version", JS_NewString(ctx, JS_GetVersion()));
    put(ctx, native, "env", JS_DupValue(ctx, env_object));
    return native;
}
