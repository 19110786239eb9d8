"""Names of things: users, chats, signals, and where in the log something stands.

All ids travel as text. Signals (and so messages), chats and files are UUIDs in their canonical
lower-case form; a user is whatever the token's `sub` says, within `USER_PATTERN`. Two ids are
*derived*, so that whoever computes them agrees without asking: the chat of two people, and the
message of a plain nonce.
"""

import re
import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final, NewType

from pydantic import Field

UserId = NewType("UserId", str)
"""The `sub` of an access token: 1 to 64 of `[A-Za-z0-9_-]`."""
ChatId = NewType("ChatId", str)
"""A UUID: version 7, or version 5 of its two members for a dm."""
SignalId = NewType("SignalId", str)
"""A UUID: version 7 made by the client when composing, or version 5 of a nonce. A message's id is its signal's."""
Offset = NewType("Offset", int)
"""A position in the log: the sequence number of stream SIGNALS. Global and monotonic; 0 is before everything."""
Seq = NewType("Seq", int)
"""A message's place in its chat: 1, 2, 3 … without holes; 0 is before the first."""
Epoch = NewType("Epoch", int)
"""Which making of the log an offset belongs to; re-creating the stream bumps it."""
Timestamp = NewType("Timestamp", str)
"""RFC 3339, UTC, milliseconds, as in `2026-11-20T21:04:05.678Z`: such text sorts by time."""

BEFORE_LOG: Final = Offset(0)
"""The place before every signal."""
BEFORE_FIRST: Final = Seq(0)
"""The place before a chat's first message: nothing read, or nothing there."""
NEVER: Final = Timestamp("")
"""What has not happened."""

UUID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
USER_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"
_UUID: Final = re.compile(UUID_PATTERN)
_USER: Final = re.compile(USER_PATTERN)

UserText = Annotated[UserId, Field(pattern=USER_PATTERN)]
"""A user id as an untrusted body may spell it."""
UuidText = Annotated[SignalId, Field(pattern=UUID_PATTERN)]
"""A UUID as an untrusted body may spell it: canonical and lower-case."""

_DM: Final = uuid.UUID("6d1f6f0e-70f5-5d0c-9f43-5a4a7d3f5c01")
_NONCE: Final = uuid.UUID("6d1f6f0e-70f5-5d0c-9f43-5a4a7d3f5c02")
_VERSION_AT: Final = 14
"""Where the canonical spelling of a UUID says its version (RFC 9562, 4)."""


def is_uuid(text: str) -> bool:
    """Say whether text is a UUID as we spell it: canonical and lower-case."""
    return _UUID.fullmatch(text) is not None


def is_user(text: str) -> bool:
    """Say whether text can be a user's id."""
    return _USER.fullmatch(text) is not None


def dm_chat_id(one: UserId, other: UserId) -> ChatId:
    """Return the chat of two people, the same whoever asks: two racing creations are one chat."""
    first, second = sorted((one, other))
    return ChatId(str(uuid.uuid5(_DM, f"{first}:{second}")))


def nonce_id(user: UserId, nonce: str) -> SignalId:
    """Return the signal id that a plain nonce of this person stands for."""
    return SignalId(str(uuid.uuid5(_NONCE, f"{user}:{nonce}")))


def uuid7_ms(signal_id: str) -> int | None:
    """Return the Unix time in milliseconds inside a UUID version 7, None for any other version (RFC 9562, 5.7).

    Args:
        signal_id: As `is_uuid` takes it.
    """
    if signal_id[_VERSION_AT] != "7":
        return None
    return int(signal_id[:8] + signal_id[9:13], 16)


def timestamp(unix_ms: int) -> Timestamp:
    """Spell a Unix time in milliseconds as the wire does."""
    seconds, ms = divmod(unix_ms, 1000)
    return Timestamp(f"{_second(seconds)}.{ms:03d}Z")


@lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S}"


def timestamp_ms(text: Timestamp) -> int:
    """Return the Unix time in milliseconds that `timestamp` spelled.

    Raises:
        ValueError: text is not RFC 3339.
    """
    return round(datetime.fromisoformat(text).timestamp() * 1000)
