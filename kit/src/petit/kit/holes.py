"""Offsets without an entry: erased on purpose, or lost.

nats-server passes over an entry whose checksum is wrong without a word, just as over one that was erased. So whoever
reads the log asks the stream about the first offset that is missing, and reads on only if it was erased.
"""

from petit.kit.errors import RESTORE, LogDamaged, Outage
from petit.kit.jetstream import JetStream


class Holes:
    """What is known of the offsets of a stream that have no entry."""

    __slots__ = ("_begins", "_erased", "_js", "_missing", "_stream")

    def __init__(self, js: JetStream, stream: str) -> None:
        self._js = js
        self._stream = stream
        self._begins = 0  # the offset of the first entry that the stream ever had, or has not lost in order since
        self._erased: frozenset[int] = frozenset()  # offsets that may have no entry
        self._missing = 0  # one that had none, and nobody knows why; 0: none

    def begin(self, offset: int) -> None:
        """Learn that there was never an entry before an offset."""
        self._begins = max(self._begins, offset)

    def explain(self, *, after: int, before: int) -> bool:
        """Say whether every offset between two is known to have none; else `check` finds out about the first."""
        for offset in range(max(self._begins, after + 1), before):
            if offset not in self._erased:
                self._missing = offset
                return False
        return True

    async def check(self, *, within: float) -> None:
        """Find out why there was no entry at an offset, if there was one; by one answer: another may know less.

        Raises:
            LogDamaged: it was not erased.
            Outage: who answered does not know.
        """
        if not self._missing:
            return
        state = await self._js.stream(self._stream, erased=True, within=within)
        if state is None or state.last < self._missing:
            raise Outage(f"stream {self._stream}: who was asked about offset {self._missing} knows nothing of it")
        self._erased = state.erased
        self.begin(state.first)  # everything before was erased, or trimmed
        if self._missing >= self._begins and self._missing not in self._erased:
            raise LogDamaged(f"stream {self._stream} leaves out the entry at offset {self._missing}: {RESTORE}")
        self._missing = 0
