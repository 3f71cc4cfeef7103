/* Frames of the aleph_v1 contract (abi/SPEC.md): reading and writing. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { /* events and load frames */
    TAG_KIND = 1, TAG_REQUEST_ID, TAG_ATTEMPT, TAG_DEADLINE, TAG_PROGRAM, TAG_NODE, TAG_ACCOUNT, TAG_SEED, TAG_TIME,
    TAG_METHOD = 16, TAG_PATH, TAG_QUERY, TAG_HEADER, TAG_BODY, TAG_BODY_FOLLOWS, TAG_ROOT, TAG_CLIENT, TAG_EVENT_ID,
    TAG_DETAIL,
    TAG_VARIABLE = 32, TAG_FILE, TAG_ENTRYPOINT, TAG_MEMORY_LIMIT,
};

enum { TAG_STATUS = 1, TAG_ERROR_CODE = 64, TAG_ERROR_MESSAGE, TAG_ERROR_STACK, TAG_DURATION = 96 };
enum { ERROR_EXCEPTION = 1, ERROR_INVALID_REPLY, ERROR_SYNTAX, ERROR_NO_HANDLER, ERROR_LOAD, ERROR_OUT_OF_MEMORY };
enum { OP_SLEEP = 1 };

/* A field; its bytes are the frame's. */
typedef struct Field {
    uint32_t tag, len;
    const char *at;
} Field;

typedef struct FrameReader {
    const char *at, *end;
} FrameReader;

static inline uint32_t get_u32(const char *p)
{
    uint32_t n;
    memcpy(&n, p, 4);
    return n;
}

static inline uint64_t get_u64(const char *p)
{
    uint64_t n;
    memcpy(&n, p, 8);
    return n;
}

/* False if the bytes are no frame. */
static inline int frame_open(FrameReader *r, const char *frame, uint32_t len)
{
    *r = (FrameReader){frame + 4, frame + len};
    return len >= 4 && memcmp(frame, "alv1", 4) == 0;
}

/* The next field; false at the end, or where the frame is cut. */
static inline int frame_next(FrameReader *r, Field *f)
{
    if (r->end - r->at < 8)
        return 0;
    f->tag = get_u32(r->at);
    f->len = get_u32(r->at + 4);
    if (f->len > (uint32_t)(r->end - r->at - 8))
        return 0;
    f->at = r->at + 8;
    r->at = f->at + f->len;
    return 1;
}

/* Splits a field that is a pair; false if it is none. */
static inline int field_pair(const Field *f, Field *name, Field *value)
{
    if (f->len < 4 || get_u32(f->at) > f->len - 4)
        return 0;
    uint32_t n = get_u32(f->at);
    *name = (Field){f->tag, n, f->at + 4};
    *value = (Field){f->tag, f->len - 4 - n, f->at + 4 + n};
    return 1;
}

static inline uint32_t field_u32(const Field *f) { return f->len >= 4 ? get_u32(f->at) : 0; }
static inline uint64_t field_u64(const Field *f) { return f->len >= 8 ? get_u64(f->at) : 0; }

/* A frame being written. When memory is out, 'failed' is set and the rest does nothing. */
typedef struct FrameWriter {
    char *bytes;
    uint32_t len, room;
    int failed;
} FrameWriter;

static inline char *frame_room(FrameWriter *w, uint64_t n)
{
    if (w->failed || n > UINT32_MAX - w->len) {
        w->failed = 1;
        return NULL;
    }
    if (n > w->room - w->len) {
        uint64_t room = w->room ? (uint64_t)w->room * 2 : 1000;
        if (room < w->len + n || room > UINT32_MAX)
            room = w->len + n;
        char *bytes = realloc(w->bytes, room);
        if (!bytes) {
            w->failed = 1;
            return NULL;
        }
        w->bytes = bytes;
        w->room = room;
    }
    char *at = w->bytes + w->len;
    w->len += n;
    return at;
}

static inline void frame_begin(FrameWriter *w)
{
    *w = (FrameWriter){0};
    char *p = frame_room(w, 4);
    if (p)
        memcpy(p, "alv1", 4);
}

/* The place for a field's bytes, or NULL. */
static inline char *frame_field(FrameWriter *w, uint32_t tag, uint32_t len)
{
    char *p = frame_room(w, 8ull + len);
    if (!p)
        return NULL;
    memcpy(p, &tag, 4);
    memcpy(p + 4, &len, 4);
    return p + 8;
}

static inline void frame_bytes(FrameWriter *w, uint32_t tag, const void *bytes, uint32_t len)
{
    char *p = frame_field(w, tag, len);
    if (p && len)
        memcpy(p, bytes, len);
}

static inline void frame_u32(FrameWriter *w, uint32_t tag, uint32_t n) { frame_bytes(w, tag, &n, 4); }
static inline void frame_u64(FrameWriter *w, uint32_t tag, uint64_t n) { frame_bytes(w, tag, &n, 8); }

static inline void frame_pair(FrameWriter *w, uint32_t tag, const void *name, uint32_t name_len, const void *value, uint32_t value_len)
{
    char *p = frame_room(w, 12ull + name_len + value_len);
    if (!p)
        return;
    uint32_t len = 4 + name_len + value_len;
    memcpy(p, &tag, 4);
    memcpy(p + 4, &len, 4);
    memcpy(p + 8, &name_len, 4);
    memcpy(p + 12, name, name_len);
    memcpy(p + 12 + name_len, value, value_len);
}
