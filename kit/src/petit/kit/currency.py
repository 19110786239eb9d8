"""How current a feed is: since when it has delivered everything that the log held then.

Three things say so. The stream itself says where it ends. An entry comes with how many are still to come: when that
many have, everything that was there when it was sent has been delivered. And an idle heartbeat says that its node
has no more to send.

How many are still to come is the server's running count. It is trusted to tell when to look, but never where the
stream ends: once it was too great, a quiet log could not end the wait for entries that do not exist.
"""

import math
import time


class Currency:
    """What is known of the log's end, and when all of it had been delivered; times are of `time.monotonic()`."""

    __slots__ = ("_as_of", "_expected", "_mark", "_mark_at", "_told")

    def __init__(self) -> None:
        self._told = 0  # the greatest offset that the stream itself has named
        self._expected = 0  # the greatest offset by the last entry's count; 0: nothing more is expected
        self._as_of = -math.inf
        self._mark = 0  # once so many have come from this consumer, all that was there at `_mark_at` has
        self._mark_at = 0.0

    @property
    def end(self) -> int:
        """The greatest offset that is thought to be stored; a feed may have been delivered more."""
        return max(self._told, self._expected)

    @property
    def lag_s(self) -> float:
        """Seconds since the newest moment at which everything then in the log had been delivered; infinite: never."""
        return time.monotonic() - self._as_of

    def forget(self) -> None:
        """Another place was sought: nothing is known of what lies behind it."""
        self._as_of = -math.inf

    def begin(self) -> None:
        """Another consumer counts anew."""
        self._mark = self._expected = 0

    def tell(self, last: int) -> None:
        """The stream itself says that it ends at `last`."""
        self._told = max(self._told, last)

    def deliver(self, offset: int, *, number: int, pending: int) -> None:
        """An entry was delivered: the consumer's `number`-th, with so many still to come when it was sent."""
        now = time.monotonic()
        if pending == 0:
            self._as_of = self._mark_at = now
            self._mark = number
        elif number >= self._mark:
            if self._mark:
                self._as_of = self._mark_at
            self._mark, self._mark_at = number + pending, now
        self._expected = offset + pending

    def rest(self, position: int) -> None:
        """The consumer has nothing more to send, and everything up to `position` has been delivered."""
        self._expected = 0
        self.reach(position, at=time.monotonic())

    def reach(self, position: int, *, at: float) -> None:
        """Everything up to `position` has been delivered; what the stream has told was asked for at `at`."""
        if position >= self._told:
            self._as_of = at
