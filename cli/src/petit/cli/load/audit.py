"""Order and completeness, checked at every delivery of every listener.

Everyone in a room must receive the same messages in the same order. The listener that is ahead writes the
room's order down; all others compare what they receive with it, a slice at a time, which costs a fifth of a
microsecond per delivery. A listener that differs is taken out, keeps all it receives, and is explained at the
end: what it lost, what it had doubled, or that only the order differs. That the common order is the right one
(offsets ascending, `seq` dense) is what `Witness` checks, on the listeners that read every frame in full.
"""

import json
from array import array
from dataclasses import dataclass, field
from typing import Any, Final

from petit.cli.load.stamp import DUE, NUMBER_DIGITS

_SHOWN: Final = 5
"""How many numbers a violation lists."""


@dataclass(slots=True, kw_only=True)
class Room:
    """What is known about one room's messages."""

    index: int
    chat: str
    order: list[bytes] = field(default_factory=list)
    """Numbers of its messages, in the order of whoever was ahead."""
    due: list[int] = field(default_factory=list)
    """When each was due: monotonic nanoseconds."""
    offsets: dict[int, int] = field(default_factory=dict)
    """Offset of each message by number, as witnesses read it."""
    violations: list[str] = field(default_factory=list)

    def extend(self, pieces: list[bytes]) -> None:
        """Write down messages that no listener had before."""
        for piece in pieces:
            self.order.append(piece[:NUMBER_DIGITS])
            self.due.append(int(piece[DUE]))


class Listener:
    """One device's place in its room's order."""

    __slots__ = ("arrivals", "last_offset", "name", "own", "position", "room")

    def __init__(self, room: Room, *, name: str) -> None:
        self.room = room
        self.name = name
        self.position = 0
        """How many of the room's messages have arrived here."""
        self.arrivals = array("q")
        """Pairs: monotonic nanoseconds, and how many messages arrived then."""
        self.own: list[bytes] | None = None
        """Everything that arrived, from when it first differed from the room's order."""
        self.last_offset = 0

    def take(self, pieces: list[bytes], *, now: int) -> None:
        """Take what was received together.

        Args:
            pieces: received bytes split at the mark; the first precedes every message.
            now: monotonic nanoseconds.
        """
        del pieces[0]
        numbers = [piece[:NUMBER_DIGITS] for piece in pieces]
        count = len(numbers)
        self.arrivals.append(now)
        self.arrivals.append(count)
        if self.own is not None:
            self.own += numbers
            return
        room, start = self.room, self.position
        known = room.order[start : start + count]
        fresh = count - len(known)
        if known != (numbers[:-fresh] if fresh else numbers):
            self.own = room.order[:start] + numbers
            return
        if fresh:
            room.extend(pieces[-fresh:])
        self.position = start + count

    def head(self, offset: int) -> None:
        """Check that offsets ascend from one read to the next."""
        if offset <= self.last_offset:
            self.room.violations.append(f"{self.name}: offset {offset} after {self.last_offset}")
        self.last_offset = offset

    @property
    def received(self) -> int:
        """How many messages arrived, right or wrong."""
        return self.position if self.own is None else len(self.own)


class Witness:
    """Reads every frame of one listener in full."""

    def __init__(self, listener: Listener, *, mark: bytes, size: int) -> None:
        self._listener = listener
        self._mark = mark.decode("ascii")
        self._size = size
        self._offset = 0
        self._seq: int | None = None
        self.frames = 0

    def frame(self, event: str, *, cursor: str, data: bytes) -> None:
        """Check one frame of the stream."""
        self.frames += 1
        try:
            body = json.loads(data)
        except ValueError:
            self._object(f"{event} frame is no JSON: {data[:80]!r}")
            return
        if not cursor:
            self._object(f"{event} frame without id")
        match event:
            case "signal":
                self._signal(body)
            case "gap":
                self._object(f"gap frame {body}")
            case "hello" | "heartbeat" | "ephemeral" | "expiring" | "bye" | "reply":
                pass
            case _:
                self._object(f"unknown event {event!r}")

    def _signal(self, body: dict[str, Any]) -> None:
        offset = int(body["offset"])
        if offset <= self._offset:
            self._object(f"offset {offset} after {self._offset}")
        self._offset = offset
        if body["type"] != "msg":
            return
        seq = int(body["seq"])
        if self._seq is not None and seq != self._seq + 1:
            self._object(f"seq {seq} after {self._seq}")
        self._seq = seq
        room = self._listener.room
        if body["chat"] != room.chat:
            self._object(f"message of chat {body['chat']}, where nobody let it in")
        text = str(body["data"]["text"])
        if text.startswith(self._mark):
            start = len(self._mark)
            if len(text) != self._size:
                self._object(f"text of {len(text)} characters instead of {self._size}")
            room.offsets[int(text[start : start + NUMBER_DIGITS])] = offset

    def _object(self, what: str) -> None:
        self._listener.room.violations.append(f"{self._listener.name}: {what}")


def explain(room: Room, listeners: list[Listener]) -> list[str]:
    """Say of every listener of a room that differs from the others how it does.

    A listener that is behind has lost what is missing: ask when everything should have arrived.
    """
    everything = set(room.order)
    for listener in listeners:
        everything.update(listener.own or ())
    found = list(room.violations)
    if len(set(room.order)) != len(room.order):
        found.append(f"room {room.index}: doubled {_some(_doubled(room.order))}")
    for listener in listeners:
        order = room.order[: listener.position] if listener.own is None else listener.own
        lost = everything.difference(order)
        doubled = _doubled(order)
        if lost:
            found.append(f"{listener.name}: lost {_some(sorted(lost))}")
        if doubled and listener.own is not None:
            found.append(f"{listener.name}: doubled {_some(doubled)}")
        moved = [] if listener.own is None else _moved(order, room.order)
        if moved:
            found.append(f"{listener.name}: reordered, unlike {_some(moved)}")
    return found


def _doubled(order: list[bytes]) -> list[bytes]:
    if len(set(order)) == len(order):
        return []
    seen: set[bytes] = set()
    return [number for number in order if number in seen or seen.add(number)]  # type: ignore[func-returns-value]  # adding says None


def _moved(one: list[bytes], other: list[bytes]) -> list[bytes]:
    """List what stands elsewhere in one order than in another, of what both have; doubled ones stand at the first."""
    both = set(one) & set(other)
    mine = [number for number in dict.fromkeys(one) if number in both]
    theirs = [number for number in dict.fromkeys(other) if number in both]
    return [number for number, instead in zip(mine, theirs, strict=True) if number != instead]


def _some(numbers: list[bytes]) -> str:
    shown = ", ".join(str(int(number)) for number in numbers[:_SHOWN])
    return f"{len(numbers)} ({shown}{', …' if len(numbers) > _SHOWN else ''})"
