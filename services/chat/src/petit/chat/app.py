"""The composition root: one chat replica, from its connections to its store.

`chat` is the whole of it, for a process of its own (`python -m petit.chat`) and for whoever embeds it
(`petit up`). The rest is what an operator does with the read model while nobody serves it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from petit.chat.adapters.ephemera import NatsEphemera
from petit.chat.adapters.sqlite import opened as opened_file
from petit.chat.adapters.sqlite.files import adopt_epoch, backup, digest, highest_checkpoint, known_epoch
from petit.chat.domain.rows import VoidRow
from petit.chat.handlers.announcing import Announcing
from petit.chat.handlers.delivering import Delivering
from petit.chat.handlers.folding import Folding
from petit.chat.handlers.model import Model
from petit.chat.handlers.proposing import Proposing
from petit.chat.handlers.reach import Reach
from petit.chat.handlers.states import States
from petit.chat.handlers.telling import Telling
from petit.chat.ports import CqlServer, Repository, Store, StoreBroken, StoreDown
from petit.chat.subscribers.lists import serve_lists
from petit.chat.subscribers.methods import any_methods, list_methods, owner_methods
from petit.chat.subscribers.requests import Owning, listen, serve_any
from petit.contracts.cursor import NOWHERE, Cursor
from petit.contracts.ids import Epoch, Offset
from petit.kit.access import Access
from petit.kit.clock import Clock, SystemClock
from petit.kit.connection import connect
from petit.kit.errors import REPAIR, LogFault, LogLost
from petit.kit.feed import Feed
from petit.kit.leases import Leases, ReplicaTakenError
from petit.kit.log import Entry, Log
from petit.kit.probes import Readiness

__all__ = [
    "Chat",
    "Options",
    "adopt",
    "adopt_epoch",
    "backup",
    "chat",
    "digest",
    "highest_checkpoint",
    "known_epoch",
    "look",
    "migrate",
]

GROUP: Final = "chat"
"""Of the leases."""
_FINISH_S: Final = 2.0
_PROBE_S: Final = 2.0
_WAIT_S: Final = (0.5, 5.0)
"""Between attempts to open a database: at first, and at most."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a deployment decides."""

    nats: Access
    store: Path | CqlServer
    """The SQLite file, made, with its folder, if it is not there; or a keyspace, which `petit migrate` makes."""
    bootstrap_wait_s: float | None = None
    """How long to wait for the log to be made, seconds; None: this replica makes what is not there."""
    replica: str = "chat-0"
    members_held: int = 200_000
    """Members over all chats that are kept in memory; some 300 bytes each."""
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Chat:
    """A replica that runs."""

    folding: Folding
    feed: Feed
    reach: Reach
    store: Repository

    @property
    def lag(self) -> int:
        """How many offsets the read model of this replica's partitions is behind the log, as far as it knows."""
        return self.feed.head - min((self.reach.of(p) for p in self.folding.active), default=self.feed.head)

    @property
    def current(self) -> bool:
        """Whether it folds what it owns, and has heard from the log within the last 1.5 s."""
        return self.feed.current

    def readiness(self, *, max_lag: int) -> Readiness:
        """Return what an orchestrator is told: the store answers, and the fold is at most so many offsets behind."""
        return Readiness([self._store_answers, partial(self._folds, max_lag)])

    async def _store_answers(self) -> str | None:
        try:
            async with asyncio.timeout(_PROBE_S):
                await self.store.epoch()
        except (StoreDown, StoreBroken) as error:
            return f"the store: {error}"
        except TimeoutError:
            return f"the store has not answered within {_PROBE_S:.0f} s"
        return None

    async def _folds(self, max_lag: int) -> str | None:
        if not self.current:
            return "this replica has heard nothing from the log for a while"
        return None if self.lag <= max_lag else f"the fold is {self.lag} offsets behind the log"


@asynccontextmanager
async def chat(options: Options, *, on_wait: Callable[[str], None] = lambda _: None) -> AsyncIterator[Chat]:
    """Run one replica for as long as the context lasts; it folds what it comes to own, and answers.

    A database that is down, or that `petit migrate` has not run for, is waited for. When something ends the replica
    early, the context's body is cancelled and this raises why.

    Args:
        options: What the deployment decides.
        on_wait: Told, before the context begins, what is waited for.

    Raises:
        LogFault: the log is lost, behind the read model or of another epoch, or asks for newer rules.
        StoreBroken: the store is damaged, or not ours.
        StoreDown: the store cannot be opened.
        ReplicaTakenError: another process runs under this replica's name.
        Outage: NATS cannot be reached.
    """
    try:
        async with AsyncExitStack() as stack:
            yield await _start(options, stack, on_wait=on_wait)
    except BaseExceptionGroup as group:
        raise _reason(group) from None


async def _start(options: Options, stack: AsyncExitStack, *, on_wait: Callable[[str], None]) -> Chat:
    store = await stack.enter_async_context(_opened(options.store, on_wait=on_wait))
    name = options.replica
    nc = await stack.enter_async_context(await connect(options.nats, name=name))
    # What is replayed has its own connection, so that answers do not wait behind it.
    feed_nc = await stack.enter_async_context(await connect(options.nats, name=f"{name}-feed"))
    log = Log(nc)
    epoch = await _agree(store, log, options=options)

    reach = Reach(on_wait=lambda: folding.hurry())  # noqa: PLW0108 - made below, and needs this
    for p, offset in (await store.checkpoints()).items():
        reach.advance([p], to=offset)
    states = States(store.chats, capacity=options.members_held)
    ephemera = NatsEphemera(nc)
    announcing = Announcing(store, log=log, clock=options.clock, epoch=epoch)
    telling = Telling(ephemera, reach=reach, owner=options.replica)

    def on_commit(voids: list[VoidRow]) -> None:
        announcing.on_voids(voids)
        telling.moved()

    def on_entry(entry: Entry) -> None:
        folding.on_entry(entry)

    feed = Feed(feed_nc, deliver=on_entry, after=None, epoch=epoch, name=name)
    folding = Folding(store, log=log, feed=feed, reach=reach, states=states, on_commit=on_commit)
    model = Model(repository=store, reach=reach)
    proposing = Proposing(store, log=log, folding=folding, states=states, reach=reach)
    delivering = Delivering(model, states=states, announce=ephemera.delivered)
    owning = Owning(
        nc, owner_methods(model, states=states, folding=folding, proposing=proposing, delivering=delivering)
    )

    def on_change(gained: frozenset[int], lost: frozenset[int]) -> None:
        for part in (folding, announcing, owning):
            part.on_change(gained, lost)

    makes = options.bootstrap_wait_s is None
    leases = Leases(nc, group=GROUP, replica=options.replica, on_change=on_change, makes=makes)
    if options.bootstrap_wait_s is not None:
        await leases.find(within=options.bootstrap_wait_s)
    await listen(nc, reach)
    anyone = await serve_any(nc, any_methods(model))
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    folder = tasks.create_task(folding.run(), name="chat.folding")
    others = [
        tasks.create_task(work, name=f"chat.{what}")
        for what, work in (
            ("feed", feed.run()),
            ("store", store.watch()),
            ("announcing", announcing.run(folding)),
            ("telling", telling.run(folding)),
            ("owning", owning.run()),
            ("leases", leases.run()),
        )
    ]

    async def stop() -> None:
        """Take nothing more, finish what was taken, write what is folded, and hand the partitions over."""
        await asyncio.gather(owning.stop(), *(service.stop() for service in anyone))
        await _cancel([folder])
        with suppress(StoreDown, StoreBroken, TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await folding.finish()
        await _cancel(others)

    stack.push_async_callback(stop)
    await stack.enter_async_context(serve_lists(options.nats, name=f"{name}-lists", methods=list_methods(model)))
    return Chat(folding=folding, feed=feed, reach=reach, store=store)


@asynccontextmanager
async def _opened(place: Path | CqlServer, *, on_wait: Callable[[str], None]) -> AsyncIterator[Store]:
    """Open the read model; a database that cannot be used yet is waited for."""
    if isinstance(place, Path):
        await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
        async with opened_file(place) as store:
            yield store
        return
    from petit.chat.adapters.cql.store import opened as opened_keyspace  # noqa: PLC0415 - the driver, only if used

    pause, most = _WAIT_S
    found: Store | None = None
    async with AsyncExitStack() as stack:
        while found is None:
            try:
                found = await stack.enter_async_context(opened_keyspace(place))
            except StoreDown as error:
                _log.warning("store.waits", error=str(error), again_s=pause)
                on_wait(str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, most)
        yield found


async def migrate(server: CqlServer, *, replication: int) -> list[int]:
    """Bring a keyspace's schema up to this version; return what was missing. See `adapters.cql.migrating`.

    Raises:
        StoreDown: the cluster cannot be reached, or its nodes do not agree in time: try again.
        StoreBroken: the schema is newer than this program, or we may not change it.
    """
    from petit.chat.adapters.cql import migrating  # noqa: PLC0415 - the driver, only if used

    return await migrating.migrate(server, replication=replication)


async def look(server: CqlServer) -> Cursor:
    """Return up to where a keyspace's read model has folded the log: `NOWHERE` if it is new.

    Raises:
        StoreDown: the cluster cannot be reached, or its schema is older than this program.
        StoreBroken: the schema is newer.
    """
    from petit.chat.adapters.cql.store import opened as opened_keyspace  # noqa: PLC0415 - the driver, only if used

    async with opened_keyspace(server) as store:
        folded = max((await store.checkpoints()).values(), default=NOWHERE.offset)
        return Cursor(await store.epoch() or NOWHERE.epoch, folded)


async def adopt(server: CqlServer, *, epoch: Epoch) -> None:
    """Say that a keyspace's read model goes on in a new making of the log: only `petit doctor --new-epoch` may.

    What a commit that was cut short has written of the old log, and nobody will fold again, is removed before.

    Raises:
        StoreDown: some node cannot be reached: try again when all are there.
        StoreBroken: the schema is newer than this program, or the read model reaches beyond the new log.
    """
    from petit.chat.adapters.cql.store import opened as opened_keyspace  # noqa: PLC0415 - the driver, only if used

    async with opened_keyspace(server, everywhere=True) as store:
        if removed := await store.take_back():
            _log.warning("store.mended", rows=removed)
        await store.set_epoch(epoch)


async def _agree(store: Repository, log: Log, *, options: Options) -> Epoch:
    """Find the log, make sure that the read model is of it, and return its epoch.

    Raises:
        LogFault: it is not.
    """
    known = await store.epoch()
    folded = max((await store.checkpoints()).values(), default=Offset(0))
    if options.bootstrap_wait_s is None:
        info = await log.bootstrap(known_epoch=known or 0, known_offset=folded)
    else:
        wait_s = options.bootstrap_wait_s
        info = await log.find(known_epoch=known or 0, known_offset=folded, remember=True, within=wait_s)
    if known is None:
        await store.set_epoch(Epoch(info.epoch))
    elif known != info.epoch:
        raise LogLost(f"the log is of epoch {info.epoch}, but {options.store} was folded from epoch {known}: {REPAIR}")
    return Epoch(info.epoch)


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _reason(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what an operator must know first, of all that failed; else the only failure, else everything."""
    faults, _ = group.split((LogFault, StoreBroken, ReplicaTakenError))
    found: BaseException = group if faults is None else faults
    while isinstance(found, BaseExceptionGroup) and (faults is not None or len(found.exceptions) == 1):
        found = found.exceptions[0]
    return found
