"""Limits in the memory of this process, by the `limits` library: fixed windows, one for each person and kind.

A fixed window costs a fifth of a moving one in memory and the least time; at its edge twice the amount may
pass, which is fine for what it is for: keeping one person from using up what is everybody's.
The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
from collections.abc import Mapping

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from petit.contracts.ids import UserId
from petit.gateway.ports import Budget, Clock, Kind


class MemoryLimits:
    """See `Limits`.

    Args:
        per_second: How many of each kind one person may do.
        clock: What time it is.
    """

    def __init__(self, per_second: Mapping[Kind, int], *, clock: Clock) -> None:
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._clock = clock
        self._items: dict[Kind, RateLimitItem] = {
            kind: RateLimitItemPerSecond(amount, namespace=kind) for kind, amount in per_second.items()
        }
        self._whole = {kind: _whole(kind, amount) for kind, amount in per_second.items()}

    def take(self, kind: Kind, user: UserId) -> Budget:
        """See `Limits.take`."""
        item = self._items[kind]
        free = self._limiter.hit(item, user)
        resets_at, left = self._limiter.get_window_stats(item, user)
        seconds = max(1, math.ceil(resets_at - self._clock.now_ms() / 1000))
        return Budget(
            self._whole[kind].policy, b'"%s";r=%d;t=%d' % (kind.encode(), left, seconds), 0 if free else seconds
        )

    def show(self, kind: Kind) -> Budget:
        """See `Limits.show`."""
        return self._whole[kind]


def _whole(kind: Kind, amount: int) -> Budget:
    name = kind.encode()
    return Budget(b'"%s";q=%d;w=1' % (name, amount), b'"%s";r=%d;t=1' % (name, amount), 0)
