"""R31: who came and who went, as an exact sequence on everybody's stream."""

import pytest

from petit.client import NotFound
from tests.e2e.people import People
from tests.e2e.stack import Stack
from tests.e2e.watching import Watch, watching
from tests.e2e.wire import Transport, opened, signals
from tests.e2e.writing import until_written, writing

BOTH: tuple[Transport, ...] = ("sse", "ws")
Came = tuple[str, str, str, str]
"""Type, who did it, whom it is about, how."""


def comings(watch: Watch, chat: str) -> list[Came]:
    """Return what a stream said about who came and went."""
    return [
        (signal["type"], signal["by"], signal["data"]["user"], signal["data"]["how"])
        for signal in watch.of(chat)
        if signal["type"] in {"joined", "left"}
    ]


@pytest.mark.parametrize("transport", BOTH)
async def test_join_leave_invite_and_kick_are_one_signal_each(people3: People, transport: Transport) -> None:
    """R31: the members see the whole sequence, who comes and goes sees what concerns them, a stranger nothing."""
    owner, member, guest, stranger = await people3(4)
    room = (await owner.client.create_chat("room", title="r", members=[member.id])).id

    async with (
        watching(owner, transport=transport) as owner_sees,
        watching(member) as member_sees,
        watching(guest, transport=transport) as guest_sees,
        watching(stranger) as stranger_sees,
    ):
        # What a stream catches up on is seen with the eyes of now; live is what this is about.
        await guest_sees.caught_up()
        await guest.client.join(room)
        first = await owner.client.send(room, "welcome")
        await guest.client.leave(room)
        await owner.client.send(room, "who was that?")
        await owner.client.invite(room, guest.id)
        second = await owner.client.send(room, "back again")
        await owner.client.remove(room, guest.id)
        await owner.client.send(room, "peace at last")
        for watch in (owner_sees, member_sees, guest_sees, stranger_sees):
            await watch.caught_up()

    sequence = [
        ("joined", guest.id, guest.id, "join"),
        ("left", guest.id, guest.id, "leave"),
        ("joined", owner.id, guest.id, "invite"),
        ("left", owner.id, guest.id, "removed"),
    ]
    for watch in (owner_sees, member_sees, guest_sees):
        assert comings(watch, room) == sequence
    assert owner_sees.of(room) == member_sees.of(room)
    assert owner_sees.types(room) == ["joined", "msg", "left", "msg", "joined", "msg", "left", "msg"]
    assert guest_sees.types(room) == ["joined", "msg", "left", "joined", "msg", "left"]
    assert [s["id"] for s in guest_sees.of(room) if s["type"] == "msg"] == [first.id, second.id]
    assert stranger_sees.of(room) == []


async def test_an_ex_member_sees_only_their_own_left_when_they_come_back(people3: People) -> None:
    """R31: from a cursor before it all, an ex-member's stream has their own `left` and nothing else of the chat."""
    owner, guest = await people3(2)
    room = (await owner.client.create_chat("room", title="r")).id
    async with opened("sse", guest.client.base_url, token=await guest.token()) as wire:
        cursor = (await wire.frame()).id
    await guest.client.join(room)
    await owner.client.send(room, "for members")
    await guest.client.send(room, "mine")
    await owner.client.remove(room, guest.id)
    await owner.client.send(room, "after")

    for transport in BOTH:
        async with watching(guest, transport=transport, cursor=cursor) as guest_sees:
            await guest_sees.caught_up()

        assert comings(guest_sees, room) == [("left", owner.id, guest.id, "removed")]
        assert guest_sees.types(room) == ["left"]


@pytest.mark.parametrize("transport", BOTH)
async def test_a_removal_cuts_what_is_live_at_once(people3: People, transport: Transport) -> None:
    """R31: while somebody writes, nothing that is stored after the `left` reaches who was removed."""
    owner, guest = await people3(2)
    chat = (await owner.client.create_chat("group", title="g", members=[guest.id])).id

    async with watching(guest, transport=transport) as guest_sees:
        async with writing(owner, chat, pause_s=0.002) as sent:
            await until_written(sent, more=20)
            answer = await owner.ask("DELETE", f"/v1/chats/{chat}/members/{guest.id}")
            await until_written(sent, more=20)
        await guest_sees.caught_up()

    removed_at = int(answer.headers["Petit-Offset"])
    assert guest_sees.types(chat)[-1] == "left"
    assert guest_sees.of(chat)[-1]["offset"] == removed_at
    assert [s["id"] for s in guest_sees.of(chat)[:-1]] == [each.id for each in sent if each.offset < removed_at]
    with pytest.raises(NotFound):
        await guest.client.history(chat)


async def test_who_is_in_a_new_chat_hears_of_it_without_joining(people3: People) -> None:
    """API section 3: a `chat.created` with me among its members starts that chat on my stream."""
    ada, bob, cat = await people3(3)

    async with watching(bob) as bob_sees, watching(cat, transport="ws") as cat_sees:
        chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id
        sent = await ada.client.send(chat, "hello")
        await bob_sees.caught_up()
        await cat_sees.caught_up()

    assert bob_sees.types(chat) == ["chat.created", "msg"]
    created = bob_sees.of(chat)[0]["data"]
    assert (created["kind"], created["title"]) == ("group", "g")
    assert set(created["members"]) == {ada.id, bob.id}
    assert bob_sees.of(chat)[1]["id"] == sent.id
    assert cat_sees.of(chat) == []


async def test_members_are_listed_longest_standing_first_and_paged(people: People) -> None:
    """API section 2: each member once, with role and time of joining; `next` is null at the end."""
    owner, *others = await people(7)
    room = (await owner.client.create_chat("room", title="r")).id
    for each in others:
        await each.client.join(room)

    first = await owner.client.members(room, limit=3)
    second = await owner.client.members(room, limit=3, cursor=first.next)
    third = await owner.client.members(room, limit=3, cursor=second.next)

    listed = [*first.items, *second.items, *third.items]
    assert [member.user for member in listed] == [owner.id, *(each.id for each in others)]
    assert [member.role for member in listed] == ["owner", *["member"] * 6]
    assert [member.joined_at for member in listed] == sorted(member.joined_at for member in listed)
    assert third.next is None


@pytest.mark.parametrize("transport", BOTH)
async def test_what_somebody_does_on_one_device_shows_on_their_other(
    stack: Stack, people: People, transport: Transport
) -> None:
    """R31: leaving shows on all of one's own devices."""
    ada, bob = await people(2)
    chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id

    async with opened(transport, stack.url, token=await bob.token()) as wire:
        await wire.frame()
        await bob.client.leave(chat)
        signal = (await anext(signals(wire))).data

    assert (signal["type"], signal["chat"], signal["data"]) == ("left", chat, {"user": bob.id, "how": "leave"})
