"""print, logging and warnings to the program's log.

Standard output is the level info, standard error the level error; the C library hands both to the log by lines. logging's
root has a handler that keeps the records' levels; basicConfig replaces it as usual, and a StreamHandler on standard output
or error keeps the levels, too.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from typing import Any

import _aleph

DEBUG, INFO, WARNING, ERROR = range(4)


def _level(record: logging.LogRecord) -> int:
    number = record.levelno
    return DEBUG if number < logging.INFO else INFO if number < logging.WARNING else WARNING if number < logging.ERROR else ERROR


class LogHandler(logging.Handler):
    """A handler that writes to the program's log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _aleph.log(_level(record), self.format(record))
        except Exception:
            self.handleError(record)


def install() -> None:
    """Has all that is printed, logged and warned of go to the log. What is written is not kept here: the C library has the lines."""
    streams = []
    for number, name in (1, "stdout"), (2, "stderr"):
        raw = io.FileIO(number, "w", closefd=False)
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
        setattr(sys, f"__{name}__", stream)
        setattr(sys, name, stream)
        streams.append(stream)

    root = logging.getLogger()
    handler = LogHandler()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.lastResort = LogHandler(logging.WARNING)
    logging.raiseExceptions = True

    basic_config = logging.basicConfig

    def basicConfig(**kwargs: Any) -> None:
        root.removeHandler(handler)
        basic_config(**kwargs)

    basicConfig.__doc__ = basic_config.__doc__
    logging.basicConfig = basicConfig

    emit = logging.StreamHandler.emit

    def emit_by_level(self: logging.StreamHandler[Any], record: logging.LogRecord) -> None:
        if self.stream in streams:
            try:
                _aleph.log(_level(record), self.format(record))
            except Exception:
                self.handleError(record)
        else:
            emit(self, record)

    logging.StreamHandler.emit = emit_by_level  # type: ignore[method-assign, assignment]

    def show(message: warnings.WarningMessage) -> None:
        _aleph.log(WARNING, warnings._formatwarnmsg(message).rstrip("\n"))  # type: ignore[attr-defined]

    warnings._showwarnmsg_impl = show  # type: ignore[attr-defined]
