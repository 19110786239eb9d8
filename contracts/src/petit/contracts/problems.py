"""What can go wrong on the wire: codes that never change meaning, as RFC 9457 problems.

Inside, a refusal is an exception, `Refused`, raised where the rule is known and translated once at the
edge. An outage (`Unavailable`) is temporary and becomes 503 `unavailable` there.
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

_MAX_ERRORS: Final = 50
"""Errors told of one request; it may be wrong in more places."""


class Code(StrEnum):
    """Why a request was refused; the only part of a problem that programs should read."""

    TOKEN_MISSING = "token.missing"  # noqa: S105 - a problem's code, not a secret
    TOKEN_INVALID = "token.invalid"  # noqa: S105 - likewise
    TOKEN_EXPIRED = "token.expired"  # noqa: S105 - likewise
    CREDENTIALS_INVALID = "credentials.invalid"
    ACCOUNT_BANNED = "account.banned"
    ADDRESS_BANNED = "address.banned"
    ROLE_REQUIRED = "role.required"
    GUEST_REFUSED = "guest.refused"
    FRIEND_REQUIRED = "friend.required"
    CHAT_NOT_FOUND = "chat.not_found"
    MESSAGE_NOT_FOUND = "message.not_found"
    USER_NOT_FOUND = "user.not_found"
    FILE_NOT_FOUND = "file.not_found"
    CALL_NOT_FOUND = "call.not_found"
    ROUTE_NOT_FOUND = "route.not_found"
    METHOD_REFUSED = "method.refused"
    REQUEST_INVALID = "request.invalid"
    REQUEST_TOO_LARGE = "request.too_large"
    CHAT_FULL = "chat.full"
    RATE_LIMITED = "rate.limited"
    READ_BEHIND = "read.behind"
    CURSOR_EXPIRED = "cursor.expired"
    TICKET_INVALID = "ticket.invalid"
    ORIGIN_REFUSED = "origin.refused"
    CONFLICT_STATE = "conflict.state"
    CLOCK_AHEAD = "clock.ahead"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


_FACTS: Final[dict[Code, tuple[int, str]]] = {
    Code.TOKEN_MISSING: (401, "An access token is needed"),
    Code.TOKEN_INVALID: (401, "The access token is not valid"),
    Code.TOKEN_EXPIRED: (401, "The access token has expired"),
    Code.CREDENTIALS_INVALID: (401, "This username and password let nobody in"),
    Code.ACCOUNT_BANNED: (403, "This account is banned"),
    Code.ADDRESS_BANNED: (403, "This address is banned"),
    Code.ROLE_REQUIRED: (403, "This needs a role that you do not have"),
    Code.GUEST_REFUSED: (403, "Guests may not do this"),
    Code.FRIEND_REQUIRED: (403, "Only friends may do this"),
    Code.CHAT_NOT_FOUND: (404, "There is no such chat"),
    Code.MESSAGE_NOT_FOUND: (404, "There is no such message"),
    Code.USER_NOT_FOUND: (404, "There is no such user"),
    Code.FILE_NOT_FOUND: (404, "There is no such file"),
    Code.CALL_NOT_FOUND: (404, "There is no such call"),
    Code.ROUTE_NOT_FOUND: (404, "There is no such route"),
    Code.METHOD_REFUSED: (405, "The route does not know this method"),
    Code.REQUEST_INVALID: (422, "The request is not valid"),
    Code.REQUEST_TOO_LARGE: (413, "The request is too large"),
    Code.CHAT_FULL: (409, "The chat is full"),
    Code.RATE_LIMITED: (429, "Too many requests"),
    Code.READ_BEHIND: (425, "The read model is not that far yet"),
    Code.CURSOR_EXPIRED: (410, "The cursor is gone: begin again"),
    Code.TICKET_INVALID: (401, "The ticket is used, late or not ours"),
    Code.ORIGIN_REFUSED: (403, "This origin may not open streams"),
    Code.CONFLICT_STATE: (409, "The state does not allow this"),
    Code.CLOCK_AHEAD: (422, "The id's time is ahead of the server's clock"),
    Code.UNAVAILABLE: (503, "Something that this needs is down"),
    Code.INTERNAL: (500, "Something went wrong on our side"),
}


class FieldError(BaseModel):
    """One thing wrong with a request."""

    model_config = ConfigDict(frozen=True)

    pointer: str
    """RFC 6901 pointer into the body (`/text`), or `?name` for a query parameter."""
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem details, as answers with `application/problem+json` carry them."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    """A URI that names the kind of problem: `https://petit.chat/problems/<code>`."""
    title: str
    status: int
    """The HTTP status."""
    detail: str
    code: Code
    errors: tuple[FieldError, ...] | None = None


class Refused(Exception):
    """A final answer of no, told to the client with a stable code.

    Args:
        code: Why.
        detail: One sentence that names the thing and the value.
        errors: What is wrong where, for `request.invalid`.
        retry_after: Whole seconds after which trying again makes sense.
        extra: Further members of the problem, as `server_time` of `clock.ahead`.
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        errors: tuple[FieldError, ...] | None = None,
        retry_after: int | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.errors = errors
        self.retry_after = retry_after
        self.extra = extra or {}

    @property
    def status(self) -> int:
        """The HTTP status of this refusal."""
        return status_of(self.code)

    def problem(self) -> Problem:
        """Return the problem to put on the wire."""
        status, title = _FACTS[self.code]
        return Problem(
            type=f"https://petit.chat/problems/{self.code}",
            title=title,
            status=status,
            detail=self.detail,
            code=self.code,
            errors=self.errors,
            **self.extra,
        )


class Unavailable(Refused):
    """A dependency is down for now: temporary, retried by whoever owns the retry, 503 at the edge."""

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(Code.UNAVAILABLE, detail, retry_after=retry_after)


def status_of(code: Code) -> int:
    """Return the HTTP status that goes with a code."""
    return _FACTS[code][0]


def invalid(errors: Iterable[FieldError]) -> Refused:
    """Return the refusal of a request with something wrong in it; `errors` must not be empty."""
    some = tuple(islice(errors, _MAX_ERRORS))
    return Refused(Code.REQUEST_INVALID, f"{some[0].pointer or 'the body'}: {some[0].detail}", errors=some)


def wrong(pointer: str, detail: str) -> Refused:
    """Return the refusal of a request with one thing wrong in it."""
    return invalid([FieldError(pointer=pointer, detail=detail)])
