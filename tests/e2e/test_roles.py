"""Who may do what in a chat: roles, names, succession, sizes (API section 2)."""

import asyncio
from typing import Any, Final

import pytest

from tests.e2e.people import People, Person
from tests.e2e.watching import watching

FULL: Final = 1_000
Verdict = tuple[int, str]


class House:
    """A group with two owners, two moderators and two members, in the order in which they came."""

    def __init__(self, chat: str, *, people: dict[str, Person]) -> None:
        self.chat = chat
        self.people = people

    async def ask(self, who: str, request: str, body: dict[str, Any] | None = None) -> Verdict:
        """Ask as somebody, as in `POST /members`, and return status and code."""
        method, _, path = request.partition(" ")
        options = {} if body is None else {"json": body}
        answer = await self.people[who].ask(method, f"/v1/chats/{self.chat}{path}", **options)
        return answer.status_code, answer.json().get("code", "") if answer.content else ""

    def id(self, who: str) -> str:
        """Return somebody's user id."""
        return self.people[who].id

    async def roles(self) -> dict[str, str]:
        """Return everybody's role now."""
        client = next(iter(self.people.values())).client
        names = {person.id: name for name, person in self.people.items()}
        offset = max(person.client.offset for person in self.people.values())
        members = (await client.members(self.chat, min_offset=offset)).items
        return {names[member.user]: member.role for member in members}


async def _house(people: People, **roles: str) -> House:
    """Make a group: the first is its creator and owner; the others come one after the other."""
    names = list(roles)
    crowd = dict(zip(names, await people(len(names)), strict=True))
    owner = crowd[names[0]]
    chat = (await owner.client.create_chat("group", title="g")).id
    house = House(chat, people=crowd)
    for name in names[1:]:
        await owner.client.invite(chat, crowd[name].id)
        if roles[name] != "member":
            assert await house.ask(names[0], f"PATCH /members/{crowd[name].id}", {"role": roles[name]}) == (200, "")
    return house


FORBIDDEN: Final[Verdict] = (403, "role.required")


async def test_a_member_may_speak_and_invite_and_no_more(people: People) -> None:
    """API section 2, 403 `role.required`: not rename, remove or appoint."""
    house = await _house(people, owner="owner", mod="moderator", ann="member", ben="member")
    guest = await people.one()

    assert await house.ask("ann", "PATCH ", {"title": "t"}) == FORBIDDEN
    for target in ("owner", "mod", "ben"):
        assert await house.ask("ann", f"DELETE /members/{house.id(target)}") == FORBIDDEN
        assert await house.ask("ann", f"PATCH /members/{house.id(target)}", {"role": "member"}) == FORBIDDEN
    assert await house.ask("ann", f"PATCH /members/{house.id('ann')}", {"role": "owner"}) == FORBIDDEN
    assert await house.ask("ann", "POST /members", {"user": guest.id}) == (201, "")
    assert await house.ask("ann", "POST /messages", {"text": "hi"}) == (201, "")


async def test_a_moderator_renames_and_removes_members(people: People) -> None:
    """API section 2: but neither removes their like or an owner, nor appoints."""
    house = await _house(people, owner="owner", mod="moderator", max="moderator", ann="member")

    assert await house.ask("mod", "PATCH ", {"title": "t", "about": "a"}) == (200, "")
    for target in ("owner", "max"):
        assert await house.ask("mod", f"DELETE /members/{house.id(target)}") == FORBIDDEN
    assert await house.ask("mod", f"PATCH /members/{house.id('ann')}", {"role": "moderator"}) == FORBIDDEN
    assert await house.ask("mod", f"DELETE /members/{house.id('ann')}") == (204, "")
    assert await house.roles() == {"owner": "owner", "mod": "moderator", "max": "moderator"}


async def test_an_owner_does_everything_but_go_without_an_heir(people: People) -> None:
    """API section 2: appoints and removes anybody; the last owner cannot step down."""
    house = await _house(people, owner="owner", mod="moderator", ann="member")

    assert await house.ask("owner", f"PATCH /members/{house.id('owner')}", {"role": "member"}) == (
        409,
        "conflict.state",
    )
    assert await house.ask("owner", f"PATCH /members/{house.id('ann')}", {"role": "owner"}) == (200, "")
    assert await house.ask("owner", f"PATCH /members/{house.id('owner')}", {"role": "member"}) == (200, "")
    assert await house.ask("ann", f"DELETE /members/{house.id('mod')}") == (204, "")
    assert await house.ask("ann", f"DELETE /members/{house.id('mod')}") == (404, "user.not_found")
    assert await house.ask("ann", f"PATCH /members/{house.id('mod')}", {"role": "member"}) == (404, "user.not_found")
    assert await house.roles() == {"owner": "member", "ann": "owner"}


async def test_when_the_last_owner_goes_the_longest_standing_moderator_takes_over(people: People) -> None:
    """API section 2: a moderator before members, however long they are there; the `left` says who."""
    house = await _house(people, owner="owner", ann="member", mod="moderator", max="moderator")

    async with watching(house.people["ann"]) as ann_sees:
        await house.people["owner"].client.leave(house.chat)
        (left,) = await ann_sees.until_type(house.chat, "left")

    del house.people["owner"]
    assert await house.roles() == {"ann": "member", "mod": "owner", "max": "moderator"}
    assert left["data"]["owner"] == house.id("mod")


async def test_without_moderators_the_longest_standing_member_takes_over(people: People) -> None:
    """API section 2: and when nobody is left, the chat is readable to nobody."""
    house = await _house(people, owner="owner", ann="member", ben="member")
    owner, ann, ben = (house.people[name] for name in ("owner", "ann", "ben"))

    await owner.client.leave(house.chat)
    del house.people["owner"]
    after_one = await house.roles()
    await ann.client.leave(house.chat)
    await ben.client.leave(house.chat)

    assert after_one == {"ann": "owner", "ben": "member"}
    for each in (owner, ann, ben):
        assert (await each.ask("GET", f"/v1/chats/{house.chat}/messages")).status_code == 404


async def test_an_owner_who_is_not_the_last_goes_without_an_heir(people: People) -> None:
    """API section 2: nobody is promoted while there is an owner."""
    house = await _house(people, owner="owner", oli="owner", mod="moderator")

    await house.people["owner"].client.leave(house.chat)
    del house.people["owner"]

    assert await house.roles() == {"oli": "owner", "mod": "moderator"}


async def test_an_empty_room_is_delisted(people: People) -> None:
    """API section 2: found by the beginning of its title while somebody is in it, and not joinable afterwards."""
    ada, bob = await people(2)
    title = f"Room {ada.username}"
    room = (await ada.client.create_chat("room", title=title)).id

    listed = [each.id for each in (await bob.client.rooms(title[:12].lower())).items]
    await ada.client.leave(room)
    answer = await bob.ask("GET", f"/v1/rooms?q={title}&min_offset={ada.client.offset}")

    assert room in listed
    assert answer.json()["items"] == []
    assert (await bob.ask("POST", f"/v1/chats/{room}/join")).status_code == 404
    assert (await bob.ask("GET", f"/v1/chats/{room}")).status_code == 404


async def test_a_change_of_name_shows_on_streams_and_in_lists(people: People) -> None:
    """API section 4: `chat.updated` carries the changed fields only."""
    ada, bob = await people(2)
    chat = (await ada.client.create_chat("group", title="old", members=[bob.id])).id

    async with watching(bob) as bob_sees:
        changed = await ada.client.update(chat, title="new")
        await ada.client.update(chat, about="about us")
        first, second = await bob_sees.until_type(chat, "chat.updated", count=2)

    assert (first["data"], second["data"]) == ({"title": "new"}, {"about": "about us"})
    assert (changed.title, changed.about) == ("new", None)
    listed = (await bob.client.chats(min_offset=ada.client.offset)).items[0]
    assert (listed.title, listed.about) == ("new", "about us")


@pytest.mark.timeout(120)
async def test_a_group_holds_a_thousand(people: People) -> None:
    """API section 2: the 1,001st is 409 `chat.full`, however they come; who leaves makes room."""
    owner, last, late = await people(3)
    crowd = await people.without_login(FULL - 2)
    chat = (await owner.client.create_chat("group", title="full", members=crowd)).id

    answers = await asyncio.gather(
        *(owner.ask("POST", f"/v1/chats/{chat}/members", json={"user": each.id}) for each in (last, late))
    )
    verdicts = sorted((answer.status_code, answer.json().get("code", "")) for answer in answers)
    too_many = await owner.ask(
        "POST", "/v1/chats", json={"kind": "group", "title": "g", "members": [*crowd, last.id, late.id]}
    )

    assert verdicts == [(201, ""), (409, "chat.full")]
    assert (too_many.status_code, too_many.json()["code"]) in {(409, "chat.full"), (422, "request.invalid")}
    assert (await owner.client.chat(chat, min_offset=owner.client.offset)).members_count == FULL
    await owner.client.remove(chat, crowd[0])
    full_again = [await owner.ask("POST", f"/v1/chats/{chat}/members", json={"user": each.id}) for each in (last, late)]
    assert sorted(answer.status_code for answer in full_again) == [201, 409]
