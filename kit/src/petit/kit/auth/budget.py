"""How often something may be done: a token bucket."""

from petit.kit.clock import Clock


class Budget:
    """Lets `burst` through at once and then one every `refill_s` seconds.

    Args:
        burst: How many may follow one another at once.
        refill_s: Seconds until one more may.
        clock: Measures how long ago things were.
    """

    def __init__(self, *, burst: int, refill_s: float, clock: Clock) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._clock = clock
        self._left = float(burst)
        self._as_of = clock.monotonic()

    def take(self) -> bool:
        """Use one up and say True, or say False if none is left for now."""
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._as_of) / self._refill_s)
        self._as_of = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
