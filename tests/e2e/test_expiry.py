"""R04 as far as tokens go: a stream ends with its token, unless that is renewed in place."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from tests.e2e.people import People, Person
from tests.e2e.stack import Stack
from tests.e2e.wire import Ended, RawFrame, SocketWire, SseWire, Transport, opened, signals

TOKEN_S: Final = 8
"""How long tokens of this installation last."""
SLACK_S: Final = 5.0
"""R04: everything is over within 5 s."""
BOTH: Final[tuple[Transport, ...]] = ("sse", "ws")
Link = SseWire | SocketWire


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Three edges, and tokens that end after seconds."""
    stack = Stack(
        tmp_path_factory.mktemp("short") / "data", processes=3, environment={"PETIT_LOCAL_TOKEN_S": str(TOKEN_S)}
    )
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


@pytest.fixture
async def crowd(short: Stack) -> AsyncIterator[People]:
    """Make people there."""
    async with People(short) as made:
        yield made


async def _to_the_end(wire: Link) -> tuple[list[RawFrame], Ended]:
    """Read until the server closes the connection."""
    frames = []
    while True:
        try:
            frames.append(await wire.frame(within_s=3 * TOKEN_S))
        except Ended as ended:
            return frames, ended


def _only(frames: list[RawFrame], event: str) -> list[dict[str, Any]]:
    return [frame.data for frame in frames if frame.event == event]


async def test_an_unrenewed_stream_says_expiring_and_then_bye(crowd: People) -> None:
    """R04: `expiring` (30 s before the end, or at once), then `bye` 4409 to resume, then the end, in time."""
    ada = await crowd.one()

    async def one(transport: Transport) -> None:
        token, begun = await ada.token(), time.monotonic()
        async with opened(transport, ada.client.base_url, token=token) as wire:
            frames, ended = await _to_the_end(wire)

        assert time.monotonic() - begun < TOKEN_S + SLACK_S
        assert 0 < _only(frames, "expiring")[0]["expires_in"] <= TOKEN_S
        assert (frames[-1].event, frames[-1].data) == ("bye", {"code": 4409, "resume": True})
        assert all(frame.id for frame in frames)
        assert ended.code == (4409 if transport == "ws" else None)

    await asyncio.gather(*map(one, BOTH))


async def test_a_stream_by_ticket_ends_with_the_token_that_bought_the_ticket(crowd: People) -> None:
    """R04: a ticket does not outlive its token."""
    ada = await crowd.one()
    begun = time.monotonic()
    ticket = (await ada.ask("POST", "/v1/tickets")).json()["ticket"]

    async with opened("sse", ada.client.base_url, headers=None, ticket=ticket) as wire:
        frames, _ = await _to_the_end(wire)

    assert frames[-1].data["code"] == 4409
    assert time.monotonic() - begun < TOKEN_S + SLACK_S


@pytest.mark.timeout(90)
async def test_a_token_renewed_in_place_carries_the_stream_on(crowd: People) -> None:
    """R04: WebSocket `auth`, SSE `POST /v1/streams/{connection}/token`, whichever edge that reaches."""
    ada = await crowd.one()
    chat = (await ada.client.create_chat("group", title="g")).id

    async def one(transport: Transport) -> None:
        async with opened(transport, ada.client.base_url, token=await ada.token()) as wire:
            hello, begun = await wire.frame(), time.monotonic()
            assert hello.event == "hello"
            sent, seen = list[str](), list[str]()
            while time.monotonic() - begun < 2.2 * TOKEN_S:
                frame = await wire.frame(within_s=2 * TOKEN_S)
                assert frame.event in {"expiring", "heartbeat", "signal", "reply"}, frame
                if frame.event == "signal":
                    seen.append(frame.data["id"])
                if frame.event == "expiring":
                    await _renew(ada, wire, connection=hello.data["connection"])
                    sent.append((await ada.client.send(chat, transport)).id)
            while sent[-1] not in seen:
                frame = await wire.frame()
                seen += [frame.data["id"]] if frame.event == "signal" else []
            assert len(sent) >= 2, "renewed twice"
            assert set(sent) <= set(seen)
            assert len(seen) == len(set(seen))

    await asyncio.gather(*map(one, BOTH))


async def test_nobody_renews_a_stream_with_anothers_token_or_a_bad_one(crowd: People) -> None:
    """R04: the person of a stream does not change, and what is no token renews nothing."""
    ada, bob = await crowd(2)
    async with opened("sse", ada.client.base_url, token=await ada.token()) as wire:
        connection = (await wire.frame()).data["connection"]

        by_bob = await bob.ask("POST", f"/v1/streams/{connection}/token", json={"token": await bob.token()})
        bad = await ada.ask("POST", f"/v1/streams/{connection}/token", json={"token": "not.a.token"})
        nowhere = await ada.ask("POST", "/v1/streams/none-1/token", json={"token": await ada.token()})
        frames, _ = await _to_the_end(wire)

    assert by_bob.status_code in {401, 403, 404}
    assert (bad.status_code, bad.json()["code"]) == (401, "token.invalid")
    assert nowhere.status_code == 404
    assert frames[-1].data["code"] == 4409


async def test_a_bad_token_on_the_socket_renews_nothing(crowd: People) -> None:
    """API section 3: what is no token, or another's, is answered 401, and the stream goes on."""
    ada, bob = await crowd(2)
    chat = (await ada.client.create_chat("group", title="g")).id
    async with opened("ws", ada.client.base_url, token=await ada.token()) as wire:
        assert isinstance(wire, SocketWire)
        await wire.frame()

        for token in ("not.a.token", await bob.token()):
            await wire.do(do="auth", ref=token[:5], token=token)
            while (frame := await wire.frame()).event != "reply":
                assert frame.event in {"expiring", "heartbeat"}
            assert (frame.data["status"], frame.data["body"]["code"]) == (401, "token.invalid")
        sent = await ada.client.send(chat, "still here")
        assert (await anext(signals(wire))).data["id"] == sent.id


async def _renew(person: Person, wire: Link, *, connection: str) -> None:
    token = await person.token()
    if isinstance(wire, SocketWire):
        await wire.do(do="auth", ref="renew", token=token)
    else:
        answer = await person.ask("POST", f"/v1/streams/{connection}/token", json={"token": token})
        assert answer.status_code in {200, 204}, answer.text
