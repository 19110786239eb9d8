"""Ordinary answers: JSON, and refusals as RFC 9457 problems."""

import json
from dataclasses import dataclass, field

from starlette.types import Send

from petit.contracts.problems import Code, Refused, status_of
from petit.kit.auth import challenge

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is not a stream."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)


def ok(body: dict[str, object]) -> Reply:
    """Return 200 with a JSON body."""
    return Reply(status=200, body=json.dumps(body).encode(), headers=[(b"content-type", b"application/json")])


def refusal(refused: Refused, *, allow: bytes | None = None) -> Reply:
    """Return the problem of a refusal.

    Args:
        allow: The methods that a route knows, for `method.refused`.
    """
    headers: Headers = [(b"content-type", b"application/problem+json")]
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
