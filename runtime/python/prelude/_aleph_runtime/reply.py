"""What a handler returned, as a reply.

    None                            204
    str                             200 text/plain; charset=utf-8
    bytes, bytearray, memoryview    200 application/octet-stream
    {status|statusCode|status_code, headers?, body?} and no other key, the status from 200 to 599    what they say
    (body, status), (body, status, headers), (body, headers)       the same; a status from 200 to 599
    an object with status_code and headers                         a response: what it says
    anything else that JSON can hold                               200 application/json
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import _aleph

from . import encode

Header = tuple[str, str]
Bytes = bytes | bytearray | memoryview
Reply = tuple[int, list[Header], Bytes | None]

EXCEPTION, INVALID_REPLY, SYNTAX_ERROR, NO_HANDLER, LOAD_EXCEPTION, OUT_OF_MEMORY = range(1, 7)

JSON: list[Header] = [("content-type", "application/json")]
TEXT = [("content-type", "text/plain; charset=utf-8")]
BYTES = [("content-type", "application/octet-stream")]

_STATUS = ("status", "statusCode", "status_code")
_KEYS = frozenset((*_STATUS, "headers", "body"))
_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,127}").fullmatch
_forbidden = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search


class InvalidReply(Exception):
    """The handler returned what cannot be sent."""


def is_status(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 200 <= value <= 599


def send(value: Any) -> None:
    """Answers with what a handler returned. Raises InvalidReply."""
    _aleph.reply(*_reply(value))


def _reply(value: Any) -> Reply:
    if value is None:
        return 204, [], None
    if isinstance(value, dict):
        if value.keys() <= _KEYS:
            for name in _STATUS:
                if is_status(value.get(name)):
                    return _whole(value[name], value.get("headers"), value.get("body"))
    elif isinstance(value, tuple):
        if len(value) == 2 and is_status(value[1]):
            return _whole(value[1], None, value[0])
        if len(value) == 3 and is_status(value[1]):
            return _whole(value[1], value[2], value[0])
        if len(value) == 2 and isinstance(value[1], dict) and isinstance(value[0], (str, bytes)):
            return _whole(200, value[1], value[0])
    elif is_status(getattr(value, "status_code", None)) and hasattr(value, "headers"):
        return _whole(value.status_code, getattr(value, "raw_headers", value.headers), _content(value))
    body, headers = _body(value)
    return 200, headers, body


def _content(response: Any) -> Any:
    for name in ("get_data", "body", "content", "data"):
        if hasattr(response, name):
            content = getattr(response, name)
            return content() if callable(content) else content
    raise InvalidReply(f"the handler returned {encode.what(response)} without a body; return the application itself as the entrypoint")


def _whole(status: int, headers: Any, body: Any) -> Reply:
    pairs = list(_headers(headers)) if headers is not None else []
    if isinstance(status, int):
        status = int(status)
    if body is None:
        return status, pairs, None
    body, kind = _body(body)
    for name, _ in pairs:
        if name == "content-type":
            return status, pairs, body
    return status, pairs + kind, body


def _body(value: Any) -> tuple[Bytes, list[Header]]:
    if isinstance(value, str):
        return value.encode("utf-8", "replace"), TEXT
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value, BYTES
    if isinstance(value, BaseException):
        raise InvalidReply(f"the handler returned an exception instead of raising it: {type(value).__name__}: {value}")
    if hasattr(value, "__await__"):
        raise InvalidReply(f"the handler returned {encode.what(value)} that was not awaited; "
                           "write await before it, in an async def handler")
    if callable(value) and not isinstance(value, (dict, list)):
        raise InvalidReply(f"the handler returned {encode.what(value)}; return a str, bytes, a dict, or what JSON can hold")
    try:
        return encode.json_bytes(value), JSON
    except (TypeError, ValueError) as error:
        raise InvalidReply(f"the handler's reply cannot be written as JSON: {error}") from None


def _headers(headers: Any) -> Iterator[Header]:
    if hasattr(headers, "items") and callable(headers.items):
        headers = headers.items()
    elif not isinstance(headers, (list, tuple)):
        raise InvalidReply(f"the handler's reply has headers that are {encode.what(headers)}; make them a dict or a list of (name, value)")
    for pair in headers:
        try:
            name, value = pair
        except (TypeError, ValueError):
            raise InvalidReply(f"the handler's reply has a header that is not a (name, value): {pair!r}") from None
        if value is None:
            continue
        for one in value if isinstance(value, (list, tuple)) else (value,):
            yield header(name, one)


def header(name: Any, value: Any) -> Header:
    """The header as it is sent. Raises InvalidReply if HTTP does not allow it."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(name, str) or not _token(name):
        raise InvalidReply(f"the handler's reply has a header with an invalid name: {name!r}")
    if not isinstance(value, str):
        value = str(value)
    if _forbidden(value):
        raise InvalidReply(f"the handler's reply has a header with a control character in it: {name.lower()}: {value!r}")
    return name.lower(), value


def fail(code: int, message: str, stack: str = "") -> None:
    """Answers with an error. The message is made one line."""
    _aleph.fail(code, " ".join(message.split("\n")).strip(), stack)
