"""The Python client: send, read, and a stream that resumes by itself."""

from petit.client.calls import Patience
from petit.client.client import Client, every
from petit.client.clock import ServerClock
from petit.client.errors import (
    ApiProblem,
    ClientError,
    Conflict,
    CursorExpired,
    Forbidden,
    Invalid,
    LoginRefused,
    NotFound,
    RateLimited,
    StreamEnded,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from petit.client.frames import Ephemeral, Frame
from petit.client.state import LocalState
from petit.client.stream import Stream
from petit.client.tokens import FixedToken, Grant, OidcTokens, Tokens

__all__ = [
    "ApiProblem",
    "Client",
    "ClientError",
    "Conflict",
    "CursorExpired",
    "Ephemeral",
    "FixedToken",
    "Forbidden",
    "Frame",
    "Grant",
    "Invalid",
    "LocalState",
    "LoginRefused",
    "NotFound",
    "OidcTokens",
    "Patience",
    "RateLimited",
    "ServerClock",
    "Stream",
    "StreamEnded",
    "Tokens",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "every",
]
