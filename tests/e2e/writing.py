"""Somebody who keeps writing while a test does something else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from petit.contracts.resources import Sent
from tests.e2e.people import Person
from tests.e2e.waiting import eventually


@asynccontextmanager
async def writing(person: Person, *chats: str, pause_s: float = 0.0) -> AsyncIterator[list[Sent]]:
    """Keep writing into chats in turn; what was acknowledged so far is in the list.

    Args:
        person: Who writes.
        chats: Where.
        pause_s: Between two sends, so that a machine with few cores has time for what is tested.

    Raises:
        ClientError: a send was refused meanwhile.
    """
    sent: list[Sent] = []
    over = asyncio.Event()

    async def write() -> None:
        while not over.is_set():
            chat = chats[len(sent) % len(chats)]
            sent.append(await person.client.send(chat, f"live {len(sent)}"))
            await asyncio.sleep(pause_s)

    task = asyncio.create_task(write())
    try:
        yield sent
    finally:
        over.set()
        await task


async def until_written(sent: Sequence[Sent], *, more: int, within_s: float = 30.0) -> None:
    """Wait until so many more sends have been acknowledged."""
    goal = len(sent) + more

    async def reached() -> bool:
        return len(sent) >= goal

    await eventually(reached, within_s=within_s, what=f"{more} more messages are written")
