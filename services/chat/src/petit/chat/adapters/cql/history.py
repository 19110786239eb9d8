"""What was said in a chat: by seq, by offset, by id.

A message is read by its seq. An offset leads to a seq in three steps of one row each, however long the chat is: the
slice of the timeline that has it, the signal there, and the newest message as of that signal.
"""

from collections.abc import Collection
from typing import Any, Final

from petit.chat.adapters.cql import queries
from petit.chat.adapters.cql import statements as cql
from petit.chat.adapters.cql.driver import Database
from petit.chat.adapters.cql.places import BUCKET, bucket, key
from petit.chat.domain.rows import SignalRow
from petit.chat.ports import LastMessage
from petit.contracts.ids import ChatId, Offset, Seq, SignalId, UserId

_MOST: Final = 2**31 - 1
"""The greatest LIMIT."""


async def messages(db: Database, chat: ChatId, *, first: int, last: int) -> list[SignalRow]:
    """See `Repository.messages`."""
    first = max(first, 1)
    if last - first >= BUCKET:  # nobody knows where it ends
        head = (await queries.heads(db, [chat])).get(chat)
        last = min(last, head.head_seq) if head else 0
    asked = [(chat, one, first, last) for one in range(bucket(first), bucket(last) + 1)] if first <= last else []
    found = await db.many(cql.MESSAGES, asked)
    return [_message(row) for rows in found for row in reversed(rows)]


async def messages_at(db: Database, places: Collection[tuple[ChatId, Seq]]) -> dict[ChatId, SignalRow]:
    """See `Repository.messages_at`."""
    found = await db.many(cql.MESSAGES, [(chat, bucket(seq), seq, seq) for chat, seq in places])
    return {rows[0][1]: _message(rows[0]) for rows in found if rows}


async def message(db: Database, chat: ChatId, *, id: SignalId) -> SignalRow | None:
    """See `Repository.message`."""
    seqs = [seq for (seq,) in await db.rows(cql.MESSAGE_IDS, (key(id), chat)) if seq]
    return (await messages_at(db, [(chat, min(seqs))])).get(chat) if seqs else None


async def sent(db: Database, user: UserId, *, id: SignalId) -> SignalRow | None:
    """See `Repository.sent`."""
    author = key(user)
    mine = [
        (offset, chat, slice_, seq)
        for chat, by, offset, slice_, seq in await db.rows(cql.IDS, (key(id),))
        if by == author
    ]
    if not mine:
        return None
    offset, chat, slice_, seq = min(mine)
    if seq:
        return (await messages_at(db, [(chat, Seq(seq))])).get(chat)
    rows = await db.rows(cql.TIMELINE, (chat, slice_, offset - 1, offset, 1))
    return _other(rows[0]) if rows else None


async def last_messages(db: Database, ids: Collection[ChatId], *, at: Offset) -> dict[ChatId, LastMessage]:
    """See `Repository.last_messages`."""
    heads = await queries.heads(db, ids)
    found = {c: LastMessage(row.head_seq, row.last_offset) for c, row in heads.items() if row.last_offset <= at}
    earlier = [chat for chat in heads if chat not in found]
    slices = await db.many(cql.SLICE_AT, [(chat, at) for chat in earlier])
    asked = [(chat, rows[0][0], at) for chat, rows in zip(earlier, slices, strict=True) if rows]
    seqs = await db.many(cql.HEAD_AT, asked)
    places = [(chat, Seq(rows[0][0])) for (chat, *_), rows in zip(asked, seqs, strict=True) if rows and rows[0][0]]
    found |= {c: LastMessage(Seq(row.seq or 0), row.offset) for c, row in (await messages_at(db, places)).items()}
    return {chat: last for chat, last in found.items() if last.seq}


async def signals(db: Database, chat: ChatId, *, after: Offset, to: Offset, limit: int) -> list[SignalRow]:
    """See `Repository.signals`.

    Nothing beyond the chat's row is looked at: of a batch that is just being written, some may be there.
    """
    head = (await queries.heads(db, [chat])).get(chat)
    if head is None:
        return []
    found = await _timeline(db, chat, after=after, to=min(to, head.offset), limit=limit)
    seqs = [row[2] for row in found if row[3]]
    said = {row.seq: row for row in await messages(db, chat, first=min(seqs), last=max(seqs))} if seqs else {}
    return [said[row[2]] if row[3] else _other(row) for row in reversed(found)]


async def _timeline(db: Database, chat: ChatId, *, after: Offset, to: Offset, limit: int) -> list[tuple[Any, ...]]:
    """Return the newest rows of a stretch that hold, newest first; from one slice, or a few that follow each other."""
    begun = await db.rows(cql.SLICE_AT, (chat, to))
    slice_ = begun[0][0] if begun else -1
    found: list[tuple[Any, ...]] = []
    begins = True
    while slice_ >= 0 and len(found) < limit:
        ask = min(limit - len(found), _MOST)
        rows = await db.rows(cql.TIMELINE, (chat, slice_, after, to, ask))
        found += [row for row in rows if row[-1] is None]
        if begins and not rows:  # every slice but the last is full: `after` is in this one, or in a later one
            break
        begins = len(rows) < ask
        if begins:
            slice_ -= 1
        else:
            to = Offset(rows[-1][0] - 1)
    return found


def _message(row: tuple[Any, ...]) -> SignalRow:
    offset, chat, seq, id, by, payload, to_members, also, successor = row
    return SignalRow(offset, chat, seq, id, by, payload, to_members, also, successor, None)


def _other(row: tuple[Any, ...]) -> SignalRow:
    """Return a row of the timeline that is no message."""
    offset, chat, _, _, id, by, text, raw, to_members, also, successor, void = row
    return SignalRow(offset, chat, None, id, by, raw if text is None else text, to_members, also, successor, void)
