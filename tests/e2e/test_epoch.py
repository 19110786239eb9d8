"""R15: when the log is another one, cursors of the old one are gone, and a client begins again without a hole."""

import asyncio
from collections.abc import Callable

import pytest

from petit.client import CursorExpired, LocalState
from petit.contracts.cursor import Cursor
from tests.e2e.history import check_acknowledged, check_dense, whole
from tests.e2e.people import People
from tests.e2e.stack import Losable
from tests.e2e.waiting import eventually
from tests.e2e.wire import Transport, knock, opened, signals

LEAP = 1_000_000
"""A new epoch starts at least so far above anything handed out."""


@pytest.mark.timeout(240)
async def test_a_log_that_was_deleted_is_said_made_anew_and_recovered_from(own_stack: Callable[..., Losable]) -> None:
    """R15: no start without the log; after `doctor --new-epoch` old cursors are 410, and nothing folded is lost."""
    stack = own_stack()
    await asyncio.to_thread(stack.start)
    async with People(stack) as people:
        ada = await people.named("ada")
        chat = (await ada.client.create_chat("group", title="g")).id
        sent = [await ada.client.send(chat, str(number)) for number in range(20)]
        await whole(ada.client, chat, min_offset=sent[-1].offset)
        async with opened("sse", stack.url, token=await ada.token()) as wire:
            old = (await wire.frame()).id
        assert old is not None
        async with LocalState(ada.client) as state:
            following = asyncio.create_task(_follow(state))

            await asyncio.to_thread(stack.lose_log)
            assert "--new-epoch" in await asyncio.to_thread(stack.start_in_vain), "it is not made anew by itself"
            await asyncio.to_thread(stack.begin_anew)
            await asyncio.to_thread(stack.start)

            after = [await ada.client.send(chat, str(number)) for number in range(20, 25)]
            await eventually(
                lambda: _has(state, after[-1].id), within_s=30, what="the client recovered and saw what came after"
            )
            following.cancel()

        assert state.snapshots == 2, "once at the start, once for the new epoch"
        assert after[0].offset >= sent[-1].offset + LEAP
        messages = await whole(ada.client, chat, min_offset=after[-1].offset)
        check_dense(messages)
        check_acknowledged(messages, [*sent, *after])
        assert state.chats[messages[0].chat].messages == messages
        await _check_old_cursor_is_gone(people, old)


async def _check_old_cursor_is_gone(people: People, old: str) -> None:
    ada = await people.named("ada")
    transports: tuple[Transport, ...] = ("sse", "ws")
    for transport in transports:
        assert await knock(transport, ada.client.base_url, token=await ada.token(), cursor=old) == (
            410,
            "cursor.expired",
        )
    asked = await ada.ask("GET", f"/v1/cursor?cursor={old}")
    assert asked.status_code == 410
    assert asked.json()["start"] == {"chats": "/v1/chats", "stream": "/v1/stream"}
    with pytest.raises(CursorExpired):
        async with ada.client.stream(old):
            pass
    async with opened("sse", ada.client.base_url, token=await ada.token()) as wire:
        new = (await wire.frame()).id
        chat = (await ada.client.chats()).items[0].id
        sent = await ada.client.send(chat, "live again")
        assert (await anext(signals(wire))).data["id"] == sent.id
    assert new is not None
    assert Cursor.parse(new).epoch > Cursor.parse(old).epoch


async def _follow(state: LocalState) -> None:
    async for _ in state:
        pass


async def _has(state: LocalState, message: str) -> bool:
    return any(held.id == message for copy in state.chats.values() for held in copy.messages)
