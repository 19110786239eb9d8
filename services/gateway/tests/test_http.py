"""What every answer carries, and what every route refuses alike."""

import asyncio
from typing import Any

import pytest

from petit.gateway.app import Options
from services.gateway.tests.edge import NO_CHAT, Edge, code, opened, problem

ROUTES = [
    ("POST", "/v1/chats"),
    ("GET", "/v1/chats"),
    ("GET", "/v1/rooms"),
    ("GET", f"/v1/chats/{NO_CHAT}"),
    ("PATCH", f"/v1/chats/{NO_CHAT}"),
    ("POST", f"/v1/chats/{NO_CHAT}/join"),
    ("POST", f"/v1/chats/{NO_CHAT}/leave"),
    ("GET", f"/v1/chats/{NO_CHAT}/members"),
    ("POST", f"/v1/chats/{NO_CHAT}/members"),
    ("DELETE", f"/v1/chats/{NO_CHAT}/members/bob"),
    ("PATCH", f"/v1/chats/{NO_CHAT}/members/bob"),
    ("POST", f"/v1/chats/{NO_CHAT}/messages"),
    ("GET", f"/v1/chats/{NO_CHAT}/messages"),
    ("GET", f"/v1/chats/{NO_CHAT}/messages/{NO_CHAT}"),
    ("GET", f"/v1/chats/{NO_CHAT}/messages/{NO_CHAT}/views"),
    ("PUT", f"/v1/chats/{NO_CHAT}/view"),
    ("PUT", f"/v1/chats/{NO_CHAT}/delivered"),
    ("POST", "/v1/tickets"),
    ("GET", "/v1/me"),
    ("GET", "/v1/users"),
    ("GET", "/v1/users/bob"),
]
READS = [path for method, path in ROUTES if method == "GET"]


async def test_without_a_token_nobody_is_answered(world: Edge) -> None:
    for method, path in ROUTES:
        response = await world.client(None).request(method, path, content=b"{not json")

        assert code(response) == (401, "token.missing"), path
        assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Bearer nobody", "token.invalid"),
        ("Bearer expired", "token.expired"),
        ("Bearer", "token.missing"),
        ("Basic YWRhOmFkYQ==", "token.missing"),
    ],
)
async def test_a_token_that_will_not_do(world: Edge, authorization: str, expected: str) -> None:
    response = await world.client(None).get("/v1/me", headers={"authorization": authorization})

    assert code(response) == (401, expected)
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_keys_that_cannot_be_had_are_no_refusal(world: Edge) -> None:
    world.tokens.down = True

    assert code(await world.client("nobody").get("/v1/me")) == (503, "unavailable")


@pytest.mark.parametrize("user", ["ada", None])
async def test_every_answer_carries_its_id_and_the_limits(world: Edge, user: str | None) -> None:
    for method, path in (*ROUTES, ("GET", "/v1/nothing"), ("PUT", "/v1/me"), ("GET", "/healthz")):
        responses = [await world.client(user).request(method, path) for _ in range(2)]

        assert len({one.headers["petit-request-id"] for one in responses}) == 2
        for one in responses:
            assert ";q=5000;w=1" in one.headers["ratelimit-policy"]
            assert ";r=" in one.headers["ratelimit"]


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/nothing", "/v1/chats/", f"/v1/chats/{NO_CHAT}/messages/a/b/c", "/v2/me"]
)
@pytest.mark.parametrize("user", ["ada", None])
async def test_a_route_that_is_not_there(world: Edge, path: str, user: str | None) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        response = await world.client(user).request(method, path)
        assert code(response) == (404, "route.not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/chats", "GET, HEAD, OPTIONS, POST"),
        (f"/v1/chats/{NO_CHAT}/messages", "GET, HEAD, OPTIONS, POST"),
        (f"/v1/chats/{NO_CHAT}/members/bob", "DELETE, OPTIONS, PATCH"),
        ("/v1/me", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_method_that_a_route_does_not_know(world: Edge, path: str, allowed: str) -> None:
    refused = await world.client("ada").put(path)
    options = await world.client(None).options(path)

    assert code(refused) == (405, "method.refused")
    assert refused.headers["allow"] == options.headers["allow"] == allowed
    assert options.status_code == 204


async def test_head_is_get_without_the_body(world: Edge) -> None:
    response = await world.client("ada").head("/v1/me")

    assert response.status_code == 200
    assert response.content == b""
    assert response.headers["petit-as-of"] == "0"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("nope=1", "?nope"),
        ("min_offset=-1", "?min_offset"),
        ("min_offset=x", "?min_offset"),
        ("min_offset=", "?min_offset"),
        ("min_offset=1.0", "?min_offset"),
        ("min_offset=1_0", "?min_offset"),
        ("min_offset=99999999999999999999999", "?min_offset"),
        ("min_offset=1&min_offset=1", "?min_offset"),
        ("q=%ff", "?"),
    ],
)
async def test_a_query_that_will_not_do(world: Edge, query: str, pointer: str) -> None:
    for path in READS:
        response = await world.client("ada").get(f"{path}?{query}")

        assert code(response) == (422, "request.invalid"), path
        assert problem(response)["errors"][0]["pointer"] == pointer


LISTS = [
    "/v1/chats",
    "/v1/rooms",
    f"/v1/chats/{NO_CHAT}/members",
    f"/v1/chats/{NO_CHAT}/messages/{NO_CHAT}/views",
    "/v1/users",
]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=",
        "cursor=",
        "cursor=x",
        "cursor=AAAA",
        "cursor=%F0%9F%98%80",
        "cursor=" + "A" * 5_000,
    ],
)
async def test_a_page_that_is_not_there(world: Edge, query: str) -> None:
    for path in LISTS:
        response = await world.client("ada").get(f"{path}?{query}")

        assert code(response) == (422, "request.invalid"), path
        assert problem(response)["errors"][0]["pointer"] == f"?{query.partition('=')[0]}"


async def test_a_cursor_of_another_list(world: Edge) -> None:
    for title in "abc":
        await world.create("ada", kind="room", title=title)
    client = world.client("ada")
    cursor = (await client.get("/v1/rooms", params={"limit": 1})).json()["next"]

    for path, query in (("/v1/chats", {}), ("/v1/rooms", {"q": "a"}), ("/v1/users", {})):
        response = await client.get(path, params={"cursor": cursor, **query})
        assert code(response) == (422, "request.invalid")
    tampered = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    assert code(await client.get("/v1/rooms", params={"cursor": tampered})) == (422, "request.invalid")


@pytest.mark.parametrize(
    "query", ["before=1&after=1", "around=1&at=1", "before=0", "after=-1", "around=0", "at=0", "before=x", "limit=201"]
)
async def test_a_place_in_history_that_will_not_do(world: Edge, query: str) -> None:
    chat = await world.create("ada")

    response = await world.client("ada").get(f"/v1/chats/{chat}/messages?{query}")

    assert code(response) == (422, "request.invalid")
    assert problem(response)["errors"][0]["pointer"].startswith("?")


async def test_more_than_the_limit_is_refused_and_told_when() -> None:
    async with opened(options=Options(writes_per_s=2, reads_per_s=1)) as world:
        chat = await world.create("ada")
        sent = await world.send("ada", chat)
        refused = await world.send("ada", chat)
        other = await world.client("bob").get("/v1/me")

    assert sent.headers["ratelimit"].startswith('"writes";r=0;t=')
    assert sent.headers["ratelimit-policy"] == '"writes";q=2;w=1'
    assert code(refused) == (429, "rate.limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["ratelimit"].startswith('"writes";r=0;t=')
    assert other.status_code == 200


async def test_pages_of_listed_origins_may_read_answers() -> None:
    async with opened(options=Options(origins=frozenset({"https://chat.example.org"}))) as world:
        client = world.client("ada")
        asked = {"access-control-request-method": "PUT"}
        listed = await client.get("/v1/me", headers={"origin": "https://chat.example.org"})
        foreign = await client.get("/v1/me", headers={"origin": "https://evil.example.org"})
        preflight = await client.options("/v1/chats", headers={"origin": "https://chat.example.org", **asked})
        refused = await client.options("/v1/chats", headers={"origin": "https://evil.example.org", **asked})

    assert listed.headers["access-control-allow-origin"] == "https://chat.example.org"
    assert "petit-offset" in listed.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in foreign.headers
    assert preflight.status_code == refused.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-methods" not in refused.headers


async def test_a_bug_is_answered_without_its_details(world: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:  # noqa: ANN401 - whatever is asked
        raise ZeroDivisionError("secret")

    chat = await world.create("ada")
    monkeypatch.setattr(world.log, "append", broken)
    monkeypatch.setattr(world.chats, "chat", broken)

    for response in (await world.send("ada", chat), await world.client("ada").get(f"/v1/chats/{chat}")):
        assert code(response) == (500, "internal")
        assert "secret" not in response.text


async def test_ready_means_a_current_feed_and_a_right_clock(world: Edge) -> None:
    client = world.client(None)
    assert (await client.get("/readyz")).status_code == 200

    for name, bad, good in (("lag_s", 6.0, 0.0), ("skew_s", -21.0, 0.0)):
        setattr(world.log, name, bad)
        world.clock.forward(seconds=1)
        assert code(await client.get("/readyz")) == (503, "unavailable")
        assert (await client.get("/healthz")).status_code == 200
        setattr(world.log, name, good)
        world.clock.forward(seconds=1)
    assert (await client.get("/readyz")).status_code == 200


async def test_who_has_no_token_yet_is_told_who_gives_them() -> None:
    async with opened(options=Options(issuer="https://sso.test/realms/petit")) as world:
        told = await world.client(None).get("/.well-known/petit")

    assert (told.status_code, told.json()) == (200, {"issuer": "https://sso.test/realms/petit"})


async def test_a_client_that_is_gone_leaves_nothing(world: Edge) -> None:
    chat = await world.create("ada")
    before = world.log.last
    for path in (f"/v1/chats/{chat}/messages", "/v1/chats"):
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"authorization", b"Bearer ada"), (b"content-length", b"9")],
            "extensions": {},
            "root_path": "",
        }
        sent: list[Any] = []

        async def gone() -> dict[str, Any]:
            await asyncio.sleep(0)
            return {"type": "http.disconnect"}

        async def send(message: Any, sent: list[Any] = sent) -> None:  # noqa: ANN401 - ASGI's
            sent.append(message)

        await world.gateway.asgi(scope, gone, send)
        assert not [one for one in sent if one.get("status") in {200, 201, 500}]
    assert world.log.last == before


BODIES: dict[str, Any] = {
    "messages": {"text": "hi"},
    "view": {"seq": 0},
    "delivered": {"seq": 0},
    "members": {"user": "cat"},
    "bob": {"role": "member"},
}
OF_CHATS = [(method, path) for method, path in ROUTES if NO_CHAT in path and not path.endswith("/join")]


@pytest.mark.parametrize(("method", "path"), OF_CHATS)
@pytest.mark.parametrize("kind", ["group", "room"])
async def test_who_is_not_in_a_chat_cannot_tell_it_from_none(world: Edge, *, method: str, path: str, kind: str) -> None:
    if kind == "room" and (method, path) == ("GET", f"/v1/chats/{NO_CHAT}"):
        return  # a room's public face
    chat = await world.create("ada", kind=kind, members=["bob"])
    stranger, before = world.client("dan"), world.log.last
    body = {"title": "T"} if method == "PATCH" and path.endswith(NO_CHAT) else BODIES.get(path.rpartition("/")[2])
    sent = None if method == "GET" else body

    there = await stranger.request(method, path.replace(f"chats/{NO_CHAT}", f"chats/{chat}"), json=sent)
    nowhere = await stranger.request(method, path, json=sent)

    assert code(there) == code(nowhere) == (404, "chat.not_found")
    assert there.text.replace(chat, NO_CHAT) == nowhere.text
    assert world.log.last == before
