"""The bytes of a frame, on each of the formats that a connection may have.

An SSE frame is one chunk of a chunked HTTP/1.1 body (RFC 9112, 7.1) that holds one event (WHATWG HTML, 9.2);
a WebSocket frame is one unmasked text frame (RFC 6455, 5.2). Frames can be joined: the bytes of two frames
one after the other are both frames.
"""

import json
from enum import IntEnum
from typing import Any, Final

from petit.contracts.cursor import Cursor
from petit.contracts.ids import Epoch, Offset


class Format(IntEnum):
    """How a connection wants its frames: the transport, and whether signals carry their data."""

    SSE_FULL = 0
    SSE_THIN = 1
    WS_FULL = 2
    WS_THIN = 3

    @property
    def thin(self) -> bool:
        """Whether signals come without their data, with an `href`."""
        return self in {Format.SSE_THIN, Format.WS_THIN}

    @property
    def websocket(self) -> bool:
        """Whether this is a WebSocket's."""
        return self >= Format.WS_FULL


FORMATS: Final = tuple(Format)
SSE_END: Final = b"0\r\n\r\n"
"""The end of a chunked body: the server said all that it had to say."""
_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_SHORT: Final = 126
_LONG: Final = 65_536


class Event:
    """The names of the stream's events (API.md, section 3)."""

    HELLO: Final = b"hello"
    SIGNAL: Final = b"signal"
    EPHEMERAL: Final = b"ephemeral"
    GAP: Final = b"gap"
    HEARTBEAT: Final = b"heartbeat"
    EXPIRING: Final = b"expiring"
    BYE: Final = b"bye"
    REPLY: Final = b"reply"


def cursor_id(epoch: Epoch, offset: Offset) -> bytes:
    """Return the id of a frame: the cursor of its offset."""
    return str(Cursor(epoch, offset)).encode("ascii")


def json_line(data: Any) -> bytes:  # noqa: ANN401 - whatever JSON can say
    """Return JSON on one line, UTF-8; what UTF-8 cannot say (lone surrogates) becomes `?`."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def frame(form: Format, *, event: bytes, id: bytes, data: bytes) -> bytes:
    """Return one frame.

    Args:
        id: A cursor.
        data: JSON on one line.
    """
    if form.websocket:
        return _ws(_TEXT, b'{"id":"%b","event":"%b","data":%b}' % (id, event, data))
    text = b"id: %b\nevent: %b\ndata: %b\n\n" % (id, event, data)
    return b"%x\r\n%b\r\n" % (len(text), text)


def close_frame(code: int) -> bytes:
    """Return a WebSocket close frame."""
    return _ws(_CLOSE, code.to_bytes(2, "big"))


def count_frames(form: Format, data: bytes) -> int:
    """Return how many frames are in joined frames."""
    if not form.websocket:
        return data.count(b"\r\nid: ")
    count = at = 0
    while at < len(data):
        size = data[at + 1]
        at += 2
        if size == _SHORT:
            size = int.from_bytes(data[at : at + 2], "big")
            at += 2
        elif size > _SHORT:
            size = int.from_bytes(data[at : at + 8], "big")
            at += 8
        at += size
        count += 1
    return count


def _ws(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < _SHORT:
        return bytes((first, size)) + payload
    if size < _LONG:
        return bytes((first, _SHORT)) + size.to_bytes(2, "big") + payload
    return bytes((first, _SHORT + 1)) + size.to_bytes(8, "big") + payload
