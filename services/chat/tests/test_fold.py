"""The fold over random logs: dense, total, and the same read model whatever the batches, crashes and repetitions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from petit.chat.adapters.sqlite import opened
from petit.chat.domain.fold import rules_version
from petit.chat.ports import Repository
from petit.contracts.ids import Offset, SignalId
from services.chat.tests.histories import CHATS, PEOPLE, Stored, cut, fold, logs, signal

T = TypeVar("T")
sizes = st.lists(st.integers(1, 12), min_size=1, max_size=5)
END = Offset(10**9)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own below it
"""Where files are made that need not survive: a hundred read models a test."""


def with_stores(count: int, work: Callable[..., Awaitable[T]]) -> T:
    """Do something with so many empty read models."""

    async def run() -> T:
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(dir=MEMORY))
            stores = [
                await stack.enter_async_context(opened(Path(folder) / f"{number}.db", readers=1))
                for number in range(count)
            ]
            return await work(*stores)

    return asyncio.run(run())


@given(log=logs)
def test_messages_are_numbered_without_holes_and_void_ones_are_nowhere(log: Sequence[Stored]) -> None:
    async def check(store: Repository) -> None:
        rows = await fold(store, cut(log, [7]))

        heads = await store.heads(CHATS)
        for chat, head in heads.items():
            messages = await store.messages(chat, first=0, last=10**6)
            assert [message.seq for message in messages] == list(range(1, head.head_seq + 1))
            assert [message.offset for message in messages] == sorted(message.offset for message in messages)
            assert head.last_offset == (messages[-1].offset if messages else 0)
            for message in messages:
                assert message == rows[message.offset]
                assert await store.message(chat, id=SignalId(str(message.id))) is not None
        kept = [
            signal.offset
            for chat in CHATS
            for signal in await store.signals(chat, after=Offset(0), to=END, limit=10**6)
        ]
        assert sorted(kept) == [offset for offset, row in rows.items() if row.void is None]

    with_stores(1, check)


@given(log=logs)
def test_what_is_stored_of_members_is_what_the_rules_say(log: Sequence[Stored]) -> None:
    async def check(store: Repository) -> None:
        await fold(store, cut(log, [5]))

        states = await store.chats(CHATS)
        mine = await store.memberships(PEOPLE)
        for chat, held in states.items():
            state = held.state
            rows = await store.members(chat, after=None, limit=100)
            assert [(row.user, row.role, row.joined_offset) for row in rows] == sorted(
                ((user, member.role, member.joined_offset) for user, member in state.members.items()),
                key=lambda row: (row[2], row[0]),
            )
            listed = [row.user for row in rows]
            assert {user for user in PEOPLE if chat in mine[user]} == set(listed)
            assert (await store.heads([chat]))[chat].members_count == len(listed)
            for user in listed:
                row = (await store.membership(user, chats=[chat]))[chat]
                assert (row.joined_offset, row.role) == (
                    state.members[user].joined_offset,
                    state.members[user].role,
                )

    with_stores(1, check)


@given(log=logs, one=sizes, other=sizes)
def test_any_batching_gives_the_same_read_model(log: Sequence[Stored], one: list[int], other: list[int]) -> None:
    async def check(first: Repository, second: Repository, third: Repository) -> None:
        await fold(first, cut(log, [len(log)]))
        await fold(second, cut(log, one))
        await fold(third, cut(log, other), forget=True)

        assert await first.digest() == await second.digest() == await third.digest()

    with_stores(3, check)


@given(log=logs, batches=sizes, again=st.integers(0, 60))
def test_folding_a_stretch_again_changes_nothing(log: Sequence[Stored], batches: list[int], again: int) -> None:
    async def check(store: Repository) -> None:
        await fold(store, cut(log, batches))
        before = await store.digest()

        await fold(store, [[entry for entry in batch if entry[0] > again] for batch in cut(log, [9])], forget=True)

        assert await store.digest() == before

    with_stores(1, check)


@given(log=logs, lag=st.integers(0, 60), both=st.tuples(sizes, sizes))
def test_two_owners_at_once_write_the_same_rows(
    log: Sequence[Stored], lag: int, both: tuple[list[int], list[int]]
) -> None:
    async def check(alone: Repository, shared: Repository) -> None:
        await fold(alone, cut(log, [8]))

        await fold(shared, cut(log[:lag], [4]))
        await asyncio.gather(fold(shared, cut(log, both[0])), fold(shared, cut(log, both[1]), forget=True))

        assert await shared.digest() == await alone.digest()

    with_stores(2, check)


@given(log=logs, stale=st.integers(1, 60))
def test_an_owner_that_lags_behind_another_wins_nothing(log: Sequence[Stored], stale: int) -> None:
    """The zombie folds in memory from the beginning, and writes what it has after the other wrote everything."""

    async def check(store: Repository, aside: Repository) -> None:
        await fold(store, cut(log, [10]))
        before = await store.digest()

        zombie = _Detour(reads=aside, writes=store)
        await fold(zombie, cut(log[:stale], [3]))  # type: ignore[arg-type]  # only what `fold` uses

        assert await store.digest() == before

    with_stores(2, check)


class _Detour:
    """A read model that is written in one place and read in another, as by an owner that does not know the other."""

    def __init__(self, *, reads: Repository, writes: Repository) -> None:
        self.chats = reads.chats
        self.commit = writes.commit


def test_sends_of_somebody_who_was_removed_are_void_and_waiting_to_be_announced() -> None:
    ada, bob = PEOPLE[:2]
    chat = CHATS[1]
    log = [
        signal(chat, "chat.created", by=ada, data={"kind": "group", "members": [bob]}, id="1"),
        signal(chat, "left", by=ada, data={"user": bob, "how": "removed"}, id="2"),
        signal(chat, "msg", by=bob, data={"text": "too late"}, id="3"),
        signal(chat, "msg", by=ada, data={"text": "alone"}, id="4"),
    ]
    announced = signal(chat, "msg.void", by=bob, data={"message": "3", "offset": 3, "reason": "not_member"}, id="5")

    async def check(store: Repository) -> None:
        rows = await fold(store, cut(log, [2]))

        assert rows[Offset(3)].void == "not_member"
        assert [message.id for message in await store.messages(chat, first=1, last=9)] == ["4"]
        assert [(void.offset, void.author) for void in await store.unannounced(range(64))] == [(3, bob)]

        await fold(store, cut([*log, announced], [9]))

        assert await store.unannounced(range(64)) == []
        assert [row.offset for row in await store.person_signals(bob, after=Offset(0), to=END, limit=9)] == [2, 5]

    with_stores(1, check)


def test_rules_are_read_from_their_own_signal_only() -> None:
    rules = b'{"v": 1, "id": "1", "type": "ops.rules", "by": "ops", "at": "", "data": {"version": 2}}'

    assert rules_version(rules) == 2
    assert rules_version(b"{}") is None
    assert rules_version(signal(CHATS[0], "msg", by="ada", data={}, id="1").payload) is None
