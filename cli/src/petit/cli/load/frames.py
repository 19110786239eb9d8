"""The two stream framings as bytes: what a client writes, and how what it reads is cut apart.

Only what a load generator needs of RFC 6455 (WebSocket) and of HTTP/1.1's chunked coding (RFC 9112, 7.1).
"""

import base64
import os
from typing import Final

TEXT: Final = 0x81
"""First byte of a whole text frame from a server."""
CLOSE: Final = 0x88
PING: Final = 0x89
_PONG: Final = 0x8A
_SHORT: Final = 125
_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127
_TWO_BYTES_MAX: Final = 0xFFFF
_MASKED: Final = 0x80
_NO_MASK: Final = bytes(4)


class BrokenFraming(ValueError):
    """The bytes are not what the framing allows."""


def client_frame(payload: bytes, *, first: int = TEXT) -> bytes:
    """Wrap a payload as a client's frame.

    The masking key is zero, which leaves the payload as it is: legal, and a generator has no need to hide
    its bytes from proxies. The server does the same work as for any other key.
    """
    size = len(payload)
    if size <= _SHORT:
        head = bytes((first, _MASKED | size))
    elif size <= _TWO_BYTES_MAX:
        head = bytes((first, _MASKED | _TWO_BYTES)) + size.to_bytes(2)
    else:
        head = bytes((first, _MASKED | _EIGHT_BYTES)) + size.to_bytes(8)
    return head + _NO_MASK + payload


def server_frame(payload: bytes) -> bytes:
    """Wrap a payload as a server's text frame."""
    size = len(payload)
    if size <= _SHORT:
        return bytes((TEXT, size)) + payload
    if size <= _TWO_BYTES_MAX:
        return bytes((TEXT, _TWO_BYTES)) + size.to_bytes(2) + payload
    return bytes((TEXT, _EIGHT_BYTES)) + size.to_bytes(8) + payload


def pong(payload: bytes) -> bytes:
    """Answer a ping."""
    return client_frame(payload, first=_PONG)


def walk(data: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """Find the whole frames at the start of what a server wrote.

    Returns:
        First byte, start and stop of the payload of each whole frame, in order; and how many bytes they take.
    """
    found: list[tuple[int, int, int]] = []
    size = len(data)
    at = 0
    while size - at >= 2:  # noqa: PLR2004 - a frame's shortest head
        length = data[at + 1]
        start = at + 2
        if length == _TWO_BYTES:
            start = at + 4
            length = int.from_bytes(data[at + 2 : start])
        elif length == _EIGHT_BYTES:
            start = at + 10
            length = int.from_bytes(data[at + 2 : start])
        stop = start + length
        if stop > size or start > size:
            break
        found.append((data[at], start, stop))
        at = stop
    return found, at


def unmask(data: bytes) -> tuple[bytes, bytes]:
    """Take the first frame off what a client of ours wrote (`client_frame`).

    Returns:
        Its payload and the rest; an empty payload and all of data while the frame is not whole.
    """
    if len(data) < 2:  # noqa: PLR2004 - a frame's shortest head
        return b"", data
    size, start = data[1] & ~_MASKED, 2
    if size == _TWO_BYTES:
        size, start = int.from_bytes(data[2:4]), 4
    elif size == _EIGHT_BYTES:
        size, start = int.from_bytes(data[2:10]), 10
    start += len(_NO_MASK)
    if len(data) < start + size:
        return b"", data
    return data[start : start + size], data[start + size :]


def sse_request(host: str, *, token: str, cursor: str) -> bytes:
    """Ask for the SSE stream, from a cursor unless it is empty."""
    query = f"?cursor={cursor}" if cursor else ""
    return (
        f"GET /v1/stream{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Accept: text/event-stream\r\n\r\n"
    ).encode("ascii")


def ws_request(host: str, *, token: str, cursor: str) -> bytes:
    """Ask for the WebSocket stream, from a cursor unless it is empty."""
    query = f"?cursor={cursor}" if cursor else ""
    key = base64.b64encode(os.urandom(16)).decode("ascii")
    return (
        f"GET /v1/ws{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: petit.v1\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n"
    ).encode("ascii")


class Dechunk:
    """Takes HTTP/1.1's chunked coding off a body, however its bytes arrive."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0
        """Bytes of the current chunk still to come, its CRLF included."""

    def feed(self, data: bytes) -> bytes:
        """Return the body's bytes in data.

        Raises:
            BrokenFraming: a chunk's size is not a hexadecimal number.
        """
        data = self._rest + data
        body: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left == 0:
                line = data.find(b"\r\n", at)
                if line < 0:
                    break
                try:
                    self._left = int(data[at:line], 16) + 2
                except ValueError as error:
                    raise BrokenFraming(f"chunk size {data[at:line][:20]!r}") from error
                at = line + 2
            part = data[at : at + self._left]
            self._left -= len(part)
            at += len(part)
            body.append(part[: max(0, len(part) - max(0, 2 - self._left))])
        self._rest = data[at:]
        return b"".join(body)
