"""R21: who has seen a message, and whom it reached, equals brute force."""

import asyncio
import random
from dataclasses import dataclass
from functools import partial

import pytest

from petit.client import every
from petit.contracts.ids import UserId
from petit.contracts.resources import Message, SeenBy
from tests.e2e.history import whole
from tests.e2e.people import People, Person
from tests.e2e.scale import scaled, within
from tests.e2e.stack import Stack
from tests.e2e.waiting import eventually
from tests.e2e.watching import watching

MEMBERS = scaled(30, full=999)  # and the owner: as many as a group holds
MESSAGES = scaled(50, full=10_000)
MOVES = scaled(150, full=10_000)
COALESCED_S = 2.0


async def _views(person: Person, message: Message) -> dict[UserId, SeenBy]:
    pages = every(lambda cursor: person.client.views(message.chat, message.id, cursor=cursor, limit=20))
    listed = [seen async for seen in pages]
    assert len({seen.user for seen in listed}) == len(listed)
    return {seen.user: seen for seen in listed}


@dataclass(frozen=True, slots=True)
class Markers:
    """How far everybody is, by brute force."""

    seen: dict[UserId, int]
    delivered: dict[UserId, int]

    def of(self, message: Message) -> dict[UserId, tuple[bool, bool]]:
        """Return whether each but the author has seen a message, and whether it reached them."""
        return {
            user: (seq >= message.seq, max(seq, self.delivered[user]) >= message.seq)
            for user, seq in self.seen.items()
            if user != message.by
        }


@pytest.mark.proof
@within(90)
async def test_views_of_every_message_equal_brute_force(people3: People) -> None:
    """R21: random views and deliveries, forward and back, by 30 members in 50 messages (999 in 10,000 in full)."""
    chance = random.Random(21)
    owner, *members = await people3(1 + MEMBERS)
    everybody = [owner, *members]
    chat = (await owner.client.create_chat("group", title="g", members=[m.id for m in members])).id
    markers = Markers(dict.fromkeys((each.id for each in everybody), 0), dict.fromkeys((e.id for e in everybody), 0))
    for seq in range(1, MESSAGES + 1):
        author = chance.choice(everybody)
        await author.client.send(chat, str(seq))
        markers.seen[author.id] = seq
    newest = max(each.client.offset for each in everybody)
    messages = await whole(owner.client, chat, min_offset=newest)

    async def move(person: Person) -> None:
        seq = chance.randint(1, MESSAGES)
        if chance.random() < 0.5:
            await person.client.view(chat, seq)
            markers.seen[person.id] = max(markers.seen[person.id], seq)
        else:
            await person.client.delivered(chat, seq)
            markers.delivered[person.id] = max(markers.delivered[person.id], seq)

    for _ in range(0, MOVES, 10):
        await asyncio.gather(*map(move, chance.sample(everybody, 10)))

    for message in messages if len(messages) <= 50 else chance.sample(messages, 50):
        # What was coalesced is published when its two seconds are over.
        await eventually(
            partial(_agrees, owner, message, markers),
            within_s=COALESCED_S + 8,
            what=f"views of {message.seq} are right",
        )


async def _agrees(person: Person, message: Message, markers: Markers) -> bool:
    listed = await _views(person, message)
    return {user: (each.seen, each.delivered) for user, each in listed.items()} == markers.of(message)


async def test_a_marker_never_goes_back_and_the_first_view_is_stored_at_once(people: People) -> None:
    """R21: `PUT view` answers with an offset, a repeat or a step back does nothing, another device follows."""
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
    sent = [await bob.client.send(chat, str(number)) for number in range(5)]

    async with watching(ada) as adas_other_device, watching(bob) as bob_sees:
        first = await ada.ask("PUT", f"/v1/chats/{chat}/view", json={"seq": 3})
        back = await ada.ask("PUT", f"/v1/chats/{chat}/view", json={"seq": 2})
        (mine,) = await adas_other_device.until_type(chat, "view")
        (shown,) = await bob_sees.until_type(chat, "view")
    read = await ada.client.chat(chat, min_offset=int(first.headers["Petit-Offset"]))

    assert (first.status_code, back.status_code) == (204, 204)
    assert int(first.headers["Petit-Offset"]) > sent[-1].offset
    assert mine["offset"] == shown["offset"] == int(first.headers["Petit-Offset"])
    assert (shown["by"], shown["data"]["seq"]) == (ada.id, 3)
    assert (read.marker, read.unread) == (3, 2)


async def test_many_views_in_two_seconds_are_two_signals(stack: Stack, people: People) -> None:
    """R21: the first is published at once, then only the furthest of those that were coalesced, by each gateway."""
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
    for number in range(20):
        await bob.client.send(chat, str(number))

    async with watching(bob) as bob_sees:
        for seq in range(1, 21):
            assert (await ada.ask("PUT", f"/v1/chats/{chat}/view", json={"seq": seq})).status_code == 204
        await bob_sees.until(lambda _: any(signal["data"].get("seq") == 20 for signal in bob_sees.of(chat)))

    seqs = [signal["data"]["seq"] for signal in bob_sees.of(chat)]
    assert seqs[0] == 1
    assert seqs == sorted(seqs)
    assert len(seqs) <= 2 + 2 * stack.gateways


async def test_delivered_is_told_to_those_who_look_and_kept(people: People) -> None:
    """API section 3: an `ephemeral` of type `delivered`, with no offset of its own."""
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
    sent = await bob.client.send(chat, "hi")
    await ada.client.chat(chat, min_offset=sent.offset)

    async with watching(bob) as bob_sees:
        answer = await ada.ask("PUT", f"/v1/chats/{chat}/delivered", json={"seq": 1})
        note = await bob_sees.until(lambda frame: frame.event == "ephemeral")

    assert (answer.status_code, "Petit-Offset" in answer.headers) == (204, False)
    assert (note.data["type"], note.data["chat"], note.data["by"]) == ("delivered", chat, ada.id)
    assert "offset" not in note.data
    message = await bob.client.message(chat, sent.id)
    assert await _views(bob, message) == {ada.id: SeenBy(user=ada.id, seen=False, delivered=True)}


@pytest.mark.parametrize("body", [{"seq": -1}, {"seq": 2}, {"seq": "1"}, {"seq": 1.5}, {}, {"seq": 1, "x": 1}])
async def test_a_marker_beyond_what_there_is_is_refused(people: People, body: dict[str, object]) -> None:
    """API section 1: out of range is 422, and moves nothing."""
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
    await bob.client.send(chat, "hi")

    for route in ("view", "delivered"):
        answer = await ada.ask("PUT", f"/v1/chats/{chat}/{route}", json=body)

        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), route
    assert (await ada.client.chat(chat)).marker == 0
