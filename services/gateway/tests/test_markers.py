"""Markers: coalesced, never back, never beyond the newest message."""

import asyncio

import pytest

from petit.contracts.ids import Seq, UserId
from petit.contracts.signals import View, decode
from services.gateway.tests.edge import NO_CHAT, Edge, code, eventually, problem


async def chat_of_messages(world: Edge, count: int) -> str:
    chat = await world.create("ada", members=["bob"])
    for _ in range(count):
        await world.send("ada", chat)
    return chat


def views(world: Edge) -> list[int]:
    signals = (decode(entry.payload) for entry in world.log.entries.values())
    return [signal.data.seq for signal in signals if isinstance(signal, View)]


async def put(world: Edge, chat: str, seq: int, *, user: str = "bob", marker: str = "view") -> tuple[int, str | None]:
    response = await world.client(user).put(f"/v1/chats/{chat}/{marker}", json={"seq": seq})
    return response.status_code, response.headers.get("petit-offset")


async def test_the_first_view_is_published_at_once(world: Edge) -> None:
    chat = await chat_of_messages(world, 3)

    status, offset = await put(world, chat, 2)

    assert (status, offset) == (204, str(world.log.last))
    assert world.chats.markers[chat, UserId("bob")] == 2  # type: ignore[index]  # plain text


async def test_later_views_of_two_seconds_are_one(world: Edge) -> None:
    chat = await chat_of_messages(world, 5)
    await put(world, chat, 1)

    answers = [await put(world, chat, seq) for seq in (2, 4, 3)]
    world.clock.forward(seconds=2.1)
    await eventually(lambda: len(views(world)) == 2)

    assert answers == [(204, None)] * 3
    assert views(world) == [1, 4]


async def test_what_waits_is_published_at_the_end(world: Edge) -> None:
    chat = await chat_of_messages(world, 5)
    async with world.gateway.running():
        await put(world, chat, 1)
        await put(world, chat, 5)

    assert views(world) == [1, 5]


async def test_a_marker_never_goes_back(world: Edge) -> None:
    chat = await chat_of_messages(world, 5)
    await put(world, chat, 4)
    world.clock.forward(seconds=10)

    assert await put(world, chat, 4) == (204, None)
    assert await put(world, chat, 2) == (204, None)
    assert await put(world, chat, 0) == (204, None)
    assert views(world) == [4]


async def test_a_marker_that_moved_on_another_edge_does_not_go_back(world: Edge) -> None:
    chat = await chat_of_messages(world, 5)
    await put(world, chat, 1)
    world.clock.forward(seconds=10)
    moved = decode(world.log.entries[world.log.last].payload)
    assert isinstance(moved, View)
    elsewhere = moved.model_copy(update={"id": world.uuid7(), "data": moved.data.model_copy(update={"seq": Seq(4)})})
    await world.log.append(
        world.log.entries[world.log.last].subject, elsewhere.model_dump_json().encode(), msg_id="elsewhere"
    )
    world.gateway.on_entry(world.log.entries[world.log.last])

    assert await put(world, chat, 3) == (204, None)
    assert views(world) == [1, 4]


async def test_the_marker_that_chat_knows_is_asked_for_once(world: Edge) -> None:
    chat = await chat_of_messages(world, 5)

    assert await put(world, chat, 3, user="ada") == (204, None)  # sending moved ada's to 5
    assert views(world) == []


@pytest.mark.parametrize("marker", ["view", "delivered"])
async def test_nobody_has_seen_what_is_not_there(world: Edge, marker: str) -> None:
    chat = await chat_of_messages(world, 3)

    response = await world.client("bob").put(f"/v1/chats/{chat}/{marker}", json={"seq": 4})

    assert code(response) == (422, "request.invalid")
    assert problem(response)["errors"][0]["pointer"] == "/seq"


@pytest.mark.parametrize("marker", ["view", "delivered"])
@pytest.mark.parametrize("there", [True, False])
async def test_strangers_have_no_markers(world: Edge, marker: str, *, there: bool) -> None:
    chat = await chat_of_messages(world, 3) if there else NO_CHAT

    response = await world.client("cat").put(f"/v1/chats/{chat}/{marker}", json={"seq": 1})

    assert code(response) == (404, "chat.not_found")


async def test_a_view_that_could_not_be_stored_can_be_tried_again(world: Edge) -> None:
    chat = await chat_of_messages(world, 3)
    world.log.down = True
    refused = await put(world, chat, 2)
    world.log.down = False

    assert refused == (503, None)
    assert await put(world, chat, 2) == (204, str(world.log.last))


async def test_delivered_markers_are_collected_and_not_in_the_log(world: Edge) -> None:
    chat = await chat_of_messages(world, 3)
    stored = world.log.last

    answers = [await put(world, chat, seq, marker="delivered") for seq in (1, 3, 2)]
    await eventually(lambda: world.chats.delivered_to)

    assert answers == [(204, None)] * 3
    assert list(world.chats.delivered_to.values()) == [3]
    assert world.log.last == stored


async def test_who_has_seen_a_message(world: Edge) -> None:
    chat = await world.create("ada", members=["bob", "cat"])
    sent = (await world.send("ada", chat)).json()
    await put(world, chat, 1)
    async with world.gateway.running():
        await put(world, chat, 1, user="cat", marker="delivered")

    path = f"/v1/chats/{chat}/messages/{sent['id']}/views"
    page = await world.client("ada").get(path, params={"limit": 2})
    rest = await world.client("ada").get(path, params={"cursor": page.json()["next"]})

    assert page.json()["items"] + rest.json()["items"] == [
        {"user": "ada", "seen": True, "delivered": False},
        {"user": "bob", "seen": True, "delivered": False},
        {"user": "cat", "seen": False, "delivered": True},
    ]


async def test_an_end_does_not_wait_for_a_log_that_is_gone(world: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    chat = await chat_of_messages(world, 5)
    async with asyncio.timeout(10):
        async with world.gateway.running():
            await put(world, chat, 1)
            await put(world, chat, 5)
            monkeypatch.setattr(world.log, "append", never)
