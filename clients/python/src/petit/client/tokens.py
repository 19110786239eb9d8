"""Where access tokens come from: a protocol, and the ways that come with the client.

An OpenID provider such as Keycloak gives a short-lived access token and a refresh token; `OidcTokens`
keeps one ready and renews it before it ends.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import httpx2
from pydantic import BaseModel, ValidationError

from petit.client.errors import LoginRefused, Unreachable

DEFAULT_CLIENT: Final = "petit-web"
EARLY_S: Final = 20.0
"""Seconds before its end at which a token is not handed out any more."""
_REFUSED: Final = 400
_FAILED: Final = 500
_TOO_MANY: Final = 429
_TIMEOUT_S: Final = 10.0


class Tokens(Protocol):
    """Gives access tokens; safe to ask from many tasks at once."""

    async def access_token(self, http: httpx2.AsyncClient, *, stale: str | None = None) -> str:
        """Return an access token that is valid now.

        Args:
            http: A client to ask the issuer with.
            stale: A token that must not be returned again: the server refused it, or it ends soon.

        Raises:
            LoginRefused: there is no token to be had without a new log-in.
            Unreachable: the issuer did not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class FixedToken:
    """One token for ever: for tests, and for tokens that somebody else renews."""

    token: str

    async def access_token(self, http: httpx2.AsyncClient, *, stale: str | None = None) -> str:
        """See `Tokens.access_token`.

        Raises:
            LoginRefused: it is the stale one.
        """
        if stale == self.token:
            raise LoginRefused("the access token has ended, and there is no way to renew it")
        return self.token


class Grant(BaseModel):
    """What a log-in gives; kept by whoever wants to stay logged in."""

    access_token: str
    expires_at: float
    """Unix time in seconds."""
    refresh_token: str | None = None

    def ends_soon(self) -> bool:
        """Say whether the access token has ended, or is about to."""
        return self.expires_at - EARLY_S < time.time()


class OidcTokens:
    """Tokens of an OpenID provider, by password grant and refresh token, or by a refresh token alone.

    Args:
        issuer: Its URL, as `http://127.0.0.1:8080/realms/petit`.
        username: Who logs in, if a new log-in may be made.
        password: Likewise.
        grant: What an earlier log-in gave.
        on_grant: Called with every new grant, to keep it.
        client_id: The public client of the issuer that we are.
    """

    def __init__(
        self,
        issuer: str,
        *,
        username: str | None = None,
        password: str | None = None,
        grant: Grant | None = None,
        on_grant: Callable[[Grant], None] | None = None,
        client_id: str = DEFAULT_CLIENT,
    ) -> None:
        self._url = f"{issuer.rstrip('/')}/protocol/openid-connect/token"
        self._username = username
        self._password = password
        self._grant = grant
        self._on_grant = on_grant
        self._client_id = client_id
        self._lock = asyncio.Lock()

    async def access_token(self, http: httpx2.AsyncClient, *, stale: str | None = None) -> str:
        """See `Tokens.access_token`."""
        async with self._lock:
            grant = self._grant
            if grant is None or grant.access_token == stale or grant.ends_soon():
                grant = self._grant = await self._renew(http, grant)
                if self._on_grant is not None:
                    self._on_grant(grant)
            return grant.access_token

    async def _renew(self, http: httpx2.AsyncClient, old: Grant | None) -> Grant:
        if old is not None and old.refresh_token is not None:
            try:
                return await self._ask(http, {"grant_type": "refresh_token", "refresh_token": old.refresh_token})
            except LoginRefused:
                if self._password is None:
                    raise
        if self._username is None or self._password is None:
            raise LoginRefused("nobody is logged in")
        password = {"grant_type": "password", "username": self._username, "password": self._password}
        return await self._ask(http, {**password, "scope": "openid"})

    async def _ask(self, http: httpx2.AsyncClient, form: dict[str, str]) -> Grant:
        form = {**form, "client_id": self._client_id}
        try:
            answer = await http.post(self._url, data=form, timeout=_TIMEOUT_S)
        except httpx2.TransportError as error:
            raise Unreachable(f"the issuer at {self._url} does not answer: {error!r}") from error
        if answer.status_code >= _FAILED or answer.status_code == _TOO_MANY:
            raise Unreachable(f"the issuer at {self._url} answers {answer.status_code}")
        if answer.status_code >= _REFUSED:
            raise LoginRefused(_why(answer))
        try:
            given = _TokenAnswer.model_validate_json(answer.content)
        except ValidationError as error:
            raise Unreachable(f"{self._url} does not answer like an OpenID provider: {error}") from error
        return Grant(
            access_token=given.access_token,
            expires_at=time.time() + given.expires_in,
            refresh_token=given.refresh_token,
        )


class _TokenAnswer(BaseModel):
    access_token: str
    expires_in: float
    refresh_token: str | None = None


class _Refusal(BaseModel):
    error: str
    error_description: str = ""


def _why(answer: httpx2.Response) -> str:
    try:
        refusal = _Refusal.model_validate_json(answer.content)
    except ValidationError:
        return f"the issuer refuses with status {answer.status_code}"
    return f"the issuer refuses: {refusal.error_description or refusal.error}"
