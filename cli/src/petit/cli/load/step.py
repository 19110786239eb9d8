"""One step: send at a rate, wait until everything arrived, and put figures and verdict together."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from petit.cli.load.crew import Crew, Heard
from petit.cli.load.lanes import Desk, Lane, rest_lanes, ws_lanes
from petit.cli.load.latency import quantiles
from petit.cli.load.ledger import Ledger
from petit.cli.load.meter import cpu_seconds
from petit.cli.load.pace import Pace
from petit.cli.load.plan import MAX, Plan, SendBy
from petit.cli.load.progress import Progress
from petit.cli.load.result import Step
from petit.cli.load.scene import Scene
from petit.cli.load.stamp import Stamp
from petit.cli.load.verdict import judge

_NS: Final = 1_000_000_000
SILENCE: Final = Heard(
    deliveries=0, latency=Counter(), orders=[], offsets={}, violations=[], last=0, cuts=0, octets=0, cpu_s=[]
)
"""What is heard where nobody listens."""
_LATE_S: Final = 0.5
"""How long after its end a step that is sustained may still be busy."""
_KEPT: Final = 0.99


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the steps on one scene share."""

    scene: Scene
    plan: Plan
    crew: Crew | None
    """Who listens; None if nobody does."""
    desk: Desk
    pace: Pace
    progress: Progress
    sent: dict[int, int]
    """Messages of each room that its listeners should have by now."""
    worker_cpu_s: list[float]
    """CPU-seconds of each receiver process at the last tally."""


@asynccontextmanager
async def bench(
    scene: Scene, *, plan: Plan, crew: Crew | None, stamp: Stamp, progress: Progress
) -> AsyncIterator[Bench]:
    """Open the listeners' streams and the senders' lanes of a scene; lanes are closed on the way out.

    Raises:
        StreamsRefused: the server does not open all streams.
        OSError: it does not accept the senders.
    """
    heard = SILENCE
    if crew is not None:
        async with progress.every_second(lambda: f"{scene.name}: {crew.live:,} of {len(scene.seats):,} streams open"):
            await crew.open(scene.address, seats=list(scene.seats), transport=plan.transport, stamp=stamp)
        heard = await crew.collect()
    desk = Desk(stamp=stamp, ledger=Ledger.of(len(scene.chats)), freed=lambda _: None)
    opening = rest_lanes if plan.send_by is SendBy.REST else ws_lanes
    lanes: Sequence[Lane] = await opening(scene.address, authors=list(scene.authors), desk=desk, inflight=plan.inflight)
    try:
        yield Bench(
            scene=scene,
            plan=plan,
            crew=crew,
            desk=desk,
            pace=Pace(desk, lanes=lanes),
            progress=progress,
            sent=dict.fromkeys(range(len(scene.chats)), 0),
            worker_cpu_s=heard.cpu_s,
        )
    finally:
        for lane in lanes:
            lane.close()


async def run_step(on: Bench, *, what: str, rate: float, seconds: float, count: int = 10**9) -> Step:
    """Send for some seconds at a rate (`MAX`: as fast as the window allows), and report.

    Raises:
        NoProcess: a server process ended meanwhile.
    """
    scene, ledger = on.scene, Ledger.of(len(on.scene.chats))
    server_cpu, own_cpu, begun = cpu_seconds(scene.processes), time.process_time(), time.monotonic()
    async with on.progress.every_second(lambda: _line(on, ledger=ledger, what=what, rate=rate)):
        if rate == MAX:
            await on.pace.closed(ledger, seconds=seconds, count=count, grace=on.plan.grace)
        else:
            await on.pace.open(ledger, rate=rate, seconds=seconds, grace=on.plan.grace)
        heard = await hear(on, ledger=ledger)
    used = {name: after - server_cpu[name] for name, after in cpu_seconds(scene.processes).items()}
    generator = {"sender": time.process_time() - own_cpu} | _workers(on, heard=heard)
    return Step(
        server=scene.name,
        what=what,
        rate=rate,
        seconds=max(0, ledger.last - ledger.first) / _NS,
        sent=ledger.sent,
        accepted=ledger.accepted,
        refused=ledger.refused,
        problem=ledger.problem.decode(errors="replace")[:300],
        unknown=ledger.unknown,
        deliveries=heard.deliveries + ledger.signals,
        deliver_seconds=max(0, heard.last - ledger.first) / _NS,
        accept=quantiles(ledger.latency),
        deliver=quantiles(heard.latency),
        histogram=dict(sorted((heard.latency or ledger.latency).items())),
        cpu_s=used,
        generator_cpu_s=generator,
        wall_s=time.monotonic() - begun,
        cuts=heard.cuts,
        sustained=_sustained(ledger, heard=heard, rate=rate, seconds=seconds),
        violations=judge(ledger, heard=heard),
    )


def _sustained(ledger: Ledger, *, heard: Heard, rate: float, seconds: float) -> bool:
    last = max(ledger.last, heard.last)
    in_time = last <= ledger.first + round((seconds + _LATE_S) * _NS)
    return rate == MAX or (in_time and ledger.accepted >= _KEPT * ledger.sent)


def _workers(on: Bench, *, heard: Heard) -> dict[str, float]:
    before, on.worker_cpu_s = on.worker_cpu_s, heard.cpu_s
    return {
        f"receiver-{place}": after - since for place, (since, after) in enumerate(zip(before, heard.cpu_s, strict=True))
    }


async def hear(on: Bench, *, ledger: Ledger) -> Heard:
    """Wait until the listeners have everything that was acknowledged, and gather what they heard."""
    if on.crew is None:
        return SILENCE
    await settle(on, ledger=ledger, crew=on.crew)
    return await on.crew.collect()


async def settle(on: Bench, *, ledger: Ledger, crew: Crew) -> None:
    """Wait until the listeners have everything that was acknowledged, or the plan's grace is over."""
    for room, acknowledged in enumerate(ledger.rooms):
        on.sent[room] += len(acknowledged)
    await crew.settle(on.sent, seconds=on.plan.grace)


def _line(on: Bench, *, ledger: Ledger, what: str, rate: float) -> str:
    asked = f"{rate:g}/s" if rate else "as fast as it goes"
    listening = f", {on.crew.deliveries:,} delivered" if on.crew is not None else ""
    return f"{on.scene.name} {what} {asked}: {ledger.sent:,} sent, {ledger.accepted:,} accepted{listening}"
