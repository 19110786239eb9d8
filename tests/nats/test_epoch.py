"""A log of the real stack that is lost: services stop, an operator begins it anew, and no offset comes twice."""

import asyncio

import pytest

from kit.tests.reading import SUBJECT, Reader, eventually, running, write
from petit.cli.checkup.epoch import renewed
from petit.cli.checkup.log import SURE_S
from petit.cli.trouble import Trouble
from petit.contracts.cursor import Cursor
from petit.contracts.ids import Epoch, Offset
from petit.kit.connection import Connection
from petit.kit.errors import LogLost
from petit.kit.feed import Feed
from petit.kit.jetstream import STALE_S, JetStream
from petit.kit.log import Log
from petit.kit.stream import APART
from tests.nats.cluster import Cluster


async def test_a_log_that_is_lost_goes_on_above_all_that_was_handed_out(nats: Cluster) -> None:
    async with nats.connected("chat") as chat, nats.connected("operator") as operator:
        log = Log(chat)
        await write(log, 50)
        await log.find(remember=True, within=5)
        await JetStream(operator).delete_stream("SIGNALS")
        with pytest.raises(LogLost):
            await log.find(known_epoch=1, known_offset=40, within=0.0)

        info = await renewed(operator, known=Cursor(Epoch(1), Offset(70)), replicas=3, max_bytes=10**9)

        assert (info.epoch, info.first) == (2, 70 + APART)
        assert await _bound(operator) == 10**9
        again = await renewed(operator, known=Cursor(Epoch(1), Offset(70)), replicas=3)  # as after a crash in between
        assert again.epoch == 2
        stored = await log.append(SUBJECT, b"x", msg_id="x")
        assert stored.offset == 70 + APART
        with pytest.raises(Trouble, match="not of one installation"):
            await renewed(operator, known=Cursor(Epoch(1), Offset(70)), replicas=3)


async def test_a_log_that_is_well_is_left_alone(nats: Cluster) -> None:
    async with nats.connected("operator") as operator:
        with pytest.raises(Trouble, match="the log is well"):
            await renewed(operator, known=Cursor(Epoch(1), Offset(0)), replicas=3)


async def test_a_log_that_is_behind_keeps_its_bound(nats: Cluster) -> None:
    async with nats.connected("operator") as operator:
        js = JetStream(operator)
        state = await js.stream("SIGNALS")
        assert state is not None
        await js.update_stream({**state.config, "max_bytes": 10**9})

        info = await renewed(operator, known=Cursor(Epoch(1), Offset(7)), replicas=3)

        assert (info.epoch, info.first) == (2, 7 + APART)
        assert await _bound(operator) == 10**9


async def test_a_log_that_is_gone_or_behind_for_a_moment_is_left_alone(nats: Cluster) -> None:
    """As a node may say that starts: what is missing is there before we are sure."""
    async with nats.connected("chat") as chat, nats.connected("operator") as operator:
        log = Log(chat)
        await write(log, 50)
        known = Cursor(Epoch(1), Offset(60))
        looking = asyncio.create_task(renewed(operator, known=known, replicas=3))
        await asyncio.sleep(SURE_S / 2)
        assert not looking.done()

        await write(log, 10, first=51)

        with pytest.raises(Trouble, match="the log is well"):
            await looking
        assert (await log.info()).epoch == 1
        assert (await log.info()).messages == 60


async def test_a_feed_does_not_believe_a_node_that_knows_less_at_once(nats: Cluster) -> None:
    """As one does that led the log, was cut off, and is asked before the others are back."""
    reader = Reader()
    async with nats.connected("chat") as chat:
        log = Log(chat)
        await write(log, 50)
        async with running(Feed(chat, deliver=reader, after=60, epoch=1).run) as feed:
            await asyncio.sleep(STALE_S / 5)  # a node was seen to say so for some seconds
            assert not feed.done()

            await write(log, 20, first=51)

            await eventually(lambda: len(reader.offsets) == 10)
    assert reader.offsets == list(range(61, 71))


async def _bound(operator: Connection) -> int:
    state = await JetStream(operator).stream("SIGNALS")
    assert state is not None
    return int(state.config["max_bytes"])
