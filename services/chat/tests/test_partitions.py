"""R76: every question is one partition or a handful of rows, and no partition of a long chat exceeds 100 MB."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from petit.chat.adapters.cql import places, statements
from petit.chat.adapters.cql.driver import connected
from petit.chat.adapters.cql.places import BUCKET, SHARDS, SLICE, bucket
from petit.chat.adapters.cql.store import CqlStore
from petit.chat.domain.fold import fold_chat
from petit.chat.domain.rows import Batch
from petit.chat.ports import CqlServer
from petit.contracts.ids import ChatId, Offset, Seq, SignalId, UserId
from petit.gateway.domain.bodies import MAX_FILES, MAX_MENTIONS, MAX_NONCE, MAX_TEXT, SendBody
from petit.gateway.http.exchange import MAX_BODY
from services.chat.tests.cqlstores import commit, emptied
from services.chat.tests.histories import CHATS, PEOPLE, Stored, cut, everywhere, fold, signal
from services.chat.tests.test_repository import created, left, said, viewed
from tests.e2e.scale import FULL, scaled, within
from tests.real.servers import Cassandra

pytestmark = pytest.mark.real
ADA, BOB = PEOPLE[:2]
ROOM = CHATS[2]
MOST = 100_000_000
"""Bytes of a partition."""
ROW = 100
"""Bytes that a row takes besides what is in it, at most."""
ENVELOPE = 1_024
"""Bytes that a gateway adds to what a client sent: who, when, where, under which id."""


@pytest.fixture
async def store(keyspace: CqlServer) -> AsyncIterator[CqlStore]:
    """An empty read model."""
    async with emptied(keyspace) as empty:
        yield empty


async def test_every_read_restricts_its_whole_partition_key(keyspace: CqlServer) -> None:
    async with connected(keyspace, keyspace=None) as database:
        described = [
            [row for row in await database.run(question) if row[0] == keyspace.keyspace]
            for question in (
                "SELECT keyspace_name, table_name, column_name, kind, type FROM system_schema.columns",
                "SELECT keyspace_name, index_name FROM system_schema.indexes",
                "SELECT keyspace_name, view_name FROM system_schema.views",
            )
        ]
    columns, indexes, views = described
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for _, table, column, kind, _ in columns:
        if kind == "partition_key":
            keys[table].add(column)

    reads = [text for text in statements.ALL if text.startswith("SELECT")]
    assert len(reads) > 20
    for text in reads:
        table, restricted = re.fullmatch(r"SELECT .+ FROM (\w+) WHERE (.+)", text).groups()  # type: ignore[union-attr]  # fails if not
        assert keys[table] <= set(re.findall(r"(\w+) = ", restricted)), text

    assert not indexes
    assert not views
    assert "counter" not in {type for *_, type in columns}
    assert not [text for text in statements.ALL if "FILTERING" in text or " IF " in text]


async def test_every_write_says_its_own_time() -> None:
    writes = [text for text in statements.ALL if not text.startswith("SELECT")]

    assert len(writes) > 20
    assert [text for text in writes if "USING TIMESTAMP ?" not in text] == []


async def test_every_question_is_one_partition_or_a_handful_of_rows(store: CqlStore) -> None:
    log = [created(ROOM, "room", ADA, BOB)]
    for number in range(1, 120):
        log += [said(ROOM, ADA, id=f"{number}"), viewed(ROOM, BOB, number)]
    await fold(store, cut(log, [50]))
    await store.deliver({(ROOM, BOB): Seq(5)})
    asked = Asked(store)

    questions: dict[str, tuple[int, Callable[[], Awaitable[Any]]]] = {
        "epoch": (1, store.epoch),
        "checkpoints": (1, store.checkpoints),
        "rules_version": (1, store.rules_version),
        "chats": (2, lambda: store.chats([ROOM])),
        "unannounced": (1, lambda: store.unannounced([7])),
        "heads": (1, lambda: store.heads([ROOM])),
        "members": (2, lambda: store.members(ROOM, after=None, limit=50)),
        "activity": (1, lambda: store.activity([ROOM])),
        "memberships": (1, lambda: store.memberships([ADA])),
        "membership": (1, lambda: store.membership(ADA, chats=CHATS)),
        "messages": (1, lambda: store.messages(ROOM, first=40, last=89)),
        "messages_at": (1, lambda: store.messages_at([(ROOM, Seq(7))])),
        "message": (2, lambda: store.message(ROOM, id=SignalId("9"))),
        "last_messages": (4, lambda: store.last_messages([ROOM], at=Offset(100))),
        "sent": (2, lambda: store.sent(ADA, id=SignalId("9"))),
        "signals": (4, lambda: store.signals(ROOM, after=Offset(0), to=Offset(200), limit=50)),
        "person_signals": (2, lambda: store.person_signals(BOB, after=Offset(0), to=Offset(200), limit=50)),
        "markers": (1, lambda: store.markers([(ROOM, ADA), (ROOM, BOB)])),
        "delivered": (1, lambda: store.delivered([(ROOM, ADA), (ROOM, BOB)])),
        "rooms": (SHARDS, lambda: store.rooms("ti", after=None, limit=50)),
    }
    for name, (most, ask) in questions.items():
        asked.requests.clear()
        assert await ask() is not None or name == "epoch"
        assert 1 <= len(asked.requests) <= most, f"{name} took {len(asked.requests)} requests"
        for request in list(asked.requests):
            trace = await asyncio.to_thread(request.get_query_trace, 10.0)
            told = " | ".join(event.description for event in trace.events)
            assert "Executing single-partition query" in told, f"{name}: {told}"
            assert "range" not in told.lower(), f"{name}: {told}"


async def test_a_page_across_the_end_of_a_bucket_is_two_requests(
    store: CqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "BUCKET", 50)
    log = [created(ROOM, "room", ADA), *(said(ROOM, ADA, id=f"{number}") for number in range(1, 120))]
    await fold(store, cut(log, [60]))
    asked = Asked(store)

    rows = await store.messages(ROOM, first=40, last=89)

    assert [row.seq for row in rows] == list(range(40, 90))
    assert len(asked.requests) == 2


async def test_a_page_of_rooms_is_as_many_partitions_whatever_rooms_are_called(store: CqlStore) -> None:
    rooms = [ChatId(f"00000000-0000-7000-8000-{number:012}") for number in range(300)]
    log = [created(room, "room", ADA, title=f"{chr(0x4E00 + number)}") for number, room in enumerate(rooms)]
    await fold(store, cut(log, [100]))
    asked = Asked(store)

    found = await store.rooms("", after=None, limit=50)

    assert [listing.chat for listing in found] == rooms[:50]
    assert len(asked.requests) == SHARDS


async def test_a_room_that_is_renamed_or_left_by_all_leaves_nothing_in_the_directory(store: CqlStore) -> None:
    def renamed(title: str) -> Stored:
        return signal(ROOM, "chat.updated", by=ADA, data={"title": title}, id=f"renamed-{title}")

    log = [created(ROOM, "room", ADA), *(renamed(f"title {number}") for number in range(50)), renamed("Title")]
    await fold(store, cut(log, [1]))
    await fold(store, cut(log, [3]), forget=True)
    rows = await store._db.run("SELECT folded, chat, offset FROM directory")  # noqa: SLF001 - every row there is
    assert rows == [("title", ROOM, len(log))]

    await fold(store, cut([*log, left(ROOM, ADA)], [3]))
    assert await store._db.run("SELECT folded FROM directory") == []  # noqa: SLF001 - as above


class Asked:
    """Keeps every request of a store, and has the database trace it."""

    def __init__(self, store: CqlStore) -> None:
        session = store._db._session  # noqa: SLF001 - the tests' own ear at the wire
        send = session.execute_async
        self.requests: list[Any] = []

        def traced(*arguments: object, **options: object) -> object:
            request = send(*arguments, trace=True, **options)
            self.requests.append(request)
            return request

        session.execute_async = traced


def longest(chat: ChatId, number: int) -> Stored:
    """Return the longest message that a gateway lets through: in JSON a control character takes six bytes."""
    body = SendBody(
        id=SignalId(f"00000000-0000-7000-8000-{number:012}"),
        nonce="\x01" * MAX_NONCE,
        text="\x01" * MAX_TEXT,
        files=[SignalId(f"00000000-0000-7000-8000-{file:012}") for file in range(MAX_FILES)],
        reply_to=SignalId("00000000-0000-7000-8000-000000000000"),
        mentions=[UserId(f"{person:064}") for person in range(MAX_MENTIONS)],
    )
    assert len(body.model_dump_json()) <= MAX_BODY, "else the gateway refuses it"
    data = body.model_dump(include={"text", "files", "reply_to", "mentions"})
    entry = signal(chat, "msg", by=ADA, data=data, id=str(body.id))
    return entry._replace(payload=entry.payload[:-1] + f', "nonce": {json.dumps(body.nonce)}}}'.encode())


def test_a_partition_of_the_longest_signals_is_below_100_mb() -> None:
    """By arithmetic: whatever a client sends fits into a body of 64 KiB, and what is stored is that and an envelope."""
    assert len(longest(ROOM, 1).payload) <= MAX_BODY + ENVELOPE

    for rows in (BUCKET, SLICE):
        assert rows * (MAX_BODY + ENVELOPE + ROW) < MOST


@within(240)
async def test_a_full_partition_of_the_longest_messages_is_below_100_mb(
    store: CqlStore, cassandra: Cassandra, figure: Callable[[str], None]
) -> None:
    """Measured, in short: a twentieth of a bucket."""
    count = scaled(BUCKET // 20, full=BUCKET - 1)
    log = [created(ROOM, "room", ADA), *(longest(ROOM, number) for number in range(count))]
    for batch in cut(log, [20]):
        await fold(store, [batch], forget=True)

    rows = await store.messages(ROOM, first=1, last=count)
    held = sum(sum(len(str(value).encode()) for value in row) + ROW for row in rows)

    assert len(rows) == count
    assert len({bucket(row.seq or 0) for row in rows}) == 1
    figure(f"{BUCKET} of the longest messages: {held / count * BUCKET / 1e6:.1f} MB in a partition of messages")
    assert held / count * BUCKET < MOST
    if cassandra.box is not None:  # a node of ours: what it writes, before it compresses
        cassandra.box.run("nodetool", "flush")
    assert await _largest(store) / count * BUCKET < MOST


async def _largest(store: CqlStore) -> int:
    """Return the bytes of the largest partition of messages that the database has written; 0 if none is on disk."""
    question = "SELECT keyspace_name, table_name, mebibytes FROM system_views.max_partition_size"
    found = await store._db.run(question)  # noqa: SLF001 - the database's own count
    sizes = {table: size for keyspace, table, size in found if keyspace == store._db._session.keyspace}  # noqa: SLF001 - as above
    return int(sizes.get("messages", 0)) * 1024 * 1024


@pytest.mark.proof
@within(240)
async def test_no_partition_of_a_long_chat_exceeds_100_mb(store: CqlStore, figure: Callable[[str], None]) -> None:
    """Counted in what a partition holds, and as the database counts it where it has written files."""
    messages = scaled(5_500, full=1_000_000)
    chat = ChatId("00000000-0000-7000-8000-00000000000c")
    await _fill(store, chat, messages=messages)
    assert (await store.heads([chat]))[chat].head_seq == messages

    heaviest = 0
    for start in range(0, messages, BUCKET):
        rows = await store.messages(chat, first=max(start, 1), last=min(start + BUCKET - 1, messages))
        assert len({bucket(row.seq or 0) for row in rows}) == 1
        heaviest = max(heaviest, sum(sum(len(str(value).encode()) for value in row) + ROW for row in rows))
    figure(f"{messages} messages of 200: at most {heaviest / 1e6:.2f} MB in a partition of messages")
    assert heaviest < MOST

    question = "SELECT keyspace_name, table_name, mebibytes FROM system_views.max_partition_size"
    for keyspace, table, mebibytes in await store._db.run(question):  # noqa: SLF001 - the database's own count
        if keyspace == store._db._session.keyspace:  # noqa: SLF001 - as above
            if FULL:
                figure(f"{table}: the largest partition that the database has written is {mebibytes} MiB")
            assert mebibytes * 1024 * 1024 < MOST


async def _fill(store: CqlStore, chat: ChatId, *, messages: int) -> None:
    log = created(chat, "group", ADA, BOB)
    state = (await everywhere(store.chats).load([chat]))[chat]
    batch = Batch()
    fold_chat(state, log.payload, offset=Offset(1), into=batch)
    for number in range(1, messages + 1):
        entry = said(chat, ADA, id=f"00000000-0000-7000-8000-{number:012}", text="x" * 200)
        fold_chat(state, entry.payload, offset=Offset(number + 1), into=batch)
        if number % 2_000 == 0 or number == messages:
            batch.seal()
            await commit(store, batch)
            batch = Batch()
