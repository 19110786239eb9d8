"""A real server for each test that asks for one; it starts in some 20 ms."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petit.kit.connection import Connection, connect
from petit.kit.log import Log
from petit.kit.natsserver import NatsConfig, NatsServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server of this test's own."""
    async with NatsServer(NatsConfig(store=tmp_path / "nats")) as started:
        yield started


@pytest.fixture
async def nc(server: NatsServer) -> AsyncIterator[Connection]:
    """A connection to it."""
    async with await connect(server.access, name="test") as connection:
        yield connection


@pytest.fixture
async def log(nc: Connection) -> Log:
    """A log that was just made."""
    made = Log(nc)
    await made.bootstrap()
    return made
