"""Read models in a Cassandra that the tests have: one keyspace a run, emptied for each test."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import pytest

from petit.chat.adapters.cql import migrating
from petit.chat.adapters.cql.driver import connected
from petit.chat.adapters.cql.store import CqlStore, opened
from petit.chat.domain.rows import Batch
from petit.chat.ports import CqlServer, StoreDown
from tests.real.servers import Cassandra

TABLES = re.findall(r"EXISTS (\w+)", " ".join(text for version in migrating.versions().values() for text in version))


def server_of(cassandra: Cassandra, *, keyspace: str | None = None) -> CqlServer:
    """Return a keyspace of its own in a server."""
    name = keyspace or f"petit_test_{secrets.token_hex(4)}"
    return CqlServer(hosts=(cassandra.host,), port=cassandra.port, keyspace=name)


async def drop(server: CqlServer) -> None:
    """Remove a keyspace; one that a server under load does not get to stays, and does no harm."""
    async with connected(server, keyspace=None) as database:
        with suppress(StoreDown):
            await database.change(f"DROP KEYSPACE IF EXISTS {server.keyspace}")


@pytest.fixture(scope="session")
def keyspace(cassandra: Cassandra) -> Iterator[CqlServer]:
    """The keyspace of this run, migrated."""
    server = server_of(cassandra)
    with ThreadPoolExecutor(1) as aside:  # a loop of its own: an asynchronous fixture may have asked
        aside.submit(asyncio.run, migrating.migrate(server, replication=1)).result()
        yield server
        aside.submit(asyncio.run, drop(server)).result()


@asynccontextmanager
async def emptied(server: CqlServer) -> AsyncIterator[CqlStore]:
    """Open a read model, and empty it."""
    async with opened(server) as store, connected(server, keyspace=server.keyspace) as database:
        await asyncio.gather(*(database.run(f"TRUNCATE {table}") for table in TABLES))
        yield store


async def commit(store: CqlStore, batch: Batch) -> None:
    """Commit a batch as the fold does: again and again while a server that is late refuses it."""
    for _ in range(30):
        with suppress(StoreDown):
            return await store.commit(batch)
        await asyncio.sleep(1)
    return await store.commit(batch)
