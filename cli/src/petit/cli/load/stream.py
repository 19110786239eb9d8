"""One device's stream: a TCP connection that is opened again, from its cursor, whenever it ends unasked.

Every connection is an `asyncio.Protocol` over a scanner; no task lives as long as a connection does.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from petit.cli.load.audit import Listener, Witness
from petit.cli.load.frames import BrokenFraming, sse_request, ws_request
from petit.cli.load.plan import Address, Transport
from petit.cli.load.scan import Scan, SseScan, WsScan

_CONNECT_S: Final = 30.0
_RETRY_S: Final = 0.2
_TRIES: Final = 100
_HEAD_MAX: Final = 64 * 1024
_OK: Final = {Transport.SSE: 200, Transport.WS: 101}
_LATER: Final = frozenset({0, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed; 0 stands for a connection that ended first."""


class Refused(Exception):
    """The server does not open the stream."""

    def __init__(self, status: int, *, body: bytes) -> None:
        super().__init__(f"the stream was refused with {status}: {body[:300].decode(errors='replace')}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """How streams of one run are opened and read."""

    address: Address
    transport: Transport
    mark: bytes
    size: int
    """Bytes of every text."""
    gate: asyncio.Semaphore
    """Bounds how many connections are being opened at once."""
    spawn: Callable[[Coroutine[None, None, None]], object]
    """Runs a reconnect in the background."""


class Device:
    """A listener and the connection that feeds it."""

    def __init__(self, listener: Listener, *, token: str, wire: Wire, full: bool) -> None:
        self.listener = listener
        self.token = token
        self.cuts = 0
        """How often the stream ended unasked."""
        self.greeted_at = 0
        """Monotonic nanoseconds of the last `hello`."""
        self.octets = 0
        """Bytes received."""
        self._wire = wire
        self._witness = Witness(listener, mark=wire.mark, size=wire.size) if full else None
        self._cursor = ""
        self._wanted = False
        self._connection: _Connection | None = None

    @property
    def live(self) -> bool:
        """Whether the stream is open and greeted."""
        return self._connection is not None and self._connection.greeted.done()

    async def open(self) -> None:
        """Connect, from the cursor if there is one, and wait for `hello`; retry while that may help, and until `cut`.

        Raises:
            Refused: the server does not open the stream, and would not later either.
        """
        self._wanted = True
        for attempt in range(_TRIES):
            try:
                await self._connect()
            except (OSError, TimeoutError):
                if attempt == _TRIES - 1:
                    raise
            except Refused as refused:
                if refused.status not in _LATER or attempt == _TRIES - 1:
                    raise
            else:
                return
            await asyncio.sleep(_RETRY_S * (0.5 + random.random()))  # noqa: S311 - jitter is no secret
            if not self._wanted:
                return

    def cut(self) -> None:
        """End the connection as if the cable were pulled; it stays cut until `open`."""
        self._wanted = False
        connection, self._connection = self._connection, None
        if connection is not None:
            self._cursor = connection.cursor or self._cursor
            connection.abort()

    async def _connect(self) -> None:
        wire = self._wire
        host = str(wire.address)
        async with wire.gate, asyncio.timeout(_CONNECT_S):
            request = sse_request if wire.transport is Transport.SSE else ws_request
            connection = _Connection(self, request=request(host, token=self.token, cursor=self._cursor))
            await asyncio.get_running_loop().create_connection(
                lambda: connection, host=wire.address.host, port=wire.address.port
            )
        if not self._wanted:
            connection.abort()
            return
        self._connection = connection
        try:
            async with asyncio.timeout(_CONNECT_S):
                await connection.greeted
        except BaseException:
            self._connection = None
            connection.abort()
            raise
        self.greeted_at = time.monotonic_ns()

    def scan(self, head: bytes) -> Scan:
        """Make the scanner of a new connection, by its response head."""
        wire = self._wire
        if wire.transport is Transport.WS:
            return WsScan(self.listener, mark=wire.mark, witness=self._witness)
        chunked = b"\r\ntransfer-encoding: chunked" in head.lower()
        return SseScan(self.listener, mark=wire.mark, witness=self._witness, chunked=chunked)

    def accepts(self, status: int) -> bool:
        """Say whether a response status opens the stream."""
        return status == _OK[self._wire.transport]

    def ended(self, connection: "_Connection") -> None:
        """Take note that a connection is gone, and open another unless that was asked for."""
        if self._connection is not connection:
            return
        self._connection = None
        self._cursor = connection.cursor or self._cursor
        if self._wanted:
            self.cuts += 1
            self._wire.spawn(self._reopen())

    async def _reopen(self) -> None:
        try:
            await self.open()
        except (Refused, OSError, TimeoutError) as error:
            self.listener.room.violations.append(f"{self.listener.name}: cannot resume: {error!r}")


class _Connection(asyncio.Protocol):
    """One TCP connection: the response head, then whatever the scanner makes of the rest."""

    def __init__(self, device: Device, *, request: bytes) -> None:
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._device = device
        self._request = request
        self._head = b""
        self._scan: Scan | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def cursor(self) -> str:
        return "" if self._scan is None else self._scan.cursor

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a TCP connection's is a Transport
        self._transport.write(self._request)  # type: ignore[union-attr]  # set in the line above

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        scan = self._scan
        if scan is None:
            self._begin(data, now=now)
            return
        self._device.octets += len(data)
        self._feed(scan, data, now=now)

    def _feed(self, scan: Scan, data: bytes, *, now: int) -> None:
        try:
            answer = scan.feed(data, now=now)
        except (BrokenFraming, ValueError, KeyError, TypeError) as error:
            listener = self._device.listener
            listener.room.violations.append(f"{listener.name}: cannot read {data[:60]!r}: {error!r}")
            self.abort()
            return
        if answer and self._transport is not None:
            self._transport.write(answer)
        if scan.greeted and not self.greeted.done():
            self.greeted.set_result(None)

    def _begin(self, data: bytes, *, now: int) -> None:
        self._head += data
        head, found, rest = self._head.partition(b"\r\n\r\n")
        if not found:
            if len(self._head) > _HEAD_MAX:
                self._refuse(0, body=self._head)
            return
        self._head = b""
        status = int(head[9:12])
        if not self._device.accepts(status):
            self._refuse(status, body=rest)
            return
        self._scan = self._device.scan(head)
        if rest:
            self._feed(self._scan, rest, now=now)

    def _refuse(self, status: int, *, body: bytes) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(Refused(status, body=body))
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.greeted.done():
            self._device.ended(self)
        else:
            self.greeted.set_exception(Refused(0, body=b"the connection ended before hello"))
