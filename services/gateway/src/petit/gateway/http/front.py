"""The outermost ASGI layer: every request becomes an exchange here, and every answer gets what all carry.

`send` is answered at once; everything else goes on to FastAPI. HEAD is GET without the body, OPTIONS says
what a path can, and origins on the list may read answers from a browser (CORS). What no handler expects ends
here as well: 500 `internal`, with the traceback in the log and nothing of it on the wire.
"""

import secrets
from collections.abc import Callable
from typing import Final

import structlog
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from petit.contracts.problems import Code, Refused
from petit.gateway.domain.refusals import of_write
from petit.gateway.domain.traces import child_of
from petit.gateway.http.api import methods_of
from petit.gateway.http.exchange import KEY, Exchange, Reply, request_ids
from petit.gateway.http.problems import Headers, internal, log_refusal, problem_body, problem_headers
from petit.gateway.http.send import SendRoute, chat_in
from petit.gateway.ports import TRACEPARENT, Limits

_LOGGER: Final = structlog.get_logger("petit.gateway.http")
_NO_CONTENT: Final = 204
_EXPOSED: Final = b"petit-offset, petit-as-of, petit-request-id, ratelimit, ratelimit-policy, retry-after"
_ASKABLE: Final = b"authorization, content-type, traceparent"
_PREFLIGHT_S: Final = b"600"


class Front:
    """The ASGI application of the gateway.

    Args:
        app: Everything but `send`.
        sends: `send`.
        limits: For answers to people who are not known.
        origins: Origins whose pages may read answers, as browsers spell them.
    """

    def __init__(self, app: FastAPI, *, sends: SendRoute, limits: Limits, origins: frozenset[str]) -> None:
        self._app = app
        self._sends = sends
        self._limits = limits
        self._origins = frozenset(origin.encode("ascii") for origin in origins)
        self._new_request_id: Callable[[], bytes] = request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the gateway serves http, not {scope['type']}")
        path, method = scope["path"], scope["method"]
        exchange = Exchange(self._new_request_id(), self._limits.show("reads"), dict(scope["headers"]))
        trace = exchange.headers.get(b"traceparent")
        if trace is not None:
            TRACEPARENT.set(child_of(trace, span=secrets.token_hex(8)))  # this request's task ends with it
        if method == "POST":
            chat = chat_in(path)
            if chat is not None:
                reply = await self._sent(chat, exchange, query=scope["query_string"], receive=receive)
                await self._write(exchange, send, reply)
                return
        if method == "OPTIONS":
            await self._write(exchange, send, self._options(path, exchange))
            return
        await self._pass_on(exchange, scope=scope, receive=receive, send=send)

    async def _sent(self, chat: str, exchange: Exchange, *, query: bytes, receive: Receive) -> Reply | None:
        try:
            return await self._sends.answer(chat, exchange, query=query, receive=receive)
        except Refused as refused:
            told = of_write(refused)
            log_refusal(told, request_id=exchange.request_id)
            return _refusal(told)
        except ClientDisconnect:
            return None
        except Exception:
            _LOGGER.exception("send.crashed", **_names(exchange))
            return _refusal(internal(exchange.request_id))

    async def _pass_on(self, exchange: Exchange, *, scope: Scope, receive: Receive, send: Send) -> None:
        body_wanted = scope["method"] != "HEAD"

        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *exchange.carried(), *self._cors(exchange)]
            elif not body_wanted:
                message = {**message, "body": b""}
            await send(message)

        inner: Scope = {**scope, KEY: exchange}
        if not body_wanted:
            inner["method"] = "GET"
        try:
            await self._app(inner, receive, decorated)
        except Exception:  # it was answered by then; see `http.api`
            _LOGGER.exception("request.crashed", path=scope["path"], **_names(exchange))

    async def _write(self, exchange: Exchange, send: Send, reply: Reply | None) -> None:
        if reply is None:
            return
        status, headers, body = reply
        headers = [*headers, *exchange.carried(), *self._cors(exchange)]
        if status != _NO_CONTENT:  # which must not say (RFC 9110, 8.6)
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _options(self, path: str, exchange: Exchange) -> Reply:
        methods = methods_of(self._app, path)
        if not methods:
            return _refusal(Refused(Code.ROUTE_NOT_FOUND, f"there is no route {path}"))
        allow = ", ".join(methods).encode("ascii")
        headers: Headers = [(b"allow", allow)]
        if b"access-control-request-method" in exchange.headers and self._may_read(exchange):
            headers += [
                (b"access-control-allow-methods", allow),
                (b"access-control-allow-headers", _ASKABLE),
                (b"access-control-max-age", _PREFLIGHT_S),
            ]
        return Reply(_NO_CONTENT, headers, b"")

    def _cors(self, exchange: Exchange) -> Headers:
        origin = exchange.headers.get(b"origin")
        if origin is None or not self._may_read(exchange):
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        ]

    def _may_read(self, exchange: Exchange) -> bool:
        return exchange.headers.get(b"origin") in self._origins


def _refusal(refused: Refused) -> Reply:
    return Reply(refused.status, problem_headers(refused), problem_body(refused))


def _names(exchange: Exchange) -> dict[str, str | None]:
    return {"request_id": exchange.request_id.decode(), "traceparent": TRACEPARENT.get()}
