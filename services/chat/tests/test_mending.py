"""A new epoch of the log, after a commit to the database that was cut short: what was half written never was."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from petit.chat.adapters.cql import writes
from petit.chat.adapters.cql.store import CqlStore
from petit.chat.adapters.sqlite import opened as opened_file
from petit.chat.app import adopt
from petit.chat.domain.fold import fold_chat
from petit.chat.domain.rows import Batch
from petit.chat.ports import CqlServer, Repository, StoreBroken
from petit.contracts.ids import ChatId, Epoch, Offset, SignalId
from petit.contracts.subjects import PARTITIONS
from petit.kit.stream import APART
from services.chat.tests.cqlstores import emptied
from services.chat.tests.histories import CHATS, PEOPLE, Stored, cut, everywhere, fold, signal
from services.chat.tests.test_repository import batch, created, joined, left, role, said, viewed
from tests.e2e.scale import within

pytestmark = [pytest.mark.real, within(120)]
ADA, BOB, CAT, DAN, EVE = PEOPLE
GROUP, ROOM = CHATS[1], CHATS[2]
NEW = ChatId("00000000-0000-7000-8000-00000000000d")
FIRST = 2 * APART
"""Where the new log begins."""


def renamed(chat: ChatId, title: str) -> Stored:
    return signal(chat, "chat.updated", by=ADA, data={"title": title}, id=f"renamed-{chat}-{title}")


LOG = [
    created(GROUP, "group", ADA, BOB),
    created(ROOM, "room", ADA, BOB, CAT, title="Title"),
    joined(ROOM, DAN),
    role(ROOM, ADA, BOB, role="moderator"),
    said(ROOM, BOB, id="1"),
    said(ROOM, ADA, id="2"),
    left(ROOM, CAT),
]
"""What was folded as a whole."""
LOST = [
    said(ROOM, ADA, id="lost", text="lost"),
    left(ROOM, DAN),
    joined(ROOM, EVE),
    joined(ROOM, CAT),
    role(ROOM, ADA, BOB, role="owner"),
    renamed(ROOM, "Lost title"),
    said(ROOM, ADA, id="lost too", text="lost"),
    viewed(ROOM, ADA, 4),
    said(GROUP, CAT, id="void", text="no member"),
    created(NEW, "room", CAT, EVE, title="Lost room"),
    said(NEW, CAT, id="lost there"),
    left(ROOM, BOB),
]
"""What came after it, and no log has any more."""
AGAIN = [
    said(ROOM, BOB, id="lost", text="by another"),
    said(ROOM, ADA, id="lost too", text="anew"),
    joined(ROOM, EVE),
    left(ROOM, DAN),
    created(NEW, "group", EVE, BOB, title="Another"),
    said(NEW, BOB, id="there"),
    said(ROOM, DAN, id="void"),
    viewed(ROOM, BOB, 3),
    left(ROOM, EVE),
    renamed(ROOM, "New title"),
]
"""What the new log has, some of it sent again."""


@pytest.fixture
async def store(keyspace: CqlServer) -> AsyncIterator[CqlStore]:
    """An empty read model."""
    async with emptied(keyspace) as empty:
        yield empty


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Repository]:
    """A read model that never writes by halves, and was never told of what is lost."""
    async with opened_file(tmp_path / "chat.db") as opened:
        yield opened


async def write_half(store: CqlStore, log: Sequence[Stored], *, heads: Sequence[ChatId] = ()) -> None:
    """Write what comes after `LOG` as a commit does that is cut short before the rows of all chats but `heads`."""
    states, rows = everywhere(store.chats), Batch()
    for offset, entry in enumerate(log, start=len(LOG) + 1):
        chat = ChatId(entry.subject.split(".")[3])
        fold_chat((await states.load([chat]))[chat], entry.payload, offset=Offset(offset), into=rows)
    rows.seal()
    await store._db.write(writes.rows(rows, epoch=1))  # noqa: SLF001 - as far as a commit came
    rows.chats = [row for row in rows.chats if row.chat in heads]
    await store._db.write(writes.chats(rows))  # noqa: SLF001 - as above


async def begin(*stores: Repository) -> None:
    """Fold the old log as far as it was folded as a whole."""
    for each in stores:
        await each.set_epoch(Epoch(1))
        await fold(each, cut(LOG, [4]))
        await each.commit(batch(checkpoints=dict.fromkeys(range(PARTITIONS), Offset(len(LOG)))))


async def go_on(*stores: Repository) -> None:
    """Fold the new log."""
    entries = [(Offset(FIRST + number), entry) for number, entry in enumerate(AGAIN)]
    for each in stores:
        await fold(each, [entries[:4], entries[4:]], forget=True)


async def test_what_was_half_written_is_gone_after_a_new_epoch(
    store: CqlStore, other: Repository, keyspace: CqlServer
) -> None:
    await begin(store, other)
    await write_half(store, LOST)
    assert await store.digest() != await other.digest()

    await adopt(keyspace, epoch=Epoch(2))

    assert await store.epoch() == 2
    assert await store.digest() == await other.digest()
    chats = [GROUP, ROOM, NEW]
    assert await store.chats(chats) == await other.chats(chats)
    for user in PEOPLE:
        assert await store.memberships([user]) == await other.memberships([user])
        assert await store.membership(user, chats=chats) == await other.membership(user, chats=chats)
        stretch = {"after": Offset(0), "to": Offset(FIRST), "limit": 99}
        assert await store.person_signals(user, **stretch) == await other.person_signals(user, **stretch)  # type: ignore[arg-type]  # each its own
        for id in ("lost", "lost too", "void", "lost there"):
            assert await store.sent(user, id=SignalId(id)) is None
    for chat in chats:
        assert await store.members(chat, after=None, limit=9) == await other.members(chat, after=None, limit=9)
        assert await store.messages(chat, first=1, last=99) == await other.messages(chat, first=1, last=99)
        assert await store.message(chat, id=SignalId("lost")) is None
    assert await store.rooms("", after=None, limit=9) == await other.rooms("", after=None, limit=9) != []
    assert await store.unannounced(range(PARTITIONS)) == []


async def test_what_a_new_epoch_writes_holds_against_what_was_half_written(
    store: CqlStore, other: Repository, keyspace: CqlServer
) -> None:
    await begin(store, other)
    await write_half(store, LOST)
    await adopt(keyspace, epoch=Epoch(2))
    await store.epoch()
    await other.set_epoch(Epoch(2))

    await go_on(store, other)

    assert await store.digest() == await other.digest()
    chats = [GROUP, ROOM, NEW]
    assert await store.chats(chats) == await other.chats(chats)
    assert await store.rooms("", after=None, limit=9) == await other.rooms("", after=None, limit=9)
    for user, id in ((BOB, "lost"), (ADA, "lost too"), (BOB, "there"), (DAN, "void")):
        sent = await store.sent(user, id=SignalId(id))
        assert sent == await other.sent(user, id=SignalId(id))
        assert sent is not None
        assert sent.offset >= FIRST
    for chat in chats:
        assert await store.members(chat, after=None, limit=9) == await other.members(chat, after=None, limit=9)
        for after in (0, len(LOG), FIRST + 2):
            stretch = {"after": Offset(after), "to": Offset(FIRST + 99), "limit": 99}
            assert await store.signals(chat, **stretch) == await other.signals(chat, **stretch)  # type: ignore[arg-type]  # each its own
    assert await store.markers([(ROOM, ADA), (ROOM, BOB)]) == {(ROOM, ADA): 4, (ROOM, BOB): 3}
    assert await store.unannounced(range(PARTITIONS)) == await other.unannounced(range(PARTITIONS)) != []


async def test_chats_whose_rows_were_written_keep_what_they_promise(store: CqlStore, keyspace: CqlServer) -> None:
    """Of a commit that was cut short among the chats' rows: some chats are further than the checkpoints."""
    await begin(store)
    await write_half(store, LOST, heads=[NEW])

    await adopt(keyspace, epoch=Epoch(2))

    assert set((await store.chats([NEW]))[NEW].state.members) == {CAT, EVE}
    assert [row.id for row in await store.messages(NEW, first=1, last=9)] == ["lost there"]
    assert [listing.folded for listing in await store.rooms("", after=None, limit=9)] == ["lost room", "title"]
    assert (await store.heads([ROOM]))[ROOM].head_seq == 2
    assert await store.memberships([EVE]) == {EVE: {NEW: len(LOG) + 10}}
    before = await store.digest()
    assert await store.take_back() == 0, "done again, it does nothing"
    assert await store.digest() == before


async def test_a_row_far_beyond_what_was_folded_stops_a_new_epoch(store: CqlStore, keyspace: CqlServer) -> None:
    """The new log might begin below it, and its writes would be lost against it."""
    await begin(store)
    rows = Batch()
    chat = (await everywhere(store.chats).load([ROOM]))[ROOM]
    fold_chat(chat, said(ROOM, ADA, id="far").payload, offset=Offset(FIRST), into=rows)
    rows.seal()
    await store._db.write(writes.rows(rows, epoch=1))  # noqa: SLF001 - as far as a commit came

    with pytest.raises(StoreBroken, match=f"offset {FIRST}"):
        await adopt(keyspace, epoch=Epoch(2))

    assert await store.epoch() == 1
    assert await store.markers([(ROOM, ADA)]) == {(ROOM, ADA): 3}, "nothing was touched"
