/* The event frame as JavaScript sees it: the handler's (req, context).

   req is a plain object {method, path, query, headers, body}, so that spread, Object.keys and JSON.stringify show what a
   user expects; rawBody, the body's bytes, is an own accessor that is not enumerable. Both objects start from shapes made
   once, in the image. */

typedef struct Event {
    const uint8_t *frame;
    uint32_t len;
    uint64_t time;           /* Unix nanoseconds */
    uint64_t seed;
    Field request_id, id, program, node, account, method, path, query, body, content_type;
    uint32_t kind, attempt;
    uint32_t headers;        /* how many */
    JSValue raw_body, parsed, described; /* req.rawBody and context.event once they are made; what a kind's payload is */
} Event;

static Event event;
static JSShape *request_shape, *context_shape;
static JSValue raw_body_getter, raw_body_setter, event_getter, event_setter, aleph_object;

static JSValue new_string(JSContext *ctx, const Field *f)
{
    if (!f->at)
        return JS_NULL;
    return new_text(ctx, f->at, f->len);
}

/* A property key of bytes that should be UTF-8. */
static JSAtom new_atom(JSContext *ctx, const uint8_t *at, size_t len)
{
    if (is_utf8(at, len))
        return JS_NewAtomLen(ctx, (const char *)at, len);
    JSValue text = new_text(ctx, at, len);
    JSAtom atom = JS_IsException(text) ? JS_ATOM_NULL : JS_ValueToAtom(ctx, text);
    JS_FreeValue(ctx, text);
    return atom;
}

/* Reads the frame that the node holds. The bytes stay where they are for the rest of the instance's life. */
static int event_read(uint32_t len)
{
    uint8_t *frame = malloc((size_t)len + 1); /* a body is given a terminator while it is parsed */
    if (!frame)
        return -1;
    memset(&event, 0, sizeof(event));
    event.raw_body = event.parsed = event.described = JS_UNDEFINED;
    event.frame = frame;
    event.len = aleph_event_read(frame, 0, len);
    FrameReader r;
    Field f, name, value;
    if (!frame_open(&r, frame, event.len))
        return 0;
    while (frame_next(&r, &f)) {
        switch (f.tag) {
        case TAG_KIND: event.kind = field_u32(&f); break;
        case TAG_REQUEST_ID: event.request_id = f; break;
        case TAG_ATTEMPT: event.attempt = field_u32(&f); break;
        case TAG_EVENT_ID: event.id = f; break;
        case TAG_PROGRAM: event.program = f; break;
        case TAG_NODE: event.node = f; break;
        case TAG_ACCOUNT: event.account = f; break;
        case TAG_SEED: event.seed = field_u64(&f); break;
        case TAG_TIME: event.time = field_u64(&f); break;
        case TAG_METHOD: event.method = f; break;
        case TAG_PATH: event.path = f; break;
        case TAG_QUERY: event.query = f; break;
        case TAG_BODY: event.body = f; break;
        case TAG_HEADER:
            event.headers++;
            if (field_pair(&f, &name, &value) && name.len == 12 && !memcmp(name.at, "content-type", 12))
                event.content_type = value;
            break;
        }
    }
    return 0;
}

/* An ordinary object with room for 'count' properties. Its shape is its own: keys that come from outside are not entered
   in the table of shared shapes. */
static JSValue new_dictionary(JSContext *ctx, uint32_t count)
{
    return JS_NewObjectProtoClassAlloc(ctx, ctx->class_proto[JS_CLASS_OBJECT], JS_CLASS_OBJECT, count < 64 ? count : 64);
}

/* The place of an own property of a dictionary, made if it is not there (then *found is 0). 'atom' stays the caller's. */
static JSProperty *dictionary_slot(JSContext *ctx, JSValue object, JSAtom atom, int *found)
{
    JSObject *p = JS_VALUE_GET_OBJ(object);
    JSProperty *slot;
    if ((*found = find_own_property(&slot, p, atom) != NULL))
        return slot;
    slot = add_property(ctx, p, atom, JS_PROP_C_W_E);
    if (slot)
        slot->u.value = JS_UNDEFINED;
    return slot;
}

static JSValue request_headers(JSContext *ctx)
{
    JSValue headers = new_dictionary(ctx, event.headers);
    if (JS_IsException(headers) || !event.headers)
        return headers;
    FrameReader r;
    Field f, name, value;
    frame_open(&r, event.frame, event.len);
    while (frame_next(&r, &f)) {
        if (f.tag != TAG_HEADER || !field_pair(&f, &name, &value))
            continue;
        JSAtom atom = new_atom(ctx, name.at, name.len);
        JSValue text = new_string(ctx, &value);
        int found;
        JSProperty *slot = atom == JS_ATOM_NULL || JS_IsException(text) ? NULL : dictionary_slot(ctx, headers, atom, &found);
        if (!slot)
            return JS_EXCEPTION;
        if (found) {
            int cookie = name.len == 6 && !memcmp(name.at, "cookie", 6);
            JSValue joined = JS_ConcatString3(ctx, cookie ? "; " : ", ", text, "");
            joined = JS_ConcatString(ctx, slot->u.value, joined);
            slot->u.value = JS_UNDEFINED;
            if (JS_IsException(joined))
                return JS_EXCEPTION;
            text = joined;
        }
        slot->u.value = text;
        JS_FreeAtom(ctx, atom);
    }
    return headers;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* application/x-www-form-urlencoded: + is a space, %XX a byte, all else itself. Returns the decoded length. */
static uint32_t form_decode(uint8_t *to, const uint8_t *at, const uint8_t *end)
{
    uint8_t *p = to;
    for (; at < end; at++) {
        int high, low;
        if (*at == '+') {
            *p++ = ' ';
        } else if (*at == '%' && end - at > 2 && (high = hex_digit(at[1])) >= 0 && (low = hex_digit(at[2])) >= 0) {
            *p++ = high << 4 | low;
            at += 2;
        } else {
            *p++ = *at;
        }
    }
    return p - to;
}

/* A key that comes again makes its value an array. */
static int query_put(JSContext *ctx, JSValue query, JSAtom key, JSValue value)
{
    int found;
    JSProperty *slot = dictionary_slot(ctx, query, key, &found);
    if (!slot)
        return -1;
    if (!found) {
        slot->u.value = value;
        return 0;
    }
    if (JS_VALUE_GET_TAG(slot->u.value) != JS_TAG_OBJECT) {
        JSValue both = JS_NewArray(ctx);
        if (JS_IsException(both) || JS_SetPropertyUint32(ctx, both, 0, slot->u.value) < 0)
            return -1;
        slot->u.value = both;
    }
    uint32_t count = JS_VALUE_GET_OBJ(slot->u.value)->u.array.count;
    return JS_SetPropertyUint32(ctx, slot->u.value, count, value) < 0 ? -1 : 0;
}

static JSValue request_query(JSContext *ctx)
{
    const uint8_t *at = event.query.at, *end = at + event.query.len;
    if (!event.query.len)
        return JS_NewObject(ctx);
    uint32_t count = 1;
    for (const uint8_t *p = at; p < end; p++)
        count += *p == '&';
    JSValue query = new_dictionary(ctx, count);
    uint8_t *decoded = malloc(event.query.len);
    if (JS_IsException(query) || !decoded)
        return JS_IsException(query) ? query : JS_ThrowOutOfMemory(ctx);
    while (at < end) {
        const uint8_t *stop = memchr(at, '&', end - at);
        if (!stop)
            stop = end;
        const uint8_t *equals = memchr(at, '=', stop - at);
        if (stop > at) {
            uint32_t n = form_decode(decoded, at, equals ? equals : stop);
            JSAtom key = new_atom(ctx, decoded, n);
            n = equals ? form_decode(decoded, equals + 1, stop) : 0;
            JSValue value = new_text(ctx, decoded, n);
            if (key == JS_ATOM_NULL || JS_IsException(value) || query_put(ctx, query, key, value))
                return JS_EXCEPTION;
            JS_FreeAtom(ctx, key);
        }
        at = stop + 1;
    }
    free(decoded);
    return query;
}

static int starts_with(const Field *f, const char *prefix)
{
    size_t n = strlen(prefix);
    return f->len >= n && !strncasecmp((const char *)f->at, prefix, n);
}

/* The media type, without parameters, ends in "/json" or "+json". */
static int is_json_type(const Field *type)
{
    uint32_t n = 0;
    while (n < type->len && type->at[n] != ';')
        n++;
    while (n && type->at[n - 1] == ' ')
        n--;
    return n > 5 && (type->at[n - 5] == '/' || type->at[n - 5] == '+') && !strncasecmp((const char *)type->at + n - 4, "json", 4);
}

static int is_binary_type(const Field *type)
{
    return starts_with(type, "application/octet-stream") || starts_with(type, "image/") || starts_with(type, "audio/") ||
           starts_with(type, "video/") || starts_with(type, "font/");
}

/* null without a body; the parsed value of a JSON type; a string if the bytes are text; else a Uint8Array. A body that
   claims to be JSON and is not stays text. */
static JSValue request_body(JSContext *ctx)
{
    if (!event.body.len)
        return JS_NULL;
    uint8_t *at = (uint8_t *)event.body.at;
    if (is_json_type(&event.content_type)) {
        uint8_t after = at[event.body.len];
        at[event.body.len] = 0;
        JSValue value = JS_ParseJSON(ctx, (char *)at, event.body.len, "request body");
        at[event.body.len] = after;
        if (!JS_IsException(value))
            return JS_DupValue(ctx, event.parsed = value);
        JS_FreeValue(ctx, JS_GetException(ctx));
    }
    if (is_binary_type(&event.content_type) || !is_utf8(at, event.body.len))
        return JS_DupValue(ctx, event.raw_body = JS_NewUint8ArrayCopy(ctx, at, event.body.len));
    return JS_NewStringLen(ctx, (char *)at, event.body.len);
}

static JSValue raw_body_get(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    if (JS_IsUndefined(event.raw_body))
        event.raw_body = JS_NewUint8ArrayCopy(ctx, event.body.at, event.body.len);
    return JS_DupValue(ctx, event.raw_body);
}

/* Middleware assigns req.rawBody. */
static JSValue raw_body_set(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    JS_DefinePropertyValueStr(ctx, this, "rawBody", JS_DupValue(ctx, argv[0]), JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    return JS_UNDEFINED;
}

static JSValue new_request(JSContext *ctx)
{
    JSProperty props[6] = {0};
    props[0].u.value = new_string(ctx, &event.method);
    props[1].u.value = new_string(ctx, &event.path);
    props[2].u.value = request_query(ctx);
    props[3].u.value = request_headers(ctx);
    props[4].u.value = request_body(ctx);
    props[5].u.getset.getter = JS_VALUE_GET_OBJ(JS_DupValue(ctx, raw_body_getter));
    props[5].u.getset.setter = JS_VALUE_GET_OBJ(JS_DupValue(ctx, raw_body_setter));
    for (int i = 0; i < 5; i++)
        if (JS_IsException(props[i].u.value))
            return JS_EXCEPTION;
    return JS_NewObjectFromShape(ctx, js_dup_shape(request_shape), JS_CLASS_OBJECT, props);
}

/* What the event is about: its details, and the payload of the kinds that have one in JSON. */
static int describe(JSContext *ctx, JSValueConst object, const char *kind)
{
    FrameReader r;
    Field f, name, value;
    frame_open(&r, event.frame, event.len);
    while (frame_next(&r, &f)) {
        if (f.tag != TAG_DETAIL || !field_pair(&f, &name, &value))
            continue;
        char *text = js_strndup(ctx, (const char *)value.at, value.len);
        JSValue detail = text ? JS_ParseJSON(ctx, text, value.len, "event") : JS_EXCEPTION;
        js_free(ctx, text);
        JSAtom atom = JS_IsException(detail) ? JS_ATOM_NULL : new_atom(ctx, name.at, name.len);
        if (atom == JS_ATOM_NULL || JS_DefinePropertyValue(ctx, object, atom, detail, JS_PROP_C_W_E) < 0)
            return -1;
        JS_FreeAtom(ctx, atom);
    }
    if (event.kind == KIND_EVENT_HTTP || event.kind == KIND_EVENT_SCHEDULE || event.kind == KIND_EVENT_TOPIC)
        return 0;
    return JS_DefinePropertyValueStr(ctx, object, kind, JS_IsUndefined(event.parsed) ? JS_NULL : JS_DupValue(ctx, event.parsed), JS_PROP_C_W_E);
}

/* context.event is made when it is looked at, which a handler of requests seldom does. */
static JSValue event_get(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    static const char *const kinds[] = {"http", "schedule", "message", "topic", "log", "block", "transfer"};
    if (!JS_IsUndefined(event.described))
        return JS_DupValue(ctx, event.described);
    JSValue object = JS_NewObject(ctx);
    if (JS_IsException(object))
        return object;
    const char *kind = event.kind < 7 ? kinds[event.kind] : "unknown";
    if (JS_DefinePropertyValueStr(ctx, object, "id", new_string(ctx, event.id.at ? &event.id : &event.request_id), JS_PROP_C_W_E) < 0 ||
        JS_DefinePropertyValueStr(ctx, object, "kind", JS_NewString(ctx, kind), JS_PROP_C_W_E) < 0 ||
        JS_DefinePropertyValueStr(ctx, object, "attempt", JS_NewUint32(ctx, event.attempt), JS_PROP_C_W_E) < 0 || describe(ctx, object, kind) < 0) {
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    return JS_DupValue(ctx, event.described = object);
}

static JSValue event_set(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    event.described = JS_DupValue(ctx, argv[0]);
    return JS_UNDEFINED;
}

static JSValue new_context(JSContext *ctx)
{
    JSProperty props[6] = {0};
    props[0].u.value = new_string(ctx, &event.program);
    props[1].u.value = new_string(ctx, &event.node);
    props[2].u.value = new_string(ctx, &event.account);
    props[3].u.value = new_string(ctx, &event.request_id);
    props[4].u.value = JS_DupValue(ctx, aleph_object);
    props[5].u.getset.getter = JS_VALUE_GET_OBJ(JS_DupValue(ctx, event_getter));
    props[5].u.getset.setter = JS_VALUE_GET_OBJ(JS_DupValue(ctx, event_setter));
    for (int i = 0; i < 4; i++)
        if (JS_IsException(props[i].u.value))
            return JS_EXCEPTION;
    return JS_NewObjectFromShape(ctx, js_dup_shape(context_shape), JS_CLASS_OBJECT, props);
}

/* The shape of objects with those properties; the last has an accessor, with the given flags. */
static JSShape *new_shape(JSContext *ctx, const char *const *names, int count, int flags)
{
    JSShapeProperty props[8] = {0};
    for (int i = 0; i < count; i++) {
        props[i].atom = JS_NewAtom(ctx, names[i]);
        props[i].flags = i == count - 1 ? JS_PROP_CONFIGURABLE | JS_PROP_GETSET | flags : JS_PROP_C_W_E;
    }
    return js_new_shape_with2(ctx, JS_VALUE_GET_OBJ(ctx->class_proto[JS_CLASS_OBJECT]), count, props);
}

static void request_init(JSContext *ctx)
{
    static const char *const request_names[] = {"method", "path", "query", "headers", "body", "rawBody"};
    static const char *const context_names[] = {"functionId", "nodeId", "account", "requestId", "aleph", "event"};
    request_shape = new_shape(ctx, request_names, 6, 0);
    context_shape = new_shape(ctx, context_names, 6, JS_PROP_ENUMERABLE);
    raw_body_getter = JS_NewCFunction(ctx, raw_body_get, "get rawBody", 0);
    raw_body_setter = JS_NewCFunction(ctx, raw_body_set, "set rawBody", 1);
    event_getter = JS_NewCFunction(ctx, event_get, "get event", 0);
    event_setter = JS_NewCFunction(ctx, event_set, "set event", 1);
    event.raw_body = event.parsed = event.described = JS_UNDEFINED;
}
