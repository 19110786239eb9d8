"""What an operator does with the file itself: compare, copy, adopt. Blocking; safe while others use it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from petit.chat.adapters.sqlite import queries
from petit.chat.adapters.sqlite.connections import connect, prepare, translated
from petit.chat.adapters.sqlite.schema import DERIVED
from petit.chat.domain.digest import Digest
from petit.contracts.ids import Epoch, Offset

T = TypeVar("T")


def digest(path: Path) -> str:
    """Return what two read models of the same log share: 64 hex digits over every derived row.

    Left out is what is no function of the log alone: checkpoints, delivered markers, and which announcements were seen.

    Raises:
        StoreBroken: the file is damaged.
        StoreDown: it cannot be read for now.
    """
    return _with(path, _digest)


def backup(path: Path, *, to: Path) -> None:
    """Copy the read model as it is at one moment, while it is in use or not.

    Raises:
        StoreBroken: the file is damaged.
        StoreDown: it cannot be read for now, or the copy cannot be written.
    """
    with translated(to), closing(sqlite3.connect(to)) as copy:
        _with(path, lambda db: db.backup(copy))


def adopt_epoch(path: Path, *, epoch: Epoch) -> None:
    """Say that the rows go on in a new making of the log: only `petit doctor --new-epoch` may.

    Offsets of a new epoch begin above all that were handed out, so rows and checkpoints stay as they are.

    Raises:
        StoreBroken: the file is damaged.
        StoreDown: it cannot be written for now.
    """
    _with(path, lambda db: set_epoch(db, epoch))


def highest_checkpoint(path: Path) -> Offset:
    """Return the greatest offset that any partition is folded to; 0 in a new file: a new epoch must begin above it.

    Raises:
        StoreBroken: the file is damaged.
        StoreDown: it cannot be read for now.
    """
    return _with(path, lambda db: max(queries.checkpoints(db).values(), default=Offset(0)))


def known_epoch(path: Path) -> Epoch:
    """Return the making of the log that the rows come from; 0 in a new file: a new epoch must be above it.

    Raises:
        StoreBroken: the file is damaged.
        StoreDown: it cannot be read for now.
    """
    return _with(path, lambda db: queries.epoch(db) or Epoch(0))


def set_epoch(db: sqlite3.Connection, epoch: Epoch) -> None:
    """See `Repository.set_epoch`."""
    db.execute("INSERT INTO meta VALUES ('epoch', ?) ON CONFLICT DO UPDATE SET value = excluded.value", (epoch,))


def _with(path: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    with translated(path), closing(connect(path, cache_mib=16)) as db:
        prepare(db, path)
        return work(db)


def _digest(db: sqlite3.Connection) -> str:
    digest = Digest()
    db.execute("BEGIN")
    for table, columns in DERIVED.items():
        which = "WHERE listed" if table == "rooms" else ""
        for row in db.execute(f"SELECT {columns} FROM {table} {which}"):  # noqa: S608 - our own words
            digest.add(table, row)
    db.execute("COMMIT")
    return digest.hex()
