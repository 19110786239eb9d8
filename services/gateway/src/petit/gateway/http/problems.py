"""Refusals on the wire: RFC 9457 problems, translated here and nowhere else."""

from typing import Final

import structlog
from starlette.responses import Response

from petit.contracts.problems import Code, Refused, Unavailable
from petit.kit.auth import challenge

MEDIA_TYPE: Final = "application/problem+json"
_LOGGER: Final = structlog.get_logger("petit.gateway.http")
_UNAUTHORIZED: Final = 401
_UNLOGGED: Final = frozenset(
    {
        Code.CREDENTIALS_INVALID,
        Code.TOKEN_MISSING,
        Code.TOKEN_INVALID,
        Code.TOKEN_EXPIRED,
        Code.RATE_LIMITED,
        Code.ROUTE_NOT_FOUND,
        Code.INTERNAL,
    }
)

Headers = list[tuple[bytes, bytes]]
"""As ASGI has them."""


def problem_body(refused: Refused) -> bytes:
    """Return a refusal as the JSON of `application/problem+json`; `errors` only where there are some."""
    return refused.problem().model_dump_json(exclude_none=True).encode()


def problem_headers(refused: Refused) -> Headers:
    """Return the headers that go with a refusal, beside those of every answer."""
    headers: Headers = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store")]
    if refused.status == _UNAUTHORIZED:
        headers.append((b"www-authenticate", challenge(refused.code).encode()))
    if refused.retry_after is not None:
        headers.append((b"retry-after", b"%d" % refused.retry_after))
    return headers


def problem_response(refused: Refused, *, request_id: bytes) -> Response:
    """Return a refusal as FastAPI's handlers answer it."""
    log_refusal(refused, request_id=request_id)
    response = Response(problem_body(refused), status_code=refused.status)
    response.raw_headers += problem_headers(refused)
    return response


def internal(request_id: bytes) -> Refused:
    """Return the answer to a request that met a bug: nothing but where to find it."""
    return Refused(Code.INTERNAL, f"request {request_id.decode()} failed; the operator's log has why")


def log_refusal(refused: Refused, *, request_id: bytes) -> None:
    """Log a refusal as what it is: an answer, or an outage. What strangers and floods are told is not worth a line.

    The detail of an answer may repeat what the client sent, which is never logged; that of an outage is our own.
    """
    if isinstance(refused, Unavailable):
        _LOGGER.warning(
            "request.refused", code=str(refused.code), detail=refused.detail, request_id=request_id.decode()
        )
    elif refused.code not in _UNLOGGED:
        _LOGGER.info("request.refused", code=str(refused.code), request_id=request_id.decode())
