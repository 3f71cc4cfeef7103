/* The engine's heap (heap.c) beside malloc and its like. */

#include <stdint.h>

void heap_init(void);
void heap_freeze(uint32_t spare);
uint32_t heap_used(void); /* the end of what is allocated, in bytes of the memory */
