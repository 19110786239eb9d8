"""Streams read from plain sockets, so that nothing hides what the server wrote, and a cut is a cut.

A `Wire` is one connection: no resuming, no renewing. SSE is read byte by byte as it comes over TCP
(HTTP/1.1, chunked or not); the WebSocket's frames are the library's, its JSON is ours to look at.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

Transport = Literal["sse", "ws"]
FRAME_S: Final = 30.0
"""How long the next frame may take before a test gives up: longer than any heartbeat."""
_OK: Final = 200
_UNAUTHENTICATED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFrame:
    """What the server wrote, as it wrote it."""

    id: str | None
    """None: the frame has no id of its own."""
    event: str
    data: Any


class RefusedStream(Exception):
    """The server answered with something other than a stream."""

    def __init__(self, status: int, *, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"status {status}: {body[:300]!r}")
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.problem: Any = json.loads(body) if body else None


class Ended(Exception):
    """The server closed the connection.

    Args:
        code: The WebSocket close code; None where there was none.
    """

    def __init__(self, code: int | None = None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Wire(Protocol):
    """One connection's frames."""

    async def frame(self, *, within_s: float = FRAME_S) -> RawFrame:
        """Return the next frame.

        Raises:
            Ended: the server closed the connection.
            TimeoutError: none came.
        """
        ...

    def cut(self) -> None:
        """Break the connection, as a network does: no farewell."""
        ...


class SseWire:
    """See `Wire`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = b""
        self._chunked = False
        self.headers: dict[str, str] = {}

    async def begin(self, request: bytes) -> None:
        """Send the request and read the answer's head.

        Raises:
            RefusedStream: the answer is no stream.
        """
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        self._chunked = self.headers.get("transfer-encoding") == "chunked"
        if status != _OK:
            raise RefusedStream(status, headers=self.headers, body=await self._whole_body())

    async def frame(self, *, within_s: float = FRAME_S) -> RawFrame:
        """See `Wire.frame`."""
        async with asyncio.timeout(within_s):
            while True:
                while b"\n\n" not in self._buffer:
                    self._buffer += await self._more()
                block, self._buffer = self._buffer.split(b"\n\n", 1)
                fields = dict(_field(line) for line in block.decode().split("\n") if line and not line.startswith(":"))
                if "data" in fields:
                    return RawFrame(
                        id=fields.get("id"), event=fields.get("event", "message"), data=json.loads(fields["data"])
                    )

    def cut(self) -> None:
        """See `Wire.cut`."""
        _reset(self._writer.transport)

    async def _more(self) -> bytes:
        try:
            if not self._chunked:
                data = await self._reader.read(65536)
            elif size := int(await self._reader.readuntil(b"\r\n"), 16):
                data = (await self._reader.readexactly(size + 2))[:-2]
            else:
                data = b""
        except (asyncio.IncompleteReadError, ConnectionError):
            data = b""
        if not data:
            raise Ended
        return data

    async def _whole_body(self) -> bytes:
        if "content-length" in self.headers:
            return await self._reader.readexactly(int(self.headers["content-length"]))
        body = b""
        try:
            while True:
                body += await self._more()
        except Ended:
            return body


class SocketWire:
    """See `Wire`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def frame(self, *, within_s: float = FRAME_S) -> RawFrame:
        """See `Wire.frame`."""
        async with asyncio.timeout(within_s):
            try:
                fields = json.loads(await self.socket.recv())
            except ConnectionClosed as error:
                raise Ended(error.rcvd.code if error.rcvd else None) from error
        return RawFrame(id=fields.get("id"), event=fields["event"], data=fields["data"])

    async def do(self, **frame: object) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps(frame))

    def cut(self) -> None:
        """See `Wire.cut`."""
        _reset(self.socket.transport)


@asynccontextmanager
async def open_sse(
    url: str, *, token: str | None = None, headers: Mapping[str, str] | None = None, **query: str | None
) -> AsyncIterator[SseWire]:
    """Open `GET /v1/stream`.

    Raises:
        RefusedStream: the server refuses.
    """
    target = urlsplit(url)
    fields = {"Host": target.netloc, "Accept": "text/event-stream", **_authorized(token), **(headers or {})}
    lines = [f"GET /v1/stream{_query(query)} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    reader, writer = await asyncio.open_connection(target.hostname, target.port, limit=16 * 1024 * 1024)
    try:
        wire = SseWire(reader, writer)
        async with asyncio.timeout(FRAME_S):
            await wire.begin(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        yield wire
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def open_ws(
    url: str, *, token: str | None = None, headers: Mapping[str, str] | None = None, **query: str | None
) -> AsyncIterator[SocketWire]:
    """Open `GET /v1/ws`.

    Raises:
        RefusedStream: the server refuses.
    """
    try:
        socket = await connect(
            f"ws{url.removeprefix('http')}/v1/ws{_query(query)}",
            additional_headers={**_authorized(token), **(headers or {})},
            subprotocols=[Subprotocol("petit.v1")],
            compression=None,
            proxy=None,
            open_timeout=FRAME_S,
            close_timeout=1,
            ping_interval=None,
            max_size=16 * 1024 * 1024,
        )
    except InvalidStatus as error:
        answer = error.response
        refused = RefusedStream(
            answer.status_code, headers=dict(answer.headers.raw_items()), body=bytes(answer.body or b"")
        )
        raise refused from None
    try:
        yield SocketWire(socket)
    finally:
        await socket.close()


def opened(
    transport: Transport,
    url: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    **query: str | None,
) -> AbstractAsyncContextManager[SseWire | SocketWire]:
    """Open a stream over either transport; see `open_sse` and `open_ws`."""
    return (open_sse if transport == "sse" else open_ws)(url, token=token, headers=headers, **query)


async def knock(
    transport: Transport,
    url: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    **query: str | None,
) -> tuple[int, str]:
    """Try to open a stream; return the status and the problem's code: (200, "") where it says hello.

    Raises:
        AssertionError: a 401 without `WWW-Authenticate`, or a stream that does not begin with `hello`.
    """
    try:
        async with opened(transport, url, token=token, headers=headers, **query) as wire:
            first = await wire.frame()
            assert first.event == "hello"
            return _OK, ""
    except RefusedStream as refused:
        if refused.status == _UNAUTHENTICATED and "www-authenticate" not in refused.headers:
            raise AssertionError(f"401 without WWW-Authenticate: {refused.headers}") from None
        return refused.status, refused.problem["code"]


async def signals(wire: Wire, *, within_s: float = FRAME_S) -> AsyncIterator[RawFrame]:
    """Go through a connection's `signal` frames, for ever; other frames are passed over."""
    while True:
        frame = await wire.frame(within_s=within_s)
        if frame.event == "signal":
            yield frame


def _authorized(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _query(query: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")


def _reset(transport: asyncio.BaseTransport) -> None:
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert isinstance(transport, asyncio.Transport)
    transport.abort()
