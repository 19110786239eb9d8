"""When an id alone is enough to know a repeat: its own time decides (ARCHITECTURE, section 4).

A client makes a UUIDv7 when composing. While that is recent, the log's dedupe window holds every earlier
attempt, and the log answers a repeat by itself. An id that is older, or that says no time (a version other
than 7, a plain nonce), may have been sent before the window: chat is asked first. An id from the future
would outlive the window, so it is refused.
"""

from dataclasses import dataclass
from typing import Final

from petit.contracts.ids import SignalId, UserId, nonce_id, uuid7_ms

FRESH_MS: Final = 30_000
"""How far an id's time may lie behind or ahead; the dedupe window is made for it."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """The dedupe window knows every earlier attempt: straight to the log."""

    id: SignalId


@dataclass(frozen=True, slots=True)
class Old:
    """An earlier attempt may lie before the window: chat first."""

    id: SignalId


@dataclass(frozen=True, slots=True)
class Ahead:
    """The id's time lies in the future."""

    by_ms: int


Decision = Fresh | Old | Ahead


def judge(signal_id: SignalId, *, now_ms: int, fresh_ms: int = FRESH_MS) -> Decision:
    """Say how a repeat of this id would be known.

    Args:
        signal_id: A UUID of any version, canonical.
        now_ms: The gateway's clock, Unix time.
        fresh_ms: Smaller than `FRESH_MS` only where the log's dedupe window is smaller too.
    """
    made_ms = uuid7_ms(signal_id)
    if made_ms is None or made_ms < now_ms - fresh_ms:
        return Old(signal_id)
    if made_ms > now_ms + fresh_ms:
        return Ahead(made_ms - now_ms)
    return Fresh(signal_id)


def key_of(signal_id: SignalId | None, nonce: str | None, *, user: UserId) -> SignalId | None:
    """Return the id that two sends of one person must share to be one: the id, else what the nonce stands for.

    None: nothing is deduplicated, and the gateway makes an id.
    """
    if signal_id is not None or nonce is None:
        return signal_id
    return nonce_id(user, nonce)
