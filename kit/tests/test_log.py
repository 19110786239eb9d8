"""The log stores an entry once, says what it did not store, and is never made twice in silence."""

import asyncio
import json
import os
import shutil
import time
from pathlib import Path

import pytest
import structlog

from kit.tests.proxy import proxied
from kit.tests.reading import frozen
from petit.kit.access import Access
from petit.kit.connection import Connection, connect
from petit.kit.errors import Busy, LogBehind, LogFull, LogLost, Outage, Unanswered, Unreached
from petit.kit.jetstream import JetStream
from petit.kit.kv import Bucket
from petit.kit.log import Log, memory_bucket
from petit.kit.natsserver import NatsConfig, NatsServer
from petit.kit.stream import APART, LogConfig

SUBJECT = "signal.7.chat.0190.msg"


async def fill(log: Log, payload: bytes, *, entries: int) -> None:
    """Append so many entries with the same payload."""
    for number in range(entries):
        await log.append(SUBJECT, payload, msg_id=f"ann:{number}")


async def test_an_entry_is_stored_once_however_often_it_is_appended(log: Log) -> None:
    first = await log.append(SUBJECT, b"hello", msg_id="ann:1")
    again = await log.append(SUBJECT, b"hello", msg_id="ann:1")
    other = await log.append(SUBJECT, b"hello", msg_id="ann:2")

    assert (first.offset, first.duplicate) == (1, False)
    assert (again.offset, again.duplicate) == (1, True)
    assert (other.offset, other.duplicate) == (2, False)


async def test_an_entry_reads_as_it_was_stored(log: Log) -> None:
    before = time.time_ns()
    stored = await log.append(SUBJECT, b"\x00\xffhello", msg_id="ann:1")

    entry = await log.read(stored.offset)

    assert entry is not None
    assert (entry.offset, entry.subject, entry.payload) == (1, SUBJECT, b"\x00\xffhello")
    assert entry.headers == {"Nats-Msg-Id": "ann:1"}
    assert before <= entry.time_ns <= time.time_ns()
    assert await log.read(2) is None


async def test_bootstrap_finds_what_it_made(log: Log) -> None:
    await log.append(SUBJECT, b"hello", msg_id="ann:1")

    info = await log.bootstrap(known_epoch=1, known_offset=1)

    assert (info.epoch, info.first, info.last, info.messages) == (1, 1, 1, 1)


async def test_processes_that_start_together_make_one_log(nc: Connection) -> None:
    infos = await asyncio.gather(*(Log(nc).bootstrap() for _ in range(10)))

    assert {info.epoch for info in infos} == {1}


async def test_bootstrap_changes_settings_and_keeps_entries(log: Log, nc: Connection) -> None:
    await log.append(SUBJECT, b"hello", msg_id="ann:1")

    info = await Log(nc, config=LogConfig(duplicate_window=1.0, max_bytes=10_000_000)).bootstrap()

    state = await JetStream(nc).stream("SIGNALS")
    assert (info.epoch, info.last) == (1, 1)
    assert state is not None
    assert (state.config["duplicate_window"], state.config["max_bytes"]) == (1_000_000_000, 10_000_000)
    assert state.config["discard"] == "new"
    assert "max_age" not in state.config or state.config["max_age"] == 0


async def test_a_deleted_stream_is_not_made_again(log: Log, nc: Connection) -> None:
    await JetStream(nc).delete_stream("SIGNALS")

    with pytest.raises(LogLost, match="petit doctor --new-epoch"):
        await log.bootstrap()
    with pytest.raises(LogLost):
        await log.info()
    with pytest.raises(Unreached):
        await log.append(SUBJECT, b"hello", msg_id="ann:1", deadline=time.monotonic() + 0.2)
    assert await JetStream(nc).stream("SIGNALS") is None


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"[]", b"7", b"null", b'{"epoch": 1}', b'{"epoch": null, "offset": Infinity}', b"[" * 99_999]
)
async def test_a_memory_that_cannot_be_read_stops_nobody_and_is_mended(log: Log, nc: Connection, text: bytes) -> None:
    await log.append(SUBJECT, b"hello", msg_id="ann:1")
    memory = Bucket(nc, memory_bucket())
    await memory.put("log", text)

    with structlog.testing.capture_logs() as said:
        assert (await log.find(within=0.0)).last == 1
        assert (await log.find(within=0.0, remember=True)).last == 1

    assert {line["event"] for line in said if line["log_level"] == "error"} == {"log.memory_unreadable"}
    assert await log.known() == (1, 1)
    held = await memory.get("log")
    assert held is not None
    assert json.loads(held.value) == {"epoch": 1, "offset": 1}


async def test_a_memory_that_cannot_be_read_still_says_that_there_was_a_log(log: Log, nc: Connection) -> None:
    await Bucket(nc, memory_bucket()).put("log", b"?")
    await JetStream(nc).delete_stream("SIGNALS")

    with pytest.raises(LogLost):
        await log.find(within=0.0)
    with pytest.raises(LogLost):
        await log.bootstrap()


async def test_a_read_model_that_knows_more_stops_a_new_log(nc: Connection) -> None:
    with pytest.raises(LogLost, match="offset 40"):
        await Log(nc).bootstrap(known_epoch=1, known_offset=40)

    assert await JetStream(nc).stream("SIGNALS") is None


async def test_a_log_behind_the_read_model_stops_the_start(log: Log) -> None:
    await log.append(SUBJECT, b"hello", msg_id="ann:1")

    with pytest.raises(LogBehind, match="offset 2"):
        await log.bootstrap(known_epoch=1, known_offset=2)
    with pytest.raises(LogBehind, match="epoch 2"):
        await log.bootstrap(known_epoch=2, known_offset=0)


async def test_a_new_epoch_starts_far_above_everything_handed_out(log: Log) -> None:
    await log.append(SUBJECT, b"hello", msg_id="ann:1")

    made = await log.new_epoch(at_least=5_000)
    stored = await log.append(SUBJECT, b"hello", msg_id="ann:1")

    assert (made.epoch, made.first, made.last) == (2, 5_000 + APART, 5_000 + APART - 1)
    assert stored.offset == 5_000 + APART
    assert not stored.duplicate
    assert (await log.bootstrap(known_epoch=1, known_offset=5_000)).epoch == 2


async def test_a_new_epoch_is_above_what_anybody_has_seen(log: Log) -> None:
    made = await log.new_epoch(known_epoch=7)

    assert made.epoch == 8


async def test_a_new_epoch_mends_a_deleted_stream(log: Log, nc: Connection) -> None:
    await log.append(SUBJECT, b"hello", msg_id="ann:1")
    await log.bootstrap()
    await JetStream(nc).delete_stream("SIGNALS")

    made = await log.new_epoch()

    assert made.epoch == 2
    assert made.first == 1 + APART
    assert (await log.bootstrap()).epoch == 2


async def test_a_full_log_refuses_and_stores_nothing(nc: Connection) -> None:
    log = Log(nc, config=LogConfig(max_bytes=4_000))
    await log.bootstrap()
    started = time.monotonic()

    with pytest.raises(LogFull, match="log full") as caught:
        await fill(log, b"x" * 1_000, entries=10)

    info = await log.info()
    assert time.monotonic() - started < 2
    assert caught.value.status == 503
    assert info.first == 1
    assert info.last == info.messages < 10
    await Log(nc, config=LogConfig(max_bytes=100_000)).bootstrap()
    assert (await log.append(SUBJECT, b"x", msg_id="ann:9")).offset == info.last + 1


async def test_a_full_disk_refuses_and_stores_nothing(tmp_path: Path) -> None:
    config = NatsConfig(store=tmp_path, max_file_store=200_000_000)  # a bucket reserves 16 MiB of it
    async with NatsServer(config) as server, await connect(server.access, name="test") as nc:
        log = Log(nc)
        await log.bootstrap()

        with pytest.raises(LogFull):
            await fill(log, os.urandom(4_000_000), entries=60)

        info = await log.info()
        assert info.last == info.messages
        assert await log.read(info.last) is not None


async def test_an_append_survives_a_restart_of_the_server(log: Log, server: NatsServer) -> None:
    await log.append(SUBJECT, b"before", msg_id="ann:0")
    server.kill()
    pending = [asyncio.create_task(log.append(SUBJECT, b"x", msg_id=f"ann:{number}")) for number in range(1, 301)]
    await asyncio.sleep(0)
    await server.start()

    stored = await asyncio.gather(*pending)

    assert sorted(one.offset for one in stored) == list(range(2, 302))


async def test_an_append_to_a_dead_server_is_an_outage_at_its_deadline(log: Log, server: NatsServer) -> None:
    server.kill()
    started = time.monotonic()

    with pytest.raises(Outage):
        await log.append(SUBJECT, b"x", msg_id="ann:1", deadline=started + 0.3)

    assert 0.2 < time.monotonic() - started < 1.0
    await server.start()
    assert (await log.append(SUBJECT, b"x", msg_id="ann:1")).offset == 1


async def test_an_append_to_a_stopped_server_is_unanswered(log: Log, server: NatsServer) -> None:
    with frozen(server), pytest.raises(Unanswered):
        await log.append(SUBJECT, b"x", msg_id="ann:1", deadline=time.monotonic() + 0.3)

    stored = await log.append(SUBJECT, b"x", msg_id="ann:1")

    assert stored.offset == 1
    assert (await log.info()).messages == 1


@pytest.mark.parametrize("size", [1_000_000, 7_000_000])
async def test_what_was_given_up_is_not_written_later(server: NatsServer, log: Log, size: int) -> None:
    large = os.urandom(size)  # of the one, the kernel takes all from us while nobody reads; of the other, a part
    async with (
        proxied(server.port) as proxy,
        await connect(Access(url=proxy.url, token=server.token), name="cut off") as nc,
    ):
        far = Log(nc)
        await far.append(SUBJECT, b"x", msg_id="ann:1")
        proxy.stall()
        with pytest.raises(Unanswered):
            await far.append(SUBJECT, large, msg_id="ann:2", deadline=time.monotonic() + 0.3)
        proxy.flow()

        stored = await far.append(SUBJECT, b"x", msg_id="ann:3")

    assert stored.offset == 2
    assert (await log.info()).messages == 2


async def test_what_was_not_sent_when_the_connection_broke_is_never_sent(nc: Connection, log: Log) -> None:
    back = asyncio.Event()
    nc.on_reconnected(back.set)

    nc.write(SUBJECT, b"late")
    await nc.force_reconnect()  # in the same turn of the loop

    await asyncio.wait_for(back.wait(), 5)
    await nc.flush()
    assert (await log.info()).messages == 0


async def test_nothing_is_written_after_its_deadline(log: Log) -> None:
    with pytest.raises(Outage):
        await log.append(SUBJECT, b"x", msg_id="ann:1", deadline=time.monotonic())

    assert (await log.info()).messages == 0


async def test_too_many_waiting_appends_are_refused_at_once(nc: Connection) -> None:
    log = Log(nc, in_flight=4, waiting=8)
    await log.bootstrap()

    results = await asyncio.gather(
        *(log.append(SUBJECT, b"x", msg_id=f"ann:{number}") for number in range(20)), return_exceptions=True
    )

    refused = [one for one in results if isinstance(one, Busy)]
    assert len(refused) == 20 - 4 - 8
    assert (await log.info()).messages == 12


async def test_the_clock_of_the_log_is_ours_on_one_machine(log: Log) -> None:
    assert abs(await log.clock_skew()) < 0.5


async def test_a_log_whose_files_went_back_in_time_stops_the_start(tmp_path: Path) -> None:
    server = NatsServer(NatsConfig(store=tmp_path / "nats"))
    async with server, await connect(server.access, name="test") as nc:
        log = Log(nc)
        await log.bootstrap()
        await log.append(SUBJECT, b"x", msg_id="ann:1")
        await server.stop()
        shutil.copytree(tmp_path / "nats" / "jetstream", tmp_path / "copy")
        await server.start()
        last = await log.append(SUBJECT, b"x", msg_id="ann:2")
        await server.stop()
        shutil.rmtree(tmp_path / "nats" / "jetstream")
        shutil.move(tmp_path / "copy", tmp_path / "nats" / "jetstream")
        await server.start()

        with pytest.raises(LogBehind):
            await log.bootstrap(known_epoch=1, known_offset=last.offset)
