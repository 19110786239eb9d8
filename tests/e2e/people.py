"""People for one test, made and logged in as a deployment does: through the issuer's admin and token endpoints."""

import asyncio
import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from petit.client import Client, FixedToken, OidcTokens, Patience
from petit.contracts.ids import UserId
from tests.e2e.stack import Stack

_CREATED: Final = 201
_OK: Final = 200
_TOO_MANY: Final = 429
_AT_ONCE: Final = 8
TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone with one device."""

    id: UserId
    username: str
    """Their password, too."""
    client: Client
    http: httpx2.AsyncClient
    """Requests that the client library would not make, or whose answers it would hide."""

    async def token(self) -> str:
        """Return an access token that is valid now."""
        return await self.client.caller.token()

    async def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        """Make one request, once, and return its answer as it is."""
        headers = {"Authorization": f"Bearer {await self.token()}", **request.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **request)


class People:
    """Makes people on one stack; entered, it closes their connections in the end."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._made: list[Person] = []
        self._admin_token = ""
        self._http = plain_http(stack)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for person in self._made:
            await person.client.close()
            await person.http.aclose()
        await self._http.aclose()

    async def __call__(self, count: int) -> list[Person]:
        """Make new people who have logged in."""
        permits = asyncio.Semaphore(_AT_ONCE)
        await self._log_in_as_admin()

        async def one() -> Person:
            async with permits:
                username = f"p{secrets.token_hex(8)}"
                await self._register(username)
                return await self._enter(username)

        made = await asyncio.gather(*(one() for _ in range(count)))
        self._made += made
        return list(made)

    async def one(self) -> Person:
        """Make somebody."""
        return (await self(1))[0]

    async def without_login(self, count: int) -> list[UserId]:
        """Make people who only are there, and return their ids."""
        permits = asyncio.Semaphore(_AT_ONCE)
        await self._log_in_as_admin()

        async def one() -> UserId:
            async with permits:
                answer = await self.admin(
                    "POST", "/users", json={"username": f"s{secrets.token_hex(8)}", "enabled": True}
                )
                assert answer.status_code == _CREATED, answer.text
                return UserId(answer.headers["Location"].rsplit("/", 1)[1])

        return list(await asyncio.gather(*(one() for _ in range(count))))

    async def named(self, username: str) -> Person:
        """Return somebody who is there from the beginning, as `ada`."""
        person = await self._enter(username)
        self._made.append(person)
        return person

    async def device_of(self, person: Person) -> Person:
        """Return the same person at another device."""
        return await self.named(person.username)

    async def admin(self, method: str, path: str, **request: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        """Make a request to the realm's admin API (Keycloak's paths), as its service account."""
        await self._log_in_as_admin()
        headers = {"Authorization": f"Bearer {self._admin_token}"}
        return await self._http.request(method, f"{self._stack.realm_admin}{path}", headers=headers, **request)

    async def _enter(self, username: str) -> Person:
        tokens = OidcTokens(self._stack.issuer, username=username, password=username, client_id=self._stack.client)
        client = Client(self._stack.url, tokens=tokens, patience=Patience(attempt_s=TIMEOUT_S, total_s=TIMEOUT_S))
        me = await client.me()
        return Person(id=me.id, username=username, client=client, http=plain_http(self._stack))

    async def _register(self, username: str) -> None:
        credentials = [{"type": "password", "value": username, "temporary": False}]
        body = {"username": username, "enabled": True, "credentials": credentials}
        answer = await self.admin("POST", "/users", json=body)
        assert answer.status_code == _CREATED, answer.text

    async def _log_in_as_admin(self) -> None:
        if self._admin_token:
            return
        secret = self._stack.service_secret
        answer = await self._http.post(
            f"{self._stack.issuer}/protocol/openid-connect/token",
            data={"grant_type": "client_credentials", "client_id": "petit-gateway", "client_secret": secret},
        )
        assert answer.status_code == _OK, answer.text
        self._admin_token = answer.json()["access_token"]


def plain_http(stack: Stack, **options: Any) -> httpx2.AsyncClient:  # noqa: ANN401 - httpx2's own
    """Return an HTTP client of the stack's origin that hides nothing."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx2.AsyncClient(base_url=stack.url, trust_env=False, timeout=TIMEOUT_S, limits=limits, **options)


def with_token(stack: Stack, token: str) -> Client:
    """Return a client that has this token and no other."""
    return Client(stack.url, tokens=FixedToken(token))


async def log_in(stack: Stack, username: str) -> dict[str, Any]:
    """Log in by password, and return all that the issuer gives: access, refresh and ID token."""
    form = {"grant_type": "password", "client_id": stack.client, "username": username, "password": username}
    async with plain_http(stack) as http:
        answer = await http.post("/realms/petit/protocol/openid-connect/token", data={**form, "scope": "openid"})
    assert answer.status_code == _OK, answer.text
    grant: dict[str, Any] = answer.json()
    return grant
