"""How far something has come along the log, and who waits for it to come further."""

import asyncio
import heapq
import itertools
from typing import Final

_NOBODY: Final = 1 << 63
"""Greater than any offset."""


class Progress:
    """A position in the log that grows, and may be set back.

    `advance` costs one comparison when nobody waits: it may be called for every entry.
    """

    __slots__ = ("_nearest", "_number", "_over", "_waiters", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        """Everything at or below is done."""
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = itertools.count()
        self._nearest = _NOBODY
        self._over: Exception | None = None

    def advance(self, position: int) -> None:
        """Note that everything at or below is done; wake those who waited for it."""
        self.position = position
        if position >= self._nearest:
            self._wake()

    def fail(self, error: Exception) -> None:
        """Note that there will be no more progress: everyone who waits, now or later, gets this error."""
        self._over = error
        for _, _, future in self._waiters:
            if not future.done():
                future.set_exception(error)
        self._waiters.clear()
        self._nearest = _NOBODY

    async def wait_for(self, offset: int, *, within: float) -> bool:
        """Wait until the position has reached an offset; False if it has not within so many seconds.

        Raises:
            Exception: what `fail` was given.
        """
        if self.position >= offset:
            return True
        if self._over is not None:
            raise self._over
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (offset, next(self._number), future))
        self._nearest = self._waiters[0][0]
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        waiters = self._waiters
        while waiters and waiters[0][0] <= self.position:
            future = heapq.heappop(waiters)[2]
            if not future.done():
                future.set_result(None)
        self._nearest = waiters[0][0] if waiters else _NOBODY
