/* The aleph_v1 contract as the engine sees it: names and numbers, and the frame format (abi/SPEC.md).
   get_u32 and get_u64 are quickjs's. */

#include <stdint.h>
#include <stddef.h>

#include "abi_imports.h"

enum { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum { CLOCK_UNIX, CLOCK_STEADY };

enum { /* events and load frames */
    TAG_KIND = 1, TAG_REQUEST_ID, TAG_ATTEMPT, TAG_DEADLINE, TAG_PROGRAM, TAG_NODE, TAG_ACCOUNT, TAG_SEED, TAG_TIME,
    TAG_METHOD = 16, TAG_PATH, TAG_QUERY, TAG_HEADER, TAG_BODY, TAG_EVENT_ID = 24, TAG_DETAIL,
    TAG_VARIABLE = 32, TAG_FILE, TAG_ENTRYPOINT, TAG_MEMORY_LIMIT,
};

enum { KIND_EVENT_HTTP, KIND_EVENT_SCHEDULE, KIND_EVENT_MESSAGE, KIND_EVENT_TOPIC };

enum { /* responses */
    TAG_STATUS = 1,
    TAG_ERROR_CODE = 64, TAG_ERROR_MESSAGE, TAG_ERROR_STACK,
};

enum { ERROR_EXCEPTION = 1, ERROR_INVALID_REPLY, ERROR_SYNTAX, ERROR_NO_HANDLER, ERROR_LOAD, ERROR_OUT_OF_MEMORY };

enum { /* operations */
    TAG_OP_STATUS = 1, TAG_OP_MESSAGE,
    TAG_KEY = 80, TAG_VALUE, TAG_VALUE_KIND, TAG_TTL, TAG_LIMIT, TAG_CURSOR, TAG_DELTA,
    TAG_EXPECTED, TAG_EXPECTED_KIND, TAG_DONE, TAG_ENTRY, TAG_DURATION = 96,
    TAG_URL = 110, TAG_REDIRECTS = 114, TAG_HTTP_STATUS,
};

enum {
    OP_SLEEP = 1, OP_FETCH,
    OP_GET = 16, OP_SET, OP_DELETE, OP_LIST, OP_INCREMENT, OP_COMPARE_AND_SET, OP_WATCH,
};

enum { KIND_BYTES, KIND_JSON, KIND_COUNTER, KIND_DELETED };

/* One field of a frame; 'at' points into the frame. */
typedef struct Field {
    uint32_t tag, len;
    const uint8_t *at;
} Field;

typedef struct FrameReader {
    const uint8_t *at, *end;
} FrameReader;

/* False if the bytes are no frame. */
static int frame_open(FrameReader *r, const uint8_t *frame, uint32_t len)
{
    r->at = frame + 4;
    r->end = frame + len;
    return len >= 4 && __builtin_memcmp(frame, "alv1", 4) == 0;
}

/* The next field; false at the end. The node's frames are whole, so a cut one just ends. */
static int frame_next(FrameReader *r, Field *f)
{
    if (r->end - r->at < 8)
        return 0;
    f->tag = get_u32(r->at);
    f->len = get_u32(r->at + 4);
    f->at = r->at + 8;
    if (f->len > (uint32_t)(r->end - f->at))
        return 0;
    r->at = f->at + f->len;
    return 1;
}

/* Splits a field that is a pair. */
static int field_pair(const Field *f, Field *name, Field *value)
{
    if (f->len < 4)
        return 0;
    uint32_t n = get_u32(f->at);
    if (n > f->len - 4)
        return 0;
    *name = (Field){f->tag, n, f->at + 4};
    *value = (Field){f->tag, f->len - 4 - n, f->at + 4 + n};
    return 1;
}

static inline uint32_t field_u32(const Field *f) { return f->len >= 4 ? get_u32(f->at) : 0; }
static inline uint64_t field_u64(const Field *f) { return f->len >= 8 ? get_u64(f->at) : 0; }

/* A frame being written. On a failed allocation 'failed' is set and the rest does nothing. */
typedef struct FrameWriter {
    uint8_t *bytes;
    uint32_t len, size;
    int failed;
} FrameWriter;

static uint8_t *frame_room(FrameWriter *w, uint32_t n)
{
    if (w->failed)
        return NULL;
    if (n > w->size - w->len) {
        uint64_t size = (uint64_t)w->size * 2;
        if (size < (uint64_t)w->len + n)
            size = (uint64_t)w->len + n;
        if (size < 256)
            size = 256;
        uint8_t *bytes = size > UINT32_MAX ? NULL : realloc(w->bytes, size);
        if (!bytes) {
            w->failed = 1;
            return NULL;
        }
        w->bytes = bytes;
        w->size = size;
    }
    uint8_t *at = w->bytes + w->len;
    w->len += n;
    return at;
}

static void frame_begin(FrameWriter *w)
{
    *w = (FrameWriter){0};
    uint8_t *p = frame_room(w, 4);
    if (p)
        __builtin_memcpy(p, "alv1", 4);
}

/* The place for a field's bytes, or NULL. */
static uint8_t *frame_field(FrameWriter *w, uint32_t tag, uint32_t len)
{
    if (len > UINT32_MAX - 8) {
        w->failed = 1;
        return NULL;
    }
    uint8_t *p = frame_room(w, len + 8);
    if (!p)
        return NULL;
    __builtin_memcpy(p, &tag, 4);
    __builtin_memcpy(p + 4, &len, 4);
    return p + 8;
}

static void frame_bytes(FrameWriter *w, uint32_t tag, const void *bytes, uint32_t len)
{
    uint8_t *p = frame_field(w, tag, len);
    if (p)
        __builtin_memcpy(p, bytes, len);
}

static void frame_u32(FrameWriter *w, uint32_t tag, uint32_t v) { frame_bytes(w, tag, &v, 4); }
static void frame_u64(FrameWriter *w, uint32_t tag, uint64_t v) { frame_bytes(w, tag, &v, 8); }

static void frame_pair(FrameWriter *w, uint32_t tag, const void *name, uint32_t name_len, const void *value, uint32_t value_len)
{
    uint8_t *p = frame_field(w, tag, 4 + name_len + value_len);
    if (!p)
        return;
    __builtin_memcpy(p, &name_len, 4);
    __builtin_memcpy(p + 4, name, name_len);
    __builtin_memcpy(p + 4 + name_len, value, value_len);
}
