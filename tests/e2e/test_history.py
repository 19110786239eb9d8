"""R10: history, paged in either direction while others write, shows each message exactly once."""

import asyncio
import random

import pytest

from petit.client.client import Anchor
from petit.contracts.resources import Message
from tests.e2e.history import whole
from tests.e2e.people import People, Person
from tests.e2e.scale import scaled, within
from tests.e2e.writing import writing

SEEDS = scaled(3, full=50)
LENGTH = 300


async def _filled(person: Person, *, length: int) -> str:
    chat = (await person.client.create_chat("group", title="g")).id
    for start in range(0, length, 50):
        await asyncio.gather(*(person.client.send(chat, f"{n}") for n in range(start, min(start + 50, length))))
    return chat


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(SEEDS))
@within(60)
async def test_paging_up_while_writing_shows_each_message_once(people: People, seed: int) -> None:
    """R10: `after`, with limits as they come."""
    chance = random.Random(seed)
    ada = await people.one()
    chat = await _filled(ada, length=LENGTH)

    async with writing(ada, chat) as sent:
        read: list[Message] = []
        while len(read) < 2 * LENGTH:
            at = read[-1].seq if read else 0
            limit = chance.randint(1, 200)
            page = await ada.client.history(chat, anchor="after", seq=at, limit=limit)
            assert len(page.items) <= limit
            assert page.head_seq >= (page.items[-1].seq if page.items else at)
            read += page.items

    assert [message.seq for message in read] == list(range(1, len(read) + 1))
    assert len({message.id for message in read}) == len(read)
    assert {each.id for each in sent if each.offset <= read[-1].offset} <= {message.id for message in read}


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(SEEDS))
@within(60)
async def test_paging_down_while_writing_shows_each_message_once(people: People, seed: int) -> None:
    """R10: `before`, from the newest to the first."""
    chance = random.Random(seed)
    ada = await people.one()
    chat = await _filled(ada, length=LENGTH)

    async with writing(ada, chat):
        newest = await ada.client.history(chat, limit=chance.randint(1, 200))
        read = list(newest.items)
        while read[0].seq > 1:
            limit = chance.randint(1, 60)
            page = await ada.client.history(chat, anchor="before", seq=read[0].seq, limit=limit)
            assert len(page.items) == min(limit, read[0].seq - 1), "pages are filled"
            read = [*page.items, *read]

    assert read[-1].seq == newest.head_seq
    assert [message.seq for message in read] == list(range(1, newest.head_seq + 1))
    assert len({message.id for message in read}) == len(read)


@pytest.mark.parametrize("anchor", ["before", "after", "around", "at"])
async def test_every_anchor_shows_what_a_slice_would(people: People, anchor: Anchor) -> None:
    """R10: each anchor, at every kind of place, equals the same slice of the whole."""
    ada = await people.one()
    length = 45
    chat = await _filled(ada, length=length)
    seqs = [message.seq for message in await whole(ada.client, chat, min_offset=ada.client.offset)]
    assert seqs == list(range(1, length + 1))

    for limit in (1, 2, 7, 44, 45, 200):
        for seq in (1, 2, 8, 22, 44, 45):
            page = await ada.client.history(chat, anchor=anchor, seq=seq, limit=limit)

            assert [message.seq for message in page.items] in _slices(length, anchor=anchor, seq=seq, limit=limit)
            assert (page.head_seq, page.first_seq) == (length, 1)


def _slices(length: int, *, anchor: Anchor, seq: int, limit: int) -> list[list[int]]:
    """Return what a page may be: one stretch, except that an even `around` has two middles."""
    every = list(range(1, length + 1))
    match anchor:
        case "before":
            return [every[: seq - 1][-limit:]]
        case "after":
            return [every[seq:][:limit]]
        case "at":
            return [every[seq - 1 :][:limit]]
        case "around":
            size = min(limit, length)
            firsts = {min(max(1, seq - below), length - size + 1) for below in (size // 2, (size - 1) // 2)}
            return [list(range(first, first + size)) for first in firsts]


async def test_no_anchor_is_the_newest_and_an_empty_chat_is_empty(people: People) -> None:
    """API section 2: none = the newest; an empty chat has `head_seq` 0."""
    ada = await people.one()
    chat = (await ada.client.create_chat("group", title="g")).id

    empty = await ada.client.history(chat)
    sent = [await ada.client.send(chat, str(n)) for n in range(5)]
    newest = await ada.client.history(chat, limit=2, min_offset=sent[-1].offset)

    assert (empty.items, empty.head_seq, empty.first_seq) == ((), 0, 0)
    assert [message.id for message in newest.items] == [each.id for each in sent[-2:]]
    assert newest.items[0].seq == 4


@pytest.mark.parametrize(
    "query",
    [
        "before=0",
        "before=-1",
        "after=-1",
        "at=0",
        "around=0",
        "limit=0",
        "limit=201",
        "limit=x",
        "before=x",
        "before=2&after=1",
        "at=1&around=1",
        "other=1",
        "min_offset=-1",
    ],
)
async def test_a_question_out_of_range_is_refused_with_its_place(people: People, query: str) -> None:
    """API sections 1 and 2: 422 `request.invalid`, never 400."""
    ada = await people.one()
    chat = (await ada.client.create_chat("group", title="g")).id

    answer = await ada.ask("GET", f"/v1/chats/{chat}/messages?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), answer.text
    assert answer.json()["errors"]
