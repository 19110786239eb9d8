"""Every NATS subject, spelled once.

Stored signals live under `signal.<p>.…`, where `p` is the partition of the key that follows; ephemera
under `live.…` on core NATS; requests under `rpc.…`. The partition of a key is the first 8 bytes of its
SHA-256, big-endian, mod 64, fixed for ever: owners, stores and deployments agree on it without asking.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal

from petit.contracts.ids import ChatId, UserId

PARTITIONS: Final = 64
STREAM: Final = "SIGNALS"
SIGNALS: Final = "signal.>"
"""What the stream holds."""
FOLDED: Final = "live.ctl.folded"
"""Where owners of partitions publish how far they have folded."""
GATEWAY_DO: Final = "rpc.gateway.do"
"""What clients write on a WebSocket, batched; queue group `GATEWAY_QUEUE`."""
GATEWAY_QUEUE: Final = "gateway"
CHAT_QUEUE: Final = "chat"
OPS_RULES: Final = "signal.0.ops.rules"

SESSION_REVOKED: Final = "session.revoked"
"""The kind of a person signal: a log-in is over."""
ALL_SESSIONS_REVOKED: Final = f"signal.*.person.*.{SESSION_REVOKED}"

Family = Literal["msg", "member", "view", "call"]
_FAMILIES: Final[dict[str, Family]] = {
    "msg": "msg",
    "reaction": "msg",
    "pin": "msg",
    "chat": "member",
    "joined": "member",
    "left": "member",
    "role": "member",
    "view": "view",
    "call": "call",
}
_CHAT_TOKENS: Final = 5


@lru_cache(maxsize=65_536)
def partition(key: str) -> int:
    """Return the partition, 0 to 63, of a chat, person, pair or queue."""
    return int.from_bytes(sha256(key.encode()).digest()[:8]) % PARTITIONS


def family(signal_type: str) -> Family:
    """Return the family that a chat signal's type belongs to: the last token of its subject.

    Raises:
        ValueError: no chat signal has this type.
    """
    try:
        return _FAMILIES[signal_type.partition(".")[0]]
    except KeyError:
        msg = f"no chat signal has type {signal_type!r}"
        raise ValueError(msg) from None


def chat_signal(chat: ChatId, signal_type: str) -> str:
    """Return the subject under which a signal of a chat is stored."""
    return f"signal.{partition(chat)}.chat.{chat}.{family(signal_type)}"


def person_signal(user: UserId, kind: str) -> str:
    """Return the subject under which a signal to one person is stored."""
    return f"signal.{partition(user)}.person.{user}.{kind}"


def chat_partition_signals(p: int) -> str:
    """Return the filter for all stored signals of one partition."""
    return f"signal.{p}.>"


def delivered(chat: ChatId) -> str:
    """Return the subject of a chat's delivered markers: ephemeral, never stored."""
    return f"live.delivered.{chat}"


ALL_DELIVERED: Final = "live.delivered.*"


def notifier_renew(instance: str) -> str:
    """Return the subject of a token's renewal for a stream that one notifier process holds."""
    return f"rpc.notifier.{instance}.renew"


def chat_owner(p: int, method: str) -> str:
    """Return the subject of a request to the owner of a partition."""
    return f"rpc.chat.{p}.{method}"


def chat_any(method: str) -> str:
    """Return the subject of a request that any chat replica answers; queue group `CHAT_QUEUE`."""
    return f"rpc.chat.any.{method}"


@dataclass(frozen=True, slots=True)
class StoredUnder:
    """What the subject of a stored signal says about it, known before decoding."""

    partition: int
    scope: str
    """`chat`, `person`, `pair`, `match`, `all` or `ops`."""
    key: str
    """The chat, person, pair or queue; empty for `all` and `ops`."""
    kind: str
    """A chat signal's family; the kind of the others (it may have dots)."""


@lru_cache(maxsize=65_536)
def parse(subject: str) -> StoredUnder | None:
    """Read a subject of the stream; None if it is not one of ours."""
    tokens = subject.split(".")
    if len(tokens) < 4 or tokens[0] != "signal" or not tokens[1].isdecimal():  # noqa: PLR2004 - signal.<p>.<scope>.<kind>
        return None
    p, scope = int(tokens[1]), tokens[2]
    if scope in {"all", "ops"}:
        return StoredUnder(p, scope, "", ".".join(tokens[3:]))
    if len(tokens) < _CHAT_TOKENS:
        return None
    return StoredUnder(p, scope, tokens[3], ".".join(tokens[4:]))
