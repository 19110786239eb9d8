"""A feed delivers every entry once, in order, from wherever it is told to begin, also while no consumer can be made."""

import asyncio
import json
import os
import time

import pytest

from kit.tests.reading import SUBJECT, Reader, always, eventually, reading, write
from petit.kit.connection import Connection, connect
from petit.kit.errors import LogBehind, LogLost, Outage
from petit.kit.feed import Feed
from petit.kit.jetstream import NANOSECONDS, JetStream
from petit.kit.log import Entry, Log
from petit.kit.natsserver import NatsServer
from petit.kit.stream import LogConfig

PUSHED = pytest.mark.parametrize("log", ["pushed"], indirect=True)
"""A test of what only consumers do, or of how fast they are."""
MANY = 6_000
"""More than are read one by one before a consumer is tried again."""
_SLOT = "taken"


@pytest.fixture(params=["pushed", "stepped"])
async def log(request: pytest.FixtureRequest, nc: Connection) -> Log:
    """A log that was just made: once one that pushes, and once one that takes no consumer more (see `free`)."""
    if request.param == "pushed":
        made = Log(nc)
        await made.bootstrap()
    else:
        made = Log(nc, config=LogConfig(max_consumers=1))
        await made.bootstrap()
        config = {"name": _SLOT, "ack_policy": "none", "mem_storage": True, "inactive_threshold": 3600 * NANOSECONDS}
        await JetStream(nc).create_consumer("SIGNALS", config)
    return made


async def free(nc: Connection) -> None:
    """Let consumers be made."""
    await nc.request(f"$JS.API.CONSUMER.DELETE.SIGNALS.{_SLOT}", b"", timeout=2)


async def fill(log: Log, payload: bytes, *, count: int) -> None:
    """Append so many entries with the same payload, one after the other."""
    for _ in range(count):
        await log.append(SUBJECT, payload, msg_id=os.urandom(8).hex())


async def erase(nc: Connection, offset: int) -> None:
    """Delete one entry, securely."""
    await nc.request("$JS.API.STREAM.MSG.DELETE.SIGNALS", b'{"seq": %d}' % offset, timeout=2)


async def test_a_feed_delivers_what_is_there_and_what_comes(nc: Connection, log: Log) -> None:
    await write(log, 10)
    reader = Reader()

    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        await write(log, 10, first=11)
        assert await feed.wait_for(20, within=2)

        assert reader.offsets == list(range(1, 21))
        assert sorted(int(entry.payload) for entry in reader.entries) == list(range(1, 21))
        assert {entry.subject for entry in reader.entries} == {SUBJECT}
        assert (feed.position, feed.head, feed.epoch) == (20, 20, 1)
        assert feed.current


async def test_an_entry_is_the_same_from_the_feed_and_from_the_log(nc: Connection, log: Log) -> None:
    reader = Reader()
    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        await write(log, 1)
        await feed.wait_for(1, within=2)

    stored = await log.read(1)
    assert stored is not None
    assert reader.entries[0] == stored._replace(headers=None)


async def test_a_feed_without_a_place_begins_at_the_head(nc: Connection, log: Log) -> None:
    await write(log, 10)
    reader = Reader()

    async with reading(Feed(nc, deliver=reader, after=None)) as feed:
        assert feed.position == 10
        await write(log, 1, first=11)
        assert await feed.wait_for(11, within=2)

    assert reader.offsets == [11]


@pytest.mark.usefixtures("log")
async def test_a_feed_on_an_empty_log_is_current(nc: Connection) -> None:
    async with reading(Feed(nc, deliver=Reader(), after=0)) as feed:
        await eventually(lambda: feed.current, within=1)

        assert (feed.position, feed.head) == (0, 0)


@PUSHED
async def test_a_hundred_thousand_entries_are_replayed_in_order(nc: Connection, log: Log) -> None:
    await write(log, 100_000)
    reader = Reader()
    feed = Feed(nc, deliver=reader, after=0)
    started = time.perf_counter()

    async with reading(feed):
        assert await feed.wait_for(100_000, within=30)

    print(f"replayed {100_000 / (time.perf_counter() - started):,.0f} entries/s")  # noqa: T201 - shown by pytest -s
    assert reader.offsets == list(range(1, 100_001))


async def test_a_feed_seeks_back_and_ahead(nc: Connection, log: Log) -> None:
    await write(log, 100)
    reader = Reader()

    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        await feed.wait_for(100, within=2)
        feed.seek(40)
        assert feed.position == 40
        assert not feed.current
        assert await feed.wait_for(100, within=2)
        feed.seek(90)
        feed.seek(95)
        assert await feed.wait_for(100, within=2)
        await write(log, 1, first=101)
        assert await feed.wait_for(101, within=2)
        assert feed.current

    assert reader.offsets == [*range(1, 101), *range(41, 101), *range(96, 102)]


async def test_a_callback_may_seek(nc: Connection, log: Log) -> None:
    await write(log, 20)
    offsets: list[int] = []

    def deliver(entry: Entry) -> None:
        offsets.append(entry.offset)
        if len(offsets) == 10:
            feed.seek(3)

    feed = Feed(nc, deliver=deliver, after=0)
    async with reading(feed):
        await eventually(lambda: len(offsets) == 27)

    assert offsets == [*range(1, 11), *range(4, 21)]


async def test_a_paused_feed_delivers_nothing_and_loses_nothing(nc: Connection, log: Log) -> None:
    reader = Reader()

    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        await write(log, 10)
        await feed.wait_for(10, within=2)
        feed.pause()
        await write(log, 1_000, first=11)
        assert not await feed.wait_for(11, within=2)
        assert not feed.current
        feed.resume()
        assert await feed.wait_for(1_010, within=5)
        assert feed.current

    assert reader.offsets == list(range(1, 1_011))


async def test_a_callback_may_pause(nc: Connection, log: Log) -> None:
    await write(log, 20)
    reader = Reader()

    def deliver(entry: Entry) -> None:
        reader(entry)
        feed.pause()

    feed = Feed(nc, deliver=deliver, after=0)
    async with reading(feed):
        for count in range(1, 21):
            await eventually(lambda count=count: len(reader.entries) == count)  # type: ignore[misc]  # mypy 9716
            assert not await feed.wait_for(count + 1, within=0.01)
            feed.resume()

    assert reader.offsets == list(range(1, 21))


@PUSHED
async def test_a_long_pause_is_bounded_in_memory(log: Log, server: NatsServer) -> None:
    payload = os.urandom(20_000)
    await fill(log, payload, count=3_000)  # the server's window grows while these are read
    reader = Reader()

    async with await connect(server.access, name="feed") as own:
        feed = Feed(own, deliver=reader, after=0)
        async with reading(feed):
            assert await feed.wait_for(3_000, within=10)
            before = own.stats["in_bytes"]
            feed.pause()
            await fill(log, payload, count=3_000)
            assert not await feed.wait_for(3_001, within=1)
            taken = own.stats["in_bytes"] - before
            feed.resume()
            assert await feed.wait_for(6_000, within=10)

    assert taken < 20_000_000
    assert reader.offsets == list(range(1, 6_001))


async def test_a_slow_callback_gets_everything(nc: Connection, log: Log) -> None:
    await write(log, 3_000)
    reader = Reader(seconds=0.001)

    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        await write(log, 500, first=3_001)
        assert await feed.wait_for(3_500, within=20)

    assert reader.offsets == list(range(1, 3_501))


@PUSHED
async def test_erased_entries_are_passed_over(nc: Connection, log: Log) -> None:
    await write(log, 10)
    for offset in (1, 4, 5, 9, 10):
        await erase(nc, offset)
    reader = Reader()

    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        assert await feed.wait_for(10, within=2)
        assert feed.current
        await erase(nc, 8)
        feed.seek(7)
        assert await feed.wait_for(10, within=2)

    assert reader.offsets == [2, 3, 6, 7, 8]


async def test_erased_entries_that_others_follow_are_passed_over(nc: Connection, log: Log) -> None:
    await write(log, 10)
    for offset in (1, 4, 5):
        await erase(nc, offset)
    reader = Reader()

    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        assert await feed.wait_for(10, within=2)
        await eventually(lambda: feed.current)

    assert reader.offsets == [2, 3, 6, 7, 8, 9, 10]


async def test_a_filtered_feed_delivers_what_it_was_asked_for(nc: Connection, log: Log) -> None:
    await write(log, MANY)
    for number in range(1, 9):
        await log.append(f"signal.{number % 2}.chat.a.msg", b"", msg_id=f"few:{number}")
    reader = Reader()

    async with reading(Feed(nc, deliver=reader, after=2, subjects=["signal.1.>"])) as feed:
        assert await feed.wait_for(MANY + 7, within=2)
        await log.append("signal.1.chat.a.msg", b"", msg_id="few:9")
        assert await feed.wait_for(MANY + 9, within=2)

    assert reader.offsets == [MANY + 1, MANY + 3, MANY + 5, MANY + 7, MANY + 9]


@pytest.mark.parametrize("log", ["stepped"], indirect=True)
async def test_a_feed_reads_by_a_consumer_as_soon_as_it_can(nc: Connection, log: Log) -> None:
    reader = Reader()
    async with reading(Feed(nc, deliver=reader, after=0)) as feed:
        await write(log, MANY)
        assert await feed.wait_for(MANY, within=20)
        await always(lambda: feed.current, during=3)
        assert await _consumers(nc) == 1, "one that is not ours"

        await free(nc)

        await eventually(lambda: feed.current)
        await write(log, 10, first=MANY + 1)
        assert await feed.wait_for(MANY + 10, within=2)
        assert await _consumers(nc) == 1, "one that is"

    assert reader.offsets == list(range(1, MANY + 11))


async def _consumers(nc: Connection) -> int:
    answer = await nc.request("$JS.API.CONSUMER.NAMES.SIGNALS", b"", timeout=2)
    return len(json.loads(answer.data)["consumers"])


@PUSHED
async def test_a_filtered_feed_keeps_its_place_among_all(nc: Connection, log: Log) -> None:
    await log.append("signal.1.chat.a.msg", b"", msg_id="1")
    await log.append("signal.2.chat.b.msg", b"", msg_id="2")
    await log.append("signal.1.person.ann.profile", b"", msg_id="3")
    await log.append("signal.2.chat.b.msg", b"", msg_id="4")
    reader = Reader()

    async with reading(Feed(nc, deliver=reader, after=0, subjects=["signal.1.>", "signal.3.>"])) as feed:
        assert await feed.wait_for(4, within=2)
        assert feed.current

    assert reader.offsets == [1, 3]


async def test_a_feed_ends_with_what_its_callback_raised(nc: Connection, log: Log) -> None:
    await write(log, 10)
    offsets: list[int] = []

    def deliver(entry: Entry) -> None:
        offsets.append(entry.offset)
        if entry.offset == 3:
            raise ZeroDivisionError

    feed = Feed(nc, deliver=deliver, after=0)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(feed.run(), 2)

    assert offsets == [1, 2, 3]
    assert feed.position == 2
    assert not feed.current
    with pytest.raises(ZeroDivisionError):
        await feed.wait_for(10, within=1)


@pytest.mark.usefixtures("log")
async def test_a_stopped_feed_lets_no_one_wait(nc: Connection) -> None:
    feed = Feed(nc, deliver=Reader(), after=0)
    async with reading(feed):
        waiting = asyncio.create_task(feed.wait_for(1, within=10))
        await asyncio.sleep(0)

    with pytest.raises(Outage):
        await waiting
    assert not feed.current


async def test_a_deleted_stream_ends_the_feed(nc: Connection, log: Log) -> None:
    await write(log, 10)
    feed = Feed(nc, deliver=Reader(), after=0)
    task = asyncio.create_task(feed.run())
    await feed.wait_for(10, within=2)

    await JetStream(nc).delete_stream("SIGNALS")

    with pytest.raises(LogLost, match="petit doctor --new-epoch"):
        await asyncio.wait_for(task, 5)
    assert not feed.current
    with pytest.raises(LogLost):
        await feed.wait_for(11, within=1)


async def test_a_feed_does_not_start_without_a_stream(nc: Connection) -> None:
    with pytest.raises(LogLost):
        await asyncio.wait_for(Feed(nc, deliver=Reader(), after=0).run(), 5)


async def test_a_new_epoch_ends_the_feed(nc: Connection, log: Log) -> None:
    await write(log, 10)
    feed = Feed(nc, deliver=Reader(), after=0)
    task = asyncio.create_task(feed.run())
    await feed.wait_for(10, within=2)

    await log.new_epoch()

    with pytest.raises(LogLost, match="epoch 2"):
        await asyncio.wait_for(task, 5)
    with pytest.raises(LogLost, match="epoch 2"):
        await asyncio.wait_for(Feed(nc, deliver=Reader(), after=10, epoch=1).run(), 5)


async def test_a_log_that_ends_too_early_stops_the_feed(nc: Connection, log: Log) -> None:
    await write(log, 10)

    with pytest.raises(LogBehind, match="ends at offset 10, but 11"):
        await asyncio.wait_for(Feed(nc, deliver=Reader(), after=11).run(), 5)
