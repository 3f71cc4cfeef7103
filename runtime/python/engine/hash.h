/* The module _aleph_hash: what hashlib takes from OpenSSL where there is one. */

#include <Python.h>

PyObject *hash_create(void);
