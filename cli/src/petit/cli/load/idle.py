"""Idle connections: what each costs in memory, and all together in CPU."""

import asyncio
import time
from typing import Final

from petit.cli.load.crew import Crew
from petit.cli.load.meter import Process, cpu_seconds, pss_bytes
from petit.cli.load.plan import Plan
from petit.cli.load.progress import Progress
from petit.cli.load.result import Idle
from petit.cli.load.scene import Scene
from petit.cli.load.stamp import Stamp

_STILL: Final = 0.002
"""Memory counts as settled when it moves by less than this share …"""
_STILL_LOOKS: Final = 5
"""… from one look to the next, so many times …"""
_LOOKS: Final = 60
"""… or after so many looks."""


async def idle(scene: Scene, *, plan: Plan, crew: Crew, stamp: Stamp, progress: Progress) -> Idle:
    """Open every stream of a scene and see what that costs.

    Raises:
        NoProcess: a server process ended meanwhile.
        StreamsRefused: the server does not open all streams.
    """
    before = await settled(scene.processes, every=plan.warm_up, progress=progress)
    cpu, begun = sum(cpu_seconds(scene.processes).values()), time.monotonic()
    async with progress.every_second(lambda: f"{scene.name}: {crew.live:,} of {len(scene.seats):,} streams open"):
        await crew.open(scene.address, seats=list(scene.seats), transport=plan.transport, stamp=stamp)
    connected, connect_cpu = time.monotonic() - begun, sum(cpu_seconds(scene.processes).values()) - cpu
    after = await settled(scene.processes, every=plan.warm_up, progress=progress)
    cpu, begun = sum(cpu_seconds(scene.processes).values()), time.monotonic()
    await asyncio.sleep(plan.seconds)
    used = (sum(cpu_seconds(scene.processes).values()) - cpu) / (time.monotonic() - begun)
    heard = await crew.collect()
    count = len(scene.seats)
    cut = [f"{heard.cuts} idle streams ended"] if heard.cuts else []
    return Idle(
        server=scene.name,
        connections=count,
        connect_seconds=connected,
        connect_cpu_s=connect_cpu,
        pss_before=before,
        pss_with=after,
        bytes_per_connection=(sum(after.values()) - sum(before.values())) / max(1, count),
        cpu_percent=100 * used,
        violations=[*cut, *heard.violations],
    )


async def settled(processes: tuple[Process, ...], *, every: float, progress: Progress) -> dict[str, int]:
    """Return the memory of each process in bytes once it has stopped moving, looking at it every so many seconds.

    Raises:
        NoProcess: one has ended.
    """
    seen = [pss_bytes(processes)]
    for _ in range(_LOOKS):
        await asyncio.sleep(every)
        seen.append(pss_bytes(processes))
        totals = [sum(found.values()) for found in seen[-_STILL_LOOKS - 1 :]]
        progress.note(f"memory of the server {totals[-1] / 2**20:,.1f} MiB")
        if len(totals) > _STILL_LOOKS and max(totals) - min(totals) <= _STILL * totals[-1]:
            break
    return seen[-1]
