"""The chat service inside `petit up`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from petit.chat.app import Options, chat
from petit.cli.place import Place


@asynccontextmanager
async def folds(place: Place) -> AsyncIterator[None]:
    """Fold until the block ends.

    Raises:
        LogFault: the log is lost or behind.
        StoreBroken: the read model is damaged.
        Outage: the log server cannot be reached.
    """
    options = Options(nats=place.nats, store=place.data.read_model, replica=place.name)
    async with chat(options):
        yield
