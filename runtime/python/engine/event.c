/* The event as Python sees it: a view of its frame, whose fields become objects when they are asked for, and the request that is
   made from it. An event has some twenty fields, and most handlers look at four of them. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

#include "event.h"
#include "frame.h"
#include "module.h"

typedef struct {
    PyObject_HEAD
    const char *frame; /* of the instance's event: it stays */
    uint32_t len;
} Event;

enum kind { TEXT, BYTES, U32, U64, FLAG, HEADERS, DETAILS };

static struct key {
    const char *name;
    uint32_t tag;
    enum kind kind;
    PyObject *interned;
} keys[] = {
    {"kind", TAG_KIND, U32}, {"request_id", TAG_REQUEST_ID, TEXT}, {"attempt", TAG_ATTEMPT, U32}, {"deadline", TAG_DEADLINE, U64},
    {"program", TAG_PROGRAM, TEXT}, {"node", TAG_NODE, TEXT}, {"account", TAG_ACCOUNT, TEXT}, {"seed", TAG_SEED, BYTES},
    {"time", TAG_TIME, U64}, {"method", TAG_METHOD, TEXT}, {"path", TAG_PATH, TEXT}, {"query", TAG_QUERY, TEXT},
    {"headers", TAG_HEADER, HEADERS}, {"body", TAG_BODY, BYTES}, {"body_follows", TAG_BODY_FOLLOWS, FLAG}, {"root", TAG_ROOT, TEXT},
    {"client", TAG_CLIENT, TEXT}, {"event_id", TAG_EVENT_ID, TEXT}, {"details", TAG_DETAIL, DETAILS},
};

static PyObject *method_name, *path_name, *query_name, *headers_name, *body_name;

/* The last field of a tag; false if there is none. */
static bool find(const Event *e, uint32_t tag, Field *found)
{
    FrameReader r;
    Field f;
    bool any = false;
    if (frame_open(&r, e->frame, e->len))
        while (frame_next(&r, &f))
            if (f.tag == tag) {
                *found = f;
                any = true;
            }
    return any;
}

static PyObject *text(const Field *f) { return PyUnicode_DecodeUTF8(f->at, f->len, "replace"); }
static PyObject *latin1(const Field *f) { return PyUnicode_DecodeLatin1(f->at, f->len, NULL); }

/* The pairs of a tag as a list of (name, value). */
static PyObject *pair_list(const Event *e, uint32_t tag, PyObject *(*decode)(const Field *))
{
    FrameReader r;
    Field f, name, value;
    PyObject *list = PyList_New(0);
    if (!list || !frame_open(&r, e->frame, e->len))
        return list;
    while (frame_next(&r, &f)) {
        if (f.tag != tag || !field_pair(&f, &name, &value))
            continue;
        PyObject *n = decode(&name), *v = decode(&value), *pair = n && v ? PyTuple_Pack(2, n, v) : NULL;
        int failed = pair ? PyList_Append(list, pair) : -1;
        Py_XDECREF(n);
        Py_XDECREF(v);
        Py_XDECREF(pair);
        if (failed) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

static PyObject *value_of(const Event *e, const struct key *k)
{
    Field f = {0};
    if (k->kind == HEADERS)
        return pair_list(e, TAG_HEADER, latin1);
    if (k->kind == DETAILS)
        return pair_list(e, TAG_DETAIL, text);
    bool found = find(e, k->tag, &f);
    switch (k->kind) {
    case U32: return PyLong_FromUnsignedLong(field_u32(&f));
    case U64: return PyLong_FromUnsignedLongLong(field_u64(&f));
    case FLAG: return PyBool_FromLong(field_u32(&f) != 0);
    case BYTES: return found ? PyBytes_FromStringAndSize(f.at, f.len) : Py_NewRef(Py_None);
    default: return found ? text(&f) : PyUnicode_New(0, 0);
    }
}

static const struct key *key_of(PyObject *name)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(keys); i++)
        if (keys[i].interned == name)
            return &keys[i];
    if (PyUnicode_Check(name))
        for (size_t i = 0; i < Py_ARRAY_LENGTH(keys); i++)
            if (PyUnicode_Compare(keys[i].interned, name) == 0)
                return &keys[i];
    return NULL;
}

static PyObject *subscript(PyObject *self, PyObject *name)
{
    const struct key *k = key_of(name);
    if (!k) {
        PyErr_SetObject(PyExc_KeyError, name);
        return NULL;
    }
    return value_of((Event *)self, k);
}

static PyMappingMethods mapping = {.mp_subscript = subscript};

static PyTypeObject EventType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_aleph.Event",
    .tp_doc = "What boot.handle() is given: its fields by name.",
    .tp_basicsize = sizeof(Event),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_as_mapping = &mapping,
};

int event_init(void)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(keys); i++)
        if (!(keys[i].interned = PyUnicode_InternFromString(keys[i].name)))
            return -1;
    method_name = PyUnicode_InternFromString("method");
    path_name = PyUnicode_InternFromString("path");
    query_name = PyUnicode_InternFromString("query");
    headers_name = PyUnicode_InternFromString("headers");
    body_name = PyUnicode_InternFromString("body");
    return PyType_Ready(&EventType);
}

PyObject *event_of(const char *frame, uint32_t len)
{
    Event *e = PyObject_New(Event, &EventType);
    if (e) {
        e->frame = frame;
        e->len = len;
    }
    return (PyObject *)e;
}

PyObject *event_make(PyObject *self, PyObject *frame)
{
    char *bytes;
    Py_ssize_t len;
    if (PyBytes_AsStringAndSize(frame, &bytes, &len))
        return NULL;
    char *copy = PyMem_Malloc(len + 1); /* for as long as there is Python */
    return copy ? event_of(memcpy(copy, bytes, len), len) : PyErr_NoMemory();
}

static int set(PyObject *dict, PyObject *key, PyObject *value)
{
    int failed = value ? PyDict_SetItem(dict, key, value) : -1;
    Py_XDECREF(value);
    return failed;
}

/* Adds a header; one that is there already is joined by a comma, a cookie by a semicolon. */
static int add_header(PyObject *dict, const Field *f)
{
    Field name, value;
    if (!field_pair(f, &name, &value))
        return 0;
    PyObject *n = latin1(&name), *v = latin1(&value), *old = n && v ? PyDict_GetItemWithError(dict, n) : NULL;
    if (old)
        Py_SETREF(v, PyUnicode_FromFormat(name.len == 6 && !memcmp(name.at, "cookie", 6) ? "%U; %U" : "%U, %U", old, v));
    int failed = n && v && !PyErr_Occurred() ? PyDict_SetItem(dict, n, v) : -1;
    Py_XDECREF(n);
    Py_XDECREF(v);
    return failed;
}

/* An object of a class that derives from dict, without a call of Python's. */
static PyObject *new_dict(PyObject *type)
{
    static PyObject *nothing;
    if (!nothing && !(nothing = PyTuple_New(0)))
        return NULL;
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, &PyDict_Type))
        return PyErr_Format(PyExc_TypeError, "request() takes classes that derive from dict");
    return PyDict_Type.tp_new((PyTypeObject *)type, nothing, NULL);
}

PyObject *event_request(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !Py_IS_TYPE(args[0], &EventType))
        return PyErr_Format(PyExc_TypeError, "request() takes an event, a class for requests and one for headers");
    const Event *e = (Event *)args[0];
    PyObject *request = new_dict(args[1]), *headers = new_dict(args[2]), *body = NULL;
    Field method = {0}, path = {0}, query = {0}, content = {0}, f;
    bool follows = false, failed = !request || !headers;
    FrameReader r;
    if (!failed && frame_open(&r, e->frame, e->len))
        while (!failed && frame_next(&r, &f))
            switch (f.tag) {
            case TAG_METHOD: method = f; break;
            case TAG_PATH: path = f; break;
            case TAG_QUERY: query = f; break;
            case TAG_BODY: content = f; break;
            case TAG_BODY_FOLLOWS: follows = field_u32(&f); break;
            case TAG_HEADER: failed = add_header(headers, &f); break;
            }
    failed = failed || set(request, method_name, text(&method)) || set(request, path_name, text(&path)) ||
        set(request, query_name, query_of(query.at, query.len)) || PyDict_SetItem(request, headers_name, headers) ||
        PyDict_SetItem(request, body_name, Py_None);
    Py_XDECREF(headers);
    if (!failed && !follows && !content.len)
        return request;
    if (!failed)
        body = follows ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize(content.at, content.len);
    PyObject *both = body ? PyTuple_Pack(2, request, body) : NULL;
    Py_XDECREF(request);
    Py_XDECREF(body);
    return both;
}
