"""The recent past, bounded by bytes: what a reconnect after a short absence is answered from.

Signals are kept per chat, and per person for those that concern somebody by name. Each such stretch says
from which offset on it is complete; what was before has to be asked of the chat service. Beside them the
ring knows at which offset each chat last had a signal, so that a chat where nothing happened costs nothing.
"""

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Final

from petit.contracts.ids import ChatId, Offset, UserId
from petit.notifier.domain.items import Item

LIMIT_BYTES: Final = 32 * 1024 * 1024
HEADS: Final = 100_000
"""Chats whose last offset is known, the most recent ones; some 150 bytes each."""
_OFFSET: Final = attrgetter("offset")
_COMPACT: Final = 256


class Stretch:
    """Items ascending by offset, complete for every offset above `after`."""

    __slots__ = ("_items", "_start", "after")

    def __init__(self, after: Offset) -> None:
        self.after = after
        self._items: list[Item] = []
        self._start = 0

    def add(self, item: Item) -> None:
        """Append the newest."""
        self._items.append(item)

    def since(self, offset: Offset) -> Sequence[Item]:
        """Return what is above an offset, ascending; complete if the offset is not below `after`."""
        return self._items[bisect_right(self._items, offset, lo=self._start, key=_OFFSET) :]

    def forget(self, upto: Offset) -> None:
        """Drop what is at or below an offset."""
        self.after = max(self.after, upto)
        while self._start < len(self._items) and self._items[self._start].offset <= upto:
            self._start += 1
        if self._start > _COMPACT and self._start * 2 > len(self._items):
            del self._items[: self._start]
            self._start = 0

    def __bool__(self) -> bool:
        return self._start < len(self._items)


class Ring:
    """Recent signals by chat and by person, and the heads of chats.

    Nothing is known before `begin`.

    Args:
        limit: Bytes, about.
        heads: Chats.
    """

    def __init__(self, *, limit: int = LIMIT_BYTES, heads: int = HEADS) -> None:
        self._limit = limit
        self._most_heads = heads
        self._bytes = 0
        self._chats: dict[ChatId, Stretch] = {}
        self._named: dict[UserId, Stretch] = {}
        self._heads: OrderedDict[ChatId, Offset] = OrderedDict()
        self._order: deque[tuple[Item, tuple[UserId, ...]]] = deque()
        self.heads_after = Offset(0)
        """The last signal of every chat that had one above this offset is known."""

    def begin(self, start: Offset) -> None:
        """Say where the feed began: nothing at or below is known."""
        self.heads_after = start

    def place(self, item: Item, *, named: tuple[UserId, ...] = ()) -> None:
        """Keep the newest signal, under its chat and under those people that `follow` was called for."""
        if item.chat is not None:
            self._chat(item.chat).add(item)
            self._head(item.chat, item.offset)
        self.name(item, named=named)

    def name(self, item: Item, *, named: tuple[UserId, ...]) -> None:
        """Keep the newest signal under those people that `follow` was called for, and not under its chat."""
        followed = tuple(user for user in named if user in self._named)
        for user in followed:
            self._named[user].add(item)
        if item.chat is None and not followed:
            return
        self._order.append((item, followed))
        self._bytes += item.cost
        while self._bytes > self._limit:
            self._evict()

    def miss(self, chat: ChatId, offset: Offset) -> None:
        """Note that a chat has a signal that is not known here: its stretch is complete no more."""
        self._chats.pop(chat, None)
        self._head(chat, offset)

    def follow(self, user: UserId, *, after: Offset) -> None:
        """Begin to keep what concerns a person by name; complete above `after`."""
        self._named[user] = Stretch(after)

    def unfollow(self, user: UserId) -> None:
        """Keep what concerns a person no more."""
        self._named.pop(user, None)

    def chat(self, chat: ChatId) -> Stretch | None:
        """Return a chat's recent signals; None if none are known."""
        return self._chats.get(chat)

    def named(self, user: UserId) -> Stretch | None:
        """Return what recently concerned a person by name; None if nobody followed."""
        return self._named.get(user)

    def complete(self, chat: ChatId, *, after: Offset) -> bool:
        """Say whether every signal of a chat above an offset is here, perhaps none."""
        head = self._heads.get(chat)
        if head is None:
            return after >= self.heads_after
        if head <= after:
            return True
        stretch = self._chats.get(chat)
        return stretch is not None and stretch.after <= after

    def changed(self, chats: Collection[ChatId], *, after: Offset) -> list[ChatId]:
        """Return those chats that had a signal above an offset, as far as is known: all, above `heads_after`."""
        recent: list[ChatId] = []
        for seen, (chat, head) in enumerate(reversed(self._heads.items())):
            if head <= after:
                return recent
            if seen > len(chats):
                break
            if chat in chats:
                recent.append(chat)
        return [chat for chat in chats if self._heads.get(chat, 0) > after]

    def _chat(self, chat: ChatId) -> Stretch:
        stretch = self._chats.get(chat)
        if stretch is None:
            stretch = self._chats[chat] = Stretch(self._heads.get(chat, self.heads_after))
        return stretch

    def _head(self, chat: ChatId, offset: Offset) -> None:
        self._heads[chat] = offset
        self._heads.move_to_end(chat)
        if len(self._heads) > self._most_heads:
            _, oldest = self._heads.popitem(last=False)
            self.heads_after = max(self.heads_after, oldest)

    def _evict(self) -> None:
        item, followed = self._order.popleft()
        self._bytes -= item.cost
        if item.chat is not None:
            stretch = self._chats.get(item.chat)
            if stretch is not None:
                stretch.forget(item.offset)
                if not stretch:
                    del self._chats[item.chat]
        for user in followed:
            if user in self._named:
                self._named[user].forget(item.offset)
