/* See aleph_guest.h for what this promises, abi/SPEC.md for the contract. No libc: bytes are copied by the compiler's
 * built-in functions, which with -mbulk-memory are instructions. */
#include "aleph_guest.h"

#define COPY(to, from, n) __builtin_memcpy(to, from, n)
#define ZERO(to, n) __builtin_memset(to, 0, n)

enum { /* tags */
  TAG_KIND = 1, TAG_REQUEST_ID, TAG_ATTEMPT, TAG_DEADLINE, TAG_PROGRAM, TAG_NODE, TAG_ACCOUNT, TAG_SEED, TAG_TIME,
  TAG_METHOD = 16, TAG_PATH, TAG_QUERY, TAG_HEADER, TAG_BODY, TAG_BODY_FOLLOWS, TAG_ROOT, TAG_CLIENT,
  TAG_EVENT_ID, TAG_DETAIL,
  TAG_VARIABLE = 32,
  TAG_STATUS = 1, TAG_MESSAGE = 2,
  TAG_ERROR_CODE = 64, TAG_ERROR_MESSAGE, TAG_ERROR_STACK,
  TAG_KEY = 80, TAG_VALUE, TAG_VALUE_KIND, TAG_TTL, TAG_LIMIT, TAG_CURSOR, TAG_DELTA, TAG_EXPECTED, TAG_EXPECTED_KIND,
  TAG_FLAG, TAG_ENTRY,
  TAG_DURATION = 96,
  TAG_URL = 110, TAG_STREAM = 112, TAG_MORE, TAG_REDIRECTS, TAG_HTTP_STATUS, TAG_END,
};

enum { /* operations */
  OP_SLEEP = 1, OP_FETCH, OP_FETCH_READ, OP_FETCH_WRITE, OP_FETCH_CLOSE, OP_BODY_READ, OP_REPLY_START, OP_REPLY_WRITE,
  OP_STORE_GET = 16, OP_STORE_SET, OP_STORE_DELETE, OP_STORE_LIST, OP_STORE_INCREMENT, OP_STORE_SWAP, OP_STORE_WATCH,
};

enum { GUEST_EXCEPTION = 1, GUEST_LOAD_EXCEPTION = 5 };
enum { MOST_AT_ONCE = 256 << 10, MOST_RANDOM = 65536 };

/* ---- Memory: blocks that are filled from the front. The first is the program's own, so that a small one never grows. ---- */

typedef struct block {
  struct block *before; /* the one filled before this; of a spare block the next spare one */
  char *bytes;
  size_t size, used;
} block;

enum { ALIGN = 16, PAGE = 65536, HEAD = (sizeof(block) + ALIGN - 1) / ALIGN * ALIGN };

#ifndef ALEPH_ARENA
#define ALEPH_ARENA 65536 /* bytes of the first block */
#endif

static _Alignas(ALIGN) char arena[ALEPH_ARENA];
static block first = {NULL, arena, sizeof arena, 0}, *current = &first, *spare;

/* Ends the program: the node knows that memory was refused, and says which limit it is. */
static _Noreturn void out_of_memory(void) { __builtin_trap(); }

#ifdef __wasm__
static void *more_memory(size_t size) {
  size_t page = __builtin_wasm_memory_grow(0, size / PAGE);
  return page == (size_t)-1 ? NULL : (void *)(page * PAGE);
}
#else
#include <stdlib.h>
static void *more_memory(size_t size) { return malloc(size); }
#endif

/* A block with room for len bytes. */
static block *new_block(size_t len) {
  for (block **at = &spare; *at; at = &(*at)->before) {
    block *b = *at;
    if (b->size < len) continue;
    *at = b->before;
    return b;
  }
  if (len > SIZE_MAX - HEAD - PAGE) out_of_memory();
  const size_t size = (len + HEAD + PAGE - 1) / PAGE * PAGE;
  block *b = more_memory(size);
  if (!b) out_of_memory();
  b->bytes = (char *)b + HEAD;
  b->size = size - HEAD;
  return b;
}

static size_t aligned(size_t len) {
  if (len > SIZE_MAX - ALIGN) out_of_memory();
  return (len + ALIGN - 1) / ALIGN * ALIGN;
}

/* len bytes of anything. */
static char *take(size_t len) {
  len = aligned(len);
  if (len > current->size - current->used) {
    block *b = new_block(len);
    b->before = current;
    b->used = 0;
    current = b;
  }
  char *at = current->bytes + current->used;
  current->used += len;
  return at;
}

void *aleph_alloc(size_t len) {
  void *at = take(len);
  ZERO(at, len);
  return at;
}

aleph_place aleph_mark(void) { return (aleph_place){current, current->used}; }

void aleph_release(aleph_place place) {
  while (current != place.block) {
    block *b = current;
    current = b->before;
    b->before = spare;
    spare = b;
  }
  current->used = place.used;
}

/* Makes room for len more bytes: where the buffer is the last allocation it grows in its place. */
static char *room(aleph_buffer *b, size_t len) {
  if (len > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) out_of_memory();
  const size_t need = b->len + len;
  if (need > b->cap) {
    const size_t cap = aligned(need < 64 ? 64 : need < 2 * b->cap ? 2 * b->cap : need);
    if (b->cap && b->data + b->cap == current->bytes + current->used && cap - b->cap <= current->size - current->used) {
      current->used += cap - b->cap;
    } else {
      char *data = take(cap);
      if (b->len) COPY(data, b->data, b->len);
      b->data = data;
    }
    b->cap = cap;
  }
  char *at = b->data + b->len;
  b->len = need;
  return at;
}

void aleph_append(aleph_buffer *buffer, const void *data, size_t len) {
  char *at = room(buffer, len);
  if (len) COPY(at, data, len);
}

/* ---- Texts ---- */

aleph_bytes aleph_text(const char *text) {
  size_t len = 0;
  while (text && text[len]) len++;
  return (aleph_bytes){text, len};
}

char *aleph_string(aleph_bytes bytes) {
  char *copy = take(bytes.len + 1);
  if (bytes.len) COPY(copy, bytes.data, bytes.len);
  copy[bytes.len] = 0;
  return copy;
}

bool aleph_equal(aleph_bytes bytes, const char *text) {
  size_t i = 0;
  while (i < bytes.len && text[i] && bytes.data[i] == text[i]) i++;
  return i == bytes.len && !text[i];
}

aleph_bytes aleph_decimal(int64_t number) {
  enum { MOST = 20 };
  char *text = take(MOST), *at = text + MOST;
  uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  do *--at = (char)('0' + left % 10);
  while (left /= 10);
  if (number < 0) *--at = '-';
  return (aleph_bytes){at, (size_t)(text + MOST - at)};
}

bool aleph_number(aleph_bytes bytes, int64_t *number) {
  const bool negative = bytes.len && bytes.data[0] == '-';
  const uint64_t most = negative ? (uint64_t)1 << 63 : INT64_MAX;
  size_t i = negative || (bytes.len && bytes.data[0] == '+');
  if (i == bytes.len) return false;
  uint64_t value = 0;
  for (; i < bytes.len; i++) {
    const unsigned digit = (unsigned char)bytes.data[i] - '0';
    if (digit > 9 || value > (most - digit) / 10) return false;
    value = value * 10 + digit;
  }
  *number = (int64_t)(negative ? 0 - value : value);
  return true;
}

aleph_bytes aleph_json(aleph_bytes text) {
  static const char digits[] = "0123456789abcdef", named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
  aleph_buffer b = {0};
  aleph_append(&b, "\"", 1);
  for (size_t i = 0; i < text.len; i++) {
    const unsigned char c = (unsigned char)text.data[i];
    if (c >= 0x20 && c != '"' && c != '\\') {
      *room(&b, 1) = (char)c;
      continue;
    }
    size_t n = 0;
    while (n < sizeof named - 1 && (unsigned char)named[n] != c) n += 2;
    if (n < sizeof named - 1) {
      const char escape[2] = {'\\', named[n + 1]};
      aleph_append(&b, escape, 2);
    } else {
      const char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
      aleph_append(&b, escape, 6);
    }
  }
  aleph_append(&b, "\"", 1);
  return (aleph_bytes){b.data, b.len};
}

/* ---- Frames ---- */

static void put32(char *to, uint32_t v) {
  for (int i = 0; i < 4; i++) to[i] = (char)(v >> 8 * i);
}

static uint32_t get32(const char *from) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) v |= (uint32_t)(unsigned char)from[i] << 8 * i;
  return v;
}

static uint64_t get64(const char *from) { return get32(from) | (uint64_t)get32(from + 4) << 32; }

static const char magic[4] = {'a', 'l', 'v', '1'};

void aleph_frame_begin(aleph_buffer *frame) { aleph_append(frame, magic, sizeof magic); }

/* The place for a field's len bytes. */
static char *put_field(aleph_buffer *frame, uint32_t tag, size_t len) {
  if (len > UINT32_MAX) out_of_memory();
  char *at = room(frame, 8 + len);
  put32(at, tag);
  put32(at + 4, (uint32_t)len);
  return at + 8;
}

void aleph_frame_u32(aleph_buffer *frame, uint32_t tag, uint32_t value) { put32(put_field(frame, tag, 4), value); }

void aleph_frame_u64(aleph_buffer *frame, uint32_t tag, uint64_t value) {
  char *at = put_field(frame, tag, 8);
  put32(at, (uint32_t)value);
  put32(at + 4, (uint32_t)(value >> 32));
}

void aleph_frame_bytes(aleph_buffer *frame, uint32_t tag, aleph_bytes value) {
  char *at = put_field(frame, tag, value.len);
  if (value.len) COPY(at, value.data, value.len);
}

void aleph_frame_pair(aleph_buffer *frame, uint32_t tag, aleph_bytes name, aleph_bytes value) {
  if (name.len > SIZE_MAX / 4 || value.len > SIZE_MAX / 4) out_of_memory();
  char *at = put_field(frame, tag, 4 + name.len + value.len);
  put32(at, (uint32_t)name.len);
  if (name.len) COPY(at + 4, name.data, name.len);
  if (value.len) COPY(at + 4 + name.len, value.data, value.len);
}

void aleph_frame_entry(aleph_buffer *frame, uint32_t tag, aleph_bytes key, uint32_t kind, aleph_bytes value) {
  if (key.len > SIZE_MAX / 4 || value.len > SIZE_MAX / 4) out_of_memory();
  char *at = put_field(frame, tag, 8 + key.len + value.len);
  put32(at, (uint32_t)key.len);
  if (key.len) COPY(at + 4, key.data, key.len);
  put32(at + 4 + key.len, kind);
  if (value.len) COPY(at + 8 + key.len, value.data, value.len);
}

bool aleph_frame_open(aleph_bytes frame, aleph_bytes *rest) {
  if (frame.len < sizeof magic) return false;
  for (size_t i = 0; i < sizeof magic; i++) {
    if (frame.data[i] != magic[i]) return false;
  }
  *rest = (aleph_bytes){frame.data + sizeof magic, frame.len - sizeof magic};
  return true;
}

bool aleph_frame_next(aleph_bytes *rest, aleph_field *field) {
  if (rest->len < 8) return false;
  const uint32_t len = get32(rest->data + 4);
  if (len > rest->len - 8) return false;
  *field = (aleph_field){get32(rest->data), {rest->data + 8, len}};
  *rest = (aleph_bytes){rest->data + 8 + len, rest->len - 8 - len};
  return true;
}

bool aleph_field_u32(const aleph_field *field, uint32_t *value) {
  if (field->value.len != 4) return false;
  *value = get32(field->value.data);
  return true;
}

bool aleph_field_u64(const aleph_field *field, uint64_t *value) {
  if (field->value.len != 8) return false;
  *value = get64(field->value.data);
  return true;
}

bool aleph_field_pair(const aleph_field *field, aleph_pair *pair) {
  const aleph_bytes v = field->value;
  if (v.len < 4) return false;
  const uint32_t len = get32(v.data);
  if (len > v.len - 4) return false;
  *pair = (aleph_pair){{v.data + 4, len}, {v.data + 4 + len, v.len - 4 - len}};
  return true;
}

bool aleph_field_entry(const aleph_field *field, aleph_bytes *key, uint32_t *kind, aleph_bytes *value) {
  aleph_pair pair;
  if (!aleph_field_pair(field, &pair) || pair.value.len < 4) return false;
  *key = pair.name;
  *kind = get32(pair.value.data);
  *value = (aleph_bytes){pair.value.data + 4, pair.value.len - 4};
  return true;
}

/* How many fields of that tag there are. False if the frame is not valid as a whole. */
static bool count(aleph_bytes frame, uint32_t tag, size_t *n) {
  aleph_bytes rest;
  aleph_field f;
  if (!aleph_frame_open(frame, &rest)) return false;
  for (*n = 0; aleph_frame_next(&rest, &f);) *n += f.tag == tag;
  return rest.len == 0;
}

/* ---- The event ---- */

static bool read_event_field(const aleph_field *f, aleph_request *r, aleph_pair *headers, aleph_pair *details) {
  uint32_t flag;
  switch (f->tag) {
    case TAG_KIND: return aleph_field_u32(f, &r->kind);
    case TAG_REQUEST_ID: r->id = f->value; return true;
    case TAG_ATTEMPT: return aleph_field_u32(f, &r->attempt);
    case TAG_DEADLINE: return aleph_field_u64(f, &r->deadline);
    case TAG_PROGRAM: r->program = f->value; return true;
    case TAG_NODE: r->node = f->value; return true;
    case TAG_ACCOUNT: r->account = f->value; return true;
    case TAG_SEED:
      if (f->value.len != sizeof r->seed) return false;
      COPY(r->seed, f->value.data, sizeof r->seed);
      return true;
    case TAG_TIME: return aleph_field_u64(f, &r->time);
    case TAG_METHOD: r->method = f->value; return true;
    case TAG_PATH: r->path = f->value; return true;
    case TAG_QUERY: r->query = f->value; return true;
    case TAG_HEADER: return aleph_field_pair(f, &headers[r->header_count++]);
    case TAG_BODY: r->body = f->value; return true;
    case TAG_BODY_FOLLOWS:
      if (!aleph_field_u32(f, &flag)) return false;
      r->body_follows = flag != 0;
      return true;
    case TAG_ROOT: r->root = f->value; return true;
    case TAG_CLIENT: r->client = f->value; return true;
    case TAG_EVENT_ID: r->event_id = f->value; return true;
    case TAG_DETAIL: return aleph_field_pair(f, &details[r->detail_count++]);
    default: return true;
  }
}

/* Room for n pairs. */
static aleph_pair *pairs(size_t n) { return n ? (aleph_pair *)take(n * sizeof(aleph_pair)) : NULL; }

bool aleph_read_event(aleph_bytes frame, aleph_request *request) {
  size_t header_count, detail_count;
  if (!count(frame, TAG_HEADER, &header_count) || !count(frame, TAG_DETAIL, &detail_count)) return false;
  aleph_pair *headers = pairs(header_count), *details = pairs(detail_count);
  *request = (aleph_request){.headers = headers, .details = details};
  aleph_bytes rest;
  aleph_field f;
  aleph_frame_open(frame, &rest);
  while (aleph_frame_next(&rest, &f)) {
    if (!read_event_field(&f, request, headers, details)) return false;
  }
  if (!request->event_id.data) request->event_id = request->id;
  return true;
}

static aleph_bytes find(const aleph_pair *list, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++) {
    if (aleph_equal(list[i].name, name)) return list[i].value;
  }
  return (aleph_bytes){0};
}

aleph_bytes aleph_header(const aleph_request *request, const char *name) { return find(request->headers, request->header_count, name); }

aleph_bytes aleph_detail(const aleph_request *request, const char *name) { return find(request->details, request->detail_count, name); }

static int digit(char c) {
  const char lower = (char)(c | 0x20);
  return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes %XX, and + where plus; what is no %XX stays. */
static aleph_bytes decoded(aleph_bytes text, bool plus) {
  char *to = take(text.len);
  size_t n = 0;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.data[i];
    if (c == '%' && text.len - i > 2 && digit(text.data[i + 1]) >= 0 && digit(text.data[i + 2]) >= 0) {
      c = (char)(digit(text.data[i + 1]) << 4 | digit(text.data[i + 2]));
      i += 2;
    } else if (c == '+' && plus) {
      c = ' ';
    }
    to[n++] = c;
  }
  return (aleph_bytes){to, n};
}

aleph_bytes aleph_path(const aleph_request *request) { return decoded(request->path, false); }

bool aleph_next_param(aleph_bytes *rest, aleph_pair *param) {
  while (rest->len) {
    size_t end = 0, equals = SIZE_MAX;
    for (; end < rest->len && rest->data[end] != '&'; end++) {
      if (rest->data[end] == '=' && equals == SIZE_MAX) equals = end;
    }
    const aleph_bytes part = {rest->data, end};
    const size_t skip = end + (end < rest->len);
    *rest = (aleph_bytes){rest->data + skip, rest->len - skip};
    if (!part.len) continue;
    if (equals == SIZE_MAX) equals = end;
    const size_t value = equals + (equals < end);
    param->name = decoded((aleph_bytes){part.data, equals}, true);
    param->value = decoded((aleph_bytes){part.data + value, end - value}, true);
    return true;
  }
  return false;
}

aleph_bytes aleph_param(const aleph_request *request, const char *name) {
  aleph_bytes rest = request->query;
  aleph_pair param;
  while (aleph_next_param(&rest, &param)) {
    if (aleph_equal(param.name, name)) return param.value;
  }
  return (aleph_bytes){0};
}

/* ---- Operations ---- */

static char message[512];
static size_t message_len;

static int failed(int error, aleph_bytes text) {
  message_len = text.len < sizeof message ? text.len : sizeof message;
  if (message_len) COPY(message, text.data, message_len);
  return error;
}

aleph_bytes aleph_message(void) { return (aleph_bytes){message_len ? message : NULL, message_len}; }

const char *aleph_error_name(int error) {
  static const char *const names[] = {"ok", "invalid_argument", "not_a_counter", "quota_exceeded", "value_too_large", "unavailable",
                                      "unknown_operation", "network", "forbidden", "timeout", "closed"};
  static const char *const own[] = {"too_many", "refused", "too_large", "invalid_frame"};
  if (error >= 0 && error < (int)(sizeof names / sizeof *names)) return names[error];
  if (error < 0 && error >= -(int)(sizeof own / sizeof *own)) return own[-error - 1];
  return "unknown_error";
}

aleph_ticket aleph_start(uint32_t operation, const aleph_buffer *frame) {
  if (frame->len > UINT32_MAX) return ALEPH_TOO_LARGE;
  return aleph_host_op_start(operation, frame->data, (uint32_t)frame->len);
}

static int invalid(void) { return failed(ALEPH_INVALID_FRAME, aleph_text("the node's answer cannot be read")); }

int aleph_finish(aleph_ticket ticket, aleph_bytes *result) {
  if (ticket == 0) return failed(ALEPH_INVALID_ARGUMENT, aleph_text("0 is no ticket"));
  if (ticket < 0) return failed(ticket, (aleph_bytes){0});
  const uint32_t len = (uint32_t)aleph_host_op_wait(ticket);
  char *frame = take(len);
  *result = (aleph_bytes){frame, aleph_host_op_take(ticket, frame, len)};
  aleph_bytes rest, text = {0};
  aleph_field f;
  uint32_t status = 0;
  bool has = false;
  if (!aleph_frame_open(*result, &rest)) return invalid();
  while (aleph_frame_next(&rest, &f)) {
    if (f.tag == TAG_STATUS && !aleph_field_u32(&f, &status)) return invalid();
    has = has || f.tag == TAG_STATUS;
    if (f.tag == TAG_MESSAGE) text = f.value;
  }
  if (rest.len || !has || status > INT32_MAX) return invalid();
  return status ? failed((int)status, text) : ALEPH_OK;
}

aleph_ticket aleph_wait_any(void) { return (aleph_ticket)(aleph_host_op_wait(0) >> 32); }

void aleph_cancel(aleph_ticket ticket) {
  if (ticket > 0) aleph_host_op_cancel(ticket);
}

/* Starts what is in the frame and forgets the frame, which the node has copied. */
static aleph_ticket start(uint32_t operation, aleph_buffer *frame, aleph_place before) {
  const aleph_ticket ticket = aleph_start(operation, frame);
  aleph_release(before);
  return ticket;
}

static aleph_buffer frame_with(uint32_t tag, aleph_bytes value) {
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  aleph_frame_bytes(&frame, tag, value);
  return frame;
}

/* Waits, where only the status counts. */
int aleph_wait(aleph_ticket ticket) {
  const aleph_place before = aleph_mark();
  aleph_bytes result;
  const int error = aleph_finish(ticket, &result);
  aleph_release(before);
  return error;
}

aleph_ticket aleph_sleep_start(uint64_t nanoseconds) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  aleph_frame_u64(&frame, TAG_DURATION, nanoseconds);
  return start(OP_SLEEP, &frame, before);
}

int aleph_sleep(uint64_t nanoseconds) { return aleph_wait(aleph_sleep_start(nanoseconds)); }

/* What a result frame has of what operations on bodies, the store and flags give; the last of a tag counts. */
typedef struct {
  aleph_bytes body, value, cursor;
  uint32_t kind, flag, end;
  uint64_t delta;
  bool found;
} outcome;

static bool read_outcome(aleph_bytes frame, outcome *o) {
  aleph_bytes rest;
  aleph_field f;
  *o = (outcome){0};
  for (aleph_frame_open(frame, &rest); aleph_frame_next(&rest, &f);) {
    bool valid = true;
    switch (f.tag) {
      case TAG_BODY: o->body = f.value; break;
      case TAG_VALUE: o->value = f.value, o->found = true; break;
      case TAG_VALUE_KIND: valid = aleph_field_u32(&f, &o->kind); break;
      case TAG_CURSOR: o->cursor = f.value; break;
      case TAG_DELTA: valid = aleph_field_u64(&f, &o->delta); break;
      case TAG_FLAG: valid = aleph_field_u32(&f, &o->flag); break;
      case TAG_END: valid = aleph_field_u32(&f, &o->end); break;
      default: break;
    }
    if (!valid) return false;
  }
  return true;
}

static int finish(aleph_ticket ticket, outcome *o) {
  aleph_bytes result;
  const int error = aleph_finish(ticket, &result);
  return error ? error : read_outcome(result, o) ? ALEPH_OK : invalid();
}

/* The end of a read: the body's part is copied, the frame forgotten. */
static int finish_read(aleph_ticket ticket, void *to, size_t size, size_t *len, bool *end) {
  const aleph_place before = aleph_mark();
  outcome o;
  int error = finish(ticket, &o);
  if (!error && o.body.len > size) error = failed(ALEPH_INVALID_ARGUMENT, aleph_text("the part is larger than the room for it"));
  if (!error) {
    if (o.body.len) COPY(to, o.body.data, o.body.len);
    *len = o.body.len;
    *end = o.end != 0;
  }
  aleph_release(before);
  return error;
}

/* ---- The event's body ---- */

static aleph_bytes body_left; /* of what came with the event */
static bool body_more;

int aleph_body_read(void *to, size_t size, size_t *len, bool *end) {
  if (body_left.len || !body_more || !size) {
    *len = body_left.len < size ? body_left.len : size;
    if (*len) COPY(to, body_left.data, *len);
    body_left.data += *len;
    body_left.len -= *len;
    *end = !body_left.len && !body_more;
    return ALEPH_OK;
  }
  const aleph_place before = aleph_mark();
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  aleph_frame_u32(&frame, TAG_LIMIT, size < MOST_AT_ONCE ? (uint32_t)size : MOST_AT_ONCE);
  const int error = finish_read(start(OP_BODY_READ, &frame, before), to, size, len, end);
  if (!error && *end) body_more = false;
  return error;
}

int aleph_body(size_t most, aleph_bytes *body) {
  if (!body_more) {
    if (body_left.len > most) return failed(ALEPH_VALUE_TOO_LARGE, aleph_text("the request's body"));
    *body = body_left;
    body_left.data += body_left.len;
    body_left.len = 0;
    return ALEPH_OK;
  }
  enum { PART = 32 << 10 };
  aleph_buffer all = {0};
  for (bool end = false; !end;) {
    size_t len;
    char *to = room(&all, PART);
    all.len -= PART;
    const int error = aleph_body_read(to, PART, &len, &end);
    if (error) return error;
    all.len += len;
    if (all.len > most) return failed(ALEPH_VALUE_TOO_LARGE, aleph_text("the request's body"));
  }
  *body = (aleph_bytes){all.data, all.len};
  return ALEPH_OK;
}

/* ---- The response. Its body is written as the frame's first field, so that nothing is copied at the end. ---- */

enum { BODY_AT = sizeof magic + 8 };

static enum { WHOLE, STREAMED, ENDED } reply;

void aleph_status(aleph_response *response, uint32_t status) { response->status = status; }

void aleph_add_header(aleph_response *response, const char *name, const char *value) {
  aleph_frame_pair(&response->headers, TAG_HEADER, aleph_text(name), aleph_text(value));
}

void aleph_write(aleph_response *response, const void *data, size_t len) {
  if (!response->body.len) {
    aleph_frame_begin(&response->body);
    put_field(&response->body, TAG_BODY, 0);
  }
  aleph_append(&response->body, data, len);
}

void aleph_print(aleph_response *response, const char *text) { aleph_print_bytes(response, aleph_text(text)); }

void aleph_print_bytes(aleph_response *response, aleph_bytes bytes) { aleph_write(response, bytes.data, bytes.len); }

static aleph_response setup_failure;

static aleph_buffer failure(uint32_t code, const char *text, const char *stack) {
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  aleph_frame_u32(&frame, TAG_ERROR_CODE, code);
  aleph_frame_bytes(&frame, TAG_ERROR_MESSAGE, aleph_text(text));
  if (stack) aleph_frame_bytes(&frame, TAG_ERROR_STACK, aleph_text(stack));
  return frame;
}

void aleph_fail(aleph_response *response, const char *text, const char *stack) {
  if (response) response->failure = failure(GUEST_EXCEPTION, text, stack);
  else setup_failure.failure = failure(GUEST_LOAD_EXCEPTION, text, stack);
}

aleph_bytes aleph_response_frame(aleph_response *response) {
  aleph_buffer *frame = &response->failure;
  if (!frame->len) {
    frame = &response->body;
    if (frame->len) {
      if (frame->len - BODY_AT > UINT32_MAX) out_of_memory();
      put32(frame->data + BODY_AT - 4, (uint32_t)(frame->len - BODY_AT));
    } else {
      aleph_frame_begin(frame);
    }
    if (response->status) aleph_frame_u32(frame, TAG_STATUS, response->status);
    aleph_append(frame, response->headers.data, response->headers.len);
  }
  return (aleph_bytes){frame->data, frame->len};
}

static int stream_write(const void *data, size_t len, bool end) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  if (len) aleph_frame_bytes(&frame, TAG_BODY, (aleph_bytes){data, len});
  if (end) aleph_frame_u32(&frame, TAG_END, 1);
  return aleph_wait(start(OP_REPLY_WRITE, &frame, before));
}

int aleph_stream_start(aleph_response *response) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  aleph_frame_u32(&frame, TAG_HTTP_STATUS, response->status ? response->status : 200);
  aleph_append(&frame, response->headers.data, response->headers.len);
  const int error = aleph_wait(start(OP_REPLY_START, &frame, before));
  if (error) return error;
  reply = STREAMED;
  return response->body.len > BODY_AT ? stream_write(response->body.data + BODY_AT, response->body.len - BODY_AT, false) : ALEPH_OK;
}

int aleph_stream_write(const void *data, size_t len) { return len ? stream_write(data, len, false) : ALEPH_OK; }

int aleph_stream_end(void) {
  if (reply != STREAMED) return failed(ALEPH_CLOSED, aleph_text("no reply is streamed"));
  reply = ENDED;
  return stream_write(NULL, 0, true);
}

/* ---- Log, clock, randomness ---- */

void aleph_log_bytes(int level, aleph_bytes text) { aleph_host_log((uint32_t)level, text.data, (uint32_t)text.len); }

void aleph_log(int level, const char *text) { aleph_log_bytes(level, aleph_text(text)); }

uint64_t aleph_now(void) { return aleph_host_clock(0); }

uint64_t aleph_monotonic(void) { return aleph_host_clock(1); }

void aleph_random(void *to, size_t len) {
  for (char *at = to; len;) {
    const size_t part = len < MOST_RANDOM ? len : MOST_RANDOM;
    aleph_host_random(at, (uint32_t)part);
    at += part;
    len -= part;
  }
}

/* ---- The store ---- */

aleph_value aleph_value_bytes(aleph_bytes data) { return (aleph_value){ALEPH_VALUE_BYTES, data, 0}; }

aleph_value aleph_value_json(aleph_bytes text) { return (aleph_value){ALEPH_VALUE_JSON, text, 0}; }

aleph_value aleph_value_counter(int64_t number) { return (aleph_value){ALEPH_VALUE_COUNTER, {0}, number}; }

/* A value as the node has it. False if a counter is not eight bytes. */
static bool read_value(uint32_t kind, aleph_bytes data, aleph_value *value) {
  *value = (aleph_value){kind, data, 0};
  if (kind == ALEPH_VALUE_COUNTER) {
    if (data.len != 8) return false;
    value->number = (int64_t)get64(data.data);
  }
  return true;
}

static void put_value(aleph_buffer *frame, uint32_t tag, uint32_t kind_tag, const aleph_value *value) {
  if (value->kind == ALEPH_VALUE_COUNTER) aleph_frame_u64(frame, tag, (uint64_t)value->number);
  else aleph_frame_bytes(frame, tag, value->data);
  aleph_frame_u32(frame, kind_tag, value->kind);
}

int aleph_store_get(aleph_bytes key, aleph_value *value) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = frame_with(TAG_KEY, key);
  outcome o;
  const int error = finish(start(OP_STORE_GET, &frame, before), &o);
  if (error) return error;
  return read_value(o.found ? o.kind : ALEPH_VALUE_ABSENT, o.value, value) ? ALEPH_OK : invalid();
}

int aleph_store_set(aleph_bytes key, aleph_value value, uint64_t ttl) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = frame_with(TAG_KEY, key);
  put_value(&frame, TAG_VALUE, TAG_VALUE_KIND, &value);
  if (ttl) aleph_frame_u64(&frame, TAG_TTL, ttl);
  return aleph_wait(start(OP_STORE_SET, &frame, before));
}

int aleph_store_delete(aleph_bytes key, bool *existed) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = frame_with(TAG_KEY, key);
  outcome o;
  const int error = finish(start(OP_STORE_DELETE, &frame, before), &o);
  if (!error && existed) *existed = o.flag != 0;
  return error;
}

static bool read_entry(const aleph_field *f, aleph_entry *entry) {
  uint32_t kind;
  aleph_bytes data;
  return aleph_field_entry(f, &entry->key, &kind, &data) && read_value(kind, data, &entry->value);
}

/* A result with entries. */
static bool read_listing(aleph_bytes frame, aleph_listing *listing) {
  size_t n;
  outcome o;
  if (!count(frame, TAG_ENTRY, &n) || !read_outcome(frame, &o)) return false;
  *listing = (aleph_listing){n ? (aleph_entry *)take(n * sizeof(aleph_entry)) : NULL, 0, o.cursor};
  aleph_bytes rest;
  aleph_field f;
  for (aleph_frame_open(frame, &rest); aleph_frame_next(&rest, &f);) {
    if (f.tag == TAG_ENTRY && !read_entry(&f, &listing->entries[listing->count++])) return false;
  }
  return true;
}

static int finish_listing(aleph_ticket ticket, aleph_listing *listing) {
  aleph_bytes result;
  const int error = aleph_finish(ticket, &result);
  return error ? error : read_listing(result, listing) ? ALEPH_OK : invalid();
}

int aleph_store_list(aleph_bytes prefix, uint32_t limit, aleph_bytes cursor, aleph_listing *listing) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = frame_with(TAG_KEY, prefix);
  if (limit) aleph_frame_u32(&frame, TAG_LIMIT, limit);
  if (cursor.len) aleph_frame_bytes(&frame, TAG_CURSOR, cursor);
  return finish_listing(start(OP_STORE_LIST, &frame, before), listing);
}

int aleph_store_increment(aleph_bytes key, int64_t delta, int64_t *number) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = frame_with(TAG_KEY, key);
  aleph_frame_u64(&frame, TAG_DELTA, (uint64_t)delta);
  outcome o;
  const int error = finish(start(OP_STORE_INCREMENT, &frame, before), &o);
  if (!error && number) *number = (int64_t)o.delta;
  return error;
}

int aleph_store_compare_and_set(aleph_bytes key, const aleph_value *expected, aleph_value value, uint64_t ttl, bool *swapped) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = frame_with(TAG_KEY, key);
  put_value(&frame, TAG_VALUE, TAG_VALUE_KIND, &value);
  if (ttl) aleph_frame_u64(&frame, TAG_TTL, ttl);
  if (expected && expected->kind != ALEPH_VALUE_ABSENT) put_value(&frame, TAG_EXPECTED, TAG_EXPECTED_KIND, expected);
  outcome o;
  const int error = finish(start(OP_STORE_SWAP, &frame, before), &o);
  if (!error) *swapped = o.flag != 0;
  return error;
}

aleph_ticket aleph_store_watch_start(aleph_bytes prefix) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = frame_with(TAG_KEY, prefix);
  return start(OP_STORE_WATCH, &frame, before);
}

int aleph_store_watch_wait(aleph_ticket ticket, aleph_entry *entry) {
  aleph_listing listing;
  const int error = finish_listing(ticket, &listing);
  if (error) return error;
  if (!listing.count) return invalid();
  *entry = listing.entries[0];
  return ALEPH_OK;
}

int aleph_store_watch(aleph_bytes prefix, aleph_entry *entry) { return aleph_store_watch_wait(aleph_store_watch_start(prefix), entry); }

/* ---- Fetch ---- */

aleph_ticket aleph_fetch_start(const aleph_fetch_request *request) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  if (request->method) aleph_frame_bytes(&frame, TAG_METHOD, aleph_text(request->method));
  aleph_frame_bytes(&frame, TAG_URL, aleph_text(request->url));
  for (size_t i = 0; i < request->header_count; i++)
    aleph_frame_pair(&frame, TAG_HEADER, request->headers[i].name, request->headers[i].value);
  if (request->body.len) aleph_frame_bytes(&frame, TAG_BODY, request->body);
  if (request->stream) aleph_frame_u32(&frame, TAG_STREAM, request->stream);
  if (request->more) aleph_frame_u32(&frame, TAG_MORE, 1);
  if (request->redirects) aleph_frame_u32(&frame, TAG_REDIRECTS, request->redirects);
  if (request->timeout) aleph_frame_u64(&frame, TAG_DURATION, request->timeout);
  return start(OP_FETCH, &frame, before);
}

static bool read_answer(aleph_bytes frame, aleph_answer *answer) {
  size_t headers;
  if (!count(frame, TAG_HEADER, &headers)) return false;
  aleph_pair *list = pairs(headers);
  *answer = (aleph_answer){.headers = list};
  aleph_bytes rest;
  aleph_field f;
  uint32_t end = 0;
  for (aleph_frame_open(frame, &rest); aleph_frame_next(&rest, &f);) {
    bool valid = true;
    switch (f.tag) {
      case TAG_HTTP_STATUS: valid = aleph_field_u32(&f, &answer->status); break;
      case TAG_MESSAGE: answer->reason = f.value; break;
      case TAG_HEADER: valid = aleph_field_pair(&f, &list[answer->header_count++]); break;
      case TAG_URL: answer->url = f.value; break;
      case TAG_BODY: answer->body = f.value; break;
      case TAG_END: valid = aleph_field_u32(&f, &end); break;
      default: break;
    }
    if (!valid) return false;
  }
  answer->end = end != 0;
  return true;
}

int aleph_fetch_wait(aleph_ticket ticket, aleph_answer *answer) {
  aleph_bytes result;
  const int error = aleph_finish(ticket, &result);
  return error ? error : read_answer(result, answer) ? ALEPH_OK : invalid();
}

int aleph_fetch(const aleph_fetch_request *request, aleph_answer *answer) { return aleph_fetch_wait(aleph_fetch_start(request), answer); }

aleph_bytes aleph_answer_header(const aleph_answer *answer, const char *name) { return find(answer->headers, answer->header_count, name); }

static aleph_buffer stream_frame(uint32_t stream) {
  aleph_buffer frame = {0};
  aleph_frame_begin(&frame);
  aleph_frame_u32(&frame, TAG_STREAM, stream);
  return frame;
}

aleph_ticket aleph_fetch_read_start(uint32_t stream, size_t size) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = stream_frame(stream);
  aleph_frame_u32(&frame, TAG_LIMIT, !size ? 1 : size < MOST_AT_ONCE ? (uint32_t)size : MOST_AT_ONCE);
  return start(OP_FETCH_READ, &frame, before);
}

int aleph_fetch_read_wait(aleph_ticket ticket, void *to, size_t size, size_t *len, bool *end) {
  return finish_read(ticket, to, size, len, end);
}

int aleph_fetch_read(uint32_t stream, void *to, size_t size, size_t *len, bool *end) {
  if (!size) return failed(ALEPH_INVALID_ARGUMENT, aleph_text("a read of no bytes"));
  return finish_read(aleph_fetch_read_start(stream, size), to, size, len, end);
}

int aleph_fetch_write(uint32_t stream, const void *data, size_t len, bool end) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = stream_frame(stream);
  if (len) aleph_frame_bytes(&frame, TAG_BODY, (aleph_bytes){data, len});
  if (end) aleph_frame_u32(&frame, TAG_END, 1);
  return aleph_wait(start(OP_FETCH_WRITE, &frame, before));
}

int aleph_fetch_close(uint32_t stream) {
  const aleph_place before = aleph_mark();
  aleph_buffer frame = stream_frame(stream);
  return aleph_wait(start(OP_FETCH_CLOSE, &frame, before));
}

/* ---- Life cycle ---- */

static struct variable {
  const char *name, *value;
} *variables;
static size_t variable_count;

const char *aleph_env(const char *name) {
  for (size_t i = 0; i < variable_count; i++) {
    if (aleph_equal(aleph_text(variables[i].name), name)) return variables[i].value;
  }
  return NULL;
}

/* Keeps the variables of a load frame. */
static bool read_load(aleph_bytes frame) {
  size_t n;
  if (!count(frame, TAG_VARIABLE, &n)) return false;
  variables = n ? (struct variable *)take(n * sizeof *variables) : NULL;
  variable_count = 0;
  aleph_bytes rest;
  aleph_field f;
  for (aleph_frame_open(frame, &rest); aleph_frame_next(&rest, &f);) {
    aleph_pair pair;
    if (f.tag != TAG_VARIABLE) continue;
    if (!aleph_field_pair(&f, &pair)) return false;
    variables[variable_count++] = (struct variable){aleph_string(pair.name), aleph_string(pair.value)};
  }
  return true;
}

static aleph_bytes read_frame(uint32_t len) {
  char *frame = take(len);
  return (aleph_bytes){frame, aleph_host_event_read(frame, 0, len)};
}

static void respond(aleph_bytes frame) { aleph_host_respond(frame.data, (uint32_t)frame.len); }

__attribute__((weak)) void aleph_setup(void) {}

void aleph_init_export(uint32_t event_len) {
  if (!read_load(read_frame(event_len))) aleph_fail(NULL, "the load frame cannot be read", NULL);
  else aleph_setup();
  if (setup_failure.failure.len) respond(aleph_response_frame(&setup_failure));
}

void aleph_handle_export(uint32_t event_len) {
  aleph_request request;
  aleph_response response = {0};
  if (!aleph_read_event(read_frame(event_len), &request)) {
    aleph_fail(&response, "the event cannot be read", NULL);
  } else {
    body_left = request.body;
    body_more = request.body_follows;
    aleph_serve(&request, &response);
    if (reply == STREAMED && !response.failure.len) aleph_stream_end();
  }
  if (reply == WHOLE || response.failure.len) respond(aleph_response_frame(&response));
}
