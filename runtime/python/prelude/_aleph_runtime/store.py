"""context.aleph.store: the program's data on the node.

Called from a plain function a method waits and returns the value. Called from the body of an async function it starts its
operation at once and returns an awaitable, so that asyncio.gather runs several in parallel.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import _aleph

from . import encode, operations
from .operations import ENTRY, LIMIT, MESSAGE, STATUS, Fields, Operation

if TYPE_CHECKING:
    from _aleph import Field

_GET, _SET, _DELETE, _LIST, _INCREMENT, _COMPARE_AND_SET, _WATCH = range(16, 23)
_KEY, _VALUE, _KIND, _TTL, _CURSOR, _DELTA, _EXPECTED, _EXPECTED_KIND, _FLAG = 80, 81, 82, 83, 85, 86, 87, 88, 89
_BYTES, _JSON, _COUNTER, _DELETED = range(4)

_ASYNC = 0x80 | 0x100 | 0x200  # code flags of coroutines, iterable coroutines, async generators
_INNER = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"))


class StoreError(Exception):
    """A failed operation. code: invalid_argument, not_a_counter, quota_exceeded, value_too_large or unavailable."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Pending(asyncio.Future[Any]):
    """An operation of the store that runs: await it."""

    operation: Operation
    again: Callable[[], AsyncIterator[dict[str, Any]]]

    def cancel(self, msg: Any = None) -> bool:
        self.operation.cancel()
        return super().cancel(msg)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.again()


def _run(depth: int, op: int, fields: list[Field], result: Callable[[Fields], Any]) -> Any:
    """Performs the operation for the caller depth frames up: waits, or returns an awaitable."""
    frame: FrameType | None = sys._getframe(depth + 1)
    while frame is not None and frame.f_code.co_name in _INNER and frame.f_back is not None:
        if frame.f_code.co_flags & _ASYNC:
            break
        frame = frame.f_back
    request = _aleph.frame(fields)
    loop = asyncio._get_running_loop() if frame is not None and frame.f_code.co_flags & _ASYNC else None
    if loop is None:
        return result(_read(_start(op, request).wait()))
    pending = Pending(loop=loop)

    def complete(operation: Operation) -> None:
        if pending.done():
            return
        try:
            pending.set_result(result(_read(operation.result)))
        except Exception as error:
            pending.set_exception(error)

    pending.operation = _start(op, request, complete)
    return pending


def _start(op: int, request: bytes, callback: operations.Callback | None = None) -> Operation:
    if operations.is_loading():
        raise StoreError("the store is not available while the program is loaded, only while it handles an event", "not_available")
    return Operation(op, request, callback)


def _read(frame: bytes) -> Fields:
    fields = operations.read(frame)
    if fields[STATUS]:
        raise StoreError(fields[MESSAGE], operations.code(fields))
    return fields


def _key(key: Any, what: str = "key") -> str:
    if type(key) is not str:
        if not isinstance(key, str):
            raise TypeError(f"store: {what} must be a str, not {type(key).__name__}")
        key = str(key)
    return key


def _whole(value: Any, what: str, least: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or least is not None and value < least:
        raise TypeError(f"store: {what} must be a whole number{'' if least is None else f' from {least}'}, not {value!r}")
    return value


def _encode(value: Any, what: str, tag: int, kind_tag: int) -> list[Field]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return [(tag, bytes(value)), (kind_tag, ("u32", _BYTES))]
    try:
        return [(tag, encode.json_text(value)), (kind_tag, ("u32", _JSON))]
    except (TypeError, ValueError) as error:
        raise TypeError(f"store: {what}: {error}") from None


def _decode(value: bytes, kind: int) -> Any:
    if kind == _JSON:
        return json.loads(value)
    if kind == _COUNTER:
        return int.from_bytes(value, "little", signed=True)
    return None if kind == _DELETED else value


def _entry(data: bytes) -> tuple[str, Any, int]:
    size = int.from_bytes(data[:4], "little")
    kind = int.from_bytes(data[4 + size:8 + size], "little")
    return data[4:4 + size].decode(), _decode(data[8 + size:], kind), kind


def _value(fields: Fields) -> Any:
    return _decode(fields[_VALUE], operations.number(fields, _KIND)) if _VALUE in fields else None


def _flag(fields: Fields) -> bool:
    return operations.number(fields, _FLAG) == 1


def _ttl(ttl: Any) -> list[Field]:
    return [] if ttl is None else [(_TTL, ("u64", _whole(ttl, "ttl (in seconds)", 1)))]


_missing: Any = object()


def _of(argument: Any, kwargs: list[Any], *names: str) -> list[Any]:
    """set({'key': …, 'value': …}) is set(key=…, value=…), as JavaScript writes it."""
    if isinstance(argument, dict):
        unknown = set(argument) - set(names)
        if unknown:
            raise TypeError(f"store: unknown {', '.join(sorted(map(str, unknown)))}; there are {', '.join(names)}")
        return [argument.get(name, value) for name, value in zip(names, kwargs, strict=True)]
    return kwargs


class Store:
    """The methods that talk to the node. Each works plainly and with await."""

    __slots__ = ()

    def get(self, key: Any) -> Any:
        """The value of key, or None: what JSON holds as it was set, bytes as bytes, a counter as an int."""
        key, = _of(key, [key], "key")
        return _run(1, _GET, [(_KEY, _key(key))], _value)

    def set(self, key: Any, value: Any = _missing, ttl: int | None = None) -> Any:
        """Stores a value that JSON can hold, or bytes, for ttl seconds or for good. Returns {'key': key}."""
        key, value, ttl = _of(key, [key, value, ttl], "key", "value", "ttl")
        if value is _missing:
            raise TypeError("store: set needs a value: set(key, value) or set(key=…, value=…)")
        fields = [(_KEY, _key(key)), *_encode(value, "value", _VALUE, _KIND), *_ttl(ttl)]
        return _run(1, _SET, fields, lambda _: {"key": key})

    def delete(self, key: Any) -> Any:
        """Removes the key. Returns whether it was there."""
        key, = _of(key, [key], "key")
        return _run(1, _DELETE, [(_KEY, _key(key))], _flag)

    def list(self, prefix: Any = "", limit: int | None = None, cursor: str | None = None) -> Any:
        """One page, in order of the keys: {'keys': […], 'entries': [{'key', 'value'}], 'cursor': str, or None at the end}."""
        prefix, limit, cursor = _of(prefix, ["" if isinstance(prefix, dict) else prefix, limit, cursor], "prefix", "limit", "cursor")
        fields: list[Field] = [(_KEY, _key(prefix, "prefix"))]
        if limit is not None:
            fields.append((LIMIT, ("u32", min(_whole(limit, "limit", 1), 0xFFFFFFFF))))
        if cursor is not None:
            fields.append((_CURSOR, _key(cursor, "cursor")))
        def page(fields: Fields) -> dict[str, Any]:
            entries = [{"key": key, "value": value} for key, value, _ in map(_entry, fields.get(ENTRY, ()))]
            cursor = fields.get(_CURSOR)
            return {"keys": [e["key"] for e in entries], "entries": entries, "cursor": cursor.decode() if cursor else None}

        return _run(1, _LIST, fields, page)

    def increment(self, key: Any, by: int = 1) -> Any:
        """Adds by, negative too, to a counter that begins at 0, atomically. Returns the new number."""
        key, by = _of(key, [key, by], "key", "by")
        delta = _whole(by, "by")
        if not -1 << 63 <= delta < 1 << 63:
            raise TypeError(f"store: by must fit 64 bits, not {by!r}")
        return _run(1, _INCREMENT, [(_KEY, _key(key)), (_DELTA, delta.to_bytes(8, "little", signed=True))],
                    lambda fields: int.from_bytes(fields[_DELTA], "little", signed=True))

    def compare_and_set(self, key: Any, expected: Any = None, value: Any = _missing, ttl: int | None = None) -> Any:
        """Sets the value if the present one equals expected (None: if there is none), atomically. Returns whether it did."""
        key, expected, value, ttl = _of(key, [key, expected, value, ttl], "key", "expected", "value", "ttl")
        if value is _missing:
            raise TypeError("store: compare_and_set needs a value: compare_and_set(key, expected, value)")
        fields = [(_KEY, _key(key)), *_encode(value, "value", _VALUE, _KIND), *_ttl(ttl)]
        if expected is not None:
            fields += _encode(expected, "expected", _EXPECTED, _EXPECTED_KIND)
        return _run(1, _COMPARE_AND_SET, fields, _flag)

    compareAndSet = compare_and_set

    def watch(self, prefix: Any = "") -> Any:
        """The next change of a key that begins with prefix: {'key', 'value', 'deleted'}. With async for, one after another."""
        prefix, = _of(prefix, ["" if isinstance(prefix, dict) else prefix], "prefix")
        change = _run(1, _WATCH, [(_KEY, _key(prefix, "prefix"))], _change)
        if isinstance(change, Pending):
            change.again = lambda: _changes(self, change, prefix)
        return change


def _change(fields: Fields) -> dict[str, Any]:
    key, value, kind = _entry(fields[ENTRY][-1])
    return {"key": key, "value": value, "deleted": kind == _DELETED}


async def _changes(store: Store, first: Pending, prefix: str) -> AsyncIterator[dict[str, Any]]:
    yield await first
    while True:
        yield await store.watch(prefix)
