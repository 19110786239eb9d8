"""A long history, written as fast as one program can: over WebSockets, with people coming and going."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from petit.contracts.resources import Sent
from tests.e2e.people import People, Person
from tests.e2e.wire import SocketWire, open_ws

WRITERS: Final = 4
UNDER_WAY: Final = 200
"""Sends of each writer that wait for their answer."""
_CHATS: Final = 40
_OFTEN: Final = 2_000
"""One in so many sends is followed by something that is no message."""
_ANSWER_S: Final = 60.0
_SEND: Final = "s"
_ACCEPTED: Final = frozenset({200, 201})
_WORDS: Final = ("the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "comes", "back", "again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """People and their chats."""

    writers: Sequence[Person]
    guest: Person
    chats: Sequence[str]
    room: str


async def founded(people: People) -> Town:
    """Make everybody and their chats."""
    *writers, guest = await people(WRITERS + 1)
    host = writers[0].client
    ids = [person.id for person in writers[1:]]
    chats = [(await host.create_chat("group", title=f"chat {number}", members=ids)).id for number in range(_CHATS)]
    room = (await host.create_chat("room", title="room", members=ids)).id
    return Town(writers=writers, guest=guest, chats=[*chats, room], room=room)


async def fill(town: Town, *, messages: int, seed: int, tell: Callable[[str], None]) -> Sent:
    """Write so many messages; return the last one.

    Args:
        seed: Decides what is written where; the order among writers is the log's.
        tell: Takes a line of progress now and then.

    Raises:
        AssertionError: a send is refused.
    """
    begun, done = time.monotonic(), 0

    def count() -> None:
        nonlocal done
        done += 1
        if done % 10_000 == 0:
            tell(f"{done} of {messages} written, {done / (time.monotonic() - begun):.0f}/s")

    each = messages // WRITERS
    async with asyncio.TaskGroup() as tasks:
        for number, writer in enumerate(town.writers):
            tasks.create_task(_write(town, writer, count=each, chance=random.Random(f"{seed} {number}"), sent=count))
    return await town.writers[0].client.send(town.chats[0], "last")


async def _write(town: Town, writer: Person, *, count: int, chance: random.Random, sent: Callable[[], None]) -> None:
    token = await writer.token()
    async with (
        open_ws(writer.client.base_url, token=token, payload="thin") as wire,
        asyncio.TaskGroup() as tasks,
    ):
        permits = asyncio.Semaphore(UNDER_WAY)

        def answered() -> None:
            permits.release()
            sent()

        tasks.create_task(_hear(writer, wire, token=token, count=count, answered=answered))
        for _ in range(count):
            async with asyncio.timeout(_ANSWER_S):
                await permits.acquire()
            text = " ".join(chance.choices(_WORDS, k=chance.randint(1, 30)))
            chat = chance.choice(town.chats)
            await wire.do(do="send", ref=_SEND, chat=chat, id=writer.client.new_id(), text=text)
            if chance.randrange(_OFTEN) == 0:
                await _something_else(town, writer, chat=chat)


async def _hear(writer: Person, wire: SocketWire, *, token: str, count: int, answered: Callable[[], None]) -> None:
    """Take the answers, and renew the token when it expires."""
    heard = 0
    while heard < count:
        frame = await wire.frame(within_s=_ANSWER_S)
        if frame.event == "expiring":
            token = await writer.client.caller.token(stale=token)
            await wire.do(do="auth", ref="auth", token=token)
        if frame.event == "reply":
            assert frame.data["status"] in _ACCEPTED, frame
            if frame.data["ref"] == _SEND:
                heard += 1
                answered()


async def _something_else(town: Town, writer: Person, *, chat: str) -> None:
    """Read a chat to its end, and let the guest visit the room."""
    head = (await writer.client.chat(chat)).head_seq
    if head:
        await writer.client.view(chat, seq=head)
    answers = [await town.guest.ask("POST", f"/v1/chats/{town.room}/{what}") for what in ("join", "leave")]
    assert all(answer.is_success or answer.status_code in {404, 409} for answer in answers), answers
