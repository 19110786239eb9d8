"""Whole runs of `petit load` against the fake: what it counts, and what it refuses to score."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.tests.load_fake import Fake, Fault, serving
from petit.cli.load.command import load
from petit.cli.load.conduct import conduct
from petit.cli.load.plan import Address, Mode, Plan, SendBy, Transport
from petit.cli.load.progress import Progress
from petit.cli.load.report import text
from petit.cli.load.result import Result

PLAN = Plan(
    mode=Mode.FANOUT,
    address=Address(host="127.0.0.1", port=0),
    issuer=Address(host="127.0.0.1", port=0),
    secret="",
    rooms=2,
    members=3,
    rates=(50.0,),
    size=60,
    seconds=0.4,
    transport=Transport.SSE,
    send_by=SendBy.REST,
    senders=2,
    inflight=4,
    workers=1,
    floor=False,
    data=None,
    pids=f"fake={os.getpid()}",
    sizes=(20, 60, 120),
    outage=0.2,
    warm_up=0.2,
    grace=1.0,
)


async def run(plan: Plan, *, fake: Fake) -> Result:
    async with serving(fake):
        address = Address(host="127.0.0.1", port=fake.port)
        return await conduct(
            replace(plan, address=address, issuer=address), command="petit load", progress=Progress(out=StringIO())
        )


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize("send_by", SendBy)
async def test_every_acknowledged_message_is_delivered_to_every_member(transport: Transport, send_by: SendBy) -> None:
    result = await run(replace(PLAN, transport=transport, send_by=send_by), fake=Fake())

    step = result.steps[-1]
    on_senders_sockets = 2 if send_by is SendBy.WS else 0
    assert result.violations == []
    assert step.accepted == step.sent == 20
    assert step.deliveries == step.accepted * (PLAN.members + on_senders_sockets)
    assert step.deliver.count == step.accepted * PLAN.members


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.LOSE, "lost 1"),
        (Fault.DOUBLE, "doubled 1"),
        (Fault.SWAP, "reordered"),
        (Fault.LOSE_FOR_ALL, "1 acknowledged messages reached nobody"),
        (Fault.WRONG_OFFSET, "was acknowledged at"),
        (Fault.HOLE_IN_SEQ, "seq"),
    ],
)
async def test_a_run_with_a_fault_has_no_score_and_says_which(transport: Transport, fault: Fault, words: str) -> None:
    result = await run(replace(PLAN, transport=transport), fake=Fake(fault=fault))

    assert any(words in what for what in result.violations), result.violations
    assert "NO SCORE" in text(result)


@pytest.mark.parametrize("transport", Transport)
async def test_a_stream_that_is_cut_resumes_from_its_cursor(transport: Transport) -> None:
    result = await run(replace(PLAN, transport=transport, seconds=1.0), fake=Fake(fault=Fault.CUT))

    assert result.violations == []
    assert result.steps[0].cuts + result.steps[-1].cuts >= PLAN.members
    assert result.steps[-1].deliveries == result.steps[-1].accepted * PLAN.members


async def test_a_slow_server_cannot_hide_how_late_messages_are() -> None:
    slow = replace(PLAN, seconds=1.0, inflight=1)

    result = await run(slow, fake=Fake(stall_s=0.03))

    step = result.steps[-1]
    assert step.accept.worst > 300, "the last of 50 sends was due after 1 s and came after 1.5 s"
    assert not step.sustained


async def test_sends_are_looked_for_in_history() -> None:
    sends = replace(PLAN, mode=Mode.SENDS, rates=(0.0,))

    result = await run(sends, fake=Fake())
    forgetful = await run(sends, fake=Fake(fault=Fault.FORGET))

    assert result.violations == []
    assert result.folding is not None
    assert result.folding.checked == result.steps[0].accepted > 0
    assert any("history lacks 1 acknowledged" in what for what in forgetful.violations), forgetful.violations


async def test_everybody_catches_up_after_a_storm() -> None:
    result = await run(replace(PLAN, mode=Mode.STORM), fake=Fake())

    assert result.violations == []
    assert result.storm is not None
    assert result.storm.never == 0
    assert result.storm.caught_up.count == result.storm.clients == 6


async def test_idle_connections_are_weighed() -> None:
    result = await run(replace(PLAN, mode=Mode.IDLE, floor=True, warm_up=0.02), fake=Fake())

    ours, floor = result.idle
    assert result.violations == []
    assert ours.connections == floor.connections == 6
    assert floor.server == "floor"


async def test_growth_measures_at_each_size() -> None:
    result = await run(replace(PLAN, mode=Mode.GROWTH), fake=Fake())

    assert result.violations == []
    assert result.growth is not None
    assert [age.stored >= size for age, size in zip(result.growth.ages, PLAN.sizes, strict=True)] == [True] * 3
    assert result.growth.exponents.keys() >= {"send_us", "page_us", "deliver_us"}


async def test_the_floor_is_measured_at_the_same_rate() -> None:
    result = await run(replace(PLAN, floor=True, workers=2), fake=Fake())

    ours, floor = result.steps[1], result.steps[-1]
    assert result.violations == []
    assert (floor.server, floor.rate, floor.deliveries) == ("floor", ours.rate, ours.deliveries)
    assert "ratio" in text(result)


@pytest.fixture
def beside() -> Iterator[Fake]:
    """A fake on a thread of its own, for commands that bring their own loop.

    Yields:
        The fake, listening.
    """
    fake, ready, loop = Fake(fault=Fault.LOSE), threading.Event(), asyncio.new_event_loop()

    async def main() -> None:
        async with serving(fake):
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    ready.wait()
    yield fake
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_the_command_says_by_its_exit_code_how_a_run_ended(beside: Fake, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(load)
    url = f"http://127.0.0.1:{beside.port}"
    small = ["--rooms", "1", "--members", "3", "--rate", "50", "--size", "60"]
    options = [
        *small,
        "--data",
        str(tmp_path / "none"),
        "--seconds",
        "0.3",
        "--warm-up",
        "0.2",
        "--grace",
        "0.5",
        "--no-floor",
    ]

    faulty = CliRunner().invoke(app, ["--url", url, *options, "--out", str(tmp_path / "result.json")])
    beside.fault = Fault.NONE
    clean = CliRunner().invoke(app, ["--url", url, *options])
    beside.fault = Fault.REFUSE
    refused = CliRunner().invoke(app, ["--url", url, *options])
    beside.fault = Fault.NONE
    as_json = CliRunner().invoke(app, ["--url", url, *options, "--json"])

    assert faulty.exit_code == 1, faulty.output
    assert '"violations": [\n' in (tmp_path / "result.json").read_text()
    assert clean.exit_code == 0, clean.output
    assert "p99.9" in clean.output
    assert refused.exit_code == 3
    assert "3 of 3 streams did not open, first load-0 in room 0: the stream was refused with 404" in refused.output
    assert json.loads(as_json.stdout)["violations"] == []


def test_the_command_exits_with_3_where_nobody_listens(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(load)

    result = CliRunner().invoke(app, ["--url", "http://127.0.0.1:9", "--data", str(tmp_path / "none")])

    assert result.exit_code == 3
    assert "petit load: " in result.output
