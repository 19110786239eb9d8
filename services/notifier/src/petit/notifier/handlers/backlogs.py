"""Asks the chat service for history, once for all who need it.

When thousands come back at once they need the same chats. Requests for one chat that come within a moment
become one, from the oldest cursor on; an answer is kept for a while for those who come a little later.
People whose chats are to be told are asked for together as well.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.rpc import Backlog
from petit.notifier.domain.items import Item
from petit.notifier.domain.missed import Piece
from petit.notifier.handlers.router import Router
from petit.notifier.ports import Chats

GATHER_S: Final = 0.003
"""How long a request waits for others to join it."""
AT_ONCE: Final = 64
"""Requests in flight."""
USERS: Final = 500
"""People in one request."""
KEPT_ITEMS: Final = 20_000
"""Signals of answers that are kept."""

T = TypeVar("T")


@dataclass(slots=True)
class _Wave:
    """One request for a chat's history, that others may join."""

    after: Offset
    sent: bool = False
    task: "asyncio.Task[Piece] | None" = None


@dataclass(slots=True)
class _Batch:
    """One request for people's chats, that others may join until it is full."""

    users: list[UserId] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None


class Backlogs:
    """Answers of the chat service, shared by all who wait for them.

    Every method raises `Refused` where the chat service refuses, and `Unavailable` where nobody answers.
    """

    def __init__(self, chats: Chats, *, router: Router) -> None:
        self._chats = chats
        self._router = router
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waves: dict[ChatId, _Wave] = {}
        self._kept: OrderedDict[ChatId, Piece] = OrderedDict()
        self._kept_items = 0
        self._batch: _Batch | None = None
        self._asked: dict[UserId, asyncio.Task[None]] = {}

    async def chat(self, chat: ChatId, *, after: Offset) -> Piece:
        """Return the history of a chat above an offset, up to where the ring goes on."""
        kept = self._kept.get(chat)
        if kept is not None and kept.after <= after and self._router.ring.complete(chat, after=kept.to):
            return kept
        wave = self._waves.get(chat)
        if wave is None or (wave.sent and wave.after > after):
            wave = self._waves[chat] = _Wave(after)
            wave.task = self._share(self._ask_chat(chat, wave))
        elif not wave.sent:
            wave.after = min(wave.after, after)
        assert wave.task is not None  # noqa: S101 - set where it is made
        return await asyncio.shield(wave.task)

    async def person(self, user: UserId, *, after: Offset) -> Piece:
        """Return what concerned a person by name above an offset."""
        async with self._room:
            to = self._router.seen
            return self._piece(await self._chats.person_backlog(user, after=after, to=to), after=after, to=to)

    async def changed(self, chats: frozenset[ChatId], *, after: Offset) -> tuple[Offset, Offset, frozenset[ChatId]]:
        """Return `after`, how far the answer reaches, and which of these chats have a signal between."""
        async with self._room:
            changed, to = await self._chats.changed(tuple(chats), after=after, min_offset=self._router.seen)
            return after, to, changed

    async def know(self, user: UserId) -> None:
        """Make a person known to the router."""
        task = self._asked.get(user)
        if task is None:
            batch = self._batch
            if batch is None or len(batch.users) >= USERS:
                batch = self._batch = _Batch()
                batch.task = self._share(self._ask_memberships(batch))
            batch.users.append(user)
            assert batch.task is not None  # noqa: S101 - set where it is made
            task = self._asked[user] = batch.task
        await asyncio.shield(task)

    async def close(self) -> None:
        """Give up what is being asked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask_chat(self, chat: ChatId, wave: _Wave) -> Piece:
        try:
            await asyncio.sleep(GATHER_S)
            async with self._room:
                wave.sent = True
                after, to = wave.after, self._router.seen
                piece = self._piece(await self._chats.backlog(chat, after=after, to=to), after=after, to=to)
        finally:
            if self._waves.get(chat) is wave:
                del self._waves[chat]
        self._keep(chat, piece)
        return piece

    async def _ask_memberships(self, batch: _Batch) -> None:
        router = self._router
        try:
            await asyncio.sleep(GATHER_S)
            async with self._room:
                if self._batch is batch:
                    self._batch = None
                users = tuple(batch.users)
                router.arriving |= {user: set() for user in users}
                chats = await self._chats.memberships(users, min_offset=router.seen)
            for user in users:
                if router.people.get(user) is None:
                    router.know(user, chats=dict(chats.get(user, {})))
        finally:
            for user in batch.users:
                self._asked.pop(user, None)
                router.arriving.pop(user, None)

    def _piece(self, backlog: Backlog, *, after: Offset, to: Offset) -> Piece:
        items = tuple(Item.of(placement, epoch=self._router.epoch) for placement in backlog.items)
        complete = backlog.complete or not items
        return Piece(after=after, to=to, items=items, complete=complete, after_seq=backlog.after_seq)

    def _keep(self, chat: ChatId, piece: Piece) -> None:
        before = self._kept.pop(chat, None)
        self._kept[chat] = piece
        self._kept_items += len(piece.items) + 1 - (0 if before is None else len(before.items) + 1)
        while self._kept_items > KEPT_ITEMS:
            _, oldest = self._kept.popitem(last=False)
            self._kept_items -= len(oldest.items) + 1

    def _share(self, asking: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start what several may wait for; its failure belongs to them, and to nobody where they are gone."""
        task = asyncio.create_task(asking)
        self._tasks.add(task)
        task.add_done_callback(self._shared)
        return task

    def _shared(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
