"""`petit bootstrap`: makes what services may not make themselves, and waits for the servers that it needs.

It is the first thing that runs on the real stack, again with each new version, and whenever the number of
replicas changes. All of it may be repeated, and two may run at once.
"""

import time
from typing import Final

from petit.chat.app import look
from petit.chat.ports import StoreBroken, StoreDown
from petit.cli import show, voice
from petit.cli.migrate import migrate
from petit.cli.settings import BootstrapSettings
from petit.cli.trouble import Trouble
from petit.contracts.cursor import NOWHERE, Cursor
from petit.kit import bootstrap as kit
from petit.kit.connection import Connection, connect
from petit.kit.errors import LogFault, Outage
from petit.kit.stream import LogConfig

_ATTEMPT_S: Final = 5.0


async def bootstrap(settings: BootstrapSettings) -> None:
    """Make everything, and say what is there in the end.

    Raises:
        Trouble: a server did not come in time, or holds something that must not be touched.
    """
    voice.hush()
    deadline = time.monotonic() + settings.wait_s
    try:
        known = await _folded(settings)
        async with await _connected(settings, deadline=deadline) as nc:
            await _make_log(nc, settings, known=known, deadline=deadline)
    except Outage as error:
        raise Trouble(f"{error.detail}; `petit doctor --stack real` looks closer") from error
    except LogFault as error:
        raise Trouble(str(error)) from error


async def _folded(settings: BootstrapSettings) -> Cursor:
    """Bring the database up to date, and return up to where its read model has seen the log.

    The log's own memory may be lost with the log. A log that is made anew while the read model is there would hand out
    offsets a second time.
    """
    server = settings.cql
    if server is None:
        return NOWHERE
    await migrate(settings)
    try:
        return await look(server)
    except (StoreDown, StoreBroken) as error:
        raise Trouble(str(error)) from error


async def _connected(settings: BootstrapSettings, *, deadline: float) -> Connection:
    access = settings.nats
    said = False
    while True:
        try:
            return await connect(access, name="petit-bootstrap", within=_ATTEMPT_S)
        except Outage as error:
            if time.monotonic() > deadline:
                raise
            if not said:
                show.line(f"waiting: {error.detail}")
                said = True
        except OSError as error:
            raise Trouble(f"{access.ca}: {error}") from error


async def _make_log(nc: Connection, settings: BootstrapSettings, *, known: Cursor, deadline: float) -> None:
    config = LogConfig(replicas=settings.replicas, max_bytes=settings.log_max_bytes)
    within = max(0.0, deadline - time.monotonic())
    info = await kit.bootstrap(nc, config=config, within=within, say=show.line, known=known)
    names = ", ".join(bucket.name for bucket in kit.buckets(replicas=settings.replicas))
    copies = "1 replica" if settings.replicas == 1 else f"{settings.replicas} replicas"
    show.line(f"log: stream {config.stream} of epoch {info.epoch}, {info.messages} signals, {copies}")
    show.line(f"buckets: {names}")
