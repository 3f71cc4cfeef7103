/* The file system of an instance (files.c). */

#include <stdint.h>

void files_init(void);

/* Adds a read-only file; neither its path nor its bytes are copied. Returns 0, EINVAL for a path with an empty, "." or ".." part,
   EEXIST or ENOMEM. */
int files_add(const char *path, uint32_t len, const void *bytes, uint32_t size);

void files_flush(void);             /* logs what was written to descriptors 1 and 2 and has no end of line yet */
void random_bytes(void *to, uint32_t len);
int sleep_for(int64_t nanoseconds); /* embed.c; false if it cannot */
