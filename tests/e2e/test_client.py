"""R42, as far as the Python client goes: it resumes by itself, fills gaps, and its local state equals a fresh read."""

import asyncio
import random
from collections.abc import Callable
from functools import partial

import pytest

from petit.client import LocalState, Stream
from petit.client.chatcopy import ChatCopy
from petit.contracts.ids import ChatId
from petit.contracts.resources import Sent
from tests.e2e.acting import Crowd
from tests.e2e.history import whole
from tests.e2e.people import People, Person
from tests.e2e.scale import scaled, within
from tests.e2e.stack import Stack
from tests.e2e.waiting import Late, eventually
from tests.e2e.wire import Transport, opened
from tests.e2e.writing import until_written, writing

SEEDS = scaled(2, full=100)
STEPS = scaled(80, full=400)
BACKLOG = 1_000


@pytest.mark.timeout(90)
@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_the_client_fills_a_gap_by_itself(people: People, transport: Transport) -> None:
    """API section 3: whoever iterates over the client's stream sees each message once, missed ones too."""
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
    async with opened(transport, ada.client.base_url, token=await ada.token()) as wire:
        cursor = (await wire.frame()).id
    sent = [await bob.client.send(chat, str(number)) for number in range(BACKLOG + 150)]

    got: list[str] = []
    async with ada.client.stream(cursor, transport=transport) as stream, asyncio.timeout(30):
        async for signal in stream:
            got.append(signal.id)
            if signal.id == sent[-1].id:
                break

    assert got == [each.id for each in sent]


@pytest.mark.timeout(120)
async def test_the_client_resumes_by_itself_when_everything_is_killed(own_stack: Callable[..., Stack]) -> None:
    """R14, R16, R42: one `async for` on each transport, over kills of each process: every message once, in order."""
    stack = own_stack(processes=2)
    stack.start()
    async with People(stack) as people:
        ada, bob = await people(2)
        chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
        by_sse, by_ws = list[str](), list[str]()
        async with ada.client.stream(transport="sse") as sse, ada.client.stream(transport="ws") as ws:
            reading = [asyncio.create_task(_read(sse, by_sse)), asyncio.create_task(_read(ws, by_ws))]
            async with writing(bob, chat, pause_s=0.01) as sent:
                await _kill_one_after_another(stack, sent)
            for got in (by_sse, by_ws):
                await eventually(partial(_includes, got, sent[-1].id), within_s=30, what="the last message has come")
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

        history = [message.id for message in await whole(ada.client, chat, min_offset=sent[-1].offset)]
        assert by_sse == by_ws == history
        assert {each.id for each in sent} == set(history)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(SEEDS))
@within(60)
async def test_the_local_state_equals_a_fresh_read_after_anything(people3: People, seed: int) -> None:
    """Show 2: four people do things at random; each one's state, moved by signals, is what a fresh read shows."""
    chance = random.Random(seed)
    crowd = await people3(4)
    async with asyncio.TaskGroup() as tasks:
        states = [LocalState(person.client, transport=chance.choice(["sse", "ws"])) for person in crowd]
        for state in states:
            await state.__aenter__()
        following = [tasks.create_task(_follow(state)) for state in states]

        await Crowd(crowd, chance=chance).act(STEPS)
        for person, state in zip(crowd, states, strict=True):
            await _until_fresh(person, state)
        for task in following:
            task.cancel()
    for state in states:
        assert state.snapshots == 1
        await state.__aexit__(None, None, None)


async def _read(stream: Stream, got: list[str]) -> None:
    async for signal in stream:
        got.append(signal.id)  # noqa: PERF401 - looked at while it grows


async def _includes(got: list[str], id: str) -> bool:
    return id in got


async def _kill_one_after_another(stack: Stack, sent: list[Sent]) -> None:
    """Kill what a user's stream hangs on, and in the end most of it at once, while somebody writes."""
    edges, folds, logs = (stack.named(prefix) for prefix in ("edge-", "chat-", "nats-"))
    for victims in (edges[:1], edges[1:2], logs[:1], (*edges, folds[0], logs[0])):
        await until_written(sent, more=10)
        pids = {name: stack.pids()[name] for name in victims}
        stack.kill(*victims)
        await asyncio.to_thread(stack.when_replaced, pids)
    await until_written(sent, more=10)


async def _follow(state: LocalState) -> None:
    async for _ in state:
        pass


async def _until_fresh(person: Person, state: LocalState) -> None:
    """Wait until a state shows what a fresh read shows, or say in what they differ."""
    differing = list[str]()

    async def is_fresh() -> bool:
        async with LocalState(person.client) as fresh:
            differing[:] = _differences(state.chats, fresh.chats)
        return not differing

    try:
        await eventually(is_fresh, within_s=15, what="the state is fresh", every_s=0.2)
    except Late as late:
        raise Late("\n".join([str(late), f"of {person.id}, at {state.cursor}:", *differing])) from None


def _differences(moved: dict[ChatId, ChatCopy], fresh: dict[ChatId, ChatCopy]) -> list[str]:
    told = [f"{id} is in one only" for id in moved.keys() ^ fresh.keys()]
    for id in moved.keys() & fresh.keys():
        ours, theirs = moved[id], fresh[id]
        if ours.chat != theirs.chat:
            told.append(f"moved {ours.chat!r}\nfresh {theirs.chat!r}")
        if list(ours.members.items()) != list(theirs.members.items()):
            told.append(f"moved {ours.members!r}\nfresh {theirs.members!r}")
        if ours.messages != theirs.messages:
            told.append(f"moved {ours.messages!r}\nfresh {theirs.messages!r}")
    return told
