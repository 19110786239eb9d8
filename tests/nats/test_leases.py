"""Leases in a bucket of three copies: who dies is replaced soon, whether it is an owner or the node that kept them."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from kit.tests.reading import eventually
from petit.kit.leases import Leases
from tests.nats.cluster import Cluster

ALL = frozenset(range(64))


async def _replicas(nats: Cluster, stack: AsyncExitStack, *, count: int) -> list[tuple[Leases, asyncio.Task[None]]]:
    """Let some take part, each over a connection of its own."""
    made: list[tuple[Leases, asyncio.Task[None]]] = []
    for number in range(count):
        nc = await stack.enter_async_context(nats.connected("chat"))
        leases = Leases(nc, group="chat", replica=f"chat-{number}", on_change=_ignore, makes=False)
        task = asyncio.create_task(leases.run())
        stack.push_async_callback(_stop, task)
        made.append((leases, task))
    return made


def _ignore(_gained: frozenset[int], _lost: frozenset[int]) -> None:
    """Nobody is told."""


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _divided(some: list[Leases]) -> bool:
    owned = [leases.owned for leases in some]
    return sum(map(len, owned)) == len(ALL) and frozenset().union(*owned) == ALL and all(owned)


async def test_what_an_owner_that_died_had_is_taken_over_within_5_s(nats: Cluster) -> None:
    async with AsyncExitStack() as stack:
        made = await _replicas(nats, stack, count=3)
        await eventually(lambda: _divided([leases for leases, _ in made]), within=15)
        (dead, task), *others = made

        begun = time.monotonic()
        dead._release = _nothing  # type: ignore[method-assign]  # noqa: SLF001 - as in a crash: nothing is handed over
        await _stop(task)

        await eventually(lambda: _divided([leases for leases, _ in others]), within=5)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_leases_go_on_when_the_node_that_leads_them_is_gone(nats: Cluster, how: str) -> None:
    async with AsyncExitStack() as stack:
        made = [leases for leases, _ in await _replicas(nats, stack, count=3)]
        await eventually(lambda: _divided(made), within=15)
        leader = await nats.leader("KV_LEASES")

        if how == "killed":
            leader.kill()
        else:
            stack.enter_context(leader.frozen())

        await asyncio.sleep(2.5)  # by then, nobody who could not write owns anything
        await eventually(lambda: _divided(made), within=20)


async def _nothing() -> None:
    """Leave everything as it is."""
