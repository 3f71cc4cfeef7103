"""asyncio's transport over a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from .connection import Connection, Data
    from .loop import Loop

_HIGH = 256 << 10


class Transport(asyncio.Transport):
    """What loop.create_connection gives a protocol."""

    def __init__(self, loop: Loop, sock: socket.socket, protocol: asyncio.BaseProtocol) -> None:
        super().__init__({"socket": sock, "peername": sock.getpeername(), "sockname": sock.getsockname()})
        self._loop = loop
        self._sock = sock
        self.connection: Connection = sock.connection
        self.connection.changed = self._changed
        self._protocol: Any = protocol
        self._reading = True
        self._closing = False
        self._lost = False
        self._scheduled = False
        self._paused = False
        self._eof = False

    async def begin(self) -> None:
        self._protocol.connection_made(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self.connection.tls and name in ("ssl_object", "sslcontext", "cipher", "peercert", "compression"):
            from ssl import SSLObject
            tls = SSLObject._of(self.connection)
            return {"ssl_object": tls, "sslcontext": tls.context, "cipher": tls.cipher(), "peercert": tls.getpeercert()}.get(name)
        return super().get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    # Reading

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        if self.connection.readable:
            self._schedule()

    def _changed(self) -> None:
        if self._paused and self.connection.unsent <= _HIGH // 4:
            self._paused = False
            self._protocol.resume_writing()
        if self.connection.readable:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._lost:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._closing:
            return
        connection = self.connection
        while self._reading and connection.output and not self._closing:
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                buffer: Any = self._protocol.get_buffer(len(connection.output))
                data = connection.take(len(buffer))
                buffer[:len(data)] = data
                self._protocol.buffer_updated(len(data))
            else:
                self._protocol.data_received(connection.take(1 << 18))
        if not self._reading or self._closing or connection.output or not connection.eof:
            return
        if connection.error is not None:
            return self._lose(connection.error)
        if not self._eof:
            self._eof = True
            if not self._protocol.eof_received():
                self.close()

    # Writing

    def write(self, data: Data) -> None:
        if self._closing or not data:
            return
        try:
            self.connection.feed(data)
        except OSError:
            self._schedule()
            return
        self.connection.flush()
        if not self._paused and self.connection.unsent > _HIGH:
            self._paused = True
            self._protocol.pause_writing()

    def writelines(self, lines: Iterable[Data]) -> None:
        self.write(b"".join(lines))

    def write_eof(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self.connection.unsent

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, _HIGH

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    # Its end

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._gone, error)

    def _gone(self, error: OSError | None) -> None:
        if not self._lost:
            self._lost = True
            self.connection.changed = None
            self._sock.close()
            self._protocol.connection_lost(error)
