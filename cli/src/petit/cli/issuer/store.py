"""The file that the issuer's processes share: one SQLite database, readable by its owner only."""

import fcntl
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS signing_keys (
    kid TEXT PRIMARY KEY, algorithm TEXT NOT NULL, pem BLOB NOT NULL, made_at REAL NOT NULL, retired_at REAL);
CREATE TABLE IF NOT EXISTS people (
    username TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
    password BLOB, roles TEXT NOT NULL, made_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    sid TEXT PRIMARY KEY, username TEXT NOT NULL, client TEXT NOT NULL, scope TEXT NOT NULL,
    started_at REAL NOT NULL, ends_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS codes (
    hash BLOB PRIMARY KEY, sid TEXT NOT NULL, client TEXT NOT NULL, redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL, nonce TEXT, ends_at REAL NOT NULL, redeemed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS log_ins (one INTEGER PRIMARY KEY CHECK (one = 1), free_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS disabled (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS events (time_ms INTEGER NOT NULL, kind TEXT NOT NULL, user TEXT NOT NULL, session TEXT);
CREATE INDEX IF NOT EXISTS events_by_time ON events (time_ms);
INSERT OR IGNORE INTO log_ins VALUES (1, 0);
"""
"""Times are Unix seconds, but those of events. `log_ins` is one row: when the next password may be looked at."""


class Unusable(Exception):
    """The issuer's file is damaged; the message says what to do about it."""


class Store:
    """One process's connection to the file. Safe for threads; see `opened`."""

    def __init__(self, connection: sqlite3.Connection, *, folder: Path, gateway_secret: str) -> None:
        self._connection = connection
        self._folder = folder
        self._lock = threading.Lock()
        self.gateway_secret = gateway_secret
        """The secret of the confidential client, from its file."""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file for writing: all of the block happens, or nothing of it.

        Waits up to 5 s for another process; durable when the operating system writes it out.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time make what is missing; holds up nobody who has begun to serve."""
        with _alone(self._folder):
            yield

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return what a single query finds, as of one moment."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()


@contextmanager
def opened(data: Path) -> Iterator[Store]:
    """Open `<data>/issuer/`, made at first use, until the block ends.

    Raises:
        Unusable: The database is damaged.
    """
    folder = data / "issuer"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / "issuer.db"
    with _alone(folder):
        secret = _secret(folder / "gateway.secret")
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives -wal and -shm the same mode
        connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("quick_check found damage")
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            connection.close()
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise Unusable(
                f"{path} cannot be used ({error}): move it away and start again; everyone keeps their id "
                "but logs in again, and people made with `petit login --new` are made again"
            ) from error
    try:
        yield Store(connection, folder=folder, gateway_secret=secret)
    finally:
        connection.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make what is missing."""
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _secret(path: Path) -> str:
    """Return the secret in a file, made at first use, and anew where it is damaged: only we know it."""
    with suppress(FileNotFoundError, UnicodeDecodeError):
        if known := path.read_text("ascii").strip():
            return known
    made = secrets.token_urlsafe(32)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(f"{made}\n")
    return made
