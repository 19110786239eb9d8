"""Telling authors of void sends: a `msg.void` for each, until the log has it.

The fold writes down every void send, and every announcement that it meets. What has none yet is announced when
it is folded, or, after a crash or a change of owner, once the fold has come as far as the log was at the
time: by then an announcement that is in the log has been met. Two owners at once do no harm: the announcement's id
and its `Nats-Msg-Id` depend on nothing but the send's place in the log.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NoReturn

import structlog

from petit.chat.domain.rows import VoidRow
from petit.chat.domain.voids import announcement, dedupe_id
from petit.chat.handlers.folding import Folding
from petit.chat.ports import NotOwnerError, Repository, StoreDown
from petit.contracts.ids import Epoch, timestamp
from petit.contracts.signals import encode
from petit.contracts.subjects import chat_signal
from petit.kit.clock import Clock
from petit.kit.errors import Outage
from petit.kit.log import Log

_RETRY_S: Final = 0.5

_log = structlog.get_logger(__name__)


class Announcing:
    """Announces void sends of the partitions that this replica owns."""

    def __init__(self, repository: Repository, *, log: Log, clock: Clock, epoch: Epoch) -> None:
        self._repository = repository
        self._log = log
        self._clock = clock
        self._epoch = epoch
        self._gained: set[int] = set()
        self._unread: set[int] = set()
        self._due: dict[int, VoidRow] = {}
        self._settled: set[int] = set()
        self._woken = asyncio.Event()

    def on_change(self, gained: frozenset[int], lost: frozenset[int]) -> None:
        """Take what the leases say."""
        self._gained = (self._gained | gained) - lost
        self._settled -= lost
        self._due = {offset: row for offset, row in self._due.items() if row.partition not in lost}
        self._woken.set()

    def on_voids(self, rows: Iterable[VoidRow]) -> None:
        """Take void sends that are in the store; those of partitions that are not settled are read from there later.

        What is committed after its partition was lost is read from there as well: the new owner may have looked before.
        """
        for row in rows:
            if row.partition in self._settled:
                self._due[row.offset] = row
            elif row.partition not in self._gained:
                self._unread.add(row.partition)
        self._woken.set()

    async def run(self, folding: Folding) -> NoReturn:
        """Announce until cancelled."""
        while True:
            try:
                settled = await self._settle(folding)
                while self._due:
                    await self._announce(next(iter(self._due.values())))
            except (Outage, StoreDown) as error:
                _log.warning("announcing.waits", error=str(error), due=len(self._due))
                await asyncio.sleep(_RETRY_S)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if settled else _RETRY_S):
                        await self._woken.wait()
                self._woken.clear()

    async def _settle(self, folding: Folding) -> bool:
        """Find what was left unannounced where this replica did not fold from the beginning; False: not yet everywhere.

        Raises:
            StoreDown: the store cannot be read for now.
        """
        for p in sorted(self._gained):
            with suppress(NotOwnerError):  # lost meanwhile: `on_change` has said so, too
                if await folding.settled(p, within=0.0):
                    self._gained.discard(p)
                    self._settled.add(p)  # before the store is read: what is committed from here on comes by `on_voids`
                    self._unread.add(p)
        if self._unread:
            unread = frozenset(self._unread)
            rows = await self._repository.unannounced(unread)
            self._unread -= unread
            self._due.update((row.offset, row) for row in rows)
        return not self._gained

    async def _announce(self, row: VoidRow) -> None:
        """Announce a void send.

        Raises:
            Outage: it is not known to be in the log; to be tried again.
        """
        signal = announcement(row, epoch=self._epoch, at=timestamp(self._clock.now_ms()))
        subject = chat_signal(row.chat, signal.type)
        await self._log.append(subject, encode(signal), msg_id=dedupe_id(row))
        self._due.pop(row.offset, None)
