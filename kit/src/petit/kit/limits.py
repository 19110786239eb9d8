"""Limits in the memory of this process, by the `limits` library: fixed windows, one for each person and kind.

A fixed window takes the least time and memory; at its edge twice the amount may pass, which is fine for what
it is for: keeping one person from using up what is everybody's.
The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from limits import RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter

from petit.contracts.problems import Code, Refused
from petit.kit.clock import Clock
from petit.kit.windows import LoopStorage

K = TypeVar("K", bound=str)
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a limit."""

    policy: bytes
    """The limit as `RateLimit-Policy` spells it."""
    left: bytes
    """What is left as `RateLimit` spells it."""
    wait_s: int
    """0: go on; else whole seconds after which trying again makes sense."""

    @property
    def headers(self) -> Headers:
        """The headers that every answer carries (API.md, section 1)."""
        return [(b"ratelimit-policy", self.policy), (b"ratelimit", self.left)]

    def spend(self) -> None:
        """Go on, or refuse.

        Raises:
            Refused: `rate.limited`.
        """
        if self.wait_s:
            raise Refused(Code.RATE_LIMITED, f"more than {self.policy.decode()}", retry_after=self.wait_s)


@dataclass(frozen=True, slots=True)
class _Limit:
    item: RateLimitItemPerSecond
    policy: bytes
    left: bytes
    """A format for what is left, and for how long."""


class MemoryLimits(Generic[K]):
    """How often somebody may do something of a kind.

    Args:
        per_second: How many of each kind one person may do.
        clock: What time it is.
    """

    def __init__(self, per_second: Mapping[K, int], *, clock: Clock) -> None:
        self._clock = clock
        self._storage = LoopStorage(clock.monotonic)
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._limits = {kind: _limit(kind, amount) for kind, amount in per_second.items()}

    def take(self, kind: K, user: str) -> Budget:
        """Count one more of a person, or of whatever else stands for who asks, and say what is left."""
        limit = self._limits[kind]
        free = self._limiter.hit(limit.item, user)
        window = self._storage.touched
        seconds = max(1, math.ceil(window.ends - self._clock.monotonic()))
        left = max(0, limit.item.amount - window.count)
        return Budget(limit.policy, limit.left % (left, seconds), 0 if free else seconds)

    def show(self, kind: K) -> Budget:
        """Return the whole limit, for whom is not known (yet). Counts nothing."""
        limit = self._limits[kind]
        return Budget(limit.policy, limit.left % (limit.item.amount, 1), 0)


def _limit(kind: str, amount: int) -> _Limit:
    name = kind.encode()
    item = RateLimitItemPerSecond(amount, namespace=kind)
    return _Limit(item, b'"%s";q=%d;w=1' % (name, amount), b'"%s";r=%%d;t=%%d' % name)
