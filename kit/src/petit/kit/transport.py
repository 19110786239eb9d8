"""The TCP connection under a `Connection`: no detour on the way in, and nothing sent late on the way out.

What arrives is parsed in the same turn of the loop (nats-py would hand it from a stream reader to a task). What
was written and not yet sent is thrown away when a connection breaks: the socket is reset instead of closed.
"""

import asyncio
import fcntl
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import ParseResult

from nats.aio.transport import Transport
from nats.errors import ProtocolError

from petit.kit.wire import Parser

_COUNT: Final = struct.Struct("i")
_LINGER_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing throws unsent bytes away (man 7 socket)."""


class DirectTransport(Transport):
    """What nats-py's client reads from and writes to; one after another, for each time that it connects.

    Args:
        is_closing: Says whether the client closes in order: then what was written is sent first.
        only_tls: Nothing may be written before the connection is secured.
    """

    def __init__(self, parser: Parser, *, is_closing: Callable[[], bool], only_tls: bool = False) -> None:
        self._parser = parser
        self._is_closing = is_closing
        self._only_tls = only_tls
        self._secured = False
        self._link: _Link | None = None

    def __bool__(self) -> bool:
        return True  # nats-py makes its own where there is none

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect anew; what was there is reset."""
        self.reset()
        self._parser.reset()  # the old connection may have spoken until now
        self._secured = False
        loop = asyncio.get_running_loop()
        host, port = uri.hostname or "", uri.port or 0
        async with asyncio.timeout(connect_timeout):
            _, self._link = await loop.create_connection(lambda: _Link(self._parser), host, port)

    async def connect_tls(  # noqa: PLR0917 - nats-py calls it so
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """Go on in TLS, after the server's greeting."""
        link = self._linked()
        name = uri if isinstance(uri, str) else uri.hostname
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(connect_timeout):
            secured = await loop.start_tls(link.transport, link, ssl_context, server_hostname=name)
        if secured is not None:
            link.transport = secured
        self._secured = True

    def write(self, payload: bytes) -> None:
        """Send, or keep until there is room.

        Raises:
            SSLError: the server has offered no TLS, and without it nothing may be sent: not even who we are.
        """
        if self._only_tls and not self._secured:
            raise ssl.SSLError("the server offers no TLS, and nothing may be sent without it")
        self._linked().transport.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Send together. See `write`."""
        self.write(b"".join(payload))

    async def read(self, buffer_size: int) -> bytes:
        """Wait until the parser has something for nats-py, or the connection has ended; the parser keeps it."""
        await self._linked().wait_for_news()
        return b""

    async def readline(self) -> bytes:
        """Return the next line of the handshake; empty at the end."""
        return await self._linked().readline()

    async def drain(self) -> None:
        """Wait until there is room for more."""
        await self._linked().writable.wait()

    async def wait_closed(self) -> None:
        """Wait until nothing more comes or goes."""
        if self._link is not None:
            await self._link.closed.wait()

    def close(self) -> None:
        """Close: in order if the client does, otherwise at once."""
        if self._link is not None and self._is_closing():
            self._link.transport.close()
        else:
            self.reset()

    def at_eof(self) -> bool:
        """Say whether the server has ended the connection."""
        return self._link is None or self._link.ended

    def reset(self) -> None:
        """Close at once; the peer sees a reset, and nothing more of what we wrote."""
        if self._link is None:
            return
        raw = self._socket()
        if raw is not None:
            with suppress(OSError):  # it may be gone already
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        self._link.transport.abort()

    def unsent(self) -> int:
        """Return how many written bytes the peer has not taken yet."""
        if self._link is None:
            return 0
        unsent = self._link.transport.get_write_buffer_size()
        raw = self._socket()
        if sys.platform == "linux" and raw is not None:
            unsent += _COUNT.unpack(fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, bytes(_COUNT.size)))[0]
        return unsent

    def _socket(self) -> Any:  # noqa: ANN401 - a socket, or what the event loop shows in its place
        raw = None if self._link is None else self._link.transport.get_extra_info("socket")
        return raw if raw is not None and raw.fileno() >= 0 else None

    def _linked(self) -> "_Link":
        if self._link is None:
            raise ConnectionResetError("not connected to NATS")
        return self._link


class _Link(asyncio.Protocol):
    """One TCP connection: lines until the handshake is over, then straight into the parser."""

    transport: asyncio.Transport

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._lines = bytearray()
        self._parsing = False
        self._news = asyncio.Event()
        self._error: Exception | None = None
        self.ended = False
        self.closed = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # what a TCP connection has

    def data_received(self, data: bytes) -> None:
        if not self._parsing:
            self._lines += data
            self._news.set()
            return
        try:
            self._parser.feed(data)
        except ProtocolError as error:
            self._error = error
        if self._parser.others or self._error is not None:
            self._news.set()

    def eof_received(self) -> None:
        self.ended = True
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._error = self._error or exc
        self.ended = True
        self._news.set()
        self.writable.set()
        self.closed.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    async def readline(self) -> bytes:
        while b"\n" not in self._lines and not self.ended:
            self._news.clear()
            await self._news.wait()
        end = self._lines.find(b"\n") + 1
        line = bytes(self._lines[:end])
        del self._lines[:end]
        return line

    async def wait_for_news(self) -> None:
        if not self._parsing:
            self._parsing = True
            if self._lines:
                self.data_received(bytes(self._lines))
        while not self._parser.others and self._error is None and not self.ended:
            self._news.clear()
            await self._news.wait()
        if self._error is not None:
            raise self._error
