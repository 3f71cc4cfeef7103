"""ASGI 3.0: http with streaming both ways, lifespan before the image is taken, and the network's aleph.message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import _aleph

from . import errors, log, reply, request
from .operations import BODY_READ, Operation
from .stream import Stream

if TYPE_CHECKING:
    from _aleph import Event

    from .loop import Loop

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[Any]]

_VERSION = {"version": "3.0", "spec_version": "2.4"}


class Lifespan:
    """The application's start, once, before the image is taken. Its shutdown never comes: images do not end."""

    def __init__(self, app: App, loop: Loop) -> None:
        self.app = app
        self.loop = loop
        self.state: dict[str, Any] = {}
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Runs the startup. Raises what it raises, or RuntimeError with what it says failed."""
        self._done: asyncio.Future[Exception | None] = self.loop.create_future()
        self.task = self.loop.create_task(self._run())
        failed = self.loop.run(self._done)
        if self.task.done():
            self.task = None
        if failed is not None:
            raise failed

    async def _run(self) -> None:
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await self.loop.create_future()
            asked = True
            return {"type": "lifespan.startup"}

        def settle(failed: Exception | None = None) -> None:
            if not self._done.done():
                self._done.set_result(failed)

        async def send(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                settle()
            elif message["type"] == "lifespan.startup.failed":
                settle(RuntimeError(message.get("message") or "the application's startup failed"))

        try:
            await self.app({"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}, receive, send)
        except Exception as error:
            # An application that does not know lifespan raises at once; what fails after it asked for the startup is a fault.
            settle(error if asked else None)
        settle()


def scope(event: Event, state: dict[str, Any]) -> Message:
    """The scope of a request. The path is what follows root_path; adapt.py adds it for frameworks that want it there."""
    headers = [[name.encode("latin-1"), value.encode("latin-1")] for name, value in event["headers"]]
    fields = dict(event["headers"])
    scheme = "https" if fields.get("x-forwarded-proto", "").lower() == "https" else "http"
    host, port = fields.get("host", ""), None
    name, colon, digits = host.rpartition(":")
    if colon and digits.isdecimal():
        host, port = name, int(digits)
    elif host:
        port = 443 if scheme == "https" else 80
    client, _, client_port = event["client"].rpartition(":")
    path = event["path"]
    raw = path.encode("latin-1", "replace")
    return {
        "type": "http", "asgi": dict(_VERSION), "http_version": "1.1", "method": event["method"], "scheme": scheme,
        "path": unquote_to_bytes(raw).decode("utf-8", "replace") if "%" in path else path, "raw_path": raw,
        "query_string": event["query"].encode("latin-1", "replace"), "root_path": event["root"], "headers": headers,
        "client": (client.strip("[]"), int(client_port)) if client else None, "server": (host.strip("[]"), port) if host else None,
        "state": state.copy(), "extensions": {} if event["kind"] == 0 else {"aleph": {"event": request.describe(event)}},
    }


class _Call:
    """One request's receive and send."""

    def __init__(self, event: Event, loop: Loop) -> None:
        self.loop = loop
        self.body = event["body"] or b""
        self.follows = event["body_follows"]
        self.given = False
        self.over: asyncio.Future[None] = loop.create_future()
        self.stream = Stream()

    async def receive(self) -> Message:
        if self.follows:
            return await self._read()
        if not self.given:
            self.given = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await asyncio.shield(self.over)
        return {"type": "http.disconnect"}

    async def _read(self) -> Message:
        read: asyncio.Future[None] = self.loop.create_future()
        operation = Operation(BODY_READ, request.READ_REQUEST, lambda _: None if read.done() else read.set_result(None))
        try:
            await read
        except asyncio.CancelledError:
            operation.cancel()
            raise
        try:
            data, end = request.read_fields(operation)
        except request.BodyError:
            self.follows, self.given = False, True
            return {"type": "http.disconnect"}
        if end:
            self.follows, self.given = False, True
        return {"type": "http.request", "body": data, "more_body": not end}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        stream = self.stream
        if kind == "http.response.body":
            if not stream.started:
                raise RuntimeError("ASGI: http.response.body was sent before http.response.start")
            if stream.finished:
                raise RuntimeError("ASGI: http.response.body was sent after the response was complete")
            if stream.write(message.get("body", b"")):
                await stream.drain(self.loop)
            if not message.get("more_body", False):
                stream.finish()
                if not self.over.done():
                    self.over.set_result(None)
        elif kind == "http.response.start":
            if stream.started:
                raise RuntimeError("ASGI: http.response.start was sent twice")
            status = message["status"]
            if not reply.is_status(status):
                raise reply.InvalidReply(f"the application's status is {status!r}; it must be from 200 to 599")
            stream.start(int(status), [reply.header(name, value) for name, value in message.get("headers", ())])
        else:
            raise RuntimeError(f"ASGI: a message of type {kind!r} was sent, where http.response.start or http.response.body was expected")


def call(app: App, event: Event, loop: Loop, state: dict[str, Any]) -> None:
    """Answers a request."""
    request_call = _Call(event, loop)
    stream = request_call.stream
    try:
        loop.run(app(scope(event, state), request_call.receive, request_call.send))
    except Exception as error:
        if not stream.finished:
            raise
        _aleph.log(log.ERROR, errors.text(error))  # the reply is the application's all the same
    if not stream.finished:
        raise reply.InvalidReply("the ASGI application returned without sending a response" if not stream.started
                                 else "the ASGI application returned before its response was complete")
    if stream.streaming:
        stream.close()


def call_message(app: App, event: Event, loop: Loop) -> None:
    """Gives the application one of the network's messages, as the network's runtime does. Answers with what it sends back."""
    kind, about = "aleph.message", request.describe(event)
    message = about["message"]
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": kind, "body": message, "more_body": False}

    async def send(answer: Message) -> None:
        sent.append(answer)

    async def run() -> None:
        scope = {"type": kind, "asgi": dict(_VERSION), "body": message, "extensions": {"aleph": {"event": about}}}
        result = await app(scope, receive, send)
        if hasattr(result, "__await__"):  # as the SDK's AlephApp does
            await result

    loop.run(run())
    answer: Any = sent[0] if sent else None
    if isinstance(answer, dict) and answer.get("type", "").startswith("aleph."):
        answer = answer.get("body", answer.get("content"))
    reply.send(answer)
