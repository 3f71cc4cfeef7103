/* The module _aleph (module.c). */

#include <Python.h>

PyObject *module_create(void);      /* PyInit of _aleph */
PyObject *event_of(const char *frame, uint32_t len); /* the dict that boot.handle() gets; NULL with an exception */
void fail_with(uint32_t code, const char *message, size_t message_len, const char *stack, size_t stack_len);

extern unsigned aleph_fresh;        /* 0 until an instance handles its event */
