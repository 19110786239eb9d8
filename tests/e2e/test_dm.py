"""R06: a dm is one chat for its two members, however many create it at once."""

import asyncio
from itertools import combinations

import pytest

from petit.contracts.ids import dm_chat_id
from tests.e2e.people import People, Person
from tests.e2e.scale import scaled, within
from tests.e2e.watching import watching

RACES = scaled(24, full=1_000)
AT_ONCE = 100


async def _create(person: Person, other: Person) -> tuple[int, str]:
    answer = await person.ask("POST", "/v1/chats", json={"kind": "dm", "members": [other.id]})
    return answer.status_code, answer.json()["id"]


@within(120)
async def test_a_thousand_racing_creations_make_one_dm(people3: People) -> None:
    """R06: ada and bob create their dm 500 times each, all at once, on three edges."""
    ada, bob = await people3(2)

    async with watching(ada) as ada_sees, watching(bob) as bob_sees:
        permits = asyncio.Semaphore(AT_ONCE)

        async def create(one: Person, other: Person) -> tuple[int, str]:
            async with permits:
                return await _create(one, other)

        answers = await asyncio.gather(*(create(*pair) for _ in range(500) for pair in ((ada, bob), (bob, ada))))
        await asyncio.gather(ada_sees.caught_up(), bob_sees.caught_up())

    (chat,) = {chat for _, chat in answers}
    assert chat == dm_chat_id(ada.id, bob.id)
    assert {status for status, _ in answers} == {200, 201}
    assert ada_sees.types(chat) == bob_sees.types(chat) == ["chat.created"]
    for person in (ada, bob):
        mine = await person.client.chats(min_offset=person.client.offset)
        assert [each.id for each in mine.items if each.kind == "dm"] == [chat]


@pytest.mark.proof
@within(60)
async def test_both_sides_of_many_dms_create_them_at_once(people3: People) -> None:
    """R06: each of many pairs races once from both sides; each race makes one chat and one `201`."""
    crowd = await people3(next(size for size in range(2, 100) if size * (size - 1) // 2 >= RACES))
    pairs = list(combinations(crowd, 2))[:RACES]

    for one, other in pairs:
        (status, chat), (other_status, other_chat) = await asyncio.gather(_create(one, other), _create(other, one))

        assert chat == other_chat
        assert sorted((status, other_status)) == [200, 201]


async def test_a_dm_is_found_by_either_side_and_by_nobody_else(people: People) -> None:
    """R06: what one created, the other gets by creating it; a third sees nothing."""
    ada, bob, cat = await people(3)

    created = await ada.client.create_chat("dm", members=[bob.id])
    again = await bob.client.create_chat("dm", members=[ada.id])

    assert again.id == created.id
    assert {member.user for member in (await bob.client.members(created.id)).items} == {ada.id, bob.id}
    assert (await cat.ask("GET", f"/v1/chats/{created.id}")).status_code == 404
    assert [chat.id for chat in (await cat.client.chats()).items] == []


async def test_a_dm_takes_exactly_one_other(people: People) -> None:
    """API section 2: a dm with nobody, with oneself or with two others is not valid."""
    ada, bob, cat = await people(3)

    for members in ([], [ada.id], [bob.id, cat.id]):
        answer = await ada.ask("POST", "/v1/chats", json={"kind": "dm", "members": members})

        assert answer.status_code == 422, members
        assert answer.json()["code"] == "request.invalid"


async def test_a_dm_cannot_be_left_joined_renamed_or_enlarged(people: People) -> None:
    """API section 2: 409 `conflict.state`, each time."""
    ada, bob, cat = await people(3)
    chat = (await ada.client.create_chat("dm", members=[bob.id])).id

    for method, path, body in (
        ("POST", "/leave", None),
        ("POST", "/join", None),
        ("PATCH", "", {"title": "us"}),
        ("POST", "/members", {"user": cat.id}),
        ("DELETE", f"/members/{bob.id}", None),
        ("PATCH", f"/members/{bob.id}", {"role": "owner"}),
    ):
        answer = await ada.ask(method, f"/v1/chats/{chat}{path}", json=body)

        assert (answer.status_code, answer.json()["code"]) == (409, "conflict.state"), f"{method} {path}"
