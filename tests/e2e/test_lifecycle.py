"""API section 8 and R62: `petit up` starts soon, stops in order, goes on where it was, and is one at a time."""

import asyncio
import json
import signal
import time
from collections.abc import Callable

import pytest

from petit.contracts.resources import Sent
from tests.e2e.history import check_acknowledged, check_dense, whole
from tests.e2e.local import STOP_S, LocalStack, runs
from tests.e2e.people import People, plain_http
from tests.e2e.waiting import until
from tests.e2e.watching import watching
from tests.e2e.writing import until_written, writing

pytestmark = pytest.mark.embedded

COLD_S = 10.0


async def test_from_nothing_to_the_first_message_takes_less_than_ten_seconds(
    own_stack: Callable[..., LocalStack], figure: Callable[[str], None]
) -> None:
    """R62: from the command, on an empty folder, to a message on another person's stream."""
    stack = own_stack()
    begun = time.monotonic()
    stack.start()
    async with People(stack) as people:
        ada, bob = await people.named("ada"), await people.named("bob")
        async with watching(ada) as ada_sees:
            chat = (await bob.client.create_chat("dm", members=[ada.id])).id
            sent = await bob.client.send(chat, "Hello, Ada!")
            await ada_sees.until_signal(sent.id)
    took_s = time.monotonic() - begun

    figure(f"cold start to first delivered message: {took_s:.1f} s, ready after {stack.started_in_s:.1f} s")
    assert took_s < COLD_S


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("processes", "number"), [(0, signal.SIGINT), (2, signal.SIGTERM)])
async def test_it_stops_in_order_and_goes_on_where_it_was(
    own_stack: Callable[..., LocalStack], number: signal.Signals, processes: int
) -> None:
    """API section 8: within 10 s, with exit code 0, nothing left running; a later `up` has everything and everybody."""
    stack = own_stack(processes=processes)
    stack.start()
    async with People(stack) as people:
        ada, bob = await people.named("ada"), await people.one()
        chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id
        sent = [await ada.client.send(chat, str(index)) for index in range(10)]
        token, pids = await ada.token(), stack.pids()
        async with watching(bob) as bob_sees:
            cursor = bob_sees.hello.id

            stopped = await asyncio.to_thread(stack.stop, number)
            bye = await bob_sees.until(lambda frame: frame.event == "bye")

        assert stopped.status == 0, stack.printed()
        assert stopped.took_s < STOP_S
        assert not any(map(runs, pids.values()))
        assert bye.data == {"code": 1001, "resume": True}

        await asyncio.to_thread(stack.start)
        async with plain_http(stack) as http:
            me = await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        sent.append(await ada.client.send(chat, "again"))
        messages = await whole(ada.client, chat, min_offset=sent[-1].offset)
        async with watching(bob, cursor=cursor) as bob_sees:
            await bob_sees.until_signal(sent[-1].id)

        assert me.status_code == 200, "tokens survive a restart"
        check_dense(messages)
        check_acknowledged(messages, sent)
        assert [s["id"] for s in bob_sees.of(chat)] == [sent[-1].id]


@pytest.mark.timeout(90)
async def test_a_stop_under_load_loses_nothing_that_was_acknowledged(own_stack: Callable[..., LocalStack]) -> None:
    """Issue 3, faults: SIGTERM while people write: every acknowledged message is there afterwards, once."""
    stack = own_stack()
    stack.start()
    async with People(stack) as people:
        ada = await people.one()
        chat = (await ada.client.create_chat("group", title="g")).id
        async with writing(ada, chat) as sent:
            await until_written(sent, more=50)
            stopped = await asyncio.to_thread(stack.stop)
            assert stopped.status == 0
            await asyncio.to_thread(stack.start)
            await until_written(sent, more=10)

        messages = await whole(ada.client, chat, min_offset=sent[-1].offset)
        check_dense(messages)
        check_acknowledged(messages, sent)
        assert len(messages) == len(sent)


@pytest.mark.timeout(90)
async def test_one_at_a_time_and_nothing_left_behind_blocks_the_next(own_stack: Callable[..., LocalStack]) -> None:
    """API section 8: a second `up` is refused with a clear error; after `kill -9` of everything the next one starts."""
    stack = own_stack(processes=2)
    stack.start()
    async with People(stack) as people:
        ada = await people.named("ada")
        chat = (await ada.client.create_chat("group", title="g")).id
        sent: list[Sent] = [await ada.client.send(chat, "before")]

        second = await asyncio.to_thread(stack.petit, "up", "--port", "0")
        sent.append(await ada.client.send(chat, "undisturbed"))
        await asyncio.to_thread(stack.kill_everything)
        await asyncio.to_thread(stack.start)
        sent.append(await ada.client.send(chat, "after"))

        assert second.returncode not in {0, None}
        assert str(stack.data) in second.stderr
        assert "Traceback" not in second.stderr
        check_acknowledged(await whole(ada.client, chat, min_offset=sent[-1].offset), sent)


@pytest.mark.timeout(90)
async def test_when_the_supervisor_is_killed_nothing_survives_it(own_stack: Callable[..., LocalStack]) -> None:
    """API section 8: no child outlives `kill -9` of the supervisor, so nothing blocks the next one."""
    stack = own_stack(processes=2)
    stack.start()
    pids = stack.pids()

    stack.kill_supervisor()

    until(
        lambda: not any(map(runs, pids.values())),
        within_s=STOP_S,
        what="the children of a dead supervisor are gone",
    )
    stack.start()


@pytest.mark.timeout(90)
async def test_a_killed_child_is_started_again(own_stack: Callable[..., LocalStack]) -> None:
    """API section 8: the supervisor restarts any child that dies, nats-server too; `run.json` says who runs."""
    stack = own_stack(processes=2)
    stack.start()
    before = stack.pids()
    assert set(before) == {"nats-server", "edge-0", "edge-1", "chat-0", "chat-1"}

    for name, pid in before.items():
        stack.kill(name)
        await asyncio.to_thread(stack.when_replaced, {name: pid})

    assert not set(before.values()) & set(stack.pids().values())
    assert json.loads((stack.data / "run.json").read_text())["url"] == stack.url
