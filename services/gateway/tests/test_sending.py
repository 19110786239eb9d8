"""Sends: stored once, whenever a repeat comes, and only by members."""

import asyncio
import uuid

import pytest

from petit.contracts.ids import UserId, nonce_id, timestamp
from petit.contracts.problems import Code, Refused
from petit.contracts.rpc import SentAsk
from petit.gateway.app import Options
from services.gateway.tests.edge import NO_CHAT, Edge, code, edge, problem

ADA = UserId("ada")


async def test_a_send_answers_where_it_is_stored(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])

    response = await world.send("bob", chat, text="hello", nonce="n-1")

    assert response.status_code == 201
    body = response.json()
    assert set(body) == {"id", "chat", "by", "at", "offset", "nonce"}
    assert (body["chat"], body["by"], body["nonce"]) == (chat, "bob", "n-1")
    assert body["at"] == timestamp(world.clock.ms)
    assert response.headers["petit-offset"] == str(body["offset"]) == str(world.log.last)


async def test_history_shows_what_was_sent(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])
    sent = (await world.send("ada", chat, text="one")).json()

    history = await world.client("bob").get(f"/v1/chats/{chat}/messages", params={"min_offset": sent["offset"]})

    assert [(one["seq"], one["text"]) for one in history.json()["items"]] == [(1, "one")]
    assert history.json()["head_seq"] == 1
    assert int(history.headers["petit-as-of"]) >= sent["offset"]


async def test_without_id_and_nonce_nothing_is_deduplicated(world: Edge) -> None:
    chat = await world.create("ada")

    one, two = await world.send("ada", chat), await world.send("ada", chat)

    assert one.status_code == two.status_code == 201
    assert one.json()["id"] != two.json()["id"]
    assert "nonce" not in one.json()


@pytest.mark.parametrize("seconds", [-29, 0, 29])
async def test_a_repeat_of_a_fresh_id_gets_the_first_answer_without_asking_chat(world: Edge, seconds: int) -> None:
    chat = await world.create("ada")
    key = world.uuid7(seconds=seconds)
    first = await world.send("ada", chat, id=key)
    world.clock.forward(seconds=0.5)
    world.chats.down = True

    again = await world.send("ada", chat, id=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert {name: again.json()[name] for name in ("id", "at", "offset")} == {
        name: first.json()[name] for name in ("id", "at", "offset")
    }


@pytest.mark.parametrize("later_s", [60, 7 * 24 * 3600])
async def test_a_repeat_after_the_dedupe_window_is_still_one_message(world: Edge, later_s: int) -> None:
    chat = await world.create("ada")
    key = world.uuid7()
    first = await world.send("ada", chat, id=key)
    world.clock.forward(seconds=later_s)

    again = await world.send("ada", chat, id=key)

    assert again.status_code == 200
    assert again.json() == first.json()
    assert world.chats.states[chat].head_seq == 1


async def test_a_first_send_with_an_old_id_is_stored(world: Edge) -> None:
    chat = await world.create("ada")

    response = await world.send("ada", chat, id=world.uuid7(seconds=-3600))

    assert response.status_code == 201


@pytest.mark.parametrize("body", [{"nonce": "n"}, {"id": str(uuid.uuid4())}, {"id": str(uuid.uuid4()), "nonce": "n"}])
async def test_a_nonce_or_an_id_that_says_no_time_is_one_message_for_ever(world: Edge, body: dict[str, str]) -> None:
    chat = await world.create("ada")
    first = await world.send("ada", chat, **body)
    world.clock.forward(seconds=3600)

    again = await world.send("ada", chat, **body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


async def test_a_plain_nonce_stands_for_a_derived_id(world: Edge) -> None:
    chat = await world.create("ada")

    response = await world.send("ada", chat, nonce="n")

    assert response.json()["id"] == nonce_id(ADA, "n")


async def test_with_both_the_id_is_the_key(world: Edge) -> None:
    chat = await world.create("ada")

    one = await world.send("ada", chat, id=world.uuid7(), nonce="n")
    two = await world.send("ada", chat, id=world.uuid7(), nonce="n")

    assert (one.status_code, two.status_code) == (201, 201)


async def test_the_same_id_is_another_message_of_another_person(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])
    key = world.uuid7()

    one, two = await world.send("ada", chat, id=key), await world.send("bob", chat, id=key)

    assert (one.status_code, two.status_code) == (201, 201)


@pytest.mark.parametrize("later_s", [0, 3600])
@pytest.mark.parametrize("change", [{"text": "other"}, {"mentions": ["bob"]}, {"reply_to": NO_CHAT}])
async def test_the_same_id_with_other_content_is_a_conflict(
    world: Edge, change: dict[str, object], later_s: int
) -> None:
    chat = await world.create("ada")
    key = world.uuid7()
    await world.send("ada", chat, id=key)
    world.clock.forward(seconds=later_s)

    response = await world.send("ada", chat, id=key, **change)

    assert code(response) == (409, "conflict.state")


async def test_the_same_id_in_another_chat_is_a_conflict(world: Edge) -> None:
    key = world.uuid7()
    await world.send("ada", await world.create("ada"), id=key)

    response = await world.send("ada", await world.create("ada"), id=key)

    assert code(response) == (409, "conflict.state")


async def test_an_id_from_the_future_is_told_the_time(world: Edge) -> None:
    chat = await world.create("ada")

    response = await world.send("ada", chat, id=world.uuid7(seconds=31))

    assert code(response) == (422, "clock.ahead")
    assert problem(response)["server_time"] == timestamp(world.clock.ms)


async def test_fresh_ids_are_stored_while_chat_is_down(world: Edge) -> None:
    chat = await world.create("ada")
    await world.send("ada", chat)
    world.chats.down = True

    response = await world.send("ada", chat, id=world.uuid7())

    assert response.status_code == 201


@pytest.mark.parametrize("body", [{"nonce": "n"}, {"id": str(uuid.uuid4())}])
async def test_what_only_chat_knows_is_unavailable_while_chat_is_down(world: Edge, body: dict[str, str]) -> None:
    chat = await world.create("ada")
    await world.send("ada", chat)
    before, world.chats.down = world.log.last, True

    response = await world.send("ada", chat, **body)

    assert code(response) == (503, "unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert world.log.last == before


@pytest.mark.parametrize("body", [{"nonce": "n"}, {"id": str(uuid.uuid4())}])
async def test_a_fold_that_is_behind_is_an_outage_to_a_write(
    world: Edge, monkeypatch: pytest.MonkeyPatch, body: dict[str, str]
) -> None:
    async def behind(ask: SentAsk) -> None:
        raise Refused(Code.READ_BEHIND, f"not at {ask.min_offset} yet", retry_after=1)

    chat = await world.create("ada")
    monkeypatch.setattr(world.chats, "sent", behind)
    monkeypatch.setattr(world.chats, "propose", behind)

    for response in (await world.send("ada", chat, **body), await world.client("ada").post(f"/v1/chats/{chat}/leave")):
        assert code(response) == (503, "unavailable")
        assert int(response.headers["retry-after"]) >= 1


async def test_an_unknown_chat_is_unavailable_while_chat_is_down(world: Edge) -> None:
    world.chats.down = True

    assert code(await world.send("ada", NO_CHAT)) == (503, "unavailable")


async def test_an_old_id_is_unavailable_while_the_feed_lags(world: Edge) -> None:
    chat = await world.create("ada")
    world.log.lag_s = 6.0

    assert code(await world.send("ada", chat, nonce="n")) == (503, "unavailable")


async def test_a_log_that_is_down_accepts_nothing(world: Edge) -> None:
    chat = await world.create("ada")
    world.log.down = True

    assert code(await world.send("ada", chat)) == (503, "unavailable")


async def test_an_append_whose_answer_was_lost_is_answered_as_a_repeat(world: Edge) -> None:
    chat = await world.create("ada")
    world.log.answers_lost = 1

    response = await world.send("ada", chat, id=world.uuid7())

    assert response.status_code == 200
    assert response.json()["offset"] == world.log.last
    assert world.chats.states[chat].head_seq == 1


async def test_a_repeat_of_an_erased_message_is_answered_from_chat(world: Edge) -> None:
    chat = await world.create("ada")
    key = world.uuid7()
    first = await world.send("ada", chat, id=key)
    del world.log.entries[first.json()["offset"]]

    again = await world.send("ada", chat, id=key)

    assert again.status_code == 200
    assert again.json() == first.json()


async def test_fifty_at_once_are_one_message(world: Edge) -> None:
    chat = await world.create("ada")
    key = world.uuid7()

    responses = await asyncio.gather(*(world.send("ada", chat, id=key) for _ in range(50)))

    assert sorted(one.status_code for one in responses) == [200] * 49 + [201]
    assert len({one.json()["offset"] for one in responses}) == 1


async def test_a_shorter_dedupe_window_goes_with_shorter_trust() -> None:
    world = edge(options=Options(fresh_ms=500), window_s=2.0)
    chat = await world.create("ada")
    key = world.uuid7()
    first = await world.send("ada", chat, id=key)
    world.clock.forward(seconds=3)

    again = await world.send("ada", chat, id=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert code(await world.send("ada", chat, id=world.uuid7(seconds=1))) == (422, "clock.ahead")


async def test_strangers_and_mistaken_ids_get_the_same_answer(world: Edge) -> None:
    chat = await world.create("ada")
    before = world.log.last

    stranger, mistaken = await world.send("bob", chat), await world.send("bob", NO_CHAT)
    malformed = await world.send("bob", "not-an-id")

    assert code(stranger) == code(mistaken) == code(malformed) == (404, "chat.not_found")
    assert problem(stranger)["detail"].replace(chat, NO_CHAT) == problem(mistaken)["detail"]
    assert world.log.last == before


async def test_a_visitor_of_a_room_may_not_send(world: Edge) -> None:
    room = await world.create("ada", kind="room", title="Lobby")

    assert code(await world.send("bob", room)) == (404, "chat.not_found")


async def test_a_mirror_that_has_not_heard_of_a_member_refuses_nobody(world: Edge) -> None:
    chat = await world.create("ada")
    world.mirror.frozen[chat] = type(world.chats.states[chat])(chat=chat, kind="group")

    response = await world.send("ada", chat)

    assert response.status_code == 201


async def test_files_are_not_there_yet(world: Edge) -> None:
    chat = await world.create("ada")

    response = await world.client("ada").post(f"/v1/chats/{chat}/messages", json={"files": [NO_CHAT]})

    assert code(response) == (404, "file.not_found")


@pytest.mark.parametrize("text", ["x" * 8_000, "\N{GRINNING FACE}" * 8_000, "\x00\u202e\N{ZERO WIDTH JOINER}", " "])
async def test_any_text_of_up_to_8000_characters_is_kept_as_it_is(world: Edge, text: str) -> None:
    chat = await world.create("ada")

    response = await world.send("ada", chat, text=text)

    assert response.status_code == 201
    [message] = world.chats.messages[chat]
    assert message.text == text
