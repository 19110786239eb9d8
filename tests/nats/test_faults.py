"""Nodes that are killed or frozen under load: nothing acknowledged is lost, and everybody goes on elsewhere."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from urllib.parse import urlparse

import pytest
from nats.aio.client import Srv

from kit.tests.reading import SUBJECT, Reader, always, eventually, pause_consumers, reading, running, write
from petit.kit.connection import Connection
from petit.kit.errors import Outage
from petit.kit.feed import Feed
from petit.kit.log import LATEST_WRITE_S, Log
from tests.nats.cluster import Cluster, Node

WRITERS = 16
LONG = 20_000
"""Messages of 1,000 bytes that fill more than one of the log's blocks."""
_ELECTION_S = 3.0
"""Nobody is elected within this: a follower waits 4 s at least (`minElectionTimeout` in nats-server's raft.go) after it
heard the leader, who tells that it is there every second."""


class Senders:
    """Publishers that try again under the same id until the log has it, as apps do."""

    def __init__(self, logs: list[Log]) -> None:
        self.stored: dict[str, int] = {}
        """Offset of each message, by id."""
        self.longest_s = 0.0
        """The longest that one message took, over all its tries."""
        self._logs = logs
        self._number = 0

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(self._send(self._logs[number % len(self._logs)]))

    async def _send(self, log: Log) -> None:
        while True:
            self._number += 1
            name, begun = f"m{self._number}", time.monotonic()
            while name not in self.stored:
                with suppress(Outage):
                    stored = await log.append(SUBJECT, name.encode(), msg_id=name)
                    self.stored[name] = stored.offset
            self.longest_s = max(self.longest_s, time.monotonic() - begun)
            await asyncio.sleep(0.005)


@asynccontextmanager
async def connections(nats: Cluster, user: str) -> AsyncIterator[list[Connection]]:
    """Connect some times, each to a node by chance, so that whichever is hit is somebody's."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(nats.connected(user)) for _ in range(4)]


def node_of(nats: Cluster, nc: Connection) -> Node | None:
    """Return the node that a connection is to now."""
    url = nc.connected_url
    return next((node for node in nats.nodes if url is not None and node.client == url.port), None)


async def settled(senders: Senders, log: Log, *readers: Reader) -> None:
    """Wait until all that was acknowledged has been read, then check it: once, in order, without a hole."""
    last = max(senders.stored.values())
    for reader in readers:
        await eventually(partial(_has, reader, last), within=30)
        assert reader.offsets == list(range(1, reader.offsets[-1] + 1))
        by_offset = {entry.offset: entry.payload.decode() for entry in reader.entries}
        assert len(set(by_offset.values())) == len(by_offset), "a message was stored twice"
        assert {name: offset for name, offset in senders.stored.items() if by_offset[offset] != name} == {}
    info = await log.info()
    assert info.messages >= len(senders.stored)


def _has(reader: Reader, offset: int) -> bool:
    return bool(reader.entries) and reader.entries[-1].offset >= offset


@asynccontextmanager
async def load(nats: Cluster) -> AsyncIterator[tuple[Senders, Log, list[Reader], list[Feed]]]:
    """Write and read through every node, for as long as the context lasts; then all must be there."""
    async with connections(nats, "gateway") as writing, connections(nats, "chat") as listening:
        readers = [Reader() for _ in listening]
        feeds = [Feed(nc, deliver=reader, after=0) for nc, reader in zip(listening, readers, strict=True)]
        log = Log(writing[0])
        senders = Senders([Log(nc) for nc in writing])
        async with AsyncExitStack() as stack:
            for feed in feeds:
                await stack.enter_async_context(reading(feed))
            async with running(senders.run):
                yield senders, log, readers, feeds
            await settled(senders, log, *readers)


async def goes_on(senders: Senders, *, within: float) -> float:
    """Wait until something is acknowledged that was begun after now; return after how many seconds."""
    begun, before = time.monotonic(), len(senders.stored)
    await eventually(lambda: len(senders.stored) > before + WRITERS, within=within)
    return time.monotonic() - begun


@pytest.mark.timeout(120)
async def test_a_leader_that_is_killed_loses_nothing(nats: Cluster) -> None:
    async with load(nats) as (senders, _, _, _):
        await eventually(lambda: len(senders.stored) > 200, within=20)
        leader = await nats.leader()

        leader.kill()

        await goes_on(senders, within=20)
        leader.start()
        await nats.healthy()
        await goes_on(senders, within=20)


@pytest.mark.timeout(120)
async def test_a_leader_that_is_frozen_for_20_s_loses_nothing_and_is_left(nats: Cluster) -> None:
    async with load(nats) as (senders, _, _, feeds):
        await eventually(lambda: len(senders.stored) > 200, within=20)
        leader = await nats.leader()

        with leader.frozen():
            frozen_at = time.monotonic()
            await eventually(lambda: all(feed.current for feed in feeds), within=15)
            await goes_on(senders, within=20)
            await eventually(lambda: all(feed.current for feed in feeds), within=15)
            await asyncio.sleep(max(0.0, 20 - (time.monotonic() - frozen_at)))

        await nats.healthy()
        await goes_on(senders, within=20)
    assert senders.longest_s < 2 * LATEST_WRITE_S


@pytest.mark.timeout(120)
async def test_a_cluster_that_is_killed_whole_comes_back_with_all_it_had(nats: Cluster) -> None:
    async with load(nats) as (senders, _, _, feeds):
        await eventually(lambda: len(senders.stored) > 200, within=20)

        for node in nats.nodes:
            node.kill()
        await eventually(lambda: not any(feed.current for feed in feeds), within=10)
        for node in nats.nodes:
            node.start()

        await nats.healthy()
        await goes_on(senders, within=20)
        await eventually(lambda: all(feed.current for feed in feeds), within=15)


@pytest.mark.timeout(120)
async def test_nodes_that_are_killed_with_a_long_log_take_what_is_stored_again(nats: Cluster) -> None:
    """R07: one after the other: where one stays behind, the next one's end leaves no majority."""
    async with nats.connected("gateway") as nc:
        await write(Log(nc), LONG, size=1_000)
    async with load(nats) as (senders, _, _, _):
        for node in nats.nodes:
            node.kill()
            await goes_on(senders, within=20)
            node.start()
            await nats.healthy()
        await goes_on(senders, within=20)


@pytest.mark.timeout(120)
async def test_a_feed_leaves_a_node_that_answers_pings_and_nothing_about_the_log(nats: Cluster) -> None:
    cut, *others = nats.nodes
    cut.kill()
    cut.forbid("gateway", "$JS.API.STREAM.INFO.SIGNALS")  # as if what is asked there were lost on its way
    cut.start()
    await nats.healthy()
    async with nats.connected("gateway", only=cut) as nc:
        nc._server_pool.extend(Srv(urlparse(node.url)) for node in others)  # noqa: SLF001 - as below
        feed = Feed(nc, deliver=Reader(), after=0)
        async with reading(feed):
            await eventually(lambda: feed.current)

            assert node_of(nats, nc) in others


@pytest.mark.timeout(120)
async def test_a_feed_whose_questions_about_consumers_are_lost_is_current_all_the_same(nats: Cluster) -> None:
    for node in nats.nodes:
        node.forbid("notifier", "$JS.API.CONSUMER.CREATE.SIGNALS.>")
        node.kill()
    for node in nats.nodes:
        node.start()
    await nats.healthy()
    reader = Reader()
    async with nats.connected("gateway") as writing, nats.connected("notifier") as listening:
        log, feed = Log(writing), Feed(listening, deliver=reader, after=0)
        async with reading(feed):
            await write(log, 10)
            assert await feed.wait_for(10, within=5)
            await always(lambda: feed.current, during=4)
            await write(log, 10, first=11)
            assert await feed.wait_for(20, within=2)
    assert reader.offsets == list(range(1, 21))


@pytest.mark.timeout(120)
async def test_a_feed_gives_up_a_consumer_that_tells_it_is_there_and_delivers_nothing(nats: Cluster) -> None:
    """As one does whose node has stopped taking what is stored. A paused consumer goes on with its heartbeats, too."""
    reader = Reader()
    async with nats.connected("gateway") as writing, nats.connected("chat") as listening:
        log, feed = Log(writing), Feed(listening, deliver=reader, after=0)
        async with reading(feed):
            await write(log, 10)
            assert await feed.wait_for(10, within=5)
            async with nats.connected("operator") as operator:
                await pause_consumers(operator)

            await write(log, 10, first=11)

            assert await feed.wait_for(20, within=8)
            await eventually(lambda: feed.current)
    assert reader.offsets == list(range(1, 21))


@pytest.mark.timeout(120)
async def test_a_feed_that_begins_anew_is_not_current_at_a_node_that_hears_no_other(nats: Cluster) -> None:
    """It answers by its own copy once it campaigns: that is no answer."""
    alone, *others = nats.nodes
    async with nats.connected("chat", only=alone) as nc:
        feed = Feed(nc, deliver=Reader(), after=0)
        async with reading(feed), AsyncExitStack() as stack:
            await eventually(lambda: feed.current)
            for node in others:
                stack.enter_context(node.frozen())
            await asyncio.sleep(7)  # for so long what it heard last counts
            feed.seek(feed.position)
            await always(lambda: not feed.current, during=8)
            await stack.aclose()
            await eventually(lambda: feed.current, within=30)


async def test_a_publish_to_a_frozen_node_is_made_again_elsewhere_and_stored_once(nats: Cluster) -> None:
    leader = await nats.leader()
    follower = next(node for node in nats.nodes if node is not leader)
    async with nats.connected("gateway", only=follower) as nc:
        others = [Srv(urlparse(node.url)) for node in nats.nodes if node is not follower]
        nc._server_pool.extend(others)  # noqa: SLF001 - nats-py connects to one of many by chance
        log = Log(nc)
        await log.append(SUBJECT, b"before", msg_id="before")

        with follower.frozen():
            begun = time.monotonic()
            stored = await log.append(SUBJECT, b"x", msg_id="x", deadline=begun + LATEST_WRITE_S)
            took_s = time.monotonic() - begun

        await nats.healthy()
        again = await log.append(SUBJECT, b"x", msg_id="x")
        assert (again.offset, again.duplicate) == (stored.offset, True)
        assert (await log.info()).messages == 2
    assert took_s < LATEST_WRITE_S / 2


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_client_of_a_node_that_is_gone_is_at_another_one_soon(nats: Cluster, how: str) -> None:
    async with nats.connected("chat") as nc:
        hit = node_of(nats, nc)
        assert hit is not None
        feed = Feed(nc, deliver=Reader(), after=0)
        async with reading(feed), AsyncExitStack() as stack:
            begun = time.monotonic()
            if how == "killed":
                hit.kill()
            else:
                stack.enter_context(hit.frozen())

            await eventually(lambda: nc.is_connected and node_of(nats, nc) is not hit, within=10)
            left_s = time.monotonic() - begun
            await eventually(lambda: feed.current, within=15)

    assert left_s < (1.0 if how == "killed" else 3.0)


@pytest.mark.timeout(120)
async def test_feeds_go_on_while_nobody_can_make_consumers(nats: Cluster) -> None:
    """Who leads JetStream as a whole makes them, and is frozen; who leads the log is not."""
    makes = await nats.maker()
    leads = next(node for node in nats.nodes if node is not makes)
    await nats.lead("SIGNALS", by=leads)
    reader = Reader()
    async with nats.connected("gateway", only=leads) as writing, nats.connected("notifier", only=leads) as listening:
        log, feed = Log(writing), Feed(listening, deliver=reader, after=0)
        async with reading(feed):
            await write(log, 10)
            assert await feed.wait_for(10, within=5)

            with makes.frozen():
                begun = time.monotonic()
                feed.seek(5)
                await write(log, 10, first=11)
                assert await feed.wait_for(20, within=_ELECTION_S)
                assert time.monotonic() - begun < _ELECTION_S

    assert reader.offsets == [*range(1, 11), *range(6, 21)]
