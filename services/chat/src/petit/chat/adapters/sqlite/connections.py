"""How the file is opened, and what its errors mean."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from petit.chat.adapters.sqlite.schema import SCHEMA_VERSION, TABLES, UPGRADES
from petit.chat.adapters.sqlite.writes import transaction
from petit.chat.ports import StoreBroken, StoreDown

BUSY_S: Final = 5.0
"""How long a transaction waits for those of other processes."""
OLDEST_SQLITE: Final = (3, 33, 0)
"""The first with `UPDATE … FROM`."""
_WAL_PAGES: Final = 4_000
"""Pages of 4 KiB after which a commit also moves the WAL into the file; a short one every second costs more."""
_WAL_BYTES: Final = 64 * 1024 * 1024
_PRIMARY: Final = 0xFF
_BROKEN: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_DOWN: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def connect(path: Path, *, cache_mib: int, read_only: bool = False) -> sqlite3.Connection:
    """Open one connection; it may be closed from another thread than the one that uses it."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=512)
    try:
        db.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{cache_mib * 1024}")
        db.execute("PRAGMA temp_store = MEMORY")
        if read_only:
            db.execute("PRAGMA query_only = ON")
        else:
            db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables in a new file, and those of an earlier version into this one's; refuse one that is not ours.

    Raises:
        StoreBroken: another program or another version wrote it.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise StoreBroken(f"this Python has SQLite {sqlite3.sqlite_version}; the read model needs {oldest} or later")
    _to_wal(db)
    with transaction(db):
        if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            _execute(db, TABLES)
            db.execute("INSERT INTO meta VALUES ('schema', ?)", (SCHEMA_VERSION,))
        known = db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'").fetchone()[0]
        version = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() if known else None
        while version is not None and version[0] in UPGRADES:
            _execute(db, UPGRADES[version[0]])
            version = (version[0] + 1,)
            db.execute("UPDATE meta SET value = ? WHERE name = 'schema'", version)
    if version != (SCHEMA_VERSION,):
        raise StoreBroken(
            f"{path} is not a read model of this version (it says {version and version[0]}, we need {SCHEMA_VERSION}):"
            f" {remedy(path)}",
        )


def remedy(path: Path) -> str:
    """Say what to do about a file that cannot be used."""
    files = f"{path.name}, {path.name}-wal and {path.name}-shm"
    return f"move {files} away and start again: it is rebuilt from the log as far as that goes; or restore a backup"


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into the port's.

    Raises:
        StoreBroken: the file is damaged, or no database.
        StoreDown: it is locked for too long, full, or cannot be opened for now.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            if not isinstance(error, sqlite3.OperationalError):
                raise
            raise StoreBroken(f"{path} is damaged (a text is not UTF-8): {remedy(path)}") from None  # it may quote it
        code &= _PRIMARY
        if code in _BROKEN:
            raise StoreBroken(f"{path} is damaged ({error}): {remedy(path)}") from error
        if code in _DOWN:
            raise StoreDown(f"{path}: {error}") from error
        raise


def _execute(db: sqlite3.Connection, statements: str) -> None:
    for statement in filter(None, map(str.strip, statements.split(";"))):
        db.execute(statement)


def _to_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL: several processes may do it at once on a new file, and SQLite does not wait here."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
