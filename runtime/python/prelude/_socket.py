"""Sockets of a function: TCP connections that speak HTTP/1.1, made by the node (_aleph_runtime.connection). Names are
resolved by the node, too: an address here is what was asked for."""

from __future__ import annotations

import errno as _errno
from typing import Any as _Any, NoReturn as _NoReturn

from _aleph_runtime.connection import Connection as _Connection
from _aleph_runtime.operations import wait_until as _wait_until

del annotations  # socket takes every public name

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6 = 0, 1, 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 3
SOCK_NONBLOCK, SOCK_CLOEXEC = 2048, 524288
IPPROTO_IP, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6 = 0, 1, 6, 17, 41
SOL_SOCKET, SOL_IP, SOL_TCP, SOL_UDP = 1, 0, 6, 17
SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_LINGER, SO_REUSEPORT = 2, 3, 4, 6, 7, 8, 9, 13, 15
TCP_NODELAY, TCP_MAXSEG, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_QUICKACK, TCP_USER_TIMEOUT = 1, 2, 4, 5, 6, 12, 18
IPV6_V6ONLY = 26
SHUT_RD, SHUT_WR, SHUT_RDWR = 0, 1, 2
SOMAXCONN = 4096
MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, MSG_NOSIGNAL = 2, 256, 64, 16384
AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST, AI_V4MAPPED, AI_ALL, AI_ADDRCONFIG, AI_NUMERICSERV = 1, 2, 4, 8, 16, 32, 1024
EAI_FAMILY, EAI_NONAME, EAI_SERVICE, EAI_SOCKTYPE, EAI_AGAIN, EAI_FAIL = -6, -2, -8, -7, -3, -4
NI_NUMERICHOST, NI_NUMERICSERV, NI_NOFQDN, NI_NAMEREQD, NI_DGRAM = 1, 2, 4, 8, 16
INADDR_ANY, INADDR_BROADCAST, INADDR_LOOPBACK, INADDR_NONE = 0, 0xFFFFFFFF, 0x7F000001, 0xFFFFFFFF
has_ipv6 = False

error = OSError
timeout = TimeoutError


class herror(OSError):
    pass


class gaierror(OSError):
    pass


_services = {"http": 80, "https": 443, "http-alt": 8080, "ftp": 21, "ssh": 22, "smtp": 25, "domain": 53}
_default_timeout: float | None = None
_open: dict[int, _Descriptor] = {}  # descriptors by number
_next = 1 << 20  # far from the numbers of files


class _Descriptor:
    __slots__ = ("family", "type", "proto", "connection")

    family: int
    type: int
    proto: int
    connection: _Connection | None


class socket:
    """socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None)"""

    __slots__ = ("_number", "_descriptor", "_timeout")

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        global _next
        self._timeout = _default_timeout
        if fileno is not None:
            self._descriptor: _Descriptor | None = _open.get(fileno)
            if self._descriptor is None:
                raise OSError(_errno.EBADF, "Bad file descriptor")
            self._number = fileno
            return
        descriptor = _Descriptor()
        descriptor.family = AF_INET if family == -1 else int(family)
        descriptor.type = SOCK_STREAM if type == -1 else int(type) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)
        descriptor.proto = 0 if proto == -1 else proto
        descriptor.connection = None
        self._descriptor = descriptor
        self._number = _next
        _next += 1
        _open[self._number] = descriptor

    @property
    def family(self) -> int:
        return self._descriptor.family if self._descriptor else AF_INET

    @property
    def type(self) -> int:
        return self._descriptor.type if self._descriptor else SOCK_STREAM

    @property
    def proto(self) -> int:
        return self._descriptor.proto if self._descriptor else 0

    @property
    def timeout(self) -> float | None:
        return self._timeout

    @property
    def connection(self) -> _Connection:
        if self._descriptor is None:
            raise OSError(_errno.EBADF, "Bad file descriptor")
        if self._descriptor.connection is None:
            raise OSError(_errno.ENOTCONN, "Transport endpoint is not connected")
        return self._descriptor.connection

    def connect(self, address: _Any) -> None:
        if self._descriptor is None:
            raise OSError(_errno.EBADF, "Bad file descriptor")
        if self._descriptor.connection is not None:
            raise OSError(_errno.EISCONN, "Transport endpoint is already connected")
        if self.type != SOCK_STREAM or self.family not in (AF_INET, AF_INET6):
            raise OSError(_errno.EPROTONOSUPPORT,
                          "a function's connections are TCP that speaks HTTP/1.1; there are no UDP, raw and Unix sockets")
        host, port = address[:2]
        if isinstance(host, (bytes, bytearray)):
            host = bytes(host).decode("ascii")
        self._descriptor.connection = _Connection(host, int(port))

    def connect_ex(self, address: _Any) -> int | None:
        try:
            self.connect(address)
        except OSError as error:
            return error.errno
        return 0

    def _refuse(self, *args: _Any) -> _NoReturn:
        raise OSError(_errno.EOPNOTSUPP, "a function cannot listen on a port: the node calls its handler")

    listen = _accept = _refuse

    def bind(self, address: _Any) -> None:
        if address[1] or self.type != SOCK_STREAM:
            self._refuse()

    def send(self, data: _Any, flags: int = 0) -> int:
        connection = self.connection
        data = memoryview(data).cast("B")
        if self._timeout == 0 and not connection.writable:
            raise BlockingIOError(_errno.EAGAIN, "Resource temporarily unavailable")
        if not _wait_until(lambda: connection.writable, self._timeout):
            raise TimeoutError("timed out")
        data = data[:1 << 20]
        connection.feed(data)
        return len(data)

    def sendall(self, data: _Any, flags: int = 0) -> None:
        data = memoryview(data).cast("B")
        while data:
            data = data[self.send(data):]

    def sendto(self, data: _Any, *args: _Any) -> int:
        if len(args) > 1 or args and self._descriptor is not None and self._descriptor.connection is None:
            raise OSError(_errno.EPROTONOSUPPORT, "a function's connections are TCP that speaks HTTP/1.1; there is no UDP")
        return self.send(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        connection = self.connection
        if not connection.readable:
            if self._timeout == 0 or flags & MSG_DONTWAIT:
                connection.flush()
                raise BlockingIOError(_errno.EAGAIN, "Resource temporarily unavailable")
            connection.expect()
            if not _wait_until(lambda: connection.readable, self._timeout):
                raise TimeoutError("timed out")
        if flags & MSG_PEEK:
            return bytes(connection.output[:size])
        return connection.take(size)

    def recv_into(self, buffer: _Any, nbytes: int = 0, flags: int = 0) -> int:
        buffer = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(buffer), flags)
        buffer[:len(data)] = data
        return len(data)

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, None]:
        return self.recv(size, flags), None

    def recvfrom_into(self, buffer: _Any, nbytes: int = 0, flags: int = 0) -> tuple[int, None]:
        return self.recv_into(buffer, nbytes, flags), None

    def close(self) -> None:
        if self._descriptor is not None:
            _open.pop(self._number, None)
            connection, self._descriptor = self._descriptor.connection, None
            if connection is not None:
                connection.close()

    def detach(self) -> int:
        number = self.fileno()
        self._descriptor = None
        return number

    def fileno(self) -> int:
        return self._number if self._descriptor is not None else -1

    def shutdown(self, how: int) -> None:
        if how != SHUT_WR:
            self.connection.close()

    def setblocking(self, flag: object) -> None:
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        return self._timeout != 0

    def settimeout(self, value: float | None) -> None:
        if value is not None:
            value = float(value)
            if value < 0:
                raise ValueError("Timeout value out of range")
        self._timeout = value

    def gettimeout(self) -> float | None:
        return self._timeout

    def getpeername(self) -> tuple[str, int]:
        return self.connection.host, self.connection.port

    def getsockname(self) -> tuple[str, int]:
        return "0.0.0.0", 0

    def setsockopt(self, *args: _Any) -> None:
        pass

    def getsockopt(self, level: int, option: int, size: int | None = None) -> int | bytes:
        value = self.type if (level, option) == (SOL_SOCKET, SO_TYPE) else 0
        return value if size is None else value.to_bytes(size, "little")


SocketType = socket


def getaddrinfo(host: _Any, port: _Any, family: int = 0, type: int = 0, proto: int = 0,
                flags: int = 0) -> list[tuple[int, int, int, str, tuple[_Any, ...]]]:
    """One address: the name itself, which the node resolves."""
    if host is None:
        host = "localhost"
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii")
    if port is None:
        port = 0
    elif not isinstance(port, int):
        name = port.decode("ascii") if isinstance(port, bytes) else port
        port = int(name) if name.isdecimal() else _services.get(name)
        if port is None:
            raise gaierror(EAI_SERVICE, "Servname not supported for ai_socktype")
    v6 = ":" in host
    if family not in (0, AF_INET6 if v6 else AF_INET):
        raise gaierror(EAI_FAMILY, "ai_family not supported")
    if flags & AI_NUMERICHOST and not v6:
        try:
            inet_aton(host)
        except OSError:
            raise gaierror(EAI_NONAME, "Name or service not known") from None
    kinds = [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)]
    address = (host, port, 0, 0) if v6 else (host, port)
    return [(AF_INET6 if v6 else AF_INET, kind, number, host if flags & AI_CANONNAME else "", address)
            for kind, number in kinds if type in (0, kind) and proto in (0, number)]


def getnameinfo(address: _Any, flags: int) -> tuple[str, str]:
    host, port = address[:2]
    return host, str(port)


def gethostbyname(name: str) -> str:
    return name


def gethostbyname_ex(name: str) -> tuple[str, list[str], list[str]]:
    return name, [], [name]


def gethostbyaddr(name: str) -> tuple[str, list[str], list[str]]:
    return name, [], [name]


def gethostname() -> str:
    return "localhost"


def sethostname(name: str) -> _NoReturn:
    raise PermissionError(_errno.EPERM, "Operation not permitted")


def getservbyname(name: str, protocol: str | None = None) -> int:
    if name not in _services:
        raise OSError("service/proto not found")
    return _services[name]


def getservbyport(port: int, protocol: str | None = None) -> str:
    for name, number in _services.items():
        if number == port:
            return name
    raise OSError("port/proto not found")


def getprotobyname(name: str) -> int:
    try:
        return {"icmp": 1, "tcp": 6, "udp": 17}[name]
    except KeyError:
        raise OSError("protocol not found") from None


def getdefaulttimeout() -> float | None:
    return _default_timeout


def setdefaulttimeout(value: float | None) -> None:
    global _default_timeout
    _default_timeout = None if value is None else float(value)


def close(number: int) -> None:
    socket(fileno=number).close()


def dup(number: int) -> _NoReturn:
    raise OSError(_errno.EOPNOTSUPP, "a function's connections cannot be duplicated")


def ntohs(number: int) -> int:
    return int.from_bytes(number.to_bytes(2, "little"), "big")


def ntohl(number: int) -> int:
    return int.from_bytes(number.to_bytes(4, "little"), "big")


htons, htonl = ntohs, ntohl


def inet_aton(text: str) -> bytes:
    parts = text.split(".")
    try:
        numbers = [int(part) for part in parts]
        if len(parts) != 4 or not all(part.isdecimal() for part in parts):
            raise ValueError
        return bytes(numbers)
    except ValueError:
        raise OSError("illegal IP address string passed to inet_aton") from None


def inet_ntoa(packed: _Any) -> str:
    if len(packed) != 4:
        raise OSError("packed IP wrong length")
    return ".".join(map(str, bytes(packed)))


def inet_pton(family: int, text: str) -> bytes:
    from ipaddress import IPv4Address, IPv6Address
    try:
        return (IPv4Address if family == AF_INET else IPv6Address)(text).packed
    except ValueError:
        raise OSError("illegal IP address string passed to inet_pton") from None


def inet_ntop(family: int, packed: _Any) -> str:
    from ipaddress import IPv4Address, IPv6Address
    try:
        return str((IPv4Address if family == AF_INET else IPv6Address)(bytes(packed)))
    except ValueError:
        raise ValueError("invalid length of packed IP address string") from None


def if_nameindex() -> list[tuple[int, str]]:
    return [(1, "lo")]


def if_nametoindex(name: str) -> int:
    if name != "lo":
        raise OSError("no interface with this name")
    return 1


def if_indextoname(index: int) -> str:
    if index != 1:
        raise OSError("no interface with this index")
    return "lo"


CAPI = None
