"""TLS of a function's connections, which the node makes: it verifies certificates by its own roots, always.

The names of Python's ssl are here, so that HTTP clients find what they import. A context decides nothing but whether it would
verify: one that would not is refused when it is used. Instead of encrypting, a connection is marked as https; where the bytes
go through a MemoryBIO, a first line marks it.
"""

from __future__ import annotations

import enum
import os
import re
import socket as _socket
import time
from base64 import b64decode as _b64decode, encodebytes as _encodebytes
from collections import namedtuple
from collections.abc import Iterable as _Iterable
from socket import socket  # noqa: F401  (part of ssl's names)
from typing import TYPE_CHECKING as _TYPE_CHECKING, Any as _Any, Literal as _Literal, NoReturn as _NoReturn

from _aleph_runtime.connection import HELLO as _HELLO

if _TYPE_CHECKING:
    from _aleph_runtime.connection import Connection as _Connection

OPENSSL_VERSION = "OpenSSL 3.0.0 (by the node)"
OPENSSL_VERSION_INFO = (3, 0, 0, 0, 0)
OPENSSL_VERSION_NUMBER = 0x30000000
_OPENSSL_API_VERSION = OPENSSL_VERSION_INFO
_DEFAULT_CIPHERS = "DEFAULT"
HAS_SNI = HAS_ALPN = HAS_TLSv1_2 = HAS_TLSv1_3 = HAS_NEVER_CHECK_COMMON_NAME = True
HAS_NPN = HAS_ECDH = HAS_SSLv2 = HAS_SSLv3 = HAS_TLSv1 = HAS_TLSv1_1 = HAS_PSK = False
SOCK_STREAM, SOL_SOCKET, SO_TYPE = _socket.SOCK_STREAM, _socket.SOL_SOCKET, _socket.SO_TYPE
CHANNEL_BINDING_TYPES: list[str] = []
socket_error = OSError


class VerifyMode(enum.IntEnum):
    CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = range(3)


class _SSLMethod(enum.IntEnum):
    PROTOCOL_TLS = PROTOCOL_SSLv23 = 2
    PROTOCOL_TLSv1 = 3
    PROTOCOL_TLSv1_1 = 4
    PROTOCOL_TLSv1_2 = 5
    PROTOCOL_TLS_CLIENT = 16
    PROTOCOL_TLS_SERVER = 17


class TLSVersion(enum.IntEnum):
    MINIMUM_SUPPORTED, SSLv3, TLSv1, TLSv1_1, TLSv1_2, TLSv1_3, MAXIMUM_SUPPORTED = -2, 768, 769, 770, 771, 772, -1


class Options(enum.IntFlag):
    OP_ALL = 0x80000050
    OP_NO_SSLv2 = 0
    OP_NO_SSLv3 = 0x02000000
    OP_NO_TLSv1 = 0x04000000
    OP_NO_TLSv1_1 = 0x10000000
    OP_NO_TLSv1_2 = 0x08000000
    OP_NO_TLSv1_3 = 0x20000000
    OP_CIPHER_SERVER_PREFERENCE = 0x00400000
    OP_SINGLE_DH_USE = OP_SINGLE_ECDH_USE = 0
    OP_NO_COMPRESSION = 0x00020000
    OP_NO_TICKET = 0x00004000
    OP_NO_RENEGOTIATION = 0x40000000
    OP_ENABLE_MIDDLEBOX_COMPAT = 0x00100000
    OP_IGNORE_UNEXPECTED_EOF = 0x00000080
    OP_ENABLE_KTLS = 0x00000008
    OP_LEGACY_SERVER_CONNECT = 0x00000004


class VerifyFlags(enum.IntFlag):
    VERIFY_DEFAULT = 0
    VERIFY_CRL_CHECK_LEAF = 4
    VERIFY_CRL_CHECK_CHAIN = 12
    VERIFY_X509_STRICT = 32
    VERIFY_ALLOW_PROXY_CERTS = 64
    VERIFY_X509_TRUSTED_FIRST = 32768
    VERIFY_X509_PARTIAL_CHAIN = 524288


class SSLErrorNumber(enum.IntEnum):
    (SSL_ERROR_SSL, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_WANT_X509_LOOKUP, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN,
     SSL_ERROR_WANT_CONNECT, SSL_ERROR_EOF, SSL_ERROR_INVALID_ERROR_CODE) = range(1, 10)


class AlertDescription(enum.IntEnum):
    ALERT_DESCRIPTION_CLOSE_NOTIFY = 0
    ALERT_DESCRIPTION_HANDSHAKE_FAILURE = 40
    ALERT_DESCRIPTION_BAD_CERTIFICATE = 42
    ALERT_DESCRIPTION_UNKNOWN_CA = 48
    ALERT_DESCRIPTION_INTERNAL_ERROR = 80


for _kind in (VerifyMode, _SSLMethod, Options, VerifyFlags, SSLErrorNumber, AlertDescription):
    globals().update(_kind.__members__)
AF_INET = _socket.AF_INET


class Purpose(enum.Enum):
    SERVER_AUTH = (129, "serverAuth", "TLS Web Server Authentication", "1.3.6.1.5.5.7.3.1")
    CLIENT_AUTH = (130, "clientAuth", "TLS Web Client Authentication", "1.3.6.1.5.5.7.3.2")


class SSLError(OSError):
    library = reason = None
    verify_code: int
    verify_message: str

    def __str__(self) -> str:
        return str(self.strerror or (self.args[0] if self.args else ""))


class SSLZeroReturnError(SSLError):
    pass


class SSLWantReadError(SSLError):
    pass


class SSLWantWriteError(SSLError):
    pass


class SSLSyscallError(SSLError):
    pass


class SSLEOFError(SSLError):
    pass


class SSLCertVerificationError(SSLError, ValueError):
    pass


CertificateError = SSLCertVerificationError

DefaultVerifyPaths = namedtuple("DefaultVerifyPaths", "cafile capath openssl_cafile_env openssl_cafile openssl_capath_env openssl_capath")


def get_default_verify_paths() -> DefaultVerifyPaths:
    return DefaultVerifyPaths(None, None, "SSL_CERT_FILE", "/etc/ssl/cert.pem", "SSL_CERT_DIR", "/etc/ssl/certs")


def _only_clients() -> _NoReturn:
    raise SSLError("a function cannot be a TLS server: the node calls its handler")


class SSLContext:
    """The settings of TLS connections. Only check_hostname and verify_mode matter, and they have to ask for verification."""

    def __new__(cls, protocol: int | None = None, *args: _Any, **kwargs: _Any) -> SSLContext:
        return super().__new__(cls)

    def __init__(self, protocol: int | None = _SSLMethod.PROTOCOL_TLS) -> None:
        self.protocol = _SSLMethod(_SSLMethod.PROTOCOL_TLS if protocol is None else protocol)
        client = self.protocol == _SSLMethod.PROTOCOL_TLS_CLIENT
        self._verify_mode = VerifyMode.CERT_REQUIRED if client else VerifyMode.CERT_NONE
        self._check_hostname = client
        self.options = Options.OP_ALL | Options.OP_NO_SSLv3
        self.verify_flags = VerifyFlags.VERIFY_X509_TRUSTED_FIRST
        self.minimum_version = TLSVersion.TLSv1_2
        self.maximum_version = TLSVersion.MAXIMUM_SUPPORTED
        self.hostname_checks_common_name = False
        self.post_handshake_auth = False
        self.keylog_filename = None
        self.sni_callback = None
        self.security_level = 2
        self.num_tickets = 2
        self.sslsocket_class = SSLSocket
        self.sslobject_class = SSLObject
        self._alpn: tuple[str, ...] = ()

    @property
    def check_hostname(self) -> bool:
        return self._check_hostname

    @check_hostname.setter
    def check_hostname(self, value: object) -> None:
        self._check_hostname = bool(value)
        if value and self._verify_mode == VerifyMode.CERT_NONE:
            self._verify_mode = VerifyMode.CERT_REQUIRED

    @property
    def verify_mode(self) -> VerifyMode:
        return self._verify_mode

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        if self._check_hostname and value == VerifyMode.CERT_NONE:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        self._verify_mode = VerifyMode(value)

    def set_alpn_protocols(self, protocols: _Iterable[str]) -> None:
        self._alpn = tuple(protocols)

    def load_verify_locations(self, cafile: _Any = None, capath: _Any = None, cadata: _Any = None) -> None:
        for path in (cafile, capath):
            if path is not None and not os.path.exists(path):
                raise FileNotFoundError(2, "No such file or directory", path)

    def load_cert_chain(self, certfile: _Any, keyfile: _Any = None, password: _Any = None) -> _NoReturn:
        raise SSLError("client certificates cannot be used: the node makes the TLS connections")

    def _nothing(self, *args: _Any, **kwargs: _Any) -> None:
        pass

    load_default_certs = set_default_verify_paths = set_ciphers = set_ecdh_curve = load_dh_params = set_npn_protocols = _nothing
    set_servername_callback = set_psk_client_callback = set_psk_server_callback = _nothing

    def get_ca_certs(self, binary_form: bool = False) -> list[_Any]:
        return []

    def get_ciphers(self) -> list[_Any]:
        return []

    def cert_store_stats(self) -> dict[str, int]:
        return {"x509": 1, "crl": 0, "x509_ca": 1}

    def session_stats(self) -> dict[str, int]:
        return {}

    def wrap_socket(self, sock: socket, server_side: bool = False, do_handshake_on_connect: bool = True,
                    suppress_ragged_eofs: bool = True, server_hostname: str | None = None, session: _Any = None) -> SSLSocket:
        return self.sslsocket_class._create(sock, self, server_side, server_hostname)

    def wrap_bio(self, incoming: MemoryBIO, outgoing: MemoryBIO, server_side: bool = False, server_hostname: str | None = None,
                 session: _Any = None) -> SSLObject:
        return self.sslobject_class._create(incoming, outgoing, self, server_side, server_hostname)


def _check(context: SSLContext) -> None:
    if context._verify_mode == VerifyMode.CERT_NONE:
        raise SSLError("certificates are always verified, by the node: verify=False and ssl.CERT_NONE are not available in a function")


def connection_context(context: SSLContext | _Literal[True], connection: _Connection, server_hostname: str | None) -> SSLContext:
    """Marks the connection as one of TLS. context True is the default one."""
    if context is True:
        context = create_default_context()
    _check(context)
    connection.tls = context
    return context


class _TLS:
    """What is known of a connection of TLS, without seeing it."""

    __slots__ = ()

    server_side = False
    session = None
    context: SSLContext
    server_hostname: str | None
    session_reused = False

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return "TLS_AES_128_GCM_SHA256", "TLSv1.3", 128

    def shared_ciphers(self) -> None:
        return None

    def compression(self) -> None:
        return None

    def selected_alpn_protocol(self) -> str | None:
        return "http/1.1" if "http/1.1" in getattr(self.context, "_alpn", ()) else None

    def selected_npn_protocol(self) -> None:
        return None

    def getpeercert(self, binary_form: bool = False) -> bytes | dict[str, _Any]:
        return b"" if binary_form else {}

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None:
        return None

    def verify_client_post_handshake(self) -> _NoReturn:
        raise SSLError("client certificates cannot be used: the node makes the TLS connections")


class SSLObject(_TLS):
    """TLS over a pair of MemoryBIO."""

    _incoming: MemoryBIO
    _outgoing: MemoryBIO
    _greeted: bool

    def __init__(self, *args: _Any, **kwargs: _Any) -> None:
        raise TypeError(f"{type(self).__name__} does not have a public constructor. Instances are returned by SSLContext.wrap_bio().")

    @classmethod
    def _create(cls, incoming: MemoryBIO, outgoing: MemoryBIO, context: SSLContext, server_side: bool,
                server_hostname: str | None) -> SSLObject:
        if server_side:
            _only_clients()
        _check(context)
        self = cls.__new__(cls)
        self.context, self.server_hostname = context, server_hostname
        self._incoming, self._outgoing, self._greeted = incoming, outgoing, False
        return self

    @classmethod
    def _of(cls, connection: _Connection) -> SSLObject:
        self = cls.__new__(cls)
        self.context = connection.tls if isinstance(connection.tls, SSLContext) else create_default_context()
        self.server_hostname = connection.host
        return self

    def do_handshake(self) -> None:
        if not self._greeted:
            self._greeted = True
            self._outgoing.write(_HELLO + b"\n")

    def read(self, len: int = 1024, buffer: _Any = None) -> bytes | int:
        if not self._incoming.pending:
            if self._incoming.eof:
                raise SSLZeroReturnError(SSLErrorNumber.SSL_ERROR_ZERO_RETURN, "TLS/SSL connection has been closed (EOF)")
            raise SSLWantReadError(SSLErrorNumber.SSL_ERROR_WANT_READ, "The operation did not complete (read)")
        data = self._incoming.read(len)
        if buffer is None:
            return data
        buffer[:data.__len__()] = data
        return data.__len__()

    def write(self, data: _Any) -> int:
        self.do_handshake()
        return self._outgoing.write(data)

    def pending(self) -> int:
        return self._incoming.pending

    def unwrap(self) -> None:
        pass


class MemoryBIO:
    """A queue of bytes."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False

    @property
    def pending(self) -> int:
        return len(self._data)

    @property
    def eof(self) -> bool:
        return self._ended and not self._data

    def read(self, size: int | None = -1) -> bytes:
        size = len(self._data) if size is None or size < 0 else size
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def write(self, data: _Any) -> int:
        self._data += data
        return len(data)

    def write_eof(self) -> None:
        self._ended = True


class SSLSession:
    pass


class SSLSocket(_TLS, _socket.socket):
    """A connection that the node encrypts."""

    def __init__(self, *args: _Any, **kwargs: _Any) -> None:
        raise TypeError(f"{type(self).__name__} does not have a public constructor. Instances are returned by SSLContext.wrap_socket().")

    @classmethod
    def _create(cls, sock: socket, context: SSLContext, server_side: bool, server_hostname: str | None) -> SSLSocket:
        if server_side:
            _only_clients()
        _check(context)
        if context.check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        if getattr(sock, "_descriptor", None) is None:
            raise OSError(9, "Bad file descriptor")
        self = cls.__new__(cls)
        timeout = sock.gettimeout()
        _socket.socket.__init__(self, fileno=sock.detach())
        self.settimeout(timeout)
        self.context, self.server_hostname = context, server_hostname
        if self._descriptor is not None and self._descriptor.connection is not None:
            connection_context(context, self.connection, server_hostname)
        return self

    def connect(self, address: _Any) -> None:
        super().connect(address)
        connection_context(self.context, self.connection, self.server_hostname)

    def connect_ex(self, address: _Any) -> int | None:
        error = super().connect_ex(address)
        if not error:
            connection_context(self.context, self.connection, self.server_hostname)
        return error

    @property
    def _sslobj(self) -> SSLSocket:  # httpcore asks it for the protocol
        return self

    def do_handshake(self, block: bool = False) -> None:
        _ = self.connection

    def read(self, len: int = 1024, buffer: _Any = None) -> bytes | int:
        return self.recv(len) if buffer is None else self.recv_into(buffer, len)

    def write(self, data: _Any) -> int:
        return self.send(data)

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(size, flags)
        except BlockingIOError:
            raise SSLWantReadError(SSLErrorNumber.SSL_ERROR_WANT_READ, "The operation did not complete (read)") from None

    def pending(self) -> int:
        return len(self.connection.output)

    def unwrap(self) -> socket:
        return _socket.socket(fileno=self.detach())


def create_default_context(purpose: Purpose = Purpose.SERVER_AUTH, *, cafile: _Any = None, capath: _Any = None,
                           cadata: _Any = None) -> SSLContext:
    if not isinstance(purpose, Purpose):
        raise TypeError(purpose)
    if purpose is Purpose.CLIENT_AUTH:
        return SSLContext(_SSLMethod.PROTOCOL_TLS_SERVER)
    context = SSLContext(_SSLMethod.PROTOCOL_TLS_CLIENT)
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    return context


def _create_unverified_context(protocol: int | None = None, *, cert_reqs: int = VerifyMode.CERT_NONE, check_hostname: bool = False,
                               **_: _Any) -> SSLContext:
    context = SSLContext(_SSLMethod.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_hostname
    context.verify_mode = cert_reqs
    return context


_create_default_https_context = create_default_context
_create_stdlib_context = create_default_context


def match_hostname(cert: _Any, hostname: str) -> None:
    """The node has matched them."""


def get_server_certificate(addr: _Any, ssl_version: _Any = None, ca_certs: _Any = None, timeout: _Any = None) -> _NoReturn:
    raise SSLError("the node makes the TLS connections: their certificates cannot be had")


def get_protocol_name(code: int) -> str:
    return _SSLMethod(code).name


def RAND_bytes(n: int) -> bytes:
    return os.urandom(n)


def RAND_status() -> bool:
    return True


def RAND_add(data: _Any, entropy: float) -> None:
    pass


def cert_time_to_seconds(text: str) -> int:
    return int(time.mktime(time.strptime(text, "%b %d %H:%M:%S %Y GMT"))) - time.timezone


PEM_HEADER, PEM_FOOTER = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def DER_cert_to_PEM_cert(der: bytes) -> str:
    lines = re.findall(".{1,64}", _encodebytes(der).decode().replace("\n", ""))
    return "\n".join([PEM_HEADER, *lines, PEM_FOOTER, ""])


def PEM_cert_to_DER_cert(pem: str) -> bytes:
    return _b64decode(pem.strip()[len(PEM_HEADER):-len(PEM_FOOTER)])
