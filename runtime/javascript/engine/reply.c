/* What the handler returned, as a response frame.

     undefined                         204
     string                            200 text/plain
     Uint8Array, ArrayBuffer, a view   200 application/octet-stream
     Response                          what it says
     {status|statusCode, headers?, body?} and no other key    the same; the body as by this table
     null, boolean, number, array, object                     200 application/json, by JSON.stringify

   Everything else is an error: code invalid_reply, and a message that says what was returned. */

static void take_exception(uint32_t code, const char *what);

/* The failure to answer with if there is no memory to build another. */
static uint8_t failure_bytes[512];

static void fail_plainly(uint32_t code, const char *message)
{
    FrameWriter w = {failure_bytes, 4, sizeof(failure_bytes), 0};
    memcpy(failure_bytes, "alv1", 4);
    size_t n = strlen(message);
    frame_u32(&w, TAG_ERROR_CODE, code);
    frame_bytes(&w, TAG_ERROR_MESSAGE, message, n < 400 ? n : 400);
    aleph_respond(w.bytes, w.len);
}

static void send(FrameWriter *w)
{
    if (w->failed)
        fail_plainly(ERROR_OUT_OF_MEMORY, "out of memory while building the reply");
    else
        aleph_respond(w->bytes, w->len);
}

/* A failure. Messages are one line. */
static void fail(uint32_t code, const char *message, size_t message_len, const char *stack, size_t stack_len)
{
    FrameWriter w;
    frame_begin(&w);
    frame_u32(&w, TAG_ERROR_CODE, code);
    uint8_t *p = frame_field(&w, TAG_ERROR_MESSAGE, message_len);
    for (size_t i = 0; p && i < message_len; i++)
        p[i] = (uint8_t)message[i] < ' ' ? ' ' : message[i];
    if (stack_len)
        frame_bytes(&w, TAG_ERROR_STACK, stack, stack_len);
    send(&w);
}

static void __attribute__((format(printf, 2, 3))) failf(uint32_t code, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    fail(code, message, n < (int)sizeof(message) ? n : sizeof(message) - 1, NULL, 0);
}

/* A field with the UTF-8 of a string. */
static void frame_string(JSContext *ctx, FrameWriter *w, uint32_t tag, JSValueConst text)
{
    if (JS_VALUE_GET_TAG(text) == JS_TAG_STRING) {
        JSString *s = JS_VALUE_GET_STRING(text);
        if (!s->is_wide_char) {
            const uint8_t *at = str8(s);
            uint32_t i = 0, len = s->len;
            while (i < len && at[i] < 0x80)
                i++;
            if (i == len) { /* ASCII */
                frame_bytes(w, tag, at, len);
                return;
            }
        }
    }
    size_t len;
    const char *utf8 = JS_ToCStringLen(ctx, &len, text);
    if (!utf8) {
        w->failed = 1;
        return;
    }
    frame_bytes(w, tag, utf8, len);
    JS_FreeCString(ctx, utf8);
}

static void frame_header(FrameWriter *w, const char *name, const char *value)
{
    frame_pair(w, TAG_HEADER, name, strlen(name), value, strlen(value));
}

/* The bytes behind an ArrayBuffer or a view of one; false if it is neither (or detached). */
static int bytes_of(JSContext *ctx, JSValueConst v, const uint8_t **at, size_t *len)
{
    if (JS_VALUE_GET_TAG(v) != JS_TAG_OBJECT)
        return 0;
    JSObject *p = JS_VALUE_GET_OBJ(v);
    if (p->class_id == JS_CLASS_ARRAY_BUFFER || p->class_id == JS_CLASS_SHARED_ARRAY_BUFFER) {
        JSArrayBuffer *b = p->u.array_buffer;
        *at = b->data;
        *len = b->detached ? 0 : b->byte_length;
        return 1;
    }
    if (p->class_id < JS_CLASS_UINT8C_ARRAY || p->class_id > JS_CLASS_DATAVIEW)
        return 0;
    JSTypedArray *ta = p->u.typed_array;
    JSArrayBuffer *b = ta->buffer->u.array_buffer;
    *at = b->data + ta->offset;
    *len = b->detached || (size_t)ta->offset > (size_t)b->byte_length ? 0 : ta->length;
    if (ta->track_rab && !b->detached)
        *len = b->byte_length - ta->offset;
    return 1;
}

/* Adds the body and, unless the reply names one, its content type. Returns 0, or -1 after having answered. */
static int reply_body(JSContext *ctx, FrameWriter *w, JSValueConst v, int has_type)
{
    const uint8_t *at;
    size_t len;
    int tag = JS_VALUE_GET_NORM_TAG(v);
    if (tag == JS_TAG_STRING || tag == JS_TAG_STRING_ROPE) {
        if (!has_type)
            frame_header(w, "content-type", "text/plain; charset=utf-8");
        frame_string(ctx, w, TAG_BODY, v);
        return 0;
    }
    if (bytes_of(ctx, v, &at, &len)) {
        if (!has_type)
            frame_header(w, "content-type", "application/octet-stream");
        frame_bytes(w, TAG_BODY, at, len);
        return 0;
    }
    if (tag == JS_TAG_SYMBOL || tag == JS_TAG_BIG_INT || tag == JS_TAG_SHORT_BIG_INT || JS_IsFunction(ctx, v)) {
        failf(ERROR_INVALID_REPLY, "the handler returned a %s; return a string, bytes, a Response, or what JSON can hold",
              tag == JS_TAG_SYMBOL ? "symbol" : JS_IsFunction(ctx, v) ? "function" : "BigInt");
        return -1;
    }
    if (tag == JS_TAG_OBJECT) {
        JSObject *p = JS_VALUE_GET_OBJ(v);
        if (p->class_id == JS_CLASS_MAP || p->class_id == JS_CLASS_SET) {
            failf(ERROR_INVALID_REPLY, "the handler returned a %s, which JSON cannot hold; return an object or an array made of it",
                  p->class_id == JS_CLASS_MAP ? "Map" : "Set");
            return -1;
        }
        if (p->class_id == JS_CLASS_ERROR) {
            const char *text = JS_ToCString(ctx, v);
            failf(ERROR_INVALID_REPLY, "the handler returned an error instead of throwing it: %s", text ? text : "Error");
            return -1;
        }
    }
    JSValue json = JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);
    if (JS_IsException(json)) {
        take_exception(ERROR_INVALID_REPLY, "the handler's reply cannot be written as JSON: ");
        return -1;
    }
    if (JS_IsUndefined(json)) {
        failf(ERROR_INVALID_REPLY, "the handler's reply has a toJSON method that returns nothing");
        return -1;
    }
    if (!has_type)
        frame_header(w, "content-type", "application/json");
    frame_string(ctx, w, TAG_BODY, json);
    JS_FreeValue(ctx, json);
    return 0;
}

/* Adds one header. Returns 0, or -1 after having answered. */
static int reply_header(JSContext *ctx, FrameWriter *w, const char *name, JSValueConst v, int *has_type)
{
    static const char other_token_chars[] = "!#$%&'*+-.^_`|~";
    char lower[128];
    size_t n = strlen(name);
    if (n == 0 || n >= sizeof(lower)) {
        failf(ERROR_INVALID_REPLY, "the handler's reply has a header with an empty name or one of %zu characters; the limit is 127", n);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        int c = (uint8_t)name[i];
        if (!(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z') && !strchr(other_token_chars, c)) {
            failf(ERROR_INVALID_REPLY, "the handler's reply has a header with an invalid name: \"%s\"", name);
            return -1;
        }
        lower[i] = c >= 'A' && c <= 'Z' ? c | 32 : c;
    }
    lower[n] = 0;
    int tag = JS_VALUE_GET_NORM_TAG(v);
    if (tag == JS_TAG_UNDEFINED || tag == JS_TAG_NULL)
        return 0;
    if (JS_IsArray(v)) {
        int64_t count;
        if (JS_GetLength(ctx, v, &count) < 0)
            goto exception;
        for (int64_t i = 0; i < count; i++) {
            JSValue one = JS_GetPropertyInt64(ctx, v, i);
            if (JS_IsException(one))
                goto exception;
            if (JS_IsArray(one) || reply_header(ctx, w, name, one, has_type)) {
                if (JS_IsArray(one))
                    failf(ERROR_INVALID_REPLY, "the handler's reply has nested arrays as the value of header \"%s\"", lower);
                return -1;
            }
            JS_FreeValue(ctx, one);
        }
        return 0;
    }
    if (tag != JS_TAG_STRING && tag != JS_TAG_STRING_ROPE && tag != JS_TAG_INT && tag != JS_TAG_FLOAT64 && tag != JS_TAG_BOOL) {
        failf(ERROR_INVALID_REPLY, "the handler's reply has a value of header \"%s\" that is no string", lower);
        return -1;
    }
    size_t len;
    const char *value = JS_ToCStringLen(ctx, &len, v);
    if (!value)
        goto exception;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = value[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            failf(ERROR_INVALID_REPLY, "the handler's reply has a control character (0x%02x) in the value of header \"%s\"", c, lower);
            return -1;
        }
    }
    if (!strcmp(lower, "content-type"))
        *has_type = 1;
    frame_pair(w, TAG_HEADER, lower, n, value, len);
    JS_FreeCString(ctx, value);
    return 0;
exception:
    take_exception(ERROR_INVALID_REPLY, "the handler's reply cannot be read: ");
    return -1;
}

/* Headers as an object of values, or as an array of [name, value]. */
static int reply_headers(JSContext *ctx, FrameWriter *w, JSValueConst headers, int *has_type)
{
    if (JS_IsUndefined(headers) || JS_IsNull(headers))
        return 0;
    if (JS_VALUE_GET_TAG(headers) != JS_TAG_OBJECT) {
        failf(ERROR_INVALID_REPLY, "the handler's reply has headers that are no object");
        return -1;
    }
    JSValue entries = JS_UNDEFINED;
    if (!JS_IsArray(headers)) { /* a Headers, a Map: what has entries of its own */
        JSValue list = JS_Call(ctx, hooks.header_list, JS_UNDEFINED, 1, &headers);
        if (JS_IsException(list))
            goto exception;
        entries = list;
        headers = list;
    }
    int64_t count;
    if (JS_GetLength(ctx, headers, &count) < 0)
        goto exception;
    for (int64_t i = 0; i < count; i++) {
        JSValue pair = JS_GetPropertyInt64(ctx, headers, i);
        JSValue key = JS_IsObject(pair) ? JS_GetPropertyUint32(ctx, pair, 0) : JS_UNDEFINED;
        JSValue value = JS_IsObject(pair) ? JS_GetPropertyUint32(ctx, pair, 1) : JS_UNDEFINED;
        if (!JS_IsString(key)) {
            failf(ERROR_INVALID_REPLY, "the handler's reply has headers that are neither an object nor a list of [name, value]");
            return -1;
        }
        const char *name = JS_ToCString(ctx, key);
        if (!name)
            goto exception;
        if (reply_header(ctx, w, name, value, has_type))
            return -1;
        JS_FreeCString(ctx, name);
        JS_FreeValue(ctx, key);
        JS_FreeValue(ctx, value);
        JS_FreeValue(ctx, pair);
    }
    JS_FreeValue(ctx, entries);
    return 0;
exception:
    take_exception(ERROR_INVALID_REPLY, "the handler's reply has headers that cannot be read: ");
    return -1;
}

static void reply_response(JSContext *ctx, JSValueConst status, JSValueConst headers, JSValueConst body)
{
    FrameWriter w;
    int32_t code = 200;
    int has_type = 0;
    frame_begin(&w);
    if (!JS_IsUndefined(status)) {
        double d = 0;
        int tag = JS_VALUE_GET_NORM_TAG(status);
        if (tag == JS_TAG_INT)
            d = JS_VALUE_GET_INT(status);
        else if (tag == JS_TAG_FLOAT64)
            d = JS_VALUE_GET_FLOAT64(status);
        code = d >= 200 && d <= 599 ? (int32_t)d : 0;
        if (code == 0 || code != d) {
            const char *text = JS_ToCString(ctx, status);
            failf(ERROR_INVALID_REPLY, "the handler's reply has the status %s; it must be a whole number from 200 to 599", text ? text : "?");
            return;
        }
    }
    if (code != 200)
        frame_u32(&w, TAG_STATUS, code);
    if (reply_headers(ctx, &w, headers, &has_type))
        return;
    if (!JS_IsUndefined(body) && !JS_IsNull(body) && reply_body(ctx, &w, body, has_type))
        return;
    send(&w);
}

/* Whether an object is {status|statusCode, headers?, body?} and nothing else, and gives these. A number that is no
   status makes it one only if there are headers or a body to go with it: {status: 7} is data. */
static int is_response_like(JSContext *ctx, JSObject *p, JSValue *status, JSValue *headers, JSValue *body)
{
    JSShape *sh = p->shape;
    JSShapeProperty *props = get_shape_prop(sh);
    if (sh->prop_count == 0 || sh->prop_count > 4 || p->class_id != JS_CLASS_OBJECT)
        return 0;
    *status = *headers = *body = JS_UNDEFINED;
    int found = 0, rest = 0;
    for (uint32_t i = 0; i < sh->prop_count; i++) {
        JSAtom atom = props[i].atom;
        if (atom == JS_ATOM_NULL || (props[i].flags & JS_PROP_TMASK) != JS_PROP_NORMAL)
            return 0;
        JSValue v = p->prop[i].u.value;
        if (atom == atom_status || atom == atom_status_code) {
            *status = v;
            found = 1;
        } else if (atom == atom_headers) {
            *headers = v;
            rest = 1;
        } else if (atom == atom_body) {
            *body = v;
            rest = 1;
        } else {
            return 0;
        }
    }
    int tag = JS_VALUE_GET_NORM_TAG(*status);
    if (!found || (tag != JS_TAG_INT && tag != JS_TAG_FLOAT64))
        return 0;
    return rest || (tag == JS_TAG_INT && JS_VALUE_GET_INT(*status) >= 200 && JS_VALUE_GET_INT(*status) <= 599);
}

static int has_prototype(JSObject *p, JSValueConst proto)
{
    JSObject *want = JS_VALUE_GET_OBJ(proto);
    for (JSObject *q = p->shape->proto; q; q = q->shape->proto)
        if (q == want)
            return 1;
    return 0;
}

static void reply(JSContext *ctx, JSValueConst v)
{
    int tag = JS_VALUE_GET_NORM_TAG(v);
    if (tag == JS_TAG_UNDEFINED) {
        FrameWriter w;
        frame_begin(&w);
        frame_u32(&w, TAG_STATUS, 204);
        send(&w);
        return;
    }
    if (tag == JS_TAG_OBJECT) {
        JSObject *p = JS_VALUE_GET_OBJ(v);
        JSValue status, headers, body;
        if (is_response_like(ctx, p, &status, &headers, &body)) {
            reply_response(ctx, status, headers, body);
            return;
        }
        if (JS_IsObject(hooks.response_prototype) && has_prototype(p, hooks.response_prototype)) {
            JSValue parts = JS_Call(ctx, hooks.response_parts, JS_UNDEFINED, 1, &v);
            if (JS_IsException(parts)) {
                take_exception(ERROR_INVALID_REPLY, "the handler's Response cannot be sent: ");
                return;
            }
            reply_response(ctx, JS_GetPropertyUint32(ctx, parts, 0), JS_GetPropertyUint32(ctx, parts, 1), JS_GetPropertyUint32(ctx, parts, 2));
            return;
        }
    }
    FrameWriter w;
    frame_begin(&w);
    if (!reply_body(ctx, &w, v, 0))
        send(&w);
}
