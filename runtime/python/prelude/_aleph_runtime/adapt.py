"""What libraries are told that they would not find out: run when they are imported."""

from __future__ import annotations

import contextvars
import importlib.abc
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def _anyio(module: Any) -> None:
    """anyio runs in threads what would block: here it runs at once. And a broken stream says what broke it."""
    from .loop import inline

    async def run_sync_in_worker_thread(cls: type, func: Callable[..., Any], args: tuple[Any, ...], abandon_on_cancel: bool = False,
                                        limiter: Any = None) -> Any:
        context = contextvars.copy_context()
        if hasattr(module, "sniffio"):
            context.run(module.sniffio.current_async_library_cvar.set, None)
        return context.run(inline, func, *args)

    def text(self: Exception) -> str:
        return Exception.__str__(self) or str(self.__cause__ or "")

    module.BrokenResourceError.__str__ = text
    module.AsyncIOBackend.run_sync_in_worker_thread = classmethod(run_sync_in_worker_thread)


def _starlette(module: Any) -> None:
    """Starlette wants the root in the path: it takes it off itself, and its redirects keep it."""
    from starlette import _utils

    if not hasattr(_utils, "get_route_path"):
        return  # older than that
    call = module.Starlette.__call__

    async def __call__(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and "app" not in scope and scope.get("root_path"):  # not one that is mounted in another
            scope["path"] = scope["root_path"] + scope["path"]
        await call(self, scope, receive, send)

    module.Starlette.__call__ = __call__


_ADAPTED = {"anyio._backends._asyncio": _anyio, "starlette.applications": _starlette}


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, adapt: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._adapt = adapt

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._adapt(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        adapt = _ADAPTED.get(name)
        if adapt is None:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, adapt)
                return spec
        return None


def install() -> None:
    sys.meta_path.insert(0, _Finder())
