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
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # kept, but asked about each time: the ETag answers
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def page() -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return the ASGI app that answers `/` and `/page/…`, with the untouched scope; anything else is a 404."""
    served = {"/" if name == "index.html" else f"/page/{name}": file for name, file in _files().items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the page is served over http, not {scope['type']}")
        response = _response(served.get(scope["path"]), method=scope["method"], headers=dict(scope["headers"]))
        await response(scope, receive, send)

    return app


def _files() -> dict[str, _File]:
    found = {}
    for entry in (files(__package__) / "static").iterdir():
        content = entry.read_bytes()
        media_type = _TYPES[entry.name.rpartition(".")[2]]
        found[entry.name] = _File(content=content, media_type=media_type, etag=f'"{sha256(content).hexdigest()[:32]}"')
    return found


def _response(file: _File | None, *, method: str, headers: dict[bytes, bytes]) -> Response:
    if file is None:
        return PlainTextResponse("There is no such page.\n", status_code=HTTPStatus.NOT_FOUND, headers=_HEADERS)
    if method not in {"GET", "HEAD"}:
        return Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers=_HEADERS | {"Allow": "GET, HEAD"})
    with_etag = _HEADERS | {"ETag": file.etag}
    if _matches(headers.get(b"if-none-match", b"").decode("latin-1"), etag=file.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=with_etag)
    response = Response(file.content, media_type=file.media_type, headers=with_etag)
    if method == "HEAD":
        response.body = b""
    return response


def _matches(asked: str, *, etag: str) -> bool:
    """Compare weakly, as RFC 9110 (13.1.2) has it for `If-None-Match`."""
    return asked.strip() == "*" or etag in (word.strip().removeprefix("W/") for word in asked.split(","))
