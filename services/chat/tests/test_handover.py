"""What a replica does while partitions change hands: nothing that it holds or owes may be old or forgotten."""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import cast

import pytest

from petit.chat.domain.rows import Chat, VoidRow
from petit.chat.handlers.announcing import Announcing
from petit.chat.handlers.folding import Folding
from petit.chat.handlers.reach import Reach
from petit.chat.handlers.states import States
from petit.chat.ports import NotOwnerError, Repository
from petit.contracts.ids import ChatId, Epoch, Offset, SignalId, UserId
from petit.contracts.rules import ChatState
from petit.contracts.subjects import partition
from petit.kit.clock import SystemClock
from petit.kit.feed import Feed
from petit.kit.log import Log
from services.chat.tests.histories import CHATS

CHAT = CHATS[1]
P = partition(CHAT)
NONE: frozenset[int] = frozenset()


def void(offset: int) -> VoidRow:
    """Return a void send of the chat."""
    return VoidRow(P, Offset(offset), CHAT, SignalId(f"m{offset}"), UserId("ada"), "not_member")


class Owned:
    """As much of the fold as announcing asks: which partitions are folded far enough, and which are lost."""

    def __init__(self, settled: Collection[int]) -> None:
        self.now = set(settled)
        self.lost: set[int] = set()
        self.asked = 0

    async def settled(self, partition: int, *, within: float) -> bool:
        """See `Folding.settled`."""
        self.asked += 1
        await asyncio.sleep(0)
        if partition in self.lost:
            raise NotOwnerError("lost")
        return partition in self.now


class Store:
    """Void sends that are in the store and not announced."""

    losses = 0
    """See `Repository.losses`."""

    def __init__(self) -> None:
        self.voids: list[VoidRow] = []

    async def unannounced(self, partitions: Collection[int]) -> list[VoidRow]:
        """See `Repository.unannounced`."""
        return [row for row in self.voids if row.partition in partitions]


class Announced:
    """A log that keeps which announcements were stored."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def append(self, subject: str, payload: bytes, *, msg_id: str) -> None:
        """See `Log.append`."""
        self.ids.append(msg_id)


class Announcer:
    """One announcing replica in memory."""

    def __init__(self, *, settled: Collection[int]) -> None:
        self.store = Store()
        self.log = Announced()
        self.folding = Owned(settled)
        self.announcing = Announcing(
            cast("Repository", self.store), log=cast("Log", self.log), clock=SystemClock(), epoch=Epoch(1)
        )

    async def until(self, condition: Callable[["Announcer"], bool]) -> None:
        """Run until this is so."""
        task = asyncio.create_task(self.announcing.run(cast("Folding", self.folding)))
        try:
            async with asyncio.timeout(10):
                while not condition(self):  # noqa: ASYNC110 - a condition over three fakes, none of which tells
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()


async def test_a_partition_that_lags_keeps_no_announcement_of_another_waiting() -> None:
    each = Announcer(settled={P})
    each.store.voids = [void(7)]
    each.announcing.on_change(frozenset(range(64)), NONE)

    await each.until(lambda each: each.log.ids == ["void:7"])


async def test_what_an_earlier_owner_left_is_announced_once_its_partition_is_settled() -> None:
    each = Announcer(settled=())
    each.store.voids = [void(7)]
    each.announcing.on_change(frozenset({P}), NONE)

    await each.until(lambda each: each.folding.asked > 1)
    assert each.log.ids == []

    each.folding.now = {P}
    await each.until(lambda each: each.log.ids == ["void:7"])


async def test_a_lost_partition_is_not_asked_about_and_what_is_committed_late_is_announced() -> None:
    """The new owner may have looked into the store before: R31, every void send is told to its author."""
    each = Announcer(settled={P})
    each.announcing.on_change(frozenset({P}), NONE)
    await each.until(lambda each: each.folding.asked == 1)
    each.announcing.on_change(NONE, frozenset({P}))

    each.store.voids = [void(8)]
    each.announcing.on_voids([void(8)])

    await each.until(lambda each: each.log.ids == ["void:8"])
    assert each.folding.asked == 1


async def test_a_partition_of_another_replica_is_never_waited_for() -> None:
    reach = Reach()
    folding = Folding(
        cast("Repository", Store()),
        log=cast("Log", Announced()),
        feed=cast("Feed", None),
        reach=reach,
        states=States(_unknown, capacity=10),
        on_commit=lambda _: None,
    )
    folding.on_change(frozenset({P}), NONE)
    folding.on_change(NONE, frozenset({P}))
    began = time.monotonic()

    with pytest.raises(NotOwnerError):
        await folding.settled(P, within=30.0)

    assert time.monotonic() - began < 10


async def test_a_chat_that_others_fold_is_read_anew_each_time() -> None:
    """A state that nobody moves on would be old when the partition is ours again, or when the next one asks."""
    offset = 0

    async def load(chats: Collection[ChatId]) -> dict[ChatId, Chat]:
        return {chat: Chat(state=ChatState(chat=chat, offset=Offset(offset))) for chat in chats}

    states = States(load, capacity=10)
    for offset in (1, 2):
        assert (await states.load([CHAT]))[CHAT].state.offset == offset
    assert len(states) == 0

    states.begin([P])
    await states.load([CHAT])
    offset = 3
    assert (await states.load([CHAT]))[CHAT].state.offset == 2

    states.drop([P])
    assert (await states.load([CHAT]))[CHAT].state.offset == 3


async def test_a_chat_whose_partition_begins_while_it_is_read_is_not_held_as_it_was() -> None:
    read, go_on = asyncio.Event(), asyncio.Event()

    async def load(chats: Collection[ChatId]) -> dict[ChatId, Chat]:
        found = {chat: Chat(state=ChatState(chat=chat, offset=Offset(1))) for chat in chats}
        read.set()
        await go_on.wait()
        return found

    states = States(load, capacity=10)
    reading = asyncio.create_task(states.load([CHAT]))
    await read.wait()
    states.begin([P])
    go_on.set()
    await reading

    assert len(states) == 0


async def _unknown(_: Collection[ChatId]) -> dict[ChatId, Chat]:
    return {}
