"""Sign-up, log-in and log-out by a Keycloak realm, and what it says of log-ins that are over."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

from keycloak import KeycloakAdmin
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter

from petit.contracts.ids import UserId, is_user
from petit.contracts.problems import Code, Refused, Unavailable, wrong
from petit.contracts.resources import Person
from petit.gateway.adapters.directory import USER
from petit.gateway.adapters.keycloak import Answered, Keycloak
from petit.gateway.domain.accounts import Grant
from petit.gateway.ports import Ended, Ending

T = TypeVar("T")
Query = dict[str, Any]
_MAX_EVENTS: Final = 500
"""Events of one kind in one answer; more are in the next."""
_SURE: Final = 3
"""An update that left somebody enabled is looked at so often: one of Keycloak's nodes may know it a moment later."""
_WRONG: Final = frozenset({"invalid_grant", "invalid_token", "unauthorized_client"})
_OF_A_USER: Final = re.compile(r"^users/([^/]+)(/logout)?$")

_GRANT: Final = TypeAdapter(Grant)
_ID: Final = TypeAdapter(str)


class _AdminEvent(BaseModel):
    """What an administrator did, or a service."""

    model_config = ConfigDict(frozen=True)

    time: int
    operation: str = Field(alias="operationType")
    path: str = Field(default="", alias="resourcePath")


class _UserEvent(BaseModel):
    """What somebody did."""

    model_config = ConfigDict(frozen=True)

    time: int
    type: str
    user: str = Field(default="", alias="userId")
    session: str | None = Field(default=None, alias="sessionId")


_ADMIN_EVENTS: Final = TypeAdapter(list[_AdminEvent])
_USER_EVENTS: Final = TypeAdapter(list[_UserEvent])


class KeycloakAccounts:
    """See `Accounts` and `Endings`.

    Args:
        keycloak: The realm.
    """

    def __init__(self, keycloak: Keycloak) -> None:
        self._keycloak = keycloak
        self._enabled: Counter[tuple[int, str]] = Counter()
        """How often somebody who was updated, at that time, was found to be let in still."""

    async def sign_up(self, username: str, *, password: SecretStr, name: str | None) -> Person:
        """See `Accounts.sign_up`."""
        user = {
            "username": username.lower(),
            "enabled": True,
            "credentials": [{"type": "password", "value": password.get_secret_value(), "temporary": False}],
        }
        if name is not None:
            user["firstName"] = name
        try:
            id_ = await self._keycloak.admin(lambda admin: admin.a_create_user(user), shape=_ID)
        except Answered as answer:
            raise _not_signed_up(answer, username) from answer
        return Person(id=UserId(id_), username=username.lower(), name=name or username.lower())

    async def log_in(self, username: str, *, password: SecretStr) -> Grant:
        """See `Accounts.log_in`."""
        try:
            return await self._keycloak.log_in(
                lambda client: client.a_token(username, password.get_secret_value()), shape=_GRANT
            )
        except Answered as answer:
            raise _not_logged_in(answer) from answer

    async def go_on(self, refresh_token: SecretStr) -> Grant:
        """See `Accounts.go_on`."""
        try:
            return await self._keycloak.log_in(
                lambda client: client.a_refresh_token(refresh_token.get_secret_value()), shape=_GRANT
            )
        except Answered as answer:
            raise _not_logged_in(answer) from answer

    async def log_out(self, session: str) -> None:
        """See `Accounts.log_out`."""
        try:
            await self._keycloak.delete(f"sessions/{session}")
        except Answered as answer:
            if answer.status != HTTPStatus.NOT_FOUND:  # which is over already
                raise Unavailable(f"the issuer answers {answer.status} to a log-out") from answer

    async def ended(self, since_ms: int) -> AsyncIterator[Ended]:
        """See `Endings.ended`."""
        since = {"dateFrom": str(since_ms), "direction": "asc"}
        async for users in self._pages(_events, since | {"type": ["LOGOUT", "DELETE_ACCOUNT"]}, shape=_USER_EVENTS):
            yield Ended(endings=[_ending(event) for event in users if is_user(event.user)], until_ms=users[-1].time)
        self._enabled = Counter({key: times for key, times in self._enabled.items() if key[0] >= since_ms})
        of_people = since | {"resourceTypes": "USER", "operationTypes": ["UPDATE", "DELETE", "ACTION"]}
        async for admins in self._pages(_admin_events, of_people, shape=_ADMIN_EVENTS):
            yield Ended(endings=await self._done_to(admins), until_ms=admins[-1].time)

    async def _pages(
        self,
        call: Callable[..., Awaitable[Any]],
        query: Query,
        *,
        shape: TypeAdapter[list[T]],
    ) -> AsyncIterator[list[T]]:
        """Yield all that was noted, by time, some at once. What comes meanwhile is at the end, and shifts nothing.

        Raises:
            Unavailable: the issuer does not answer.
        """
        read, size = 0, _MAX_EVENTS
        while size == _MAX_EVENTS:
            asked = query | {"first": read, "max": _MAX_EVENTS}
            try:
                page = await self._keycloak.admin(partial(call, query=asked), shape=shape)
            except Answered as answer:
                raise Unavailable(f"the issuer answers {answer.status} when asked for events") from answer
            size = len(page)
            read += size
            if page:
                yield page

    async def _done_to(self, events: Sequence[_AdminEvent]) -> list[Ending]:
        """Return what ended by what was done to people."""
        ended = []
        for event in events:
            touched = _OF_A_USER.match(event.path)
            if touched is not None and is_user(touched[1]) and await self._is_out(event, touched):
                ended.append(Ending(user=UserId(touched[1]), session=None, at_ms=event.time))
        return ended

    async def _is_out(self, event: _AdminEvent, touched: re.Match[str]) -> bool:
        """Say whether what was done to somebody ends all log-ins they had: what an update changed is not told."""
        if event.operation != "UPDATE":
            return event.operation == "DELETE" or touched[2] is not None
        if self._enabled[event.time, touched[1]] >= _SURE:
            return False
        try:
            user = await self._keycloak.admin(lambda admin: admin.a_get_user(touched[1]), shape=USER)
        except Answered as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return True
            raise Unavailable(f"the issuer answers {answer.status} when asked for a user") from answer
        self._enabled[event.time, touched[1]] += user.enabled
        return not user.enabled


def _events(admin: KeycloakAdmin, query: Query) -> Awaitable[Any]:
    return admin.a_get_events(query)


def _admin_events(admin: KeycloakAdmin, query: Query) -> Awaitable[Any]:
    return admin.a_get_admin_events(query)


def _ending(event: _UserEvent) -> Ending:
    session = event.session if event.type == "LOGOUT" else None
    return Ending(user=UserId(event.user), session=session, at_ms=event.time)


def _not_signed_up(answer: Answered, username: str) -> Refused:
    said = answer.said()
    if answer.status == HTTPStatus.CONFLICT:
        return Refused(Code.CONFLICT_STATE, f"the username {username.lower()} is taken")
    if answer.status != HTTPStatus.BAD_REQUEST:
        return Unavailable(f"the issuer answers {answer.status} to a sign-up")
    text = str(said.get("error_description") or said.get("errorMessage") or "not accepted")
    field = said.get("field")
    if field == "username":
        return wrong("/username", text)
    if field in {"firstName", "lastName"}:
        return wrong("/name", text)
    return wrong("/password", text)


def _not_logged_in(answer: Answered) -> Refused:
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Refused(Code.RATE_LIMITED, "there are too many log-ins at the moment", retry_after=1)
    if answer.said().get("error") in _WRONG:
        # One answer for a wrong password, nobody of that name, an account that is locked for a while or for good.
        return Refused(Code.CREDENTIALS_INVALID, "this lets nobody in")
    return Unavailable(f"the issuer answers {answer.status} to a log-in")
