"""Limits in the memory of this process, by the `limits` library: fixed windows, one for each person and kind.

A fixed window takes the least time and memory; at its edge twice the amount may pass, which is fine for what
it is for: keeping one person from using up what is everybody's.
The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from limits import RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter

from petit.contracts.ids import UserId
from petit.gateway.adapters.windows import LoopStorage
from petit.gateway.ports import Budget, Clock, Kind


@dataclass(frozen=True, slots=True)
class _Limit:
    item: RateLimitItemPerSecond
    policy: bytes
    left: bytes
    """A format for what is left, and for how long."""


class MemoryLimits:
    """See `Limits`.

    Args:
        per_second: How many of each kind one person may do.
        clock: What time it is.
    """

    def __init__(self, per_second: Mapping[Kind, int], *, clock: Clock) -> None:
        self._clock = clock
        self._storage = LoopStorage(clock.monotonic)
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._limits = {kind: _limit(kind, amount) for kind, amount in per_second.items()}

    def take(self, kind: Kind, user: UserId) -> Budget:
        """See `Limits.take`."""
        limit = self._limits[kind]
        free = self._limiter.hit(limit.item, user)
        window = self._storage.touched
        seconds = max(1, math.ceil(window.ends - self._clock.monotonic()))
        left = max(0, limit.item.amount - window.count)
        return Budget(limit.policy, limit.left % (left, seconds), 0 if free else seconds)

    def show(self, kind: Kind) -> Budget:
        """See `Limits.show`."""
        limit = self._limits[kind]
        return Budget(limit.policy, limit.left % (limit.item.amount, 1), 0)


def _limit(kind: Kind, amount: int) -> _Limit:
    name = kind.encode()
    item = RateLimitItemPerSecond(amount, namespace=kind)
    return _Limit(item, b'"%s";q=%d;w=1' % (name, amount), b'"%s";r=%%d;t=%%d' % name)
