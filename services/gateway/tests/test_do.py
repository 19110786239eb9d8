"""What is written on a WebSocket ends like the REST route that it stands for."""

import asyncio
import json
from typing import Any

import pytest

from petit.contracts.ids import SignalId, UserId
from petit.contracts.rpc import Answer, Do, DoBatch, Done, DoneItem, SentAsk, SentBefore
from petit.gateway.app import Options
from petit.gateway.ports import Found
from services.gateway.tests.edge import NO_CHAT, Edge, opened


async def do(world: Edge, *items: tuple[str, str, dict[str, Any]]) -> list[DoneItem]:
    return await answered(
        world,
        *(
            Do(user=UserId(user), do=what, text=json.dumps({"do": what, "ref": "1", **body}))  # type: ignore[arg-type]  # any word
            for user, what, body in items
        ),
    )


async def answered(world: Edge, *items: Do) -> list[DoneItem]:
    batch = DoBatch(items=items)
    answer = Answer[Done].model_validate_json(await world.gateway.do(batch.model_dump_json().encode()))
    assert answer.body is not None
    return list(answer.body.items)


async def test_a_send_is_a_send(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])
    key = world.uuid7()

    [done] = await do(world, ("bob", "send", {"chat": chat, "id": key, "text": "hi", "nonce": "n"}))
    rest = await world.send("bob", chat, id=key, nonce="n")

    assert done.status == 201
    assert done.offset == world.log.last
    assert rest.status_code == 200
    assert rest.text == done.body


async def test_a_batch_that_is_done_twice_stores_nothing_twice(world: Edge) -> None:
    """A notifier asks again when its connection broke, and who heard it first may have done it."""
    chat = await world.create("ada", members=["bob"])
    text = json.dumps({"do": "send", "ref": "1", "chat": chat, "text": "hi"})
    items = tuple(Do(user=UserId("bob"), do="send", text=text, id=SignalId(world.uuid7())) for _ in range(2))

    first = await answered(world, *items)
    again = await answered(world, *items)

    assert {item.status for item in (*first, *again)} == {201}
    assert [item.body for item in again] == [item.body for item in first]
    assert len(world.chats.messages[chat]) == 2


@pytest.mark.parametrize("name", ["id", "nonce"])
async def test_what_a_client_names_is_its_name(world: Edge, name: str) -> None:
    chat = await world.create("ada", members=["bob"])
    key = world.uuid7()
    text = json.dumps({"do": "send", "ref": "1", "chat": chat, "text": "hi", name: key})
    one, other = (Do(user=UserId("bob"), do="send", text=text, id=SignalId(world.uuid7())) for _ in range(2))

    [first] = await answered(world, one)
    [again] = await answered(world, other)

    assert (first.status, again.status, again.body) == (201, 200, first.body)


async def test_a_batch_is_answered_item_by_item_in_order(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])

    done = await do(
        world,
        ("ada", "send", {"chat": chat, "text": "one"}),
        ("cat", "send", {"chat": chat, "text": "stranger"}),
        ("bob", "send", {"chat": chat, "text": "two"}),
        ("ada", "view", {"chat": chat, "seq": 0}),
        ("bob", "delivered", {"chat": chat, "seq": 0}),
    )

    assert [one.status for one in done] == [201, 404, 201, 204, 204]
    assert [one.text for one in world.chats.messages[chat]] == ["one", "two"]
    assert done[1].body is not None
    assert json.loads(done[1].body)["code"] == "chat.not_found"


async def test_what_one_person_writes_is_stored_in_that_order(world: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """API.md, section 3: an id whose time is long past has to be asked about, and nothing overtakes it meanwhile."""
    chat = await world.create("ada", members=["bob"])
    sent = world.chats.sent

    async def slowly(ask: SentAsk) -> Found[SentBefore]:
        await asyncio.sleep(0.02)
        return await sent(ask)

    monkeypatch.setattr(world.chats, "sent", slowly)
    writes = [
        ("ada", "send", {"chat": chat, "text": f"{n}", "id": world.uuid7(seconds=-3_600 if n % 2 else 0)})
        for n in range(6)
    ]

    done = await do(world, *writes, ("bob", "send", {"chat": chat, "text": "bob's"}))

    assert {one.status for one in done} == {201}
    assert [one.text for one in world.chats.messages[chat] if one.by == "ada"] == [f"{n}" for n in range(6)]
    offsets = [one.offset or 0 for one in done[:6]]
    assert offsets == sorted(offsets)


async def test_a_view_answers_where_it_is_stored(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])
    await world.send("ada", chat)

    done = await do(world, ("bob", "view", {"chat": chat, "seq": 1}), ("bob", "view", {"chat": chat, "seq": 1}))

    assert [one.status for one in done] == [204, 204]
    assert [one.offset for one in done] == [world.log.last, None]


@pytest.mark.parametrize(
    ("what", "body", "status", "code", "pointer"),
    [
        ("send", {}, 422, "request.invalid", "/chat"),
        ("send", {"chat": 1, "text": "x"}, 422, "request.invalid", "/chat"),
        ("send", {"chat": "x", "text": "x"}, 404, "chat.not_found", None),
        ("send", {"chat": NO_CHAT, "text": "x"}, 404, "chat.not_found", None),
        ("send", {"chat": NO_CHAT}, 422, "request.invalid", "/text"),
        ("send", {"chat": NO_CHAT, "text": "x", "unknown": 1}, 422, "request.invalid", "/unknown"),
        ("send", {"chat": NO_CHAT, "text": 1}, 422, "request.invalid", "/text"),
        ("view", {"chat": NO_CHAT}, 422, "request.invalid", "/seq"),
        ("view", {"chat": NO_CHAT, "seq": "1"}, 422, "request.invalid", "/seq"),
        ("delivered", {"chat": NO_CHAT, "seq": -1}, 422, "request.invalid", "/seq"),
        ("delivered", {"chat": NO_CHAT, "seq": 1, "text": "x"}, 422, "request.invalid", "/text"),
    ],
)
async def test_what_will_not_do(
    world: Edge, *, what: str, body: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    [done] = await do(world, ("ada", what, body))

    assert done.status == status
    assert done.body is not None
    problem = json.loads(done.body)
    assert problem["code"] == code
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer
    assert world.log.last == 0


async def test_the_limit_is_the_same_as_that_of_rest() -> None:
    async with opened(options=Options(writes_per_s=2)) as world:
        chat = await world.create("ada")
        done = await do(world, *[("ada", "send", {"chat": chat, "text": "x"})] * 2)

    assert [one.status for one in done] == [201, 429]


async def test_a_bug_in_one_item_is_that_items(world: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = await world.create("ada")
    append = world.log.append

    async def sometimes(subject: str, payload: bytes, *, msg_id: str) -> object:
        if b"boom" in payload:
            raise ZeroDivisionError("secret")
        return await append(subject, payload, msg_id=msg_id)

    monkeypatch.setattr(world.log, "append", sometimes)

    done = await do(world, *(("ada", "send", {"chat": chat, "text": text}) for text in ("a", "boom", "b")))

    assert [one.status for one in done] == [201, 500, 201]
    assert "secret" not in str(done[1].body)
