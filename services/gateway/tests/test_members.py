"""Members: list, invite, remove, and the roles that allow it."""

from services.gateway.tests.edge import NO_CHAT, Edge, code


async def test_members_are_listed_longest_standing_first(world: Edge) -> None:
    chat = await world.create("ada")
    for user in ("dan", "bob", "cat"):
        await world.client("ada").post(f"/v1/chats/{chat}/members", json={"user": user})

    page = await world.client("bob").get(f"/v1/chats/{chat}/members", params={"limit": 3})
    rest = await world.client("bob").get(f"/v1/chats/{chat}/members", params={"cursor": page.json()["next"]})

    assert [one["user"] for one in page.json()["items"] + rest.json()["items"]] == ["ada", "dan", "bob", "cat"]
    assert rest.json()["next"] is None
    assert set(page.json()["items"][0]) == {"user", "role", "joined_at"}


async def test_any_member_invites(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])

    response = await world.client("bob").post(f"/v1/chats/{chat}/members", json={"user": "cat"})

    assert response.status_code == 201
    listed = (await world.client("ada").get(f"/v1/chats/{chat}/members")).json()["items"]
    assert response.json() == next(one for one in listed if one["user"] == "cat")
    assert response.headers["petit-offset"] == str(world.log.last)


async def test_whom_nobody_knows_is_not_invited(world: Edge) -> None:
    chat = await world.create("ada")

    response = await world.client("ada").post(f"/v1/chats/{chat}/members", json={"user": "zoe"})

    assert code(response) == (404, "user.not_found")


async def test_who_is_in_already_is_not_invited(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])

    response = await world.client("ada").post(f"/v1/chats/{chat}/members", json={"user": "bob"})

    assert code(response) == (409, "conflict.state")


async def test_owners_remove_and_members_do_not(world: Edge) -> None:
    chat = await world.create("ada", members=["bob", "cat"])

    refused = await world.client("bob").delete(f"/v1/chats/{chat}/members/cat")
    removed = await world.client("ada").delete(f"/v1/chats/{chat}/members/cat")
    again = await world.client("ada").delete(f"/v1/chats/{chat}/members/cat")

    assert code(refused) == (403, "role.required")
    assert removed.status_code == 204
    assert removed.headers["petit-offset"] == str(world.log.last)
    assert code(again) == (404, "user.not_found")


async def test_removing_oneself_is_leaving(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])

    response = await world.client("bob").delete(f"/v1/chats/{chat}/members/bob")

    assert response.status_code == 204
    assert b'"how":"leave"' in world.log.entries[world.log.last].payload


async def test_owners_give_roles(world: Edge) -> None:
    chat = await world.create("ada", members=["bob", "cat"])

    given = await world.client("ada").patch(f"/v1/chats/{chat}/members/bob", json={"role": "moderator"})
    refused = await world.client("cat").patch(f"/v1/chats/{chat}/members/cat", json={"role": "owner"})

    assert given.status_code == 200
    assert given.json()["user"] == "bob"
    assert given.json()["role"] == "moderator"
    assert given.json()["joined_at"]
    assert code(refused) == (403, "role.required")


async def test_the_last_owner_stays_one(world: Edge) -> None:
    chat = await world.create("ada", members=["bob"])

    response = await world.client("ada").patch(f"/v1/chats/{chat}/members/ada", json={"role": "member"})

    assert code(response) == (409, "conflict.state")


async def test_who_is_no_member_has_no_role(world: Edge) -> None:
    chat = await world.create("ada")

    for user in ("bob", "zoe", "no.such.id"):
        response = await world.client("ada").patch(f"/v1/chats/{chat}/members/{user}", json={"role": "owner"})
        assert code(response) == (404, "user.not_found")


async def test_strangers_learn_nothing_of_members(world: Edge) -> None:
    chat = await world.create("ada")
    stranger = world.client("bob")

    for there in (chat, NO_CHAT, "x"):
        path = f"/v1/chats/{there}/members"
        assert code(await stranger.get(path)) == (404, "chat.not_found")
        assert code(await stranger.post(path, json={"user": "cat"})) == (404, "chat.not_found")
        assert code(await stranger.delete(f"{path}/ada")) == (404, "chat.not_found")
        assert code(await stranger.patch(f"{path}/ada", json={"role": "member"})) == (404, "chat.not_found")
