/* The module _aleph: the contract (abi/SPEC.md) as Python sees it. What it is for, and the checks that its callers need, are the
   prelude's business; here is only what has to be C. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "abi_imports.h"
#include "event.h"
#include "files.h"
#include "frame.h"
#include "module.h"

unsigned aleph_fresh;

/* The response frame that respond() pointed to last: it has to stay as it is. */
static char *response;

static void respond(FrameWriter *w)
{
    free(response);
    response = w->bytes;
    aleph_respond(w->bytes, w->len);
}

void fail_with(uint32_t code, const char *message, size_t message_len, const char *stack, size_t stack_len)
{
    static const char out_of_memory[] = "alv1"
        "\x40\0\0\0\4\0\0\0\6\0\0\0"
        "\x41\0\0\0\15\0\0\0out of memory";
    FrameWriter w;
    frame_begin(&w);
    frame_u32(&w, TAG_ERROR_CODE, code);
    frame_bytes(&w, TAG_ERROR_MESSAGE, message, message_len);
    frame_bytes(&w, TAG_ERROR_STACK, stack, stack_len);
    if (w.failed)
        aleph_respond(out_of_memory, sizeof(out_of_memory) - 1);
    else
        respond(&w);
}

/* A str's or a bytes-like's bytes, while the Text lives. */
typedef struct Text {
    const char *at;
    Py_ssize_t len;
    PyObject *encoded;
    Py_buffer view;
} Text;

static int text_get(PyObject *o, const char *encoding, const char *errors, Text *t)
{
    *t = (Text){0};
    if (PyUnicode_Check(o)) {
        if (PyUnicode_IS_COMPACT_ASCII(o)) {
            t->at = (const char *)PyUnicode_1BYTE_DATA(o);
            t->len = PyUnicode_GET_LENGTH(o);
            return 0;
        }
        if (!(t->encoded = PyUnicode_AsEncodedString(o, encoding, errors)))
            return -1;
        o = t->encoded;
    }
    if (PyBytes_Check(o)) {
        t->at = PyBytes_AS_STRING(o);
        t->len = PyBytes_GET_SIZE(o);
        return 0;
    }
    if (PyObject_GetBuffer(o, &t->view, PyBUF_SIMPLE))
        return -1;
    t->at = t->view.buf;
    t->len = t->view.len;
    return 0;
}

static void text_put(Text *t)
{
    Py_XDECREF(t->encoded);
    if (t->view.obj)
        PyBuffer_Release(&t->view);
}

/* Operations */

PyDoc_STRVAR(start_doc, "start(op, request) -> ticket\n\nStarts an operation with that request frame.");
static PyObject *start(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Text request;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "start() takes 2 arguments, not %zd", count);
    unsigned long op = PyLong_AsUnsignedLong(args[0]);
    if (PyErr_Occurred() || text_get(args[1], "utf-8", NULL, &request))
        return NULL;
    int32_t ticket = aleph_op_start(op, request.at, request.len);
    text_put(&request);
    switch (ticket) {
    case -1: return PyErr_Format(PyExc_RuntimeError, "too many operations at once, at most 256 are allowed");
    case -2: return PyErr_Format(PyExc_RuntimeError, "operations cannot run while the program is loaded");
    case -3: return PyErr_Format(PyExc_RuntimeError, "the operation's request is larger than 16 MiB");
    default: return PyLong_FromLong(ticket);
    }
}

static PyObject *take(int64_t completion)
{
    PyObject *result = PyBytes_FromStringAndSize(NULL, (uint32_t)completion);
    if (result)
        aleph_op_take(completion >> 32, PyBytes_AS_STRING(result), (uint32_t)completion);
    return result;
}

static PyObject *take_pair(int64_t completion)
{
    PyObject *result = take(completion);
    return result ? Py_BuildValue("lN", (long)(completion >> 32), result) : NULL;
}

PyDoc_STRVAR(wait_doc, "wait(ticket) -> result\n\nSuspends until that operation is complete; its result frame.");
static PyObject *wait_one(PyObject *self, PyObject *arg)
{
    long ticket = PyLong_AsLong(arg);
    if (ticket < 1)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no ticket: %ld", ticket);
    return take(aleph_op_wait(ticket));
}

PyDoc_STRVAR(wait_any_doc, "wait_any() -> (ticket, result)\n\nSuspends until any operation is complete.");
static PyObject *wait_any(PyObject *self, PyObject *unused) { return take_pair(aleph_op_wait(0)); }

PyDoc_STRVAR(poll_doc, "poll() -> (ticket, result), or None if no operation is complete");
static PyObject *poll_any(PyObject *self, PyObject *unused)
{
    int64_t completion = aleph_op_poll();
    if (!completion)
        Py_RETURN_NONE;
    return take_pair(completion);
}

PyDoc_STRVAR(cancel_doc, "cancel(ticket)\n\nForgets an operation.");
static PyObject *cancel(PyObject *self, PyObject *arg)
{
    long ticket = PyLong_AsLong(arg);
    if (ticket == -1 && PyErr_Occurred())
        return NULL;
    aleph_op_cancel(ticket);
    Py_RETURN_NONE;
}

int sleep_for(int64_t nanoseconds)
{
    FrameWriter w;
    frame_begin(&w);
    frame_u64(&w, TAG_DURATION, nanoseconds);
    int32_t ticket = w.failed ? -1 : aleph_op_start(OP_SLEEP, w.bytes, w.len);
    free(w.bytes);
    if (ticket < 0)
        return 0;
    aleph_op_wait(ticket);
    aleph_op_take(ticket, NULL, 0);
    return 1;
}

/* Answers */

PyDoc_STRVAR(log_doc, "log(level, text)\n\nWrites to the program's log: 0 debug, 1 info, 2 warning, 3 error.");
static PyObject *log_text(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Text text;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "log() takes 2 arguments, not %zd", count);
    long level = PyLong_AsLong(args[0]);
    if (PyErr_Occurred() || text_get(args[1], "utf-8", "backslashreplace", &text))
        return NULL;
    aleph_log(level, text.at, text.len);
    text_put(&text);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reply_doc, "reply(status, headers, body)\n\nThe answer: pairs of str (latin-1) or bytes, and bytes-like or None.");
static PyObject *reply(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3)
        return PyErr_Format(PyExc_TypeError, "reply() takes 3 arguments, not %zd", count);
    unsigned long status = PyLong_AsUnsignedLong(args[0]);
    if (PyErr_Occurred())
        return NULL;
    PyObject *headers = PySequence_Fast(args[1], "headers must be a list of pairs");
    if (!headers)
        return NULL;
    FrameWriter w;
    frame_begin(&w);
    frame_u32(&w, TAG_STATUS, status);
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(headers); i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(headers, i);
        Text name, value;
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "a header must be a tuple of name and value");
            goto failed;
        }
        if (text_get(PyTuple_GET_ITEM(pair, 0), "latin-1", NULL, &name))
            goto failed;
        if (text_get(PyTuple_GET_ITEM(pair, 1), "latin-1", NULL, &value)) {
            text_put(&name);
            goto failed;
        }
        frame_pair(&w, TAG_HEADER, name.at, name.len, value.at, value.len);
        text_put(&name);
        text_put(&value);
    }
    if (args[2] != Py_None) {
        Text body;
        if (text_get(args[2], "utf-8", NULL, &body))
            goto failed;
        frame_bytes(&w, TAG_BODY, body.at, body.len);
        text_put(&body);
    }
    if (w.failed) {
        PyErr_NoMemory();
        goto failed;
    }
    Py_DECREF(headers);
    respond(&w);
    Py_RETURN_NONE;
failed:
    Py_DECREF(headers);
    free(w.bytes);
    return NULL;
}

PyDoc_STRVAR(fail_doc, "fail(code, message, stack)\n\nAnswers with an error of the program.");
static PyObject *fail(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Text message, stack;
    if (count != 3)
        return PyErr_Format(PyExc_TypeError, "fail() takes 3 arguments, not %zd", count);
    unsigned long code = PyLong_AsUnsignedLong(args[0]);
    if (PyErr_Occurred() || text_get(args[1], "utf-8", "backslashreplace", &message))
        return NULL;
    if (text_get(args[2], "utf-8", "backslashreplace", &stack)) {
        text_put(&message);
        return NULL;
    }
    fail_with(code, message.at, message.len, stack.at, stack.len);
    text_put(&message);
    text_put(&stack);
    Py_RETURN_NONE;
}

/* Time and randomness */

PyDoc_STRVAR(clock_doc, "clock(id) -> nanoseconds: 0 Unix time, 1 monotonic");
static PyObject *clock_now(PyObject *self, PyObject *arg)
{
    long id = PyLong_AsLong(arg);
    if (id != 0 && id != 1)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no clock %ld", id);
    return PyLong_FromLongLong(aleph_clock(id));
}

PyDoc_STRVAR(random_doc, "random(n) -> n secure random bytes");
static PyObject *random_string(PyObject *self, PyObject *arg)
{
    Py_ssize_t n = PyLong_AsSsize_t(arg);
    if (n < 0)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "cannot give %zd bytes", n);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, n);
    if (bytes)
        random_bytes(PyBytes_AS_STRING(bytes), n);
    return bytes;
}

/* Parsing and writing */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes a part of a query: + is a space, %XX a byte, what is no UTF-8 becomes U+FFFD. */
static PyObject *decode_part(const char *at, const char *end, char *buffer)
{
    char *to = buffer;
    for (; at < end; at++) {
        if (*at == '%' && end - at > 2 && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            *to++ = hex_digit(at[1]) << 4 | hex_digit(at[2]);
            at += 2;
        } else {
            *to++ = *at == '+' ? ' ' : *at;
        }
    }
    return PyUnicode_DecodeUTF8(buffer, to - buffer, "replace");
}

static int query_add(PyObject *dict, PyObject *key, PyObject *value)
{
    PyObject *old = PyDict_GetItemWithError(dict, key);
    if (!old)
        return PyErr_Occurred() ? -1 : PyDict_SetItem(dict, key, value);
    if (PyList_Check(old))
        return PyList_Append(old, value);
    PyObject *list = PyList_New(2);
    if (!list)
        return -1;
    PyList_SET_ITEM(list, 0, Py_NewRef(old));
    PyList_SET_ITEM(list, 1, Py_NewRef(value));
    int e = PyDict_SetItem(dict, key, list);
    Py_DECREF(list);
    return e;
}

PyObject *query_of(const char *at, Py_ssize_t len)
{
    PyObject *dict = PyDict_New();
    if (!len)
        return dict;
    char *buffer = PyMem_Malloc(len + 1);
    if (!dict || !buffer) {
        PyErr_NoMemory();
        goto failed;
    }
    for (const char *end = at + len; at < end;) {
        const char *stop = memchr(at, '&', end - at);
        if (!stop)
            stop = end;
        if (stop > at) {
            const char *equals = memchr(at, '=', stop - at);
            PyObject *key = decode_part(at, equals ? equals : stop, buffer);
            PyObject *value = equals ? decode_part(equals + 1, stop, buffer) : PyUnicode_New(0, 0);
            int e = key && value ? query_add(dict, key, value) : -1;
            Py_XDECREF(key);
            Py_XDECREF(value);
            if (e)
                goto failed;
        }
        at = stop + 1;
    }
    PyMem_Free(buffer);
    return dict;
failed:
    PyMem_Free(buffer);
    Py_XDECREF(dict);
    return NULL;
}

PyDoc_STRVAR(query_doc, "query(raw) -> {name: value, or a list of them}");
static PyObject *query(PyObject *self, PyObject *arg)
{
    Py_ssize_t len;
    const char *at = PyUnicode_AsUTF8AndSize(arg, &len);
    return at ? query_of(at, len) : NULL;
}

PyDoc_STRVAR(event_doc, "event(frame) -> an event, as boot.handle() gets it");
PyDoc_STRVAR(request_doc, "request(event, Request, Headers) -> the request, or (request, bytes of its body or None if it follows)");

/* Appends a field whose value is ('u32', n), ('u64', n), ('i64', n) or ('pair', name, value). */
static int write_tuple(FrameWriter *w, uint32_t tag, PyObject *value)
{
    Py_ssize_t n = PyTuple_GET_SIZE(value);
    const char *kind = n ? PyUnicode_AsUTF8(PyTuple_GET_ITEM(value, 0)) : NULL;
    if (kind && n == 2 && !strcmp(kind, "u32")) {
        frame_u32(w, tag, PyLong_AsUnsignedLong(PyTuple_GET_ITEM(value, 1)));
    } else if (kind && n == 2 && !strcmp(kind, "u64")) {
        frame_u64(w, tag, PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(value, 1)));
    } else if (kind && n == 2 && !strcmp(kind, "i64")) {
        frame_u64(w, tag, PyLong_AsLongLong(PyTuple_GET_ITEM(value, 1)));
    } else if (kind && n == 3 && !strcmp(kind, "pair")) {
        Text name, content;
        if (text_get(PyTuple_GET_ITEM(value, 1), "utf-8", NULL, &name))
            return -1;
        if (!text_get(PyTuple_GET_ITEM(value, 2), "utf-8", NULL, &content)) {
            frame_pair(w, tag, name.at, name.len, content.at, content.len);
            text_put(&content);
        }
        text_put(&name);
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "a field's tuple must be ('u32', n), ('u64', n), ('i64', n) or ('pair', name, value)");
    }
    return PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(frame_doc, "frame(fields) -> bytes\n\nfields: (tag, value); a bare int is a u32.");
static PyObject *frame(PyObject *self, PyObject *arg)
{
    PyObject *list = PySequence_Fast(arg, "fields must be a list");
    if (!list)
        return NULL;
    FrameWriter w;
    frame_begin(&w);
    PyObject *result = NULL;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        PyObject *field = PySequence_Fast_GET_ITEM(list, i);
        if (!PyTuple_Check(field) || PyTuple_GET_SIZE(field) != 2) {
            PyErr_SetString(PyExc_TypeError, "a field must be a tuple of tag and value");
            goto done;
        }
        unsigned long tag = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(field, 0));
        PyObject *value = PyTuple_GET_ITEM(field, 1);
        Text text;
        if (PyErr_Occurred())
            goto done;
        if (PyTuple_Check(value)) {
            if (write_tuple(&w, tag, value))
                goto done;
        } else if (PyLong_Check(value)) {
            frame_u32(&w, tag, PyLong_AsUnsignedLong(value));
            if (PyErr_Occurred())
                goto done;
        } else {
            if (text_get(value, "utf-8", NULL, &text))
                goto done;
            frame_bytes(&w, tag, text.at, text.len);
            text_put(&text);
        }
    }
    result = w.failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize(w.bytes, w.len);
done:
    Py_DECREF(list);
    free(w.bytes);
    return result;
}

PyDoc_STRVAR(fields_doc, "fields(frame) -> [(tag, bytes)]");
static PyObject *fields(PyObject *self, PyObject *arg)
{
    Text text;
    FrameReader r;
    Field f;
    if (text_get(arg, "utf-8", NULL, &text))
        return NULL;
    PyObject *list = PyList_New(0);
    if (list && frame_open(&r, text.at, text.len)) {
        while (frame_next(&r, &f)) {
            PyObject *field = Py_BuildValue("ky#", (unsigned long)f.tag, f.at, (Py_ssize_t)f.len);
            if (!field || PyList_Append(list, field)) {
                Py_XDECREF(field);
                Py_CLEAR(list);
                break;
            }
            Py_DECREF(field);
        }
    }
    if (list && (text.len < 4 || memcmp(text.at, "alv1", 4) || r.at != r.end)) {
        Py_CLEAR(list);
        PyErr_SetString(PyExc_ValueError, "not a frame");
    }
    text_put(&text);
    return list;
}

/* fresh changes with every instance; an attribute would be a page to write. */
static PyObject *get_attribute(PyObject *self, PyObject *name)
{
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "fresh") == 0)
        return PyLong_FromUnsignedLong(aleph_fresh);
    return PyErr_Format(PyExc_AttributeError, "module '_aleph' has no attribute %R", name);
}

#define FAST(f) (PyCFunction)(void (*)(void))f, METH_FASTCALL

static PyMethodDef methods[] = {
    {"start", FAST(start), start_doc},
    {"wait", wait_one, METH_O, wait_doc},
    {"wait_any", wait_any, METH_NOARGS, wait_any_doc},
    {"poll", poll_any, METH_NOARGS, poll_doc},
    {"cancel", cancel, METH_O, cancel_doc},
    {"log", FAST(log_text), log_doc},
    {"reply", FAST(reply), reply_doc},
    {"fail", FAST(fail), fail_doc},
    {"clock", clock_now, METH_O, clock_doc},
    {"random", random_string, METH_O, random_doc},
    {"query", query, METH_O, query_doc},
    {"event", event_make, METH_O, event_doc},
    {"request", FAST(event_request), request_doc},
    {"frame", frame, METH_O, frame_doc},
    {"fields", fields, METH_O, fields_doc},
    {"__getattr__", get_attribute, METH_O, NULL},
    {NULL},
};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_aleph", .m_size = -1, .m_methods = methods};

PyObject *module_create(void)
{
    return event_init() ? NULL : PyModule_Create(&definition);
}
