/* The prelude's files, in the order in which they run. Each is the body of a function (native). */

#define PRELUDE(name) static const char name[] = {
#define END , 0};

PRELUDE(inspect_js)
#embed "prelude/inspect.js"
END
PRELUDE(console_js)
#embed "prelude/console.js"
END
PRELUDE(timers_js)
#embed "prelude/timers.js"
END
PRELUDE(process_js)
#embed "prelude/process.js"
END
PRELUDE(store_js)
#embed "prelude/store.js"
END
PRELUDE(reply_js)
#embed "prelude/reply.js"
END
PRELUDE(last_js)
#embed "prelude/last.js"
END

static const struct {
    const char *name, *text;
} prelude[] = {
    {"aleph:inspect", inspect_js},
    {"aleph:console", console_js},
    {"aleph:timers", timers_js},
    {"aleph:process", process_js},
    {"aleph:store", store_js},
    {"aleph:reply", reply_js},
    {"aleph:last", last_js},
};
