"""R12: my chats, by latest activity, paged while activity reorders them."""

import asyncio
import random
import time
from collections.abc import Callable

import pytest

from petit.contracts.resources import Chat, Page, Sent
from tests.e2e.people import People, Person
from tests.e2e.scale import scaled, within
from tests.e2e.writing import until_written, writing

CHATS = scaled(400, full=10_000)
PAGE = 50
AT_ONCE = 32


async def _create(person: Person, other: Person, *, count: int) -> list[str]:
    permits = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> str:
        async with permits:
            return (await person.client.create_chat("group", title=f"g{number}", members=[other.id])).id

    return list(await asyncio.gather(*map(one, range(count))))


async def _page_through(person: Person, *, took_ms: list[float]) -> tuple[list[Chat], int]:
    """Return all my chats, and the offset that the first page reflects."""
    read: list[Chat] = []
    cursor, as_of = None, 0
    while True:
        begun = time.perf_counter()
        answer = await person.client.fetch("/v1/chats", cursor=cursor, limit=PAGE)
        took_ms.append((time.perf_counter() - begun) * 1000)
        page = Page[Chat].model_validate_json(answer.content)
        assert len(page.items) == PAGE or page.next is None, "pages are filled"
        as_of = as_of or answer.as_of
        read += page.items
        cursor = page.next
        if cursor is None:
            return read, as_of


def _by_activity(chats: list[Chat], sent: list[Sent], *, at: int) -> list[str]:
    """Return chats as they were ordered at an offset: by their last message, or else their creation."""
    activity: dict[str, int] = {chat.id: chat.joined_offset or 0 for chat in chats}
    for each in sent:
        if each.offset <= at:
            activity[each.chat] = max(activity[each.chat], each.offset)
    return sorted(activity, key=lambda chat: -activity[chat])


@pytest.mark.proof
@within(120)
async def test_paging_my_chats_while_activity_reorders_them_has_no_double_and_no_miss(
    people3: People, figure: Callable[[str], None]
) -> None:
    """R12: 400 chats (10,000 in the full run) by 50, while somebody writes into any of them."""
    ada, bob = await people3(2)
    chats = await _create(ada, bob, count=CHATS)
    random.Random(0).shuffle(chats)
    took_ms: list[float] = []

    async with writing(bob, *chats, pause_s=0.005) as sent:
        await until_written(sent, more=10)
        rounds = [await _page_through(ada, took_ms=took_ms) for _ in range(3)]

    assert rounds[0][1] < rounds[2][1] < sent[-1].offset, "nothing was reordered"
    for read, as_of in rounds:
        assert [chat.id for chat in read] == _by_activity(read, sent, at=as_of)
        assert len(read) == CHATS
        assert {chat.id for chat in read} == set(chats)
    p95 = sorted(took_ms)[int(len(took_ms) * 0.95)]
    figure(f"my chats, {CHATS} of them by {PAGE}: p95 {p95:.0f} ms a page, while others write (R12 asks for 50)")


async def test_each_of_my_chats_says_what_is_unread_and_last(people: People) -> None:
    """R12: `unread`, `marker`, `last`, `head_seq`, as the one who looks sees them."""
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
    silent = (await bob.client.create_chat("group", title="s", members=[ada.id])).id
    sent = [await bob.client.send(chat, f"{number}") for number in range(3)]

    (first, second) = (await ada.client.chats(min_offset=sent[-1].offset)).items
    await ada.client.view(chat, 2)
    read = await ada.client.chat(chat, min_offset=ada.client.offset)
    mine = await ada.client.send(chat, "me")
    written = await ada.client.chat(chat, min_offset=mine.offset)
    bobs = await bob.client.chat(chat, min_offset=mine.offset)

    assert (first.id, second.id) == (chat, silent)
    assert (first.unread, first.marker, first.head_seq) == (3, 0, 3)
    assert first.last is not None
    assert (first.last.id, first.last.text) == (sent[-1].id, "2")
    assert (second.unread, second.head_seq, second.last) == (0, 0, None)
    assert (read.unread, read.marker) == (1, 2)
    assert (written.unread, written.marker) == (0, 4), "sending moves my own marker"
    assert (bobs.unread, bobs.marker) == (1, 3)


async def test_unread_is_capped_at_a_hundred(people: People) -> None:
    """API section 2: 100 means 100 or more."""
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
    sent = [await bob.client.send(chat, f"{number}") for number in range(103)]

    chats = await ada.client.chats(min_offset=sent[-1].offset)
    await ada.client.view(chat, 5)
    nearly = await ada.client.chat(chat, min_offset=ada.client.offset)

    assert chats.items[0].unread == 100
    assert nearly.unread == 98


async def test_a_page_cursor_of_another_list_or_of_nobody_is_refused(people: People) -> None:
    """API section 1: a cursor that is not ours is 422."""
    ada = await people.one()
    room = (await ada.client.create_chat("room", title="r")).id

    for path in ("/v1/chats", "/v1/rooms", f"/v1/chats/{room}/members"):
        answer = await ada.ask("GET", f"{path}?cursor=nonsense")

        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), path
