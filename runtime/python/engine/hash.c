#include "hash.h"
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_aleph_hash", .m_size = -1};
PyObject *hash_create(void) { return PyModule_Create(&definition); }
