"""Reading `text/event-stream`, as the WHATWG HTML standard has it (section 9.2.6), from bytes as they come.

The parser knows nothing of connections: bytes in, whole events out, wherever the chunks are cut.
"""

from dataclasses import dataclass
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 0x0D
_LF: Final = 0x0A
MAX_LINE: Final = 16 * 1024 * 1024
"""Bytes: a line that grows beyond this is an attack or an accident, not a frame of ours."""


class LineTooLong(ValueError):
    """The server sends a line without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of the stream."""

    id: str
    """The last id seen, in this event or before it; empty if there was none."""
    event: str
    """`message` where the server did not name it."""
    data: str


class Parser:
    """Turns chunks of bytes into events; one for each connection."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self._skip_lf = False
        self._started = False
        self._id = ""
        self._event = ""
        self._data: list[str] = []
        self.retry_ms: int | None = None
        """How long the server asks to wait before reconnecting, in milliseconds; None if it did not say."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes and return the events that they complete, in order.

        Raises:
            LineTooLong: a line has more than `MAX_LINE` bytes.
        """
        if not chunk:
            return []
        if self._skip_lf and chunk[0] == _LF:  # the second half of a CRLF whose CR ended the chunk before
            chunk = chunk[1:]
        self._skip_lf = False
        if b"\n" not in chunk and b"\r" not in chunk:
            self._hold(chunk)
            return []
        lines = b"".join((*self._parts, chunk)).splitlines(keepends=True)
        self._parts, self._held = [], 0
        self._skip_lf = lines[-1][-1] == _CR
        if lines[-1][-1] not in {_CR, _LF}:
            self._hold(lines.pop())
        events = []
        for line in lines:
            event = self._line(line.rstrip(b"\r\n"))
            if event is not None:
                events.append(event)
        return events

    def _hold(self, part: bytes) -> None:
        self._held += len(part)
        if self._held > MAX_LINE:
            raise LineTooLong(f"a line of the stream has more than {MAX_LINE} bytes")
        if part:
            self._parts.append(part)

    def _line(self, line: bytes) -> Event | None:
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode(errors="replace")
        match name:
            case b"data":
                self._data.append(text)
            case b"event":
                self._event = text
            case b"id" if "\0" not in text:
                self._id = text
            case b"retry" if text.isascii() and text.isdecimal():
                self.retry_ms = int(text)
            case _:  # a comment (an empty name), or a field that the standard does not know
                pass
        return None

    def _dispatch(self) -> Event | None:
        name, data = self._event, self._data
        self._event, self._data = "", []
        if not data:
            return None
        return Event(id=self._id, event=name or "message", data="\n".join(data))
