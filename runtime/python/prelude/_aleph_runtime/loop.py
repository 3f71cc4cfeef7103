"""The event loop: asyncio's own, waiting for operations of the node instead of sockets.

Timers become one sleep operation, the earliest one's. What another thread would do is done at once, in the only one.
"""

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

from . import operations
from .operations import SLEEP, Operation


class _Waiter:
    """The selector: it waits for operations, whose callbacks make the loop's handles ready."""

    def __init__(self):
        self._timer = None
        self._due = math.inf

    def select(self, timeout):
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

    def close(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def inline(function, *args):
    """Runs what another thread would run, as if no loop were running."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return function(*args)
    finally:
        asyncio._set_running_loop(running)


class Loop(asyncio.base_events.BaseEventLoop):
    """asyncio's event loop on the operations of the node."""

    def __init__(self):
        super().__init__()
        self._selector = _Waiter()
        self._selector._loop = self
        self._clock_resolution = 1e-6

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass

    def close(self):
        if not self.is_closed():
            self._selector.close()
        super().close()

    def run(self, awaitable):
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

    def run_in_executor(self, executor, func, *args):
        self._check_closed()
        future = self.create_future()
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

    def set_default_executor(self, executor):
        pass

    async def shutdown_default_executor(self, timeout=None):
        pass

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        return socket.getaddrinfo(host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr, flags=0):
        return socket.getnameinfo(sockaddr, flags)

    async def create_connection(self, protocol_factory, host=None, port=None, *, ssl=None, sock=None, server_hostname=None,
                                ssl_handshake_timeout=None, **_):
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

    async def start_tls(self, transport, protocol, sslcontext, *, server_side=False, server_hostname=None, **_):
        from ssl import connection_context
        connection_context(sslcontext, transport.connection, server_hostname)
        transport.set_protocol(protocol)
        return transport

    async def sock_connect(self, sock, address):
        sock.connect(address)

    async def sock_recv(self, sock, n):
        await sock.connection.until_readable(self)
        return sock.recv(n)

    async def sock_recv_into(self, sock, buffer):
        await sock.connection.until_readable(self)
        return sock.recv_into(buffer)

    async def sock_sendall(self, sock, data):
        sock.connection.feed(data)

    async def create_server(self, *args, **kwargs):
        raise OSError("a function cannot listen on a port: the node calls its handler")

    create_unix_server = create_server

    async def create_unix_connection(self, *args, **kwargs):
        raise OSError("a function has no Unix sockets; its connections go over HTTP")

    async def create_datagram_endpoint(self, *args, **kwargs):
        raise OSError("a function has no UDP; its connections go over HTTP")

    async def subprocess_exec(self, *args, **kwargs):
        raise OSError("a function cannot start processes")

    subprocess_shell = subprocess_exec

    async def connect_read_pipe(self, *args, **kwargs):
        raise OSError("a function has no pipes")

    connect_write_pipe = connect_read_pipe

    def add_reader(self, *args):
        raise NotImplementedError("sockets of a function cannot be watched by add_reader; use loop.create_connection")

    add_writer = add_reader

    def remove_reader(self, fd):
        return False

    remove_writer = remove_reader


class Policy(asyncio.events.BaseDefaultEventLoopPolicy):
    _loop_factory = Loop


def _submit(self, fn, /, *args, **kwargs):
    """ThreadPoolExecutor.submit: there are no threads, so it runs here and now."""
    if self._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    future = concurrent.futures.Future()
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


def install():
    """Makes it the loop of asyncio.run and of all that asks asyncio for one. Returns the one on which handlers run."""
    asyncio.SelectorEventLoop = asyncio.EventLoop = Loop
    asyncio.DefaultEventLoopPolicy = Policy
    asyncio.set_event_loop_policy(Policy())
    concurrent.futures.thread.ThreadPoolExecutor.submit = _submit
    time.sleep = operations.sleep
    loop = Loop()
    sys.set_asyncgen_hooks(firstiter=loop._asyncgen_firstiter_hook, finalizer=loop._asyncgen_finalizer_hook)
    asyncio.set_event_loop(loop)
    return loop


def pending(loop, but=()):
    """What the loop has still to do, in words; empty if nothing."""
    tasks = [task for task in asyncio.all_tasks(loop) if task not in but]
    if tasks:
        names = ", ".join(sorted(getattr(task.get_coro(), "__qualname__", None) or task.get_name() for task in tasks))
        return f"{'a task is' if len(tasks) == 1 else 'tasks are'} pending: {names}"
    timers = [handle for handle in loop._scheduled if not handle.cancelled()]
    if timers:
        return "a timer is armed"
    return ""
