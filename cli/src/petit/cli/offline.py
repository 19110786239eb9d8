"""The log, while nothing runs: its server is started on the data for as long as somebody looks after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from petit.cli import voice
from petit.cli.trouble import Trouble, file_trouble
from petit.kit.connection import Connection, connect
from petit.kit.natsserver import NatsConfig, NatsServer, NatsServerError


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
        async with await connect(server.url, name="petit-cli", token=token) as nc:
            yield nc
    finally:
        await server.stop()
