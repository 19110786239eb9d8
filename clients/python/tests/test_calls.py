"""Requests that are tried again, and those that must not be."""

import json
from collections.abc import Callable

import httpx2
import pytest

from petit.client import (
    Client,
    Conflict,
    CursorExpired,
    FixedToken,
    Forbidden,
    Invalid,
    NotFound,
    Patience,
    RateLimited,
    Unauthenticated,
    Unavailable,
    Unreachable,
    calls,
)
from petit.contracts.ids import timestamp, uuid7_ms
from petit.contracts.problems import Code, Refused

CHAT = "0198c2f0-0000-7000-8000-000000000001"
Handler = Callable[[httpx2.Request], httpx2.Response]


class Counting:
    """Tokens t0, t1, …: a new one whenever the last one is stale."""

    def __init__(self) -> None:
        self.made = 0

    async def access_token(self, http: httpx2.AsyncClient, *, stale: str | None = None) -> str:
        if stale == f"t{self.made}":
            self.made += 1
        return f"t{self.made}"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(calls, "LONGEST_PAUSE_S", 0.002)


def client_of(*answers: httpx2.Response | Exception, seen: list[httpx2.Request], total_s: float = 5.0) -> Client:
    """Return a client whose server gives these answers, one after another."""
    left = list(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client(
        "http://server.test",
        tokens=Counting(),
        patience=Patience(attempt_s=1, total_s=total_s),
        transport=httpx2.MockTransport(handle),
    )


def sent(message: str, *, status: int = 201) -> httpx2.Response:
    body = {"id": message, "chat": CHAT, "by": "ada", "at": timestamp(0), "offset": 7}
    return httpx2.Response(status, json=body, headers={"Petit-Offset": "7"})


def refusal(code: Code, *, retry_after: int | None = None, **extra: object) -> httpx2.Response:
    refused = Refused(code, "why not", extra=extra)
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return httpx2.Response(refused.status, json=refused.problem().model_dump(mode="json"), headers=headers)


def ids(seen: list[httpx2.Request]) -> list[str]:
    return [json.loads(request.content)["id"] for request in seen]


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(Code.UNAVAILABLE),
        refusal(Code.INTERNAL),
        refusal(Code.RATE_LIMITED, retry_after=0),
        httpx2.Response(502, text="<html>a proxy</html>"),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("too late"),
        httpx2.RemoteProtocolError("cut"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value.status_code),
)
async def test_a_send_is_tried_again_with_the_same_id(trouble: httpx2.Response | Exception) -> None:
    seen: list[httpx2.Request] = []
    client = client_of(trouble, sent("m"), seen=seen)

    answer = await client.send(CHAT, "hello")

    assert answer.offset == 7
    assert client.offset == 7
    assert len(set(ids(seen))) == 1
    assert len(seen) == 2


async def test_a_send_gives_up_at_its_deadline_with_the_last_trouble() -> None:
    seen: list[httpx2.Request] = []
    client = client_of(*[refusal(Code.UNAVAILABLE)] * 1000, seen=seen)

    with pytest.raises(Unavailable):
        await client.send(CHAT, "hello", patience_s=0.05)

    assert len(seen) > 2


async def test_a_hint_beyond_the_deadline_is_not_waited_for() -> None:
    seen: list[httpx2.Request] = []
    client = client_of(refusal(Code.RATE_LIMITED, retry_after=60), seen=seen)

    with pytest.raises(RateLimited) as caught:
        await client.send(CHAT, "hello")

    assert caught.value.retry_after == 60
    assert len(seen) == 1


async def test_a_join_that_may_have_arrived_is_not_tried_again() -> None:
    seen: list[httpx2.Request] = []
    client = client_of(httpx2.ReadTimeout("too late"), seen=seen)

    with pytest.raises(Unreachable):
        await client.join(CHAT)

    assert len(seen) == 1


async def test_a_leave_that_never_left_is_tried_again() -> None:
    seen: list[httpx2.Request] = []
    client = client_of(httpx2.ConnectError("refused"), httpx2.Response(204), seen=seen)

    await client.leave(CHAT)

    assert len(seen) == 2


async def test_an_expired_token_is_replaced_once() -> None:
    seen: list[httpx2.Request] = []
    client = client_of(refusal(Code.TOKEN_EXPIRED), sent("m"), seen=seen)

    await client.send(CHAT, "hello")

    assert [request.headers["Authorization"] for request in seen] == ["Bearer t0", "Bearer t1"]


async def test_a_token_that_stays_refused_is_an_error() -> None:
    seen: list[httpx2.Request] = []
    client = client_of(refusal(Code.TOKEN_INVALID), refusal(Code.TOKEN_INVALID), seen=seen)

    with pytest.raises(Unauthenticated):
        await client.send(CHAT, "hello")

    assert len(seen) == 2


async def test_a_clock_that_is_ahead_is_put_right_and_the_message_composed_anew() -> None:
    seen: list[httpx2.Request] = []
    noon = 1_700_000_000_000
    client = client_of(refusal(Code.CLOCK_AHEAD, server_time=timestamp(noon)), sent("m"), seen=seen)

    await client.send(CHAT, "hello")

    first, second = (uuid7_ms(each) or 0 for each in ids(seen))
    assert first > second
    assert abs(second - noon) < 5_000


async def test_an_id_that_the_caller_made_is_never_replaced() -> None:
    seen: list[httpx2.Request] = []
    client = client_of(refusal(Code.CLOCK_AHEAD, server_time=timestamp(0)), seen=seen)

    with pytest.raises(Invalid):
        await client.send(CHAT, "hello", id=client.new_id())

    assert len(seen) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.TOKEN_MISSING, Unauthenticated),
        (Code.ROLE_REQUIRED, Forbidden),
        (Code.CHAT_NOT_FOUND, NotFound),
        (Code.METHOD_REFUSED, NotFound),
        (Code.CONFLICT_STATE, Conflict),
        (Code.CURSOR_EXPIRED, CursorExpired),
        (Code.REQUEST_TOO_LARGE, Invalid),
        (Code.REQUEST_INVALID, Invalid),
    ],
)
async def test_each_refusal_is_an_exception_with_its_problem(code: Code, kind: type[Exception]) -> None:
    client = client_of(refusal(code), seen=[])

    with pytest.raises(kind) as caught:
        await client.chat(CHAT)

    assert getattr(caught.value, "code", None) is code


async def test_a_code_of_a_newer_server_is_still_told_by_its_status() -> None:
    body = {"type": "x", "title": "x", "status": 404, "detail": "gone", "code": "moon.not_found"}
    client = client_of(httpx2.Response(404, json=body), seen=[])

    with pytest.raises(NotFound):
        await client.chat(CHAT)


async def test_unknown_fields_of_a_newer_server_are_tolerated() -> None:
    answer = httpx2.Response(200, json={"items": [], "head_seq": 0, "first_seq": 0, "mood": "sunny"})
    client = client_of(answer, seen=[])

    assert (await client.history(CHAT)).items == ()


async def test_a_word_in_a_path_cannot_become_another_path() -> None:
    seen: list[httpx2.Request] = []
    client = client_of(refusal(Code.CHAT_NOT_FOUND), seen=seen)

    with pytest.raises(NotFound):
        await client.chat("../me?x=1")

    assert seen[0].url.raw_path == b"/v1/chats/..%2Fme%3Fx%3D1"


async def test_a_fixed_token_is_not_given_out_once_it_was_refused() -> None:
    async with httpx2.AsyncClient() as http:
        assert await FixedToken("t").access_token(http) == "t"
