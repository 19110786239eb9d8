"""The fold loop: from the feed into memory, and from memory into the store, a batch at a time.

One task folds what the feed delivered while another writes what was folded before. A quiet log is folded and
committed at once; a busy one 10 times a second, or as often as somebody waits for it, because what wakes a loop and
begins a transaction costs more than a message. What the store cannot take waits: first in the batch, then in the
inbox, then in the log, because the feed is paused.

A partition that is gained is folded from its checkpoint on. The feed is one for all partitions, so it is set back
to the lowest checkpoint gained, and of each partition what is at or below its own checkpoint is skipped; of each
chat what is at or below its row's offset, because another replica may have been further than its checkpoint says.
So it is with all that is folded here after a server of the store was lost.
"""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice
from typing import Final, NoReturn, TypeVar

import structlog

from petit.chat.domain.fold import fold_chat, fold_other, rules_version
from petit.chat.domain.rows import Batch, SignalRow, VoidRow
from petit.chat.handlers.reach import Reach
from petit.chat.handlers.states import States
from petit.chat.ports import NotOwnerError, Repository, StoreDown
from petit.contracts import rules
from petit.contracts.ids import ChatId, Offset, SignalId, UserId
from petit.contracts.subjects import OPS_RULES, PARTITIONS, StoredUnder, parse, partition
from petit.kit.errors import LogFault, Outage
from petit.kit.feed import Feed
from petit.kit.log import Entry, Log

BATCH: Final = 2_000
"""Signals that a commit takes at most."""
LINGER_S: Final = 0.1
"""Seconds between commits while nobody waits for one."""
CHECKPOINT_S: Final = 1.0
"""Seconds after which checkpoints of partitions without signals are written, too."""
INBOX: Final = 8_000
INBOX_BYTES: Final = 16 * 1024 * 1024
"""What may wait to be folded: signals, and bytes; beyond it the feed is paused."""
_SLICE: Final = 64
"""Signals that are folded in one go, some 2 ms: other tasks of the process have their turn in between."""
_TICK_S: Final = 0.25
_RECENT: Final = 10_000
_RETRY_S: Final = (0.1, 1.0)

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class RulesTooNew(LogFault):
    """The log is to be judged by rules that this version does not know: it must not be folded by it."""


class Folding:
    """The fold of the partitions that this replica owns.

    Args:
        reach: Told what is in the store.
        states: The chats in memory.
        on_commit: Told, after each batch is in the store, the void sends in it.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        log: Log,
        feed: Feed,
        reach: Reach,
        states: States,
        on_commit: Callable[[list[VoidRow]], None],
    ) -> None:
        self._repository = repository
        self._log = log
        self._feed = feed
        self._reach = reach
        self._states = states
        self._on_commit = on_commit
        self._inbox: deque[Entry] = deque()
        self._inbox_bytes = 0
        self._woken = asyncio.Event()
        self._owned: frozenset[int] = frozenset()
        self._gained: frozenset[int] = frozenset()
        self._activated = [asyncio.Event() for _ in range(PARTITIONS)]
        self._floors = [Offset(0)] * PARTITIONS
        self._targets = [Offset(0)] * PARTITIONS
        self._batch = Batch()
        self._batched = 0
        self._moved: set[int] = set()
        self._position = Offset(0)
        self._committed = Offset(0)
        self._commit_at = 0.0
        self._checkpoint_at = 0.0
        self._committing = False
        self._losses = repository.losses
        self._advanced = asyncio.Event()
        self._awaited = 0
        self.active: frozenset[int] = frozenset()
        """The partitions that are being folded."""
        self.recent: OrderedDict[tuple[UserId, SignalId], SignalRow] = OrderedDict()
        """What became of the last signals that take no seq, committed or not: what proposals wait for."""

    # ── called by the feed, the leases and whoever waits ────────────────────────────────────────────

    def on_entry(self, entry: Entry) -> None:
        """Take what the feed delivers."""
        self._inbox.append(entry)
        self._inbox_bytes += len(entry.payload)
        waiting = len(self._inbox)
        if waiting == 1:
            self._wake_when_due()
        elif waiting >= BATCH or self._inbox_bytes >= INBOX_BYTES:
            self._woken.set()
            if waiting >= INBOX or self._inbox_bytes >= INBOX_BYTES:
                self._feed.pause()

    def on_change(self, gained: frozenset[int], lost: frozenset[int]) -> None:
        """Take what the leases say: what is lost is not folded any more, what is gained soon is."""
        self._owned = (self._owned | gained) - lost
        self._gained = (self._gained | gained) - lost
        self.active -= lost
        for p in lost:
            self._activated[p].set()  # whoever waits learns that it is lost
            self._activated[p] = asyncio.Event()
        self._states.drop(lost)
        self._woken.set()

    def hurry(self) -> None:
        """Do not linger: somebody waits."""
        self._woken.set()

    async def settled(self, partition: int, *, within: float) -> bool:
        """Wait until a partition is folded as far as the log was when it was gained; False if it is not in time.

        Only then may something be refused early: the replica that owned it before may have acknowledged what
        this one had not folded.

        Raises:
            NotOwnerError: this replica does not own it any more.
        """
        if partition in self._owned:
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._activated[partition].wait()
        if partition not in self._owned:
            raise NotOwnerError(f"partition {partition} is owned by another replica")
        if partition not in self.active:
            return False
        return await self._reach.wait_for(self._targets[partition], partition=partition, within=within)

    async def reaches(self, offset: Offset, *, partition: int, within: float) -> bool:
        """Wait until a partition is folded so far in memory, whether or not the store has it yet.

        What is folded is a function of the log alone: a store that is down, or a crash before the commit, changes
        nothing of it.

        Returns:
            False if it is not in so many seconds, or is not folded here.
        """
        if partition not in self.active or self._position >= offset:
            return partition in self.active
        self._awaited += 1
        self._woken.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    while partition in self.active and self._position < offset:
                        await self._advanced.wait()
        finally:
            self._awaited -= 1
        return partition in self.active and self._position >= offset

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> NoReturn:
        """Fold until cancelled.

        Raises:
            RulesTooNew: an `ops.rules` calls for rules that this version does not know.
            StoreBroken: the store is damaged.
            LogFault: the log is not the one that we know.
        """
        newest = await self._patiently(self._repository.rules_version)
        self._refuse_rules(newest, offset=None)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wait()
                if self._gained:
                    await self._take_over()
                while self._inbox and self._batched < BATCH:
                    await self._fold_some()
                self._states.shrink(committed=self._committed)
                if not self._inbox:
                    self._position = max(self._position, Offset(self._feed.position))
                self._advance()
                if len(self._inbox) <= INBOX // 2 and self._inbox_bytes <= INBOX_BYTES // 2:
                    self._feed.resume()
                lost = self._repository.losses != self._losses
                if (lost or self._position > self._committed) and not self._committing:
                    if lost or self._batched >= BATCH or self._due_in() <= 0:
                        self._committing = True
                        tasks.create_task(self._commit(), name="folding.commit")
                    else:
                        self._wake_when_due()

    async def finish(self) -> None:
        """Write what is folded before the process ends; only once `run` is over.

        Raises:
            StoreDown: it cannot be written now; the log gives it again.
            StoreBroken: the store is damaged.
        """
        # Else nobody knows whether what this batch builds on was written.
        if not self._committing and self._repository.losses == self._losses:
            self._checkpoint_at = -math.inf
            await self._repository.commit(self._seal(self.active))

    def _due_in(self) -> float:
        """Return in how many seconds the next commit is due; not more than 0 if it is."""
        return 0.0 if self._reach.waiting or self._awaited else self._commit_at + LINGER_S - time.monotonic()

    def _advance(self) -> None:
        """Have those who wait for the fold look again."""
        self._advanced.set()
        self._advanced = asyncio.Event()

    def _wake_when_due(self) -> None:
        wait = self._due_in()
        if wait <= 0:
            self._woken.set()
        else:
            asyncio.get_running_loop().call_later(wait, self._woken.set)

    async def _wait(self) -> None:
        """Wait for something to do; at latest for the tick, because the feed's position moves without entries, too."""
        try:
            async with asyncio.timeout(_TICK_S):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _take_over(self) -> None:
        """Begin to fold what was gained, once everything folded so far is in the store."""
        while self._committing:
            await self._wait()
        if self._batched:
            await self._commit()
        gained, self._gained = self._gained, frozenset()
        stored = await self._patiently(self._repository.checkpoints)
        last = Offset((await self._patiently(self._log.info)).last)
        gained &= self._owned  # some may be lost again by now
        if not gained:
            return
        for p in self.active:
            self._floors[p] = max(self._floors[p], self._position)
        for p in gained:
            self._floors[p] = stored.get(p, Offset(0))
            self._targets[p] = last
            self._reach.advance([p], to=self._floors[p])
        after = min(self._floors[p] for p in gained | self.active)
        self._states.begin(gained)
        self.active |= gained
        self._inbox.clear()
        self._inbox_bytes = 0
        self._feed.seek(after)
        self._position = self._committed = after
        for p in gained:
            self._activated[p].set()
        _log.info("partitions.gained", gained=len(gained), after=after, last=last)

    async def _fold_some(self) -> None:
        entries = list(islice(self._inbox, BATCH - self._batched))
        wanted = {
            ChatId(under.key)
            for under in (parse(entry.subject) for entry in entries)
            if under is not None and under.scope == "chat" and partition(under.key) in self.active
        }
        if missing := self._states.missing(wanted):
            await self._patiently(lambda: self._states.load(missing))
        for number, entry in enumerate(entries):  # nobody but this task takes from the inbox
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            self._fold(entry)
            self._inbox.popleft()
            self._inbox_bytes -= len(entry.payload)
            self._position = Offset(entry.offset)

    def _fold(self, entry: Entry) -> None:
        offset = Offset(entry.offset)
        under = parse(entry.subject)
        if under is None:
            return
        if entry.subject == OPS_RULES:
            self._meet_rules(entry)
        p = partition(under.key) if under.key else under.partition % PARTITIONS
        if p not in self.active or offset <= self._floors[p]:
            return
        self._batched += 1
        self._moved.add(p)
        if under.scope == "chat":
            self._fold_chat(under, entry)
        else:
            fold_other(under, entry.payload, offset=offset, into=self._batch)

    def _fold_chat(self, under: StoredUnder, entry: Entry) -> None:
        chat = self._states.get(ChatId(under.key))
        if chat is None:
            raise RuntimeError(f"chat {under.key} was not loaded before its signal at offset {entry.offset}")
        if entry.offset <= chat.state.offset:
            return
        before = len(chat.state.members)
        row = fold_chat(chat, entry.payload, offset=Offset(entry.offset), into=self._batch)
        self._states.grew(len(chat.state.members) - before)
        if row.seq is None and row.id is not None and row.by is not None:
            self.recent.setdefault((row.by, row.id), row)
            if len(self.recent) > _RECENT:
                self.recent.popitem(last=False)

    def _meet_rules(self, entry: Entry) -> None:
        version = rules_version(entry.payload)
        if version is not None:
            self._refuse_rules(version, offset=entry.offset)
            self._batch.rules[Offset(entry.offset)] = version

    def _refuse_rules(self, version: int, *, offset: int | None) -> None:
        if version > rules.RULES_VERSION:
            where = "the read model was" if offset is None else f"from offset {offset} on the log is to be"
            raise RulesTooNew(
                f"{where} folded by version {version} of the rules, and this program knows {rules.RULES_VERSION}:"
                " run the newer one",
            )

    # ── commits ─────────────────────────────────────────────────────────────────────────────────────

    def _seal(self, active: frozenset[int]) -> Batch:
        """Close the batch, with the checkpoints of what moved; once in a while of everything."""
        batch, self._batch = self._batch, Batch()
        batch.seal()
        now = time.monotonic()
        moved = active & self._moved
        if active and now - self._checkpoint_at >= CHECKPOINT_S:
            self._checkpoint_at = now
            moved = active
        batch.checkpoints = {p: max(self._position, self._floors[p]) for p in moved}
        self._batched = 0
        self._moved = set()
        return batch

    async def _commit(self) -> None:
        active, position = self.active, self._position
        batch = self._seal(active)
        self._commit_at = time.monotonic()
        if not await self._patiently(lambda: self._write(batch)):
            self._begin_anew()
            return
        self._committed = position
        self._committing = False
        self._reach.advance(active, to=position)
        self._on_commit(batch.voids)
        self._woken.set()

    async def _write(self, batch: Batch) -> bool:
        """Write a batch, unless what it builds on may be forgotten: then wait until the store answers; False."""
        if self._repository.losses != self._losses:
            await self._repository.epoch()
            return False
        if batch.touched or batch.checkpoints or batch.rules:
            await self._repository.commit(batch)
        return True

    def _begin_anew(self) -> None:
        """Fold what is folded here from what the store has, and not from memory."""
        self._losses = self._repository.losses
        self._committing = False
        self._batch, self._batched, self._moved = Batch(), 0, set()
        mine = self.active
        _log.warning("fold.begins_anew", partitions=len(mine))
        self.on_change(frozenset(), mine)
        self.on_change(mine, frozenset())

    async def _patiently(self, work: "Callable[[], Awaitable[T]]") -> "T":
        """Do something with the store or the log, again and again while it is down."""
        pause, most = _RETRY_S
        while True:
            try:
                return await work()
            except (StoreDown, Outage) as error:
                _log.warning("fold.waits", error=str(error), again_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, most)
