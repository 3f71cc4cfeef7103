"""The event loop: asyncio's own, waiting for operations of the node instead of sockets.

Timers become one sleep operation, the earliest one's. What another thread would do is done at once, in the only one.
"""

from __future__ import annotations

import asyncio
import asyncio.base_events
import asyncio.events
import concurrent.futures
import concurrent.futures.thread
import contextvars
import math
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from . import operations
from .operations import SLEEP, Operation

if TYPE_CHECKING:
    import collections

    from .transport import Transport

_T = TypeVar("_T")


class _Waiter:
    """The selector: it waits for operations, whose callbacks make the loop's handles ready."""

    _loop: Loop

    def __init__(self) -> None:
        self._timer: Operation | None = None
        self._due = math.inf

    def select(self, timeout: float | None) -> tuple[()]:
        operations.poll()
        if timeout is not None and timeout <= 0 or self._loop._ready:
            return ()
        if operations.is_loading():
            what = "a timer" if timeout is not None else "something that does not happen"
            raise RuntimeError(f"the event loop would wait for {what}: nothing can be awaited while the program is loaded, "
                               "only while it handles an event")
        if timeout is not None:
            due = time.monotonic() + timeout
            if self._timer is not None and (self._timer.result is not None or self._due > due):
                self._timer.cancel()
                self._timer = None
            if self._timer is None:
                self._due = due
                self._timer = Operation(SLEEP, operations.sleep_request(timeout))
        operations.wait_any()
        return ()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def inline(function: Callable[..., _T], *args: Any) -> _T:
    """Runs what another thread would run, as if no loop were running."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return function(*args)
    finally:
        asyncio._set_running_loop(running)


class Loop(asyncio.base_events.BaseEventLoop):
    """asyncio's event loop on the operations of the node."""

    if TYPE_CHECKING:  # of BaseEventLoop
        _ready: collections.deque[Any]
        _scheduled: list[asyncio.TimerHandle]
        _thread_id: int | None
        _run_once: Callable[[], None]
        _check_closed: Callable[[], None]
        _asyncgen_firstiter_hook: Callable[[Any], None]
        _asyncgen_finalizer_hook: Callable[[Any], None]

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Waiter()
        self._selector._loop = self
        self._clock_resolution = 1e-6

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def close(self) -> None:
        if not self.is_closed():
            self._selector.close()
        super().close()

    def run(self, awaitable: Awaitable[_T]) -> _T:
        """run_until_complete, for the engine's own loop, which nothing stops and whose hooks are set once."""
        task = self.create_task(awaitable) if asyncio.iscoroutine(awaitable) else asyncio.ensure_future(awaitable, loop=self)
        self._thread_id = threading.get_ident()
        asyncio._set_running_loop(self)
        try:
            ready = self._ready
            for _ in range(len(ready)):  # most handlers end here
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
            while not task.done():
                self._run_once()
        finally:
            self._thread_id = None
            asyncio._set_running_loop(None)
        return task.result()

    def run_in_executor(self, executor: Any, func: Callable[..., _T],  # type: ignore[override]
                        *args: Any) -> asyncio.Future[_T]:
        self._check_closed()
        future: asyncio.Future[_T] = self.create_future()
        try:
            result = inline(func, *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error, StopIteration):
                error = RuntimeError("StopIteration was raised in an executor")
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    def set_default_executor(self, executor: Any) -> None:
        pass

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        pass

    async def getaddrinfo(self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        return socket.getaddrinfo(host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Any:
        return socket.getnameinfo(sockaddr, flags)

    async def create_connection(self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, *, ssl: Any = None,
                                sock: Any = None, server_hostname: str | None = None, **_: Any) -> tuple[Transport, Any]:
        from .transport import Transport
        if sock is None:
            sock = socket.create_connection((host, port))
        elif host is not None or port is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        if ssl:
            from ssl import connection_context
            connection_context(ssl, sock.connection, server_hostname or host)
        transport = Transport(self, sock, protocol_factory())
        await transport.begin()
        return transport, transport.get_protocol()

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, *, server_side: bool = False,
                        server_hostname: str | None = None, **_: Any) -> Any:
        from ssl import connection_context
        connection_context(sslcontext, transport.connection, server_hostname)
        transport.set_protocol(protocol)
        return transport

    async def sock_connect(self, sock: Any, address: Any) -> None:
        sock.connect(address)

    async def sock_recv(self, sock: Any, n: int) -> bytes:
        await sock.connection.until_readable(self)
        return sock.recv(n)

    async def sock_recv_into(self, sock: Any, buffer: Any) -> int:
        await sock.connection.until_readable(self)
        return sock.recv_into(buffer)

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        sock.connection.feed(data)

    async def create_server(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise OSError("a function cannot listen on a port: the node calls its handler")

    create_unix_server = create_server

    async def create_unix_connection(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise OSError("a function has no Unix sockets; its connections go over HTTP")

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise OSError("a function has no UDP; its connections go over HTTP")

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise OSError("a function cannot start processes")

    subprocess_shell = subprocess_exec

    async def connect_read_pipe(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise OSError("a function has no pipes")

    connect_write_pipe = connect_read_pipe

    def add_reader(self, *args: Any) -> NoReturn:  # type: ignore[override]
        raise NotImplementedError("sockets of a function cannot be watched by add_reader; use loop.create_connection")

    add_writer = add_reader  # type: ignore[assignment]

    def remove_reader(self, fd: Any) -> bool:
        return False

    remove_writer = remove_reader


class Policy(asyncio.events.BaseDefaultEventLoopPolicy):
    _loop_factory = Loop


def _submit(self: Any, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[_T]:
    """ThreadPoolExecutor.submit: there are no threads, so it runs here and now."""
    if self._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    future: concurrent.futures.Future[_T] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    try:
        result = contextvars.copy_context().run(inline, lambda: fn(*args, **kwargs))
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    return future


def install() -> Loop:
    """Makes it the loop of asyncio.run and of all that asks asyncio for one. Returns the one on which handlers run."""
    asyncio.SelectorEventLoop = asyncio.EventLoop = Loop  # type: ignore
    asyncio.DefaultEventLoopPolicy = Policy  # type: ignore
    asyncio.set_event_loop_policy(Policy())  # type: ignore[abstract]
    concurrent.futures.thread.ThreadPoolExecutor.submit = _submit  # type: ignore[method-assign]
    time.sleep = operations.sleep  # type: ignore[assignment]
    loop = Loop()
    sys.set_asyncgen_hooks(firstiter=loop._asyncgen_firstiter_hook, finalizer=loop._asyncgen_finalizer_hook)
    asyncio.set_event_loop(loop)
    return loop


def pending(loop: Loop, but: Collection[asyncio.Task[Any] | None] = ()) -> str:
    """What the loop has still to do, in words; empty if nothing."""
    tasks = [task for task in asyncio.all_tasks(loop) if task not in but]
    if tasks:
        names = ", ".join(sorted(getattr(task.get_coro(), "__qualname__", None) or task.get_name() for task in tasks))
        return f"{'a task is' if len(tasks) == 1 else 'tasks are'} pending: {names}"
    timers = [handle for handle in loop._scheduled if not handle.cancelled()]
    if timers:
        return "a timer is armed"
    return ""
