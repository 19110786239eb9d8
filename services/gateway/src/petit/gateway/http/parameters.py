"""What routes take from path, query and token: one type each, so that a signature says it all.

An id in a path that cannot be one is answered like any id that is not there: 404 of that thing.
"""

import re
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BeforeValidator, Field

from petit.contracts.ids import USER_PATTERN, UUID_PATTERN, ChatId, Offset, SignalId, UserId, is_user, is_uuid
from petit.contracts.problems import Code, Refused
from petit.gateway.domain.bodies import MAX_INTEGER
from petit.gateway.domain.refusals import no_such_chat
from petit.gateway.handlers.people import no_such_user
from petit.gateway.handlers.reads import Slice
from petit.kit.auth import Principal

_DIGITS: Final = re.compile(r"[0-9]{1,16}")
_BEARER: Final = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    scheme_name="token",
    description="An access token of the deployment's Keycloak realm, with `petit-api` in its audience.",
)
MAX_LIMIT: Final = 200
MAX_PREFIX: Final = 200
"""Characters of a prefix that is searched for."""


def _decimal(value: object) -> object:
    """Refuse what pydantic would take for a number and we do not: `1_000`, `5.0`, ` 5`."""
    if isinstance(value, str) and _DIGITS.fullmatch(value) is None:
        raise ValueError("not a decimal number")
    return value


Decimal = BeforeValidator(_decimal)
"""Digits and nothing else."""


async def _caller(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]) -> Principal:
    principal: Principal = request.state.principal
    return principal


Caller = Annotated[Principal, Depends(_caller)]
"""Who asks; the route is behind the door."""


def _id_schema(pattern: str, **more: str) -> dict[str, Any]:
    return {"pattern": pattern, **more}


async def _chat(
    chat: Annotated[str, Path(description="The chat's id.", json_schema_extra=_id_schema(UUID_PATTERN, format="uuid"))],
) -> ChatId:
    if not is_uuid(chat):
        raise no_such_chat(chat)
    return ChatId(chat)


ChatOfPath = Annotated[ChatId, Depends(_chat)]


async def _message(
    message: Annotated[
        str, Path(description="The message's id.", json_schema_extra=_id_schema(UUID_PATTERN, format="uuid"))
    ],
) -> SignalId:
    if not is_uuid(message):
        raise Refused(Code.MESSAGE_NOT_FOUND, f"there is no message {message}")
    return SignalId(message)


MessageOfPath = Annotated[SignalId, Depends(_message)]


async def _user(
    user: Annotated[str, Path(description="The person's id.", json_schema_extra=_id_schema(USER_PATTERN))],
) -> UserId:
    if not is_user(user):
        raise no_such_user(user)
    return UserId(user)


UserOfPath = Annotated[UserId, Depends(_user)]

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT), Decimal, Query(description="Items in the answer, at most.")]
MinOffset = Annotated[
    Offset,
    Field(ge=0, le=MAX_INTEGER),
    Decimal,
    Query(description="Wait up to 2 s until the answer reflects this offset, else 425."),
]


async def _slice(
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    limit: Limit = 50,
    min_offset: MinOffset = Offset(0),
) -> Slice:
    return Slice(cursor=cursor, limit=limit, min_offset=min_offset)


PageOf = Annotated[Slice, Depends(_slice)]
"""Which page of a list."""
