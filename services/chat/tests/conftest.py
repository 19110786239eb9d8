"""Every store there is, and a replica on a real nats-server for each test that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petit.chat.adapters.sqlite import opened
from petit.chat.app import Chat
from petit.chat.ports import Repository
from petit.kit.natsserver import NatsConfig, NatsServer
from services.chat.tests import cqlstores
from services.chat.tests.asking import Edge, edge_of, replica_of

keyspace = cqlstores.keyspace


@pytest.fixture(params=["sqlite", pytest.param("cql", marks=pytest.mark.real)])
async def repository(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Repository]:
    """An empty read model of each kind."""
    match request.param:
        case "sqlite":
            async with opened(tmp_path / "chat.db") as store:
                yield store
        case "cql":
            async with cqlstores.emptied(request.getfixturevalue("keyspace")) as cql_store:
                yield cql_store
        case kind:
            raise ValueError(f"there is no store of kind {kind}")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server of this test's own."""
    async with NatsServer(NatsConfig(store=tmp_path / "nats")) as started:
        yield started


@pytest.fixture
async def replica(server: NatsServer, tmp_path: Path) -> AsyncIterator[Chat]:
    """The only chat replica there is."""
    async with replica_of(server, tmp_path / "chat.db") as running:
        yield running


@pytest.fixture
async def edge(server: NatsServer, replica: Chat) -> AsyncIterator[Edge]:
    """Somebody who asks that replica."""
    async with edge_of(server) as asking:
        yield asking
    del replica  # asked for so that it runs meanwhile
