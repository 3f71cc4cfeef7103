"""asyncio's transport over a connection."""

import asyncio

_HIGH = 256 << 10


class Transport(asyncio.Transport):
    """What loop.create_connection gives a protocol."""

    def __init__(self, loop, sock, protocol):
        super().__init__({"socket": sock, "peername": sock.getpeername(), "sockname": sock.getsockname()})
        self._loop = loop
        self._sock = sock
        self.connection = sock.connection
        self.connection.changed = self._changed
        self._protocol = protocol
        self._reading = True
        self._closing = False
        self._lost = False
        self._scheduled = False
        self._paused = False
        self._eof = False

    async def begin(self):
        self._protocol.connection_made(self)

    def get_extra_info(self, name, default=None):
        if self.connection.tls and name in ("ssl_object", "sslcontext", "cipher", "peercert", "compression"):
            from ssl import SSLObject
            tls = SSLObject._of(self.connection)
            return {"ssl_object": tls, "sslcontext": tls.context, "cipher": tls.cipher(), "peercert": tls.getpeercert()}.get(name)
        return super().get_extra_info(name, default)

    def set_protocol(self, protocol):
        self._protocol = protocol

    def get_protocol(self):
        return self._protocol

    # Reading

    def is_reading(self):
        return self._reading and not self._closing

    def pause_reading(self):
        self._reading = False

    def resume_reading(self):
        self._reading = True
        if self.connection.readable:
            self._schedule()

    def _changed(self):
        if self._paused and self.connection.unsent <= _HIGH // 4:
            self._paused = False
            self._protocol.resume_writing()
        if self.connection.readable:
            self._schedule()

    def _schedule(self):
        if not self._scheduled and not self._lost:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self):
        self._scheduled = False
        if self._closing:
            return
        connection = self.connection
        while self._reading and connection.output and not self._closing:
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                buffer = self._protocol.get_buffer(len(connection.output))
                data = connection.take(len(buffer))
                buffer[:len(data)] = data
                self._protocol.buffer_updated(len(data))
            else:
                self._protocol.data_received(connection.take(1 << 18))
        if not self._reading or self._closing or connection.output or not connection.eof:
            return
        if connection.error is not None:
            return self._lose(connection.error)
        if not self._eof:
            self._eof = True
            if not self._protocol.eof_received():
                self.close()

    # Writing

    def write(self, data):
        if self._closing or not data:
            return
        try:
            self.connection.feed(data)
        except OSError:
            self._schedule()
            return
        self.connection.flush()
        if not self._paused and self.connection.unsent > _HIGH:
            self._paused = True
            self._protocol.pause_writing()

    def writelines(self, lines):
        self.write(b"".join(lines))

    def write_eof(self):
        pass

    def can_write_eof(self):
        return False

    def get_write_buffer_size(self):
        return self.connection.unsent

    def get_write_buffer_limits(self):
        return 0, _HIGH

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    # Its end

    def is_closing(self):
        return self._closing

    def close(self):
        self._lose(None)

    def abort(self):
        self._lose(None)

    def _lose(self, error):
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._gone, error)

    def _gone(self, error):
        if not self._lost:
            self._lost = True
            self.connection.changed = None
            self._sock.close()
            self._protocol.connection_lost(error)
