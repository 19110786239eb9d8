"""Serves the page's files, under a policy that lets nothing else run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

_TYPES: Final = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src {asked}",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def page(*, issuer: str | None = None) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return the ASGI app that answers `/` and `/page/…`, with the untouched scope; anything else is a 404.

    Args:
        issuer: An origin that the page may ask beside its own, where the issuer is not there.
    """
    always = _headers(issuer)
    served = {"/" if name == "index.html" else f"/page/{name}": file for name, file in _files().items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the page is served over http, not {scope['type']}")
        file = served.get(scope["path"])
        response = _response(file, method=scope["method"], headers=dict(scope["headers"]), always=always)
        await response(scope, receive, send)

    return app


def _headers(issuer: str | None) -> dict[str, str]:
    asked = "'self'" if issuer is None else f"'self' {issuer}"
    return {
        "Cache-Control": "no-cache",  # kept, but asked about each time: the ETag answers
        "Content-Security-Policy": "; ".join(_POLICY).format(asked=asked),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _files() -> dict[str, _File]:
    found = {}
    for entry in (files(__package__) / "static").iterdir():
        content = entry.read_bytes()
        media_type = _TYPES[entry.name.rpartition(".")[2]]
        found[entry.name] = _File(content=content, media_type=media_type, etag=f'"{sha256(content).hexdigest()[:32]}"')
    return found


def _response(file: _File | None, *, method: str, headers: dict[bytes, bytes], always: dict[str, str]) -> Response:
    if file is None:
        return PlainTextResponse("There is no such page.\n", status_code=HTTPStatus.NOT_FOUND, headers=always)
    if method not in {"GET", "HEAD"}:
        return Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers=always | {"Allow": "GET, HEAD"})
    with_etag = always | {"ETag": file.etag}
    if _matches(headers.get(b"if-none-match", b"").decode("latin-1"), etag=file.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=with_etag)
    response = Response(file.content, media_type=file.media_type, headers=with_etag)
    if method == "HEAD":
        response.body = b""
    return response


def _matches(asked: str, *, etag: str) -> bool:
    """Compare weakly, as RFC 9110 (13.1.2) has it for `If-None-Match`."""
    return asked.strip() == "*" or etag in (word.strip().removeprefix("W/") for word in asked.split(","))
