"""Promise 2: a chat that one is not in answers, on every route, exactly like one that does not exist."""

import uuid
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.e2e.people import People, Person
from tests.e2e.watching import watching
from tests.e2e.wire import SocketWire, opened

MESSAGE: Final = "{message}"
MEMBER: Final = "{member}"


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a chat."""

    method: str
    path: str
    """Under the chat; `{message}` and `{member}` stand for those of the chat."""
    body: dict[str, Any] | None = None


ROUTES: Final = (
    Route("GET", ""),
    Route("PATCH", "", {"title": "mine now"}),
    Route("POST", "/join"),
    Route("POST", "/leave"),
    Route("GET", "/members"),
    Route("POST", "/members", {"user": MEMBER}),
    Route("DELETE", f"/members/{MEMBER}"),
    Route("PATCH", f"/members/{MEMBER}", {"role": "member"}),
    Route("GET", "/messages"),
    Route("GET", "/messages?after=0"),
    Route("GET", "/messages?around=1&limit=1"),
    Route("POST", "/messages", {"text": "let me in"}),
    Route("POST", "/messages", {"text": "let me in", "nonce": "n"}),
    Route("GET", f"/messages/{MESSAGE}"),
    Route("GET", f"/messages/{MESSAGE}/views"),
    Route("PUT", "/view", {"seq": 1}),
    Route("PUT", "/delivered", {"seq": 1}),
)
PUBLIC: Final = (Route("GET", ""), Route("POST", "/join"))
"""What a room shows to those who are not in it, or not any more."""


class Chat:
    """A chat with a message and two members, or the id of none."""

    def __init__(self, id: str, *, message: str, member: str) -> None:
        self.id = id
        self._message = message
        self._member = member

    async def ask(self, who: Person, route: Route) -> tuple[int, dict[str, Any]]:
        """Ask as somebody, and return the status and the body."""
        path = self._filled(f"/v1/chats/{self.id}{route.path}")
        body = {name: self._filled(value) for name, value in (route.body or {}).items()}
        answer = await who.ask(route.method, path, **({"json": body} if route.body is not None else {}))
        return answer.status_code, answer.json() if answer.content else {}

    def _filled(self, text: Any) -> Any:  # noqa: ANN401 - a seq stays a number
        return text.replace(MESSAGE, self._message).replace(MEMBER, self._member) if isinstance(text, str) else text


def _alike(answer: tuple[int, dict[str, Any]], chat: Chat) -> tuple[int, dict[str, str]]:
    """Return an answer without what only says which chat was asked for."""
    status, problem = answer
    return status, {name: str(value).replace(chat.id, "<chat>") for name, value in problem.items()}


async def _make(owner: Person, other: Person, *, kind: str) -> Chat:
    body: dict[str, Any] = {"kind": kind, "members": [other.id]}
    if kind != "dm":
        body["title"] = "secret"
    id = (await owner.ask("POST", "/v1/chats", json=body)).json()["id"]
    sent = await owner.client.send(id, "secret")
    await owner.client.message(id, sent.id, min_offset=sent.offset)
    return Chat(id, message=sent.id, member=other.id)


@pytest.mark.parametrize("kind", ["dm", "group", "room"])
async def test_a_stranger_cannot_tell_a_chat_from_none(people3: People, kind: str) -> None:
    """API section 1: the same 404 with the same words on every route, a room's public face aside."""
    owner, other, stranger = await people3(3)
    chat = await _make(owner, other, kind=kind)
    none = Chat(str(uuid.uuid4()), message=str(uuid.uuid4()), member=other.id)

    for route in ROUTES:
        if kind == "room" and route in PUBLIC:
            continue
        answer, expected = await chat.ask(stranger, route), await none.ask(stranger, route)

        assert answer[0] == 404, (route, answer)
        assert answer[1]["code"] == "chat.not_found", (route, answer)
        assert _alike(answer, chat) == _alike(expected, none), route


@pytest.mark.parametrize("kind", ["group", "room"])
async def test_an_ex_member_is_a_stranger(people3: People, kind: str) -> None:
    """API section 1: whoever left or was removed gets what a stranger gets."""
    owner, other, leaver, kicked = await people3(4)
    chat = await _make(owner, other, kind=kind)
    for each in (leaver, kicked):
        await owner.client.invite(chat.id, each.id)
        assert (await chat.ask(each, Route("GET", "/messages")))[0] == 200
    await leaver.client.leave(chat.id)
    await owner.client.remove(chat.id, kicked.id)

    for each in (leaver, kicked):
        for route in ROUTES:
            if kind == "room" and route in PUBLIC:
                continue
            answer = await chat.ask(each, route)
            assert (answer[0], answer[1]["code"]) == (404, "chat.not_found"), (route, answer)
        assert chat.id not in [mine.id for mine in (await each.client.chats()).items]


async def test_a_room_shows_its_face_and_no_more(people: People) -> None:
    """API section 1: a listed room's public face, without messages, members' names or the caller's markers."""
    owner, other, stranger = await people(3)
    room = await _make(owner, other, kind="room")

    status, face = await room.ask(stranger, Route("GET", ""))

    assert status == 200
    assert (face["id"], face["kind"], face["title"], face["members_count"]) == (room.id, "room", "secret", 2)
    assert (face["role"], face["joined_offset"], face["last"]) == (None, None, None)
    assert face["unread"] == face["marker"] == 0


async def test_strangers_see_nothing_live(people3: People) -> None:
    """Promise 2: a stranger's stream, and a nosy stranger's socket, carry nothing of other people's chats."""
    owner, other, stranger = await people3(3)

    async with watching(stranger) as sse_sees, watching(stranger, transport="ws") as ws_sees:
        chats = [await _make(owner, other, kind=kind) for kind in ("dm", "group", "room")]
        for chat in chats:
            await owner.client.view(chat.id, 1)
            await other.client.delivered(chat.id, 1)
            await other.client.send(chat.id, "secret")
        await sse_sees.caught_up()
        await ws_sees.caught_up()

    for watch in (sse_sees, ws_sees):
        for chat in chats:
            assert watch.of(chat.id) == []
        assert {frame.event for frame in watch.frames} <= {"hello", "signal", "heartbeat"}


async def test_a_socket_does_not_reach_into_other_peoples_chats(people3: People) -> None:
    """API section 3: `do` meets the same handler as REST: 404."""
    owner, other, stranger = await people3(3)
    chat = await _make(owner, other, kind="group")

    async with opened("ws", stranger.client.base_url, token=await stranger.token()) as wire:
        assert isinstance(wire, SocketWire)
        await wire.frame()
        for do, body in (("send", {"text": "hi"}), ("view", {"seq": 1}), ("delivered", {"seq": 1})):
            for target in (chat.id, str(uuid.uuid4()), "nonsense"):
                await wire.do(do=do, ref=do, chat=target, **body)
                reply = (await wire.frame()).data

                assert (reply["ref"], reply["status"], reply["body"]["code"]) == (do, 404, "chat.not_found")


@pytest.mark.parametrize(
    "id", ["nonsense", "0", "%20", "01A1FB18-91BB-7000-A94D-EE3F9325BFC4", "a" * 300, "..%252Fusers"]
)
async def test_a_malformed_id_is_one_that_is_not_there(people: People, id: str) -> None:
    """API section 1: 404, like any id that is not there."""
    ada = await people.one()
    chat = (await ada.client.create_chat("group", title="g")).id

    for route in ROUTES:
        answer = await Chat(id, message=id, member=ada.id).ask(ada, route)
        assert (answer[0], answer[1]["code"]) == (404, "chat.not_found"), (route, answer)
    for path in (f"/messages/{id}", f"/messages/{id}/views"):
        status, problem = await Chat(chat, message=id, member=ada.id).ask(ada, Route("GET", path))
        assert (status, problem["code"]) == (404, "message.not_found"), path


async def test_a_message_of_another_chat_is_not_there(people: People) -> None:
    """API section 1: an id of a chat of mine, asked for in another chat of mine."""
    ada = await people.one()
    here, there = [(await ada.client.create_chat("group", title=title)).id for title in ("here", "there")]
    sent = await ada.client.send(there, "there")

    for path in (f"/messages/{sent.id}", f"/messages/{sent.id}/views"):
        answer = await ada.ask("GET", f"/v1/chats/{here}{path}?min_offset={sent.offset}")
        assert (answer.status_code, answer.json()["code"]) == (404, "message.not_found")
