"""Whatever breaks between a feed and the log, no entry is lost, doubled or delivered out of order."""

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.tests.proxy import Proxy, proxied
from kit.tests.reading import Reader, Writer, eventually, frozen, pause_consumers, reading, running, write
from petit.kit.access import Access
from petit.kit.connection import Connection, connect
from petit.kit.consumer import Consumer
from petit.kit.errors import LogBehind
from petit.kit.feed import Feed
from petit.kit.log import Log
from petit.kit.natsserver import NatsConfig, NatsServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A writer with a connection of its own, and a feed behind a proxy."""

    server: NatsServer
    proxy: Proxy
    writer: Writer
    reader: Reader
    feed: Feed

    async def grow(self, entries: int, *, within: float = 10.0) -> None:
        """Wait until so many more entries were acknowledged."""
        goal = len(self.writer.stored) + entries
        await eventually(lambda: len(self.writer.stored) >= goal, within=within)

    def check(self) -> None:
        """Hold what was delivered against what was acknowledged."""
        assert self.reader.offsets == list(range(1, len(self.reader.offsets) + 1))
        delivered = {entry.offset: entry.payload for entry in self.reader.entries}
        assert self.writer.stored.items() <= delivered.items()
        payloads = [entry.payload for entry in self.reader.entries]
        assert len(payloads) == len(set(payloads))


@asynccontextmanager
async def scene(server: NatsServer, log: Log) -> AsyncIterator[Scene]:
    """Write and read until the end of the block, then wait for the rest and check everything."""
    writer, reader = Writer(log), Reader()
    async with (
        proxied(server.port) as proxy,
        await connect(Access(url=proxy.url, token=server.token), name="feed") as far,
        reading(Feed(far, deliver=reader, after=0)) as feed,
    ):
        set_up = Scene(server=server, proxy=proxy, writer=writer, reader=reader, feed=feed)
        async with running(writer.run):
            await set_up.grow(50)
            yield set_up
            await set_up.grow(50)
        assert await feed.wait_for(max(writer.stored), within=20)
        await eventually(lambda: feed.current)
        set_up.check()


async def test_a_server_killed_over_and_over_costs_nothing(server: NatsServer, log: Log) -> None:
    async with scene(server, log) as at:
        for _ in range(6):
            at.server.kill()
            await asyncio.sleep(random.uniform(0, 0.2))
            await at.server.start()
            await at.grow(50)


async def test_a_feed_is_back_within_half_a_second_of_a_restart(server: NatsServer, log: Log) -> None:
    async with scene(server, log) as at:
        at.server.kill()
        await at.server.start()
        started = time.monotonic()
        position = at.feed.position
        await eventually(lambda: at.feed.position > position)

        assert time.monotonic() - started < 0.5


async def test_a_frozen_server_makes_the_feed_lag_and_then_catch_up(server: NatsServer, log: Log) -> None:
    async with scene(server, log) as at:
        with frozen(server):
            await eventually(lambda: not at.feed.current, within=3)
        await at.grow(50)
        await eventually(lambda: at.feed.current, within=3)


async def test_a_silent_network_makes_the_feed_lag_and_then_catch_up(server: NatsServer, log: Log) -> None:
    async with scene(server, log) as at:
        for _ in range(2):
            at.proxy.stall()
            await eventually(lambda: not at.feed.current, within=3)
            at.proxy.flow()
            await eventually(lambda: at.feed.current, within=3)


async def test_a_network_that_cuts_connections_costs_nothing(server: NatsServer, log: Log) -> None:
    async with scene(server, log) as at:
        for _ in range(30):
            at.proxy.cut()
            await asyncio.sleep(random.uniform(0, 0.15))


async def test_a_consumer_that_the_server_forgot_is_made_again(server: NatsServer, log: Log, nc: Connection) -> None:
    async with scene(server, log) as at:
        for consumer in await nc.jetstream().consumers_info("SIGNALS"):
            await nc.jetstream().delete_consumer("SIGNALS", consumer.name)
        position = at.feed.position
        await eventually(lambda: at.feed.position > position + 50, within=3)


async def test_a_consumer_that_stands_still_is_given_up(log: Log, nc: Connection) -> None:
    """Its heartbeats go on, as if there were nothing more."""
    reader = Reader()
    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        await eventually(lambda: feed.current)
        await pause_consumers(nc)

        await write(log, 10)

        assert await feed.wait_for(10, within=5)
        await eventually(lambda: feed.current)
    assert reader.offsets == list(range(1, 11))


async def test_a_consumer_that_was_cancelled_delivers_nothing(server: NatsServer, log: Log, nc: Connection) -> None:
    reader = Reader()
    consumer = Consumer(nc, receive=lambda entry, _number, _pending: reader(entry), looked=print, paused=False)
    with frozen(server):
        opening = asyncio.create_task(consumer.open("SIGNALS", name="late", start=1, subjects=()))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait({opening})

    await write(log, 10)
    await nc.flush()

    assert opening.cancelled()
    assert reader.entries == []


@pytest.mark.parametrize("seed", range(4))
async def test_any_mixture_of_faults_costs_nothing(server: NatsServer, log: Log, seed: int) -> None:
    choose = random.Random(seed)

    async def kill(at: Scene) -> None:
        at.server.kill()
        await asyncio.sleep(choose.uniform(0, 0.3))
        await at.server.start()

    async def freeze(at: Scene) -> None:
        with frozen(at.server):
            await asyncio.sleep(choose.uniform(0, 0.3))

    async def stall(at: Scene) -> None:
        at.proxy.stall()
        await asyncio.sleep(choose.choice([0.05, 0.3, 1.6]))
        at.proxy.flow()

    async def cut(at: Scene) -> None:
        at.proxy.cut()

    async def pause(at: Scene) -> None:
        at.feed.pause()
        await asyncio.sleep(choose.uniform(0, 0.3))
        at.feed.resume()

    async with scene(server, log) as at:
        for _ in range(10):
            await choose.choice([kill, freeze, stall, cut, pause])(at)
            await asyncio.sleep(choose.uniform(0, 0.2))


async def test_a_log_that_lost_its_end_and_grew_again_stops_the_feed(tmp_path: Path) -> None:
    server = NatsServer(NatsConfig(store=tmp_path / "nats"))
    files, copy = tmp_path / "nats" / "jetstream", tmp_path / "copy"
    async with (
        server,
        proxied(server.port) as proxy,
        await connect(server.access, name="writer") as near,
        await connect(Access(url=proxy.url, token=server.token), name="feed") as far,
    ):
        log = Log(near)
        await log.bootstrap()
        await write(log, 10)
        await server.stop()
        shutil.copytree(files, copy)
        await server.start()
        await write(log, 10, first=11)
        feed = Feed(far, deliver=Reader(), after=0)
        task = asyncio.create_task(feed.run())
        assert await feed.wait_for(20, within=5)

        proxy.stall()
        await server.stop()
        shutil.rmtree(files)
        shutil.move(copy, files)
        await server.start()
        await write(log, 30, first=101)
        proxy.flow()

        with pytest.raises(LogBehind, match="another entry at offset 20"):
            await asyncio.wait_for(task, 10)
