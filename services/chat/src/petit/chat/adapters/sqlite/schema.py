"""The tables: those of the architecture's CQL, with keys turned so that a batch touches few pages.

SQLite writes whole pages, so what a message costs is the number of B-trees in which its rows stand far apart, and
how large they are there (measured: `bench/store.py`). So every signal is stored once, in order of offset: new ones
stand together. What finds them is small: messages of a chat by seq, its other signals by offset, and ids, whose time
makes new ones stand together, too. One table does for the CQL tables messages, message_ids, sent and signals.
Everything else is clustered by what it is read by (`WITHOUT ROWID`, sqlite.org/withoutrowid.html).
"""

from typing import Final

SCHEMA_VERSION: Final = 2
"""Of the tables below; a file with another is refused, because a read model is rebuilt, unless `UPGRADES` knows how."""

UPGRADES: Final = {
    1: """
ALTER TABLE chat_state ADD COLUMN signals INTEGER NOT NULL DEFAULT 0;
UPDATE chat_state SET signals = counted.n
    FROM (SELECT chat, count(*) AS n FROM signals GROUP BY chat) AS counted WHERE counted.chat = chat_state.chat;
""",
}
"""What makes the next version of each earlier one, in the transaction that opens the file."""

TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE checkpoints (partition INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE rules (offset INTEGER PRIMARY KEY, version INTEGER NOT NULL);
CREATE TABLE chat_state (
    chat TEXT PRIMARY KEY, offset INTEGER NOT NULL, kind TEXT, title TEXT, about TEXT, created_at TEXT NOT NULL,
    head_seq INTEGER NOT NULL, last_offset INTEGER NOT NULL, members_count INTEGER NOT NULL,
    signals INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE members (
    chat TEXT, joined_offset INTEGER, user TEXT, from_offset INTEGER, role TEXT NOT NULL, joined_at TEXT NOT NULL,
    to_offset INTEGER, PRIMARY KEY (chat, joined_offset, user, from_offset)
) WITHOUT ROWID;
CREATE INDEX members_now ON members (chat, joined_offset, user) WHERE to_offset IS NULL;
CREATE TABLE memberships (
    user TEXT, chat TEXT, offset INTEGER NOT NULL, joined_offset INTEGER, role TEXT NOT NULL, PRIMARY KEY (user, chat)
) WITHOUT ROWID;
CREATE TABLE signals (
    offset INTEGER PRIMARY KEY, chat TEXT NOT NULL, seq INTEGER, id TEXT, by TEXT, payload NOT NULL,
    to_members INTEGER NOT NULL, also TEXT, successor TEXT, void TEXT
);
CREATE INDEX signals_by_seq ON signals (chat, seq) WHERE seq IS NOT NULL;
CREATE INDEX signals_without_seq ON signals (chat) WHERE seq IS NULL AND void IS NULL;
CREATE INDEX signals_by_id ON signals (id, by) WHERE id IS NOT NULL;
CREATE TABLE person_signals (
    user TEXT, offset INTEGER, payload TEXT NOT NULL, to_members INTEGER NOT NULL, also TEXT, successor TEXT,
    PRIMARY KEY (user, offset)
) WITHOUT ROWID;
CREATE TABLE raw_signals (
    scope TEXT, key TEXT, offset INTEGER, kind TEXT NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (scope, key, offset)
) WITHOUT ROWID;
CREATE TABLE markers (chat TEXT, user TEXT, seq INTEGER NOT NULL, PRIMARY KEY (chat, user)) WITHOUT ROWID;
CREATE TABLE rooms (
    folded TEXT, chat TEXT, offset INTEGER NOT NULL, listed INTEGER NOT NULL, PRIMARY KEY (folded, chat)
) WITHOUT ROWID;
CREATE TABLE voids (
    partition INTEGER, offset INTEGER, chat TEXT NOT NULL, message TEXT NOT NULL, author TEXT NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (partition, offset)
) WITHOUT ROWID;
CREATE TABLE announced (partition INTEGER, offset INTEGER, PRIMARY KEY (partition, offset)) WITHOUT ROWID;
CREATE TABLE delivered (chat TEXT, user TEXT, seq INTEGER NOT NULL, PRIMARY KEY (chat, user)) WITHOUT ROWID;
"""

DERIVED: Final = {
    "rules": "offset, version",
    "chat_state": "chat, offset, kind, title, about, created_at, head_seq, last_offset, members_count, signals",
    "members": "chat, joined_offset, user, from_offset, role, joined_at, to_offset",
    "memberships": "user, chat, offset, joined_offset, role",
    "signals": "offset, chat, seq, id, by, payload, to_members, also, successor, void",
    "person_signals": "user, offset, payload, to_members, also, successor",
    "raw_signals": "scope, key, offset, kind, payload",
    "markers": "chat, user, seq",
    "rooms": "folded, chat",
    "voids": "partition, offset, chat, message, author, reason",
}
"""What a rebuild must give again, to the byte: each table with its columns, the key first (of rooms, those listed)."""
