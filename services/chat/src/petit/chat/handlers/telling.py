"""Telling the other replicas how far this one has folded: every 50 ms while that moves, else once a second."""

import asyncio
from collections import defaultdict
from typing import Final, NoReturn

from petit.chat.handlers.folding import Folding
from petit.chat.handlers.reach import Reach
from petit.chat.ports import Ephemera
from petit.contracts.ids import Offset
from petit.contracts.rpc import Folded

MOVING_S: Final = 0.05
QUIET_S: Final = 1.0


class Telling:
    """Publishes the progress of the partitions that this replica folds.

    Args:
        owner: This replica's name.
    """

    def __init__(self, ephemera: Ephemera, *, reach: Reach, owner: str) -> None:
        self._ephemera = ephemera
        self._reach = reach
        self._owner = owner
        self._moved = asyncio.Event()

    def moved(self) -> None:
        """Say so soon."""
        self._moved.set()

    async def run(self, folding: Folding) -> NoReturn:
        """Tell until cancelled."""
        while True:
            by_offset: defaultdict[Offset, list[int]] = defaultdict(list)
            for p in sorted(folding.active):
                by_offset[self._reach.of(p)].append(p)
            for offset, partitions in by_offset.items():
                await self._ephemera.folded(
                    Folded(owner=self._owner, offset=offset, partitions=tuple(partitions)),
                )
            await asyncio.sleep(MOVING_S)
            try:
                async with asyncio.timeout(QUIET_S - MOVING_S):
                    await self._moved.wait()
            except TimeoutError:
                pass
            self._moved.clear()
