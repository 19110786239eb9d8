"""Where a measurement takes place: a server, its rooms, who sends there and who listens."""

from dataclasses import dataclass

from petit.cli.load.lanes import Author
from petit.cli.load.meter import Process
from petit.cli.load.orders import Seat
from petit.cli.load.plan import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A server under load, ours or the floor's."""

    name: str
    """`petit` or `floor`."""
    address: Address
    chats: tuple[str, ...]
    """Chat ids by room index."""
    authors: tuple[Author, ...]
    """Who sends; neighbours are in different rooms, so that taking turns spreads the load."""
    seats: tuple[Seat, ...]
    """Who listens."""
    processes: tuple[Process, ...]
    """Whose CPU and memory count; empty if unknown."""


def full_reading(place: int) -> bool:
    """Say whether the member at this place of a room reads every frame in full: the first does."""
    return place == 0
