"""The engine's entry: init() once per engine, load() once per program, handle() once per event."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import _aleph

# What functions commonly import is in the engine's image, which all programs share; so is what functions of the standard library
# import at their first call.
import abc, base64, bisect, calendar, collections, collections.abc, contextlib, contextvars, copy, csv, dataclasses, datetime
import decimal, email.generator, email.message, email.parser, email.utils, enum, errno, fractions, functools, gzip, hashlib
import heapq, hmac, html, html.entities, http, http.client, http.cookiejar, http.cookies, importlib.metadata, importlib.resources
import importlib.resources.readers, io, ipaddress, itertools, json, linecache, locale, logging, logging.config, math, mimetypes
import numbers, operator, pathlib, pickle, pkgutil, platform, pprint, queue, random, re, secrets, select, selectors, shutil, signal
import socket, ssl, statistics, string, stringprep, struct, tempfile, textwrap, threading, time, traceback, types, typing
import unicodedata, urllib.error, urllib.parse, urllib.request, urllib.response, uuid, warnings, weakref, zipfile, zlib, zoneinfo
import _strptime, asyncio.timeouts, concurrent.futures.thread, encodings.ascii, encodings.idna, encodings.latin_1, encodings.utf_8_sig

from . import adapt, asgi, encode, errors, log, loop as loops, program, reply, request, stdlib, warm, wsgi

if TYPE_CHECKING:
    from _aleph import Event
    Handle = Callable[[Event], None]

_loop: loops.Loop  # the one on which async handlers and applications run
_handle: Handle  # of the program: takes an event and answers
_lifespan: asgi.Lifespan | None = None  # of an application: kept, or what it has open would be closed


def init() -> None:
    """Prepares the interpreter for any program."""
    global _loop
    log.install()
    _loop = loops.install()
    adapt.install()
    stdlib.install()
    sys.excepthook = errors.hook
    os.environ.setdefault("HOME", "/tmp")
    warm.handlers(_MAKERS)


def load(entrypoint: str, variables: dict[str, str], memory: int) -> None:
    """Imports the program and prepares its handler. Answers with the error if there is one."""
    global _handle, _lifespan
    os.environ.update(variables)
    sys.argv = [entrypoint or "main.py"]
    for path in [path for path in sys.path_importer_cache if path.startswith(program.FOLDER)]:
        del sys.path_importer_cache[path]  # it says that the folder is not there
    try:
        place, name = program.parse(entrypoint)
        module, place = program.load(place)
        handler, name = program.find(module, name, place)
        kind, arguments = program.kind(handler, name)
        started = None
        warm.framework(handler, _loop)
        if kind == "asgi2":
            handler = _two_calls(handler)
        if kind.startswith("asgi"):
            started = _lifespan = asgi.Lifespan(handler, _loop)
            started.start()
        _handle = _MAKERS[kind](handler, arguments, started.state if started else None)
        _warm_up(module, handler)
        pending = loops.pending(_loop, (started.task,) if started else ())
        if pending:
            raise RuntimeError(f"{pending}: what runs cannot be kept until the first request; start it in the handler")
        warm.clients(_loop)
        stdlib.forget_gauss()
    except program.NoHandler as error:
        reply.fail(reply.NO_HANDLER, str(error))
    except BaseException as error:
        errors.fail(error, reply.LOAD_EXCEPTION)


def _warm_up(module: ModuleType, handler: Any) -> None:
    warmup = module.__dict__.get("warmup")
    if callable(warmup) and warmup is not handler:
        result = warmup()
        if inspect.isawaitable(result):
            _loop.run(result)


def handle(event: Event) -> None:
    """Answers an event."""
    try:
        _handle(event)
    except BaseException as error:
        errors.fail(error)


def _two_calls(application: Any) -> asgi.App:
    """An application of ASGI 2 as one of ASGI 3."""
    async def app(scope: asgi.Message, receive: asgi.Receive, send: asgi.Send) -> None:
        await application(scope)(receive, send)
    return app


# One function for each kind of handler, with no more in it than an event needs.

def _plain(handler: Any, arguments: int | str, _: object) -> Handle:
    make_request, is_dict, keys = request.request, dict, reply._KEYS
    json_bytes, JSON, answer, send = encode.json_bytes, reply.JSON, _aleph.reply, reply.send

    if arguments == 1:
        def handle(event: Event) -> None:
            result = handler(make_request(event))
            if type(result) is is_dict and not result.keys() <= keys:
                try:
                    body = json_bytes(result)
                except (TypeError, ValueError):
                    return send(result)
                return answer(200, JSON, body)
            send(_settled(result))
    else:
        invoke = _invoke(handler, arguments)

        def handle(event: Event) -> None:
            send(_settled(invoke(event)))
    return handle


def _settled(result: Any) -> Any:
    """What a plain handler returned; a coroutine's result, where it handed on to an async function."""
    return _loop.run(result) if inspect.iscoroutine(result) else result


def _invoke(handler: Any, arguments: int | str) -> Callable[[Event], Any]:
    make_request, make_context = request.request, request.context
    if arguments == 2:
        return lambda event: handler(make_request(event), make_context(event))
    if arguments == "context":
        return lambda event: handler(make_request(event), context=make_context(event))
    if arguments == 0:
        return lambda event: handler()
    return lambda event: handler(make_request(event))


def _async(handler: Any, arguments: int | str, _: object) -> Handle:
    invoke, run = _invoke(handler, arguments), _loop.run

    def handle(event: Event) -> None:
        reply.send(run(invoke(event)))
    return handle


def _asgi(app: asgi.App, _: object, state: dict[str, Any]) -> Handle:
    def handle(event: Event) -> None:
        if event["kind"] == request.MESSAGE_KIND:
            asgi.call_message(app, event, _loop)
        else:
            asgi.call(app, event, _loop, state)
    return handle


def _wsgi(app: Any, _: object, __: object) -> Handle:
    def handle(event: Event) -> None:
        wsgi.call(app, event)
    return handle


_MAKERS: dict[str, Callable[[Any, int | str, Any], Handle]] = {
    "plain": _plain, "async": _async, "asgi": _asgi, "asgi2": _asgi, "wsgi": _wsgi,
}
