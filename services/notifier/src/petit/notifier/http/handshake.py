"""The heads of the responses that begin streams: SSE's, and the WebSocket handshake (RFC 6455, 4.2)."""

from collections.abc import Sequence
from typing import Final

from starlette.types import Scope
from websockets.datastructures import Headers as WebSocketHeaders
from websockets.exceptions import NegotiationError
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from petit.contracts.problems import wrong
from petit.notifier.http.answers import Headers

SUBPROTOCOL: Final = Subprotocol("petit.v1")
_SWITCHING: Final = 101
_SSE: Final[Headers] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"transfer-encoding", b"chunked"),
]


def sse_head(also: Headers) -> bytes:
    """Return the head of an SSE response.

    Args:
        also: Headers that every answer carries.
    """
    return b"HTTP/1.1 200 OK\r\n%b\r\n" % _lines([*_SSE, *also])


def websocket_head(scope: Scope, *, also: Headers) -> bytes:
    """Return the head of the response that accepts a WebSocket.

    Args:
        also: Headers that every answer carries.

    Raises:
        Refused: `request.invalid`: it is no handshake, or one for another subprotocol.
    """
    headers = WebSocketHeaders()
    for name, value in scope["headers"]:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    protocol = ServerProtocol(subprotocols=[SUBPROTOCOL], select_subprotocol=_select)
    response = protocol.accept(Request(scope["path"], headers))
    if response.status_code != _SWITCHING:
        raise wrong("", f"this is no WebSocket handshake: {protocol.handshake_exc}")
    return response.serialize()[:-2] + _lines(also) + b"\r\n"


def _select(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    if offered and SUBPROTOCOL not in offered:
        raise NegotiationError(f"the subprotocol is {SUBPROTOCOL}")
    return SUBPROTOCOL if offered else None


def _lines(headers: Headers) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
