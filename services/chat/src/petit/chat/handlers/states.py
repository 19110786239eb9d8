"""The chats that the fold holds in memory: those that moved last, as many as there is room for members."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection

from petit.chat.domain.rows import Chat
from petit.contracts.ids import ChatId, Offset
from petit.contracts.rules import ChatState
from petit.contracts.subjects import partition

Load = Callable[[Collection[ChatId]], Awaitable[dict[ChatId, Chat]]]
CHAT_COST = 4
"""What a chat itself counts, in members."""


class States:
    """Chats by id, least recently used first.

    Only chats of partitions that are folded here are held, because nobody else moves them on. What is held is ahead
    of the store by what is not committed yet, so a chat is let go only when the store has all of it. A chat that is
    being loaded is loaded once, whoever asks.

    Args:
        load: Reads chats from the store; chats that are not there are absent from what it returns.
        capacity: Members over all chats; some 300 bytes each.
    """

    def __init__(self, load: Load, *, capacity: int) -> None:
        self._load = load
        self._capacity = capacity
        self._held: OrderedDict[ChatId, Chat] = OrderedDict()
        self._loading: dict[ChatId, asyncio.Event] = {}
        self._folded: frozenset[int] = frozenset()
        self._cost = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, chat: ChatId) -> Chat | None:
        """Return a chat that is held."""
        held = self._held.get(chat)
        if held is not None:
            self._held.move_to_end(chat)
        return held

    def missing(self, chats: Collection[ChatId]) -> list[ChatId]:
        """Return those of some chats that are not held."""
        return [chat for chat in chats if chat not in self._held]

    async def load(self, chats: Collection[ChatId]) -> dict[ChatId, Chat]:
        """Return chats, from memory or the store, and hold those that may be; one that is nowhere is new and empty.

        Raises:
            StoreDown: the store cannot be read for now.
            StoreBroken: it never will be.
        """
        missing = [chat for chat in chats if chat not in self._held and chat not in self._loading]
        found = await self._fetch(missing) if missing else {}
        for loading in [self._loading[chat] for chat in chats if chat in self._loading]:
            await loading.wait()
        return {chat: self._held.get(chat) or found.get(chat) or await self._again(chat) for chat in chats}

    def grew(self, members: int) -> None:
        """Note that chats which are held have so many members more, or fewer."""
        self._cost += members

    def begin(self, partitions: Collection[int]) -> None:
        """Hold chats of these partitions from here on: they are folded here from what the store has now."""
        self.drop(partitions)
        self._folded |= frozenset(partitions)

    def drop(self, partitions: Collection[int]) -> None:
        """Forget the chats of partitions that others fold from here on."""
        self._folded -= frozenset(partitions)
        for chat in [chat for chat in self._held if partition(chat) in partitions]:
            self._forget(chat)
        for chat in [chat for chat in self._loading if partition(chat) in partitions]:
            del self._loading[chat]  # what is being read may be old by then

    def shrink(self, *, committed: Offset) -> None:
        """Let go of chats until the rest has room, of those that have not moved since `committed`."""
        if self._cost <= self._capacity:
            return
        for chat in [chat for chat, held in self._held.items() if held.state.offset <= committed]:
            self._forget(chat)
            if self._cost <= self._capacity:
                return

    async def _fetch(self, chats: Collection[ChatId]) -> dict[ChatId, Chat]:
        """Read chats and hold those that may be; returns the others."""
        done = asyncio.Event()
        mine = [chat for chat in chats if partition(chat) in self._folded]
        self._loading.update(dict.fromkeys(mine, done))
        try:
            found = await self._load(chats)
            for chat in mine:
                if self._loading.get(chat) is done:  # not dropped meanwhile
                    held = self._held[chat] = found.get(chat) or _new(chat)
                    self._cost += len(held.state.members) + CHAT_COST
        finally:
            for chat in mine:
                if self._loading.get(chat) is done:
                    del self._loading[chat]
            done.set()
        return {chat: found.get(chat) or _new(chat) for chat in chats if chat not in mine}

    async def _again(self, chat: ChatId) -> Chat:
        """Return a chat whose load was given up or dropped."""
        return (await self.load([chat]))[chat]

    def _forget(self, chat: ChatId) -> None:
        held = self._held.pop(chat)
        self._cost -= len(held.state.members) + CHAT_COST


def _new(chat: ChatId) -> Chat:
    return Chat(state=ChatState(chat=chat))
