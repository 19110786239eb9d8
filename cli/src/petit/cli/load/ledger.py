"""What one step sent and what became of it."""

import time
from collections import Counter
from dataclasses import dataclass, field

from petit.cli.load.latency import UNIT_NS, Latencies
from petit.cli.load.link import LOST

_ACCEPTED = frozenset({200, 201})


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Sends of one step; the senders write it, `verdict` reads it."""

    rooms: list[dict[int, int]]
    """Offset by number of every acknowledged message, one mapping of each room."""
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers by HTTP status; `link.LOST` for those that never came."""
    latency: Latencies = field(default_factory=Counter)
    """From due to acknowledged."""
    first: int = 0
    """Monotonic nanoseconds at which the first message was due."""
    last: int = 0
    """Monotonic nanoseconds of the last acknowledgement."""
    problem: bytes = b""
    """The body of the last refusal."""
    last_offset: int = 0
    """The greatest offset acknowledged."""
    signals: int = 0
    """Signals that arrived on the senders' own WebSockets, where they send by these."""

    @classmethod
    def of(cls, rooms: int) -> "Ledger":
        """Start a ledger of so many rooms."""
        return cls(rooms=[{} for _ in range(rooms)])

    @property
    def accepted(self) -> int:
        """How many messages were acknowledged."""
        return sum(map(len, self.rooms))

    @property
    def answered(self) -> int:
        """How many sends came to an end, good or bad."""
        return self.statuses.total()

    @property
    def refused(self) -> dict[int, int]:
        """Answers that are no acknowledgement, by status."""
        return {status: count for status, count in self.statuses.items() if status not in _ACCEPTED}

    @property
    def unknown(self) -> int:
        """Sends of which nobody knows whether they are stored."""
        return self.statuses[LOST] + self.sent - self.answered

    def record(self, number: int, *, room: int, due: int, status: int, offset: int, problem: bytes) -> None:
        """Write down the answer to one send.

        Args:
            number: which message.
            room: its room's index.
            due: monotonic nanoseconds at which it was scheduled.
            status: of HTTP, or `link.LOST`.
            offset: that was acknowledged; read only of accepted ones.
            problem: the body of a refusal.
        """
        now = time.monotonic_ns()
        self.statuses[status] += 1
        if status not in _ACCEPTED:
            self.problem = problem or self.problem
            return
        self.rooms[room][number] = offset
        self.latency[(now - due) // UNIT_NS] += 1
        self.last = now
        self.last_offset = max(self.last_offset, offset)
