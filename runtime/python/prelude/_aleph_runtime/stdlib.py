"""What the standard library says and has in a function."""

from __future__ import annotations

import _thread
import functools
import gc
import hashlib
import os
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, NoReturn

import _aleph_hash


def _no_thread(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError("threads cannot start in a function; use asyncio (asyncio.gather, TaskGroup), or asyncio.to_thread, "
                       "which runs inline")


def _nothing(*args: Any, **kwargs: Any) -> None:
    """There are no permissions: a file belongs to the function."""


def install() -> None:
    for module, names in ((_thread, ("start_new_thread", "start_new", "start_joinable_thread")),
                          (threading, ("_start_new_thread", "_start_joinable_thread"))):
        for name in names:
            if hasattr(module, name):
                setattr(module, name, _no_thread)
    for name in ("chmod", "fchmod", "lchmod", "chown"):
        if not hasattr(os, name):
            setattr(os, name, _nothing)
    if not hasattr(os, "umask"):
        os.umask = lambda mask: 0o022
    urllib.request.AbstractHTTPHandler.do_open = _open(  # type: ignore[method-assign]
        urllib.request.AbstractHTTPHandler.do_open)
    for name in ("pbkdf2_hmac", "scrypt"):
        if hasattr(_aleph_hash, name):
            setattr(hashlib, name, getattr(_aleph_hash, name))


def _open(do_open: Callable[..., Any]) -> Callable[..., Any]:
    """urllib's do_open, with a URLError for what a client usually meets when it connects; here it comes with the answer."""
    @functools.wraps(do_open)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return do_open(*args, **kwargs)
        except OSError as error:
            if getattr(error, "connecting", False) and not isinstance(error, TimeoutError):
                raise urllib.error.URLError(error) from None
            raise
    return wrapped


def forget_gauss() -> None:
    """Has generators forget the number that gauss() keeps for its next call: in an image it would be everyone's next."""
    for value in (random._inst, *gc.get_objects()):  # the first is the engine's own, which gc has put away
        if isinstance(value, random.Random):
            value.gauss_next = None  # type: ignore[attr-defined]
