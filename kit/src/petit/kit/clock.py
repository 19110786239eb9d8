"""What time it is: the one place where processes look at a clock.

Domain code takes times as arguments. Handlers and edges take a `Clock`, so that a test (and local mode,
which proves that clocks may be wrong) can move it.
"""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one to agree with others about, one to measure with."""

    def now_ms(self) -> int:
        """Return the wall clock: UTC, milliseconds since 1970. May jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment; never goes back. The same clock as `time.monotonic`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemClock:
    """The clock of this machine, or one that is wrong on purpose."""

    ahead_ms: int = 0
    """By how much the wall clock is moved, milliseconds; negative is behind."""

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()
