"""What a handler is given: req and context."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import _aleph

from . import operations
from .operations import BODY, BODY_READ, END, LIMIT, MESSAGE, STATUS, Operation
from .store import Store

if TYPE_CHECKING:
    from _aleph import Event

MESSAGE_KIND = 2
KINDS = {0: "http", 1: "schedule", 2: "message", 3: "topic", 4: "log", 5: "block", 6: "transfer"}
_PAYLOADS = ("message", "log", "block", "transfer")  # the kinds whose payload is JSON
_BINARY = ("application/octet-stream", "image/", "audio/", "video/", "font/")
_parse = json.JSONDecoder().decode


class Headers(dict[str, str]):
    """The headers by name in lower case, found in any case. One that came several times is joined by ", " (cookie by "; ")."""

    __slots__ = ()

    def __missing__(self, name: str) -> str:
        if isinstance(name, str) and (lower := name.lower()) != name:
            return self[lower]
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or isinstance(name, str) and dict.__contains__(self, name.lower())


class Request(dict[str, Any]):
    """{method, path, query, headers, body}, by key and by attribute. raw_body has the bytes of the body."""

    __slots__ = ("raw_body",)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            if name == "raw_body":
                return b""  # it is set where there is a body
            if name == "rawBody":
                return self.raw_body
            raise AttributeError(f"a request has no {name!r}; it has {', '.join(self)}, raw_body and json()", name=name, obj=self) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "raw_body":
            dict.__setattr__(self, name, value)
        else:
            self[name] = value

    def json(self) -> Any:
        """The body read as JSON, whatever its content type says; None without a body."""
        return json.loads(self.raw_body) if self.raw_body else None


_set_raw_body = Request.raw_body.__set__  # type: ignore[attr-defined]
_make = _aleph.request


def request(event: Event) -> Request:
    """The req of an event."""
    made = _make(event, Request, Headers)
    if isinstance(made, Request):
        return made
    req, body = made
    if body is None:
        body = b"".join(body_chunks())
    if body:
        req["body"] = _body(body, req["headers"])
        _set_raw_body(req, body)
    return req


def _body(body: bytes, fields: Headers) -> Any:
    kind = dict.get(fields, "content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(_BINARY):
        return body
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    if kind.endswith(("/json", "+json")):
        try:
            return _parse(text)
        except ValueError:
            pass
        except RecursionError:
            pass
    return text


class BodyError(ConnectionError):
    """The caller's body did not come to its end."""


def read_fields(operation: Operation) -> tuple[bytes, bool]:
    """What a BODY_READ brought: (bytes, whether that was all)."""
    fields = operations.read(operation.result)
    if fields[STATUS]:
        raise BodyError(fields[MESSAGE])
    return fields.get(BODY, b""), operations.number(fields, END) == 1


READ_REQUEST = _aleph.frame([(LIMIT, ("u32", 1 << 16))])
_READ_MUCH = _aleph.frame([(LIMIT, ("u32", 1 << 20))])


def body_chunks() -> Iterator[bytes]:
    """The chunks of a body that follows its event."""
    end = False
    while not end:
        operation = Operation(BODY_READ, _READ_MUCH)
        operation.wait()
        data, end = read_fields(operation)
        yield data


class Context(dict[str, Any]):
    """What is known of the call, by key and by attribute: function_id, node_id, account, request_id, deadline, event, aleph.

    The names of the JavaScript engine (functionId, …) are understood as well."""

    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        snake = _SNAKE.get(name)
        if snake is None:
            raise KeyError(name)
        return self[snake]

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a context has no {name!r}; it has {', '.join(self)}", name=name, obj=self) from None


_SNAKE = {"functionId": "function_id", "nodeId": "node_id", "requestId": "request_id"}


class Aleph(dict[str, Store]):
    """context.aleph: what the node offers. aleph.store is the program's store."""

    __slots__ = ()
    store = property(lambda self: self["store"])


aleph = Aleph(store=Store())


def context(event: Event) -> Context:
    """The context of an event. deadline and event.time are Unix seconds."""
    return Context(
        function_id=event["program"], node_id=event["node"], account=event["account"], request_id=event["request_id"],
        deadline=event["deadline"] / 1e9,
        event=describe(event), aleph=aleph)


def describe(event: Event) -> dict[str, Any]:
    """What an event is about: context.event."""
    kind = KINDS.get(event["kind"], "unknown")
    about: dict[str, Any] = {"id": event["event_id"] or event["request_id"], "kind": kind, "attempt": event["attempt"]}
    about["time"] = event["time"] / 1e9
    if kind == "http":
        return about
    for name, value in event["details"]:
        about[name] = _parse(value)
    if kind in _PAYLOADS:
        about[kind] = _parse((event["body"] or b"null").decode())
    return about
