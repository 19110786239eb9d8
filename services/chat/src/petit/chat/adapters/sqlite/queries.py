"""How rows are read: each question is one statement that answers one JSON array.

As with writes (see `writes`), a statement that gives a thousand rows is a thousand steps, each of which may have
to wait for the interpreter's lock. Gathered by SQLite into one value it is one step.
"""

import json
import sqlite3
from collections.abc import Collection
from typing import Any, Final

from petit.chat.domain.rows import (
    Chat,
    ChatRow,
    MemberRow,
    MembershipRow,
    PersonRow,
    SignalRow,
    VoidRow,
)
from petit.chat.ports import LastMessage, Listing
from petit.contracts.ids import ChatId, Epoch, Offset, Seq, SignalId, UserId
from petit.contracts.rules import ChatState, Member

_CHAT: Final = "chat, offset, kind, title, about, created_at, head_seq, last_offset, members_count, signals"
_MEMBER: Final = "chat, joined_offset, user, from_offset, role, joined_at"
_MEMBERSHIP: Final = "user, chat, offset, joined_offset, role"
_SIGNAL: Final = "s.offset, s.chat, s.seq, s.id, s.by, s.payload, s.to_members, s.also, s.successor, s.void"
_PERSON: Final = "user, offset, payload, to_members, also, successor"
_VOID: Final = "partition, offset, chat, message, author, reason"
_ASKED_PAIRS: Final = (
    "FROM (SELECT json_extract(value, '$[0]') AS one, json_extract(value, '$[1]') AS other FROM json_each(?)) AS asked"
)
_HALVING: Final = """
WITH RECURSIVE search (low, high) AS (
    SELECT iif(last_offset <= :at, head_seq, 0), head_seq FROM chat_state WHERE chat = :chat
    UNION ALL
    SELECT
        iif((SELECT offset FROM signals WHERE chat = :chat AND seq = (low + high + 1) / 2 AND seq NOT NULL) <= :at,
            (low + high + 1) / 2, low),
        iif((SELECT offset FROM signals WHERE chat = :chat AND seq = (low + high + 1) / 2 AND seq NOT NULL) <= :at,
            high, (low + high + 1) / 2 - 1)
    FROM search WHERE low < high
)
SELECT low FROM search WHERE low = high
"""
_LAST_CHARACTER: Final = "\U0010ffff"


def epoch(db: sqlite3.Connection) -> Epoch | None:
    """See `Repository.epoch`."""
    found = db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    return None if found is None else Epoch(found[0])


def checkpoints(db: sqlite3.Connection) -> dict[int, Offset]:
    """See `Repository.checkpoints`."""
    return {p: Offset(offset) for p, offset in _rows(db, "partition, offset", "FROM checkpoints")}


def rules_version(db: sqlite3.Connection) -> int:
    """See `Repository.rules_version`."""
    newest: int = db.execute("SELECT coalesce(max(version), 1) FROM rules").fetchone()[0]
    return newest


def chats(db: sqlite3.Connection, ids: Collection[ChatId]) -> dict[ChatId, Chat]:
    """See `Repository.chats`."""
    db.execute("BEGIN")  # both reads from one snapshot: members exactly as of the chat's row
    try:
        found = {
            chat: Chat(state=_state(row), last_offset=row.last_offset, signals=row.signals)
            for chat, row in heads(db, ids).items()
        }
        members = _rows(
            db,
            _MEMBER,
            "FROM json_each(?) AS asked CROSS JOIN members ON chat = asked.value AND to_offset IS NULL"
            " ORDER BY chat, joined_offset, user",
            json.dumps(list(found)),
        )
    finally:
        db.execute("COMMIT")
    for row in map(MemberRow._make, members):
        chat = found[row.chat]
        chat.state.members[row.user] = Member(role=row.role, joined_offset=row.joined_offset, joined_at=row.joined_at)
        if row.from_offset != row.joined_offset:
            chat.since[row.user] = row.from_offset
    return found


def unannounced(db: sqlite3.Connection, partitions: Collection[int]) -> list[VoidRow]:
    """See `Repository.unannounced`."""
    rows = _rows(
        db,
        _VOID,
        "FROM voids WHERE partition IN (SELECT value FROM json_each(?)) AND NOT EXISTS (SELECT 1 FROM announced AS a"
        " WHERE a.partition = voids.partition AND a.offset = voids.offset) ORDER BY offset",
        json.dumps(list(partitions)),
    )
    return [VoidRow._make(row) for row in rows]


def heads(db: sqlite3.Connection, ids: Collection[ChatId]) -> dict[ChatId, ChatRow]:
    """See `Repository.heads`."""
    source = "FROM json_each(?) AS asked CROSS JOIN chat_state ON chat = asked.value"
    return {row[0]: ChatRow._make(row) for row in _rows(db, _CHAT, source, json.dumps(list(ids)))}


def members(
    db: sqlite3.Connection, chat: ChatId, *, after: tuple[Offset, UserId] | None, limit: int
) -> list[MemberRow]:
    """See `Repository.members`."""
    rows = _rows(
        db,
        _MEMBER,
        "FROM members WHERE chat = ? AND (joined_offset, user) > (?, ?) AND to_offset IS NULL"
        " ORDER BY joined_offset, user LIMIT ?",
        chat,
        *(after or (0, "")),
        limit,
    )
    return [MemberRow._make(row) for row in rows]


def activity(db: sqlite3.Connection, ids: Collection[ChatId]) -> dict[ChatId, Offset]:
    """See `Repository.activity`."""
    source = "FROM json_each(?) AS asked CROSS JOIN chat_state ON chat = asked.value"
    return _mapping(db, f"SELECT json_group_object(chat, last_offset) {source}", json.dumps(list(ids)))


def memberships(db: sqlite3.Connection, users: Collection[UserId]) -> dict[UserId, dict[ChatId, Offset]]:
    """See `Repository.memberships`."""
    sql = (
        "SELECT json_group_object(user, json(chats)) FROM (SELECT user, json_group_object(chat, joined_offset) AS chats"
        " FROM json_each(?) AS asked CROSS JOIN memberships ON user = asked.value AND joined_offset IS NOT NULL"
        " GROUP BY user)"
    )
    found: dict[UserId, dict[ChatId, Offset]] = _mapping(db, sql, json.dumps(list(dict.fromkeys(users))))
    return {user: found.get(user, {}) for user in users}


def membership(db: sqlite3.Connection, user: UserId, *, chats: Collection[ChatId]) -> dict[ChatId, MembershipRow]:
    """See `Repository.membership`."""
    rows = _rows(
        db,
        _MEMBERSHIP,
        "FROM json_each(?) AS asked CROSS JOIN memberships"
        " ON user = ? AND chat = asked.value AND joined_offset IS NOT NULL",
        json.dumps(list(chats)),
        user,
    )
    return {row.chat: row for row in map(MembershipRow._make, rows)}


def messages(db: sqlite3.Connection, chat: ChatId, *, first: int, last: int) -> list[SignalRow]:
    """See `Repository.messages`."""
    source = "FROM signals AS s WHERE chat = ? AND seq BETWEEN ? AND ? AND seq IS NOT NULL ORDER BY seq"
    return [SignalRow._make(row) for row in _rows(db, _SIGNAL, source, chat, first, last)]


def messages_at(db: sqlite3.Connection, places: Collection[tuple[ChatId, Seq]]) -> dict[ChatId, SignalRow]:
    """See `Repository.messages_at`."""
    source = f"{_ASKED_PAIRS} CROSS JOIN signals AS s ON chat = asked.one AND seq = asked.other AND seq IS NOT NULL"
    rows = map(SignalRow._make, _rows(db, _SIGNAL, source, json.dumps(list(places))))
    return {row.chat: row for row in rows}


def message(db: sqlite3.Connection, chat: ChatId, *, id: SignalId) -> SignalRow | None:
    """See `Repository.message`."""
    source = "FROM signals AS s WHERE id = ? AND chat = ? AND seq IS NOT NULL ORDER BY offset LIMIT 1"
    rows = _rows(db, _SIGNAL, source, id, chat)
    return SignalRow._make(rows[0]) if rows else None


def last_messages(db: sqlite3.Connection, ids: Collection[ChatId], *, at: Offset) -> dict[ChatId, LastMessage]:
    """See `Repository.last_messages`."""
    places = [(chat, seq) for chat in ids if (seq := _seq_at(db, chat, at=at))]
    return {chat: LastMessage(Seq(row.seq or 0), row.offset) for chat, row in messages_at(db, places).items()}


def sent(db: sqlite3.Connection, user: UserId, *, id: SignalId) -> SignalRow | None:
    """See `Repository.sent`."""
    rows = _rows(db, _SIGNAL, "FROM signals AS s WHERE id = ? AND by = ? ORDER BY offset LIMIT 1", id, user)
    return SignalRow._make(rows[0]) if rows else None


def signals(db: sqlite3.Connection, chat: ChatId, *, after: Offset, to: Offset, limit: int) -> list[SignalRow]:
    """See `Repository.signals`."""
    first, last = _seq_at(db, chat, at=after) + 1, _seq_at(db, chat, at=to)
    source = (
        "FROM (SELECT * FROM (SELECT * FROM signals WHERE chat = ?1 AND seq BETWEEN ?2 AND ?3 AND seq IS NOT NULL"
        " ORDER BY seq DESC LIMIT ?6) UNION ALL SELECT * FROM (SELECT * FROM signals WHERE chat = ?1 AND offset > ?4"
        " AND offset <= ?5 AND seq IS NULL AND void IS NULL ORDER BY offset DESC LIMIT ?6)) AS s"
        " ORDER BY offset DESC LIMIT ?6"
    )
    newest_first = _rows(db, _SIGNAL, source, chat, first, last, after, to, limit)
    return [SignalRow._make(row) for row in reversed(newest_first)]


def person_signals(db: sqlite3.Connection, user: UserId, *, after: Offset, to: Offset, limit: int) -> list[PersonRow]:
    """See `Repository.person_signals`."""
    source = "FROM person_signals WHERE user = ? AND offset > ? AND offset <= ? ORDER BY offset DESC LIMIT ?"
    newest_first = _rows(db, _PERSON, source, user, after, to, limit)
    return [PersonRow._make(row) for row in reversed(newest_first)]


def markers(
    db: sqlite3.Connection, places: Collection[tuple[ChatId, UserId]], *, table: str = "markers"
) -> dict[tuple[ChatId, UserId], Seq]:
    """See `Repository.markers` and `Repository.delivered`."""
    source = f"{_ASKED_PAIRS} CROSS JOIN {table} ON chat = asked.one AND user = asked.other"
    return {(chat, user): seq for chat, user, seq in _rows(db, "chat, user, seq", source, json.dumps(list(places)))}


def rooms(db: sqlite3.Connection, prefix: str, *, after: Listing | None, limit: int) -> list[Listing]:
    """See `Repository.rooms`."""
    rows = _rows(
        db,
        "folded, chat",
        "FROM rooms WHERE folded >= ? AND folded < ? AND (folded, chat) > (?, ?) AND listed"
        " ORDER BY folded, chat LIMIT ?",
        prefix,
        prefix + _LAST_CHARACTER,
        *(after or ("", "")),
        limit,
    )
    return [Listing._make(row) for row in rows]


def _seq_at(db: sqlite3.Connection, chat: ChatId, *, at: Offset) -> Seq:
    """Return the seq of a chat's newest message at or below an offset; 0 if there is none.

    Seqs grow with offsets, so it is found by halving: messages need no index by offset.
    """
    found = db.execute(_HALVING, {"chat": chat, "at": at}).fetchone()
    return Seq(0) if found is None else Seq(found[0])


def _rows(db: sqlite3.Connection, columns: str, source: str, *values: object) -> list[list[Any]]:
    """Return the rows of `SELECT columns source`, gathered in SQLite."""
    inner = ", ".join(f"{column} AS c{n}" for n, column in enumerate(columns.split(", ")))
    outer = ", ".join(f"c{n}" for n in range(inner.count(" AS c")))
    sql = f"SELECT json_group_array(json_array({outer})) FROM (SELECT {inner} {source})"  # noqa: S608 - our own words
    rows: list[list[Any]] = json.loads(db.execute(sql, values).fetchone()[0])
    return rows


def _mapping(db: sqlite3.Connection, sql: str, *values: object) -> dict[Any, Any]:
    """Return the JSON object that a question answers with."""
    found: dict[Any, Any] = json.loads(db.execute(sql, values).fetchone()[0])
    return found


def _state(row: ChatRow) -> ChatState:
    return ChatState(
        chat=row.chat,
        offset=row.offset,
        kind=row.kind,
        title=row.title,
        about=row.about,
        created_at=row.created_at,
        head_seq=row.head_seq,
    )
