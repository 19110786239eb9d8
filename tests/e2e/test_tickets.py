"""R03: a stream opened without a header: by a ticket, once and soon; by a cookie; from a page of ours only."""

import asyncio
from typing import Final

import pytest

from tests.e2e.people import People, Person, plain_http
from tests.e2e.stack import Stack
from tests.e2e.wire import Transport, knock, opened, signals

LIFE_S: Final = 30.0
"""A ticket's life is at most this long."""
BOTH: Final[tuple[Transport, ...]] = ("sse", "ws")
AT_ONCE: Final = 20


async def _ticket(person: Person) -> str:
    answer = await person.ask("POST", "/v1/tickets")
    assert answer.status_code == 200
    assert 0 < answer.json()["expires_in"] <= LIFE_S
    ticket: str = answer.json()["ticket"]
    return ticket


@pytest.mark.parametrize("transport", BOTH)
async def test_a_ticket_opens_one_stream_once(stack: Stack, people: People, transport: Transport) -> None:
    """R03: the second use is 401 `ticket.invalid`, whatever the transport."""
    ada = await people.one()
    ticket = await _ticket(ada)

    async with opened(transport, stack.url, headers=None, ticket=ticket) as wire:
        assert (await wire.frame()).data["user"] == ada.id
    for other in BOTH:
        assert await knock(other, stack.url, ticket=ticket) == (401, "ticket.invalid")


async def test_of_many_uses_at_once_on_three_edges_one_opens(stack3: Stack, people3: People) -> None:
    """R03: single use holds between processes."""
    ada = await people3.one()
    ticket = await _ticket(ada)

    answers = await asyncio.gather(*(knock(BOTH[number % 2], stack3.url, ticket=ticket) for number in range(AT_ONCE)))

    assert sorted(answers) == [(200, ""), *[(401, "ticket.invalid")] * (AT_ONCE - 1)]


@pytest.mark.parametrize("transport", BOTH)
async def test_a_word_that_was_never_a_ticket_opens_nothing(stack: Stack, transport: Transport) -> None:
    """R03: likewise nothing at all: 401 `token.missing`."""
    assert await knock(transport, stack.url, ticket="nonsense") == (401, "ticket.invalid")
    assert await knock(transport, stack.url, ticket="../../x y") == (401, "ticket.invalid")
    assert await knock(transport, stack.url) == (401, "token.missing")


@pytest.mark.parametrize("transport", BOTH)
async def test_the_cookie_opens_streams_again_and_again(stack: Stack, people: People, transport: Transport) -> None:
    """API section 3: HttpOnly, SameSite=Strict, for the stream paths; EventSource comes back with it by itself."""
    ada = await people.one()
    chat = (await ada.client.create_chat("group", title="g")).id
    answer = await ada.ask("POST", "/v1/tickets", json={"cookie": True})
    path = "/v1/stream" if transport == "sse" else "/v1/ws"
    set_cookies = answer.headers.get_list("set-cookie")
    cookie = next(each for each in set_cookies if f"path={path}" in each.lower().replace("; ", ";").split(";"))
    word, attributes = cookie.split(";")[0], {part.strip().lower() for part in cookie.split(";")[1:]}

    assert {"httponly", "samesite=strict"} <= attributes
    assert all("path=/;" not in each.lower() + ";" for each in set_cookies)
    for number in range(3):
        headers = {"Cookie": f"other=1; {word}", "Origin": stack.url}
        async with opened(transport, stack.url, headers=headers) as wire:
            assert (await wire.frame()).data["user"] == ada.id
            sent = await ada.client.send(chat, str(number))
            assert (await anext(signals(wire))).data["id"] == sent.id


async def test_the_cookie_is_good_for_streams_only(stack: Stack, people: People) -> None:
    """API section 3: what is not a stream wants the header."""
    ada = await people.one()
    answer = await ada.ask("POST", "/v1/tickets", json={"cookie": True})
    word = answer.headers["set-cookie"].split(";")[0]

    async with plain_http(stack) as http:
        asked = await http.get("/v1/me", headers={"Cookie": word})

    assert (asked.status_code, asked.json()["code"]) == (401, "token.missing")


@pytest.mark.parametrize("transport", BOTH)
async def test_a_page_of_another_origin_opens_no_stream(stack: Stack, people: People, transport: Transport) -> None:
    """API section 3: 403 `origin.refused`, whatever it shows; our own origin, and no origin, pass."""
    ada = await people.one()
    token = await ada.token()
    cookie = (await ada.ask("POST", "/v1/tickets", json={"cookie": True})).headers["set-cookie"].split(";")[0]

    for origin in ("https://evil.example", "null", f"{stack.url}.evil.example", stack.url.replace("http:", "https:")):
        for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": cookie}):
            said = await knock(transport, stack.url, headers={**headers, "Origin": origin})
            assert said == (403, "origin.refused"), origin
    for allowed in ({"Origin": stack.url}, {}):
        assert await knock(transport, stack.url, token=token, headers=allowed) == (200, "")


async def test_a_refused_origin_does_not_use_up_the_ticket(stack: Stack, people: People) -> None:
    """R03: another page cannot spend what is ours."""
    ada = await people.one()
    ticket = await _ticket(ada)

    await knock("sse", stack.url, headers={"Origin": "https://evil.example"}, ticket=ticket)

    assert await knock("sse", stack.url, ticket=ticket) == (200, "")


async def test_no_token_and_no_ticket_is_in_the_logs(stack: Stack, people: People) -> None:
    """R03: whatever was shown, on whichever route, well or badly: the files under `logs/` hold none of it."""
    ada = await people.one()
    token, ticket, unused = await ada.token(), await _ticket(ada), await _ticket(ada)
    cookie = (await ada.ask("POST", "/v1/tickets", json={"cookie": True})).headers["set-cookie"].split(";")[0]
    await knock("sse", stack.url, ticket=ticket)
    await knock("ws", stack.url, ticket=ticket)
    for transport in BOTH:
        await knock(transport, stack.url, token=token + "x")
    async with plain_http(stack) as http:
        for path in ("/v1/me", f"/v1/me?access_token={token}", f"/v1/{token}", f"/v1/chats/{token}"):
            await http.get(path, headers={"Authorization": f"Bearer {token}", "Cookie": cookie})
        await http.post("/v1/tickets", headers={"Authorization": f"Bearer {token}"}, content=token)

    logged = stack.logged()

    assert logged, "there are logs to look into"
    for secret in (token, token.rsplit(".", 1)[1], ticket, unused):
        assert secret not in logged
