"""R08: the same send, however often, wherever and whenever it arrives, is one message."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from petit.client import Client
from petit.contracts.ids import nonce_id, timestamp_ms
from tests.e2e.history import whole
from tests.e2e.local import LocalStack
from tests.e2e.people import People, Person, plain_http
from tests.e2e.stack import Stack
from tests.e2e.waiting import eventually
from tests.e2e.watching import watching

AT_ONCE = 50
WEEK_MS = 7 * 24 * 3600 * 1000
WINDOW_S = 5
"""The log's dedupe window in the installation whose clocks are wrong."""
FRESH_MS = 2_000
AHEAD_MS = 1_000


def id_at(unix_ms: int) -> str:
    """Make a UUIDv7 that carries this time."""
    random = uuid.uuid4().int
    bits = (unix_ms << 80) | (7 << 76) | (((random >> 64) & 0xFFF) << 64) | (0b10 << 62) | (random & ((1 << 62) - 1))
    return str(uuid.UUID(int=bits))


def now_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


async def send_on_new_connection(stack: Stack, person: Person, *, chat: str, body: dict[str, Any]) -> httpx2.Response:
    """Send on a TCP connection of its own, so that any of the edges may get it."""
    headers = {"Authorization": f"Bearer {await person.token()}"}
    async with plain_http(stack) as http:
        return await http.post(f"/v1/chats/{chat}/messages", json=body, headers=headers)


def check_one(answers: list[httpx2.Response]) -> dict[str, Any]:
    """Check that all answers tell of one message, stored once, and return what they say of it."""
    assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
    assert sum(answer.status_code == 201 for answer in answers) <= 1
    bodies = [answer.json() for answer in answers]
    first: dict[str, Any] = bodies[0]
    assert {(body["id"], body["offset"], body["at"]) for body in bodies} == {
        (first["id"], first["offset"], first["at"])
    }
    return first


async def _group(person: Person, *others: Person) -> str:
    return (await person.client.create_chat("group", title="g", members=[other.id for other in others])).id


async def check_history(client: Client, *, chat: str, id: str) -> None:
    """Check that the chat holds this message and no other."""
    assert [message.id for message in await whole(client, chat, min_offset=client.offset)] == [id]


async def test_fifty_identical_sends_to_three_edges_are_one_message(stack3: Stack, people3: People) -> None:
    """R08: same id and offset in all answers, one signal on each stream."""
    ada, bob = await people3(2)
    chat = await _group(ada, bob)
    body = {"id": ada.client.new_id(), "text": "once"}

    async with watching(bob) as bob_sees:
        answers = await asyncio.gather(
            *(send_on_new_connection(stack3, ada, chat=chat, body=body) for _ in range(AT_ONCE))
        )
        sent = check_one(answers)
        await eventually(lambda: _there(ada, chat, sent["offset"]), within_s=10, what="the message is folded")
        await bob_sees.caught_up()

    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert sent["id"] == body["id"]
    await check_history(ada.client, chat=chat, id=sent["id"])
    assert bob_sees.types(chat) == ["msg"]


async def test_a_week_old_id_is_sent_once_however_often_it_comes(stack3: Stack, people3: People) -> None:
    """R08: an id composed a week ago, sent today by fifty at once, and then again."""
    ada = await people3.one()
    chat = await _group(ada)
    body = {"id": id_at(now_ms() - WEEK_MS), "text": "composed on a plane"}

    answers = await asyncio.gather(*(send_on_new_connection(stack3, ada, chat=chat, body=body) for _ in range(AT_ONCE)))
    answers.append(await send_on_new_connection(stack3, ada, chat=chat, body=body))

    sent = check_one(answers)
    assert answers[-1].status_code == 200
    await check_history(ada.client, chat=chat, id=sent["id"])


async def test_a_plain_nonce_is_one_message(stack3: Stack, people3: People) -> None:
    """R08: without an id, (author, nonce) is the key; another's equal nonce is another message."""
    ada, bob = await people3(2)
    chat = await _group(ada, bob)
    body = {"nonce": "n-1", "text": "hi"}

    answers = await asyncio.gather(*(send_on_new_connection(stack3, ada, chat=chat, body=body) for _ in range(AT_ONCE)))
    other = await send_on_new_connection(stack3, bob, chat=chat, body=body)

    sent = check_one(answers)
    assert sent["id"] == nonce_id(ada.id, "n-1")
    assert {answer.json()["nonce"] for answer in answers} == {"n-1"}
    assert other.status_code == 201
    messages = await whole(ada.client, chat, min_offset=other.json()["offset"])
    assert [message.id for message in messages] == [sent["id"], other.json()["id"]]


async def test_with_an_id_the_nonce_is_only_echoed(people: People) -> None:
    """API section 2: `id` is the key; two ids with one nonce are two messages."""
    ada = await people.one()
    chat = await _group(ada)

    first = await ada.client.send(chat, "one", nonce="same")
    second = await ada.client.send(chat, "two", nonce="same")

    assert (first.nonce, second.nonce) == ("same", "same")
    assert [message.text for message in await whole(ada.client, chat, min_offset=second.offset)] == ["one", "two"]


async def test_with_neither_id_nor_nonce_nothing_is_deduplicated(people: People) -> None:
    """API section 2: the same body twice is two messages."""
    ada = await people.one()
    chat = await _group(ada)

    answers = [await ada.ask("POST", f"/v1/chats/{chat}/messages", json={"text": "again"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({answer.json()["id"] for answer in answers}) == 2


@pytest.mark.parametrize("age_ms", [0, 3600_000, WEEK_MS])
async def test_the_same_id_with_other_content_or_chat_is_a_conflict(people: People, age_ms: int) -> None:
    """API section 2: 409 `conflict.state`, and nothing is stored; another person's equal id is theirs."""
    ada, bob = await people(2)
    chat, elsewhere = await _group(ada, bob), await _group(ada)
    id = id_at(now_ms() - age_ms)
    first = await ada.ask("POST", f"/v1/chats/{chat}/messages", json={"id": id, "text": "a"})
    assert first.status_code == 201

    refused = [
        await ada.ask("POST", f"/v1/chats/{chat}/messages", json={"id": id, "text": "b"}),
        await ada.ask("POST", f"/v1/chats/{chat}/messages", json={"id": id, "text": "a", "mentions": [bob.id]}),
        await ada.ask("POST", f"/v1/chats/{elsewhere}/messages", json={"id": id, "text": "a"}),
    ]
    bobs = await bob.ask("POST", f"/v1/chats/{chat}/messages", json={"id": id, "text": "b"})

    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict.state")
    assert bobs.status_code == 201
    assert [m.by for m in await whole(ada.client, chat, min_offset=bobs.json()["offset"])] == [ada.id, bob.id]
    assert await whole(ada.client, elsewhere, min_offset=bobs.json()["offset"]) == []


async def test_an_id_from_the_future_is_refused_with_the_servers_time(people: People) -> None:
    """API section 2: more than 30 s ahead is 422 `clock.ahead`."""
    ada = await people.one()
    chat = await _group(ada)

    answer = await ada.ask("POST", f"/v1/chats/{chat}/messages", json={"id": id_at(now_ms() + 45_000), "text": "x"})

    assert (answer.status_code, answer.json()["code"]) == (422, "clock.ahead")
    assert answer.json()["server_time"].endswith("Z")
    assert await whole(ada.client, chat) == []


@pytest.mark.embedded
@pytest.mark.timeout(120)
async def test_clocks_that_differ_and_a_window_that_has_passed_make_no_second_message(
    own_stack: Callable[..., LocalStack],
) -> None:
    """R08: three edges with clocks apart, a short dedupe window, and repeats until long after it."""
    stack = own_stack(
        processes=3,
        environment={
            "PETIT_LOCAL_CLOCKS_AHEAD_MS": f"[0,{AHEAD_MS},{-AHEAD_MS}]",
            "PETIT_LOCAL_DUPLICATE_WINDOW_S": str(WINDOW_S),
            "PETIT_LOCAL_FRESH_MS": str(FRESH_MS),
        },
    )
    stack.start()
    async with People(stack) as people:
        ada = await people.one()
        chat = await _group(ada)
        body = {"id": id_at(now_ms()), "text": "once"}
        answers = list(
            await asyncio.gather(*(send_on_new_connection(stack, ada, chat=chat, body=body) for _ in range(AT_ONCE)))
        )

        deadline = time.monotonic() + WINDOW_S + 2
        while time.monotonic() < deadline:
            answers.append(await send_on_new_connection(stack, ada, chat=chat, body=body))

        sent = check_one(answers)
        fresh, skews = list[dict[str, Any]](), list[int]()
        for _ in range(30):
            fresh.append((await send_on_new_connection(stack, ada, chat=chat, body={"text": "t"})).json())
            skews.append(timestamp_ms(fresh[-1]["at"]) - now_ms())
        assert max(skews) - min(skews) > AHEAD_MS, "the edges' clocks do not differ"
        messages = await whole(ada.client, chat, min_offset=fresh[-1]["offset"])
        assert [message.id for message in messages] == [sent["id"], *(each["id"] for each in fresh)]


async def _there(person: Person, chat: str, offset: int) -> bool:
    answer = await person.ask("GET", f"/v1/chats/{chat}/messages?min_offset={offset}")
    return answer.status_code == 200
