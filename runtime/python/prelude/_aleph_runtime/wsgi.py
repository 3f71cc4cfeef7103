"""WSGI (PEP 3333): the body read as it comes, the reply streamed if it is made piece by piece."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from . import reply, request
from .stream import Stream

if TYPE_CHECKING:
    from _aleph import Event


class _Body(io.RawIOBase):
    """A body that follows its event."""

    def __init__(self) -> None:
        self._chunks = request.body_chunks()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        data, self._rest = self._rest[:len(buffer)], self._rest[len(buffer):]
        buffer[:len(data)] = data
        return len(data)


def environ(event: Event) -> dict[str, Any]:
    path = event["path"]
    result: dict[str, Any] = {
        "REQUEST_METHOD": event["method"], "SCRIPT_NAME": event["root"],
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path.encode().decode("latin-1"),
        "QUERY_STRING": event["query"], "REQUEST_URI": event["root"] + path + ("?" + event["query"] if event["query"] else ""),
        "RAW_URI": event["root"] + path,
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": event["client"].rpartition(":")[0].strip("[]"),
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr, "wsgi.multithread": False,
        "wsgi.multiprocess": False, "wsgi.run_once": False, "wsgi.input_terminated": True,
    }
    for name, value in event["headers"]:
        key = name.replace("-", "_").upper()
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        if key in result:
            value = f"{result[key]}{'; ' if name == 'cookie' else ','}{value}"
        result[key] = value
    if result.get("HTTP_X_FORWARDED_PROTO", "").lower() == "https":
        result["wsgi.url_scheme"] = "https"
    host, colon, port = result.get("HTTP_HOST", "localhost").rpartition(":")
    if not colon or not port.isdecimal():
        host, port = result.get("HTTP_HOST", "localhost"), "443" if result["wsgi.url_scheme"] == "https" else "80"
    result["SERVER_NAME"], result["SERVER_PORT"] = host, port
    if event["kind"] != 0:
        result["aleph.event"] = request.describe(event)
    if event["body_follows"]:
        result["wsgi.input"] = io.BufferedReader(_Body(), 1 << 16)
    else:
        body = event["body"] or b""
        result["wsgi.input"] = io.BytesIO(body)
        if body:
            result["CONTENT_LENGTH"] = str(len(body))
    return result


def call(app: Any, event: Event) -> None:
    """Answers a request."""
    stream = Stream()
    head: list[tuple[int, list[reply.Header]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info:
            try:
                if stream.streaming:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif head:
            raise AssertionError("WSGI: start_response was called twice without exc_info")
        number = int(status.split(None, 1)[0])
        if not reply.is_status(number):
            raise reply.InvalidReply(f"the application's status is {status!r}; it must be from 200 to 599")
        head[:] = [(number, [reply.header(name, value) for name, value in headers])]
        return write

    def write(data: bytes) -> None:
        if not head:
            raise AssertionError("WSGI: the body came before start_response was called")
        if not stream.started and data:
            stream.start(*head[0])
        if stream.write(data):
            stream.drain_now()

    result = app(environ(event), start_response)
    try:
        for data in result:
            write(data)
        if not head:
            raise reply.InvalidReply("the WSGI application did not call start_response")
        if not stream.started:
            stream.start(*head[0])
        stream.finish()
    finally:
        if hasattr(result, "close"):
            result.close()
    if stream.streaming:
        stream.close()
