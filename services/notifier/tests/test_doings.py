"""What clients write on a WebSocket: done in order, answered in order, and whatever it is, nothing crashes."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection

from petit.notifier.domain.asks import BadFrame, read_ask
from petit.notifier.sockets.inbound import Inbound
from services.notifier.tests.edge import Edge, edge, frame_of
from services.notifier.tests.world import World, chat_id, eventually

ROOM = chat_id(1)


@pytest.fixture
async def live() -> AsyncIterator[Edge]:
    world = World()
    world.create(ROOM, "ada", "bob")
    async with edge(world) as made:
        yield made


async def reply(socket: ClientConnection) -> dict[str, object]:
    """Read on to the next reply."""
    while (frame := await frame_of(socket)).event != "reply":
        pass
    return frame.data


async def closed_with(socket: ClientConnection) -> int:
    """Read on to the end, and return the code."""
    async with asyncio.timeout(5):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


async def test_what_is_asked_is_done_and_answered_in_order(live: Edge) -> None:
    async with live.websocket() as one, live.websocket("bob") as other:
        for n in range(300):
            await one.send(json.dumps({"do": "send", "ref": str(n), "n": n}))
        await other.send(json.dumps({"do": "view", "n": "x"}))
        replies = [await reply(one) for _ in range(300)]
        of_other = await reply(other)

    assert [(said["ref"], said["status"], said["body"]) for said in replies] == [
        (str(n), 201, {"n": n, "by": "ada"}) for n in range(300)
    ]
    assert of_other == {"ref": None, "status": 201, "body": {"n": "x", "by": "bob"}}
    assert [json.loads(item.text)["n"] for item in live.gateway.items if item.user == "ada"] == list(range(300))
    assert {item.session for item in live.gateway.items} == {"s"}
    ids = [item.id or "" for item in live.gateway.items if item.user == "ada"]
    assert all(ids)
    assert ids == sorted(set(ids))


async def test_what_is_not_ours_is_refused_in_its_turn(live: Edge) -> None:
    async with live.websocket() as socket:
        await socket.send(json.dumps({"do": "send", "ref": "1", "n": 1}))
        await socket.send(json.dumps({"do": "typing", "ref": "2"}))
        await socket.send(json.dumps({"do": "send", "ref": "3", "n": 3}))

        assert [(said["ref"], said["status"]) for said in [await reply(socket) for _ in range(3)]] == [
            ("1", 201),
            ("2", 422),
            ("3", 201),
        ]


async def test_a_gateway_that_is_down_is_unavailable(live: Edge) -> None:
    live.gateway.down = True
    async with live.websocket() as socket:
        await socket.send('{"do":"send","ref":"1"}')
        said = await reply(socket)

    body = said["body"]
    assert isinstance(body, dict)
    assert (said["status"], body["code"]) == (503, "unavailable")


async def test_who_asks_faster_than_we_answer_is_read_no_further(live: Edge) -> None:
    live.gateway.gate.clear()
    async with live.websocket() as socket:
        await frame_of(socket)
        sending = asyncio.create_task(send_many(socket, 3_000))
        await eventually(lambda: live.gateway.batches)
        (seat,) = live.on.hub.seats()
        await eventually(lambda: not seat._transport.is_reading())  # type: ignore[attr-defined]  # noqa: SLF001 - a test looks inside
        live.gateway.gate.set()
        replies = [await reply(socket) for _ in range(3_000)]
        await sending

    assert [said["ref"] for said in replies] == [str(n) for n in range(3_000)]


async def send_many(socket: ClientConnection, number: int) -> None:
    for n in range(number):
        await socket.send(json.dumps({"do": "send", "ref": str(n), "n": n, "text": "x" * 500}))


async def test_a_token_is_renewed_in_place_by_its_own_person(live: Edge) -> None:
    async with live.websocket() as socket:
        for token in ("ada:900", "bob:900", "!", 7):
            await socket.send(json.dumps({"do": "auth", "ref": str(token), "token": token}))
        replies = [await reply(socket) for _ in range(4)]

    assert [said["status"] for said in replies] == [200, 401, 401, 422]
    assert replies[0]["body"] in ({"expires_in": 899}, {"expires_in": 900})


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("{", 4400),
        ("[]", 4400),
        ('"x"', 4400),
        ("{}", 4400),
        ('{"do":1}', 4400),
        ('{"do":"send","ref":{}}', 4400),
        ('{"do":"send","text":"\\ud800"}', 4400),
        (b"\x00\xff", 4400),
        ("x" * 65_537, 4413),
    ],
)
async def test_a_bad_frame_ends_its_own_connection_only(live: Edge, bad: str | bytes, code: int) -> None:
    async with live.websocket() as other:
        async with live.websocket() as socket:
            await socket.send(bad)
            assert await closed_with(socket) == code

        await other.send('{"do":"send","ref":"1","n":1}')
        assert (await reply(other))["status"] == 201


async def test_pings_are_answered_and_fragments_joined(live: Edge) -> None:
    async with live.websocket() as socket:
        await asyncio.wait_for(await socket.ping(b"hey"), 5)
        await socket.send(['{"do":"send",', '"ref":"1",', '"n":1}'])

        assert (await reply(socket))["ref"] == "1"


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_whatever_bytes_come_the_parser_says_what_they_mean(chunks: list[bytes]) -> None:
    inbound = Inbound()
    for chunk in chunks:
        heard = inbound.feed(chunk)
        if heard.over is not None:
            assert heard.over in {1000, 4400, 4413}
            return


atoms = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
objects = st.recursive(
    atoms, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["do", "ref", "x"]), inner), max_leaves=20
)
texts = (
    st.binary(max_size=300)
    | st.text(max_size=300).map(str.encode)
    | objects.map(lambda said: json.dumps(said).encode())
)


@given(texts)
def test_whatever_text_comes_it_is_an_ask_or_a_bad_frame(text: bytes) -> None:
    try:
        ask = read_ask(text)
    except BadFrame:
        return
    assert isinstance(ask.do, str)


async def test_fuzzed_frames_end_only_their_own_connection(live: Edge) -> None:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    head = (
        "GET /v1/ws HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer ada\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()
    tail = b"\x01\x02\x03\x04" + b"\xfe" * 9
    starts = [bytes([first, 0x80 | size]) for first in range(0, 256, 7) for size in (0, 9, 126)]
    async with live.websocket("bob") as other:
        for start in starts:
            reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
            writer.write(head + start + tail)
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        await other.send('{"do":"send","ref":"1","n":1}')
        assert (await reply(other))["status"] == 201
        await eventually(lambda: len(live.on.hub) == 1)
