"""select and poll over the connections of a function."""

from __future__ import annotations

import _socket
from collections.abc import Iterable as _Iterable
from typing import Any as _Any

from _aleph_runtime.operations import wait_until as _wait_until

error = OSError
POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 1, 2, 4, 8, 16, 32


def _number(file: _Any) -> int:
    return file if isinstance(file, int) else file.fileno()


def _events(number: int, wanted: int) -> int:
    descriptor = _socket._open.get(number)
    if descriptor is None:
        return POLLNVAL if number >= 1 << 20 or number < 0 else wanted & (POLLIN | POLLOUT)  # a file is always ready
    connection = descriptor.connection
    if connection is None:
        return POLLHUP | wanted & POLLOUT
    return (wanted & POLLIN if connection.readable else 0) | (wanted & POLLOUT if connection.writable else 0)


def _flush(numbers: _Iterable[int]) -> None:
    for number in numbers:
        descriptor = _socket._open.get(number)
        if descriptor is not None and descriptor.connection is not None:
            descriptor.connection.flush()


def select(rlist: _Iterable[_Any], wlist: _Iterable[_Any], xlist: _Iterable[_Any],
           timeout: float | None = None) -> tuple[list[_Any], list[_Any], list[_Any]]:
    rlist, wlist, xlist = list(rlist), list(wlist), list(xlist)
    found: tuple[list[_Any], list[_Any]] = [], []

    def ready() -> list[_Any]:
        found[0][:] = [file for file in rlist if _events(_number(file), POLLIN)]
        found[1][:] = [file for file in wlist if _events(_number(file), POLLOUT)]
        return found[0] or found[1]

    _flush(map(_number, rlist))
    _wait_until(ready, timeout)
    return found[0], found[1], []


class poll:
    def __init__(self) -> None:
        self._wanted: dict[int, int] = {}

    def register(self, file: _Any, eventmask: int = POLLIN | POLLPRI | POLLOUT) -> None:
        self._wanted[_number(file)] = eventmask

    modify = register

    def unregister(self, file: _Any) -> None:
        del self._wanted[_number(file)]

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """The descriptors that are ready, after at most timeout milliseconds."""
        found: list[tuple[int, int]] = []

        def ready() -> list[tuple[int, int]]:
            found[:] = [(number, events) for number, wanted in self._wanted.items() if (events := _events(number, wanted))]
            return found

        _flush(self._wanted)
        _wait_until(ready, None if timeout is None or timeout < 0 else timeout / 1000)
        return found
