"""`POST /v1/tickets`: how a browser opens a stream without showing its token in a URL."""

from typing import Final

from fastapi import APIRouter, Request, Response

from petit.contracts.resources import Ticket
from petit.contracts.rpc import TicketFor
from petit.gateway.domain.bodies import TicketBody
from petit.gateway.http.answers import answer
from petit.gateway.http.exchange import exchange_of
from petit.gateway.http.operations import WRITE, may_answer
from petit.gateway.http.parameters import Caller
from petit.gateway.ports import Clock, Tickets
from petit.kit.auth import bearer

COOKIE: Final = "petit_stream"
PATHS: Final = ("/v1/stream", "/v1/ws")
TTL_S: Final = 30
"""Seconds for which a ticket is good."""


def add_tickets(router: APIRouter, *, tickets: Tickets, clock: Clock, secure: bool) -> None:
    """Add the route of tickets.

    Args:
        router: Where to.
        tickets: Where they are kept.
        clock: For the time that the token has left.
        secure: The origin is https: browsers shall send the cookie nowhere else.
    """

    @router.post(
        "/v1/tickets",
        operation_id="createTicket",
        response_model=Ticket,
        responses=may_answer(WRITE, also={204: None}),
    )
    async def create(caller: Caller, request: Request, body: TicketBody | None = None) -> Response:
        """Return a word that opens one stream, once; with `cookie`, set the stream's cookie instead (204)."""
        left_s = max(0, int(caller.expires_at - clock.now_ms() / 1000))
        if body is not None and body.cookie:
            return _with_cookies(
                bearer(exchange_of(request.scope).headers.get(b"authorization")), left_s, secure=secure
            )
        holder = TicketFor(
            user=caller.user, session=caller.session, expires_at=caller.expires_at, issued_at=caller.issued_at
        )
        word = await tickets.issue(holder.model_dump_json().encode())
        return answer(Ticket(ticket=word, expires_in=max(1, min(TTL_S, left_s))))


def _with_cookies(token: bytes, left_s: int, *, secure: bool) -> Response:
    response = answer(None, status=204)
    for path in PATHS:
        response.set_cookie(
            COOKIE, token.decode("ascii"), max_age=left_s, path=path, secure=secure, httponly=True, samesite="strict"
        )
    return response
