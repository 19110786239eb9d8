"""What `petit doctor --new-epoch` does to the rows: it removes those of signals that were never folded as a whole.

A commit writes the rows of a chat, then the chat's row. Cut short, it is done again by whoever folds the chat next,
unless the log is gone: then its rows are of signals that never will have been. They lie above the chat's row, where
nobody looks; but a new epoch's offsets are higher still, and below those they would be taken for true.

So while nothing else runs, every table is read from one end to the other, every copy of each row, and what lies above
its chat's row is deleted. Where such a write has taken the place of a true one, the true one is written again, from
the intervals, of which none is ever overwritten. All that is written here has timestamps between the old log's
offsets and the new one's: the new log's writes hold against it.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from petit.chat.adapters.cql import queries
from petit.chat.adapters.cql import statements as cql
from petit.chat.adapters.cql.bridge import Row
from petit.chat.adapters.cql.driver import Database
from petit.chat.adapters.cql.places import shard
from petit.chat.domain.rows import ChatRow
from petit.chat.ports import StoreBroken
from petit.contracts.ids import ChatId, Offset, Seq
from petit.contracts.subjects import partition
from petit.kit.stream import APART

_ABOVE: Final = APART // 2
"""How far above the highest checkpoint our timestamps are: a new log begins `APART` above it."""
_SOME: Final = 500
"""Rows that are judged together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table whose rows are each of one signal of a chat."""

    name: str
    key: tuple[str, ...]
    offset: str = "offset"

    @property
    def question(self) -> str:
        """Give each row's chat, its offset and its key."""
        return f"SELECT chat, {self.offset}, {', '.join(self.key)} FROM {self.name}"  # noqa: S608 - our own words

    @property
    def drop(self) -> str:
        """Delete the row of a key."""
        return _drop(self.name, self.key)


def _drop(name: str, key: Sequence[str]) -> str:
    where = " AND ".join(f"{column} = ?" for column in key)
    return f"DELETE FROM {name} USING TIMESTAMP ? WHERE {where}"  # noqa: S608 - our own words


_TABLES: Final = (
    _Table(name="messages", key=("chat", "bucket", "seq")),
    _Table(name="timeline", key=("chat", "slice", "offset")),
    _Table(name="slices", key=("chat", "first_offset"), offset="first_offset"),
    _Table(name="ids", key=("id", "chat", "author", "offset")),
    _Table(name="member_spans", key=("chat", "user", "from_offset"), offset="from_offset"),
    _Table(name="members_by_joining", key=("chat", "joined_offset", "user"), offset="joined_offset"),
    _Table(name="directory", key=("shard", "folded", "chat")),
    _Table(name="unannounced", key=("partition", "offset")),
)
_ENDS: Final = "SELECT chat, to_offset, user, from_offset FROM member_spans"
_DROP_END: Final = (
    "DELETE to_offset FROM member_spans USING TIMESTAMP ? WHERE chat = ? AND user = ? AND from_offset = ?"
)
_MEMBERS: Final = "SELECT chat, offset, user FROM members"
_DROP_MEMBER: Final = _drop("members", ("chat", "user"))
_MEMBERSHIPS: Final = "SELECT chat, offset, user FROM memberships"
_DROP_MEMBERSHIP: Final = _drop("memberships", ("user", "chat"))
_HEADS: Final = "SELECT chat, offset FROM timeline"
_MARKERS: Final = "SELECT chat, user, epoch, seq FROM markers"
_DROP_MARKER: Final = _drop("markers", ("chat", "user", "epoch"))
_PERSONS: Final = "SELECT user, window, offset, payload FROM person_signals"
_DROP_PERSON: Final = _drop("person_signals", ("user", "window", "offset"))
_RAW: Final = "SELECT scope, key, window, offset FROM raw_signals"
_DROP_RAW: Final = _drop("raw_signals", ("scope", "key", "window", "offset"))


async def take_back(db: Database) -> int:
    """Remove every row above its chat's, and mend what it replaced; returns how many there were.

    Done again, it does nothing. Whatever is left by a failure in between is found again.

    Raises:
        StoreDown: a node cannot be reached.
        StoreBroken: a row is so far above the checkpoints that a new log might begin below it.
    """
    await db.prepare(
        [
            _DROP_END,
            _DROP_MARKER,
            _DROP_MEMBER,
            _DROP_MEMBERSHIP,
            _DROP_PERSON,
            _DROP_RAW,
            *(table.drop for table in _TABLES),
        ]
    )
    folded = await queries.checkpoints(db)
    mending = _Mending(db, folded, at=max(folded.values(), default=0) + _ABOVE)
    await mending.listings()  # by the timeline, which goes next
    for table in _TABLES:
        await mending.table(table)
    await mending.ends()
    await mending.members()
    await mending.memberships()
    await mending.markers()
    await mending.others()
    return mending.found


class _Mending:
    """One pass over the tables.

    Args:
        folded: How far each partition is folded: what is at or below it is true, and needs no look at its chat.
        at: The timestamp of what is written again; one below it, of what is deleted.
    """

    def __init__(self, db: Database, folded: Mapping[int, Offset], *, at: int) -> None:
        self._db = db
        self._folded = folded
        self._at = at
        self.found = 0

    async def table(self, table: _Table) -> None:
        """Delete rows above their chats'."""
        async for rows in self._above(table.question):
            await self._write((table.drop, (self._at - 1, *key)) for _, (_, _, *key) in rows)

    async def ends(self) -> None:
        """Open intervals again that something above the chat's row has ended."""
        async for rows in self._above(_ENDS):
            await self._write((_DROP_END, (self._at - 1, chat, user, began)) for _, (chat, _, user, began) in rows)

    async def members(self) -> None:
        """Write members again as they were, and the list by joining, from which some may have been deleted."""
        async for chat, user, span in self._replaced(_MEMBERS):
            if span is None:
                await self._write([(_DROP_MEMBER, (self._at - 1, chat, user))])
                continue
            joined, began, role, joined_at, ended = span
            there = 0 if ended else joined
            values = (chat, user, ended or began, there, began, role, joined_at, self._at)
            listed = [(cql.PUT_JOINING, (chat, joined, user, self._at))] if there else []
            await self._write([(cql.PUT_MEMBER, values), *listed])

    async def memberships(self) -> None:
        """Write again in which chats people were."""
        async for chat, user, span in self._replaced(_MEMBERSHIPS):
            if span is None:
                await self._write([(_DROP_MEMBERSHIP, (self._at - 1, user, chat))])
                continue
            joined, began, role, _, ended = span
            values = (user, chat, ended or began, 0 if ended else joined, role, self._at)
            await self._write([(cql.PUT_MEMBERSHIP, values)])

    async def listings(self) -> None:
        """Write rooms into the directory again that something above their rows may have renamed."""
        async for rows in self._above(_HEADS):
            heads = {head.chat: head for head, _ in rows if head is not None}
            await self._write(
                (cql.PUT_LISTING, (shard(chat), head.listed, chat, head.offset, self._at))
                for chat, head in heads.items()
                if head.listed is not None
            )

    async def markers(self) -> None:
        """Set markers back to the newest message that is left: how far they were before, nobody knows any more."""
        async for rows in _some(self._db.scan(_MARKERS)):
            heads = await self._heads(row[0] for row in rows)
            for chat, user, epoch, seq in rows:
                newest = heads[chat].head_seq if chat in heads else Seq(0)
                if seq > newest:
                    place = (chat, user, epoch)
                    there = (cql.PUT_MARKER, (*place, newest, seq + 1))
                    await self._write([there if newest else (_DROP_MARKER, (seq, *place))])

    async def others(self) -> None:
        """Delete signals of people and other scopes above their partitions' checkpoints, or their chats' rows."""
        async for rows in _some(self._db.scan(_PERSONS)):
            chats = [json.loads(payload).get("chat") for *_, payload in rows]
            heads = await self._heads(chat for chat in chats if chat)
            for chat, (user, window, offset, _) in zip(chats, rows, strict=True):
                head = heads[chat].offset if chat in heads else 0
                if offset > (head if chat else self._folded.get(partition(user), 0)):
                    await self._write([(_DROP_PERSON, (self._at - 1, user, window, offset))])
        async for rows in _some(self._db.scan(_RAW)):
            await self._write(
                (_DROP_RAW, (self._at - 1, *row))
                for row in rows
                if row[-1] > self._folded.get(partition(row[1]) if row[1] else 0, 0)
            )

    async def _above(self, question: str) -> AsyncIterator[list[tuple[ChatRow | None, Row]]]:
        """Give the rows of a question that lie above their chats' rows, with those: chat and offset come first."""
        async for rows in _some(self._suspects(question)):
            heads = await self._heads(row[0] for row in rows)
            above = [
                (heads.get(row[0]), row) for row in rows if row[1] > (heads[row[0]].offset if row[0] in heads else 0)
            ]
            beyond = max((row[1] for _, row in above), default=0)
            if beyond >= self._at - 1:
                raise StoreBroken(f"the read model has a row of offset {beyond}, and is folded to {self._at - _ABOVE}")
            if above:
                yield above

    async def _suspects(self, question: str) -> AsyncIterator[Row]:
        async for row in self._db.scan(question):
            if (row[1] or 0) > self._folded.get(partition(row[0]), 0):
                yield row

    async def _heads(self, chats: Iterable[str]) -> dict[ChatId, ChatRow]:
        return await queries.heads(self._db, {ChatId(chat) for chat in chats})

    async def _replaced(self, question: str) -> AsyncIterator[tuple[str, str, Row | None]]:
        """Give chat, user and last interval as of the chat's row of rows about members that lie above it.

        The interval's end is None or 0 if it has none; None instead of it: nobody was there.
        """
        async for above in self._above(question):
            for head, (chat, _, user) in above:
                spans = await self._db.rows(cql.SPAN, (chat, user, head.offset if head else 0))
                yield chat, user, spans[0] if spans else None

    async def _write(self, writes: Iterable[tuple[str, Sequence[Any]]]) -> None:
        due = [[write] for write in writes]
        self.found += len(due)
        await self._db.write(due)


async def _some(rows: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    """Give rows some at a time."""
    held: list[Row] = []
    async for row in rows:
        held.append(row)
        if len(held) == _SOME:
            yield held
            held = []
    if held:
        yield held
