/* aleph_guest: programs in C for a node, on the guest contract aleph_v1 (abi/SPEC.md).
 *
 *     #include "aleph_guest.h"
 *
 *     void aleph_serve(const aleph_request *request, aleph_response *response) {
 *       aleph_print(response, "Hello!\n");
 *     }
 *
 * A program is this header, aleph_guest.c and a function aleph_serve. It needs C11 and no libc; it may use one.
 *
 * An instance serves one event: what the program keeps in variables is gone with it, but for what aleph_setup left there
 * when the program was deployed. What has to stay goes into the store.
 *
 * Memory. What a function gives is in memory that lasts as long as the event, unless its comment says otherwise; nothing
 * has to be freed. A program that works in a loop gives memory back with aleph_mark and aleph_release. Allocation does not
 * fail: a program that needs more than it may have is stopped, and the caller sees memory_limit.
 *
 * Errors. Functions that return int return 0 (ALEPH_OK) or one of enum aleph_error; aleph_message says more about the last
 * one. Their results are set only if they return 0. */
#ifndef ALEPH_GUEST_H
#define ALEPH_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Texts and bytes ---- */

/* Bytes somewhere, usually a text in UTF-8 without a terminator. data is NULL where there are none at all. */
typedef struct {
  const char *data;
  size_t len;
} aleph_bytes;

/* A header, a parameter, a variable. */
typedef struct {
  aleph_bytes name, value;
} aleph_pair;

/* The bytes of a text that ends with NUL, which is not one of them. NULL gives no bytes. The text is not copied. */
aleph_bytes aleph_text(const char *text);

/* A copy with a NUL at its end. */
char *aleph_string(aleph_bytes bytes);

/* Whether the bytes are the text's. */
bool aleph_equal(aleph_bytes bytes, const char *text);

/* A number in decimal digits. */
aleph_bytes aleph_decimal(int64_t number);

/* Reads decimal digits, with or without a sign. False if there is anything else, nothing, or more than an int64_t holds. */
bool aleph_number(aleph_bytes bytes, int64_t *number);

/* A text as a JSON string, in its quotes. Bytes of the text from 0x80 stay as they are. */
aleph_bytes aleph_json(aleph_bytes text);

/* ---- Memory ---- */

/* len bytes of zeros, aligned for any type. */
void *aleph_alloc(size_t len);

/* A place in the order of allocations. aleph_release gives back all that was allocated since, by functions of this header
 * too: marks nest, and the innermost is released first. What was begun before a mark, as a response or a buffer, must not
 * grow until it is released. */
typedef struct {
  void *block;
  size_t used;
} aleph_place;
aleph_place aleph_mark(void);
void aleph_release(aleph_place place);

/* Bytes that grow. Begin with {0}. */
typedef struct {
  char *data;
  size_t len, cap;
} aleph_buffer;
void aleph_append(aleph_buffer *buffer, const void *data, size_t len);

/* ---- The event ---- */

enum aleph_event_kind {
  ALEPH_HTTP = 0,
  ALEPH_SCHEDULE = 1,
  ALEPH_MESSAGE = 2,
  ALEPH_TOPIC = 3,
  ALEPH_LOG_EVENT = 4,
  ALEPH_BLOCK = 5,
  ALEPH_TRANSFER = 6,
};

/* What happened. An event that is not of HTTP has its content in body. */
typedef struct {
  uint32_t kind;         /* enum aleph_event_kind */
  uint32_t attempt;      /* 1 is the first */
  uint64_t deadline;     /* Unix nanoseconds: the event ends then */
  uint64_t time;         /* Unix nanoseconds at dispatch */
  uint8_t seed[16];      /* fresh random bytes, for generators */
  aleph_bytes id;        /* the request's, also in the log and in errors */
  aleph_bytes event_id;  /* the same at every attempt at the event, and at no other event of the program */
  aleph_bytes program;   /* the program's item hash */
  aleph_bytes node;      /* the node's id */
  aleph_bytes account;   /* the owner's address */
  aleph_bytes method;    /* upper case */
  aleph_bytes path;      /* at least "/", not decoded; see aleph_path */
  aleph_bytes root;      /* what is in front of the path in the URL's path */
  aleph_bytes query;     /* without "?", not decoded; see aleph_param */
  aleph_bytes client;    /* address and port of the peer */
  aleph_bytes body;      /* see aleph_body_read where it may follow */
  bool body_follows;     /* only with ALEPH_BODIES_FOLLOW */
  const aleph_pair *headers; /* names in lower case */
  size_t header_count;
  const aleph_pair *details; /* what else is known of the event; see aleph_detail */
  size_t detail_count;
} aleph_request;

/* The first header of that name (lower case); no bytes if there is none. */
aleph_bytes aleph_header(const aleph_request *request, const char *name);

/* What is known of an event that is not of HTTP: "trigger", "scheduled_at", "topic" and so on, as JSON: a text is in its
 * quotes. No bytes if there is no such detail. */
aleph_bytes aleph_detail(const aleph_request *request, const char *name);

/* The path with %XX decoded. */
aleph_bytes aleph_path(const aleph_request *request);

/* The first parameter of that name in the query, with %XX and + decoded; no bytes if there is none. One without "=" is empty. */
aleph_bytes aleph_param(const aleph_request *request, const char *name);

/* Takes the next parameter off the front of a query, or of a form's body, and decodes it. False at the end.
 *
 *     aleph_bytes rest = request->query;
 *     aleph_pair param;
 *     while (aleph_next_param(&rest, &param)) … */
bool aleph_next_param(aleph_bytes *rest, aleph_pair *param);

/* Written once at the top of a program, this lets long and chunked bodies follow: the program begins before they have come,
 * and reads them with aleph_body_read. Without it every body is in request->body. */
#define ALEPH_BODIES_FOLLOW \
  ALEPH_EXPORT("aleph_body") void aleph_body_export(void); \
  void aleph_body_export(void) {}

/* Reads on in the event's body: up to size bytes to `to`, how many to *len. *end says that this was the last of them; a read
 * may give none before. Waits for the client. It works for every body, those in request->body too. */
int aleph_body_read(void *to, size_t size, size_t *len, bool *end);

/* All of the body that has not been read. ALEPH_VALUE_TOO_LARGE if it is longer than most bytes. */
int aleph_body(size_t most, aleph_bytes *body);

/* ---- The response ---- */

/* What aleph_serve answers: 200 without headers and body, unless it says otherwise. Its fields are the functions' below;
 * one of a program's own begins with {0}. */
typedef struct {
  uint32_t status;
  aleph_buffer headers, body, failure;
} aleph_response;

/* The HTTP status, 200 to 599. */
void aleph_status(aleph_response *response, uint32_t status);

/* Adds a header. */
void aleph_add_header(aleph_response *response, const char *name, const char *value);

/* Adds to the body. */
void aleph_write(aleph_response *response, const void *data, size_t len);
void aleph_print(aleph_response *response, const char *text);
void aleph_print_bytes(aleph_response *response, aleph_bytes bytes);

/* The event failed: an HTTP caller gets 500 and its own message, the owner's log has this one and the stack (which may be
 * NULL); an event from a queue is tried again. Nothing else in the response counts. In aleph_setup there is no response:
 * give NULL, and the deploy fails. */
void aleph_fail(aleph_response *response, const char *message, const char *stack);

/* Sends status and headers now, and what is in the body already. From here on the reply is streamed: aleph_stream_write
 * waits until the client has taken the bytes. Without aleph_stream_end the reply ends when aleph_serve returns.
 * ALEPH_CLOSED: the client has gone. */
int aleph_stream_start(aleph_response *response);
int aleph_stream_write(const void *data, size_t len);
int aleph_stream_end(void);

/* ---- What a program writes ---- */

/* Answers an event. */
void aleph_serve(const aleph_request *request, aleph_response *response);

/* Optional: runs once, when the program is deployed; every instance begins with what it leaves in memory. There are no
 * operations here (ALEPH_REFUSED), and time and random bytes would be the same in all instances. */
void aleph_setup(void);

/* ---- Environment, log, clock, randomness: they answer at once ---- */

/* The program's variable of that name; NULL if there is none. */
const char *aleph_env(const char *name);

enum aleph_level { ALEPH_DEBUG = 0, ALEPH_INFO = 1, ALEPH_WARNING = 2, ALEPH_ERROR = 3 };

/* Writes to the program's log. */
void aleph_log(int level, const char *text);
void aleph_log_bytes(int level, aleph_bytes text);

/* Unix time, and a clock that never goes back; nanoseconds. */
uint64_t aleph_now(void);
uint64_t aleph_monotonic(void);

/* Cryptographically secure random bytes. */
void aleph_random(void *to, size_t len);

/* ---- Operations ---- */

enum aleph_error {
  ALEPH_OK = 0,
  ALEPH_INVALID_ARGUMENT = 1,
  ALEPH_NOT_A_COUNTER = 2,
  ALEPH_QUOTA_EXCEEDED = 3,
  ALEPH_VALUE_TOO_LARGE = 4,
  ALEPH_UNAVAILABLE = 5,
  ALEPH_UNKNOWN_OPERATION = 6,
  ALEPH_NETWORK = 7,
  ALEPH_FORBIDDEN = 8,
  ALEPH_TIMEOUT = 9,
  ALEPH_CLOSED = 10,
  /* Of this library, not of the node. */
  ALEPH_TOO_MANY = -1,      /* 256 operations are under way */
  ALEPH_REFUSED = -2,       /* there are no operations while the program is deployed */
  ALEPH_TOO_LARGE = -3,     /* the requests under way are over 16 MiB */
  ALEPH_INVALID_FRAME = -4, /* the node's answer cannot be read */
};

/* The error's name, as "quota_exceeded". */
const char *aleph_error_name(int error);

/* What the node said about the last error; no bytes if nothing. Valid until the next operation ends. */
aleph_bytes aleph_message(void);

/* An operation under way. Those that are started together run together; each is waited for with the function that its
 * start's comment names, in any order. A start that failed gives a ticket, too: the waiting function returns the error. */
typedef int32_t aleph_ticket;

/* Waits until any operation is complete and gives its ticket, each once, in the order of completion. The result is taken
 * with the operation's own function, which then does not wait. Only with operations under way. */
aleph_ticket aleph_wait_any(void);

/* Forgets an operation; its ticket is no more. Effects that happened stay. */
void aleph_cancel(aleph_ticket ticket);

/* Waits that many nanoseconds. */
int aleph_sleep(uint64_t nanoseconds);

/* A timer beside other operations; aleph_wait ends it. */
aleph_ticket aleph_sleep_start(uint64_t nanoseconds);
int aleph_wait(aleph_ticket ticket);

/* ---- The store: the program's own keys and values, kept on the node ---- */

enum aleph_value_kind {
  ALEPH_VALUE_BYTES = 0,
  ALEPH_VALUE_JSON = 1,
  ALEPH_VALUE_COUNTER = 2,
  ALEPH_VALUE_ABSENT = 3, /* there is no such key */
};

/* A value. A counter's number is in number; data of one is not used. */
typedef struct {
  uint32_t kind; /* enum aleph_value_kind */
  aleph_bytes data;
  int64_t number;
} aleph_value;

/* Values to set: bytes, and a text that is JSON. */
aleph_value aleph_value_bytes(aleph_bytes data);
aleph_value aleph_value_json(aleph_bytes text);
aleph_value aleph_value_counter(int64_t number);

/* A key and its value. */
typedef struct {
  aleph_bytes key;
  aleph_value value;
} aleph_entry;

/* A part of a listing. cursor is empty if it was the last. */
typedef struct {
  aleph_entry *entries;
  size_t count;
  aleph_bytes cursor;
} aleph_listing;

/* The key's value; one of kind ALEPH_VALUE_ABSENT if there is none. */
int aleph_store_get(aleph_bytes key, aleph_value *value);

/* Sets a key. ttl: seconds after which it is gone, 0: never. */
int aleph_store_set(aleph_bytes key, aleph_value value, uint64_t ttl);

/* Deletes a key. *existed says whether it was there; existed may be NULL. */
int aleph_store_delete(aleph_bytes key, bool *existed);

/* Entries whose keys begin with the prefix, in the order of keys. limit: at most so many, 0: as many as the node gives at
 * once. cursor: the listing's before, to go on; no bytes to begin. */
int aleph_store_list(aleph_bytes prefix, uint32_t limit, aleph_bytes cursor, aleph_listing *listing);

/* Adds to a counter, which begins at 0. The new number to *number, which may be NULL. ALEPH_NOT_A_COUNTER. */
int aleph_store_increment(aleph_bytes key, int64_t delta, int64_t *number);

/* Sets a key if its value is *expected (NULL: if it is absent). *swapped says whether it was. */
int aleph_store_compare_and_set(aleph_bytes key, const aleph_value *expected, aleph_value value, uint64_t ttl, bool *swapped);

/* Waits for the next change below the prefix; a deleted key's value is of kind ALEPH_VALUE_ABSENT. */
int aleph_store_watch(aleph_bytes prefix, aleph_entry *entry);

/* The same beside other operations: aleph_store_watch_wait gives the change. */
aleph_ticket aleph_store_watch_start(aleph_bytes prefix);
int aleph_store_watch_wait(aleph_ticket ticket, aleph_entry *entry);

/* ---- Fetch: requests to other servers ---- */

/* A request. Set url, and what differs from the defaults. */
typedef struct {
  const char *method;        /* NULL: GET */
  const char *url;           /* absolute, http or https */
  const aleph_pair *headers;
  size_t header_count;
  aleph_bytes body;
  uint32_t redirects;        /* how many are followed, 20 at most; with 0 the redirect is the answer */
  uint64_t timeout;          /* nanoseconds until the answer's head; 0: the event's deadline */
  uint32_t stream;           /* not 0: the answer's body is read in parts under this number, unique among open streams */
  bool more;                 /* the request's body goes on with aleph_fetch_write; needs stream */
} aleph_fetch_request;

/* An answer. Without a stream the body is all of it (16 MiB at most), with one what has come of it; end says that this is all. */
typedef struct {
  uint32_t status;
  aleph_bytes reason, url, body;
  const aleph_pair *headers; /* names in lower case */
  size_t header_count;
  bool end;
} aleph_answer;

/* Sends a request and waits for its answer. Every HTTP status is an answer; errors are of the network and the node. */
int aleph_fetch(const aleph_fetch_request *request, aleph_answer *answer);

/* The same beside other operations: aleph_fetch_wait gives the answer. */
aleph_ticket aleph_fetch_start(const aleph_fetch_request *request);
int aleph_fetch_wait(aleph_ticket ticket, aleph_answer *answer);

/* The first header of that name (lower case) in an answer; no bytes if there is none. */
aleph_bytes aleph_answer_header(const aleph_answer *answer, const char *name);

/* Reads on in an answer's body: up to size bytes to `to`, how many to *len. *end says that this was the last of them. */
int aleph_fetch_read(uint32_t stream, void *to, size_t size, size_t *len, bool *end);

/* The same beside other operations: up to size bytes (256 KiB at most), with aleph_fetch_read_wait. */
aleph_ticket aleph_fetch_read_start(uint32_t stream, size_t size);
int aleph_fetch_read_wait(aleph_ticket ticket, void *to, size_t size, size_t *len, bool *end);

/* Adds to a request's body, and with end ends it; returns when the connection has taken the bytes. */
int aleph_fetch_write(uint32_t stream, const void *data, size_t len, bool end);

/* Ends an exchange. One that was read to its end need not be. */
int aleph_fetch_close(uint32_t stream);

/* ---- Frames, for operations that this header has no function for ---- */

/* A field of a frame. */
typedef struct {
  uint32_t tag;
  aleph_bytes value;
} aleph_field;

/* Begins a frame in an empty buffer, and appends fields to it. */
void aleph_frame_begin(aleph_buffer *frame);
void aleph_frame_u32(aleph_buffer *frame, uint32_t tag, uint32_t value);
void aleph_frame_u64(aleph_buffer *frame, uint32_t tag, uint64_t value);
void aleph_frame_bytes(aleph_buffer *frame, uint32_t tag, aleph_bytes value);
void aleph_frame_pair(aleph_buffer *frame, uint32_t tag, aleph_bytes name, aleph_bytes value);
void aleph_frame_entry(aleph_buffer *frame, uint32_t tag, aleph_bytes key, uint32_t kind, aleph_bytes value);

/* Walks a frame: open takes its beginning off, next its fields. Both are false at what is no frame; next is at the end, too,
 * where rest->len is 0. The values are views of the frame. */
bool aleph_frame_open(aleph_bytes frame, aleph_bytes *rest);
bool aleph_frame_next(aleph_bytes *rest, aleph_field *field);

/* The value of a field. False if it is not of that type. */
bool aleph_field_u32(const aleph_field *field, uint32_t *value);
bool aleph_field_u64(const aleph_field *field, uint64_t *value);
bool aleph_field_pair(const aleph_field *field, aleph_pair *pair);
bool aleph_field_entry(const aleph_field *field, aleph_bytes *key, uint32_t *kind, aleph_bytes *value);

/* Reads an event, and an answer to a fetch, as aleph_serve and aleph_fetch give them. False if they are not valid. */
bool aleph_read_event(aleph_bytes frame, aleph_request *request);

/* The response as a frame; nothing may be added to the response afterwards. */
aleph_bytes aleph_response_frame(aleph_response *response);

/* Starts any operation, and waits for it: the result is a frame, whose status was 0. */
aleph_ticket aleph_start(uint32_t operation, const aleph_buffer *frame);
int aleph_finish(aleph_ticket ticket, aleph_bytes *result);

/* ---- The node's functions. Built for another machine than WebAssembly, as in a test, they are the test's to define. ---- */

#ifdef __wasm__
#define ALEPH_EXPORT(name) __attribute__((export_name(name)))
#define ALEPH_IMPORT(name) __attribute__((import_module("aleph_v1"), import_name(name)))
#else
#define ALEPH_EXPORT(name)
#define ALEPH_IMPORT(name)
#endif

ALEPH_IMPORT("event_read") uint32_t aleph_host_event_read(void *to, uint32_t offset, uint32_t len);
ALEPH_IMPORT("respond") void aleph_host_respond(const void *frame, uint32_t len);
ALEPH_IMPORT("log") void aleph_host_log(uint32_t level, const void *text, uint32_t len);
ALEPH_IMPORT("clock") uint64_t aleph_host_clock(uint32_t id);
ALEPH_IMPORT("random") void aleph_host_random(void *to, uint32_t len);
ALEPH_IMPORT("op_start") int32_t aleph_host_op_start(uint32_t operation, const void *frame, uint32_t len);
ALEPH_IMPORT("op_wait") uint64_t aleph_host_op_wait(int32_t ticket);
ALEPH_IMPORT("op_take") uint32_t aleph_host_op_take(int32_t ticket, void *to, uint32_t len);
ALEPH_IMPORT("op_cancel") void aleph_host_op_cancel(int32_t ticket);

/* What the node calls. */
ALEPH_EXPORT("aleph_init") void aleph_init_export(uint32_t event_len);
ALEPH_EXPORT("aleph_handle") void aleph_handle_export(uint32_t event_len);

#ifdef __cplusplus
}
#endif

#endif
