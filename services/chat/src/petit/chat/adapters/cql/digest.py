"""The digest of the whole read model: the only reads that go through tables from one end to the other."""

from collections.abc import AsyncIterator
from typing import Any, Final

from petit.chat.adapters.cql.driver import Database
from petit.chat.domain.digest import Digest
from petit.chat.ports import StoreBroken
from petit.contracts.signals import Msg, decode_of_chat
from petit.contracts.subjects import partition

_PLAIN: Final = {
    "rules": "SELECT offset, version FROM rules",
    "chat_state": (
        "SELECT chat, offset, kind, title, about, created_at, head_seq, last_offset, members_count, signals"
        " FROM chat_state"
    ),
    "members": "SELECT chat, joined_offset, user, from_offset, role, joined_at, to_offset FROM member_spans",
    "person_signals": "SELECT user, offset, payload, to_members, also, successor FROM person_signals",
    "raw_signals": "SELECT scope, key, offset, kind, payload FROM raw_signals",
    "rooms": "SELECT folded, chat FROM directory",
}
"""Tables of which every row is one of a table that all stores have, under its name."""
_MEMBERSHIPS: Final = "SELECT user, chat, offset, joined_offset, role FROM memberships"
_MARKERS: Final = "SELECT chat, user, seq FROM markers"
"""Of one member, one after the other: by epoch."""
_MESSAGES: Final = "SELECT offset, chat, seq, id, author, payload, to_members, also, successor FROM messages"
_TIMELINE: Final = (
    "SELECT offset, chat, head, message, id, author, payload, bytes, to_members, also, successor, void FROM timeline"
)


async def digest(db: Database) -> str:
    """See `Repository.digest`; equal to that of every other store that the same log was folded into.

    Raises:
        StoreBroken: messages and the timeline do not name the same places.
    """
    whole, said, named = Digest(), Digest(), Digest()
    for table, question in _PLAIN.items():
        async for row in db.scan(question):
            whole.add(table, _plain(row))
    async for user, chat, offset, joined, role in db.scan(_MEMBERSHIPS):
        whole.add("memberships", (user, chat, offset, joined or None, role))
    async for place, seq in _furthest(db):
        whole.add("markers", (*place, seq))
    async for offset, chat, seq, *rest in db.scan(_MESSAGES):
        whole.add("signals", _plain((offset, chat, seq, *rest, None)))
        said.add("places", (chat, offset, seq))
    async for offset, chat, head, message, *rest in db.scan(_TIMELINE):
        if message:
            named.add("places", (chat, offset, head))
            continue
        id, by, text, raw, to_members, also, successor, void = rest
        payload = raw if text is None else text
        whole.add("signals", _plain((offset, chat, None, id, by, payload, to_members, also, successor, void)))
        if void is not None and isinstance(signal := decode_of_chat(text or raw, chat=chat), Msg):
            whole.add("voids", (partition(chat), offset, chat, signal.id, signal.by, void))
    if said.hex() != named.hex():
        raise StoreBroken("messages and timeline are of different chats: the read model must be made anew")
    return whole.hex()


async def _furthest(db: Database) -> AsyncIterator[tuple[tuple[str, str], int]]:
    """Give how far each member has read of each chat, in whichever epoch that was."""
    last: tuple[str, str] | None = None
    furthest = 0
    async for chat, user, seq in db.scan(_MARKERS):
        if last is not None and last != (chat, user):
            yield last, furthest
            furthest = 0
        last, furthest = (chat, user), max(furthest, seq)
    if last is not None:
        yield last, furthest


def _plain(row: tuple[Any, ...]) -> tuple[object, ...]:
    """Return a row with whole numbers for truth values, as SQLite has them."""
    return tuple(int(value) if isinstance(value, bool) else value for value in row)
