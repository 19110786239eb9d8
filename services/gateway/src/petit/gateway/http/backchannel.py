"""`POST /backchannel-logout`: the issuer says that a log-in is over (OpenID Connect Back-Channel Logout 1.0, 2.5).

Not a route for apps: it is not public, and a logout token proves itself by the issuer's signature. One that comes twice
ends the same log-in once.
"""

import json
from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from petit.contracts.problems import Refused, Unavailable
from petit.gateway.handlers.sessions import Sessions
from petit.gateway.http.exchange import exchange_of, read_body
from petit.gateway.http.problems import log_refusal
from petit.gateway.ports import Ending, Tokens

_BAD_REQUEST: Final = 400
_NO_STORE: Final = {"cache-control": "no-store"}


def add_backchannel(router: APIRouter, *, tokens: Tokens, sessions: Sessions) -> None:
    """Add the route for the issuer."""

    @router.post("/backchannel-logout", operation_id="backchannelLogout", include_in_schema=False)
    async def logged_out(request: Request) -> Response:
        """Take a logout token: 200 when the log has it, 400 for what is none (2.8)."""
        exchange = exchange_of(request.scope)
        body = (await read_body(exchange, request.receive)).decode("latin-1")
        try:
            said = await tokens.verify_logout(_logout_token(body).encode())
        except Unavailable:
            raise
        except Refused as refused:
            log_refusal(refused, request_id=exchange.request_id)
            told = json.dumps({"error": "invalid_request", "error_description": refused.detail})
            return Response(told, status_code=_BAD_REQUEST, media_type="application/json", headers=_NO_STORE)
        await sessions.revoke(Ending(user=said.user, session=said.session, at_ms=int(said.issued_at * 1000)))
        return Response(status_code=200, headers=_NO_STORE)


def _logout_token(body: str) -> str:
    """Return the token in a form; nothing where it has none, or is none."""
    try:
        return parse_qs(body, max_num_fields=10).get("logout_token", [""])[0]
    except ValueError:
        return ""
