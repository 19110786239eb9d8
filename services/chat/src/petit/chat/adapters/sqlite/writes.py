"""How rows are written: one statement for many rows, none of which can undo a later one.

A statement that takes a hundred rows is one step of SQLite's machine. That matters less for SQLite than for
Python: `sqlite3` gives up the interpreter's lock for each step and must win it back, which costs up to a switch
interval (5 ms) where the event loop is busy. A hundred steps would starve the writer.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple

from petit.chat.domain.rows import Batch
from petit.contracts.ids import ChatId, Seq, UserId

_SIZES: Final = (256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows a statement: few different statements, so that each is prepared once."""


class _Write(NamedTuple):
    """A statement around `(?,…),(?,…)`."""

    head: str
    tail: str


_KEEP: Final = "ON CONFLICT DO NOTHING"
_CHATS: Final = _Write(
    "INSERT INTO chat_state VALUES",
    "ON CONFLICT DO UPDATE SET offset = excluded.offset, kind = excluded.kind, title = excluded.title,"
    " about = excluded.about, created_at = excluded.created_at, head_seq = excluded.head_seq,"
    " last_offset = excluded.last_offset, members_count = excluded.members_count, signals = excluded.signals"
    " WHERE excluded.offset > chat_state.offset",
)
_OPENED: Final = _Write("INSERT INTO members (chat, joined_offset, user, from_offset, role, joined_at) VALUES", _KEEP)
_ENDED: Final = _Write(
    "UPDATE members SET to_offset = e.column5 FROM (VALUES",
    ") AS e WHERE chat = e.column1 AND joined_offset = e.column2 AND user = e.column3 AND from_offset = e.column4",
)
_MEMBERSHIPS: Final = _Write(
    "INSERT INTO memberships VALUES",
    "ON CONFLICT DO UPDATE SET offset = excluded.offset, joined_offset = excluded.joined_offset, role = excluded.role"
    " WHERE excluded.offset > memberships.offset",
)
_SIGNALS: Final = _Write("INSERT INTO signals VALUES", _KEEP)
_PERSONS: Final = _Write("INSERT INTO person_signals VALUES", _KEEP)
_RAW: Final = _Write("INSERT INTO raw_signals VALUES", _KEEP)
_FURTHER: Final = "ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > "
_MARKERS: Final = _Write("INSERT INTO markers VALUES", _FURTHER + "markers.seq")
_DELIVERED: Final = _Write("INSERT INTO delivered VALUES", _FURTHER + "delivered.seq")
_ROOMS: Final = _Write(
    "INSERT INTO rooms VALUES",
    "ON CONFLICT DO UPDATE SET offset = excluded.offset, listed = excluded.listed WHERE excluded.offset > rooms.offset",
)
_VOIDS: Final = _Write("INSERT INTO voids VALUES", _KEEP)
_ANNOUNCED: Final = _Write("INSERT INTO announced VALUES", _KEEP)
_RULES: Final = _Write("INSERT INTO rules VALUES", _KEEP)
_CHECKPOINTS: Final = _Write(
    "INSERT INTO checkpoints VALUES",
    "ON CONFLICT DO UPDATE SET offset = excluded.offset WHERE excluded.offset > checkpoints.offset",
)


def commit(db: sqlite3.Connection, batch: Batch) -> None:
    """Write a batch in one transaction. See `Repository.commit`."""
    with transaction(db):
        _write(db, _SIGNALS, batch.signals)
        _write(db, _MARKERS, [(*place, seq) for place, seq in batch.markers.items()])
        _write(db, _OPENED, batch.opened)
        _write(db, _ENDED, batch.ended)
        _write(db, _MEMBERSHIPS, batch.memberships.values())
        _write(db, _PERSONS, batch.persons)
        _write(db, _RAW, batch.raw)
        _write(db, _ROOMS, batch.rooms.values())
        _write(db, _VOIDS, batch.voids)
        _write(db, _ANNOUNCED, batch.announced)
        _write(db, _RULES, batch.rules.items())
        _write(db, _CHATS, batch.chats)
        _write(db, _CHECKPOINTS, batch.checkpoints.items())


def deliver(db: sqlite3.Connection, markers: Mapping[tuple[ChatId, UserId], Seq]) -> None:
    """Move delivered markers forward. See `Repository.deliver`."""
    with transaction(db):
        _write(db, _DELIVERED, [(*place, seq) for place, seq in markers.items()])


class transaction:  # noqa: N801 - read as a verb: `with transaction(db)`
    """A short transaction that has the file's write lock from its beginning, so that it waits for others only there."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error:
                _roll_back(self._db)
                raise
        else:
            _roll_back(self._db)


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:  # SQLite has rolled back by itself after a full disk and its like
        db.execute("ROLLBACK")


def _write(db: sqlite3.Connection, write: _Write, rows: Iterable[Sequence[Any]]) -> None:
    rows = list(rows)
    if not rows:
        return
    width, at = len(rows[0]), 0
    for size in _SIZES:
        while len(rows) - at >= size:
            values = list(chain.from_iterable(rows[at : at + size]))
            db.execute(_statement(write, width, size), values)
            at += size


@lru_cache(maxsize=512)
def _statement(write: _Write, width: int, size: int) -> str:
    row = f"({','.join('?' * width)})"
    return f"{write.head} {','.join([row] * size)} {write.tail}"
