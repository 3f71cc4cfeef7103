/* What Lua's libraries call and wasi-libc has not. */
#include <stdio.h>
#include <stdlib.h>

int system(const char *command) { return command ? -1 : 0; } /* os.execute: there is no shell */

char *tmpnam(char *name) { /* an instance is alone in its /tmp */
  static unsigned count;
  snprintf(name, 32, "/tmp/lua_%u", count++);
  return name;
}

FILE *tmpfile(void) {
  char name[32];
  FILE *file = fopen(tmpnam(name), "w+");
  if (file) remove(name);
  return file;
}
