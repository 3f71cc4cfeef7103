/* Making an image of an interpreter: what is reachable when it is captured is never counted, collected or freed again.

   Counting references writes to objects, and a page that a request writes is a page to restore after it. So every object gets
   the mark for "immortal" (CPython 3.12 and later have one; python3.11.patch brings it to 3.11), and the collector, which has
   moved them out of its sight (gc.freeze), does not touch them either. */

#include <Python.h>

#include "heap.h"
#include "image.h"

#define SPARE (4u << 20)        /* memory at hand behind the image, so that an ordinary request need not grow it */

#if PY_VERSION_HEX >= 0x030c0000
#define IMMORTAL _Py_IMMORTAL_REFCNT
#define is_immortal(o) ((o)->ob_refcnt == IMMORTAL)
#else
#define IMMORTAL (_Py_IMMORTAL_BIT | _Py_IMMORTAL_BIT >> 1)
#define is_immortal(o) _Py_IsImmortal(o)
#endif

/* Objects that are marked, but whose own references are still to be followed. */
static struct { PyObject **objects; size_t count, room; } pending;

static int visit(PyObject *o, void *unused)
{
    if (!o || is_immortal(o))
        return 0;
    if (pending.count == pending.room) {
        size_t room = pending.room ? pending.room * 2 : 4096;
        PyObject **more = realloc(pending.objects, room * sizeof(PyObject *));
        if (!more)
            return -1;
        pending.objects = more;
        pending.room = room;
    }
    o->ob_refcnt = IMMORTAL;
    pending.objects[pending.count++] = o;
    return 0;
}

/* Code objects refer to what they consist of without telling the collector. */
static void visit_code(PyCodeObject *c)
{
    PyObject *parts[] = {
        c->co_consts, c->co_names, c->co_exceptiontable, c->co_localsplusnames, c->co_localspluskinds, c->co_filename, c->co_name,
        c->co_qualname, c->co_linetable,
#if PY_VERSION_HEX >= 0x030c0000
        c->_co_cached ? c->_co_cached->_co_code : NULL, c->_co_cached ? c->_co_cached->_co_varnames : NULL,
        c->_co_cached ? c->_co_cached->_co_cellvars : NULL, c->_co_cached ? c->_co_cached->_co_freevars : NULL,
#else
        c->_co_code,
#endif
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(parts); i++)
        visit(parts[i], NULL);
}

/* Neither do the types that are static. */
static void visit_static_type(PyTypeObject *t)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *dict = PyType_GetDict(t);
    visit(dict, NULL);
    Py_XDECREF(dict);
#else
    visit(t->tp_dict, NULL);
    visit(t->tp_cache, NULL);
#endif
    visit((PyObject *)t->tp_base, NULL);
    visit(t->tp_bases, NULL);
    visit(t->tp_mro, NULL);
}

static void follow(void)
{
    while (pending.count) {
        PyObject *o = pending.objects[--pending.count];
        visit((PyObject *)Py_TYPE(o), NULL);
        if (PyCode_Check(o))
            visit_code((PyCodeObject *)o);
        else if (PyType_Check(o) && !(((PyTypeObject *)o)->tp_flags & Py_TPFLAGS_HEAPTYPE))
            visit_static_type((PyTypeObject *)o);
        else if (Py_TYPE(o)->tp_traverse && (!Py_TYPE(o)->tp_is_gc || Py_TYPE(o)->tp_is_gc(o)))
            Py_TYPE(o)->tp_traverse(o, visit, NULL);
    }
}

/* What the interpreter keeps beside its objects. */
static void visit_singletons(void)
{
    PyObject *o;
    for (int i = -5; i <= 256; i++)
        if ((o = PyLong_FromLong(i)))
            visit(o, NULL);
    for (int i = 0; i < 256; i++) {
        char c = i;
        if ((o = PyUnicode_FromOrdinal(i)))
            visit(o, NULL);
        if ((o = PyBytes_FromStringAndSize(&c, 1)))
            visit(o, NULL);
    }
    visit(PyUnicode_New(0, 0), NULL);
    visit(PyBytes_FromStringAndSize(NULL, 0), NULL);
    visit(PyTuple_New(0), NULL);
    visit(Py_None, NULL);
    visit(Py_True, NULL);
    visit(Py_False, NULL);
    visit(Py_Ellipsis, NULL);
    visit(Py_NotImplemented, NULL);
}

/* Calls a function of the module gc; its result counts as a reference. */
static PyObject *gc_call(PyObject *gc, const char *name)
{
    PyObject *result = PyObject_CallMethod(gc, name, NULL);
    if (!result)
        PyErr_Clear();
    return result;
}

/* What deeper calls left on the stack would only make the image larger. */
static __attribute__((noinline)) void clear_stack(void)
{
    char *sp;
    __asm__("global.get __stack_pointer\n\tlocal.set %0" : "=r"(sp));
    for (uint64_t *p = (uint64_t *)4096; (char *)p < sp - 4096; p++)
        if (*p)
            *p = 0;
}

int image_freeze(void)
{
    PyObject *gc = PyImport_ImportModule("gc");
    if (!gc)
        return -1;
    Py_XDECREF(gc_call(gc, "collect")); /* and the free lists go with it, whose blocks are all over the image */
    PyObject *objects = gc_call(gc, "get_objects");
    if (!objects)
        return -1;
    visit_singletons();
    follow();
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++) {
        visit(PyList_GET_ITEM(objects, i), NULL);
        follow();
    }
    free(pending.objects);
    pending.objects = NULL;
    pending.count = pending.room = 0;
    PyList_SetSlice(objects, 0, PyList_GET_SIZE(objects), NULL);
    Py_DECREF(objects);
    Py_XDECREF(gc_call(gc, "collect"));
    Py_XDECREF(gc_call(gc, "freeze"));
    heap_freeze(SPARE);
    clear_stack();
    return 0;
}
