// The smallest command: it greets who the query names.
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  printf("Content-Type: text/plain\n\nHello, %s\n", getenv("QUERY_STRING"));
  return 0;
}
