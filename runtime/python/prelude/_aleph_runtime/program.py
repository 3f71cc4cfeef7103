"""Finds a program's handler: its file, the object in it, and which kind of handler that is.

An entrypoint is empty, "file.py", "file.py:object", "module" or "package.module:object".
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from types import ModuleType
from typing import Any

FOLDER = "/app"

_FILES = ("main.py", "function.py", "handler.py", "app.py", "index.py", "wsgi.py", "asgi.py")
_NAMES = ("handler", "app", "application", "main")

_WHAT = "def handler(req), async def handler(req), or an ASGI or WSGI application named app"


class NoHandler(Exception):
    """There is no handler where it was looked for."""


def parse(entrypoint: str) -> tuple[str, str]:
    """(module or file, object) of an entrypoint; either may be empty."""
    place, colon, name = entrypoint.strip().partition(":")
    if colon and not name:
        raise NoHandler(f"the entrypoint {entrypoint!r} names no object after its colon, as in main:app")
    return place, name


def _find_file() -> str:
    files = sorted(name for name in os.listdir(FOLDER) if name.endswith((".py", ".pyc")))
    modules = {name.rpartition(".")[0]: name for name in reversed(files)}
    for name in _FILES:
        if name[:-3] in modules:
            return modules[name[:-3]]
    rest = [name for name in modules if name not in ("setup", "conftest", "__init__")]
    if len(rest) == 1:
        return modules[rest[0]]
    if not rest:
        raise NoHandler("the program has no Python file at its top: add main.py, or name the entrypoint, as in package.module:app")
    raise NoHandler(f"the program has none of {', '.join(_FILES)} among {', '.join(files)}: "
                    f"name the entrypoint, as in {rest[0]}.py or {rest[0]}:app")


def load(place: str) -> tuple[ModuleType, str]:
    """Imports the module. Returns it and its file's name."""
    if not place:
        place = _find_file()
    if place.startswith("/"):
        place = os.path.relpath(place, FOLDER)
    path = os.path.normpath(os.path.join(FOLDER, place))
    if place.endswith((".py", ".pyc")):
        if not os.path.isfile(path):
            raise NoHandler(f"the program has no file {place}; it has {', '.join(sorted(os.listdir(FOLDER))) or 'none'}")
        name = os.path.relpath(path, FOLDER).rpartition(".")[0].replace("/", ".")
        if all(part.isidentifier() for part in name.split(".")) and _is_free(name):
            return _import(name), place
        return _import_file(name.replace("-", "_"), path), place
    if not all(part.isidentifier() for part in place.split(".")):
        raise NoHandler(f"the entrypoint's module {place!r} is neither a file of the program nor a module's name")
    file = os.path.join(FOLDER, *place.split("."))
    if not _is_free(place) and os.path.isfile(file + ".py"):
        return _import_file(place, file + ".py"), place
    try:
        return _import(place), place
    except ModuleNotFoundError as error:
        if error.name == place or place.startswith(f"{error.name}."):
            raise NoHandler(f"the program has no module {place}; its files are {', '.join(sorted(os.listdir(FOLDER))) or 'none'}") from None
        raise


def _is_free(name: str) -> bool:
    """Whether nothing of Python's own has the name, whose place a file of the program would not take."""
    return name.partition(".")[0] not in sys.stdlib_module_names and name.partition(".")[0] not in sys.modules


def _import(name: str) -> ModuleType:
    __import__(name)
    return sys.modules[name]


def _import_file(name: str, path: str) -> ModuleType:
    name = "app_" + name.replace(".", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def find(module: ModuleType, name: str, place: str) -> tuple[Any, str]:
    """The object that handles requests, and its name."""
    if name:
        value: Any = module
        for part in name.split("."):
            if not hasattr(value, part):
                raise NoHandler(f"{place} has no {name}: {_defines(module)}; define {_WHAT}")
            value = getattr(value, part)
        return value, name
    for name in _NAMES:
        value = module.__dict__.get(name)
        if callable(value) and not (name == "main" and inspect.isfunction(value) and not _takes_something(value)):
            return value, name
    applications = [(value, name) for name, value in module.__dict__.items() if not name.startswith("_") and _is_application(value)]
    if len(applications) == 1:
        return applications[0]
    raise NoHandler(f"{place} has no handler: {_defines(module)}; define {_WHAT}")


def _defines(module: ModuleType) -> str:
    names = [name for name, value in module.__dict__.items() if not name.startswith("_") and not inspect.ismodule(value)]
    return f"it defines {', '.join(names[:20])}" if names else "it defines nothing"


def _takes_something(function: Any) -> bool:
    return bool(inspect.signature(function).parameters)


def _is_application(value: Any) -> bool:
    if isinstance(value, type) or inspect.isroutine(value) or not callable(value):
        return False
    try:
        return kind(value, "")[0] in ("asgi", "wsgi")
    except (NoHandler, ValueError, TypeError):
        return False


def kind(value: Any, name: str) -> tuple[str, int | str]:
    """What the object is: (its kind: plain, async, asgi, asgi2, wsgi; how it is called: 0, 1, 2 arguments or "context")."""
    if not callable(value):
        raise NoHandler(f"{name} is {type(value).__name__} and cannot be called; define {_WHAT}")
    target = value if inspect.isroutine(value) or isinstance(value, type) else value.__call__
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        parameters = [inspect.Parameter("req", inspect.Parameter.POSITIONAL_ONLY)]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [p.name for p in positional]
    required = [p for p in positional if p.default is p.empty]
    rest = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    is_async = inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(inspect.unwrap(target))
    if names[:3] == ["scope", "receive", "send"] or is_async and len(required) == 3:
        return "asgi", 3
    if names[:1] == ["scope"] and len(required) == 1:
        return "asgi2", 1
    if isinstance(value, type):
        raise NoHandler(f"{name} is a class; make an instance of it, or define {_WHAT}")
    if not is_async and len(names) >= 2 and (names[1] == "start_response" or names[0] in ("environ", "env") or
                                             not inspect.isroutine(value) and names[1].startswith("start")):
        return "wsgi", 2
    if len(required) > 2:
        raise NoHandler(f"{name} takes {len(required)} arguments ({', '.join(names)}); a handler takes req, or req and context")
    keyword = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if any(other != "context" for other in keyword):
        raise NoHandler(f"{name} needs the keyword {', '.join(keyword)}; a handler takes req, or req and context")
    if keyword or any(p.kind is p.KEYWORD_ONLY and p.name == "context" for p in parameters):
        arguments: int | str = "context"
    else:
        arguments = 2 if rest or len(positional) >= 2 else len(positional)
    return "async" if is_async else "plain", arguments
