"""One request on its way through the gateway: what every answer carries, whoever makes it."""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from petit.contracts.problems import Code, Refused
from petit.gateway.http.problems import Headers
from petit.gateway.ports import Kind, Limits, Tokens
from petit.kit.auth import Principal, bearer
from petit.kit.limits import Budget

KEY: Final = "petit.exchange"
"""Where the ASGI scope has the `Exchange`."""
MAX_BODY: Final = 65_536
"""Bytes of a body; more are 413."""


class Reply(NamedTuple):
    """An answer, but for what every answer carries."""

    status: int
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Exchange:
    """What is known of a request while it is answered."""

    request_id: bytes
    budget: Budget
    """What is left of the caller's limit; the whole of it until the caller is known."""
    headers: dict[bytes, bytes]
    """Of the request, by lower-case name; of a repeated one the last."""

    def carried(self) -> Headers:
        """Return the headers that every answer carries."""
        return [(b"petit-request-id", self.request_id), *self.budget.headers]


def request_ids() -> Callable[[], bytes]:
    """Return a maker of request ids: unique among processes by a random word, within one by counting."""
    word, count = secrets.token_hex(6), itertools.count(1)
    return lambda: b"%s-%x" % (word.encode(), next(count))


@dataclass(frozen=True, slots=True)
class Door:
    """Lets people in: who they are, and whether they may go on."""

    tokens: Tokens
    limits: Limits

    async def admit(self, exchange: Exchange, kind: Kind) -> Principal:
        """Return who asks, and count the request.

        Raises:
            Refused: `token.…`, or `rate.limited`.
            Unavailable: the issuer's keys cannot be had.
        """
        token = bearer(exchange.headers.get(b"authorization"))
        principal = self.tokens.cached(token)
        if principal is None:
            principal = await self.tokens.verify(token)
        exchange.budget = self.limits.take(kind, principal.user)
        exchange.budget.spend()
        return principal


async def read_body(exchange: Exchange, receive: Receive) -> bytes:
    """Return the whole body of a request.

    Raises:
        Refused: `request.too_large`.
        ClientDisconnect: nobody waits for the answer any more.
    """
    announced = exchange.headers.get(b"content-length", b"0")
    if len(announced) > len(str(MAX_BODY)) or int(announced) > MAX_BODY:
        raise _too_large()
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _more(bytearray(body), receive)
    elif message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(body) > MAX_BODY:
        raise _too_large()
    return body


async def _more(body: bytearray, receive: Receive) -> bytes:
    while len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(body)


def _too_large() -> Refused:
    return Refused(Code.REQUEST_TOO_LARGE, f"a body has at most {MAX_BODY} bytes")


def exchange_of(scope: Scope) -> Exchange:
    """Return what is known of the request of an ASGI scope."""
    exchange: Exchange = scope[KEY]
    return exchange
