"""Operations of the node: what a function asks for and waits for (abi/SPEC.md), and the one place that waits.

An operation's ticket is taken once, by whoever waits when it completes, so every completion goes through here to its
Operation. Waiting for one suspends the whole function; the event loop waits for any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import _aleph

SLEEP, FETCH, FETCH_READ, FETCH_WRITE, FETCH_CLOSE, BODY_READ, REPLY_START, REPLY_WRITE = range(1, 9)

STATUS, MESSAGE, METHOD, HEADER, BODY = 1, 2, 16, 19, 20
LIMIT, ENTRY, DURATION, URL, STREAM, MORE, HTTP_STATUS, END = 84, 90, 96, 110, 112, 113, 115, 116

CODES = ("ok", "invalid_argument", "not_a_counter", "quota_exceeded", "value_too_large", "unavailable", "unknown_operation",
         "network", "forbidden", "timeout", "closed")

# The node takes 256 at once; some of them are left for what C starts itself.
_MOST = 240

Fields = dict[int, Any]  # of a result, by tag
Callback = Callable[["Operation"], object]

_running: dict[int, Operation] = {}  # by ticket
_queue: deque[Operation] = deque()  # operations that wait for room
_before: list[Callable[[], object]] = []  # what is to be done before the function is suspended


def is_loading() -> bool:
    """Whether the program is loaded, where operations are refused."""
    return not _aleph.fresh


class Operation:
    """One operation. result is its frame when it is complete; then callback, if there is one, is called with it."""

    __slots__ = ("op", "request", "ticket", "result", "callback")

    def __init__(self, op: int, request: bytes, callback: Callback | None = None) -> None:
        self.op = op
        self.request = request
        self.callback = callback
        self.ticket = 0
        self.result: Any = None
        if len(_running) < _MOST:
            self._start()
        else:
            _queue.append(self)

    def _start(self) -> None:
        if is_loading():
            what = "sleeping" if self.op == SLEEP else "the network" if self.op < BODY_READ else "the store"
            raise RuntimeError(f"{what} is not available while the program is loaded, only while it handles an event")
        self.ticket = ticket = _aleph.start(self.op, self.request)
        self.request = b""
        _running[ticket] = self

    def _finish(self, result: bytes) -> None:
        del _running[self.ticket]
        while _queue and len(_running) < _MOST:
            _queue.popleft()._start()
        self.result = result
        if self.callback is not None:
            self.callback(self)

    def wait(self) -> bytes:
        """Suspends the function until the operation is complete, and returns its frame."""
        if self.result is None:
            _prepare()
            if len(_running) == 1 and self.ticket in _running:
                self._finish(_aleph.wait(self.ticket))
        while self.result is None:
            _next()
        return self.result

    def cancel(self) -> None:
        """Forgets the operation; its callback is never called."""
        self.callback = None
        if self.result is None:
            self.result = b""
            if self.ticket:
                _aleph.cancel(self.ticket)
                _running.pop(self.ticket, None)
            else:
                _queue.remove(self)


def _next() -> None:
    ticket, result = _aleph.wait_any()
    operation = _running.get(ticket)
    if operation is not None:
        operation._finish(result)


def _prepare() -> None:
    for prepare in _before:
        prepare()


def before_waiting(prepare: Callable[[], object]) -> None:
    """Has prepare() called each time before the function is suspended."""
    _before.append(prepare)


def forget() -> None:
    """Forgets what was to be done before waiting."""
    _before.clear()


def poll() -> None:
    """Takes what is complete, without waiting."""
    while _running and (complete := _aleph.poll()) is not None:
        operation = _running.get(complete[0])
        if operation is not None:
            operation._finish(complete[1])


def wait_any() -> None:
    """Suspends the function until an operation is complete; forever, which is the event's deadline, if none is under way."""
    _prepare()
    _next()


def sleep_request(seconds: float) -> bytes:
    return _aleph.frame([(DURATION, ("u64", min(max(0, int(seconds * 1e9)), (1 << 63) - 1)))])


def sleep(seconds: float) -> None:
    """time.sleep: suspends the function."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    Operation(SLEEP, sleep_request(seconds)).wait()


def wait_until(ready: Callable[[], object], timeout: float | None = None) -> bool:
    """Suspends the function until ready() is true, or for timeout seconds. Returns whether it is."""
    if ready():
        return True
    if timeout is not None and timeout <= 0:
        poll()
        return bool(ready())
    timer = None if timeout is None else Operation(SLEEP, sleep_request(timeout))
    while not ready():
        if timer is not None and timer.result is not None:
            return False
        wait_any()
    if timer is not None:
        timer.cancel()
    return True


def read(frame: bytes) -> Fields:
    """The fields of a result by tag; headers and entries as lists. The error of a failed operation is under MESSAGE."""
    fields: Fields = {}
    for tag, value in _aleph.fields(frame):
        if tag == HEADER:
            size = int.from_bytes(value[:4], "little")
            fields.setdefault(tag, []).append((value[4:4 + size].decode("latin-1"), value[4 + size:].decode("latin-1")))
        elif tag == ENTRY:
            fields.setdefault(tag, []).append(value)
        else:
            fields[tag] = value
    fields[STATUS] = int.from_bytes(fields.get(STATUS, b""), "little")
    if fields[STATUS]:
        code = CODES[fields[STATUS]] if fields[STATUS] < len(CODES) else "unavailable"
        fields[MESSAGE] = fields.get(MESSAGE, b"").decode("utf-8", "replace") or code
    return fields


def code(fields: Fields) -> str:
    """The name of the error of a failed operation's fields."""
    status = fields[STATUS]
    return CODES[status] if status < len(CODES) else "unavailable"


def number(fields: Fields, tag: int) -> int:
    return int.from_bytes(fields.get(tag, b""), "little")
