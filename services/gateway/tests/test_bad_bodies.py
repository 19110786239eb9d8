"""Bodies that will not do: 422 with a pointer, 413, never a 5xx, and nothing is stored."""

import json
from collections.abc import AsyncIterator

import pytest

from services.gateway.tests.edge import NO_CHAT, Edge, code, problem

WITH_BODY = ["chats", "chat", "members", "role", "messages", "view", "delivered", "tickets", "join", "leave"]


def route(chat: str, name: str) -> tuple[str, str]:
    return {
        "chats": ("POST", "/v1/chats"),
        "chat": ("PATCH", f"/v1/chats/{chat}"),
        "members": ("POST", f"/v1/chats/{chat}/members"),
        "role": ("PATCH", f"/v1/chats/{chat}/members/bob"),
        "messages": ("POST", f"/v1/chats/{chat}/messages"),
        "view": ("PUT", f"/v1/chats/{chat}/view"),
        "delivered": ("PUT", f"/v1/chats/{chat}/delivered"),
        "tickets": ("POST", "/v1/tickets"),
        "join": ("POST", f"/v1/chats/{chat}/join"),
        "leave": ("POST", f"/v1/chats/{chat}/leave"),
    }[name]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"text":',
        b"nonsense",
        b'{"text":"\xff"}',
        b'{"text":"\\ud800"}',
        b'{"seq":NaN}',
        b'{"seq":1e999}',
        b'{"a":1}{"b":2}',
        b"[" * 5_000,
        b'"text"',
        b"[]",
        b"1",
        b"\x00",
        b'{"text":"a\nb"}',
        b'{"unknown":1}',
    ],
)
async def test_what_is_no_body_of_any_route(world: Edge, content: bytes) -> None:
    chat = await world.create("ada", members=["bob"])
    before = world.log.last
    for name in WITH_BODY:
        method, path = route(chat, name)

        response = await world.client("ada").request(method, path, content=content)

        assert code(response) == (422, "request.invalid"), name
        assert all(set(one) == {"pointer", "detail"} for one in problem(response)["errors"])
    assert world.log.last == before


@pytest.mark.parametrize("name", WITH_BODY[:7])
async def test_a_body_that_is_not_there(world: Edge, name: str) -> None:
    chat = await world.create("ada", members=["bob"])
    method, path = route(chat, name)

    assert code(await world.client("ada").request(method, path)) == (422, "request.invalid")


@pytest.mark.parametrize("name", WITH_BODY)
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_of_more_than_64_kib(world: Edge, name: str, *, announced: bool) -> None:
    chat = await world.create("ada", members=["bob"])
    before = world.log.last
    method, path = route(chat, name)
    large = json.dumps({"text": "x" * 65_536}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 1_000):
            yield large[start : start + 1_000]

    response = await world.client("ada").request(method, path, content=large if announced else pieces())

    assert code(response) == (413, "request.too_large")
    assert world.log.last == before


async def test_a_body_in_pieces_is_read_whole(world: Edge) -> None:
    chat = await world.create("ada")

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"te', b'xt":', b'"hi"}'):
            yield piece

    response = await world.client("ada").post(f"/v1/chats/{chat}/messages", content=pieces())

    assert response.status_code == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/text"),
        ({"text": ""}, "/text"),
        ({"text": "x" * 8_001}, "/text"),
        ({"text": 1}, "/text"),
        ({"text": None}, "/text"),
        ({"text": ["x"]}, "/text"),
        ({"text": "x", "id": 1}, "/id"),
        ({"text": "x", "id": "not-a-uuid"}, "/id"),
        ({"text": "x", "id": NO_CHAT.upper()}, "/id"),
        ({"text": "x", "id": NO_CHAT + "\n"}, "/id"),
        ({"text": "x", "nonce": ""}, "/nonce"),
        ({"text": "x", "nonce": "n" * 65}, "/nonce"),
        ({"text": "x", "nonce": 1}, "/nonce"),
        ({"text": "x", "reply_to": "x"}, "/reply_to"),
        ({"text": "x", "mentions": "bob"}, "/mentions"),
        ({"text": "x", "mentions": ["no.such"]}, "/mentions/0"),
        ({"text": "x", "mentions": ["bob", "bob"]}, "/mentions"),
        ({"text": "x", "mentions": [f"u{number}" for number in range(101)]}, "/mentions"),
        ({"text": "x", "files": ["x"]}, "/files/0"),
        ({"files": None}, "/files"),
        ({"text": "x", "seq": 1}, "/seq"),
        ({"text": "x", "a/b~c": 1}, "/a~1b~0c"),
    ],
)
async def test_messages_that_will_not_do(world: Edge, body: dict[str, object], pointer: str) -> None:
    chat = await world.create("ada")
    before = world.log.last

    response = await world.client("ada").post(f"/v1/chats/{chat}/messages", json=body)

    assert code(response) == (422, "request.invalid")
    assert pointer in {one["pointer"] for one in problem(response)["errors"]}
    assert world.log.last == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/kind"),
        ({"kind": "match"}, "/kind"),
        ({"kind": "GROUP"}, "/kind"),
        ({"kind": ["group"]}, "/kind"),
        ({"kind": "group", "title": ""}, "/title"),
        ({"kind": "group", "title": "x" * 201}, "/title"),
        ({"kind": "group", "title": "a\nb"}, "/title"),
        ({"kind": "group", "members": ["bob", "bob"]}, "/members"),
        ({"kind": "group", "members": ["b b"]}, "/members/0"),
        ({"kind": "group", "members": [1]}, "/members/0"),
        ({"kind": "group", "members": {"bob": 1}}, "/members"),
        ({"kind": "group", "members": [f"u{number}" for number in range(1_001)]}, "/members"),
        ({"kind": "group", "id": "x"}, "/id"),
        ({"kind": "group", "about": "x"}, "/about"),
    ],
)
async def test_chats_that_will_not_do(world: Edge, body: dict[str, object], pointer: str) -> None:
    response = await world.client("ada").post("/v1/chats", json=body)

    assert code(response) == (422, "request.invalid")
    assert pointer in {one["pointer"] for one in problem(response)["errors"]}
    assert world.log.last == 0


@pytest.mark.parametrize("marker", ["view", "delivered"])
@pytest.mark.parametrize("seq", [-1, 1.0, 1.5, "1", True, None, [1], 2**53, 10**30])
async def test_places_that_will_not_do(world: Edge, marker: str, seq: object) -> None:
    chat = await world.create("ada")

    response = await world.client("ada").put(f"/v1/chats/{chat}/{marker}", json={"seq": seq})

    assert code(response) == (422, "request.invalid")
    assert problem(response)["errors"][0]["pointer"] == "/seq"


@pytest.mark.parametrize("role", ["admin", "", None, 1])
async def test_roles_that_are_none(world: Edge, role: object) -> None:
    chat = await world.create("ada", members=["bob"])

    response = await world.client("ada").patch(f"/v1/chats/{chat}/members/bob", json={"role": role})

    assert code(response) == (422, "request.invalid")
    assert problem(response)["errors"][0]["pointer"] == "/role"


async def test_a_send_takes_no_query(world: Edge) -> None:
    chat = await world.create("ada")

    response = await world.client("ada").post(f"/v1/chats/{chat}/messages?min_offset=1", json={"text": "x"})

    assert code(response) == (422, "request.invalid")
    assert problem(response)["errors"][0]["pointer"] == "?min_offset"


@pytest.mark.parametrize(
    "label", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=x", ""]
)
@pytest.mark.parametrize("name", ["chats", "messages"])
async def test_a_body_is_json_whatever_its_label(world: Edge, name: str, label: str) -> None:
    chat = await world.create("ada")
    method, path = route(chat, name)
    content = json.dumps({"kind": "group"} if name == "chats" else {"text": "x"}).encode()

    response = await world.client("ada").request(method, path, content=content, headers={"content-type": label})

    assert response.status_code == 201
