"""R31: a stored send that a removal overtook is void: its author is told, and nobody else sees anything of it."""

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.history import check_dense, whole
from tests.e2e.people import People, Person
from tests.e2e.stack import Stack
from tests.e2e.watching import Watch, watching

ROUNDS = 40
SENDERS = 6
"""Sends that are under way at any time while somebody is removed."""


class Race:
    """One chat, in which somebody is removed while they send, again and again."""

    def __init__(self, *, owner: Person, author: Person, chat: str) -> None:
        self._owner = owner
        self._author = author
        self._chat = chat
        self._chance = random.Random(chat)
        self.stored: list[dict[str, Any]] = []
        """What was acknowledged: the answers' bodies."""

    async def run(self, number: int) -> None:
        """Race once; the author is a member before and afterwards, and not in between."""
        async with asyncio.TaskGroup() as tasks:
            for sender in range(SENDERS):
                tasks.create_task(self._send_until_refused(f"{number}.{sender}"))
            await asyncio.sleep(self._chance.uniform(0.0, 0.03))
            await self._owner.client.remove(self._chat, self._author.id)
        await self._owner.client.invite(self._chat, self._author.id)

    async def _send_until_refused(self, name: str) -> None:
        for index in itertools.count():
            body: dict[str, Any] = {"text": f"{name}.{index}", "nonce": f"{name}.{index}"}
            if index % 3:
                body["id"] = self._author.client.new_id()
            answer = await self._author.ask("POST", f"/v1/chats/{self._chat}/messages", json=body)
            if answer.status_code == 404:
                return
            assert answer.status_code == 201, answer.text
            self.stored.append(answer.json())

    async def void(self) -> list[dict[str, Any]]:
        """Return those that were stored and are no messages."""
        last = await self._owner.client.send(self._chat, "settled")
        shown = {message.id for message in await whole(self._owner.client, self._chat, min_offset=last.offset)}
        return [each for each in self.stored if each["id"] not in shown]

    async def until_void(self) -> list[dict[str, Any]]:
        """Race until a removal overtook a send, and return what it overtook.

        Raises:
            AssertionError: it never did, so that the race proves nothing.
        """
        for number in range(ROUNDS):
            await self.run(number)
            if void := await self.void():
                return void
        raise AssertionError(f"no removal overtook any of {len(self.stored)} sends")


@pytest.mark.timeout(90)
async def test_a_send_that_a_removal_overtook_is_told_to_its_author_and_shown_to_nobody(people3: People) -> None:
    """R31: every acknowledged send is in history, or was said to be void, and never both."""
    owner, author, witness = await people3(3)
    chat = (await owner.client.create_chat("group", title="g", members=[author.id, witness.id])).id
    race = Race(owner=owner, author=author, chat=chat)

    async with (
        watching(author) as author_sees,
        watching(author, transport="ws") as other_device_sees,
        watching(owner) as owner_sees,
        watching(witness, transport="ws") as witness_sees,
    ):
        for number in range(ROUNDS):
            await race.run(number)
        void = await race.void()
        assert void, f"no removal overtook any of {len(race.stored)} sends: the race proves nothing"
        messages = await whole(owner.client, chat)
        told = await _told(author_sees, chat, count=len(void))
        await _told(other_device_sees, chat, count=len(void))
        for watch in (author_sees, other_device_sees, owner_sees, witness_sees):
            await watch.caught_up()

    check_dense(messages)
    assert {(s["data"]["message"], s["data"]["offset"]) for s in told} == {(v["id"], v["offset"]) for v in void}
    assert all(signal["data"]["reason"] for signal in told)
    assert len(author_sees.of(chat)) == len({s["id"] for s in author_sees.of(chat)}), "each is told once"
    assert [s for s in other_device_sees.of(chat) if s["type"] == "msg.void"] == told
    for watch in (owner_sees, witness_sees):
        assert "msg.void" not in watch.types(chat)
        assert [s["id"] for s in watch.of(chat) if s["type"] == "msg"] == [message.id for message in messages]
    for each in void:
        assert (await author.ask("GET", f"/v1/chats/{chat}/messages/{each['id']}")).status_code == 404
        assert (await owner.ask("GET", f"/v1/chats/{chat}/messages/{each['id']}")).status_code == 404


async def _told(watch: Watch, chat: str, *, count: int) -> list[dict[str, Any]]:
    return await watch.until_type(chat, "msg.void", count=count)


@pytest.mark.timeout(90)
async def test_a_void_send_stays_void_when_it_is_sent_again(people3: People) -> None:
    """R08: back in the chat, a repeat with the same id gets the first answer, and there still is no message."""
    owner, author = await people3(2)
    chat = (await owner.client.create_chat("group", title="g", members=[author.id])).id
    race = Race(owner=owner, author=author, chat=chat)
    void = await race.until_void()

    for each in void:
        number_and_index = {"nonce": each["nonce"], "text": each["nonce"]}
        body = number_and_index if each["id"][14] == "5" else {**number_and_index, "id": each["id"]}
        again = await author.ask("POST", f"/v1/chats/{chat}/messages", json=body)
        assert (again.status_code, again.json()["offset"], again.json()["id"]) == (200, each["offset"], each["id"])
    assert await race.void() == void


async def test_who_was_removed_for_good_is_told_what_was_void(people3: People) -> None:
    """API section 3: `msg.void` tells an author, no longer a member, live and when they come back."""
    owner, author = await people3(2)
    chat = (await owner.client.create_chat("group", title="g", members=[author.id])).id
    race = Race(owner=owner, author=author, chat=chat)

    async with watching(author) as author_sees:
        cursor = author_sees.hello.id
        void = {each["id"] for each in await race.until_void()}
        await owner.client.remove(chat, author.id)
        told = await _told(author_sees, chat, count=len(void))

    async with watching(author, transport="ws", cursor=cursor) as back_again:
        assert await _told(back_again, chat, count=len(void)) == told
        await back_again.caught_up()

    assert {signal["data"]["message"] for signal in told} == void
    assert set(back_again.types(chat)) == {"left", "msg.void"}


@pytest.mark.timeout(90)
async def test_what_is_void_is_told_right_after_a_start(own_stack: Callable[..., Stack]) -> None:
    """R31: partitions change hands while three replicas start, and nobody waits for those of another."""
    stack = own_stack(processes=3)
    await asyncio.to_thread(stack.start)
    async with People(stack) as people:
        for _ in range(6):
            owner, author = await people(2)
            chat = (await owner.client.create_chat("group", title="g", members=[author.id])).id
            race = Race(owner=owner, author=author, chat=chat)
            async with watching(author) as author_sees:
                void = {each["id"] for each in await race.until_void()}
                told = await _told(author_sees, chat, count=len(void))
            assert {signal["data"]["message"] for signal in told} == void
