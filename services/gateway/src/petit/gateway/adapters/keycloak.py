"""A Keycloak realm, through python-keycloak's asynchronous calls; the development issuer speaks the same paths.

Nothing that a message waits for goes this way: tokens are verified with the realm's public keys (`petit.kit.auth`),
never by asking. What python-keycloak does not do for us is done here: one service token for all tasks, renewed before
it ends, a deadline for every call, and its errors told apart: an answer of no, and no answer.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

import httpx
from keycloak import KeycloakAdmin, KeycloakOpenID, KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakAuthenticationError, KeycloakConnectionError, KeycloakError
from pydantic import TypeAdapter, ValidationError

from petit.contracts.problems import Unavailable
from petit.gateway.ports import Clock

T = TypeVar("T")
TIMEOUT_S: Final = 3.0
LOGIN_S: Final = 10.0
"""A password's hash takes its time, and on a busy Keycloak some more."""
_EARLY_S: Final = 30.0
"""A service token is renewed so many seconds before it ends."""
_ADMIN: Final = "/admin/realms/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """Where a realm is reached, and who we are to it."""

    base: str
    """Keycloak's own address, with a slash at the end: `http://keycloak:8080/`."""
    name: str
    client: str
    """A confidential client whose service account may view and manage users and view events."""
    secret: str
    login_client: str
    """The client for which people's passwords are looked at."""
    login_secret: str | None
    """None where that client is a public one."""

    @classmethod
    def at(cls, admin_url: str, **more: Any) -> Self:
        """Return the realm of an admin API: `http://keycloak:8080/admin/realms/petit`.

        Raises:
            ValueError: it is no address of one.
        """
        base, found, name = admin_url.rpartition(_ADMIN)
        if not found or not name or "/" in name:
            raise ValueError(f"{admin_url} does not end in {_ADMIN}<realm>")
        return cls(base=f"{base}/", name=name, **more)


class Answered(Exception):
    """Keycloak's answer is no.

    Args:
        status: The HTTP status.
        body: What it says.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"Keycloak answers {status}")
        self.status = status
        self._body = body

    def said(self) -> dict[str, Any]:
        """Return the JSON object in the answer; empty if there is none."""
        try:
            said = json.loads(self._body)
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}


class Keycloak:
    """Calls one realm.

    Args:
        realm: Which.
        http: Does the requests.
        clock: Measures how long ago things were.
    """

    def __init__(self, realm: Realm, *, http: httpx.AsyncClient, clock: Clock) -> None:
        self.realm = realm
        self._clock = clock
        self._connection = KeycloakOpenIDConnection(
            server_url=realm.base,
            realm_name=realm.name,
            client_id=realm.client,
            client_secret_key=realm.secret,
            grant_type="client_credentials",
        )
        self._logins = KeycloakOpenID(
            server_url=realm.base,
            realm_name=realm.name,
            client_id=realm.login_client,
            client_secret_key=realm.login_secret,
        )
        # python-keycloak opens clients of its own; ours is closed with the process, and can be one without a network.
        for connection in (self._connection, self._connection.keycloak_openid.connection, self._logins.connection):
            connection.async_s = http
        self._admin = KeycloakAdmin(connection=self._connection)
        self._renewing = asyncio.Lock()
        self._token_ends = -1.0

    async def admin(self, call: Callable[[KeycloakAdmin], Awaitable[Any]], *, shape: TypeAdapter[T]) -> T:
        """Do something by the admin API, as the service account, and return what it answers.

        Raises:
            Answered: no.
            Unavailable: there is no answer, or none that can be read.
        """
        found = await self._within(TIMEOUT_S, self._as_service(call))
        return _read(found, shape=shape)

    async def delete(self, path: str) -> None:
        """Delete what the admin API has at a path below the realm, of which python-keycloak knows some only.

        Raises:
            Answered: no.
            Unavailable: there is no answer.
        """
        whole = f"{_ADMIN[1:]}{self.realm.name}/{path}"
        answer = await self._within(TIMEOUT_S, self._as_service(lambda _: self._connection.a_raw_delete(whole)))
        if answer.status_code != HTTPStatus.NO_CONTENT:
            raise Answered(answer.status_code, answer.content)

    async def log_in(self, call: Callable[[KeycloakOpenID], Awaitable[Any]], *, shape: TypeAdapter[T]) -> T:
        """Do something by the token endpoint, as the client that people log in with, and return what it answers.

        Raises:
            Answered: no.
            Unavailable: there is no answer, or none that can be read.
        """
        return _read(await self._within(LOGIN_S, call(self._logins)), shape=shape)

    async def _as_service(self, call: Callable[[KeycloakAdmin], Awaitable[T]]) -> T:
        async with self._renewing:
            if self._clock.monotonic() >= self._token_ends:
                await self._renew()
        try:
            return await call(self._admin)
        except KeycloakAuthenticationError:  # keys rotated, or the session ended: a new token, once
            self._token_ends = -1.0
            raise

    async def _renew(self) -> None:
        try:
            await self._connection.a_get_token()
        except KeycloakConnectionError:
            raise
        except KeycloakError as error:
            raise Unavailable(
                f"the issuer answers {error.response_code} to client {self.realm.client}: is its secret right?"
            ) from error
        lasts_s = float((self._connection.token or {}).get("expires_in", 0))
        self._token_ends = self._clock.monotonic() + max(1.0, lasts_s - _EARLY_S)

    async def _within(self, seconds: float, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise Unavailable(f"Keycloak does not answer within {seconds:.0f} s", retry_after=2) from None
        except KeycloakConnectionError as error:
            cause = type(error.__cause__ or error).__name__
            raise Unavailable(f"Keycloak cannot be asked: {cause}", retry_after=2) from error
        except KeycloakError as error:
            status = error.response_code or 0
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not status:
                raise Unavailable(f"Keycloak answers {status}", retry_after=2) from error
            raise Answered(status, error.response_body or b"") from error
        except (TypeError, KeyError) as error:  # python-keycloak's words for an answer of another shape
            raise Unavailable("Keycloak answers what we cannot read") from error


def _read(found: object, *, shape: TypeAdapter[T]) -> T:
    try:
        return shape.validate_python(found)
    except ValidationError as error:
        raise Unavailable(f"Keycloak answers what we cannot read: {error.error_count()} errors") from None
