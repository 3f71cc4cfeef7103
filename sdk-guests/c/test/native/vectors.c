/* The codec of aleph_guest.c on the machine that runs the tests. Its input is lines, its output one line for each:
 *
 *   write TYPE:TAG:HEX[:HEX…] …   writes a frame of the fields; the output is its bytes in hex
 *   read HEX                      reads a frame; the output is "invalid", or its fields as TAG:HEX; where the value can be
 *                                 a pair :HEX of its name follows, where it can be an entry :KIND:HEX of its value
 *   event HEX, load HEX, result HEX
 *                                 reads it as what the node gives; the output is what was read, or "invalid"
 *
 * It is the node, too: it defines the functions that a program imports. */
#include "../../aleph_guest.c"

#include <stdio.h>
#include <string.h>

static aleph_bytes node_frame;
static bool responded;

uint32_t aleph_host_event_read(void *to, uint32_t offset, uint32_t len) {
  if (offset > node_frame.len) offset = (uint32_t)node_frame.len;
  if (len > node_frame.len - offset) len = (uint32_t)node_frame.len - offset;
  if (len) memcpy(to, node_frame.data + offset, len);
  return len;
}
void aleph_host_respond(const void *frame, uint32_t len) {
  (void)frame, (void)len;
  responded = true;
}
void aleph_host_log(uint32_t level, const void *text, uint32_t len) { (void)level, (void)text, (void)len; }
uint64_t aleph_host_clock(uint32_t id) { return id; }
void aleph_host_random(void *to, uint32_t len) { memset(to, 7, len); }
int32_t aleph_host_op_start(uint32_t operation, const void *frame, uint32_t len) {
  (void)operation, (void)frame, (void)len;
  return 1;
}
uint64_t aleph_host_op_wait(int32_t ticket) { return (uint64_t)(uint32_t)(ticket ? ticket : 1) << 32 | node_frame.len; }
uint32_t aleph_host_op_take(int32_t ticket, void *to, uint32_t len) {
  (void)ticket;
  if (node_frame.len) memcpy(to, node_frame.data, len);
  return len;
}
void aleph_host_op_cancel(int32_t ticket) { (void)ticket; }

void aleph_serve(const aleph_request *request, aleph_response *response) { (void)request, (void)response; }

static aleph_bytes unhex(const char *text) {
  const size_t len = strcspn(text, ": \n") / 2;
  char *to = malloc(len ? len : 1); /* exactly as long, so that a sanitizer sees what reads beyond it */
  for (size_t i = 0; i < len; i++) to[i] = (char)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
  return (aleph_bytes){to, len};
}

static void print_hex(const char *before, aleph_bytes b) {
  printf("%s", before);
  for (size_t i = 0; i < b.len; i++) printf("%02x", (unsigned char)b.data[i]);
}

/* The part of a field's text after n colons. */
static const char *part(const char *text, int n) {
  while (n--) text = strchr(text, ':') + 1;
  return text;
}

static void write_field(aleph_buffer *frame, const char *text) {
  const uint32_t tag = (uint32_t)strtoul(part(text, 1), NULL, 10);
  const aleph_bytes value = unhex(part(text, 2));
  aleph_field f = {tag, value};
  uint32_t small;
  uint64_t large;
  switch (text[0]) {
    case 'u': /* u32 and u64; an i64 is given as a u64 */
      if (aleph_field_u32(&f, &small)) aleph_frame_u32(frame, tag, small);
      else if (aleph_field_u64(&f, &large)) aleph_frame_u64(frame, tag, large);
      break;
    case 'b': aleph_frame_bytes(frame, tag, value); break;
    case 'p': aleph_frame_pair(frame, tag, value, unhex(part(text, 3))); break;
    case 'e': {
      const aleph_bytes kind = unhex(part(text, 3));
      aleph_frame_entry(frame, tag, value, get32(kind.data), unhex(part(text, 4)));
    }
  }
}

static void read_fields(aleph_bytes frame) {
  aleph_bytes rest;
  aleph_field f;
  aleph_pair pair;
  aleph_bytes key, value;
  uint32_t kind;
  size_t n;
  if (!count(frame, 0, &n)) {
    printf("invalid");
    return;
  }
  for (aleph_frame_open(frame, &rest); aleph_frame_next(&rest, &f);) {
    printf("%u", f.tag);
    print_hex(":", f.value);
    if (aleph_field_pair(&f, &pair)) print_hex(":", pair.name);
    if (aleph_field_entry(&f, &key, &kind, &value)) {
      printf(":%u", kind);
      print_hex(":", value);
    }
    printf(" ");
  }
}

static void read_as_event(aleph_bytes frame) {
  aleph_request r;
  if (!aleph_read_event(frame, &r)) {
    printf("invalid");
    return;
  }
  printf("%u %u %llu %llu %d %zu", r.kind, r.attempt, (unsigned long long)r.deadline, (unsigned long long)r.time, r.body_follows, r.header_count);
  const aleph_bytes texts[] = {r.id, r.program, r.node, r.account, r.method, r.path, r.root, r.query, r.client, r.body,
                               aleph_path(&r), aleph_param(&r, "name"), aleph_param(&r, "q"), aleph_param(&r, "n"),
                               aleph_header(&r, "accept"), aleph_header(&r, "x-none"),
                               r.event_id, aleph_detail(&r, "scheduled_at")};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) print_hex(" ", texts[i]);
}

static void read_as_load(aleph_bytes frame) {
  node_frame = frame;
  responded = false;
  setup_failure = (aleph_response){0};
  aleph_init_export((uint32_t)frame.len);
  if (responded) printf("invalid");
  for (size_t i = 0; i < variable_count && !responded; i++) {
    print_hex("", aleph_text(variables[i].name));
    print_hex(":", aleph_text(variables[i].value));
    printf(" ");
  }
}

static void read_as_result(aleph_bytes frame) {
  node_frame = frame;
  aleph_answer answer;
  aleph_listing listing;
  outcome o;
  aleph_value value;
  int errors[4];
  errors[0] = aleph_fetch_wait(1, &answer);
  errors[1] = finish_listing(1, &listing);
  errors[2] = finish(1, &o);
  errors[3] = aleph_store_get(aleph_text("k"), &value);
  for (int i = 0; i < 4; i++) {
    if (errors[i] == ALEPH_INVALID_FRAME) {
      printf("invalid");
      return;
    }
  }
  if (errors[0]) {
    printf("%s", aleph_error_name(errors[0]));
    print_hex(" ", aleph_message());
    return;
  }
  printf("%u %zu %d %zu %u %llu %u %lld", answer.status, answer.header_count, answer.end, listing.count, o.flag, (unsigned long long)o.delta, value.kind,
         (long long)value.number);
  const aleph_bytes texts[] = {answer.reason, answer.url, answer.body, value.data, listing.cursor};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) print_hex(" ", texts[i]);
}

int main(void) {
  static char line[1 << 16];
  while (fgets(line, sizeof line, stdin)) {
    const aleph_place before = aleph_mark();
    char *arguments = strchr(line, ' ');
    *arguments++ = 0;
    if (!strcmp(line, "write")) {
      aleph_buffer frame = {0};
      aleph_frame_begin(&frame);
      for (char *f = strtok(arguments, " \n"); f; f = strtok(NULL, " \n")) write_field(&frame, f);
      print_hex("", (aleph_bytes){frame.data, frame.len});
    } else if (!strcmp(line, "read")) {
      read_fields(unhex(arguments));
    } else if (!strcmp(line, "event")) {
      read_as_event(unhex(arguments));
    } else if (!strcmp(line, "load")) {
      read_as_load(unhex(arguments));
    } else if (!strcmp(line, "result")) {
      read_as_result(unhex(arguments));
    }
    printf("\n");
    fflush(stdout);
    variable_count = 0;
    aleph_release(before);
  }
  return 0;
}
