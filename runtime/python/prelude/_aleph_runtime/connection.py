"""The other end of a function's connections: it reads HTTP/1.1 requests, has the node perform them, and writes the answers.

So every HTTP client works on it unmodified, and DNS, TLS, HTTP/2 and pooled connections are the node's. A request begins as a
fetch when its head and body are there, or, if the body is long, as soon as _HELD of it is there; then the rest follows by
fetch writes. The answer's body is read while less than _AHEAD of it waits for the client.
"""

from __future__ import annotations

import collections
import errno
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import _aleph

from . import operations
from .operations import (
    BODY,
    END,
    FETCH,
    FETCH_CLOSE,
    FETCH_READ,
    FETCH_WRITE,
    HEADER,
    HTTP_STATUS,
    MESSAGE,
    METHOD,
    MORE,
    STATUS,
    STREAM,
    URL,
    Fields,
    Operation,
)

if TYPE_CHECKING:
    import asyncio

    from _aleph import Field

HELLO = b"\x16aleph-tls"  # begins the line by which ssl.py says that the rest would be encrypted

Data = bytes | bytearray | memoryview

_HELD = 256 << 10
_AHEAD = 256 << 10
_HEAD = 256 << 10

_request_line = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\S+) HTTP/(1\.[01])").fullmatch
_OWN = frozenset(("connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade", "expect", "host",
                  "content-length"))
_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"))
_PORTS = {"http": 80, "https": 443}

_MOST = 60  # exchanges at once; the node takes 64
_streams: set[int] = set()  # the numbers of those that are open
_queue: collections.deque[Connection] = collections.deque()  # connections with a request that waits for room
_last = 0


def _new_stream() -> int:
    global _last
    _last += 1
    _streams.add(_last)
    return _last


def failure(fields: Fields) -> OSError:
    """The exception for a failed operation."""
    code, message = operations.code(fields), fields[MESSAGE]
    if code == "timeout":
        return TimeoutError(message)
    if code == "forbidden":
        return PermissionError(errno.EACCES, message)
    if code == "network":
        lower = message.lower()
        if "no such host" in lower or "resolv" in lower or "lookup" in lower:
            import _socket
            return _socket.gaierror(_socket.EAI_NONAME, message)
        if "refused" in lower:
            return ConnectionRefusedError(errno.ECONNREFUSED, message)
        if "certificate" in lower or "tls" in lower or "x509" in lower:
            import ssl
            kind = ssl.SSLCertVerificationError if "certificate" in lower or "x509" in lower else ssl.SSLError
            error = kind(1, message)
            error.verify_code, error.verify_message = 1, message
            return error
        return ConnectionResetError(errno.ECONNRESET, message)
    if code == "invalid_argument":
        return OSError(errno.EINVAL, message)
    return ConnectionError(errno.ECONNABORTED, f"{code}: {message}" if code not in message else message)


class Connection:
    """One connection. output holds what the client has still to read; then comes eof, or error."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.tls: Any = False  # or True, or the ssl context
        self.output = bytearray()
        self.eof = False
        self.error: OSError | None = None
        self.changed: Callable[[], None] | None = None  # called when there is more to read, or less to send
        self._input = bytearray()
        self._body = bytearray()  # of the request that is being read
        self._request: tuple[str, str, list[tuple[str, str]]] | None = None
        self._left: int | None = 0  # of the body by content-length, or of a chunk; None before a chunk's head
        self._chunked = False
        self._stream = 0  # the open stream
        self._sent = True  # the client has sent the request's body whole
        self._written = True  # and the node has it
        self._fetch: Operation | None = None
        self._write: Operation | None = None
        self._read: Operation | None = None
        self._framing: Any = None  # of the answer: bytes left, "chunked" or "close"
        self._used = False

    # What the client asks

    def feed(self, data: Data) -> None:
        """Takes bytes that the client sends."""
        if self.error is not None:
            raise self.error
        if self.eof:
            raise BrokenPipeError(errno.EPIPE, "the connection is closed")
        self._input += data
        self._used = True
        try:
            self._parse()
        except OSError as error:
            self._fail(error)
            raise

    @property
    def unsent(self) -> int:
        """How many bytes the node has not taken."""
        return len(self._input) + len(self._body)

    @property
    def idle(self) -> bool:
        """Whether nothing was asked that is not answered."""
        return self._request is None and self._fetch is None and not self._stream and not self.output

    def _parse(self) -> None:
        while self._input:
            if self._request is None:
                if self._fetch is not None or self._stream or not self._parse_head():
                    return
            elif self._sent:  # what comes early waits for the answer
                return
            if not self._sent:
                self._parse_body()
            if self._sent or len(self._body) >= _HELD:
                self._send()
            if not self._sent:
                return

    def _parse_head(self) -> bool:
        data = self._input
        if data.startswith(HELLO):
            end = data.find(b"\n")
            if end < 0:
                return False
            self.tls = True
            del data[:end + 1]
            return bool(data) and self._parse_head()
        if data[0] in b"\r\n":
            del data[:1]
            return bool(data) and self._parse_head()
        end = data.find(b"\r\n\r\n")
        line = bytes(data[:data.find(b"\n")]).rstrip(b"\r") if b"\n" in data else None
        if not data[:1].isalpha() or line is not None and not _request_line(line):
            raise OSError(errno.EPROTONOSUPPORT,
                          f"a function's connections speak HTTP/1.1; what was sent to {self.host}:{self.port} is something else")
        if end < 0:
            if len(data) > _HEAD:
                raise OSError(errno.EMSGSIZE, f"the request's head is over {_HEAD} bytes")
            return False
        first, *lines = bytes(data[:end]).split(b"\r\n")
        del data[:end + 4]
        match = _request_line(first)
        if not match:
            raise OSError(errno.EPROTONOSUPPORT, f"not a request of HTTP/1.1: {first[:80].decode('latin-1')!r}")
        method, target, version = (part.decode("latin-1") for part in match.groups())
        if method == "CONNECT" or not target.startswith(("/", "*")):
            raise OSError(errno.EOPNOTSUPP, "proxies cannot be used: the node makes the connections")
        pairs = []
        length, chunked, expects, host, closes = None, False, False, None, version == "1.0"
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            name, value = name.strip().lower(), value.strip()
            if not colon:
                raise OSError(errno.EPROTO, f"not a header: {line[:80]!r}")
            if name == "content-length":
                length = int(value)
            elif name == "transfer-encoding":
                chunked = "chunked" in value.lower()
            elif name == "expect":
                expects = "100-continue" in value.lower()
            elif name == "host":
                host = value
            elif name == "connection":
                closes = "close" in value.lower() or closes and "keep-alive" not in value.lower()
            elif name == "upgrade":
                raise OSError(errno.EOPNOTSUPP, f"{value} connections are not available in a function; its connections speak HTTP/1.1")
            if name not in _OWN:
                pairs.append((name, value))
        scheme = "https" if self.tls else "http"
        authority = f"[{self.host}]" if ":" in self.host else self.host
        if self.port != _PORTS[scheme]:
            authority += f":{self.port}"
        if host and host.lower() not in (authority.lower(), f"{authority}:{self.port}".lower()):
            pairs.append(("host", host))
        self._head = method == "HEAD"
        self._old = version == "1.0"
        self._closes = closes
        self._length = length
        self._request = (method, f"{scheme}://{authority}{'/' if target == '*' else target}", pairs)
        self._body = bytearray()
        self._chunked = chunked
        self._left = None if chunked else length or 0
        self._sent = not chunked and not length
        self._written = False
        if expects and not self._sent:
            self.output += b"HTTP/1.1 100 Continue\r\n\r\n"
            self._tell()
        if self._sent:
            self._send()
            return bool(data)
        return True

    def _parse_body(self) -> None:
        data = self._input
        while data and not self._sent:
            if self._left is None:
                end = data.find(b"\r\n")
                if end < 0:
                    return
                self._left = int(bytes(data[:end]).partition(b";")[0], 16) or -1
                del data[:end + 2]
            elif self._left == -1:  # trailers, up to an empty line
                end = data.find(b"\r\n")
                if end < 0:
                    return
                del data[:end + 2]
                self._sent = end == 0
            elif self._left:
                part = data[:self._left]
                self._body += part
                del data[:len(part)]
                self._left -= len(part)
                if not self._left and not self._chunked:
                    self._sent = True
            else:  # the line's end after a chunk
                if len(data) < 2:
                    return
                del data[:2]
                self._left = None

    def _send(self, least: int = _HELD) -> None:
        """Gives the node what is there of the request; the middle of a body by least bytes."""
        if self._fetch is None and not self._stream:
            if len(_streams) == _MOST:
                if self not in _queue:
                    _queue.append(self)
                return
            self._open()
        if not self._written and self._write is None and (self._sent or len(self._body) >= least):
            fields: list[Field] = [(STREAM, ("u32", self._stream)), (BODY, bytes(self._body[:1 << 20]))]
            del self._body[:1 << 20]
            if self._sent and not self._body:
                self._written = True
                fields.append((END, ("u32", 1)))
            self._write = Operation(FETCH_WRITE, _aleph.frame(fields), self._wrote)

    def _open(self) -> None:
        self._stream = _new_stream()
        method, url, pairs = self._request  # type: ignore[misc]  # there is one
        if self._length and not self._sent:
            pairs.append(("content-length", str(self._length)))
        fields: list[Field] = [(METHOD, method), (URL, url), (STREAM, ("u32", self._stream))]
        fields += [(HEADER, ("pair", name, value)) for name, value in pairs]
        if self._length or self._chunked:
            fields.append((BODY, bytes(self._body)))
            self._body.clear()
        if self._sent:
            self._written = True
        else:
            fields.append((MORE, ("u32", 1)))
        try:
            self._fetch = Operation(FETCH, _aleph.frame(fields), self._answered)
        except RuntimeError:  # refused
            self._release()
            raise

    def _release(self) -> None:
        """The exchange is over; one that waits for room may begin."""
        _streams.discard(self._stream)
        self._stream = 0
        if _queue and len(_streams) < _MOST:
            _queue.popleft()._send()

    def flush(self) -> None:
        """The client waits: what is held of a request's body goes out."""
        if self._request is not None and not self._sent and self._body:
            self._send(1)

    def _wrote(self, operation: Operation) -> None:
        self._write = None
        fields = operations.read(operation.result)
        if fields[STATUS]:
            if operations.code(fields) != "closed":  # closed: the answer came before the body's end
                return self._fail(failure(fields))
            self._written = True
            self._body.clear()
        elif self._stream:
            self._send()
        self._tell()

    # What the node answers

    def _answered(self, operation: Operation) -> None:
        self._fetch = None
        fields = operations.read(operation.result)
        if fields[STATUS]:
            self._release()
            error = failure(fields)
            error.connecting = True  # type: ignore[attr-defined]  # as far as the client can tell
            return self._fail(error)
        status = operations.number(fields, HTTP_STATUS)
        reason = fields.get(MESSAGE, b"").decode("latin-1")
        lines = [f"HTTP/1.1 {status} {reason}"]
        length = None
        for name, value in fields.get(HEADER, ()):
            if name == "content-length":
                length = int(value)
            if name not in _HOP:
                lines.append(f"{name}: {value}")
        if self._head or status in (204, 304):
            self._framing = 0
        elif length is not None:
            self._framing = length
        elif self._old:
            self._framing = "close"
        else:
            self._framing = "chunked"
            lines.append("transfer-encoding: chunked")
        if self._framing == "close":
            self._closes = True
        if self._closes:
            lines.append("connection: close")
        self.output += "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self._take(fields)

    def _take(self, fields: Fields) -> None:
        data = fields.get(BODY, b"")
        if data:
            if self._framing == "chunked":
                self.output += b"%x\r\n" % len(data) + data + b"\r\n"
            elif self._framing == "close":
                self.output += data
            else:
                self._framing -= len(data)
                self.output += data
        if operations.number(fields, END):
            self._end()
        else:
            self.pull()
        self._tell()

    def _end(self) -> None:
        self._release()
        if self._framing == "chunked":
            self.output += b"0\r\n\r\n"
        elif self._framing and self._framing != "close":
            return self._fail(ConnectionResetError(errno.ECONNRESET, f"the answer ended {self._framing} bytes before its content-length"))
        self._framing = None
        if self._closes:
            self.eof = True
        elif self._sent:
            if self._write is not None:  # how it goes does not matter to the next request
                self._write.callback = None
                self._write = None
            self._request = None
            self._body.clear()
            if self._input:
                self._parse()
        else:
            self.eof = True  # the answer came before the request's end

    def pull(self) -> None:
        """Reads on, if there is something and the client keeps up."""
        if self._framing is not None and self._stream and self._read is None and len(self.output) < _AHEAD:
            fields: list[Field] = [(STREAM, ("u32", self._stream)), (operations.LIMIT, ("u32", 1 << 16))]
            self._read = Operation(FETCH_READ, _aleph.frame(fields), self._came)

    def _came(self, operation: Operation) -> None:
        self._read = None
        fields = operations.read(operation.result)
        if fields[STATUS]:
            return self._fail(failure(fields))
        self._take(fields)

    # Its end

    def _fail(self, error: OSError) -> None:
        self.error = error
        self.close()
        self._tell()

    def close(self) -> None:
        """Ends the connection. What is under way is forgotten."""
        for operation in (self._fetch, self._write, self._read):
            if operation is not None:
                operation.cancel()
        self._fetch = self._write = self._read = None
        if self._stream:
            Operation(FETCH_CLOSE, _aleph.frame([(STREAM, ("u32", self._stream))]))
            self._release()
        elif self in _queue:
            _queue.remove(self)
        self._framing = None
        self.eof = True

    def _tell(self) -> None:
        if self.changed is not None:
            self.changed()

    # For those who wait

    @property
    def readable(self) -> bool:
        return bool(self.output) or self.eof

    @property
    def writable(self) -> bool:
        return self.eof or self._write is None or len(self._body) < _HELD

    def take(self, n: int) -> bytes:
        """Up to n bytes of the output; empty at the end, or if there is nothing yet."""
        if self.output:
            data = bytes(self.output[:n])
            del self.output[:n]
            self.pull()
            return data
        if self.error is not None:
            raise self.error
        return b""

    def expect(self) -> None:
        """The client waits for an answer. Raises OSError if it asked for none."""
        if not self.readable and self.idle:
            what = "it was sent no request" if self._used else "it waits for the server to speak first"
            raise OSError(errno.EPROTONOSUPPORT,
                          f"a function's connections speak HTTP/1.1: nothing can come from {self.host}:{self.port}, {what}")
        self.flush()

    async def until_readable(self, loop: asyncio.AbstractEventLoop) -> None:
        self.expect()
        if self.readable:
            return
        future = loop.create_future()
        before = self.changed

        def changed() -> None:
            if self.readable and not future.done():
                future.set_result(None)
            if before is not None:
                before()

        self.changed = changed
        try:
            await future
        finally:
            self.changed = before
