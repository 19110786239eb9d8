"""A whole run: set the scene, run the plan's mode, give the same to the floor, gather the result."""

import asyncio
import os
from dataclasses import dataclass, replace
from typing import assert_never

from petit.cli.load.api import Api, api
from petit.cli.load.crew import Crew, crew
from petit.cli.load.fanout import best, fanout
from petit.cli.load.floor import floor
from petit.cli.load.fold import folding
from petit.cli.load.growth import Site, growth
from petit.cli.load.idle import idle
from petit.cli.load.meter import Process, parse_pids, read_state
from petit.cli.load.plan import MAX, Mode, Plan
from petit.cli.load.progress import Progress
from petit.cli.load.result import Result, Step
from petit.cli.load.scene import Scene
from petit.cli.load.stage import Company, gather, scene
from petit.cli.load.stamp import Stamp
from petit.cli.load.step import bench, run_step
from petit.cli.load.storm import storm


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What every mode works with."""

    plan: Plan
    way: Api
    crew: Crew
    companies: list[Company]
    ours: Scene
    stamp: Stamp
    progress: Progress
    result: Result
    """Without findings yet."""


def server_processes(plan: Plan) -> tuple[Process, ...]:
    """Find the server's processes, by the plan's pids or else its data folder; empty if it names neither.

    Raises:
        NoProcess: they are not there.
    """
    if plan.pids:
        return parse_pids(plan.pids)
    return read_state(plan.data) if plan.data is not None else ()


async def conduct(plan: Plan, *, command: str, progress: Progress) -> Result:
    """Run a plan.

    Args:
        plan: what to do.
        command: how the run was asked for, to stand in the result.
        progress: told how it goes.

    Raises:
        NoProcess: the server's processes are not there, or one ended meanwhile.
        NoPeople: people cannot be made.
        ApiRefused: the server refuses what setting the scene needs.
        StreamsRefused: the server does not open all streams.
        OSError: the server does not listen.
    """
    run = os.urandom(4).hex()
    pids = server_processes(plan)
    async with api(plan.address) as way, api(plan.issuer) as issuer, crew(plan.workers) as hands:
        companies = await gather(way, issuer=issuer, plan=plan, run=run, note=progress.note)
        await asyncio.sleep(plan.warm_up)
        on = _Run(
            plan=plan,
            way=way,
            crew=hands,
            companies=companies,
            ours=scene(companies, plan=plan, processes=pids),
            stamp=Stamp.of(run, size=plan.size),
            progress=progress,
            result=Result(command=command, run=run),
        )
        return await _run(on)


async def _run(on: _Run) -> Result:
    match on.plan.mode:
        case Mode.FANOUT:
            return await _fanout(on)
        case Mode.SENDS:
            return await _sends(on)
        case Mode.IDLE:
            return await _idle(on)
        case Mode.STORM:
            return await _storm(on)
        case Mode.GROWTH:
            return await _growth(on)
        case _:
            assert_never(on.plan.mode)


async def _fanout(on: _Run) -> Result:
    rates = on.plan.rates
    steps = await _fanned(on, place=on.ours, rates=rates)
    if on.plan.floor:
        top = best(steps)
        found = (top.rate,) if MAX in rates and top is not None else ()
        same = tuple(rate for rate in rates if rate != MAX) + found
        if same:
            async with floor(on.plan) as bare:
                steps += await _fanned(on, place=bare, rates=same)
    return replace(on.result, steps=steps, violations=_violations(steps))


async def _fanned(on: _Run, *, place: Scene, rates: tuple[float, ...]) -> list[Step]:
    async with bench(place, plan=on.plan, crew=on.crew, stamp=on.stamp, progress=on.progress) as desk:
        steps = await fanout(desk, rates=rates)
        await on.crew.cut()
        return steps


async def _sends(on: _Run) -> Result:
    steps: list[Step] = []
    acknowledged: list[dict[int, int]] = [{} for _ in on.ours.chats]
    async with bench(on.ours, plan=on.plan, crew=None, stamp=on.stamp, progress=on.progress) as desk:
        for rate in on.plan.rates:
            steps.append(await run_step(desk, what="sends", rate=rate, seconds=on.plan.seconds))
            for room, sent in zip(acknowledged, desk.desk.ledger.rooms, strict=True):
                room.update(sent)
        folded = await folding(
            on.way,
            companies=on.companies,
            acknowledged=acknowledged,
            stamp=on.stamp,
            last=desk.desk.ledger.last,
            note=on.progress.note,
        )
    if on.plan.floor:
        async with (
            floor(on.plan) as bare,
            bench(bare, plan=on.plan, crew=None, stamp=on.stamp, progress=on.progress) as desk,
        ):
            what, seconds = "sends", on.plan.seconds
            steps += [await run_step(desk, what=what, rate=rate, seconds=seconds) for rate in on.plan.rates]
    return replace(on.result, steps=steps, folding=folded, violations=_violations(steps) + folded.violations)


async def _idle(on: _Run) -> Result:
    found = [await idle(on.ours, plan=on.plan, crew=on.crew, stamp=on.stamp, progress=on.progress)]
    await on.crew.cut()
    if on.plan.floor:
        async with floor(on.plan) as bare:
            found.append(await idle(bare, plan=on.plan, crew=on.crew, stamp=on.stamp, progress=on.progress))
            await on.crew.cut()
    return replace(on.result, idle=found, violations=[what for one in found for what in one.violations])


async def _storm(on: _Run) -> Result:
    async with bench(on.ours, plan=on.plan, crew=on.crew, stamp=on.stamp, progress=on.progress) as desk:
        found = await storm(desk)
        await on.crew.cut()
    return replace(on.result, storm=found, violations=found.violations)


async def _growth(on: _Run) -> Result:
    site = Site(
        api=on.way,
        plan=on.plan,
        companies=on.companies,
        processes=on.ours.processes,
        stamp=on.stamp,
        crew=on.crew,
        progress=on.progress,
        steps=[],
    )
    found = await growth(site)
    return replace(on.result, growth=found, steps=site.steps, violations=_violations(site.steps))


def _violations(steps: list[Step]) -> list[str]:
    return [f"{step.server}, {step.what} at {step.rate:g}/s: {what}" for step in steps for what in step.violations]
