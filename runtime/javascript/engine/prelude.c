/* The prelude's files, in the order in which they run. Each is the body of a function (native). */

#define PRELUDE(name) static const char name[] = {
#define END , 0};

PRELUDE(globals_js)
#embed "prelude/globals.js"
END
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
PRELUDE(text_js)
#embed "prelude/text.js"
END
PRELUDE(url_js)
#embed "prelude/url.js"
END
PRELUDE(events_js)
#embed "prelude/events.js"
END
PRELUDE(clone_js)
#embed "prelude/clone.js"
END
PRELUDE(crypto_js)
#embed "prelude/crypto.js"
END
PRELUDE(blob_js)
#embed "prelude/blob.js"
END
PRELUDE(http_js)
#embed "prelude/http.js"
END
PRELUDE(store_js)
#embed "prelude/store.js"
END
PRELUDE(last_js)
#embed "prelude/last.js"
END

static const struct {
    const char *name, *text;
} prelude[] = {
    {"aleph:globals", globals_js},
    {"aleph:inspect", inspect_js},
    {"aleph:console", console_js},
    {"aleph:timers", timers_js},
    {"aleph:process", process_js},
    {"aleph:text", text_js},
    {"aleph:url", url_js},
    {"aleph:events", events_js},
    {"aleph:clone", clone_js},
    {"aleph:crypto", crypto_js},
    {"aleph:blob", blob_js},
    {"aleph:http", http_js},
    {"aleph:store", store_js},
    {"aleph:last", last_js},
};
