// Package python is the Python engines: CPython 3.11 and 3.13 with a prelude, compiled to WebAssembly, as guests of the contract in
// abi/SPEC.md. engine/ has the embedding, its patches of CPython and the script that builds both; prelude/ has the Python that
// runs between the contract and a program; testdata/ has what it does, as programs.
//
// # Programs
//
// A program's files are in /app, which is the working folder and the first in sys.path; /app/.packages is the second. /tmp can be
// written to. The entrypoint is a file ("main.py"), a module ("shop.web"), either with an object ("main:app", "main.py:api.v1"),
// or empty: then it is main.py, function.py, handler.py, app.py, index.py, wsgi.py or asgi.py, the first that is there, or the
// only file. Without an object it is handler, app, application or main, or the only application in the module.
//
// What the object is follows from its signature: an ASGI application takes scope, receive and send (ASGI 2: scope alone); a WSGI
// application takes environ and start_response; a handler takes nothing, req, or req and context, and may be async.
//
// Loading runs the module, the startup of ASGI's lifespan, and the module's warmup(), plain or async, if it has one. Timers, the
// store and the network are for events: a program that uses them while it loads, or leaves a task pending, is refused. Its threads
// cannot start, ever. Generators seeded from nothing are seeded anew after a restore; Random(42) is not.
//
// # Requests
//
// req is a dict {method, path, query, headers, body}, whose keys are attributes, too. A query key given twice is a list; names
// of headers are in lower case and found in any case, and those given twice are joined by ", " (cookie by "; "). body is None if
// there is none; the parsed value where the content type is JSON; a str if the bytes are UTF-8; else, or where the type is
// application/octet-stream, image, audio, video or font, bytes. A body that claims to be JSON and is not is its text.
// req.raw_body is the bytes, whatever the type.
//
// context is a dict {function_id, node_id, account, request_id, deadline, event, aleph}, whose keys are attributes, too; the
// names of JavaScript's (functionId) are understood. deadline and event's time are Unix seconds; event has id, kind, attempt.
//
// # Replies
//
// None is 204. A str is text/plain; bytes are application/octet-stream. A dict whose only keys are status, statusCode or
// status_code, headers and body, with a status from 200 to 599, is what it says; so are the tuples (body, status), (body, status,
// headers) and (body, headers), and an object with status_code and headers. All else is application/json: beside what json
// knows, dataclasses and pydantic models, mappings, dates and times (ISO 8601), UUID, Decimal and paths (their text), Enum
// (its value), sets and deques. NaN, a cycle, bytes inside of JSON, an exception, a function, something that was not awaited, and
// a header with control characters are invalid replies.
//
// An application's reply is sent whole if it is complete before the function waits for anything and before 64 KiB or 10 ms;
// otherwise it is streamed. What an ASGI application does after its reply is awaited. An exception after a complete reply is
// logged, and the reply counts.
//
// # The store
//
// context.aleph.store has JavaScript's operations: get, set, delete, list, increment, compare_and_set, watch. From a plain function
// they wait and return the value; from the body of an async function they start at once and return an awaitable. An operation's
// error is a StoreError with the node's code.
//
// # asyncio
//
// The event loop waits for the node's operations. Executors, asyncio.to_thread, ThreadPoolExecutor.submit and anyio's worker
// threads run their function at once, in the only thread. Servers, subprocesses, signals and datagrams are refused.
//
// # The network
//
// A socket's connection speaks HTTP/1.1 with the node, which makes the request: urllib.request, http.client, requests, httpx and
// aiohttp work on it as they are. Names are resolved, connections pooled, TLS made and certificates verified by the node, by its
// own roots, always: a context that would not verify is refused. Another protocol, a proxy, a client's certificate and an upgrade
// are OSErrors that say so. What the node refuses is a PermissionError with its reason.
//
// # Logs and errors
//
// Standard output is info, standard error is error; logging's records keep their levels, warnings are warnings. An exception's
// stack is its traceback without the engine's own frames. MemoryError is out_of_memory.
package python
