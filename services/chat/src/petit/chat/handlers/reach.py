"""How far each partition is folded, over all replicas, and who waits for it to come further."""

from collections.abc import Callable, Iterable

from petit.contracts.ids import Offset
from petit.contracts.problems import Code, Refused
from petit.contracts.subjects import PARTITIONS
from petit.kit.progress import Progress

WITHIN_S = 2.0
"""How long a read waits for its `min_offset` (API.md, section 1)."""


class Reach:
    """The progress of every partition as far as this replica knows; it never goes back.

    Everything at or below a partition's offset is in the read model, whoever wrote it.

    Args:
        on_wait: Called when somebody begins to wait, so that the fold does not linger.
    """

    def __init__(self, *, on_wait: Callable[[], None] = lambda: None) -> None:
        self._each = [Progress(0) for _ in range(PARTITIONS)]
        self._all = Progress(0)
        self._on_wait = on_wait
        self.waiting = 0
        """How many wait now."""

    def of(self, partition: int) -> Offset:
        """Return how far one partition is."""
        return Offset(self._each[partition].position)

    @property
    def lowest(self) -> Offset:
        """How far all partitions are."""
        return Offset(self._all.position)

    def advance(self, partitions: Iterable[int], *, to: Offset) -> None:
        """Note that everything of some partitions at or below an offset is in the read model."""
        for partition in partitions:
            if to > self._each[partition].position:
                self._each[partition].advance(to)
        lowest = min(progress.position for progress in self._each)
        if lowest > self._all.position:
            self._all.advance(lowest)

    async def wait_for(self, offset: Offset, *, partition: int | None, within: float = WITHIN_S) -> bool:
        """Wait until a partition (None: every partition) has come so far; False if it has not in so many seconds."""
        progress = self._all if partition is None else self._each[partition]
        if progress.position >= offset:
            return True
        self.waiting += 1
        self._on_wait()
        try:
            return await progress.wait_for(offset, within=within)
        finally:
            self.waiting -= 1

    async def ready(self, offset: Offset, *, partition: int | None) -> Offset:
        """Wait for a read's `min_offset`, and return as of which offset the read will at least hold.

        Raises:
            Refused: `read.behind`: the fold is not that far yet.
        """
        if not await self.wait_for(offset, partition=partition):
            raise Refused(Code.READ_BEHIND, f"the read model has not folded offset {offset} yet", retry_after=1)
        return self.lowest if partition is None else self.of(partition)
