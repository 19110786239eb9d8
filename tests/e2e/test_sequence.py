"""R09: a chat's messages are numbered 1, 2, 3 … whoever writes at the same time."""

import asyncio
import time
from collections.abc import Callable

import pytest

from petit.contracts.resources import Sent
from tests.e2e.history import check_acknowledged, check_dense, whole
from tests.e2e.people import People, Person
from tests.e2e.scale import FULL, scaled, within

WRITERS = 10
EACH = scaled(300, full=10_000)


@pytest.mark.proof
@within(60)
async def test_ten_writers_leave_no_hole_and_no_repeat(people3: People, figure: Callable[[str], None]) -> None:
    """R09: 10 writers, 10,000 messages each in the full run: seq is 1 to 100,000, each writer's in their order."""
    writers = await people3(WRITERS)
    chat = (await writers[0].client.create_chat("group", title="g", members=[w.id for w in writers[1:]])).id

    async def write(writer: Person) -> list[Sent]:
        sent = []
        for number in range(EACH):
            sent.append(await writer.client.send(chat, str(number)))
            if FULL and (number + 1) % 1_000 == 0:
                print(f"{writer.username}: {number + 1} of {EACH}")  # noqa: T201 - progress of a long proof
        return sent

    begun = time.monotonic()
    acknowledged = [sent for sents in await asyncio.gather(*map(write, writers)) for sent in sents]
    took_s = time.monotonic() - begun

    messages = await whole(writers[0].client, chat, min_offset=max(sent.offset for sent in acknowledged))
    assert len(messages) == WRITERS * EACH
    check_dense(messages)
    check_acknowledged(messages, acknowledged)
    for writer in writers:
        assert [int(message.text) for message in messages if message.by == writer.id] == list(range(EACH))
    figure(f"{len(acknowledged) / took_s:.0f} sends/s from one Python process, acknowledged")


async def test_offsets_grow_over_chats_and_seq_is_each_chats_own(people: People) -> None:
    """R09: offset is global, seq is of the chat."""
    ada = await people.one()
    chats = [(await ada.client.create_chat("group", title="g")).id for _ in range(3)]

    sent = [await ada.client.send(chats[number % 3], str(number)) for number in range(12)]

    offsets = [each.offset for each in sent]
    assert offsets == sorted(set(offsets))
    for chat in chats:
        check_dense(await whole(ada.client, chat, min_offset=offsets[-1]))
