"""People as Keycloak's admin API knows them (26; the development issuer speaks the same paths).

Usernames are found by `search`, which matches the beginning of a username, first or last name: what only
matches by name is left out. People found by id are remembered for a minute: invitations ask for them again
and again, and a username changes rarely.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from petit.contracts.ids import UserId
from petit.contracts.problems import Unavailable
from petit.contracts.resources import Person
from petit.gateway.ports import Clock, PeoplePage

T = TypeVar("T")
_REMEMBER_S: Final = 60.0
_REMEMBERED: Final = 10_000
_TIMEOUT_S: Final = 3.0
_EARLY_S: Final = 30.0
"""A service token is renewed so many seconds before it ends."""
_PATTERNS: Final = frozenset('*"% ')
"""What means something in `search`, and is in no username."""
_AT_ONCE: Final = 200
"""People whom one request asks for."""
_ROUNDS: Final = 5
"""Requests that one page costs at most; a page may then be short, never wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """Where a realm's APIs are, and who we are to it."""

    issuer: str
    """The realm's URL, as in tokens: `https://sso.example.org/realms/petit`."""
    admin: str
    """The realm's admin API: `https://sso.example.org/admin/realms/petit`."""
    client: str
    """A confidential client whose service account may view users."""
    secret: str


class _User(BaseModel):
    """What we use of a Keycloak user."""

    model_config = ConfigDict(frozen=True)

    id: str
    username: str
    first: str | None = Field(default=None, alias="firstName")
    last: str | None = Field(default=None, alias="lastName")

    def person(self) -> Person:
        name = " ".join(part for part in (self.first, self.last) if part)
        return Person(id=UserId(self.id), username=self.username, name=name or self.username)


class _Token(BaseModel):
    """What we use of a token answer (RFC 6749, section 5.1)."""

    model_config = ConfigDict(frozen=True)

    access_token: str
    expires_in: float = 60.0


_USERS: Final = TypeAdapter(list[_User])
_USER: Final = TypeAdapter(_User)
_TOKEN: Final = TypeAdapter(_Token)


class KeycloakDirectory:
    """See `Directory`.

    Args:
        realm: Where.
        client: Does the requests.
        clock: Measures how long ago things were.
    """

    def __init__(self, realm: Realm, *, client: httpx2.AsyncClient, clock: Clock) -> None:
        self._realm = realm
        self._client = client
        self._clock = clock
        self._remembered: OrderedDict[UserId, tuple[float, Person]] = OrderedDict()
        self._token = ""
        self._token_ends = -1.0
        self._renewing = asyncio.Lock()

    async def find(self, prefix: str, *, start: int, limit: int) -> PeoplePage:
        """See `Directory.find`."""
        if not _PATTERNS.isdisjoint(prefix):
            return PeoplePage(items=(), next=None)
        wanted = prefix.casefold()
        items: list[Person] = []
        for _ in range(_ROUNDS):
            parameters: dict[str, str | int] = {"first": start, "max": _AT_ONCE}
            if prefix:
                parameters["search"] = prefix
            users = _read(_USERS, await self._get("/users", parameters))
            for user in users:
                if len(items) == limit:
                    return PeoplePage(items=tuple(items), next=start)
                start += 1
                if user.username.casefold().startswith(wanted):
                    items.append(user.person())
            if len(users) < _AT_ONCE:
                return PeoplePage(items=tuple(items), next=None)
        return PeoplePage(items=tuple(items), next=start)

    async def get(self, user: UserId) -> Person | None:
        """See `Directory.get`."""
        now = self._clock.monotonic()
        held = self._remembered.get(user)
        if held is not None and now - held[0] < _REMEMBER_S:
            return held[1]
        response = await self._get(f"/users/{user}", {})
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        person = _read(_USER, response).person()
        self._remembered[user] = (now, person)
        self._remembered.move_to_end(user)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return person

    async def _get(self, path: str, parameters: dict[str, str | int]) -> httpx2.Response:
        response = await self._authorized(path, parameters)
        if response.status_code == HTTPStatus.UNAUTHORIZED:  # keys rotated, or the session ended: a new token
            self._token_ends = -1.0
            response = await self._authorized(path, parameters)
        if response.status_code not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            raise Unavailable(f"the people directory answers {response.status_code}")
        return response

    async def _authorized(self, path: str, parameters: dict[str, str | int]) -> httpx2.Response:
        headers = {"authorization": f"Bearer {await self._service_token()}"}
        return await self._request("GET", self._realm.admin + path, params=parameters, headers=headers)

    async def _service_token(self) -> str:
        async with self._renewing:
            if self._clock.monotonic() < self._token_ends:
                return self._token
            response = await self._request(
                "POST",
                f"{self._realm.issuer}/protocol/openid-connect/token",
                data={"grant_type": "client_credentials"},
                auth=(self._realm.client, self._realm.secret),
            )
            if response.status_code != HTTPStatus.OK:
                raise Unavailable(f"the issuer answers {response.status_code} to client {self._realm.client}")
            token = _read(_TOKEN, response)
            self._token = token.access_token
            self._token_ends = self._clock.monotonic() + max(1.0, token.expires_in - _EARLY_S)
            return self._token

    async def _request(self, method: str, url: str, **more: Any) -> httpx2.Response:
        try:
            return await self._client.request(method, url, timeout=_TIMEOUT_S, **more)
        except httpx2.HTTPError as error:
            raise Unavailable(f"the people directory cannot be asked: {type(error).__name__}") from error


def _read(shape: TypeAdapter[T], response: httpx2.Response) -> T:
    try:
        return shape.validate_json(response.content)
    except ValidationError as error:
        raise Unavailable(f"the people directory answers what we cannot read: {error.error_count()} errors") from error
