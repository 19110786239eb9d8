"""The log, while nothing runs: its server is started on the data for as long as somebody looks after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from petit.cli import voice
from petit.cli.trouble import Trouble, file_trouble
from petit.kit.connection import Connection, connect
from petit.kit.errors import RESTORE, LogDamaged
from petit.kit.feed import Feed
from petit.kit.natsserver import NatsConfig, NatsServer, NatsServerError
from petit.kit.stream import LogInfo

_STUCK_S: Final = 10.0
"""Without any entry for so long, there is one that the log server cannot read."""


@asynccontextmanager
async def log_server(store: Path, *, token: str) -> AsyncIterator[Connection]:
    """Run the log server on a folder, connect to it, and stop it at the end. Only for who holds the data's lock.

    Raises:
        Trouble: it does not start.
    """
    voice.hush()
    try:
        with file_trouble(store):
            server = NatsServer(NatsConfig(store=store, token=token))
            await server.start()
    except NatsServerError as error:
        raise Trouble(str(error)) from error
    try:
        async with await connect(server.access, name="petit-cli") as nc:
            yield nc
    finally:
        await server.stop()


async def read_through(nc: Connection, info: LogInfo) -> None:
    """Read every entry, as a fold would: damage inside a file shows only when it is read.

    Raises:
        LogFault: an entry is missing or damaged.
    """
    feed = Feed(nc, deliver=lambda _: None, after=info.first - 1, epoch=info.epoch, name="petit-cli")
    reading = asyncio.create_task(feed.run())
    try:
        reached = -1
        while not await feed.wait_for(info.last, within=_STUCK_S):
            if feed.position == reached:
                raise LogDamaged(f"the log cannot be read beyond offset {reached}: {RESTORE}")
            reached = feed.position
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
