"""A copy of the chats that an edge needs right now: who is in them, and how far their seq is.

Each chat is seeded by one request to its owner and then kept true by the feed, with the same rules that
the chat service folds by. While the request runs, the chat's signals are kept and those later than the
answer are applied behind it, so that a chat that is held is always exactly what the log says as of the
feed's position. A chat that is not held says nothing: neither that it exists nor that it does not.

What is held is bounded by members, least recently used first out; chats with viewers are pinned.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from petit.contracts import rules
from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.problems import Unavailable
from petit.contracts.rpc import Seed, SeedAsk
from petit.contracts.rules import ChatState, Member, Verdict
from petit.contracts.signals import Signal, decode_of_chat
from petit.contracts.subjects import StoredUnder, chat_owner, parse, partition
from petit.kit.connection import Connection
from petit.kit.log import Entry
from petit.kit.rpc import PATIENCE_S, ask

CAPACITY: Final = 500_000
"""Members over all chats that are held without being pinned; some 250 bytes each."""
CHAT_COST: Final = 4
"""What a chat itself counts, in members."""
BUFFER: Final = 20_000
"""Signals of one chat that are kept while it is seeded; a seed that takes longer is given up."""

WITHIN_S: Final = 5.0
"""How long a seed may take."""


class Seeds(Protocol):
    """Where the state of a chat is asked."""

    async def seed(self, chat: ChatId, *, min_offset: Offset) -> Seed:
        """Return the chat's whole state as of at least `min_offset`; `kind` is None where there is none.

        Raises:
            Refused: `read.behind`: the fold is not that far yet.
            Unavailable: nobody answered in time.
        """
        ...


class RpcSeeds:
    """Asks the owner of the chat's partition, over NATS. See `Seeds`."""

    def __init__(self, nc: Connection) -> None:
        self._nc = nc

    async def seed(self, chat: ChatId, *, min_offset: Offset) -> Seed:
        """See `Seeds.seed`."""
        request = SeedAsk(chat=chat, min_offset=min_offset)
        subject = chat_owner(partition(chat), "seed")
        seed, _ = await ask(self._nc, subject, request, body=Seed, within=WITHIN_S, patience=PATIENCE_S)
        return seed


class Step(NamedTuple):
    """What the mirror made of one entry of the log."""

    under: StoredUnder | None
    """What the subject says; None if it is not a signal's."""
    state: ChatState | None
    """The chat, after this entry; None where it is not held, or no chat is concerned."""
    signal: Signal | None
    """Decoded where there is a verdict; None for bytes that are no signal."""
    verdict: Verdict | None
    """What the rules say; None where that is not known here: the chat is not held, or its seed had this entry in it."""


@dataclass(slots=True)
class _Load:
    """A chat that is being seeded."""

    kept: list[Entry] = field(default_factory=list)
    """Its signals since the request; those later than the answer are applied."""
    task: "asyncio.Task[ChatState] | None" = None


class Mirror:
    """The chats that are held; see the module.

    Args:
        seeds: Where a chat's state is asked.
        position: The feed's position: everything at or below has been given to `on_entry`.
        capacity: How many members are held without being pinned.
    """

    def __init__(self, seeds: Seeds, *, position: Callable[[], int], capacity: int = CAPACITY) -> None:
        self._seeds = seeds
        self._position = position
        self._capacity = capacity
        self._loose: OrderedDict[ChatId, ChatState] = OrderedDict()
        self._pinned: dict[ChatId, ChatState] = {}
        self._pins: set[ChatId] = set()
        self._loads: dict[ChatId, _Load] = {}
        self._cost = 0
        self._seen = Offset(0)

    @property
    def position(self) -> Offset:
        """How far every chat that is held is true."""
        return Offset(max(self._seen, self._position()))

    def __len__(self) -> int:
        return len(self._loose) + len(self._pinned)

    def get(self, chat: ChatId) -> ChatState | None:
        """Return a chat that is held, as of the position; None says nothing about it. Never change it."""
        state = self._pinned.get(chat)
        if state is None:
            state = self._loose.get(chat)
            if state is not None:
                self._loose.move_to_end(chat)
        return state

    async def load(self, chat: ChatId) -> ChatState:
        """Return a chat, seeded if it is not held: as of at least the position of this call.

        `kind` is None where there is no such chat; that is not kept. All who wait share one request.

        Raises:
            Refused: the chat service refused.
            Unavailable: it did not answer in time.
        """
        state = self.get(chat)
        if state is not None:
            return state
        load = self._loads.get(chat)
        if load is None:
            load = self._loads[chat] = _Load()
            load.task = asyncio.create_task(self._load(chat, load), name=f"mirror.load {chat}")
            load.task.add_done_callback(_observe)
        assert load.task is not None  # noqa: S101 - set two lines above, always
        return await asyncio.shield(load.task)

    async def refresh(self, chat: ChatId) -> ChatState:
        """Return what the chat service says now, whatever is held: what a refusal must rest on.

        The answer may be ahead of the feed, and is not kept where the chat is held already.

        Raises:
            Refused: the chat service refused.
            Unavailable: it did not answer in time.
        """
        if self.get(chat) is None:
            return await self.load(chat)
        return state_of(await self._seeds.seed(chat, min_offset=self.position))

    def on_entry(self, entry: Entry) -> Step:
        """Move what is held over one entry of the log; the feed calls this once for each, in order."""
        self._seen = Offset(entry.offset)
        under = parse(entry.subject)
        if under is None or under.scope != "chat":
            return Step(under, None, None, None)
        chat = ChatId(under.key)
        state = self._pinned.get(chat) or self._loose.get(chat)
        if state is None:
            load = self._loads.get(chat)
            if load is not None and len(load.kept) <= BUFFER:
                load.kept.append(entry)
            return Step(under, None, None, None)
        if entry.offset <= state.offset:  # its seed was ahead of the feed
            return Step(under, None, None, None)
        before = len(state.members)
        signal, verdict = _apply(state, entry)
        if chat not in self._pins:
            self._cost += len(state.members) - before
        return Step(under, state, signal, verdict)

    def pin(self, chat: ChatId) -> None:
        """Keep a chat, once it is held, until it is unpinned."""
        self._pins.add(chat)
        state = self._loose.pop(chat, None)
        if state is not None:
            self._cost -= _cost(state)
            self._pinned[chat] = state

    def unpin(self, chat: ChatId) -> None:
        """Let a chat go when room is needed."""
        self._pins.discard(chat)
        state = self._pinned.pop(chat, None)
        if state is not None:
            self._hold(chat, state)

    async def close(self) -> None:
        """Give up what is being seeded."""
        tasks = [load.task for load in self._loads.values() if load.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self, chat: ChatId, load: _Load) -> ChatState:
        try:
            seed = await self._seeds.seed(chat, min_offset=self.position)
        except BaseException:
            del self._loads[chat]
            raise
        del self._loads[chat]
        if len(load.kept) > BUFFER:
            raise Unavailable(f"chat {chat} moved on by {len(load.kept)} signals while it was seeded")
        state = state_of(seed)
        for entry in load.kept:
            if entry.offset > state.offset:
                _apply(state, entry)
        if state.kind is not None:
            if chat in self._pins:
                self._pinned[chat] = state
            else:
                self._hold(chat, state)
        return state

    def _hold(self, chat: ChatId, state: ChatState) -> None:
        self._loose[chat] = state
        self._cost += _cost(state)
        while self._cost > self._capacity and len(self._loose) > 1:
            _, oldest = self._loose.popitem(last=False)
            self._cost -= _cost(oldest)


def state_of(seed: Seed) -> ChatState:
    """Return the chat that a seed describes."""
    return ChatState(
        chat=seed.chat,
        offset=seed.offset,
        kind=seed.kind,
        title=seed.title,
        about=seed.about,
        created_at=seed.created_at,
        head_seq=seed.head_seq,
        members=_members(seed),
    )


def _members(seed: Seed) -> dict[UserId, Member]:
    return {
        member.user: Member(role=member.role, joined_offset=member.joined_offset, joined_at=member.joined_at)
        for member in seed.members
    }


def _apply(state: ChatState, entry: Entry) -> tuple[Signal | None, Verdict]:
    offset = Offset(entry.offset)
    signal = decode_of_chat(entry.payload, chat=state.chat)
    if signal is None:
        return None, rules.malformed(state, offset=offset)
    return signal, rules.apply(state, signal, offset=offset)


def _cost(state: ChatState) -> int:
    return len(state.members) + CHAT_COST


def _observe(task: "asyncio.Task[ChatState]") -> None:
    """Take note of a failure that everybody stopped waiting for: whoever asks next tries again."""
    if not task.cancelled():
        task.exception()
