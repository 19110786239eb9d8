"""What a request says: headers, query and body, refused where they say too much."""

import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from petit.contracts.cursor import BadCursor, Cursor
from petit.contracts.ids import Epoch, Offset
from petit.contracts.problems import Code, Refused, wrong

MAX_BODY: Final = 65_536
"""Bytes of a body; more are 413."""
COOKIE: Final = "petit_stream"
START: Final = {"chats": "/v1/chats", "stream": "/v1/stream"}
"""Where somebody begins whose cursor is gone."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers by lower-case name; of a repeated one the last."""
    return dict(scope["headers"])


async def body_of(receive: Receive) -> dict[str, object]:
    """Return the JSON object in the body; empty where there is no body.

    Raises:
        Refused: `request.too_large`, or `request.invalid` for what is no JSON object.
        ClientDisconnect: the client is gone.
    """
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise Refused(Code.REQUEST_TOO_LARGE, f"the body is larger than {MAX_BODY} bytes")
    if not body:
        return {}
    try:
        said = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise wrong("", "the body is not JSON in UTF-8") from None
    if not isinstance(said, dict):
        raise wrong("", "the body is not a JSON object")
    return said


def cookie_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the value of the stream cookie; None if there is none."""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return None
    morsel = cookies.get(COOKIE)
    return None if morsel is None else morsel.value.encode("latin-1")


def cursor_of(text: str, *, epoch: Epoch) -> Offset:
    """Return the offset of a cursor that a client gave back.

    Raises:
        Refused: `cursor.expired`: it is not ours, or of another making of the log.
    """
    try:
        cursor = Cursor.parse(text)
    except BadCursor:
        cursor = None
    if cursor is None or cursor.epoch != epoch:
        raise cursor_expired("the cursor is not of this log")
    return cursor.offset


def cursor_expired(detail: str) -> Refused:
    """Return the refusal of a cursor that cannot be resumed from; it says where to begin."""
    return Refused(Code.CURSOR_EXPIRED, detail, extra={"start": START})


def may_open(headers: Mapping[bytes, bytes], *, origins: frozenset[str]) -> bool:
    """Say whether a page of the request's origin may open streams: those on the list, and what is no page.

    The `Host` of a request proves nothing: a name of anybody's can lead here (DNS rebinding).
    """
    origin = headers.get(b"origin")
    return origin is None or origin.decode("latin-1") in origins
