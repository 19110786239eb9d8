"""Run one chat replica: `python -m petit.chat`, configured by `PETIT_CHAT_…`."""

import asyncio

import structlog

from petit.chat.app import Options, chat
from petit.chat.ports import StoreBroken, StoreDown
from petit.chat.settings import Settings
from petit.kit.leases import ReplicaTakenError
from petit.kit.probes import Readiness, with_probes
from petit.kit.process import process
from petit.kit.serving import serve

_log = structlog.get_logger(__name__)


class _Start:
    """What probes are told while the replica starts, which takes as long as its store does, and afterwards."""

    def __init__(self) -> None:
        self.readiness: Readiness | None = None
        self._waits_for: str | None = None

    def waits(self, reason: str) -> None:
        self._waits_for = reason

    async def wrong(self) -> str | None:
        if self.readiness is None:
            return self._waits_for or "this replica is starting"
        return await self.readiness.wrong()


async def _main() -> None:
    settings = Settings()
    options = Options(
        nats=settings.nats,
        bootstrap_wait_s=settings.bootstrap_wait_s,
        store=settings.read_model,
        replica=settings.replica,
        members_held=settings.members_held,
    )
    start = _Start()
    probes = with_probes(None, Readiness([start.wrong]))
    stopping = asyncio.create_task(serve(probes, host=settings.host, port=settings.port), name="chat.probes")

    async def serving() -> None:
        async with chat(options, on_wait=start.waits) as replica:
            _log.info("chat.started", replica=settings.replica)
            start.readiness = replica.readiness(max_lag=settings.ready_lag)
            await asyncio.wait([stopping])

    running = asyncio.create_task(serving(), name="chat")
    await asyncio.wait([stopping, running], return_when=asyncio.FIRST_COMPLETED)
    if start.readiness is None:
        running.cancel()  # told to stop before it had started
    await asyncio.wait([running])
    stopping.cancel()
    for ended in await asyncio.gather(running, stopping, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


if __name__ == "__main__":
    process(_main(), known=(StoreBroken, StoreDown, ReplicaTakenError))
