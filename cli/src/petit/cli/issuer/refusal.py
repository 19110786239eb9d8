"""What goes wrong, in OAuth's words (RFC 6749, 5.2)."""

import sqlite3
from http import HTTPStatus
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_log: Final = structlog.get_logger()


class OAuthRefusal(Exception):
    """An answer of no.

    Args:
        error: OAuth's code: `invalid_grant`, `invalid_client`, …
        description: One sentence for developers.
        status: The HTTP status.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
        self.headers = headers or {}


def answer(request: Request, error: Exception) -> Response:
    """Translate what an endpoint raised: a refusal as it says, a file that cannot be used now as an outage.

    Raises:
        TypeError: It is neither.
    """
    match error:
        case OAuthRefusal():
            refusal = error
        case sqlite3.Error():
            _log.warning("store.unavailable", path=request.url.path, error=str(error))
            refusal = OAuthRefusal(
                "temporarily_unavailable",
                "the issuer's file cannot be used now",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                headers={"Retry-After": "1"},
            )
        case _:
            raise TypeError(f"{error!r} is no refusal") from error
    body = {"error": refusal.error, "error_description": refusal.description}
    return JSONResponse(body, status_code=refusal.status, headers={"Cache-Control": "no-store"} | refusal.headers)
