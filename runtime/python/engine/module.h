/* The module _aleph (module.c). */

#include <Python.h>

PyObject *module_create(void);      /* PyInit of _aleph */
PyObject *query_of(const char *at, Py_ssize_t len); /* a raw query as {name: value, or a list of them} */
void fail_with(uint32_t code, const char *message, size_t message_len, const char *stack, size_t stack_len);

extern unsigned aleph_fresh;        /* 0 until an instance handles its event */
