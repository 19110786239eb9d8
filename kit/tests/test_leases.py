"""Every partition has an owner soon, and one owner but for moments."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.tests.proxy import proxied
from kit.tests.reading import always, eventually, frozen
from petit.kit.access import Access
from petit.kit.connection import Connection, connect
from petit.kit.kv import Bucket, BucketConfig
from petit.kit.leases import Leases, ReplicaTakenError
from petit.kit.natsserver import NatsServer
from petit.kit.shares import shares

ALL = frozenset(range(64))


class Replica:
    """One that takes part, and what it was told."""

    def __init__(self, nc: Connection, name: str) -> None:
        self.told: frozenset[int] = frozenset()
        self.changes = 0
        self.leases = Leases(nc, group="chat", replica=name, on_change=self._on_change)
        self.task = asyncio.create_task(self.leases.run())

    def _on_change(self, gained: frozenset[int], lost: frozenset[int]) -> None:
        assert gained or lost
        assert not gained & self.told
        assert lost <= self.told
        self.told = (self.told | gained) - lost
        self.changes += 1

    async def stop(self) -> None:
        """Leave in order."""
        self.task.cancel()
        await asyncio.wait({self.task})


@asynccontextmanager
async def replica(nc: Connection, name: str) -> AsyncIterator[Replica]:
    """Take part until the end of the block."""
    one = Replica(nc, name)
    try:
        yield one
    finally:
        await one.stop()


def divided(*replicas: Replica) -> bool:
    """Say whether everything is owned once, and nobody has much more than another."""
    owned = [one.leases.owned for one in replicas]
    sizes = [len(some) for some in owned]
    fair = max(sizes) <= -(-64 // len(replicas))
    told = all(one.told == one.leases.owned for one in replicas)
    return frozenset[int]().union(*owned) == ALL and sum(sizes) == 64 and fair and told


async def test_a_lone_replica_owns_everything_at_once(nc: Connection) -> None:
    started = time.monotonic()

    async with replica(nc, "a") as one:
        await eventually(lambda: one.leases.owned == ALL)
        assert time.monotonic() - started < 0.5
        assert one.changes == 1


async def test_a_lone_replica_keeps_everything_and_sends_little(nc: Connection) -> None:
    async with replica(nc, "a") as one:
        await eventually(lambda: one.leases.owned == ALL)
        sent = nc.stats["out_msgs"]
        await always(lambda: one.leases.owned == ALL, during=3)

        assert nc.stats["out_msgs"] - sent < 3 * 4
        assert one.changes == 1


async def test_replicas_share_fairly_as_they_come_and_go(server: NatsServer) -> None:
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(await connect(server.access, name=name)) for name in "abc"]
        one, two, three = [
            await stack.enter_async_context(replica(nc, name)) for nc, name in zip(connections, "abc", strict=True)
        ]
        await eventually(lambda: divided(one, two, three))

        before = one.leases.owned
        await three.stop()
        await eventually(lambda: divided(one, two), within=0.5)
        assert before <= one.leases.owned
        await two.stop()
        await eventually(lambda: one.leases.owned == ALL, within=0.5)


async def test_what_a_dead_replica_owned_is_taken_over(server: NatsServer, nc: Connection) -> None:
    async with proxied(server.port) as proxy, await connect(Access(url=proxy.url, token=server.token), name="b") as far:
        async with replica(nc, "a") as one, replica(far, "b") as two:
            await eventually(lambda: divided(one, two))
            proxy.stall()
            started = time.monotonic()

            await eventually(lambda: two.told == frozenset(), within=2.5)
            await eventually(lambda: one.leases.owned == ALL, within=3)
            assert time.monotonic() - started < 3

            proxy.flow()
            await eventually(lambda: divided(one, two), within=5)
        await eventually(lambda: one.told == frozenset())


async def test_a_replica_that_restarts_under_its_name_need_not_wait(server: NatsServer, nc: Connection) -> None:
    async with (
        proxied(server.port) as proxy,
        await connect(Access(url=proxy.url, token=server.token), name="a") as far,
        replica(far, "a") as killed,
    ):
        await eventually(lambda: killed.leases.owned == ALL)
        proxy.stall()  # it cannot release what it owns

        async with replica(nc, "a") as one:
            await eventually(lambda: one.leases.owned == ALL, within=0.5)
        proxy.flow()


async def test_two_processes_under_one_name_are_noticed(server: NatsServer, nc: Connection) -> None:
    async with await connect(server.access, name="b") as other, replica(nc, "a") as one:
        await eventually(lambda: one.leases.owned == ALL)

        async with replica(other, "a") as two:
            with pytest.raises(ReplicaTakenError):
                await asyncio.wait_for(one.task, 2)
            assert one.told == frozenset()
            await eventually(lambda: two.leases.owned == ALL)


async def test_a_restart_of_the_server_costs_no_ownership(server: NatsServer, nc: Connection) -> None:
    async with replica(nc, "a") as one:
        await eventually(lambda: one.leases.owned == ALL)
        for restarts in range(1, 4):
            server.kill()
            await server.start()
            await eventually(lambda restarts=restarts: nc.stats["reconnects"] == restarts)  # type: ignore[misc]  # mypy cannot infer it

        await always(lambda: one.leases.owned == ALL, during=3)
        assert one.changes == 1


async def test_a_long_absence_of_the_server_costs_ownership_until_it_is_back(
    server: NatsServer, nc: Connection
) -> None:
    async with replica(nc, "a") as one:
        await eventually(lambda: one.leases.owned == ALL)
        with frozen(server):
            await eventually(lambda: one.told == frozenset(), within=3)
        await eventually(lambda: one.told == ALL, within=3)
        server.kill()
        await eventually(lambda: one.told == frozenset(), within=3)
        await server.start()
        await eventually(lambda: one.told == ALL, within=3)


async def test_what_another_still_claims_is_left_to_it(nc: Connection) -> None:
    bucket = Bucket(nc, BucketConfig(name="LEASES", ttl=2, in_memory=True))
    await bucket.bootstrap()

    async def claim(partitions: frozenset[int]) -> None:
        while True:
            await bucket.put("chat.z", json.dumps({"by": "z", "claims": sorted(partitions)}).encode())
            await asyncio.sleep(0.5)

    greedy = asyncio.create_task(claim(ALL))
    async with replica(nc, "a") as one:
        await always(lambda: one.leases.owned == frozenset(), during=1.5)
        greedy.cancel()
        modest = asyncio.create_task(claim(ALL - frozenset(range(8))))
        share = shares(["a", "z"], partitions=64)["a"]
        await eventually(lambda: one.leases.owned == share & frozenset(range(8)), within=1)
        modest.cancel()
        await eventually(lambda: one.leases.owned == ALL, within=3)


async def test_groups_do_not_meet(nc: Connection) -> None:
    async with replica(nc, "a") as one:
        other = Leases(nc, group="search", replica="b", on_change=lambda _gained, _lost: None)
        task = asyncio.create_task(other.run())
        await eventually(lambda: one.leases.owned == ALL and other.owned == ALL)
        task.cancel()
        await asyncio.wait({task})


async def test_names_that_would_break_a_subject_are_refused(nc: Connection) -> None:
    with pytest.raises(ValueError, match="named by"):
        Leases(nc, group="chat", replica="a.b", on_change=lambda _gained, _lost: None)


NAMES = st.sets(st.text("abcdef0123456789-", min_size=1, max_size=8), min_size=1, max_size=20)


@given(members=NAMES, partitions=st.integers(1, 128))
def test_shares_are_complete_disjoint_and_equal(members: set[str], partitions: int) -> None:
    divided = shares(members, partitions=partitions)

    assert divided.keys() == members
    assert sorted(p for some in divided.values() for p in some) == list(range(partitions))
    assert max(map(len, divided.values())) <= -(-partitions // len(members))


def test_no_members_share_nothing() -> None:
    assert shares([], partitions=64) == {}


@pytest.mark.parametrize("count", range(2, 9))
def test_few_partitions_move_when_a_member_leaves(count: int) -> None:
    names = [f"chat-{number}" for number in range(count)]
    before = shares(names, partitions=64)
    after = shares(names[:-1], partitions=64)

    moved = sum(len(before[name] - after[name]) for name in names[:-1])

    assert moved <= 12
