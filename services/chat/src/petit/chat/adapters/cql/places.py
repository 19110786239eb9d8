"""Where rows go, and which of two holds: pure functions of the log, so that whoever folds it writes the same.

Partitions are cut so that none grows past 100 MB, even if every signal in it is as large as a gateway lets through:
64 KiB and its envelope. What has a number in its chat is cut by that number: messages by
seq, the timeline by how many signals the chat has had. What has none (a person's signals come from many chats, each
folded by its owner) is cut by stretches of the log.

Two writes to one row are told apart by their timestamps, of which the higher holds: the offset of their signal. Where
the first signal is to hold, each has a row of its own.
"""

from hashlib import sha256
from typing import Final

from petit.contracts.ids import ChatId, Offset
from petit.contracts.subjects import partition

BUCKET: Final = 1_000
"""Messages of a chat in one partition."""
SLICE: Final = 1_000
"""Signals of a chat in one partition of its timeline."""
WINDOW: Final = 1 << 20
"""Offsets of which one person's signals, or those of another scope, share a partition."""
SHARDS: Final = 16
"""Partitions of the directory of rooms. A page is merged from all of them: so many requests, however it is filled."""
_KEY_MOST: Final = 1_024


def bucket(seq: int) -> int:
    """Return the partition of a chat's messages that has one."""
    return seq // BUCKET


def slice_of(nth: int) -> int:
    """Return the partition of a chat's timeline that has its nth signal; the first is 1."""
    return (nth - 1) // SLICE


def begins_slice(nth: int) -> bool:
    """Say whether a chat's nth signal is the first of its partition."""
    return (nth - 1) % SLICE == 0


def window(offset: int) -> int:
    """Return the stretch of the log that an offset is in."""
    return offset // WINDOW


def key(text: str) -> str:
    """Return text as a key may be: CQL takes none that is empty as a partition, and none beyond 64 KB.

    What a gateway lets through is itself; the rest comes only from bytes that no gateway wrote, and gets a name.
    """
    if 0 < len(text) <= _KEY_MOST:
        return text
    return f"\0{sha256(text.encode()).hexdigest()}"


def shard(chat: ChatId) -> int:
    """Return the partition of the directory that has a room, whatever its title: titles begin alike, ids do not."""
    return partition(chat) % SHARDS


def joined(offset: Offset | None) -> int:
    """Return an offset of joining as it is stored: 0 for somebody who is not there."""
    return offset or 0
