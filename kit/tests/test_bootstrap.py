"""What services rely on is made once, by one who may; whoever may not waits, and says what to run."""

import asyncio
import time

import pytest

from kit.tests.reading import SUBJECT
from petit.kit.bootstrap import bootstrap
from petit.kit.connection import Connection
from petit.kit.errors import LogBehind, LogLost, Unmade
from petit.kit.jetstream import JetStream
from petit.kit.log import Log
from petit.kit.stream import LogConfig
from petit.kit.tickets import Tickets

STREAMS = ["SIGNALS", "KV_PETIT", "KV_TICKETS", "KV_LEASES"]


async def test_two_at_once_make_everything_once_and_again_is_nothing_more(nc: Connection) -> None:
    told: list[str] = []

    async def make() -> None:
        await bootstrap(nc, config=LogConfig(max_bytes=10**9), within=10, say=told.append)

    await asyncio.gather(make(), make())
    await Log(nc).append(SUBJECT, b"1", msg_id="1")
    await make()

    states = [await JetStream(nc).stream(name) for name in STREAMS]
    assert [state and state.config["storage"] for state in states] == [
        "file"
    ] * 4  # one server forgets what is in memory
    assert states[0] is not None
    assert (states[0].messages, states[0].config["max_bytes"]) == (1, 10**9)
    assert told == []


async def test_who_may_not_make_it_waits_until_it_is_made(nc: Connection) -> None:
    finding = asyncio.gather(Log(nc).find(within=10), Tickets(nc).find(within=10))
    await asyncio.sleep(0.3)
    assert not finding.done()

    await bootstrap(nc, config=LogConfig(), within=10, say=print)

    info, _ = await finding
    assert info.epoch == 1


async def test_what_was_never_made_says_what_to_run(nc: Connection) -> None:
    for find in (Log(nc).find, Tickets(nc).find):
        with pytest.raises(Unmade, match="petit bootstrap"):
            await find(within=0.1)


async def test_a_log_that_was_there_is_lost_and_never_made_again(nc: Connection, log: Log) -> None:
    await log.append(SUBJECT, b"1", msg_id="1")
    await log.find(remember=True, within=1)
    await JetStream(nc).delete_stream("SIGNALS")

    with pytest.raises(LogLost, match="offset 1 was handed out"):
        await log.find(within=0.1)
    with pytest.raises(LogLost):
        await bootstrap(nc, config=LogConfig(), within=0.1, say=print)


async def test_only_who_is_told_to_remembers_how_far_the_log_had_come(nc: Connection, log: Log) -> None:
    await log.append(SUBJECT, b"1", msg_id="1")
    written = []

    for remember in (False, True, True):
        await log.find(remember=remember, within=1)
        memory = await JetStream(nc).stream("KV_PETIT")
        assert memory is not None
        written.append(memory.last)

    assert written == [1, 2, 2]


async def test_a_log_behind_what_is_known_is_believed_after_a_while(log: Log) -> None:
    begun = time.monotonic()

    with pytest.raises(LogBehind, match="offset 7"):
        await log.find(known_epoch=1, known_offset=7, within=0.5)

    assert time.monotonic() - begun >= 0.5
