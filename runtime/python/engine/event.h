/* Events (event.c). */

#include <Python.h>

int event_init(void);
PyObject *event_of(const char *frame, uint32_t len);    /* an event; the frame has to stay */
PyObject *event_make(PyObject *self, PyObject *frame);  /* event(frame): one of a copy, to try things with */

/* request(event, Request, Headers): the request, an object of the first class with one of the second in it and "body" None. Where
   there is a body, a tuple of that and the body's bytes, which are None if they follow. */
PyObject *event_request(PyObject *self, PyObject *const *args, Py_ssize_t count);
