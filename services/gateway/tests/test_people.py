"""People and tickets."""

import json

import pytest

from petit.gateway.app import Options
from services.gateway.tests.edge import Edge, code, opened


async def test_me_is_what_the_token_says(world: Edge) -> None:
    response = await world.client("ada").get("/v1/me")

    assert response.json() == {"id": "ada", "username": "ada", "name": "Ada", "status": None, "roles": ["USER"]}
    assert response.headers["petit-as-of"] == "0"


@pytest.mark.parametrize("path", ["/v1/me", "/v1/users", "/v1/users/ada"])
async def test_reads_of_people_wait_for_the_log_as_well(world: Edge, path: str) -> None:
    assert code(await world.client("ada").get(path, params={"min_offset": 1})) == (425, "read.behind")


async def test_people_are_found_by_the_beginning_of_their_username(world: Edge) -> None:
    found = await world.client("ada").get("/v1/users", params={"username": "B"})

    assert found.json() == {"items": [{"id": "bob", "username": "bob", "name": "Bob", "status": None}], "next": None}


async def test_people_are_paged(world: Edge) -> None:
    client, seen, cursor = world.client("ada"), [], ""
    while cursor is not None:
        page = (await client.get("/v1/users", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]

    assert seen == ["ada", "bob", "cat", "dan", "eve"]


async def test_somebody_by_id(world: Edge) -> None:
    assert (await world.client("ada").get("/v1/users/bob")).json()["username"] == "bob"
    for user in ("zoe", "no.such.id", "x" * 65):
        assert code(await world.client("ada").get(f"/v1/users/{user}")) == (404, "user.not_found")


async def test_a_directory_that_is_down(world: Edge) -> None:
    world.directory.down = True

    assert code(await world.client("ada").get("/v1/users/bob")) == (503, "unavailable")
    assert code(await world.client("ada").get("/v1/users")) == (503, "unavailable")
    assert (await world.client("ada").get("/v1/me")).status_code == 200


async def test_a_ticket_stands_for_its_buyer(world: Edge) -> None:
    response = await world.client("ada").post("/v1/tickets")

    assert response.status_code == 200
    assert set(response.json()) == {"ticket", "expires_in"}
    assert 0 < response.json()["expires_in"] <= 30
    value = json.loads(world.tickets.issued[response.json()["ticket"]])
    assert (value["user"], value["session"]) == ("ada", "session-of-ada")
    assert value["expires_at"] == pytest.approx(world.clock.ms / 1000 + 600)


@pytest.mark.parametrize("secure", [True, False])
async def test_a_cookie_is_for_the_stream_and_nothing_else(*, secure: bool) -> None:
    async with opened(options=Options(secure_cookies=secure)) as world:
        response = await world.client("ada").post("/v1/tickets", json={"cookie": True})

    assert response.status_code == 204
    cookies = response.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie, path in zip(cookies, ("/v1/stream", "/v1/ws"), strict=True):
        words = cookie.split("; ")
        assert words[0] == "petit_stream=ada"
        assert {"HttpOnly", "SameSite=strict", "Max-Age=600", f"Path={path}"} <= set(words)
        assert ("Secure" in words) is secure
