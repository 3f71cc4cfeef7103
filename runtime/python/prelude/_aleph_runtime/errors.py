"""Exceptions as Python prints them, without the frames of the engine's own files."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from . import reply

_OWN = __file__.rpartition("/_aleph_runtime/")[0] + "/"
_PROGRAM = "/app/"


def _is_own(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith((_OWN, "<frozen importlib"))


def _strip(error: traceback.TracebackException | None, seen: set[int]) -> None:
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.stack[:] = [frame for frame in error.stack if not _is_own(frame)]
        for inner in error.exceptions or ():
            _strip(inner, seen)
        _strip(error.__cause__, seen)
        error = error.__context__


def text(error: BaseException) -> str:
    """The traceback."""
    try:
        report = traceback.TracebackException.from_exception(error, compact=True)
        _strip(report, set())
        if not report.stack:
            lines = list(report.format())
            if lines and lines[-1] and "Traceback (most recent call last):\n" in lines:
                lines.remove("Traceback (most recent call last):\n")
            return "".join(lines).rstrip("\n")
        return "".join(report.format()).rstrip("\n")
    except RecursionError:
        return f"{type(error).__name__}: {error}"


def line(error: BaseException) -> str:
    """The last line of a traceback: the type and the text."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception:
        message = "<exception str() failed>"
    return f"{name}: {message}" if message else name


def fail(error: BaseException, code: int = reply.EXCEPTION) -> None:
    """Answers with the error."""
    if isinstance(error, MemoryError):
        code = reply.OUT_OF_MEMORY
    elif isinstance(error, reply.InvalidReply):
        return reply.fail(reply.INVALID_REPLY, str(error))
    elif code == reply.LOAD_EXCEPTION and isinstance(error, SyntaxError) and (error.filename or "").startswith(_PROGRAM):
        code = reply.SYNTAX_ERROR
    try:
        report, message = text(error), line(error)
    except MemoryError:
        report, message = "", type(error).__name__
    reply.fail(code, message, report)


def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """sys.excepthook."""
    if error.__traceback__ is None:
        error.__traceback__ = trace
    print(text(error), file=sys.stderr)
