"""Versions of the schema: each is a file of statements, applied once, in order, and never taken back.

A version only adds: what is there is not renamed or dropped, so whoever serves with the version before goes on while
a migration runs. Every statement may be run again, so one that was cut short is begun anew.

Two at once take turns, by a row that expires (a light-weight transaction: nothing here is on a hot path). Cassandra
needs that, because two nodes that make one table at once make two; the first two tables escape by having fixed ids.
ScyllaDB orders changes of the schema by itself, and where it has no such transactions (tablets, before 2025.4) the
row is done without.
"""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Final

import structlog

from petit.chat.adapters.cql.driver import Database, connected
from petit.chat.ports import CqlServer, StoreBroken, StoreDown

_TURN_S: Final = 0.5
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
_FILE: Final = re.compile(r"(\d{4})_[a-z_]+\.cql")
_VERSIONS: Final = (
    "schema_versions",
    "(store int, version int, PRIMARY KEY ((store), version))",
)
_LOCKS: Final = (
    "migration_lock",
    "(store int PRIMARY KEY, holder text)",
)
_TAKE: Final = "INSERT INTO migration_lock (store, holder) VALUES (0, %s) IF NOT EXISTS USING TTL 60"
"""The lock of one who died is free after a minute."""
_KEEP: Final = "UPDATE migration_lock USING TTL 60 SET holder = %s WHERE store = 0 IF holder = %s"
_FREE: Final = "DELETE FROM migration_lock WHERE store = 0 IF holder = %s"
_READ: Final = "SELECT version FROM {}.schema_versions WHERE store = 0"
_WRITE: Final = "INSERT INTO schema_versions (store, version) VALUES (0, %s)"

_OURS: Final = uuid.UUID("6d1f6f0e-70f5-5d0c-9f43-5a4a7d3f5c04")
_Keep = Callable[[], Awaitable[None]]

_log = structlog.get_logger(__name__)


def versions() -> dict[int, tuple[str, ...]]:
    """Return the statements of each version, in order."""
    found: dict[int, tuple[str, ...]] = {}
    for file in sorted(files("petit.chat.adapters.cql.migrations").iterdir(), key=lambda file: file.name):
        if named := _FILE.fullmatch(file.name):
            lines = (line for line in file.read_text().splitlines() if not line.startswith("--"))
            found[int(named[1])] = tuple(filter(None, map(str.strip, "\n".join(lines).split(";"))))
    return found


async def migrate(server: CqlServer, *, replication: int) -> list[int]:
    """Bring the schema up to this version, whatever it is now; return the versions that were missing.

    Args:
        replication: Copies of each row in the datacenter, where the keyspace is not there yet.

    Raises:
        StoreDown: the cluster cannot be reached, or its nodes do not agree in time: try again.
        StoreBroken: the schema is newer than this program, or of a version before the first one; or we may not
            change it.
    """
    if not _NAME.fullmatch(server.keyspace):
        raise StoreBroken(f"{server.keyspace!r} cannot be a keyspace: letters, digits and _, 48 at most")
    async with connected(server, keyspace=None) as db:
        where = f"{{'class': 'NetworkTopologyStrategy', '{server.datacenter or db.datacenter}': {replication}}}"
        await db.change(f"CREATE KEYSPACE IF NOT EXISTS {server.keyspace} WITH replication = {where}")
    async with connected(server, keyspace=server.keyspace) as db:
        for table, columns in (_VERSIONS, _LOCKS):
            known = uuid.uuid5(_OURS, f"{server.keyspace}.{table}")
            await db.change(f"CREATE TABLE IF NOT EXISTS {table} {columns} WITH ID = {known}")
        async with _turn(db) as keep:
            return await _migrate(db, server, keep)


async def check(db: Database, server: CqlServer) -> None:
    """See that the schema is the one that this program was made for.

    Raises:
        StoreDown: it is older, or not there: somebody must run `petit migrate`, and then it is.
        StoreBroken: it is newer, or older than all that this program can bring up.
    """
    ours = max(versions())
    try:
        theirs = max((version for (version,) in await db.run(_READ.format(server.keyspace))), default=0)
    except StoreBroken:  # no such keyspace or table
        theirs = 0
    _refuse_older(theirs, server=server)
    if theirs < ours:
        raise StoreDown(f"{server} has schema version {theirs}, and this program needs {ours}: run `petit migrate`")
    _refuse_newer(theirs, ours=ours, server=server)


def _refuse_older(theirs: int, *, server: CqlServer) -> None:
    if 0 < theirs < min(versions()):
        raise StoreBroken(
            f"{server} has schema version {theirs}, which was never released and keeps rows elsewhere:"
            " name another keyspace and run `petit migrate`; chat folds the log into it anew"
        )


def _refuse_newer(theirs: int, *, ours: int, server: CqlServer) -> None:
    if theirs > ours:
        raise StoreBroken(f"{server} has schema version {theirs}, and this program knows {ours}: run the newer one")


async def _migrate(db: Database, server: CqlServer, keep: _Keep) -> list[int]:
    there = {version for (version,) in await db.run(_READ.format(server.keyspace))}
    known = versions()
    _refuse_older(max(there, default=0), server=server)
    _refuse_newer(max(there, default=0), ours=max(known), server=server)
    missing = [version for version in known if version not in there]
    for version in missing:
        for statement in known[version]:
            await keep()
            await db.change(statement)
        await db.run(_WRITE, (version,))
        _log.info("schema.migrated", version=version, keyspace=server.keyspace)
    return missing


@asynccontextmanager
async def _turn(db: Database) -> AsyncIterator[_Keep]:
    """Wait until nobody else migrates, and keep others waiting; gives what must be called at least every minute."""
    holder = str(uuid.uuid4())
    if not await _locks(db, holder):
        yield _nothing
        return

    async def keep() -> None:
        if not await _applied(db, _KEEP, (holder, holder)):
            raise StoreDown("somebody else migrates by now: try again")

    try:
        yield keep
    finally:
        with suppress(StoreDown):  # it expires
            await _applied(db, _FREE, (holder,))


async def _locks(db: Database, holder: str) -> bool:
    """Wait for the lock; False where the database has no light-weight transactions here."""
    while True:
        try:
            if await _applied(db, _TAKE, (holder,)):
                return True
        except StoreBroken as error:
            if "tablets" not in str(error):
                raise
            _log.warning("migration.unlocked", reason=str(error))
            return False
        await asyncio.sleep(_TURN_S)


async def _applied(db: Database, text: str, values: tuple[str, ...]) -> bool:
    return bool((await db.run(text, values))[0][0])


async def _nothing() -> None:
    """Keep no lock: there is none."""
