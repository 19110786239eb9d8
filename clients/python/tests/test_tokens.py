"""Tokens are kept, renewed in time, and asked for once however many want one."""

import asyncio
import time
from urllib.parse import parse_qs

import httpx2
import pytest

from petit.client import Grant, LoginRefused, OidcTokens, Unreachable

ISSUER = "http://issuer.test/realms/petit"


class Issuer:
    """Gives numbered tokens, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.refuse: set[str] = set()
        self.lasts_s = 600.0
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.asked.append(form)
        await asyncio.sleep(0)
        if form["grant_type"] in self.refuse:
            return httpx2.Response(401, json={"error": "invalid_grant", "error_description": "Invalid credentials"})
        number = len(self.asked)
        body = {"access_token": f"t{number}", "expires_in": self.lasts_s, "refresh_token": f"r{number}", "scope": "x"}
        return httpx2.Response(200, json=body)


def grant(*, ends_in_s: float) -> Grant:
    return Grant(access_token="old", expires_at=time.time() + ends_in_s, refresh_token="r0")


async def test_a_token_is_asked_for_once_by_many() -> None:
    issuer = Issuer()
    tokens = OidcTokens(ISSUER, username="ada", password="secret")

    given = await asyncio.gather(*(tokens.access_token(issuer.http) for _ in range(20)))

    assert set(given) == {"t1"}
    assert [form["grant_type"] for form in issuer.asked] == ["password"]


async def test_a_stale_token_is_renewed_once_by_many() -> None:
    issuer = Issuer()
    tokens = OidcTokens(ISSUER, username="ada", password="secret")
    stale = await tokens.access_token(issuer.http)

    given = await asyncio.gather(*(tokens.access_token(issuer.http, stale=stale) for _ in range(20)))

    assert set(given) == {"t2"}
    assert [form["grant_type"] for form in issuer.asked] == ["password", "refresh_token"]


async def test_a_token_that_ends_soon_is_not_given_out() -> None:
    issuer = Issuer()
    kept: list[Grant] = []
    tokens = OidcTokens(ISSUER, grant=grant(ends_in_s=5), on_grant=kept.append)

    assert await tokens.access_token(issuer.http) == "t1"
    assert [each.refresh_token for each in kept] == ["r1"]


async def test_a_token_that_lasts_is_given_out_without_asking() -> None:
    issuer = Issuer()

    assert await OidcTokens(ISSUER, grant=grant(ends_in_s=300)).access_token(issuer.http) == "old"
    assert issuer.asked == []


async def test_a_session_that_ended_is_begun_anew_with_the_password() -> None:
    issuer = Issuer()
    issuer.refuse = {"refresh_token"}
    tokens = OidcTokens(ISSUER, username="ada", password="secret", grant=grant(ends_in_s=0))

    assert await tokens.access_token(issuer.http) == "t2"


async def test_without_a_password_a_session_that_ended_is_over() -> None:
    issuer = Issuer()
    issuer.refuse = {"refresh_token"}

    with pytest.raises(LoginRefused, match="Invalid credentials"):
        await OidcTokens(ISSUER, grant=grant(ends_in_s=0)).access_token(issuer.http)


async def test_an_issuer_that_is_down_is_unreachable_and_not_a_refusal() -> None:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(503)))

    with pytest.raises(Unreachable):
        await OidcTokens(ISSUER, username="ada", password="secret").access_token(http)
