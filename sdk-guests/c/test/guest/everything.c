/* Uses what the examples do not, for sdk_test.go: the path says what. */
#include "../../aleph_guest.h"

ALEPH_BODIES_FOLLOW

static const char *prepared = "not prepared";
static char *kept;
static int refused;

void aleph_setup(void) {
  if (aleph_env("FAIL")) {
    aleph_fail(NULL, aleph_env("FAIL"), "in aleph_setup");
    return;
  }
  prepared = "prepared";
  kept = aleph_string(aleph_text("kept from setup"));
  refused = aleph_sleep(1);
}

static aleph_response *out;

static void say(const char *text) { aleph_print(out, text); }
static void say_bytes(aleph_bytes bytes) { aleph_print_bytes(out, bytes); }
static void say_number(int64_t number) { say_bytes(aleph_decimal(number)); }
static void say_error(int error) {
  say(aleph_error_name(error));
  say(" ");
}
static void say_value(aleph_value v) {
  static const char *const kinds[] = {"bytes ", "json ", "counter ", "absent "};
  say(kinds[v.kind]);
  if (v.kind == ALEPH_VALUE_COUNTER) say_number(v.number);
  else say_bytes(v.data);
  say("; ");
}
static aleph_bytes T(const char *text) { return aleph_text(text); }

static void request_of(const aleph_request *r) {
  say_bytes(r->method);
  say(" ");
  say_bytes(r->path);
  say(" ");
  say_bytes(aleph_path(r));
  say(" ");
  aleph_bytes rest = r->query;
  for (aleph_pair p; aleph_next_param(&rest, &p);) {
    say_bytes(aleph_json(p.name));
    say_bytes(aleph_json(p.value));
  }
  say(" ");
  say_bytes(aleph_header(r, "x-a"));
  say(aleph_header(r, "x-none").data ? " some " : " none ");
  say(r->root.len && r->client.len && r->id.len && r->deadline > r->time && aleph_now() >= r->time && r->attempt == 1 && r->event_id.len && !aleph_detail(r, "trigger").data ? "whole " : "missing ");
  say(prepared);
  say(", ");
  say(kept);
  say(", ");
  say_error(refused);
  say(aleph_env("V"));
  say(aleph_env("NONE") ? "" : " none");
}

static void store(void) {
  aleph_value v;
  bool done;
  int64_t n;
  say_error(aleph_store_get(T("k"), &v));
  say_value(v);
  say_error(aleph_store_set(T("k"), aleph_value_bytes((aleph_bytes){"a\0b", 3}), 0));
  aleph_store_get(T("k"), &v);
  say(v.data.len == 3 && v.data.data[1] == 0 ? "three " : "other ");
  say_error(aleph_store_set(T("j"), aleph_value_json(T("{\"a\":1}")), 3600));
  aleph_store_get(T("j"), &v);
  say_value(v);
  const aleph_value old = v;
  say_error(aleph_store_compare_and_set(T("j"), NULL, aleph_value_json(T("0")), 0, &done));
  say(done ? "yes " : "no ");
  say_error(aleph_store_compare_and_set(T("j"), &old, aleph_value_json(T("[2]")), 0, &done));
  say(done ? "yes " : "no ");
  aleph_store_increment(T("n"), 41, NULL);
  say_error(aleph_store_increment(T("n"), -43, &n));
  say_number(n);
  say(" ");
  say_error(aleph_store_increment(T("k"), 1, &n));
  say(aleph_message().len ? "said " : "silent ");
  aleph_listing part = {0};
  do {
    aleph_store_list(T(""), 2, part.cursor, &part);
    for (size_t i = 0; i < part.count; i++) {
      say_bytes(part.entries[i].key);
      say("=");
      if (part.entries[i].value.kind != ALEPH_VALUE_BYTES) say_value(part.entries[i].value);
    }
    say("| ");
  } while (part.cursor.len);
  const aleph_ticket watch = aleph_store_watch_start(T("w/"));
  aleph_entry change;
  aleph_store_set(T("w/1"), aleph_value_bytes(T("new")), 0);
  say_error(aleph_store_watch_wait(watch, &change));
  say_bytes(change.key);
  say("=");
  say_value(change.value);
  const aleph_ticket again = aleph_store_watch_start(T("w/"));
  say_error(aleph_store_delete(T("w/1"), &done));
  say(done ? "existed " : "new ");
  say_error(aleph_store_watch_wait(again, &change));
  say_value(change.value);
  say_error(aleph_store_delete(T("w/1"), NULL));
}

/* Sends the body on, in parts as it comes, and answers with what comes back, in parts. */
static void proxy(const aleph_request *r) {
  enum { STREAM = 7 };
  static char part[64 << 10];
  size_t len;
  bool end = false;
  aleph_answer answer;
  const aleph_pair header = {T("x-from"), T("c")};
  const aleph_ticket ticket = aleph_fetch_start(&(aleph_fetch_request){
      .method = "POST", .url = aleph_string(aleph_param(r, "url")), .headers = &header, .header_count = 1, .stream = STREAM, .more = true});
  while (!end) {
    int error = aleph_body_read(part, sizeof part, &len, &end);
    if (!error) error = aleph_fetch_write(STREAM, part, len, end);
    if (error) {
      aleph_fail(out, aleph_error_name(error), NULL);
      return;
    }
  }
  const int error = aleph_fetch_wait(ticket, &answer);
  if (error) {
    aleph_fail(out, aleph_error_name(error), NULL);
    return;
  }
  aleph_status(out, answer.status);
  aleph_add_header(out, "x-back", aleph_string(aleph_answer_header(&answer, "x-back")));
  say_bytes(answer.body);
  aleph_stream_start(out);
  for (end = answer.end; !end;) {
    if (aleph_fetch_read(STREAM, part, sizeof part, &len, &end) || aleph_stream_write(part, len)) return;
  }
  aleph_stream_end();
  aleph_fetch_close(STREAM);
}

static void errors(const aleph_request *r) {
  aleph_answer answer;
  say_error(aleph_fetch(&(aleph_fetch_request){.url = "http://10.0.0.1/"}, &answer));
  say_error(aleph_fetch(&(aleph_fetch_request){.url = "ftp://example.org/"}, &answer));
  say_error(aleph_fetch(&(aleph_fetch_request){.url = aleph_string(aleph_param(r, "slow")), .timeout = 1000000}, &answer));
  say_error(aleph_finish(aleph_start(9999, &(aleph_buffer){"alv1", 4, 0}), &(aleph_bytes){0}));
  aleph_ticket tickets[300];
  int n = 0;
  while ((tickets[n] = aleph_sleep_start(UINT64_MAX)) > 0) n++;
  say_number(n);
  say(" ");
  say_error(aleph_wait(tickets[n]));
  while (n) aleph_cancel(tickets[--n]);
  const aleph_ticket late = aleph_store_watch_start(T("o/")), soon = aleph_sleep_start(1000000);
  const bool first = aleph_wait_any() == soon;
  aleph_store_set(T("o/1"), aleph_value_bytes(T("now")), 1);
  say(first && aleph_wait_any() == late ? "order " : "disorder ");
  say_error(aleph_wait(soon));
  say_error(aleph_wait(late));
  char many[70000];
  aleph_random(many, sizeof many);
  int zeros = 0;
  for (size_t i = sizeof many - 1000; i < sizeof many; i++) zeros += !many[i];
  say(zeros < 100 ? "random " : "zeros ");
  const uint64_t before = aleph_monotonic();
  say(aleph_monotonic() >= before ? "on " : "back ");
  int64_t number;
  say(aleph_number(T("-9223372036854775808"), &number) && number == INT64_MIN ? "least " : "wrong ");
  say(aleph_number(T("9223372036854775808"), &number) || aleph_number(T("1x"), &number) || aleph_number(T("-"), &number) ? "wrong " : "numbers ");
}

static void memory(void) {
  aleph_buffer text = {0};
  for (int i = 0; i < 1000; i++) {
    const aleph_place before = aleph_mark();
    char *large = aleph_alloc(1 << 20);
    large[1 << 19] = 1;
    aleph_release(before);
  }
  for (int i = 0; i < 100000; i++) aleph_append(&text, "0123456789", 10);
  say_bytes((aleph_bytes){text.data, text.len});
}

void aleph_serve(const aleph_request *request, aleph_response *response) {
  out = response;
  if (aleph_equal(aleph_path(request), "/store")) store();
  else if (aleph_equal(request->path, "/proxy")) proxy(request);
  else if (aleph_equal(request->path, "/errors")) errors(request);
  else if (aleph_equal(request->path, "/memory")) memory();
  else if (aleph_equal(request->path, "/fail")) {
    aleph_log(ALEPH_WARNING, "about to fail");
    aleph_fail(response, "no luck", "at fail");
  } else if (aleph_equal(request->path, "/out-of-memory")) {
    for (;;) aleph_alloc(1 << 20);
  } else if (aleph_equal(request->path, "/body")) {
    aleph_bytes body;
    const int error = aleph_body(300000, &body);
    if (error) aleph_status(response, 413), say_error(error);
    else say_bytes(body);
  } else if (aleph_equal(request->path, "/cut")) {
    aleph_stream_start(response);
    aleph_stream_write("some", 4);
    aleph_fail(response, "cut off", NULL);
  } else request_of(request);
}
