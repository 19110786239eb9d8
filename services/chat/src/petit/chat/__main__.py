"""Run one chat replica: `python -m petit.chat`, configured by `PETIT_CHAT_…`."""

import sys

import structlog

from petit.chat.app import Options, chat
from petit.chat.ports import StoreBroken, StoreDown
from petit.chat.settings import Settings
from petit.kit.errors import LogFault
from petit.kit.leases import ReplicaTakenError
from petit.kit.probes import with_probes
from petit.kit.serving import run, serve

_log = structlog.get_logger(__name__)


async def _main() -> None:
    settings = Settings()
    options = Options(
        nats=settings.nats,
        bootstrap_wait_s=settings.bootstrap_wait_s,
        store=settings.store,
        replica=settings.replica,
        members_held=settings.members_held,
    )
    async with chat(options) as replica:
        _log.info("chat.started", replica=settings.replica)
        probes = with_probes(None, replica.readiness(max_lag=settings.ready_lag))
        await serve(probes, host=settings.host, port=settings.port)


if __name__ == "__main__":
    try:
        run(_main())
    except (LogFault, StoreBroken, StoreDown, ReplicaTakenError) as error:
        _log.critical("chat.stopped", reason=str(error))
        sys.exit(1)
