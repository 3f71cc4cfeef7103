"""Runs code often enough, before an image is taken, for the interpreter to have optimised it, and for frameworks to have built
what they build at their first request. Nothing of the program's own is run: a framework serves an application made here."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import logging
import sys
import urllib.request
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import _aleph

from . import asgi, operations, wsgi

if TYPE_CHECKING:
    from _aleph import Event, Field

    from .loop import Loop

_TIMES = 64


def _event(method: str = "GET", path: str = "/1", body: bytes | None = None) -> Event:
    headers = {"host": "localhost:4020", "user-agent": "curl/8.0", "accept": "*/*", "accept-encoding": "gzip"}
    fields: list[Field] = [
        (1, 0), (2, "warm-up"), (3, 1), (4, ("u64", 1)), (8, bytes(16)), (9, ("u64", 1)), (16, method), (17, path), (18, "name=a&n=1"),
        (22, "/api/v0/run/0"), (23, "127.0.0.1:4711")]
    if body is not None:
        headers |= {"content-type": "application/json", "content-length": str(len(body))}
        fields.append((20, body))
    return _aleph.event(_aleph.frame(fields + [(19, ("pair", name, value)) for name, value in headers.items()]))


def _repeat(handle: Callable[[Event], None], *more: str) -> None:
    event = _event()
    for _ in range(_TIMES):
        handle(event)
    handle(_event("POST", body=b'{"a":[1,"b"]}'))
    for path in more:
        event = _event(path=path)
        for _ in range(_TIMES // 8):
            handle(event)


def handlers(makers: dict[str, Callable[[Any, int | str, Any], Callable[[Event], None]]]) -> None:
    """Runs what calls handlers, with one of each kind."""
    def plain(req: Any) -> Any:
        return {"message": f"Hello, {req.get('query', {}).get('name', 'World')}!"}

    def with_context(req: Any, context: Any) -> Any:
        return [req.path, req["body"], req.headers.get("host"), context.get("function_id"), context.request_id]

    async def coroutine(req: Any) -> Any:
        return {"path": req.path}

    async def app(scope: asgi.Message, receive: asgi.Receive, send: asgi.Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hello"})

    def wsgi_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    async def storing(req: Any, context: Any) -> Any:
        store = context["aleph"].store
        await store.set({"key": "k", "value": {"a": 1}})
        await asyncio.gather(store.get("k"), store.get("k"))
        await asyncio.sleep(0.001)
        return await store.increment("n")

    def waiting(req: Any, context: Any) -> Any:
        store = context.aleph.store
        store.set("k", {"a": 1})
        return [store.get("k"), store.increment("n")]

    for kind, handler, arguments in (("plain", plain, 1), ("plain", with_context, 2), ("async", coroutine, 1), ("asgi", app, 3),
                                     ("wsgi", wsgi_app, 2)):
        _repeat(makers[kind](handler, arguments, {}))
    operations.forget()
    with _answers():
        _repeat(makers["async"](storing, 2, None))
        _repeat(makers["plain"](waiting, 2, None))
        for _ in range(_TIMES // 8):
            urllib.request.urlopen(urllib.request.Request(_URL, data=b"{}")).read()


def clients(loop: Loop) -> None:
    """Runs the HTTP clients that the program has imported."""
    with _answers():
        for name, run in (("requests", _requests), ("httpx", _httpx)):
            if name in sys.modules:
                with contextlib.suppress(Exception):  # a version that differs: it only starts colder
                    for _ in range(_TIMES // 8):
                        run(sys.modules[name], loop)


def _requests(requests: ModuleType, loop: Loop) -> None:
    with requests.Session() as session:
        session.get(_URL, params={"a": "b"}).json()
        session.post(_URL, json={})


def _httpx(httpx: ModuleType, loop: Loop) -> None:
    with httpx.Client() as client:
        client.get(_URL, params={"a": "b"}).json()

    async def get() -> None:
        async with httpx.AsyncClient() as client:
            await asyncio.gather(client.get(_URL), client.post(_URL, json={}))

    loop.run(get())


_URL = "https://example.com/"
_OK: Field = (operations.STATUS, ("u32", 0))
_RESULTS: dict[int, list[Field]] = {
    1: [_OK], 2: [_OK, (operations.HTTP_STATUS, ("u32", 200)), (operations.HEADER, ("pair", "content-type", "application/json")),
                  (operations.HEADER, ("pair", "content-length", "2")), (operations.BODY, "{}"), (operations.END, ("u32", 1))], 5: [_OK],
    16: [_OK, (81, '{"a":1}'), (82, ("u32", 1))], 17: [_OK], 20: [_OK, (86, bytes(8))],
}


@contextlib.contextmanager
def _answers() -> Iterator[None]:
    """Operations complete at once; a sleep does when nothing else can."""
    complete: dict[int, bytes] = {}
    asleep: dict[int, bytes] = {}
    tickets = itertools.count(1)

    def start(op: int, request: bytes) -> int:
        ticket = next(tickets)
        (asleep if op == operations.SLEEP else complete)[ticket] = _aleph.frame(_RESULTS[op])
        return ticket

    def wait(ticket: int) -> bytes:
        return (complete if ticket in complete else asleep).pop(ticket)

    def wait_any() -> tuple[int, bytes]:
        return (complete or asleep).popitem()

    def poll() -> tuple[int, bytes] | None:
        return complete.popitem() if complete else None

    def cancel(ticket: int) -> None:
        complete.pop(ticket, None)
        asleep.pop(ticket, None)

    stand_ins: dict[ModuleType, dict[str, Any]] = {
        _aleph: {"start": start, "wait": wait, "wait_any": wait_any, "poll": poll, "cancel": cancel},
        operations: {"is_loading": lambda: False},
    }
    own = {module: {name: getattr(module, name) for name in names} for module, names in stand_ins.items()}
    for module, names in stand_ins.items():
        vars(module).update(names)
    quiet = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(quiet)
        for module, names in own.items():
            vars(module).update(names)


def framework(app: Any, loop: Loop) -> None:
    """Runs the framework of an application."""
    if "anyio" in sys.modules:
        importlib.import_module("anyio._backends._asyncio")  # at its first use otherwise
    packages = [kind.__module__.partition(".")[0] for kind in type(app).__mro__]
    for name, run in (("flask", _flask), ("fastapi", _fastapi), ("starlette", _starlette)):
        if name in packages:
            with contextlib.suppress(Exception):  # a version that differs: it only starts colder
                run(app, sys.modules[name], loop)
            operations.forget()
            break


def _flask(app: Any, flask: ModuleType, loop: Loop) -> None:
    app.url_map.update()
    _ = app.jinja_env
    twin = flask.Flask("aleph_warm_up")
    twin.add_url_rule("/<int:n>", "n", lambda n: {"n": n, "name": flask.request.args.get("name")})
    twin.add_url_rule("/1", "one", lambda: [flask.request.get_json()], methods=["POST"])
    _repeat(lambda event: wsgi.call(twin, event))


def _starlette(app: Any, starlette: ModuleType, loop: Loop) -> None:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def endpoint(request: Any) -> Any:
        return JSONResponse({"n": request.path_params["n"], "name": request.query_params.get("name"), "body": len(await request.body())})

    async def stream(request: Any) -> Any:
        return StreamingResponse(piece for piece in ("a", "b"))

    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    def plain(request: Any) -> Any:
        return PlainTextResponse("a")

    routes = [Route("/{n:int}", endpoint, methods=["GET", "POST"]), Route("/sync", plain), Route("/stream", stream)]
    _repeat(_served(Starlette(routes=routes), loop), "/sync", "/stream")
    _repeat(_served(Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)]), loop))


def _fastapi(app: Any, fastapi: ModuleType, loop: Loop) -> None:
    twin = fastapi.FastAPI()

    # What they return is not declared: FastAPI would check it.
    def dependency():  # type: ignore[no-untyped-def]
        yield 1

    async def endpoint(n: int, name: str = ""):  # type: ignore[no-untyped-def]
        return {"n": n, "name": name}

    def plain(n: int = 1, depends: int = fastapi.Depends(dependency)):  # type: ignore[no-untyped-def]
        return {"n": n}

    async def post(n: int, body: dict = fastapi.Body()):  # type: ignore[no-untyped-def, type-arg]  # noqa: B008
        return body

    twin.get("/sync")(plain)
    twin.get("/{n}")(endpoint)
    twin.post("/{n}")(post)
    _repeat(_served(twin, loop), "/sync", "/openapi.json")


def _served(app: Any, loop: Loop) -> Callable[[Event], None]:
    return lambda event: asgi.call(app, event, loop, {})
