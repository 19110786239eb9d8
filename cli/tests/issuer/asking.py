"""What the tests of the development issuer ask it, through its ASGI door."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx2
from starlette.applications import Starlette

from petit.cli.issuer import Settings, issuer
from petit.kit.auth import Keys, Policy, Principal, Verifier

BASE: Final = "http://127.0.0.1:8080"
ISSUER: Final = f"{BASE}/realms/petit"
OIDC: Final = f"{ISSUER}/protocol/openid-connect"
USERS: Final = f"{BASE}/admin/realms/petit/users"
BACK: Final = "http://127.0.0.1:5173/back?keep=1"
VERIFIER: Final = "v" * 43
CHALLENGE: Final = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
POLICY: Final = Policy(issuer=ISSUER, clients=frozenset({"petit-web"}), leeway_s=0)


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now_ms(self) -> int:
        return int(self.time * 1000)

    def monotonic(self) -> float:
        return self.time


class Asking:
    """An HTTP client of one issuer."""

    def __init__(self, client: httpx2.AsyncClient, *, clock: Clock) -> None:
        self.http = client
        self.clock = clock
        self.verifier = Verifier(POLICY, keys=Keys(ISSUER, client=client, clock=clock), clock=clock)

    async def token(self, **form: str) -> httpx2.Response:
        return await self.http.post(f"{OIDC}/token", data={"client_id": "petit-web"} | form)

    async def log_in(self, name: str = "ada", *, scope: str = "openid") -> dict[str, Any]:
        answer = await self.token(grant_type="password", username=name, password=name, scope=scope)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def refresh(self, refresh_token: str) -> httpx2.Response:
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token)

    async def who(self, tokens: dict[str, Any]) -> Principal:
        return await self.verifier.verify(str(tokens["access_token"]))

    async def authorize(self, **changes: str | None) -> httpx2.Response:
        whole = {
            "client_id": "petit-web",
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid",
            "state": "a state&more",
            "nonce": "a nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | changes
        given = {name: value for name, value in whole.items() if value is not None}
        return await self.http.get(f"{OIDC}/auth", params=given)

    async def submit(self, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """Send the form of a page, as a browser would."""
        found = re.search(r'<form id="kc-form-login" method="post" action="([^"]+)"', page.text)
        assert found, page.text
        return await self.http.post(page.url.join(unescape(found[1])), data=fields)

    async def code(self, **changes: str | None) -> str:
        """Log Ada in by the form and return the code."""
        answer = await self.submit(await self.authorize(**changes), username="ada", password="ada")
        return sent_back(answer)["code"]

    async def redeem(self, code: str, **changes: str) -> httpx2.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        return await self.token(**form | changes)

    async def service(self, secret: str) -> dict[str, str]:
        """Return the header that lets the gateway administer people."""
        answer = await self.token(client_id="petit-gateway", client_secret=secret, grant_type="client_credentials")
        assert answer.status_code == 200, answer.text
        return {"authorization": f"Bearer {answer.json()['access_token']}"}


@contextmanager
def running(data: Path, *, clock: Clock, settings: Settings | None = None) -> Iterator[Starlette]:
    """Open an issuer as one process would."""
    with issuer(data, base_url=BASE, settings=settings or Settings(), clock=clock) as app:
        yield app


@asynccontextmanager
async def asking(data: Path, *, clock: Clock, settings: Settings | None = None) -> AsyncIterator[Asking]:
    """Open an issuer and a client of it."""
    with running(data, clock=clock, settings=settings) as app:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE) as client:
            yield Asking(client, clock=clock)


def sent_back(answer: httpx2.Response) -> dict[str, str]:
    """Return what an app learns when the browser is sent back to it."""
    assert answer.status_code == 303, answer.text
    parts = urlsplit(answer.headers["location"])
    return dict(parse_qsl(parts.fragment or parts.query, strict_parsing=True))
