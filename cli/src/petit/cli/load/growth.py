"""Growth: what a send, a page and a delivery cost when ever more messages are stored."""

import asyncio
import math
import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from petit.cli.load.api import Api
from petit.cli.load.crew import Crew
from petit.cli.load.latency import UNIT_NS, Latencies, quantiles
from petit.cli.load.meter import Process, cpu_seconds, pss_bytes
from petit.cli.load.people import log_in
from petit.cli.load.plan import MAX, Plan
from petit.cli.load.progress import Progress
from petit.cli.load.result import Age, Growth, Step
from petit.cli.load.stage import Company, scene
from petit.cli.load.stamp import Stamp
from petit.cli.load.step import bench, run_step

_FILL_S: Final = 60.0
"""How long senders go on with one set of tokens."""
_TOKEN_S: Final = 240.0
"""People whose token lives for less are logged in again before a phase."""
_PAGES: Final = 2_000
_PAGE: Final = 50
_READERS: Final = 4
_MICRO: Final = 1_000_000


@dataclass(slots=True, kw_only=True)
class Site:
    """What the phases of a growth run share."""

    api: Api
    plan: Plan
    companies: list[Company]
    processes: tuple[Process, ...]
    stamp: Stamp
    crew: Crew
    progress: Progress
    steps: list[Step]
    stored: int = 0


async def growth(on: Site) -> Growth:
    """Fill, measure, fill further: one `Age` at each of the plan's sizes.

    Raises:
        NoProcess: a server process ended meanwhile.
        ApiRefused: a page is refused.
        RuntimeError: the server stopped accepting while it was being filled.
    """
    ages: list[Age] = []
    for size in on.plan.sizes:
        await _fill(on, size=size)
        ages.append(await _measure(on))
        on.progress.say(f"at {ages[-1].stored:,}: {ages[-1]}")
    costs = ("send_us", "send_p50_ms", "page_us", "page_p50_ms", "deliver_us", "deliver_p50_ms")
    exponents = {name: exponent([(float(age.stored), float(getattr(age, name))) for age in ages]) for name in costs}
    return Growth(ages=ages, exponents=exponents)


def exponent(points: list[tuple[float, float]]) -> float:
    """Return the slope of log cost over log size by least squares; 0 for fewer than two sizes or a cost of 0."""
    if len({size for size, _ in points}) < len(("two", "sizes")) or any(cost <= 0 for _, cost in points):
        return 0.0
    logs = [(math.log(size), math.log(cost)) for size, cost in points]
    mean_x, mean_y = (sum(axis) / len(logs) for axis in zip(*logs, strict=True))
    spread = math.fsum((x - mean_x) ** 2 for x, _ in logs)
    return math.fsum((x - mean_x) * (y - mean_y) for x, y in logs) / spread


async def _fill(on: Site, *, size: int) -> None:
    while on.stored < size:
        await _fresh(on)
        place = scene(on.companies, plan=on.plan, processes=on.processes)
        async with bench(place, plan=on.plan, crew=None, stamp=on.stamp, progress=on.progress) as desk:
            what = f"fill to {size:,}"
            step = await run_step(desk, what=what, rate=MAX, seconds=_FILL_S, count=size - on.stored)
        if not step.accepted:
            raise RuntimeError(f"the server accepts nothing at {on.stored:,} messages: {step.refused} {step.problem}")
        on.stored += step.accepted
    await _folded(on)


async def _measure(on: Site) -> Age:
    rate, seconds = on.plan.rates[0] or 400.0, on.plan.seconds
    stored = on.stored
    await _fresh(on)
    place = scene(on.companies, plan=on.plan, processes=on.processes)
    async with bench(place, plan=on.plan, crew=None, stamp=on.stamp, progress=on.progress) as desk:
        sends = await run_step(desk, what="send", rate=rate, seconds=seconds)
    await _folded(on)
    page_us, page_latency = await _pages(on)
    async with bench(place, plan=on.plan, crew=on.crew, stamp=on.stamp, progress=on.progress) as desk:
        delivers = await run_step(desk, what="deliver", rate=rate, seconds=seconds)
        await on.crew.cut()
    on.steps += [sends, delivers]
    on.stored += sends.accepted + delivers.accepted
    return Age(
        stored=stored,
        send_us=sends.cpu_us_per_accepted or 0.0,
        send_p50_ms=sends.accept.p50,
        page_us=page_us,
        page_p50_ms=quantiles(page_latency).p50,
        deliver_us=delivers.cpu_s_per_million or 0.0,
        deliver_p50_ms=delivers.deliver.p50,
        deliver_p99_ms=delivers.deliver.p99,
        pss=pss_bytes(on.processes),
    )


async def _pages(on: Site) -> tuple[float, Latencies]:
    """Read pages, half of them the newest and half anywhere, and return microseconds of CPU for each, and latencies."""
    heads: list[int] = []
    for company in on.companies:
        path = f"/v1/chats/{company.chat}/messages?limit=1"
        reply = await on.api.ask("GET", path, token=company.people[0].token)
        heads.append(int(reply.json()["head_seq"]))
    chance = random.Random(0)  # noqa: S311 - the same pages in every run
    turns = iter(range(_PAGES))
    latency: Latencies = Counter()

    async def reader() -> None:
        for turn in turns:
            company = on.companies[turn % len(on.companies)]
            anywhere = f"&at={chance.randint(1, max(1, heads[company.index]))}" if turn // len(on.companies) % 2 else ""
            path = f"/v1/chats/{company.chat}/messages?limit={_PAGE}{anywhere}"
            begun = time.monotonic_ns()
            await on.api.ask("GET", path, token=company.people[0].token)
            latency[(time.monotonic_ns() - begun) // UNIT_NS] += 1

    before = sum(cpu_seconds(on.processes).values())
    await asyncio.gather(*(reader() for _ in range(_READERS)))
    return (sum(cpu_seconds(on.processes).values()) - before) / _PAGES * _MICRO, latency


async def _folded(on: Site) -> None:
    """Wait until every room's history reflects what was sent."""
    for company in on.companies:
        token, path = company.people[0].token, f"/v1/chats/{company.chat}/messages"
        last = await on.api.ask("POST", path, token=token, body={"text": "."})
        await on.api.ask("GET", f"{path}?limit=1&min_offset={int(last.json()['offset'])}", token=token)


async def _fresh(on: Site) -> None:
    """Log in again whose token is about to expire."""
    soon = time.monotonic() + _TOKEN_S
    for place, company in enumerate(on.companies):
        people = [await log_in(on.api, person.name) if person.until < soon else person for person in company.people]
        on.companies[place] = replace(company, people=tuple(people))
