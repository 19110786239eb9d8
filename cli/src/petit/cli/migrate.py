"""`petit migrate`: brings the schema of the read model in ScyllaDB or Cassandra up to this version."""

import asyncio
import time
from typing import Final

from petit.chat.app import migrate as migrate_schema
from petit.chat.ports import StoreBroken, StoreDown
from petit.cli import show, voice
from petit.cli.settings import MigrateSettings
from petit.cli.trouble import Trouble

_PAUSE_S: Final = 2.0


async def migrate(settings: MigrateSettings) -> None:
    """Migrate, waiting for the database where it is not up yet, and say what was done.

    It may run while services do, and two may run at once: one waits for the other.

    Raises:
        Trouble: no database is named; it did not come in time; or its schema is newer than this program.
    """
    server = settings.cql
    if server is None:
        raise Trouble("no database is named: set PETIT_BOOTSTRAP_CQL_HOSTS (docs/configuration.md lists all settings)")
    voice.hush()
    deadline = time.monotonic() + settings.wait_s
    said = False
    while True:
        try:
            missing = await migrate_schema(server, replication=settings.cql_replication)
        except StoreBroken as error:
            raise Trouble(str(error)) from error
        except StoreDown as error:
            if time.monotonic() > deadline:
                raise Trouble(str(error)) from error
            if not said:
                show.line(f"waiting: {error}")
                said = True
        else:
            done = f"version {', '.join(map(str, missing))} made" if missing else "nothing to do"
            show.line(f"schema: {server}, {done}")
            return
        await asyncio.sleep(_PAUSE_S)
