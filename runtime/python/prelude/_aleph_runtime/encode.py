"""JSON, as replies and stored values are written: compact, UTF-8, and an error for what it cannot hold.

Beside what json knows it takes dataclasses and pydantic models (an object of their fields), mappings, dates and times (ISO
8601), UUID, Decimal and paths (their text), an Enum (its value), sets and frozensets (an array, in no order), deques.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json.encoder
import os
import uuid
from collections.abc import Mapping
from typing import Any

_TEXT = (uuid.UUID, decimal.Decimal)
_ARRAY = (set, frozenset, collections.deque)


def _default(value: Any) -> Any:
    if isinstance(value, _TEXT):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, _ARRAY):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, type):
        if dataclasses.is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        for name in ("model_dump", "__json__"):
            if callable(method := getattr(value, name, None)):
                return method()
        if hasattr(value, "__fields__") and callable(method := getattr(value, "dict", None)):  # pydantic 1
            return method()
        if isinstance(value, os.PathLike):
            return os.fspath(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{type(value).__name__} can be only the whole value, not a part of JSON")
    if hasattr(value, "__await__"):
        raise TypeError(f"there is {what(value)} in it that was not awaited")
    raise TypeError(f"JSON cannot hold {what(value)}")


def what(value: Any) -> str:
    """A name for a value of a kind that is not expected."""
    name = type(value).__name__
    if name == "coroutine":
        return f"a coroutine ({value.__qualname__})"
    if name == "Pending":
        return "an operation of the store"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


_markers: dict[int, Any] = {}
_encoder = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    _markers, _default, json.encoder.encode_basestring, None, ":", ",", False, False, False)


def json_text(value: Any) -> str:
    """The JSON of value. TypeError or ValueError if it has none."""
    try:
        return "".join(_encoder(value, 0))
    except ValueError as error:
        if str(error).startswith("Circular"):
            raise ValueError("an object contains itself, which JSON cannot hold") from None
        if str(error).startswith("Out of range float"):
            raise ValueError("JSON cannot hold the floats nan and inf") from None
        raise
    finally:
        if _markers:
            _markers.clear()


def json_bytes(value: Any) -> bytes:
    text = json_text(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # lone surrogates
        return json.encoder.JSONEncoder(separators=(",", ":"), default=_default).encode(value).encode()
