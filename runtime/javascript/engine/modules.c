/* The program's files as modules: ES modules, CommonJS and JSON. Names are paths from the program's root, "lib/a.js".

   npm packages and node: modules are not there yet; builtin_module() is the place where they will come from. */

typedef struct File {
    const char *name;          /* terminated */
    const uint8_t *at;
    uint32_t len;
    JSValue exports;           /* of a CommonJS or JSON file: its module object, once it has begun to run */
    JSModuleDef *wrapped;      /* the ES module that stands for it */
} File;

static File *files;
static uint32_t file_count;

static File *find_file(const char *name)
{
    for (uint32_t i = 0; i < file_count; i++)
        if (!strcmp(files[i].name, name))
            return &files[i];
    return NULL;
}

static int ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

/* Resolves "." and ".." and doubled slashes in place; what climbs above the root stays at the root. */
static void clean_path(char *path)
{
    char *to = path;
    const char *end = path + strlen(path); /* its terminator is overwritten in between */
    for (const char *at = path; at < end;) {
        const char *slash = memchr(at, '/', end - at);
        size_t n = (slash ? slash : end) - at;
        if (n == 2 && at[0] == '.' && at[1] == '.') {
            while (to > path && to[-1] != '/')
                to--;
            if (to > path)
                to--;
            while (to > path && to[-1] != '/')
                to--;
        } else if (n && !(n == 1 && *at == '.')) {
            memmove(to, at, n);
            to += n;
            *to++ = '/';
        }
        at += n + 1;
    }
    if (to > path)
        to--;
    *to = 0;
}

/* The file that 'specifier' means in 'base', as a name to be freed with js_free; NULL with an exception. */
static char *resolve_file(JSContext *ctx, const char *base, const char *specifier)
{
    static const char *const endings[] = {"", ".js", ".mjs", ".cjs", ".json", "/index.js", "/index.mjs", "/index.cjs"};
    int relative = specifier[0] == '.' && (specifier[1] == '/' || specifier[1] == 0 || (specifier[1] == '.' && (specifier[2] == '/' || specifier[2] == 0)));
    if (!relative && specifier[0] != '/') {
        JS_ThrowReferenceError(ctx, "cannot import '%s' from %s: npm packages and node: modules are not available yet; "
                               "import the program's own files by a relative path, such as './%s'", specifier, base, specifier);
        return NULL;
    }
    size_t folder = 0;
    if (relative)
        for (const char *p = base; *p; p++)
            if (*p == '/')
                folder = p - base + 1;
    size_t n = folder + strlen(specifier);
    char *name = js_malloc(ctx, n + 16);
    if (!name)
        return NULL;
    for (size_t i = 0; i < countof(endings); i++) {
        memcpy(name, base, folder);
        strcpy(name + folder, specifier);
        clean_path(name);
        strcat(name, endings[i]);
        if (find_file(name))
            return name;
    }
    JS_ThrowReferenceError(ctx, "cannot import '%s' from %s: the program has no such file", specifier, base);
    js_free(ctx, name);
    return NULL;
}

static char *module_name(JSContext *ctx, const char *base, const char *specifier, void *opaque)
{
    return resolve_file(ctx, base, specifier);
}

static int contains(const File *f, const char *text)
{
    return memmem(f->at, f->len, text, strlen(text)) != NULL;
}

static int looks_like_commonjs(const File *f)
{
    return !ends_with(f->name, ".mjs") && (contains(f, "module.exports") || contains(f, "exports.") || contains(f, "exports[") || contains(f, "require("));
}

/* Source text with a terminator, between two pieces of code. Freed with js_free. */
static char *source_of(JSContext *ctx, const File *f, const char *before, const char *after, size_t *len)
{
    size_t a = strlen(before), b = strlen(after);
    const uint8_t *at = f->at;
    uint32_t n = f->len;
    if (n >= 3 && !memcmp(at, "\xef\xbb\xbf", 3))
        at += 3, n -= 3;
    char *text = js_malloc(ctx, a + n + b + 1);
    if (!text)
        return NULL;
    memcpy(text, before, a);
    memcpy(text + a, at, n);
    strcpy(text + a + n, after);
    if (*before && n > 1 && text[a] == '#' && text[a + 1] == '!')
        text[a] = text[a + 1] = '/';
    *len = a + n + b;
    return text;
}

static JSValue compile_module(JSContext *ctx, const File *f)
{
    size_t len;
    char *text = source_of(ctx, f, "", "", &len);
    if (!text)
        return JS_EXCEPTION;
    JSValue module = JS_Eval(ctx, text, len, f->name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    js_free(ctx, text);
    if (!JS_IsException(module)) {
        JSValue meta = JS_GetImportMeta(ctx, JS_VALUE_GET_PTR(module));
        char url[300];
        snprintf(url, sizeof(url), "file:///%s", f->name);
        JS_DefinePropertyValueStr(ctx, meta, "url", JS_NewString(ctx, url), JS_PROP_C_W_E);
        JS_FreeValue(ctx, meta);
    }
    return module;
}

/* A function (exports, require, module, __filename, __dirname). It begins in line 0, so that the file's lines keep their numbers. */
static JSValue compile_commonjs(JSContext *ctx, const File *f)
{
    size_t len;
    char *text = source_of(ctx, f, "(function (exports, require, module, __filename, __dirname) {\n", "\n})", &len);
    if (!text)
        return JS_EXCEPTION;
    JSEvalOptions options = {.version = JS_EVAL_OPTIONS_VERSION, .filename = f->name, .line_num = 0};
    JSValue function = JS_Eval2(ctx, text, len, &options);
    js_free(ctx, text);
    return function;
}

static JSValue load_commonjs(JSContext *ctx, File *f);

static JSValue js_require(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv, int magic, JSValueConst *data)
{
    const char *base = JS_ToCString(ctx, data[0]), *specifier = JS_ToCString(ctx, argv[0]);
    JSValue exports = JS_EXCEPTION;
    char *name = base && specifier ? resolve_file(ctx, base, specifier) : NULL;
    if (name) {
        File *f = find_file(name);
        if (ends_with(name, ".mjs"))
            JS_ThrowTypeError(ctx, "cannot require %s: it is an ES module; import it", name);
        else
            exports = load_commonjs(ctx, f);
        js_free(ctx, name);
    }
    JS_FreeCString(ctx, base);
    JS_FreeCString(ctx, specifier);
    return exports;
}

/* Runs a compiled CommonJS file, once. Returns its module.exports as they are now: in a cycle, unfinished ones. */
static JSValue run_commonjs(JSContext *ctx, File *f, JSValue function)
{
    JSValue module = JS_NewObject(ctx), exports = JS_NewObject(ctx), name = JS_NewString(ctx, f->name);
    JSValue require = JS_NewCFunctionData2(ctx, js_require, "require", 1, 0, 1, vc(&name));
    const char *slash = strrchr(f->name, '/');
    JSValue folder = JS_NewStringLen(ctx, f->name, slash ? slash - f->name : 0);
    put(ctx, module, "exports", JS_DupValue(ctx, exports));
    put(ctx, module, "id", JS_DupValue(ctx, name));
    put(ctx, module, "filename", JS_DupValue(ctx, name));
    f->exports = module;
    JSValueConst args[] = {exports, require, module, name, folder};
    JSValue result = JS_Call(ctx, function, exports, 5, args);
    if (JS_IsException(result)) {
        f->exports = JS_UNDEFINED;
        return result;
    }
    JS_FreeValue(ctx, result);
    return JS_GetPropertyStr(ctx, module, "exports");
}

static JSValue load_commonjs(JSContext *ctx, File *f)
{
    if (JS_IsObject(f->exports))
        return JS_GetPropertyStr(ctx, f->exports, "exports");
    if (ends_with(f->name, ".json")) {
        size_t len;
        char *text = source_of(ctx, f, "", "", &len);
        JSValue v = text ? JS_ParseJSON(ctx, text, len, f->name) : JS_EXCEPTION;
        js_free(ctx, text);
        if (JS_IsException(v))
            return v;
        f->exports = JS_NewObject(ctx);
        put(ctx, f->exports, "exports", JS_DupValue(ctx, v));
        return v;
    }
    JSValue function = compile_commonjs(ctx, f);
    return JS_IsException(function) ? function : run_commonjs(ctx, f, function);
}

static int set_wrapped_exports(JSContext *ctx, JSModuleDef *m)
{
    JSValue exports = JS_GetModulePrivateValue(ctx, m);
    for (int i = 0; i < m->export_entries_count; i++) {
        const char *name = JS_AtomToCString(ctx, m->export_entries[i].export_name);
        JSValue v = JS_IsObject(exports) ? JS_GetPropertyStr(ctx, exports, name) : JS_UNDEFINED;
        if (!strcmp(name, "default")) {
            JSValue marked = JS_IsObject(exports) ? JS_GetPropertyStr(ctx, exports, "__esModule") : JS_UNDEFINED;
            if (!JS_ToBool(ctx, marked) || JS_IsUndefined(v)) {
                JS_FreeValue(ctx, v);
                v = JS_DupValue(ctx, exports);
            }
            JS_FreeValue(ctx, marked);
        }
        JS_SetModuleExport(ctx, m, name, v);
        JS_FreeCString(ctx, name);
    }
    JS_FreeValue(ctx, exports);
    return 0;
}

/* An ES module whose default export is 'exports', and whose others are its properties. */
static JSModuleDef *wrap_exports(JSContext *ctx, File *f, JSValue exports)
{
    JSModuleDef *m = JS_NewCModule(ctx, f->name, set_wrapped_exports);
    if (!m)
        return NULL;
    JS_AddModuleExport(ctx, m, "default");
    JSPropertyEnum *names;
    uint32_t count;
    if (JS_IsObject(exports) && !JS_IsArray(exports) &&
        !JS_GetOwnPropertyNames(ctx, &names, &count, exports, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY)) {
        for (uint32_t i = 0; i < count; i++) {
            const char *name = JS_AtomToCString(ctx, names[i].atom);
            if (name && strcmp(name, "default"))
                JS_AddModuleExport(ctx, m, name);
            JS_FreeCString(ctx, name);
        }
    }
    JS_SetModulePrivateValue(ctx, m, exports);
    f->wrapped = m;
    return m;
}

/* Compiles a file as what it is: CommonJS if it has no import and no export and uses module.exports, exports or require.
   Returns the module, or JS_UNDEFINED if it is CommonJS, whose function then is in *commonjs. */
static JSValue compile_file(JSContext *ctx, File *f, JSValue *commonjs)
{
    int maybe = looks_like_commonjs(f);
    JSValue module = ends_with(f->name, ".cjs") ? JS_UNDEFINED : compile_module(ctx, f);
    if (JS_IsUndefined(module)) {
        *commonjs = compile_commonjs(ctx, f);
        return JS_IsException(*commonjs) ? JS_EXCEPTION : JS_UNDEFINED;
    }
    if (!maybe)
        return module;
    if (JS_IsException(module)) { /* what is wrong in a module may be right in a script */
        JSValue error = JS_GetException(ctx);
        *commonjs = compile_commonjs(ctx, f);
        if (!JS_IsException(*commonjs)) {
            JS_FreeValue(ctx, error);
            return JS_UNDEFINED;
        }
        JS_FreeValue(ctx, JS_GetException(ctx));
        return JS_Throw(ctx, error);
    }
    JSModuleDef *m = JS_VALUE_GET_PTR(module);
    if (m->export_entries_count || m->req_module_entries_count || m->star_export_entries_count || m->has_tla)
        return module;
    JS_FreeValue(ctx, module);
    js_free_module_def(ctx, m);
    *commonjs = compile_commonjs(ctx, f);
    return JS_IsException(*commonjs) ? JS_EXCEPTION : JS_UNDEFINED;
}

static JSModuleDef *load_module(JSContext *ctx, const char *name, void *opaque)
{
    File *f = find_file(name);
    if (!f) {
        JS_ThrowReferenceError(ctx, "the program has no file %s", name);
        return NULL;
    }
    if (f->wrapped)
        return f->wrapped;
    JSValue exports = JS_UNDEFINED, function;
    if (ends_with(name, ".json")) {
        exports = load_commonjs(ctx, f);
    } else {
        JSValue module = compile_file(ctx, f, &function);
        if (JS_IsException(module))
            return NULL;
        if (!JS_IsUndefined(module)) {
            JSModuleDef *m = JS_VALUE_GET_PTR(module);
            JS_FreeValue(ctx, module); /* the context's list of modules keeps it */
            return m;
        }
        exports = JS_IsObject(f->exports) ? JS_GetPropertyStr(ctx, f->exports, "exports") : run_commonjs(ctx, f, function);
    }
    return JS_IsException(exports) ? NULL : wrap_exports(ctx, f, exports);
}

/* Keeps the program's files, from the load frame, whose memory stays. */
static int files_read(JSContext *ctx)
{
    FrameReader r;
    Field f, name, content;
    uint32_t count = 0;
    frame_open(&r, event.frame, event.len);
    while (frame_next(&r, &f))
        count += f.tag == TAG_FILE;
    files = calloc(count ? count : 1, sizeof(File));
    if (!files)
        return -1;
    frame_open(&r, event.frame, event.len);
    while (frame_next(&r, &f)) {
        if (f.tag != TAG_FILE || !field_pair(&f, &name, &content))
            continue;
        char *copy = malloc(name.len + 1);
        if (!copy)
            return -1;
        memcpy(copy, name.at, name.len);
        copy[name.len] = 0;
        clean_path(copy);
        files[file_count++] = (File){copy, content.at, content.len, JS_UNDEFINED, NULL};
    }
    return 0;
}
