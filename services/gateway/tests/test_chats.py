"""Chats: creating them once, listing, changing, joining and leaving."""

import asyncio

import pytest

from petit.contracts.cursor import Cursor
from petit.contracts.ids import Epoch, Offset, UserId, dm_chat_id
from petit.contracts.resources import History
from petit.contracts.rpc import HistoryAsk
from petit.gateway.ports import Found
from services.gateway.tests.edge import NO_CHAT, Edge, code, problem

FIELDS = {
    "id",
    "kind",
    "title",
    "about",
    "history",
    "created_at",
    "members_count",
    "role",
    "joined_offset",
    "head_seq",
    "marker",
    "unread",
    "last",
    "muted_until",
}


@pytest.mark.parametrize("kind", ["group", "room"])
async def test_the_creator_owns_a_chat(world: Edge, kind: str) -> None:
    response = await world.client("ada").post("/v1/chats", json={"kind": kind, "title": "T", "members": ["bob"]})

    assert response.status_code == 201
    chat = response.json()
    assert set(chat) == FIELDS
    assert (chat["kind"], chat["title"], chat["role"], chat["members_count"]) == (kind, "T", "owner", 2)
    assert int(response.headers["petit-offset"]) == chat["joined_offset"] == world.log.last


async def test_a_client_id_is_the_chats_id_and_a_repeat_the_same_chat(world: Edge) -> None:
    body = {"kind": "group", "id": world.uuid7(), "members": ["bob", "cat"]}
    first = await world.client("ada").post("/v1/chats", json=body)
    world.clock.forward(seconds=3600)

    again = await world.client("ada").post("/v1/chats", json=body | {"members": ["cat", "bob"]})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"] == body["id"]
    assert int(again.headers["petit-offset"]) >= int(first.headers["petit-offset"])
    assert world.log.last == int(first.headers["petit-offset"])


@pytest.mark.parametrize("change", [{"title": "other"}, {"kind": "room"}, {"members": ["cat"]}])
async def test_the_same_id_with_other_content_is_a_conflict(world: Edge, change: dict[str, object]) -> None:
    body = {"kind": "group", "id": world.uuid7(), "members": ["bob"]}
    await world.client("ada").post("/v1/chats", json=body)

    assert code(await world.client("ada").post("/v1/chats", json=body | change)) == (409, "conflict.state")


async def test_an_id_of_somebody_elses_chat_is_a_conflict(world: Edge) -> None:
    chat = await world.create("ada")

    response = await world.client("bob").post("/v1/chats", json={"kind": "group", "id": chat})

    assert code(response) == (409, "conflict.state")


async def test_a_chat_id_from_the_future_is_told_the_time(world: Edge) -> None:
    body = {"kind": "group", "id": world.uuid7(seconds=31)}

    response = await world.client("ada").post("/v1/chats", json=body)

    assert code(response) == (422, "clock.ahead")
    assert problem(response)["server_time"]


async def test_nobody_takes_the_place_of_a_dm(world: Edge) -> None:
    place = dm_chat_id(UserId("bob"), UserId("cat"))

    response = await world.client("ada").post("/v1/chats", json={"kind": "group", "id": place})

    assert code(response) == (422, "request.invalid")
    assert problem(response)["errors"][0]["pointer"] == "/id"


async def test_a_dm_is_one_chat_for_both_sides(world: Edge) -> None:
    first = await world.client("ada").post("/v1/chats", json={"kind": "dm", "members": ["bob"]})

    again = await world.client("bob").post("/v1/chats", json={"kind": "dm", "members": ["ada"]})
    with_id = await world.client("bob").post("/v1/chats", json={"kind": "dm", "members": ["ada"], "id": world.uuid7()})

    assert (first.status_code, again.status_code, with_id.status_code) == (201, 200, 200)
    assert first.json()["id"] == again.json()["id"] == with_id.json()["id"]
    assert again.json()["members_count"] == 2


async def test_racing_creations_of_a_dm_are_one_chat(world: Edge) -> None:
    pairs = [("ada", "bob"), ("bob", "ada")] * 20

    responses = await asyncio.gather(
        *(world.client(by).post("/v1/chats", json={"kind": "dm", "members": [other]}) for by, other in pairs)
    )

    assert {one.status_code for one in responses} <= {200, 201}
    assert len({one.json()["id"] for one in responses}) == 1
    assert sum(one.status_code == 201 for one in responses) == 1


async def test_the_same_id_for_two_dms_is_a_conflict(world: Edge) -> None:
    key = world.uuid7()
    await world.client("ada").post("/v1/chats", json={"kind": "dm", "members": ["bob"], "id": key})

    response = await world.client("ada").post("/v1/chats", json={"kind": "dm", "members": ["cat"], "id": key})

    assert code(response) == (409, "conflict.state")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"kind": "dm"}, "/members"),
        ({"kind": "dm", "members": []}, "/members"),
        ({"kind": "dm", "members": ["ada"]}, "/members"),
        ({"kind": "dm", "members": ["bob", "cat"]}, "/members"),
        ({"kind": "dm", "members": ["ada", "bob"]}, "/members"),
        ({"kind": "dm", "members": ["bob"], "title": "T"}, "/title"),
    ],
)
async def test_a_dm_is_of_two_and_has_no_title(world: Edge, body: dict[str, object], pointer: str) -> None:
    response = await world.client("ada").post("/v1/chats", json=body)

    assert code(response) == (422, "request.invalid")
    assert problem(response)["errors"][0]["pointer"] == pointer


async def test_nobody_is_brought_along_who_does_not_exist(world: Edge) -> None:
    response = await world.client("ada").post("/v1/chats", json={"kind": "group", "members": ["bob", "zoe"]})

    assert code(response) == (404, "user.not_found")
    assert world.log.last == 0


async def test_a_directory_that_is_down_stops_only_what_needs_it(world: Edge) -> None:
    world.directory.down = True

    alone = await world.client("ada").post("/v1/chats", json={"kind": "group"})
    together = await world.client("ada").post("/v1/chats", json={"kind": "group", "members": ["bob"]})

    assert alone.status_code == 201
    assert code(together) == (503, "unavailable")


async def test_a_group_of_more_than_a_thousand_is_full(world: Edge) -> None:
    names = [f"user{number}" for number in range(1_000)]
    world.directory.people |= type(world.directory)(*names).people

    response = await world.client("ada").post("/v1/chats", json={"kind": "group", "members": names})

    assert code(response) == (409, "chat.full")


async def test_my_chats_are_paged_by_a_cursor_of_theirs(world: Edge) -> None:
    made = [await world.create("ada", title=str(number)) for number in range(5)]
    client, seen, cursor = world.client("ada"), [], None
    while True:
        page = await client.get("/v1/chats", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200
        assert int(page.headers["petit-as-of"]) == world.log.last
        seen += [one["id"] for one in page.json()["items"]]
        cursor = page.json()["next"]
        if cursor is None:
            break

    assert seen == made[::-1]


async def test_rooms_are_found_by_the_beginning_of_their_title(world: Edge) -> None:
    for title in ("Lobby", "lounge", "Garden"):
        await world.create("ada", kind="room", title=title)
    await world.create("ada", kind="group", title="Loft")

    page = await world.client("bob").get("/v1/rooms", params={"q": "LO", "limit": 1})
    following = await world.client("bob").get("/v1/rooms", params={"q": "LO", "cursor": page.json()["next"]})

    assert [one["title"] for one in page.json()["items"] + following.json()["items"]] == ["Lobby", "lounge"]
    assert page.json()["items"][0]["role"] is None


async def test_a_chat_is_shown_to_its_members_only(world: Edge) -> None:
    chat = await world.create("ada")

    assert (await world.client("ada").get(f"/v1/chats/{chat}")).json()["id"] == chat
    for path in (f"/v1/chats/{chat}", f"/v1/chats/{NO_CHAT}", "/v1/chats/x"):
        assert code(await world.client("bob").get(path)) == (404, "chat.not_found")


async def test_a_read_that_must_be_fresher_than_the_log_is_behind(world: Edge) -> None:
    chat = await world.create("ada")

    response = await world.client("ada").get(f"/v1/chats/{chat}", params={"min_offset": world.log.last + 1})

    assert code(response) == (425, "read.behind")
    assert int(response.headers["retry-after"]) >= 1


async def test_owners_rename_and_members_do_not(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"], title="old")

    renamed = await world.client("ada").patch(f"/v1/chats/{chat}", json={"title": "new", "about": ""})
    refused = await world.client("bob").patch(f"/v1/chats/{chat}", json={"title": "mine"})

    assert renamed.status_code == 200
    assert (renamed.json()["title"], renamed.json()["about"]) == ("new", "")
    assert int(renamed.headers["petit-offset"]) == world.log.last
    assert code(refused) == (403, "role.required")


async def test_a_change_of_nothing_is_refused(world: Edge) -> None:
    chat = await world.create("ada")

    assert code(await world.client("ada").patch(f"/v1/chats/{chat}", json={})) == (422, "request.invalid")


async def test_joining_a_room_answers_where_its_stream_goes_on(world: Edge) -> None:
    room = await world.create("ada", kind="room", title="Lobby")
    for number in range(60):
        await world.send("ada", room, text=str(number))

    response = await world.client("bob").post(f"/v1/chats/{room}/join")

    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"chat", "recent", "cursor"}
    assert [one["text"] for one in answer["recent"]] == [str(number) for number in range(10, 60)]
    assert (answer["chat"]["role"], answer["chat"]["members_count"]) == ("member", 2)
    assert Cursor.parse(answer["cursor"]) == Cursor(Epoch(1), Offset(world.log.last))
    assert response.headers["petit-offset"] == str(world.log.last)


async def test_what_a_join_shows_ends_where_its_cursor_begins(world: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await world.create("ada", kind="room")
    sent = [(await world.send("ada", room, text=str(number))).json() for number in range(5)]
    history = world.chats.history

    async def ahead_of_what_it_promises(ask: HistoryAsk) -> Found[History]:
        return Found((await history(ask)).body, Offset(sent[2]["offset"]))

    monkeypatch.setattr(world.chats, "history", ahead_of_what_it_promises)

    answer = (await world.client("bob").post(f"/v1/chats/{room}/join")).json()

    assert [one["text"] for one in answer["recent"]] == ["0", "1", "2"]
    assert Cursor.parse(answer["cursor"]).offset == sent[2]["offset"]


async def test_joining_again_answers_alike_and_stores_nothing(world: Edge) -> None:
    room = await world.create("ada", kind="room")
    first = await world.client("bob").post(f"/v1/chats/{room}/join", json={})
    stored = world.log.last

    again = await world.client("bob").post(f"/v1/chats/{room}/join", json={})

    assert again.status_code == 200
    assert again.json() == first.json()
    assert world.log.last == stored


async def test_a_group_is_not_joined(world: Edge) -> None:
    chat = await world.create("ada")

    for path in (chat, NO_CHAT, "x"):
        assert code(await world.client("bob").post(f"/v1/chats/{path}/join")) == (404, "chat.not_found")


async def test_who_left_is_a_stranger(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])

    left = await world.client("bob").post(f"/v1/chats/{chat}/leave")
    again = await world.client("bob").post(f"/v1/chats/{chat}/leave")

    assert left.status_code == 204
    assert left.content == b""
    assert left.headers["petit-offset"] == str(world.log.last)
    assert code(again) == (404, "chat.not_found")
    assert code(await world.send("bob", chat)) == (404, "chat.not_found")


async def test_a_dm_stays_as_it_is(world: Edge) -> None:
    dm = await world.create("ada", kind="dm", members=["bob"])
    ada, path = world.client("ada"), f"/v1/chats/{dm}"

    responses = [
        await ada.post(f"{path}/join"),
        await ada.post(f"{path}/leave"),
        await ada.patch(path, json={"title": "T"}),
        await ada.post(f"{path}/members", json={"user": "cat"}),
        await ada.delete(f"{path}/members/bob"),
        await ada.delete(f"{path}/members/ada"),
        await ada.patch(f"{path}/members/bob", json={"role": "owner"}),
    ]

    assert [code(one) for one in responses] == [(409, "conflict.state")] * 7
    assert code(await world.client("cat").post(f"{path}/leave")) == (404, "chat.not_found")
