/* Fetches two addresses at the same time and streams a line about each as soon as it has answered:
 * GET /?url=https://a.example/&url=https://b.example/ */
#include "../aleph_guest.h"

enum { FETCHES = 2 };

static void line(aleph_bytes url, int error, const aleph_answer *answer) {
  aleph_buffer text = {0};
  aleph_append(&text, url.data, url.len);
  aleph_append(&text, ": ", 2);
  if (error) {
    const aleph_bytes name = aleph_text(aleph_error_name(error));
    aleph_append(&text, name.data, name.len);
  } else {
    const aleph_bytes status = aleph_decimal(answer->status), size = aleph_decimal((int64_t)answer->body.len);
    aleph_append(&text, status.data, status.len);
    aleph_append(&text, ", ", 2);
    aleph_append(&text, size.data, size.len);
    aleph_append(&text, " bytes", 6);
  }
  aleph_append(&text, "\n", 1);
  aleph_stream_write(text.data, text.len);
}

void aleph_serve(const aleph_request *request, aleph_response *response) {
  aleph_bytes urls[FETCHES], rest = request->query;
  aleph_pair param;
  size_t n = 0;
  while (n < FETCHES && aleph_next_param(&rest, &param)) {
    if (aleph_equal(param.name, "url")) urls[n++] = param.value;
  }
  aleph_add_header(response, "content-type", "text/plain; charset=utf-8");
  if (n < FETCHES) {
    aleph_status(response, 400);
    aleph_print(response, "give two parameters: url=…&url=…\n");
    return;
  }
  aleph_ticket tickets[FETCHES];
  size_t under_way = 0;
  if (aleph_stream_start(response) != ALEPH_OK) return; /* the client has gone */
  for (size_t i = 0; i < n; i++) {
    tickets[i] = aleph_fetch_start(&(aleph_fetch_request){.url = aleph_string(urls[i]), .redirects = 5});
    if (tickets[i] > 0) under_way++;
    else line(urls[i], tickets[i], NULL);
  }
  for (; under_way; under_way--) {
    const aleph_ticket complete = aleph_wait_any();
    aleph_answer answer;
    const int error = aleph_fetch_wait(complete, &answer);
    for (size_t i = 0; i < n; i++) {
      if (tickets[i] == complete) line(urls[i], error, &answer);
    }
  }
}
