"""Ordinary answers: JSON, and refusals as RFC 9457 problems."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Send

from petit.contracts.problems import Code, Refused, status_of
from petit.kit.auth import challenge
from petit.kit.limits import Budget

Headers = list[tuple[bytes, bytes]]
_NO_STORE: Final = (b"cache-control", b"no-store")


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What is known of a request while it is answered."""

    headers: Mapping[bytes, bytes]
    """Of the request, by lower-case name."""
    own: Headers
    """What this answer carries in any case: its id, and what its origin may know."""
    budget: Budget
    """What is left of the caller's limit; the whole of it until the caller is known."""

    def carried(self) -> Headers:
        """Return the headers that the answer carries beside its own."""
        return [*self.own, *self.budget.headers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is not a stream."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)


def ok(body: dict[str, object]) -> Reply:
    """Return 200 with a JSON body."""
    return Reply(
        status=200, body=json.dumps(body).encode(), headers=[(b"content-type", b"application/json"), _NO_STORE]
    )


def refusal(refused: Refused, *, allow: bytes | None = None) -> Reply:
    """Return the problem of a refusal.

    Args:
        allow: The methods that a route knows, for `method.refused`.
    """
    headers: Headers = [(b"content-type", b"application/problem+json"), _NO_STORE]
    if status_of(refused.code) == status_of(Code.TOKEN_MISSING):
        headers.append((b"www-authenticate", challenge(refused.code).encode()))
    if refused.retry_after is not None:
        headers.append((b"retry-after", b"%d" % refused.retry_after))
    if allow is not None:
        headers.append((b"allow", allow))
    body = refused.problem().model_dump_json(exclude_none=True).encode()
    return Reply(status=refused.status, body=body, headers=headers)


async def send_reply(reply: Reply, send: Send, *, also: Headers, bodiless: bool) -> None:
    """Send an answer.

    Args:
        also: Headers that every answer carries.
        bodiless: Leave the body out, as `HEAD` wants it.
    """
    headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body)), *also]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless else reply.body})
