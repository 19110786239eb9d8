"""R04, R02: a log-in that is over is over everywhere within seconds: its streams close, and its tokens are refused."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from tests.e2e.people import People, log_in, plain_http
from tests.e2e.stack import Stack
from tests.e2e.waiting import eventually
from tests.e2e.wire import Ended, RawFrame, SocketWire, SseWire, Transport, knock, opened

WITHIN_S: Final = 5.0
"""R04."""
_LOOKS: Final = 6
"""Requests that reach each of three edges, in all likelihood."""
BOTH: Final[tuple[Transport, ...]] = ("sse", "ws")

End = Callable[[Stack, People, dict[str, Any], str], Awaitable[None]]


async def _by_the_facade(stack: Stack, _: People, grant: dict[str, Any], __: str) -> None:
    async with plain_http(stack) as http:
        answer = await http.post("/logout", headers={"Authorization": f"Bearer {grant['access_token']}"})
    assert answer.status_code == 204, answer.text


async def _at_the_issuer(stack: Stack, _: People, grant: dict[str, Any], __: str) -> None:
    form = {"client_id": stack.client, "refresh_token": grant["refresh_token"]}
    async with plain_http(stack) as http:
        answer = await http.post("/realms/petit/protocol/openid-connect/logout", data=form)
    assert answer.status_code == 204, answer.text


async def _logged_out(_: Stack, people: People, __: dict[str, Any], user: str) -> None:
    answer = await people.admin("POST", f"/users/{user}/logout")
    assert answer.status_code == 204, answer.text


async def _disabled(_: Stack, people: People, __: dict[str, Any], user: str) -> None:
    answer = await people.admin("PUT", f"/users/{user}", json={"enabled": False})
    assert answer.status_code == 204, answer.text


async def _deleted(_: Stack, people: People, __: dict[str, Any], user: str) -> None:
    answer = await people.admin("DELETE", f"/users/{user}")
    assert answer.status_code == 204, answer.text


async def _last(frames: Callable[[], Awaitable[RawFrame]]) -> RawFrame:
    """Read to the end of a stream, and return the last frame before it."""
    last = await frames()
    try:
        while True:
            last = await frames()
    except Ended:
        return last


async def _streams(stack: AsyncExitStack, of: Stack, grant: dict[str, Any]) -> list[SseWire | SocketWire]:
    """Open two streams of each kind."""
    token = grant["access_token"]
    return [await stack.enter_async_context(opened(transport, of.url, token=token)) for transport in BOTH * 2]


async def _refused(stack: Stack, token: str) -> bool:
    async with plain_http(stack) as http:
        answers = [await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"}) for _ in range(_LOOKS)]
    return all(answer.status_code == 401 and answer.json()["code"] == "token.invalid" for answer in answers)


@pytest.mark.parametrize(
    ("end", "others_too"),
    [
        pytest.param(_by_the_facade, False, id="POST /logout"),
        pytest.param(_at_the_issuer, False, id="at the issuer"),
        pytest.param(_logged_out, True, id="by an administrator"),
        pytest.param(_disabled, True, id="account disabled"),
        pytest.param(_deleted, True, id="account deleted"),
    ],
)
async def test_streams_and_tokens_end_with_their_log_in(
    stack3: Stack, people3: People, end: End, *, others_too: bool
) -> None:
    ada = await people3.one()
    one, other = await log_in(stack3, ada.username), await log_in(stack3, ada.username)
    async with AsyncExitStack() as streams:
        ending, lasting = [await _streams(streams, stack3, grant) for grant in (one, other)]
        for wire in (*ending, *lasting):
            assert (await wire.frame()).event == "hello"

        await asyncio.sleep(1.1)  # what ends all log-ins of somebody ends those of before, by whole seconds
        begun = time.monotonic()
        await end(stack3, people3, one, ada.id)
        gone = [*ending, *(lasting if others_too else [])]
        byes = await asyncio.gather(*(_last(wire.frame) for wire in gone))
        took_s = time.monotonic() - begun

        assert took_s < WITHIN_S
        assert all(bye.event == "bye" and bye.data == {"code": 4401, "resume": False} for bye in byes), byes
        for grant, over in ((one, True), (other, others_too)):
            token = grant["access_token"]
            assert await _refused(stack3, token) == over
            for transport in BOTH:
                assert await knock(transport, stack3.url, token=token) == (
                    (401, "token.invalid") if over else (200, "")
                )


async def test_who_signs_up_and_logs_in_by_the_facades_has_an_account(stack: Stack) -> None:
    """R02: and the tokens are good for everything, until the log-out."""
    username, password = f"q{secrets.token_hex(6)}", secrets.token_urlsafe(12)
    async with plain_http(stack) as http:
        made = await http.post("/signup", json={"username": username, "password": password, "name": "Quentin"})
        again = await http.post("/signup", json={"username": username, "password": password})
        wrong = await http.post("/login", json={"username": username, "password": "not that one"})
        entered = await http.post("/login", json={"username": username, "password": password})
        headers = {"Authorization": f"Bearer {entered.json()['access_token']}"}
        account = await http.get("/account", headers=headers)
        renewed = await http.post("/login", json={"refresh_token": entered.json()["refresh_token"]})
        created = await http.post("/v1/chats", json={"kind": "group", "title": "g"}, headers=headers)
        out = await http.post("/logout", headers=headers)

        async def over() -> bool:
            return (await http.get("/account", headers=headers)).status_code == 401

        await eventually(over, within_s=WITHIN_S, what="the token is refused")
        late = await http.post("/login", json={"refresh_token": renewed.json()["refresh_token"]})

    assert [answer.status_code for answer in (made, again, wrong, entered, account, renewed, created, out, late)] == [
        201,
        409,
        401,
        200,
        200,
        200,
        201,
        204,
        401,
    ]
    assert (made.json()["username"], account.json()["username"]) == (username, username)
    assert made.json()["id"] == account.json()["id"]
    assert (wrong.json()["code"], again.json()["code"]) == ("credentials.invalid", "conflict.state")
