/* Counts visits in the store, a counter for each path: GET /a answers {"path":"/a","visits":1}, then 2, and so on.
 * GET /?list answers all counters. */
#include "../aleph_guest.h"

/* Fails the event with what the node said. */
static void failed(aleph_response *response, const char *what, int error) {
  aleph_buffer text = {0};
  for (const char *const *part = (const char *const[]){what, ": ", aleph_error_name(error), ": ", NULL}; *part; part++)
    aleph_append(&text, *part, aleph_text(*part).len);
  aleph_append(&text, aleph_message().data, aleph_message().len);
  aleph_fail(response, aleph_string((aleph_bytes){text.data, text.len}), NULL);
}

static void print_counter(aleph_response *response, aleph_bytes path, int64_t visits) {
  aleph_print(response, "{\"path\":");
  aleph_print_bytes(response, aleph_json(path));
  aleph_print(response, ",\"visits\":");
  aleph_print_bytes(response, aleph_decimal(visits));
  aleph_print(response, "}");
}

static void list(aleph_response *response) {
  aleph_listing part = {0};
  const char *separator = "[";
  do {
    const int error = aleph_store_list(aleph_text("/"), 0, part.cursor, &part);
    if (error) {
      failed(response, "listing the counters", error);
      return;
    }
    for (size_t i = 0; i < part.count; i++) {
      aleph_print(response, separator);
      print_counter(response, part.entries[i].key, part.entries[i].value.number);
      separator = ",";
    }
  } while (part.cursor.len);
  aleph_print(response, *separator == '[' ? "[]\n" : "]\n");
}

void aleph_serve(const aleph_request *request, aleph_response *response) {
  aleph_add_header(response, "content-type", "application/json");
  if (aleph_param(request, "list").data) {
    list(response);
    return;
  }
  int64_t visits;
  const int error = aleph_store_increment(request->path, 1, &visits);
  if (error) {
    failed(response, "counting a visit", error);
    return;
  }
  print_counter(response, request->path, visits);
  aleph_print(response, "\n");
}
