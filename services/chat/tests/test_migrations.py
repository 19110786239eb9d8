"""The schema in CQL: made by anyone at any time, while others use it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from petit.chat.adapters.cql import migrating
from petit.chat.adapters.cql.driver import connected
from petit.chat.adapters.cql.migrating import migrate, versions
from petit.chat.adapters.cql.store import opened
from petit.chat.ports import CqlServer, StoreBroken, StoreDown
from services.chat.tests.cqlstores import drop, server_of
from services.chat.tests.histories import CHATS, PEOPLE, cut, fold
from services.chat.tests.test_repository import created, said
from tests.e2e.scale import within
from tests.real.servers import Cassandra

pytestmark = [pytest.mark.real, within(180)]
GROUP, ADA = CHATS[1], PEOPLE[0]
NEXT = max(versions()) + 1


@pytest.fixture
async def nowhere(cassandra: Cassandra) -> AsyncIterator[CqlServer]:
    """A keyspace that is not there yet."""
    server = server_of(cassandra)
    yield server
    await drop(server)


def test_versions_are_numbered_without_holes() -> None:
    first = min(versions())
    assert list(versions()) == list(range(first, first + len(versions())))


async def test_migrations_at_once_take_turns_and_repeating_one_does_nothing(nowhere: CqlServer) -> None:
    with pytest.raises(StoreDown, match=r"version 0.*petit migrate"):
        async with opened(nowhere):
            pass

    made = await asyncio.gather(*(migrate(nowhere, replication=1) for _ in range(3)))

    assert sorted(made) == [[], [], list(versions())]
    assert await migrate(nowhere, replication=1) == []
    async with opened(nowhere) as store:
        assert await store.checkpoints() == {}


async def test_whoever_serves_goes_on_while_the_schema_grows(
    nowhere: CqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(nowhere, replication=1)
    more = {
        **versions(),
        NEXT: (
            "ALTER TABLE messages ADD IF NOT EXISTS edited text",
            "ALTER TABLE chat_state ADD IF NOT EXISTS pinned bigint",
            "CREATE TABLE IF NOT EXISTS files (chat text, offset bigint, PRIMARY KEY ((chat), offset))",
        ),
    }
    stop = asyncio.Event()
    asked = 0

    async with opened(nowhere) as store:
        await fold(store, cut([created(GROUP, "group", ADA), said(GROUP, ADA, id="0")], [9]))

        async def serve() -> None:
            nonlocal asked
            while not stop.is_set():
                assert len(await store.messages(GROUP, first=1, last=1)) == 1
                assert (await store.chats([GROUP]))[GROUP].state.kind == "group"
                asked += 2

        async def write() -> None:
            log = [created(GROUP, "group", ADA), *(said(GROUP, ADA, id=f"{number}") for number in range(20_000))]
            for batch in cut(log, [25]):
                if stop.is_set():
                    return
                await fold(store, [batch], forget=True)

        tasks = [asyncio.create_task(work()) for work in (serve, serve, write)]
        monkeypatch.setattr(migrating, "versions", lambda: more)
        assert await migrate(nowhere, replication=1) == [NEXT]
        stop.set()
        await asyncio.gather(*tasks)
        head = (await store.heads([GROUP]))[GROUP]
        assert head.head_seq == len(await store.messages(GROUP, first=1, last=head.head_seq))
    assert asked > 0


async def test_a_schema_that_is_newer_is_refused(nowhere: CqlServer) -> None:
    await migrate(nowhere, replication=1)
    async with connected(nowhere, keyspace=nowhere.keyspace) as database:
        await database.run("INSERT INTO schema_versions (store, version) VALUES (0, 99)")

    with pytest.raises(StoreBroken, match=r"version 99.*run the newer"):
        async with opened(nowhere):
            pass
    with pytest.raises(StoreBroken, match="version 99"):
        await migrate(nowhere, replication=1)


async def test_a_schema_from_before_the_first_is_refused_and_left_alone(nowhere: CqlServer) -> None:
    """Version 1 put messages elsewhere: nobody must read or write them by this program's places."""
    await migrate(nowhere, replication=1)
    async with connected(nowhere, keyspace=nowhere.keyspace) as database:
        await database.run("TRUNCATE schema_versions")
        await database.run("INSERT INTO schema_versions (store, version) VALUES (0, 1)")

        with pytest.raises(StoreBroken, match=r"version 1, .*another keyspace"):
            async with opened(nowhere):
                pass
        with pytest.raises(StoreBroken, match=r"version 1, .*another keyspace"):
            await migrate(nowhere, replication=1)
        assert await database.run("SELECT version FROM schema_versions WHERE store = 0") == [(1,)]


async def test_the_lock_of_one_who_died_is_waited_for(nowhere: CqlServer) -> None:
    await migrate(nowhere, replication=1)
    async with connected(nowhere, keyspace=nowhere.keyspace) as database:
        await database.run("INSERT INTO migration_lock (store, holder) VALUES (0, 'dead') IF NOT EXISTS USING TTL 2")

        assert await migrate(nowhere, replication=1) == []

        assert await database.run("SELECT holder FROM migration_lock WHERE store = 0") == []


async def test_a_keyspace_of_another_spelling_is_refused() -> None:
    with pytest.raises(StoreBroken, match="cannot be a keyspace"):
        await migrate(CqlServer(hosts=("127.0.0.1",), port=1, keyspace="petit; DROP"), replication=1)
