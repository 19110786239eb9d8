"""The ASGI application of the live edge."""

import itertools
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from petit.contracts.ids import Epoch, Offset, UserId
from petit.contracts.problems import Code, Refused, wrong
from petit.contracts.rpc import TicketFor
from petit.kit.auth import Principal, bearer
from petit.kit.clock import Clock
from petit.kit.queries import read_query
from petit.kit.serving import TAKEOVER
from petit.notifier.domain.asks import token_in
from petit.notifier.domain.frames import Format
from petit.notifier.http.answers import Exchange, Headers, Reply, ok, refusal, send_reply
from petit.notifier.http.handshake import sse_head, websocket_head
from petit.notifier.http.requests import (
    body_of,
    cookie_of,
    cursor_expired,
    cursor_of,
    headers_of,
    may_open,
)
from petit.notifier.ports import Door, Limits, Log, Opening, Renewals, Tickets, Tokens

STREAM: Final = "/v1/stream"
WEBSOCKET: Final = "/v1/ws"
CURSOR: Final = "/v1/cursor"
_PLAIN: Final = frozenset({STREAM, WEBSOCKET, CURSOR})
_RENEWAL: Final = re.compile(r"^/v1/streams/([^/]+)/token$")
_OPENED_BY: Final = frozenset({"cursor", "payload", "ticket"})
_PAYLOADS: Final = ("full", "thin")
_EXPOSED: Final = b"petit-request-id, ratelimit, ratelimit-policy, retry-after"
_AHEAD_S: Final = 2.0
"""How long a cursor may be ahead of a feed that is current: another process of ours may have read further."""
_ASKABLE: Final = b"authorization, content-type, last-event-id, traceparent"

_log = structlog.get_logger(__name__)


def claims(path: str) -> bool:
    """Say whether a path is served here, and not by the gateway."""
    return path in _PLAIN or (path.startswith("/v1/streams/") and _RENEWAL.match(path) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Serves the routes that `claims` names; everything else is 404."""

    log: Log
    tokens: Tokens
    tickets: Tickets
    renewals: Renewals
    door: Door
    limits: Limits
    origins: frozenset[str]
    """Origins whose pages may open streams and read answers, this edge's own among them."""
    clock: Clock
    word: str = field(default_factory=lambda: secrets.token_hex(6))
    """What this process's request ids begin with."""
    count: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take its connection over."""
        if scope["type"] != "http":
            raise RuntimeError(f"the notifier serves http, not {scope['type']}")
        headers = headers_of(scope)
        request_id = f"{self.word}-{next(self.count):x}"
        own: Headers = [(b"petit-request-id", request_id.encode()), *self._cors(headers)]
        exchange = Exchange(headers=headers, own=own, budget=self.limits.show("reads"))
        try:
            reply = await self._answer(scope, receive, exchange)
        except ClientDisconnect:
            return
        except Refused as refused:
            reply = refusal(refused)
        except Exception:  # noqa: BLE001 - a bug in one request; the traceback is kept, the others go on
            _log.exception("request.crashed", request_id=request_id, path=scope["path"])
            reply = refusal(Refused(Code.INTERNAL, f"request {request_id} failed; the operator's log has why"))
        if reply is not None:
            await send_reply(reply, send, also=exchange.carried(), bodiless=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> Reply | None:
        path: str = scope["path"]
        method: str = scope["method"]
        renewal = _RENEWAL.match(path)
        if renewal is None and path not in _PLAIN:
            raise Refused(Code.ROUTE_NOT_FOUND, f"there is no route {path}")
        allow = (
            b"POST, OPTIONS" if renewal is not None else b"GET, OPTIONS" if path != CURSOR else b"GET, HEAD, OPTIONS"
        )
        if method == "OPTIONS":
            asked = [(b"access-control-allow-methods", allow), (b"access-control-allow-headers", _ASKABLE)]
            return Reply(status=204, headers=[(b"allow", allow), *asked])
        if method.encode() not in allow.split(b", "):
            return refusal(Refused(Code.METHOD_REFUSED, f"{path} does not know {method}"), allow=allow)
        if renewal is not None:
            return await self._renew(renewal[1], scope, receive, exchange=exchange)
        if path == CURSOR:
            return await self._cursor(scope, exchange)
        opening = await self._opening(scope, exchange)
        self.door(opening, scope["extensions"][TAKEOVER])
        return None

    async def _opening(self, scope: Scope, exchange: Exchange) -> Opening:
        headers = exchange.headers
        if not may_open(headers, origins=self.origins):
            raise Refused(Code.ORIGIN_REFUSED, "pages of this origin may not open streams")
        query = read_query(scope["query_string"], known=_OPENED_BY)
        payload = query.get("payload", "full")
        if payload not in _PAYLOADS:
            raise wrong("?payload", f"payload is one of {', '.join(_PAYLOADS)}")
        if scope["path"] == WEBSOCKET:
            form = Format.WS_FULL if payload == "full" else Format.WS_THIN
            seen = query.get("cursor")
        else:
            form = Format.SSE_FULL if payload == "full" else Format.SSE_THIN
            seen = headers.get(b"last-event-id", b"").decode("latin-1") or query.get("cursor")
        ticket = query.get("ticket") if b"authorization" not in headers else None
        cursor = None
        if ticket is not None:  # looking at it uses it up, so everything else comes first
            cursor = await self._known(seen)
            _head(form, scope, also=[])
        caller = await self._caller(headers, ticket=ticket)
        if ticket is None:  # who has one was counted when it was made
            self._spend(exchange, caller.user)
        if (
            caller.expires_at * 1000 <= self.clock.now_ms()
        ):  # requests have some leeway, but a stream would end as it begins
            raise Refused(Code.TOKEN_EXPIRED, "the token has expired")
        if ticket is None:
            cursor = await self._known(seen)
        if self.tokens.revocations.covers(user=caller.user, session=caller.session, issued_at=caller.issued_at):
            # it ended after the ticket was made, or while we waited
            code = Code.TOKEN_INVALID if ticket is None else Code.TICKET_INVALID
            raise Refused(code, "the log-in that this belongs to is over")
        head = _head(form, scope, also=exchange.carried())
        return Opening(
            user=caller.user,
            session=caller.session,
            expires_at=caller.expires_at,
            form=form,
            cursor=cursor,
            head=head,
        )

    async def _known(self, text: str | None) -> Offset | None:
        """Return the offset of a cursor, which may be somewhat ahead of this process, but not of the log; None of none.

        Raises:
            Refused: `cursor.expired`: it is not ours, of another epoch, or beyond the end of the log.
        """
        if text is None:
            return None
        offset = cursor_of(text, epoch=Epoch(self.log.epoch))
        if offset > self.log.position:
            there = await self.log.wait_for(offset, within=_AHEAD_S)
            if not there and self.log.current:
                raise cursor_expired("the cursor is beyond the end of this log")
        return offset

    async def _caller(self, headers: Mapping[bytes, bytes], *, ticket: str | None) -> Principal | TicketFor:
        authorization = headers.get(b"authorization")
        cookie = cookie_of(headers)
        if authorization is None and ticket is not None:
            held = await self.tickets.redeem(ticket)
            if held is None:
                raise Refused(Code.TICKET_INVALID, "the ticket is used, late or not ours")
            return held
        if authorization is None and cookie is not None:
            return await self.tokens.verify(cookie)
        return await self.tokens.verify(bearer(authorization))

    async def _renew(self, connection: str, scope: Scope, receive: Receive, *, exchange: Exchange) -> Reply:
        read_query(scope["query_string"], known=())
        token = token_in(await body_of(receive))
        new = (
            token.encode("latin-1", "replace") if token is not None else bearer(exchange.headers.get(b"authorization"))
        )
        principal = await self.tokens.verify(new)
        self._spend(exchange, principal.user)
        left = await self.renewals.renew(
            connection, user=principal.user, session=principal.session, expires_at=principal.expires_at
        )
        return ok({"expires_in": left})

    async def _cursor(self, scope: Scope, exchange: Exchange) -> Reply:
        query = read_query(scope["query_string"], known={"cursor"})
        principal = await self.tokens.verify(bearer(exchange.headers.get(b"authorization")))
        self._spend(exchange, principal.user)
        if "cursor" not in query:
            raise wrong("?cursor", "which cursor?")
        await self._known(query["cursor"])
        return ok({"cursor": query["cursor"]})

    def _spend(self, exchange: Exchange, user: UserId) -> None:
        """Count one more of a person's requests.

        Raises:
            Refused: `rate.limited`.
        """
        exchange.budget = self.limits.take("reads", user)
        exchange.budget.spend()

    def _cors(self, headers: Mapping[bytes, bytes]) -> Headers:
        origin = headers.get(b"origin")
        if origin is None or origin.decode("latin-1") not in self.origins:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        ]


def _head(form: Format, scope: Scope, *, also: Headers) -> bytes:
    """Return the head of a stream's response.

    Raises:
        Refused: `request.invalid`: the handshake is none.
    """
    return websocket_head(scope, also=also) if form.websocket else sse_head(also)
