"""How current a feed is: since when it has delivered everything that the log held then.

Three things say so. The stream itself says where it ends, when it is asked. An entry comes with how many are still to
come: when that many have, everything that its node held when it was sent has been delivered. And an idle heartbeat
says that its node sends nothing more for now.

None of them is enough alone. A node may hold less than the stream, and its heartbeats go on where it has stopped
sending for a reason of its own. How many are still to come is a running count, and may be too great: then no entry
makes good for it. So a feed is current where all three agree, and the stream is asked so often (`petit.kit.feed`)
that what was only counted holds for a second.
"""

import math
import time

from petit.kit.jetstream import STALE_S


class Currency:
    """What is known of the log's end, and when all of it had been delivered; times are of `time.monotonic()`."""

    __slots__ = ("_as_of", "_counted", "_counted_at", "_mark", "_mark_at", "_mark_told", "_told", "_told_at")

    def __init__(self) -> None:
        self._told = 0  # where the stream said that it ends
        self._told_at = -math.inf
        self._counted = 0  # where it ends by what came with the last entry; 0: the stream has been asked since
        self._counted_at = -math.inf
        self._as_of = -math.inf
        self._mark = 0  # once so many have come from this consumer, all that its node held at `_mark_at` has
        self._mark_at = -math.inf
        self._mark_told = 0

    @property
    def end(self) -> int:
        """The greatest offset that is thought to be stored; a feed may have been delivered more."""
        return max(self._told, self._counted)

    @property
    def lag_s(self) -> float:
        """Seconds since the newest moment at which everything then in the log had been delivered; infinite: never."""
        return time.monotonic() - self._as_of

    def forget(self) -> None:
        """Another place was sought: nothing is known of what lies behind it."""
        self._as_of = -math.inf

    def begin(self) -> None:
        """Another consumer counts anew."""
        self._mark = 0

    def tell(self, last: int, *, asked: float) -> None:
        """The stream, asked at `asked`, says that it ends at `last`.

        One that says less than before may be led by a node that does not know yet that it leads no more, for as long
        as `STALE_S`.
        """
        if last >= self._told or asked - self._told_at > STALE_S:
            self._told, self._told_at = last, asked
        if self._counted_at <= asked:
            self._counted = 0

    def deliver(self, offset: int, *, number: int, pending: int) -> None:
        """An entry was delivered: the consumer's `number`-th, with so many still to come when it was sent."""
        now = time.monotonic()
        self._counted, self._counted_at = offset + pending, now
        if pending == 0:
            self.reach(offset, at=now)
        elif number < self._mark:
            return
        elif self._mark and offset >= self._mark_told:
            self._as_of = max(self._as_of, self._mark_at)
        self._mark, self._mark_at, self._mark_told = number + pending, now, self._told

    def reach(self, position: int, *, at: float) -> None:
        """Everything up to `position` has been delivered, and at `at` nothing more was known to be there."""
        if position >= self.end:
            self._as_of = max(self._as_of, at)
