"""A ticket is good once, for a while."""

import asyncio
import time

import pytest

from petit.kit.connection import Connection, connect
from petit.kit.kv import Bucket, BucketConfig
from petit.kit.natsserver import NatsServer
from petit.kit.tickets import Tickets


@pytest.fixture
async def tickets(nc: Connection) -> Tickets:
    made = Tickets(nc)
    await made.bootstrap()
    await made.bootstrap()
    return made


async def test_a_ticket_is_good_once(tickets: Tickets) -> None:
    ticket = await tickets.issue(b"ann")

    assert await tickets.redeem(ticket) == b"ann"
    assert await tickets.redeem(ticket) is None


async def test_tickets_differ(tickets: Tickets) -> None:
    one, two = await tickets.issue(b"ann"), await tickets.issue(b"bob")

    assert one != two
    assert len(one) == 32
    assert await tickets.redeem(two) == b"bob"
    assert await tickets.redeem(one) == b"ann"


@pytest.mark.parametrize("ticket", ["", "x", "a" * 32, "*", ">", "a.b", "x" * 10_000, "\x00 \r\n", "é"])
async def test_what_was_never_issued_is_worth_nothing(tickets: Tickets, ticket: str) -> None:
    assert await tickets.redeem(ticket) is None


async def test_of_many_who_come_at_once_one_wins(tickets: Tickets, server: NatsServer) -> None:
    async with await connect(server.access, name="other") as other:
        ticket = await tickets.issue(b"ann")

        won = await asyncio.gather(*(desk.redeem(ticket) for desk in [tickets, Tickets(other)] * 25))

    assert [value for value in won if value is not None] == [b"ann"]


async def test_a_late_ticket_is_worth_nothing(nc: Connection) -> None:
    tickets = Tickets(nc, ttl=0.2)
    await tickets.bootstrap()
    ticket = await tickets.issue(b"ann")
    deadline = time.monotonic() + 3
    while (await nc.jetstream().stream_info("KV_TICKETS")).state.messages:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)

    assert await tickets.redeem(ticket) is None


async def test_a_ticket_for_nothing_is_refused(tickets: Tickets) -> None:
    with pytest.raises(ValueError, match="stands for something"):
        await tickets.issue(b"")


async def test_a_bucket_says_who_was_first(nc: Connection) -> None:
    bucket = Bucket(nc, BucketConfig(name="TEST", in_memory=True))
    await bucket.bootstrap()

    assert await bucket.get("a") is None
    first = await bucket.swap("a", b"1", revision=0)
    assert first is not None
    assert await bucket.swap("a", b"2", revision=0) is None
    second = await bucket.swap("a", b"2", revision=first)
    assert second is not None
    assert await bucket.swap("a", b"3", revision=first) is None
    third = await bucket.put("a", b"3")
    held = await bucket.get("a")
    assert held is not None
    assert (held.value, held.revision) == (b"3", third)
