"""Making ids: UUIDs version 7, in order within one process.

The layout is RFC 9562, section 5.7: 48 bits of Unix milliseconds, then (method 1 of section 6.2) a
12-bit counter, then 62 random bits. The counter starts at random in its lower half in each millisecond;
where it runs over, and where the clock stands still or goes back, the maker's own time moves on instead,
so that an id never sorts before the one made before it.
"""

import os
from collections.abc import Callable
from uuid import UUID

from petit.contracts.ids import SignalId
from petit.kit.clock import Clock

_COUNTER_BITS = 12
_COUNTER_END = 1 << _COUNTER_BITS
_RANDOM_BITS = 62


class Uuid7Maker:
    """Makes UUIDs version 7, each greater than the one before. Not shared between threads."""

    __slots__ = ("_clock", "_counter", "_ms")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ms = 0
        self._counter = 0

    def __call__(self) -> UUID:
        """Return a new UUID version 7."""
        random = int.from_bytes(os.urandom(10))
        now = self._clock.now_ms()
        if now > self._ms:
            self._ms, self._counter = now, random >> (80 - _COUNTER_BITS + 1)
        elif self._counter + 1 < _COUNTER_END:
            self._counter += 1
        else:
            self._ms, self._counter = self._ms + 1, 0
        bits = self._ms << 80 | 7 << 76 | self._counter << 64 | 2 << 62 | random & ((1 << _RANDOM_BITS) - 1)
        return UUID(int=bits)


def signal_ids(clock: Clock) -> Callable[[], SignalId]:
    """Return what makes the ids of signals, each of which sorts behind the one before."""
    make = Uuid7Maker(clock)

    def new_id() -> SignalId:
        return SignalId(str(make()))

    return new_id
