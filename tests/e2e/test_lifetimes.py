"""How long things last: tokens (R04, R01), tickets (R03) and the quiet of a stream (R14).

Each of these waits for time to pass and does little else, so they are begun together (`aside`); each
scenario is a test of its own.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

import pytest

from petit.contracts.cursor import Cursor
from tests.e2e.aside import Asides, side_by_side
from tests.e2e.people import People, Person, log_in, plain_http
from tests.e2e.stack import Stack
from tests.e2e.waiting import eventually
from tests.e2e.wire import Ended, RawFrame, SocketWire, SseWire, Transport, knock, opened, signals

TOKEN_S: Final = 8
"""How long tokens of the installation with short ones last."""
LEEWAY_S: Final = 30.0
"""A request may be accepted a little after its token's end, not longer."""
TICKET_S: Final = 30.0
"""A ticket's life is at most this long."""
HEARTBEAT_S: Final = 25
SLACK_S: Final = 5.0
"""R04: everything is over within 5 s."""
BOTH: Final[tuple[Transport, ...]] = ("sse", "ws")
Link = SseWire | SocketWire


@pytest.fixture(scope="module")
def asides(stack: Stack, brief: Callable[[int], AbstractContextManager[Stack]]) -> Iterator[Asides]:
    """Begin all scenarios: some on an installation of three edges whose tokens end after seconds."""
    with brief(TOKEN_S) as short:
        scenarios = {
            "unrenewed": partial(_unrenewed, short),
            "by ticket": partial(_by_ticket, short),
            "renewed": partial(_renewed, short),
            "not by others": partial(_not_by_others, short),
            "badly renewed": partial(_badly_renewed, short),
            "expired": partial(_expired, short),
            "old ticket": partial(_old_ticket, stack),
            "heartbeat": partial(_heartbeat, stack),
        }
        with side_by_side(scenarios) as begun:
            yield begun


def test_an_unrenewed_stream_says_expiring_and_then_bye(asides: Asides) -> None:
    """R04: `expiring` (30 s before the end, or at once), then `bye` 4409 to resume, then the end, in time."""
    asides.outcome("unrenewed")


def test_a_stream_by_ticket_ends_with_the_token_that_bought_the_ticket(asides: Asides) -> None:
    """R04: a ticket does not outlive its token."""
    asides.outcome("by ticket")


def test_a_token_renewed_in_place_carries_the_stream_on(asides: Asides) -> None:
    """R04: WebSocket `auth`, SSE `POST /v1/streams/{connection}/token`, whichever edge that reaches."""
    asides.outcome("renewed")


def test_nobody_renews_a_stream_with_anothers_token_or_a_bad_one(asides: Asides) -> None:
    """R04: the person of a stream does not change, and what is no token renews nothing."""
    asides.outcome("not by others")


def test_a_bad_token_on_the_socket_renews_nothing(asides: Asides) -> None:
    """API section 3: what is no token, or another's, is answered 401, and the stream goes on."""
    asides.outcome("badly renewed")


def test_an_expired_token_is_good_nowhere(asides: Asides) -> None:
    """R01: 401 `token.expired`, soon after its end, on REST and on streams."""
    asides.outcome("expired")


@pytest.mark.timeout(90)
def test_a_ticket_is_of_no_use_after_thirty_seconds(asides: Asides) -> None:
    """R03: 401 `ticket.invalid`, and until shortly before that it works."""
    asides.outcome("old ticket")


@pytest.mark.timeout(90)
def test_a_quiet_stream_hears_a_heartbeat_that_moves_its_cursor(asides: Asides) -> None:
    """R14: at least every 25 s, on both transports, with the head's offset, although nothing concerned the reader."""
    asides.outcome("heartbeat")


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


async def _unrenewed(stack: Stack) -> None:
    async with People(stack) as crowd:
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


async def _by_ticket(stack: Stack) -> None:
    async with People(stack) as crowd:
        ada = await crowd.one()
        begun = time.monotonic()
        ticket = (await ada.ask("POST", "/v1/tickets")).json()["ticket"]

        async with opened("sse", ada.client.base_url, headers=None, ticket=ticket) as wire:
            frames, _ = await _to_the_end(wire)

        assert frames[-1].data["code"] == 4409
        assert time.monotonic() - begun < TOKEN_S + SLACK_S


async def _renewed(stack: Stack) -> None:
    async with People(stack) as crowd:
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


async def _not_by_others(stack: Stack) -> None:
    async with People(stack) as crowd:
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


async def _badly_renewed(stack: Stack) -> None:
    async with People(stack) as crowd:
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


async def _expired(stack: Stack) -> None:
    token = (await log_in(stack, "ada"))["access_token"]
    begun = time.monotonic()

    async def refused() -> bool:
        async with plain_http(stack) as http:
            answer = await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code == 401 and answer.json()["code"] == "token.expired"

    await eventually(refused, within_s=TOKEN_S + LEEWAY_S, every_s=0.5, what="the token is refused")

    assert time.monotonic() - begun > TOKEN_S - 2
    for transport in BOTH:
        assert await knock(transport, stack.url, token=token) == (401, "token.expired")


async def _old_ticket(stack: Stack) -> None:
    async with People(stack) as people:
        ada = await people.one()
        begun = time.monotonic()
        tickets = [(await ada.ask("POST", "/v1/tickets")).json()["ticket"] for _ in range(100)]
        last_good_s = 0.0

        async def refused() -> bool:
            nonlocal last_good_s
            tried_s = time.monotonic() - begun
            answer = await knock("sse", stack.url, ticket=tickets.pop())
            if answer == (200, ""):
                last_good_s = tried_s
            return answer == (401, "ticket.invalid")

        await eventually(refused, within_s=TICKET_S + 2, every_s=0.5, what="tickets are too old")

        assert last_good_s > TICKET_S / 2, "it was given a few seconds only"


async def _heartbeat(stack: Stack) -> None:
    async with People(stack) as people:
        ada, bob = await people(2)
        chat = (await bob.client.create_chat("group", title="elsewhere")).id

        async def one(transport: Transport) -> None:
            async with opened(transport, ada.client.base_url, token=await ada.token()) as wire:
                hello = await wire.frame()
                every_s = hello.data["heartbeat_s"]
                sent = await bob.client.send(chat, "not for ada")
                beat = await wire.frame(within_s=every_s + SLACK_S)
                while beat.data.get("head", sent.offset) < sent.offset:  # one that was on its way already
                    beat = await wire.frame(within_s=every_s + SLACK_S)

            assert 0 < every_s <= HEARTBEAT_S
            assert beat.event == "heartbeat"
            assert Cursor.parse(beat.id or "") > Cursor.parse(hello.id or "")
            assert beat.data["head"] >= Cursor.parse(beat.id or "").offset

        await asyncio.gather(*map(one, BOTH))
