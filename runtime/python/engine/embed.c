/* The Python engine: CPython as a guest of aleph_v1 (abi/SPEC.md).

     aleph_init    starts the interpreter, imports the prelude (_aleph_runtime, which the frame brings) and calls boot.init()
     aleph_load    gives the program's files to boot.load(), which finds its handler
     aleph_handle  over a restored image: gives the event to boot.handle()

   The first two end by making an image of all there is (image.c). An instance is thrown away after its event, so nothing is ever
   torn down. The frames stay in memory: files point into them. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <unistd.h>

#include "abi_imports.h"
#include "event.h"
#include "files.h"
#include "frame.h"
#include "hash.h"
#include "heap.h"
#include "image.h"
#include "module.h"

#define EXPORT(name) __attribute__((export_name(#name)))

/* The stack in linear memory is the first STACK_SIZE bytes (build.sh). Recursion may use it down to STACK_RESERVE; the rest is for
   what does not ask, and for the handling of the error. The native stack is used up in proportion. */
#define STACK_RESERVE (1024 * 1024)

/* Code is adapted to how it runs only after so many occasions: a short request does not write to the image's code. */
#define ADAPT_AFTER 5000

extern char *_Py_stack_limit;       /* python*.patch */
extern unsigned _Py_adapt_later;
extern const char tree[], tree_end[];
static PyObject *boot, *handle_name;

/* Before libc's constructors, which look for directories. */
__attribute__((constructor(1))) static void prepare(void)
{
    heap_init();
    files_init();
}

/* bzip2, built without stdio, asks for it: a bug was found. */
void bz_internal_error(int code) { __builtin_trap(); }

/* Cycles are looked for when this many objects have come since: hardly ever in a short request. */
#define COLLECT_AFTER 20000

static char *read_frame(uint32_t len)
{
    char *frame = malloc(len ? len : 1);
    if (frame)
        aleph_event_read(frame, 0, len);
    return frame;
}

/* Answers with the exception, code if it is no MemoryError. */
static void fail_exception(uint32_t code)
{
    PyObject *type, *value, *traceback, *module = NULL, *lines = NULL, *empty = NULL, *stack = NULL, *message = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    if (PyErr_GivenExceptionMatches(type, PyExc_MemoryError))
        code = ERROR_OUT_OF_MEMORY;
    if ((module = PyImport_ImportModule("traceback")) &&
        (lines = PyObject_CallMethod(module, "format_exception", "OOO", type, value, traceback ? traceback : Py_None)) &&
        (empty = PyUnicode_New(0, 0)))
        stack = PyUnicode_Join(empty, lines);
    PyErr_Clear();
    PyObject *text = PyObject_Str(value);
    PyErr_Clear();
    const char *name = PyExceptionClass_Check(type) ? PyExceptionClass_Name(type) : "exception";
    message = text && PyUnicode_GET_LENGTH(text) ? PyUnicode_FromFormat("%s: %U", name, text) : PyUnicode_FromString(name);
    Py_ssize_t message_len = 0, stack_len = 0;
    const char *m = message ? PyUnicode_AsUTF8AndSize(message, &message_len) : NULL;
    const char *s = stack ? PyUnicode_AsUTF8AndSize(stack, &stack_len) : NULL;
    PyErr_Clear();
    if (code == ERROR_OUT_OF_MEMORY)
        fail_with(code, "out of memory", 13, s ? s : "", stack_len);
    else
        fail_with(code, m ? m : name, m ? message_len : (Py_ssize_t)strlen(name), s ? s : "", stack_len);
}

static void fail_text(uint32_t code, const char *message) { fail_with(code, message, strlen(message), "", 0); }

/* The files of the module itself: offsets into the tree, which names.py wrote. */
static int mount_tree(void)
{
    const uint32_t *entry = (const uint32_t *)tree, *end = entry + 1 + 4 * *entry;
    for (entry++; entry < end; entry += 4)
        if (files_add(tree + entry[0], entry[1], tree + entry[2], entry[3]))
            return -1;
    return 0;
}

/* Adds the files of a load frame below a directory. Returns 0, or an error of files_add. */
static int mount_frame(const char *frame, uint32_t len, const char *directory)
{
    FrameReader r;
    Field f, name, value;
    size_t prefix = strlen(directory);
    int e = 0;
    if (!frame_open(&r, frame, len))
        return EINVAL;
    while (!e && frame_next(&r, &f)) {
        if (f.tag != TAG_FILE || !field_pair(&f, &name, &value))
            continue;
        char *path = malloc(prefix + name.len);
        if (!path)
            return ENOMEM;
        memcpy(path, directory, prefix);
        memcpy(path + prefix, name.at, name.len);
        e = files_add(path, prefix + name.len, value.at, value.len);
    }
    return e;
}

static PyStatus start(void)
{
    static const wchar_t *const paths[] = {L"/app", L"/app/.packages", L"/lib/aleph", STDLIB};
    PyPreConfig before;
    PyConfig config;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        return status;
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.install_signal_handlers = 0;
    config.write_bytecode = 0;
    config.buffered_stdio = 1;
    config.pathconfig_warnings = 0;
    config.use_frozen_modules = 1;
    config.module_search_paths_set = 1;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(paths); i++)
        if (PyStatus_Exception(status = PyWideStringList_Append(&config.module_search_paths, paths[i])))
            return status;
    const struct { wchar_t **at; const wchar_t *value; } strings[] = {
        {&config.program_name, L"python3"}, {&config.executable, L""}, {&config.base_executable, L""}, {&config.prefix, L"/"},
        {&config.base_prefix, L"/"}, {&config.exec_prefix, L"/"}, {&config.base_exec_prefix, L"/"}, {&config.stdlib_dir, STDLIB},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(strings); i++)
        if (PyStatus_Exception(status = PyConfig_SetString(&config, strings[i].at, strings[i].value)))
            return status;
    return Py_InitializeFromConfig(&config);
}

EXPORT(aleph_init) void aleph_init(uint32_t len)
{
    char *frame = read_frame(len);
    if (!frame || mount_tree() || mount_frame(frame, len, "/lib/aleph/") || chdir("/app")) {
        fail_text(ERROR_LOAD, "the engine's files cannot be mounted");
        return;
    }
    _Py_stack_limit = (char *)STACK_RESERVE;
    PyImport_AppendInittab("_aleph", module_create);
    PyImport_AppendInittab("_aleph_hash", hash_create);
    PyStatus status = start();
    if (PyStatus_Exception(status)) {
        fail_text(ERROR_LOAD, status.err_msg ? status.err_msg : "the interpreter does not start");
        return;
    }
    boot = PyImport_ImportModule("_aleph_runtime.boot");
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *set = gc ? PyObject_CallMethod(gc, "set_threshold", "iii", COLLECT_AFTER, 10, 10) : NULL;
    PyObject *result = boot && set ? PyObject_CallMethod(boot, "init", NULL) : NULL;
    handle_name = PyUnicode_InternFromString("handle");
    if (!result || !handle_name || image_freeze())
        fail_exception(ERROR_LOAD);
    files_flush();
}

/* Calls boot.load(entrypoint, variables, memory_limit). */
static int load(const char *frame, uint32_t len)
{
    FrameReader r;
    Field f, name, value, entrypoint = {0};
    uint64_t memory_limit = 0;
    PyObject *variables = PyDict_New();
    int e = variables ? 0 : -1;
    frame_open(&r, frame, len);
    while (!e && frame_next(&r, &f)) {
        if (f.tag == TAG_ENTRYPOINT)
            entrypoint = f;
        else if (f.tag == TAG_MEMORY_LIMIT)
            memory_limit = field_u64(&f);
        else if (f.tag == TAG_VARIABLE && field_pair(&f, &name, &value)) {
            PyObject *k = PyUnicode_DecodeUTF8(name.at, name.len, "replace"), *v = PyUnicode_DecodeUTF8(value.at, value.len, "replace");
            e = k && v ? PyDict_SetItem(variables, k, v) : -1;
            Py_XDECREF(k);
            Py_XDECREF(v);
        }
    }
    PyObject *result = NULL;
    if (!e)
        result = PyObject_CallMethod(boot, "load", "s#OK", entrypoint.at ? entrypoint.at : "", (Py_ssize_t)entrypoint.len, variables,
                                     (unsigned long long)memory_limit);
    Py_XDECREF(variables);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

EXPORT(aleph_load) void aleph_load(uint32_t len)
{
    char *frame = read_frame(len);
    int e = frame ? mount_frame(frame, len, "/app/") : ENOMEM;
    if (e == ENOMEM)
        fail_text(ERROR_OUT_OF_MEMORY, "out of memory");
    else if (e)
        fail_text(ERROR_LOAD, "the program's files have a path twice, or one that is not plain");
    else if (load(frame, len) || image_freeze())
        fail_exception(ERROR_LOAD);
    files_flush();
}

EXPORT(aleph_handle) void aleph_handle(uint32_t len)
{
    aleph_fresh++;
    _Py_adapt_later = ADAPT_AFTER;
    char *frame = read_frame(len);
    PyObject *event = frame ? event_of(frame, len) : PyErr_NoMemory();
    if (!event || !PyObject_CallMethodOneArg(boot, handle_name, event))
        fail_exception(ERROR_EXCEPTION);
    files_flush();
}
