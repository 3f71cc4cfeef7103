/* Greets: GET /?name=Alice answers "Hello, Alice!". The variable GREETING says how. */
#include "../aleph_guest.h"

void aleph_serve(const aleph_request *request, aleph_response *response) {
  const char *greeting = aleph_env("GREETING");
  const aleph_bytes name = aleph_param(request, "name");
  aleph_add_header(response, "content-type", "text/plain; charset=utf-8");
  aleph_print(response, greeting ? greeting : "Hello");
  aleph_print(response, ", ");
  aleph_print_bytes(response, name.len ? name : aleph_text("World"));
  aleph_print(response, "!\n");
}
