"""Everything is replaced while people write, read and look on: nobody is refused, nothing is lost."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.e2e.people import People
from tests.k8s.installation import READY_S, SERVICES, Installation
from tests.k8s.kubectl import ours
from tests.prove.crowd import Crowd, gathered
from tests.prove.verdict import violations

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2 * READY_S)]

SOME = 50
"""Sends acknowledged before, and after."""


def restarted(*names: str) -> float:
    """Restart deployments and stateful sets at once, wait until the new ones have taken over; return the seconds."""
    begun = time.monotonic()
    ours("rollout", "restart", *names)
    for name in names:
        ours("rollout", "status", name, f"--timeout={READY_S:.0f}s", within_s=READY_S + 5)
    return time.monotonic() - begun


def check_nobody_was_refused(crowd: Crowd) -> None:
    """Every answer was a success, and every request got one."""
    refused = {status: count for status, count in crowd.ledger.statuses.items() if status >= 400}
    assert refused == {}, crowd.figures()
    assert crowd.ledger.cuts == {}, crowd.figures()
    assert crowd.complaints == []


@pytest.mark.parametrize("what", ["services", "keycloak"])
async def test_a_rolling_restart_under_load_refuses_nobody(
    what: str, people: People, figure: Callable[[str], None]
) -> None:
    names = [f"deployment/{name}" for name in (SERVICES if what == "services" else (what,))]
    async with gathered(people, seed=1) as (crowd, busy):
        await crowd.progress(sends=SOME)
        took_s = await asyncio.to_thread(restarted, *names)
        await crowd.progress(sends=SOME)
        evidence = await crowd.finish(busy)

    assert violations(evidence) == []
    check_nobody_was_refused(crowd)
    figure(f"{what} restarted in {took_s:.0f} s: {crowd.figures()}")


async def test_a_rolling_restart_of_the_servers_under_load_loses_nothing(
    people: People, stack: Installation, figure: Callable[[str], None]
) -> None:
    """There is one Cassandra here: while it is away, who reads is asked to come again."""
    async with gathered(people, seed=2) as (crowd, busy):
        await crowd.progress(sends=SOME)
        took_s = await asyncio.to_thread(restarted, "statefulset/nats", "statefulset/cassandra", "statefulset/postgres")
        await asyncio.to_thread(stack.when_ready)
        await crowd.progress(sends=SOME)
        evidence = await crowd.finish(busy)

    assert violations(evidence) == []
    assert crowd.complaints == []
    figure(f"every server restarted in {took_s:.0f} s: {crowd.figures()}")
