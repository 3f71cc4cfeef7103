"""A reply that is made piece by piece.

Its pieces are held while the function has not waited for anything, are small and young: such a reply goes out whole, as the
others do. Else it is streamed: its start, then its pieces, each when the caller has taken the one before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import _aleph

from . import operations
from .operations import BODY, END, HEADER, HTTP_STATUS, MESSAGE, REPLY_START, REPLY_WRITE, STATUS, Operation

if TYPE_CHECKING:
    import asyncio

    from _aleph import Field

    from .reply import Header

_HELD = 64 << 10  # bytes
_AGE = 10_000_000  # ns


class Gone(OSError):
    """The caller is not there any more."""


class Stream:
    """start, then write as often as needed, then finish."""

    def __init__(self) -> None:
        self.started = False  # the application began its reply
        self.streaming = False  # the caller has a part of it
        self.finished = False
        self._head: tuple[int, Sequence[Header]] = 0, ()
        self._pieces: list[bytes] = []
        self._size = 0
        self._since = 0
        self._operation: Operation | None = None
        self._error: Gone | None = None
        self._ended = False
        self._waiters: list[asyncio.Future[None]] = []
        operations.before_waiting(self.flush)

    def start(self, status: int, headers: Sequence[Header]) -> None:
        self.started = True
        self._head = status, headers

    def write(self, data: bytes) -> bool:
        """Adds to the body. Returns whether the caller should drain()."""
        if self._error is not None:
            raise self._error
        if data:
            if not self._pieces:
                self._since = time.monotonic_ns()
            self._pieces.append(data)
            self._size += len(data)
            if self._size >= _HELD or time.monotonic_ns() - self._since >= _AGE:
                self.flush()
        return self._size >= _HELD

    def finish(self) -> None:
        """The body is complete."""
        self.finished = True
        if not self.streaming:
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            _aleph.reply(*self._head, body)

    def flush(self) -> None:
        """Sends what is held, as far as the caller takes it."""
        if self._operation is not None or self._error is not None or not self.started or self._ended:
            return
        if not self.streaming:
            if not self._pieces and not self.finished:
                return
            self.streaming = True
            status, headers = self._head
            fields: list[Field] = [(HTTP_STATUS, ("u32", status)), *((HEADER, ("pair", name, value)) for name, value in headers)]
            self._operation = Operation(REPLY_START, _aleph.frame(fields), self._taken)
        elif self._pieces or self.finished:
            fields = [(BODY, b"".join(self._pieces))]
            self._pieces.clear()
            self._size = 0
            if self.finished:
                self._ended = True
                fields.append((END, ("u32", 1)))
            self._operation = Operation(REPLY_WRITE, _aleph.frame(fields), self._taken)

    def _taken(self, operation: Operation) -> None:
        self._operation = None
        fields = operations.read(operation.result)
        if fields[STATUS]:
            self._error = Gone(f"the caller has gone: {fields[MESSAGE]}")
            self._pieces.clear()
            self._size = 0
        else:
            self.flush()
        if self._size < _HELD:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    async def drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Returns when there is room for more."""
        while self._size >= _HELD:
            waiter = loop.create_future()
            self._waiters.append(waiter)
            await waiter
        if self._error is not None:
            raise self._error

    def drain_now(self) -> None:
        operations.wait_until(lambda: self._size < _HELD)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Waits until the caller has what is sent."""
        self.flush()
        operations.wait_until(lambda: self._operation is None and (self._ended or not self.finished) or self._error is not None)
