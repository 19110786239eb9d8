"""The page at `/`: one static file in which people chat live. No build step, nothing from elsewhere.

Its script and style stand in the file itself; the content security policy names them by their hashes, so
that nothing else ever runs.
"""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.types import Receive, Scope, Send

_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_STYLE: Final = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


def page() -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an ASGI application that answers every GET and HEAD with the page."""
    body = (files(__package__) / "index.html").read_bytes()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", _policy(body)),
        (b"cache-control", b"no-cache"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        del receive  # a page has no use for a body
        if scope["method"] in {"GET", "HEAD"}:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})
        else:
            await send({"type": "http.response.start", "status": 405, "headers": [(b"allow", b"GET, HEAD")]})
            await send({"type": "http.response.body"})

    return answer


def _policy(body: bytes) -> bytes:
    parts = [
        b"default-src 'none'",
        b"connect-src 'self'",
        b"img-src data:",
        b"script-src " + _hashes(_SCRIPT, body),
        b"style-src " + _hashes(_STYLE, body),
        b"base-uri 'none'",
        b"form-action 'none'",
        b"frame-ancestors 'none'",
    ]
    return b"; ".join(parts)


def _hashes(pattern: re.Pattern[bytes], body: bytes) -> bytes:
    digests = (b64encode(sha256(part).digest()) for part in pattern.findall(body))
    return b" ".join(b"'sha256-" + digest + b"'" for digest in digests)
