"""One keep-alive HTTP/1.1 connection that asks one thing at a time: bytes out, a callback when the answer is whole."""

import asyncio
from collections.abc import Callable
from typing import Final

from petit.cli.load.plan import Address

LOST: Final = 0
"""The status of a request whose connection ended before its answer."""
_CONNECT_S: Final = 10.0
_LENGTH: Final = b"\r\ncontent-length:"

Done = Callable[[int, bytes, bytes], None]
"""Takes status, response head in lower case, and body."""


class Link(asyncio.Protocol):
    """A connection to the API, opened once; a lost one answers `LOST` and must be replaced."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._done: Done | None = None
        self._received = b""

    @classmethod
    async def open(cls, address: Address) -> "Link":
        """Connect.

        Raises:
            OSError: nobody listens there.
            TimeoutError: nobody answered in time.
        """
        async with asyncio.timeout(_CONNECT_S):
            _, link = await asyncio.get_running_loop().create_connection(cls, host=address.host, port=address.port)
        return link

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return self._transport is None or self._transport.is_closing()

    def ask(self, request: bytes, *, done: Done) -> None:
        """Write one whole request; the answer goes to `done`.

        Raises:
            RuntimeError: the previous answer is still to come.
        """
        if self._done is not None:
            raise RuntimeError("a link asks one thing at a time")
        if self._transport is None or self._transport.is_closing():
            done(LOST, b"", b"")
            return
        self._done = done
        self._transport.write(request)

    def close(self) -> None:
        """End the connection; an answer still to come is `LOST`."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport  # type: ignore[assignment]  # a TCP connection's is a Transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < len(b"\r\n\r\n"):
            return
        head = self._received[:end].lower()
        at = head.find(_LENGTH)
        size = int(head[at + len(_LENGTH) : head.find(b"\r", at + 2)]) if at >= 0 else 0
        if len(self._received) < end + size:
            return
        body = self._received[end : end + size]
        self._received = b""
        done, self._done = self._done, None
        if done is not None:
            done(int(head[9:12]), head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        done, self._done = self._done, None
        if done is not None:
            done(LOST, b"", b"")
