"""What only the store in CQL has to show: no transaction holds its tables still, and the cluster comes and goes."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petit.chat.adapters.cql import places, writes
from petit.chat.adapters.cql.store import CqlStore, opened
from petit.chat.adapters.sqlite import opened as opened_file
from petit.chat.domain.fold import fold_chat
from petit.chat.domain.rows import Batch, Chat
from petit.chat.ports import CqlServer, StoreDown
from petit.contracts.ids import ChatId, Offset, SignalId, UserId
from services.chat.tests.cqlstores import emptied
from services.chat.tests.histories import CHATS, PEOPLE, Stored, cut, everywhere, fold, logs, signal
from services.chat.tests.test_repository import created, joined, left, role, said, viewed
from tests.e2e.scale import scaled, within

pytestmark = pytest.mark.real
ADA, BOB, CAT, DAN, _ = PEOPLE
GROUP, ROOM = CHATS[1], CHATS[2]
sizes = st.lists(st.integers(1, 12), min_size=1, max_size=5)


@pytest.fixture
async def store(keyspace: CqlServer) -> AsyncIterator[CqlStore]:
    """An empty read model."""
    async with emptied(keyspace) as empty:
        yield empty


def batch_of(log: Sequence[Stored]) -> Batch:
    """Fold a log of chats in memory, from its beginning."""
    states = everywhere(_nothing)
    batch = Batch()

    async def run() -> None:
        for offset, entry in enumerate(log, start=1):
            chat = ChatId(entry.subject.split(".")[3])
            fold_chat((await states.load([chat]))[chat], entry.payload, offset=Offset(offset), into=batch)

    coroutine = run()
    with pytest.raises(StopIteration):
        coroutine.send(None)  # nothing in it waits
    batch.seal()
    return batch


async def _nothing(_: Collection[ChatId]) -> dict[ChatId, Chat]:
    return {}


@pytest.mark.proof
@within(240)
def test_a_log_folded_into_sqlite_and_into_cql_gives_one_digest(keyspace: CqlServer, tmp_path: Path) -> None:
    """R07, R54: whatever the batches, crashes and repetitions, and whichever store."""
    number = 0

    @settings(max_examples=scaled(6, full=300), suppress_health_check=list(HealthCheck))
    @given(log=logs, cuts=st.tuples(sizes, sizes), again=st.integers(0, 60))
    def check(log: Sequence[Stored], cuts: tuple[list[int], list[int]], again: int) -> None:
        nonlocal number
        number += 1
        asyncio.run(run(log, cuts, again))

    async def run(log: Sequence[Stored], cuts: tuple[list[int], list[int]], again: int) -> None:
        one, other = cuts
        async with opened_file(tmp_path / f"{number}.db", readers=1) as first, emptied(keyspace) as second:
            await fold(first, cut(log, one))
            await fold(second, cut(log[:again], other), forget=True)
            await asyncio.gather(fold(second, cut(log, other), forget=True), fold(second, cut(log, [9])))

            assert await first.digest() == await second.digest()
            assert await first.chats(CHATS) == await second.chats(CHATS)

    check()


async def test_members_are_as_of_the_chats_row_though_later_rows_are_there(store: CqlStore) -> None:
    """A batch of which everything is there but the chat's row: its writer died, or is just about to write it."""
    log = [
        created(ROOM, "room", ADA, BOB),
        joined(ROOM, CAT),
        role(ROOM, ADA, BOB, role="moderator"),
        left(ROOM, CAT),
    ]
    await fold(store, cut(log, [4]))
    before = (await store.chats([ROOM]))[ROOM]

    later = [joined(ROOM, CAT), left(ROOM, BOB), role(ROOM, ADA, CAT, role="moderator"), joined(ROOM, DAN)]
    await store._db.write(writes.rows(batch_of([*log, *later]), epoch=0))  # noqa: SLF001 - as far as a commit came
    after = (await store.chats([ROOM]))[ROOM]

    assert after == before
    assert set(after.state.members) == {ADA, BOB}
    assert after.since == {BOB: 3}
    assert await store.signals(ROOM, after=Offset(0), to=Offset(99), limit=99) == await store.signals(
        ROOM, after=Offset(0), to=Offset(4), limit=99
    )

    await fold(store, cut([*log, *later], [3]), forget=True)
    assert set((await store.chats([ROOM]))[ROOM].state.members) == {ADA, CAT, DAN}
    assert [row.user for row in await store.members(ROOM, after=None, limit=9)] == [ADA, CAT, DAN]


async def test_a_chat_of_many_slices_is_read_across_them(store: CqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SLICE", 7)
    log = [created(GROUP, "group", ADA, BOB)]
    for number in range(1, 30):
        log += [said(GROUP, ADA, id=f"{number}"), *[viewed(GROUP, BOB, number)] * (number % 3)]
        log += [said(GROUP, CAT, id=f"void {number}")] * (number % 5)
    rows = await fold(store, cut(log, [11]))
    held = [rows[offset] for offset in sorted(rows) if rows[offset].void is None]
    messages = [row for row in held if row.seq is not None]

    for to in range(0, len(log) + 2, 3):
        for after in range(0, to + 1, 10):
            for limit in (1, 8, 99):
                found = await store.signals(GROUP, after=Offset(after), to=Offset(to), limit=limit)
                assert found == [row for row in held if after < row.offset <= to][-limit:]
        newest = [row for row in messages if row.offset <= to][-1:]
        last = await store.last_messages([GROUP], at=Offset(to))
        assert [(one.seq, one.offset) for one in last.values()] == [(row.seq, row.offset) for row in newest]


async def test_an_id_that_was_void_first_still_names_the_message_that_came_later(store: CqlStore) -> None:
    log = [
        created(GROUP, "group", ADA),
        said(GROUP, BOB, id="same", text="void"),
        signal(GROUP, "joined", by=ADA, data={"user": BOB, "how": "invite"}, id="invited"),
        said(GROUP, BOB, id="same", text="holds"),
        said(GROUP, BOB, id="same", text="again"),
    ]
    await fold(store, cut(log, [1]), forget=True)

    sent = await store.sent(BOB, id=SignalId("same"))
    message = await store.message(GROUP, id=SignalId("same"))

    assert sent is not None
    assert message is not None
    assert (sent.offset, sent.void) == (2, "not_member")
    assert (message.offset, message.seq) == (4, 1)


async def test_what_no_gateway_lets_through_can_be_kept(store: CqlStore) -> None:
    log = [
        created(ROOM, "room", ADA, title=""),
        said(ROOM, ADA, id=""),
        said(ROOM, UserId(""), id="x" * 100_000),
        joined(ROOM, UserId("")),
        joined(ROOM, UserId("y" * 70_000)),
        signal(ROOM, "msg.void", by=ADA, data={"message": "", "offset": -5, "reason": ""}, id=""),
    ]
    await fold(store, cut(log, [2]))

    message = await store.message(ROOM, id=SignalId(""))
    assert message is not None
    assert message.seq == 1
    assert list(await store.memberships([UserId("")])) == [""]
    assert len(await store.rooms("", after=None, limit=9)) == 1


async def test_a_cluster_that_is_not_there_is_an_outage(keyspace: CqlServer) -> None:
    nowhere = CqlServer(hosts=("127.0.0.1",), port=1, keyspace=keyspace.keyspace)

    with pytest.raises(StoreDown, match=r"127\.0\.0\.1:1"):
        async with opened(nowhere):
            pass
