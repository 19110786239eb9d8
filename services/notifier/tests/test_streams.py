"""Streams over real sockets: how they open, what they refuse, and how they end."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from petit.contracts.cursor import Cursor
from petit.contracts.ids import Epoch, Offset, UserId, timestamp
from petit.contracts.rpc import TicketFor
from petit.contracts.signals import SessionRevoked, SessionRevokedData
from petit.kit.clock import SystemClock
from services.notifier.tests.edge import ORIGIN, READS_PER_S, Edge, Sse, edge, frame_of
from services.notifier.tests.world import EPOCH, World, chat_id, eventually, new_id

ROOM = chat_id(1)


@pytest.fixture
async def live() -> AsyncIterator[Edge]:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with edge(world) as made:
        yield made


def cursor(offset: int, *, epoch: int = EPOCH) -> str:
    return str(Cursor(Epoch(epoch), Offset(offset)))


async def test_sse_says_hello_and_carries_what_comes(live: Edge) -> None:
    async with await live.sse() as stream:
        hello = await stream.frame()
        live.world.say(ROOM, "bob", text="hi")
        live.on.deliver()
        said = await stream.frame()

    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["petit-request-id"]
    assert (hello.event, hello.data["user"], hello.data["resumed"]) == ("hello", "ada", False)
    assert (said.event, said.id, said.data["data"]["text"]) == ("signal", cursor(2), "hi")


async def test_every_answer_tells_what_is_left_of_the_limit(live: Edge) -> None:
    """API.md, section 1: `RateLimit-Policy` and `RateLimit` on every answer, streams and refusals too."""
    async with await live.sse() as stream:
        known = stream.headers["ratelimit"]
    stranger = await live.ask("GET", "/v1/stream", {})

    assert stream.headers["ratelimit-policy"] == stranger.headers["ratelimit-policy"] == f'"reads";q={READS_PER_S};w=1'
    assert known == f'"reads";r={READS_PER_S - 1};t=1'
    assert (stranger.status, stranger.headers["ratelimit"]) == (401, f'"reads";r={READS_PER_S};t=1')


async def test_who_asks_too_often_is_told_to_wait(live: Edge) -> None:
    headers = {"Authorization": "Bearer ada"}
    path = f"/v1/cursor?cursor={cursor(1)}"
    allowed = [await live.ask("GET", path, headers) for _ in range(READS_PER_S)]
    refused = await live.ask("GET", path, headers)

    assert {answer.status for answer in allowed} == {200}
    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, "rate.limited", "1")
    assert (await live.ask("GET", path, {"Authorization": "Bearer bob"})).status == 200


async def test_a_websocket_carries_the_same_frames(live: Edge) -> None:
    async with live.websocket() as socket, await live.sse() as stream:
        assert socket.subprotocol == "petit.v1"
        await frame_of(socket)
        await stream.frame()
        live.world.say(ROOM, "bob")
        live.on.deliver()

        assert await frame_of(socket) == await stream.frame()


async def test_last_event_id_wins_over_the_cursor_in_the_query(live: Edge) -> None:
    live.world.say(ROOM, "bob")
    live.world.say(ROOM, "bob")
    live.on.deliver()
    async with await live.sse(query=f"?cursor={cursor(1)}", **{"Last-Event-ID": cursor(2)}) as stream:
        hello, said = await stream.frame(), await stream.frame()

    assert hello.data["resumed"] is True
    assert hello.id == cursor(2)
    assert said.data["offset"] == 3


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/cursor"])
@pytest.mark.parametrize("bad", ["nonsense", "", cursor(1, epoch=2), cursor(1) + "=", "%ff"])
async def test_a_cursor_that_is_not_ours_is_gone(live: Edge, path: str, bad: str) -> None:
    answer = await live.ask("GET", f"{path}?cursor={bad}", {"Authorization": "Bearer ada"})

    if bad == "%ff":
        assert (answer.status, answer.json["code"]) == (422, "request.invalid")
        return
    assert (answer.status, answer.json["code"]) == (410, "cursor.expired")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["start"] == {"chats": "/v1/chats", "stream": "/v1/stream"}


async def test_a_cursor_of_ours_is_good(live: Edge) -> None:
    answer = await live.ask("GET", f"/v1/cursor?cursor={cursor(1)}", {"Authorization": "Bearer ada"})

    assert (answer.status, answer.json) == (200, {"cursor": cursor(1)})


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/v1/stream", {}, 401, "token.missing"),
        ("GET", "/v1/stream", {"Authorization": "Basic x"}, 401, "token.missing"),
        ("GET", "/v1/stream", {"Authorization": "Bearer !"}, 401, "token.invalid"),
        ("GET", "/v1/stream?ticket=no", {}, 401, "ticket.invalid"),
        ("GET", "/v1/stream?ticket=", {}, 401, "ticket.invalid"),
        ("GET", "/v1/stream", {"Cookie": "petit_stream=!"}, 401, "token.invalid"),
        ("GET", "/v1/stream", {"Authorization": "Bearer ada", "Origin": "https://evil.example"}, 403, "origin.refused"),
        ("GET", "/v1/stream?wat=1", {"Authorization": "Bearer ada"}, 422, "request.invalid"),
        ("GET", "/v1/stream?payload=fat", {"Authorization": "Bearer ada"}, 422, "request.invalid"),
        ("GET", "/v1/stream?payload=full&payload=thin", {"Authorization": "Bearer ada"}, 422, "request.invalid"),
        ("GET", "/v1/ws", {"Authorization": "Bearer ada"}, 422, "request.invalid"),
        ("GET", "/v1/cursor", {"Authorization": "Bearer ada"}, 422, "request.invalid"),
        ("POST", "/v1/stream", {"Authorization": "Bearer ada"}, 405, "method.refused"),
        ("DELETE", "/v1/streams/x/token", {"Authorization": "Bearer ada"}, 405, "method.refused"),
        ("POST", "/v1/streams/x/token", {"Authorization": "Bearer ada"}, 404, "route.not_found"),
        ("GET", "/v1/streams", {"Authorization": "Bearer ada"}, 404, "route.not_found"),
    ],
)
async def test_what_is_refused(  # noqa: PLR0917 - a table
    live: Edge, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await live.ask(method, path, headers)

    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("allow" in answer.headers) == (status == 405)


async def test_pages_of_listed_origins_may_open_streams(live: Edge) -> None:
    async with await live.sse(Origin=ORIGIN) as stream:
        assert (await stream.frame()).event == "hello"

    assert stream.headers["access-control-allow-origin"] == ORIGIN


async def test_a_ticket_opens_one_stream_once(live: Edge) -> None:
    ends = SystemClock().now_ms() / 1000 + 60
    live.tickets.held["word"] = TicketFor(user=UserId("ada"), session="s", expires_at=ends)

    mistaken = await live.ask("GET", "/v1/stream?ticket=word&cursor=x", {})
    no_handshake = await live.ask("GET", "/v1/ws?ticket=word", {})
    assert (mistaken.json["code"], no_handshake.json["code"]) == ("cursor.expired", "request.invalid")
    assert "word" in live.tickets.held  # a refusal for another reason does not use it up

    stream = Sse(*await asyncio.open_connection("127.0.0.1", live.port))
    await stream.ask("GET", "/v1/stream?ticket=word", {})
    assert (await stream.frame()).data["user"] == "ada"
    await stream.close()
    again = await live.ask("GET", "/v1/stream?ticket=word", {})
    assert (again.status, again.json["code"]) == (401, "ticket.invalid")


async def test_a_ticket_of_a_log_in_that_is_over_opens_nothing(live: Edge) -> None:
    now = SystemClock().now_ms() / 1000
    for word, session, issued_at in (("over", "phone", now), ("early", "other", now - 60), ("good", "other", now)):
        live.tickets.held[word] = TicketFor(
            user=UserId("ada"), session=session, expires_at=now + 60, issued_at=issued_at
        )
    for over in ("phone", None):
        live.tokens.revocations.add(
            SessionRevoked(
                id=new_id(),
                by=UserId("ada"),
                person=UserId("ada"),
                at=timestamp(int(now * 1000) - 30_000),
                data=SessionRevokedData(session=over),
            )
        )

    ended = await live.ask("GET", "/v1/stream?ticket=over", {})
    early = await live.ask("GET", "/v1/stream?ticket=early", {})

    assert (ended.status, ended.json["code"]) == (early.status, early.json["code"]) == (401, "ticket.invalid")
    stream = Sse(*await asyncio.open_connection("127.0.0.1", live.port))
    await stream.ask("GET", "/v1/stream?ticket=good", {})
    assert (await stream.frame()).event == "hello"
    await stream.close()


async def test_everything_wrong_with_a_query_is_told(live: Edge) -> None:
    answer = await live.ask("GET", "/v1/cursor?x=1&y=2&cursor=a&cursor=b", {"Authorization": "Bearer ada"})

    assert [error["pointer"] for error in answer.json["errors"]] == ["?x", "?y", "?cursor"]


async def test_the_stream_cookie_is_a_token(live: Edge) -> None:
    answer = await live.ask("GET", "/v1/stream?cursor=x", {"Cookie": "a=b; petit_stream=ada; c=d"})

    assert answer.json["code"] == "cursor.expired"  # who asks was known


async def test_a_websocket_for_another_subprotocol_is_refused(live: Edge) -> None:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    stream = await live.sse()
    await stream.close()

    answer = await live.ask(
        "GET", "/v1/ws", {"Authorization": "Bearer ada", "Sec-WebSocket-Protocol": "chat"} | upgrade
    )

    assert (answer.status, answer.json["code"]) == (422, "request.invalid")


async def test_a_websocket_without_a_token_is_refused_before_it_opens(live: Edge) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await live.websocket("!").__aenter__()

    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["code"] == "token.invalid"


async def test_a_token_that_ends_is_announced_and_ends_the_stream(live: Edge) -> None:
    async with live.websocket("ada:2.5") as socket:
        hello, expiring, heartbeat = [await frame_of(socket) for _ in range(3)]
        while (bye := await frame_of(socket)).event == "heartbeat":
            pass
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()

    assert (hello.event, expiring.event, heartbeat.event) == ("hello", "expiring", "heartbeat")
    assert expiring.data["expires_in"] in {1, 2}
    assert bye.data == {"code": 4409, "resume": True}
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4409


async def test_a_stream_is_renewed_in_place_by_its_own_person(live: Edge) -> None:
    async with await live.sse("ada:31") as stream:
        hello = await stream.frame()
        path = f"/v1/streams/{hello.data['connection']}/token"
        expiring = await stream.frame()
        assert expiring.event == "expiring"

        by_header = await live.ask("POST", path, {"Authorization": "Bearer ada:100"})
        by_body = await live.ask("POST", path, {"Authorization": "Bearer ada"}, body=b'{"token":"ada:200"}')
        other = await live.ask("POST", path, {"Authorization": "Bearer bob"})
        unknown = await live.ask("POST", path, {"Authorization": "Bearer ada"}, body=b'{"tok":"ada:200"}')
        broken = await live.ask("POST", path, {"Authorization": "Bearer ada"}, body=b"{")
        large = await live.ask("POST", path, {"Authorization": "Bearer ada"}, body=b" " * 65_537)

    assert (by_header.status, by_header.json["expires_in"]) in {(200, 99), (200, 100)}
    assert (by_body.status, by_body.json["expires_in"]) in {(200, 199), (200, 200)}
    assert (other.status, other.json["code"]) == (404, "route.not_found")
    assert (unknown.status, unknown.json["errors"][0]["pointer"]) == (422, "/tok")
    assert (broken.status, broken.json["code"]) == (422, "request.invalid")
    assert (large.status, large.json["code"]) == (413, "request.too_large")


async def test_stopping_says_bye_on_every_transport() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with edge(world) as live:
        stream = await live.sse()
        socket = await live.websocket().__aenter__()
        await stream.frame()
        await frame_of(socket)
        await live.on.hub.drain()

        byes = await stream.frame(), await frame_of(socket)
        end = await stream.frame()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        await stream.close()

    assert [bye.data for bye in byes] == [{"code": 1001, "resume": True}] * 2
    assert end.event == "close"
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_a_reader_that_does_not_read_is_sent_away_and_costs_little() -> None:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with edge(world) as live:
        slow, quick = await live.sse("ada"), await live.sse("bob")
        await slow.frame()
        await quick.frame()
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        (seat,) = [one for one in live.on.hub.seats() if one.user == "ada"]
        for _ in range(40):
            for _ in range(20):
                world.say(ROOM, "bob", text="x" * 8_000)
            live.on.deliver()
            for _ in range(20):
                await quick.frame()
            if len(live.on.hub) == 1:
                break

        await eventually(lambda: len(live.on.hub) == 1)
        assert seat not in live.on.hub.seats()
        await slow.close()
        await quick.close()


async def test_who_closes_is_forgotten(live: Edge) -> None:
    async with live.websocket() as socket, await live.sse() as stream:
        await frame_of(socket)
        await stream.frame()
        assert len(live.on.hub) == 2

    await eventually(lambda: len(live.on.hub) == 0)


async def test_a_client_that_vanishes_while_opening_is_forgotten(live: Edge) -> None:
    live.world.current = False
    stream = await live.sse()
    assert len(live.on.hub) == 1

    stream.writer.transport.abort()

    await eventually(lambda: len(live.on.hub) == 0)
    live.world.current = True
    await asyncio.sleep(0)
