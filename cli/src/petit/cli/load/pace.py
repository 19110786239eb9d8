"""When messages are sent: on a schedule that waits for nobody, or as fast as a bounded window allows.

An open-loop send that finds no free lane waits in the backlog, and its latency goes on counting from when it
was due.
"""

import asyncio
import gc
import itertools
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from petit.cli.load.lanes import Desk, Lane
from petit.cli.load.ledger import Ledger

_NS: Final = 1_000_000_000


class Pace:
    """Gives out numbers and due times to lanes."""

    def __init__(self, desk: Desk, *, lanes: Sequence[Lane]) -> None:
        self._desk = desk
        self._lanes = lanes
        self._free: deque[Lane] = deque()
        """One entry for each message that could be submitted now: submitting takes it, the answer gives it back."""
        self._numbers = itertools.count()
        self._backlog: deque[tuple[int, int]] = deque()
        """Number and due time of messages that wait for a lane."""
        self._left = 0
        """Closed loop: how many more to send."""
        self._until = 0
        """Closed loop: monotonic nanoseconds after which nothing more is sent."""
        self._quiet = asyncio.Event()
        """Set whenever nothing is under way."""
        desk.freed = self._freed

    async def open(self, ledger: Ledger, *, rate: float, seconds: float, grace: float) -> None:
        """Send on a schedule: message i is due i/rate seconds after the start, whatever the answers do.

        Args:
            ledger: what this step writes to.
            rate: messages per second.
            seconds: how long messages are due.
            grace: seconds to wait for answers after that; unanswered ones are left unknown.
        """
        self._begin(ledger)
        loop = asyncio.get_running_loop()
        start = time.monotonic_ns()
        ledger.first = start
        step = _NS / rate
        for place in range(round(rate * seconds)):
            due = start + round(place * step)
            ahead = due - time.monotonic_ns()
            if ahead > 0:
                wake: asyncio.Future[None] = loop.create_future()
                loop.call_at(loop.time() + ahead / _NS, wake.set_result, None)
                await wake
            elif not place % 64:
                await asyncio.sleep(0)  # behind the schedule: answers must still be read
            ledger.sent += 1
            self._backlog.append((next(self._numbers), due))
            self._drain()
        await self._answers(grace=grace)

    async def closed(self, ledger: Ledger, *, seconds: float, count: int, grace: float) -> None:
        """Send as fast as the window allows, until the time is over or so many are sent.

        Args:
            ledger: what this step writes to.
            seconds: how long.
            count: how many at most.
            grace: seconds to wait for answers after that; unanswered ones are left unknown.
        """
        self._begin(ledger)
        ledger.first = time.monotonic_ns()
        self._until = ledger.first + round(seconds * _NS)
        self._left = count
        tokens, self._free = self._free, deque()
        for lane in tokens:
            self._refill(lane)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_answered()
        self._left = 0
        await self._answers(grace=grace)

    def _begin(self, ledger: Ledger) -> None:
        self._desk.ledger = ledger
        self._backlog.clear()
        spare = [lane.spare for lane in self._lanes]
        self._free = deque(
            lane for turn in range(max(spare)) for lane, room in zip(self._lanes, spare, strict=True) if turn < room
        )
        gc.collect()
        gc.freeze()

    async def _answers(self, *, grace: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._all_answered()
        self._backlog.clear()

    async def _all_answered(self) -> None:
        """Wait until nothing is under way; while lanes are refilled, that is when all are lost or all is sent."""
        ledger = self._desk.ledger
        while ledger.answered < ledger.sent:
            self._quiet.clear()
            await self._quiet.wait()

    def _freed(self, lane: Lane) -> None:
        if self._left > 0:
            self._refill(lane)
        else:
            self._free.append(lane)
            self._drain()
        if self._desk.ledger.answered >= self._desk.ledger.sent:
            self._quiet.set()

    def _refill(self, lane: Lane) -> None:
        now = time.monotonic_ns()
        if self._left <= 0 or now >= self._until or not lane.spare:
            return
        self._left -= 1
        self._desk.ledger.sent += 1
        lane.submit(next(self._numbers), due=now)

    def _drain(self) -> None:
        while self._backlog and self._free:
            lane = self._free.popleft()
            if lane.spare:
                number, due = self._backlog.popleft()
                lane.submit(number, due=due)
