"""R11: what a join answers and what the stream brings from its cursor on are one history without a gap."""

import asyncio
from typing import Any

import pytest

from petit.contracts.resources import JoinAnswer
from tests.e2e.people import People, Person
from tests.e2e.scale import scaled, within
from tests.e2e.watching import watching
from tests.e2e.wire import Transport, opened, signals
from tests.e2e.writing import writing

JOINERS = scaled(12, full=50)
JOINS_EACH = scaled(5, full=20)
LIVE = 5
"""Messages to read from the stream after each join."""


async def _join_and_read(person: Person, *, room: str, transport: Transport) -> tuple[JoinAnswer, list[dict[str, Any]]]:
    answer = await person.client.join(room)
    live = []
    token = await person.token()
    async with opened(transport, person.client.base_url, token=token, cursor=answer.cursor) as wire:
        async for frame in signals(wire):
            live.append(frame.data)
            if sum(signal["type"] == "msg" for signal in live) == LIVE:
                break
    return answer, live


@pytest.mark.proof
@within(90)
async def test_joining_under_a_writer_leaves_no_gap_between_recent_and_stream(people3: People) -> None:
    """R11: 60 joins (1,000 in the full run) while somebody writes; recent and stream are contiguous each time."""
    owner, *joiners = await people3(1 + JOINERS)
    room = (await owner.client.create_chat("room", title="r")).id

    async def come_and_go(person: Person, transport: Transport) -> None:
        for _ in range(JOINS_EACH):
            answer, live = await _join_and_read(person, room=room, transport=transport)

            recent = [message.seq for message in answer.recent]
            assert len(recent) == min(50, recent[-1] if recent else 0)
            messages = [signal for signal in live if signal["type"] == "msg"]
            seqs = recent + [message["seq"] for message in messages]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
            assert all(message.offset < live[0]["offset"] for message in answer.recent)
            assert answer.chat.role == "member"
            assert not [s for s in live if s["type"] == "joined" and s["data"]["user"] == person.id], (
                "before the cursor"
            )
            await person.client.leave(room)

    async with writing(owner, room), asyncio.TaskGroup() as tasks:
        for number, joiner in enumerate(joiners):
            tasks.create_task(come_and_go(joiner, "ws" if number % 2 else "sse"))


async def test_joining_answers_the_newest_fifty_ascending(people: People) -> None:
    """R11: `recent` is what history would show now."""
    ada, bob = await people(2)
    room = (await ada.client.create_chat("room", title="r")).id
    sent = [await ada.client.send(room, str(n)) for n in range(60)]

    answer = await bob.client.join(room)

    assert [message.id for message in answer.recent] == [each.id for each in sent[-50:]]
    assert answer.chat.members_count == 2
    assert answer.chat.head_seq == 60
    assert answer.recent == (await bob.client.history(room)).items


async def test_joining_again_answers_alike_and_joins_nobody(people: People) -> None:
    """API section 1: a repeat answers the first's offset or a later one; there is one `joined`."""
    ada, bob = await people(2)
    room = (await ada.client.create_chat("room", title="r")).id

    async with watching(ada) as ada_sees:
        first = await bob.ask("POST", f"/v1/chats/{room}/join")
        again = await bob.ask("POST", f"/v1/chats/{room}/join")
        await ada_sees.caught_up()

    assert (first.status_code, again.status_code) == (200, 200)
    assert int(again.headers["Petit-Offset"]) >= int(first.headers["Petit-Offset"])
    assert again.json()["chat"]["joined_offset"] == first.json()["chat"]["joined_offset"]
    assert ada_sees.types(room) == ["joined"]


async def test_what_is_no_room_cannot_be_joined(people: People) -> None:
    """API section 1: a group that one is not in does not exist."""
    ada, bob = await people(2)
    group = (await ada.client.create_chat("group", title="g")).id

    answer = await bob.ask("POST", f"/v1/chats/{group}/join")

    assert (answer.status_code, answer.json()["code"]) == (404, "chat.not_found")
