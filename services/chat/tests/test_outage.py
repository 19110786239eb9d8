"""A replica whose database is down at its start, and goes away while it serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from petit.chat.app import Options, chat
from petit.chat.ports import CqlServer
from petit.contracts import rpc
from petit.contracts.ids import ChatId
from petit.contracts.problems import Refused, Unavailable
from petit.kit.natsserver import NatsServer
from petit.kit.ports import free_port
from services.chat.tests import cqlstores
from services.chat.tests.asking import Edge, edge_of, eventually
from tests.e2e.scale import within

pytestmark = pytest.mark.real


class Cable:
    """What leads to a server, and can be pulled out."""

    def __init__(self, server: CqlServer) -> None:
        self._server = server
        self._streams: set[asyncio.StreamWriter] = set()
        self._listening: asyncio.Server | None = None
        self.port = free_port()

    async def plug_in(self) -> None:
        """Let connections through."""
        self._listening = await asyncio.start_server(self._lead, "127.0.0.1", self.port)

    async def pull_out(self) -> None:
        """Cut every connection, and take no more."""
        if self._listening is not None:
            self._listening.close()
        for stream in list(self._streams):
            stream.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._server.hosts[0], self._server.port)
        self._streams |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        self._streams -= {writer, back}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def cable_to(server: CqlServer) -> AsyncIterator[Cable]:
    """Return a cable that is not plugged in, to an empty read model."""
    async with cqlstores.emptied(server):
        pass
    cable = Cable(server)
    yield cable
    await cable.pull_out()


@within(120)
async def test_a_replica_waits_for_its_database_refuses_reads_without_it_and_catches_up(
    server: NatsServer, keyspace: CqlServer
) -> None:
    async with cable_to(keyspace) as cable, asyncio.TaskGroup() as tasks:
        store = CqlServer(hosts=("127.0.0.1",), port=cable.port, keyspace=keyspace.keyspace)
        waits: list[str] = []
        options = Options(nats=server.access, store=store)
        started, stop = asyncio.Event(), asyncio.Event()

        async def replica() -> None:
            async with chat(options, on_wait=waits.append) as running:
                started.set()
                await stop.wait()
                assert await running.readiness(max_lag=10_000).wrong() is None

        running = tasks.create_task(replica())
        await eventually(lambda: len(waits) > 1)
        assert str(cable.port) in waits[0]
        assert not started.is_set()

        await cable.plug_in()
        await started.wait()
        async with edge_of(server) as edge:
            group = await edge.create("group", "ada", "bob")
            await edge.say(group, "before", by="ada")
            await shows(edge, group, ["before"])

            await cable.pull_out()
            with pytest.raises(Unavailable, match="read model is down"):
                await edge.history(group, "ada")
            offset = [await edge.say(group, f"during {number}", by="bob") for number in range(20)][-1]
            seed = await edge.about(group, "seed", rpc.SeedAsk(chat=group, min_offset=offset), body=rpc.Seed)
            assert (seed.head_seq, seed.offset) == (21, offset), "streams of a chat that is held go on"

            await cable.plug_in()
            await shows(edge, group, ["before", *(f"during {number}" for number in range(20))])
        stop.set()
        await running


@within(120)
async def test_what_a_lost_database_had_acknowledged_and_forgot_is_folded_again(
    server: NatsServer, keyspace: CqlServer
) -> None:
    async with cable_to(keyspace) as cable:
        await cable.plug_in()
        store = CqlServer(hosts=("127.0.0.1",), port=cable.port, keyspace=keyspace.keyspace)
        async with chat(Options(nats=server.access, store=store)), edge_of(server) as edge:
            group = await edge.create("group", "ada", "bob")
            await edge.say(group, "before", by="ada")
            await shows(edge, group, ["before"])

            await cable.pull_out()
            async with cqlstores.emptied(keyspace):
                pass
            await cable.plug_in()

            await shows(edge, group, ["before"])
            await edge.say(group, "after", by="bob")
            await shows(edge, group, ["before", "after"])


async def shows(edge: Edge, chat: ChatId, texts: list[str]) -> None:
    """Wait until a chat's history is this."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Unavailable, Refused):  # a chat that is forgotten is not found until it is folded again
                if [message.text for message in (await edge.history(chat, "ada")).items] == texts:
                    return
            await asyncio.sleep(0.1)


async def test_a_replica_waits_for_a_database_whose_name_nobody_knows(server: NatsServer) -> None:
    """As that of a pod or a container is unknown while there is none."""
    waits: list[str] = []
    store = CqlServer(hosts=("nowhere.invalid",), port=9042, keyspace="petit")

    async def replica() -> None:
        async with chat(Options(nats=server.access, store=store), on_wait=waits.append):
            raise AssertionError("there is no database")

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(replica())
        await eventually(lambda: len(waits) > 1, within=20)
        waiting.cancel()

    assert "keyspace petit at nowhere.invalid:9042" in waits[0]
