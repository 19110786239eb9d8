"""From received bytes to deliveries: one scanner per stream, cheap unless it has a witness.

A scanner works on whole frames only and keeps the rest until more comes. Without a witness it looks for three
things per read, not per frame: the marks, the last offset and the last cursor.
"""

import json
import re
from typing import Final, Protocol

from petit.cli.load.audit import Listener, Witness
from petit.cli.load.frames import CLOSE, PING, TEXT, BrokenFraming, Dechunk, pong, walk

_OFFSET: Final = re.compile(rb'"offset":([0-9]+)')
_HEAD: Final = 120
"""Bytes of a WebSocket frame's payload within which its id stands."""


class Scan(Protocol):
    """Reads one connection's stream after the HTTP head."""

    cursor: str
    """Id of the last whole frame, empty before the first."""
    greeted: bool
    """Whether `hello` has come."""

    def feed(self, data: bytes, *, now: int) -> bytes:
        """Take what was read, and return what to answer.

        Args:
            data: the bytes, cut anywhere.
            now: monotonic nanoseconds.

        Raises:
            BrokenFraming: the bytes are not what the framing allows.
        """
        ...


class _Reader:
    """What both framings do with whole frames."""

    __slots__ = ("_listener", "_mark")

    def __init__(self, listener: Listener, *, mark: bytes) -> None:
        self._listener = listener
        self._mark = mark

    def read(self, whole: bytes, *, now: int) -> None:
        pieces = whole.split(self._mark)
        if len(pieces) > 1:
            self._listener.take(pieces, now=now)
        at = whole.rfind(b'"offset":')
        if at >= 0 and (found := _OFFSET.match(whole, at)) is not None:
            self._listener.head(int(found[1]))


class SseScan:
    """Server-sent events; see `Scan`."""

    def __init__(self, listener: Listener, *, mark: bytes, witness: Witness | None, chunked: bool) -> None:
        self.cursor = ""
        self.greeted = False
        self._reader = _Reader(listener, mark=mark)
        self._witness = witness
        self._dechunk = Dechunk() if chunked and witness is not None else None
        """A light scan leaves the coding on: servers write whole frames, and a size line is in no frame."""
        self._rest = b""

    def feed(self, data: bytes, *, now: int) -> bytes:
        """See `Scan.feed`."""
        if self._dechunk is not None:
            data = self._dechunk.feed(data)
        if self._rest:
            data = self._rest + data
        end = data.rfind(b"\n\n") + 2
        if end < len(b"\n\n"):
            self._rest = data
            return b""
        rest = data[end:]
        if rest and rest != b"\r\n":  # what ends a chunk is in no frame
            self._rest = rest
            data = data[:end]
        else:
            self._rest = b""
        self._reader.read(data, now=now)
        at = data.rfind(b"id: ")
        if at >= 0:
            self.cursor = data[at + 4 : data.find(b"\n", at)].decode("ascii")
        if not self.greeted and b"event: hello\n" in data:
            self.greeted = True
        if self._witness is not None:
            self._show(data, witness=self._witness)
        return b""

    @staticmethod
    def _show(data: bytes, *, witness: Witness) -> None:
        for frame in data.split(b"\n\n")[:-1]:
            fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line)
            if b"data" in fields:
                event, cursor = fields.get(b"event", b""), fields.get(b"id", b"")
                witness.frame(event.decode("ascii"), cursor=cursor.decode("ascii"), data=fields[b"data"])


class WsScan:
    """WebSocket text frames; see `Scan`."""

    def __init__(self, listener: Listener, *, mark: bytes, witness: Witness | None) -> None:
        self.cursor = ""
        self.greeted = False
        self._reader = _Reader(listener, mark=mark)
        self._witness = witness
        self._rest = b""

    def feed(self, data: bytes, *, now: int) -> bytes:
        """See `Scan.feed`."""
        if self._rest:
            data = self._rest + data
        frames, end = walk(data)
        self._rest = data[end:]
        answer = b""
        last: tuple[int, int] | None = None
        for first, start, stop in frames:
            if first == TEXT:
                last = start, stop
            elif first == PING:
                answer += pong(data[start:stop])
            elif first != CLOSE:
                raise BrokenFraming(f"a frame that begins with {first:#x}")
        if last is None:
            return answer
        data = data[:end]
        self._reader.read(data, now=now)
        start, _ = last
        self.cursor = data[start : start + _HEAD].partition(b'"id":"')[2].partition(b'"')[0].decode("ascii")
        if not self.greeted and b'"event":"hello"' in data:
            self.greeted = True
        if self._witness is not None:
            for first, start, stop in frames:
                if first == TEXT:
                    _show(data[start:stop], witness=self._witness)
        return answer


def _show(payload: bytes, *, witness: Witness) -> None:
    try:
        frame = json.loads(payload)
        event, cursor, data = str(frame["event"]), str(frame.get("id", "")), frame["data"]
    except (ValueError, KeyError, TypeError):
        witness.frame("", cursor="", data=payload)
        return
    witness.frame(event, cursor=cursor, data=json.dumps(data).encode())
