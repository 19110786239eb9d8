"""The hub: who is written what, in which order, and what is asked of the chat service for it."""

import asyncio
from collections import Counter

import pytest

from petit.contracts.cursor import Cursor
from petit.contracts.ids import Offset, Seq, UserId
from petit.contracts.problems import Code, Refused
from petit.contracts.rpc import DeliveredNote
from petit.kit.clock import SystemClock
from petit.notifier.domain.frames import Format
from petit.notifier.domain.people import BEHIND
from services.notifier.tests.world import EPOCH, World, chat_id, eventually, stage

ROOM, OTHER, BIG = chat_id(1), chat_id(2), chat_id(3)
EVERY_FORMAT = list(Format)


def cursor(offset: int) -> str:
    return str(Cursor(EPOCH, Offset(offset)))


@pytest.mark.parametrize("form", EVERY_FORMAT)
async def test_a_stream_that_starts_now_says_hello_and_then_what_comes(form: Format) -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    world.say(ROOM, "ada")
    async with stage(world) as on:
        bob = on.connect("bob", form=form)
        await on.live(bob)
        world.say(ROOM, "ada", text="héllo\n")
        on.deliver()
        await on.live(bob)

    hello, said = bob.frames()
    assert hello.event == "hello"
    assert hello.id == hello.data["cursor"] == cursor(2)
    assert hello.data["resumed"] is False
    assert said.id == cursor(3)
    assert said.data["offset"] == 3
    assert said.data["seq"] == 2
    if form.thin:
        assert said.data["href"] == f"/v1/chats/{ROOM}/messages/{said.data['id']}?min_offset={said.data['offset']}"
        assert "data" not in said.data
    else:
        assert said.data["data"]["text"] == "héllo\n"
        assert "href" not in said.data


async def test_only_the_authors_own_devices_get_the_nonce() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        seats = [on.connect(user, form=form) for user in ("ada", "bob") for form in EVERY_FORMAT]
        await on.live(*seats)
        for text in ("one", "two"):
            world.say(ROOM, "ada", text=text, nonce=f"n-{text}")
        on.deliver()
        await on.live(*seats)

    for seat in seats:
        nonces = [frame.data.get("nonce") for frame in seat.frames()[1:]]
        assert nonces == (["n-one", "n-two"] if seat.user == "ada" else [None, None])


async def test_what_comes_together_is_written_together_and_in_order() -> None:
    world = World()
    for chat in (ROOM, OTHER, BIG):
        world.create(chat, "ada", "bob")
    world.create(chat_id(4), "cat", "ada")
    async with stage(world) as on:
        ada, bob, cat = (on.connect(user) for user in ("ada", "bob", "cat"))
        await on.live(ada, bob, cat)
        for chat in (ROOM, OTHER, BIG, chat_id(4)):
            await on.mirror.load(chat)
        writes = bob.writes
        for _ in range(5):
            for chat in (OTHER, chat_id(4), ROOM, BIG):
                world.say(chat, "ada")
        on.deliver()
        await on.live(ada, bob, cat)

    assert ada.signals() == list(range(5, 25))
    assert bob.signals() == [offset for offset in range(5, 25) if (offset - 5) % 4 != 1]
    assert cat.signals() == [offset for offset in range(5, 25) if (offset - 5) % 4 == 1]
    assert bob.writes == writes + 1


async def test_who_is_removed_sees_that_and_nothing_after() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        ada, bob = on.connect("ada"), on.connect("bob")
        await on.live(ada, bob)
        await on.mirror.load(ROOM)
        world.say(ROOM, "ada")
        world.remove(ROOM, "bob", by="ada")
        world.say(ROOM, "ada")
        on.deliver()
        await on.live(ada, bob)

    assert ada.signals() == [2, 3, 4]
    assert bob.signals() == [2, 3]


async def test_who_joins_sees_the_chat_from_there_on() -> None:
    world = World()
    world.create(ROOM, "ada")
    async with stage(world) as on:
        ada, bob = on.connect("ada"), on.connect("bob")
        await on.live(ada, bob)
        world.say(ROOM, "ada")
        world.join(ROOM, "bob")
        world.say(ROOM, "ada")
        on.deliver()
        await on.live(ada, bob)

    assert bob.signals() == [3, 4]


async def test_a_new_chat_reaches_its_members_and_no_others() -> None:
    world = World()
    async with stage(world) as on:
        seats = ada, bob, cat = on.connect("ada"), on.connect("bob"), on.connect("cat")
        await on.live(*seats)
        world.create(ROOM, "ada", "bob")
        world.say(ROOM, "bob")
        on.deliver()
        await on.live(*seats)

    assert ada.signals() == bob.signals() == [1, 2]
    assert cat.signals() == []


async def test_a_void_signal_is_shown_to_nobody_and_takes_no_seq() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        bob, eve = on.connect("bob"), on.connect("eve")
        await on.live(bob, eve)
        world.say(ROOM, "eve")
        world.say(ROOM, "ada")
        world.void(ROOM, "eve")
        on.deliver()
        await on.live(bob, eve)

    assert bob.signals() == [3]
    assert bob.frames()[-1].data["seq"] == 1
    assert eve.signals() == [4]


async def test_views_of_big_chats_go_to_the_persons_own_devices() -> None:
    world = World()
    world.create(BIG, "ada", *(f"user{n}" for n in range(32)))
    world.create(ROOM, "ada", "user1")
    async with stage(world) as on:
        one, other, user = on.connect("ada"), on.connect("ada"), on.connect("user1")
        await on.live(one, other, user)
        world.view(BIG, "ada")
        world.view(ROOM, "ada")
        on.deliver()
        await on.live(one, other, user)

    assert one.signals() == other.signals() == [3, 4]
    assert user.signals() == [4]


async def test_delivered_notes_reach_small_chats_and_claim_no_progress() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        ada = on.connect("ada")
        await on.live(ada)
        await on.mirror.load(ROOM)
        on.hub.on_delivered(DeliveredNote(chat=ROOM, by=UserId("bob"), seq=Seq(1)))
        on.hub.on_delivered(DeliveredNote(chat=ROOM, by=UserId("eve"), seq=Seq(1)))
        world.say(ROOM, "bob")
        on.deliver()
        await on.live(ada)

    _, note, said = ada.frames()
    assert (note.event, note.id) == ("ephemeral", cursor(1))
    assert note.data == {"type": "delivered", "chat": ROOM, "by": "bob", "expires_in": 60, "seq": 1}
    assert said.id == cursor(2)


async def test_a_delivered_note_of_a_chat_that_was_quiet_here_is_told_once_the_chat_is_known() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        ada = on.connect("ada")
        await on.live(ada)
        on.hub.on_delivered(DeliveredNote(chat=ROOM, by=UserId("bob"), seq=Seq(1)))
        async with asyncio.timeout(5):
            while len(ada.frames()) < 2:  # noqa: ASYNC110 - hello, and the note
                await asyncio.sleep(0)

    assert [frame.data["by"] for frame in ada.frames() if frame.event == "ephemeral"] == ["bob"]


async def test_a_resume_from_the_ring_asks_nobody() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        bob = on.connect("bob")
        await on.live(bob)
        world.say(ROOM, "ada", nonce="mine")
        on.deliver()
        await on.live(bob)
        on.hub.leave(bob)
        world.say(ROOM, "ada")
        on.deliver()
        await asyncio.sleep(0)
        world.asked.clear()

        again = on.connect("bob", cursor=1)
        await on.live(again)

        assert world.asked == []
    assert again.frames()[0].data["resumed"] is True
    assert again.frames()[0].id == cursor(1)
    assert again.signals() == [2, 3]
    assert bob.frames()[1] == again.frames()[1]


async def test_thousands_who_come_back_to_another_process_share_one_request_per_chat() -> None:
    world = World()
    users = [f"user{n}" for n in range(600)]
    world.create(ROOM, *users[:300])
    world.create(OTHER, *users[300:])
    for n in range(10):
        world.say(ROOM, users[n])
        world.say(OTHER, users[300 + n])
    async with stage(world) as on:
        seats = [on.connect(user, cursor=2 + n % 5) for n, user in enumerate(users)]
        await on.live(*seats)

    asked = Counter(method for method, _ in world.asked)
    assert asked["backlog"] == 2
    assert asked["memberships"] == 2  # of 500 people at most
    assert all(seat.signals() == seat_expects(seat.user, 2 + n % 5) for n, seat in enumerate(seats))


def seat_expects(user: str, seen: int) -> list[int]:
    first = 3 if int(user.removeprefix("user")) < 300 else 4
    return [offset for offset in range(first, 23, 2) if offset > seen]


async def test_more_than_a_thousand_missed_signals_of_a_chat_are_a_gap() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    world.create(OTHER, "ada", "bob")
    for _ in range(1_005):
        world.say(ROOM, "ada")
    world.say(OTHER, "ada")
    async with stage(world) as on:
        bob = on.connect("bob", cursor=2)
        await on.live(bob)
        exactly = on.connect("bob", cursor=7)
        await on.live(exactly)

    hello, gap, *rest = bob.frames()
    assert (hello.event, gap.event) == ("hello", "gap")
    assert gap.id == cursor(2)
    assert gap.data == {"chat": ROOM, "after_offset": 2, "to_offset": 7, "href": f"/v1/chats/{ROOM}/messages?after=0"}
    assert [frame.data["offset"] for frame in rest] == list(range(8, 1_009))
    assert exactly.events().count("gap") == 0
    assert exactly.signals() == list(range(8, 1_009))


async def test_while_the_chat_service_is_down_known_chats_go_on() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    world.create(OTHER, "bob", "cat")
    async with stage(world) as on:
        ada, bob = on.connect("ada"), on.connect("bob")
        await on.live(ada, bob)
        await on.mirror.load(ROOM)
        world.down = True
        world.say(ROOM, "ada")
        on.deliver()
        await on.live(ada, bob)
        assert bob.signals() == ada.signals() == [3]

        world.say(OTHER, "cat")  # a chat that is not held: bob waits, ada does not
        world.say(ROOM, "ada")
        on.deliver()
        await on.live(ada)
        assert ada.signals() == [3, 5]
        assert bob.signals() == [3]

        world.down = False
        await on.live(bob)
    assert bob.signals() == [3, 4, 5]


async def test_nobody_is_told_hello_or_a_heartbeat_while_the_feed_is_not_current() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        ada = on.connect("ada")
        await on.live(ada)
        world.current = False
        bob = on.connect("bob")
        for _ in range(20):
            await asyncio.sleep(0)
        assert bob.written == b""

        world.current = True
        await on.live(bob)
    assert bob.events() == ["hello"]


async def test_a_cursor_ahead_of_this_process_waits_for_it() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        world.say(ROOM, "ada")
        world.say(ROOM, "ada")
        bob = on.connect("bob", cursor=2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert bob.mark == BEHIND

        on.deliver()
        await on.live(bob)
    assert bob.signals() == [3]


async def test_a_crowded_connection_is_given_its_backlog_as_it_reads() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    for _ in range(300):
        world.say(ROOM, "ada", text="x" * 1_000)
    async with stage(world) as on:
        bob = on.connect("bob", cursor=1)
        bob.crowded = True
        await eventually(bob.signals)
        first = len(bob.signals())
        assert first < 100

        bob.crowded = False
        on.hub.drained(bob)
        await on.live(bob)
    assert bob.signals() == list(range(2, 302))


async def test_a_token_is_renewed_by_its_own_person_only() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        ada = on.connect("ada", lasts_s=5)
        await on.live(ada)

        left = on.hub.renew(ada.connection, user=UserId("ada"), session="new", expires_at=on_time(100))
        with pytest.raises(Refused) as refused:
            on.hub.renew(ada.connection, user=UserId("bob"), session="s", expires_at=on_time(100))

    assert left in {99, 100}
    assert ada.session == "new"
    assert refused.value.code is Code.ROUTE_NOT_FOUND


@pytest.mark.parametrize(("session", "ended"), [("s", [True, False]), ("other", [False, True]), (None, [True, True])])
async def test_a_log_in_that_is_over_ends_its_connections(*, session: str | None, ended: list[bool]) -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        one, other, bob = on.connect("ada"), on.connect("ada"), on.connect("bob")
        other.session = "other"
        await on.live(one, other, bob)
        offsets = [world.say(ROOM, "bob")]
        on.deliver()
        await on.live(one, other, bob)
        offsets.append(world.say(ROOM, "bob"))
        on.deliver()

        on.hub.revoke(UserId("ada"), session=session)

    assert [seat.ended == (4401, False) for seat in (one, other)] == ended
    assert bob.ended is None
    assert one.signals() == other.signals() == offsets, "what came before is written before"


async def test_draining_says_bye_to_all_and_sends_newcomers_away() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with stage(world) as on:
        ada = on.connect("ada")
        await on.live(ada)
        draining = asyncio.create_task(on.hub.drain())
        await asyncio.sleep(0)
        assert ada.ended == (1001, True)

        on.hub.leave(ada)
        await asyncio.wait_for(draining, 1)
        late = on.connect("ada")
        assert late.ended == (1001, True)


def on_time(seconds: float) -> float:
    return SystemClock().now_ms() / 1000 + seconds
