"""The server's time as this client knows it, and the ids that need it.

A message's id is a UUIDv7 made when composing, and the time inside it decides how the server recognises
a repeat. A device whose clock is wrong would be refused (`clock.ahead`), so the clock learns from what
the server says about its own time: in `hello` frames and in that problem.
"""

import secrets
import time
import uuid
from collections.abc import Callable
from typing import Final

from petit.contracts.ids import SignalId, Timestamp, timestamp_ms

_VERSION: Final = 7
_VARIANT: Final = 0b10
_RANDOM_BITS: Final = 62
_COUNTER_BITS: Final = 12
TOLERATED_MS: Final = 2_000
"""A smaller difference is the network's latency, not a wrong clock."""


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class ServerClock:
    """Wall-clock time, corrected by what the server last said."""

    def __init__(self, *, wall_ms: Callable[[], int] = _wall_ms) -> None:
        self._wall_ms = wall_ms
        self.ahead_ms = 0
        """How much our own clock is ahead of the server's, in milliseconds; 0 until it matters."""

    def now_ms(self) -> int:
        """Return the server's Unix time in milliseconds, as well as we know it."""
        return self._wall_ms() - self.ahead_ms

    def learn(self, server_time: Timestamp) -> None:
        """Take note of the server's time, just received."""
        ahead = self._wall_ms() - timestamp_ms(server_time)
        self.ahead_ms = ahead if abs(ahead) > TOLERATED_MS else 0


class IdMaker:
    """Makes UUIDv7 ids (RFC 9562, 5.7), increasing within this maker even when the clock steps back."""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._last = 0

    def __call__(self) -> SignalId:
        """Return a new id that carries the present time."""
        now = self._clock.now_ms() << _COUNTER_BITS
        # After a correction backwards the old, refused time must not live on: only small steps are smoothed.
        steps_back = 0 <= self._last - now < (TOLERATED_MS << _COUNTER_BITS)
        self._last = self._last + 1 if steps_back else now
        ms, counter = divmod(self._last, 1 << _COUNTER_BITS)
        return SignalId(str(uuid.UUID(int=_compose(ms, counter=counter))))


def _compose(ms: int, *, counter: int) -> int:
    head = (ms << 16) | (_VERSION << _COUNTER_BITS) | counter
    return (head << 64) | (_VARIANT << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
