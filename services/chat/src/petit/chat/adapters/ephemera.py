"""Ephemera on core NATS."""

from dataclasses import dataclass

from petit.contracts.rpc import DeliveredNote, Folded
from petit.contracts.subjects import FOLDED, delivered
from petit.kit.connection import Connection


@dataclass(frozen=True, slots=True)
class NatsEphemera:
    """See `Ephemera`. While there is no connection, nothing is said."""

    nc: Connection

    async def folded(self, note: Folded) -> None:
        """See `Ephemera.folded`."""
        if self.nc.is_connected:
            await self.nc.publish(FOLDED, note.model_dump_json().encode())

    async def delivered(self, note: DeliveredNote) -> None:
        """See `Ephemera.delivered`."""
        if self.nc.is_connected:
            await self.nc.publish(delivered(note.chat), note.model_dump_json().encode())
