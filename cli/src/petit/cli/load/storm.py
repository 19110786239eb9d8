"""A storm: every client cut off at once while messages go on, then all back at once, each from its cursor."""

import asyncio
import time
from collections import Counter

from petit.cli.load.latency import UNIT_NS, quantiles
from petit.cli.load.ledger import Ledger
from petit.cli.load.meter import cpu_seconds, pss_bytes
from petit.cli.load.result import Storm
from petit.cli.load.step import Bench, run_step, settle
from petit.cli.load.verdict import judge


async def storm(on: Bench) -> Storm:
    """Cut everybody off, bring them back, and time how long until each has all that was due before the return.

    Raises:
        NoProcess: a server process ended meanwhile.
        RuntimeError: nobody listens on this bench.
    """
    if on.crew is None:
        raise RuntimeError("a storm needs listeners")
    scene, plan, crew = on.scene, on.plan, on.crew
    rate = plan.rates[0] or 1.0
    calm = await run_step(on, what="calm", rate=rate, seconds=plan.warm_up)
    ledger = Ledger.of(len(scene.chats))
    on.progress.say(f"cutting {len(scene.seats):,} clients off, {rate:g} messages/s go on")
    async with asyncio.TaskGroup() as tasks:
        seconds = plan.outage + plan.seconds
        tasks.create_task(on.pace.open(ledger, rate=rate, seconds=seconds, grace=plan.grace))
        used = cpu_seconds(scene.processes)
        await crew.cut()
        await asyncio.sleep(plan.outage)
        back = time.monotonic_ns()
        async with on.progress.every_second(lambda: f"{crew.live:,} of {len(scene.seats):,} clients back"):
            refused = await crew.resume()
        on.progress.say(f"all back after {(time.monotonic_ns() - back) / 1e9:.2f} s")
    await settle(on, ledger=ledger, crew=crew)
    caught = await crew.caught(back)
    heard = await crew.collect()
    return Storm(
        clients=len(scene.seats),
        rate=rate,
        missed=round(rate * plan.outage * plan.members),
        outage_s=plan.outage,
        caught_up=quantiles(Counter(max(0, moment - back) // UNIT_NS for moment in caught.moments)),
        cpu_s={name: after - used[name] for name, after in cpu_seconds(scene.processes).items()},
        pss_with=pss_bytes(scene.processes),
        never=caught.never,
        violations=[*calm.violations, *refused, *judge(ledger, heard=heard)],
    )
