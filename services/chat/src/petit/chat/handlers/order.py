"""In which order a person's chats stand, and stood while they were paged."""

import bisect
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from petit.chat.ports import Repository
from petit.contracts.ids import BEFORE_LOG, ChatId, Offset, UserId

KEPT: Final = 200_000
"""Places over all orders that are kept for their next pages; some 150 bytes each."""
_CHUNK: Final = 2_000

Place = tuple[Offset, ChatId]
"""A chat's latest activity, and the chat."""


@dataclass(frozen=True, slots=True)
class Order:
    """A person's chats as of one offset, latest activity first."""

    places: tuple[Place, ...]

    def after(self, place: Place | None, *, limit: int) -> list[Place]:
        """Return the places behind one; None: the first ones."""
        start = 0
        if place is not None:
            start = bisect.bisect_right(self.places, -place[0], key=lambda found: -found[0])
        return list(self.places[start : start + limit])


class Orders:
    """Orders that somebody pages through just now: an order as of an offset never changes, so it is made once.

    Which of its chats a person may see is decided when a page is read, not here.
    """

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._orders: OrderedDict[tuple[UserId, Offset], Order] = OrderedDict()
        self._size = 0

    async def order(self, repository: Repository, user: UserId, *, at: Offset) -> Order:
        """Return the order of a person's chats as of an offset that all partitions are folded to."""
        order = self._orders.get((user, at))
        if order is None:
            made = await ordered(repository, user, at=at)
            order = self._orders.setdefault((user, at), made)  # two may have asked at once
            self._size += len(made.places) if order is made else 0
            while self._size > self._kept and len(self._orders) > 1:
                _, oldest = self._orders.popitem(last=False)
                self._size -= len(oldest.places)
        self._orders.move_to_end((user, at))
        return order


async def ordered(repository: Repository, user: UserId, *, at: Offset) -> Order:
    """Return a person's chats by their activity at or below an offset: the newest message, else the joining.

    Activity is the offset of a signal of the chat, so no two chats have the same.
    """
    joined = {chat: offset for chat, offset in (await repository.memberships([user]))[user].items() if offset <= at}
    newest: dict[ChatId, Offset] = {}
    for chats in _chunks(list(joined)):
        newest |= await repository.activity(chats)
    for chats in _chunks([chat for chat, offset in newest.items() if offset > at]):
        earlier = await repository.last_messages(chats, at=at)
        newest |= {chat: earlier[chat].offset if chat in earlier else BEFORE_LOG for chat in chats}
    places = [(max(offset, joined[chat]), chat) for chat, offset in newest.items()]
    return Order(tuple(sorted(places, reverse=True)))


def _chunks(chats: list[ChatId]) -> Iterator[list[ChatId]]:
    for start in range(0, len(chats), _CHUNK):
        yield chats[start : start + _CHUNK]
