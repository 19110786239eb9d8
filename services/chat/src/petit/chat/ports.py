"""What the chat service needs of a store: one method for each write and each question, and what they guarantee.

The shapes are those of the CQL tables of the architecture: every question is one partition, or a handful of
single rows, and nothing is joined; every write is idempotent and carries its offset (markers: their value), so
that repeating a write, or writing an older one after a newer, changes nothing. Several replicas write the same
rows when ownership overlaps, and that is harmless.

What is read reflects every commit that was acknowledged before the question; it may reflect one under way.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from petit.chat.domain.rows import (
    Batch,
    Chat,
    ChatRow,
    MemberRow,
    MembershipRow,
    PersonRow,
    SignalRow,
    VoidRow,
)
from petit.contracts.ids import ChatId, Epoch, Offset, Seq, SignalId, UserId
from petit.contracts.rpc import DeliveredNote, Folded


class StoreDown(Exception):
    """The store cannot be reached or written to for now; whoever asked tries again."""


class StoreBroken(Exception):
    """The store holds something that no version ever wrote, and an operator must act; the message says how."""


class NotOwnerError(Exception):
    """What is asked is for the owner of a partition to answer, and that is another replica by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CqlServer:
    """A cluster of ScyllaDB or Cassandra, and the keyspace in it that is the read model."""

    hosts: tuple[str, ...]
    """Nodes to begin with; the others are learnt from them."""
    port: int = 9042
    keyspace: str = "petit"
    datacenter: str | None = None
    """The nearest one; None: that of the first node."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    """PEM file of the authority that signed the nodes' certificates; None: no TLS."""
    cert: Path | None = None
    """PEM file of the certificate that we show, where nodes want one; None: none is shown."""
    key: Path | None = None
    """PEM file of that certificate's key."""

    def __str__(self) -> str:
        return f"keyspace {self.keyspace} at {','.join(self.hosts)}:{self.port}"


class LastMessage(NamedTuple):
    """The newest message of a chat as of some offset."""

    seq: Seq
    offset: Offset


class Listing(NamedTuple):
    """A room's place in the directory."""

    folded: str
    """The title as `titles.folded` makes it."""
    chat: ChatId


class Repository(Protocol):
    """The read model.

    Raises:
        StoreDown: any method; nothing of the call may be taken as done.
        StoreBroken: any method.
    """

    @property
    def losses(self) -> int:
        """How often a server of the store was lost since it was opened.

        One that comes back may have forgotten what it had acknowledged right before: what comes later is forgotten
        first, so it has no chat's row without the chat's other rows, and no checkpoint without what that promises.
        """
        ...

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────

    async def commit(self, batch: Batch) -> None:
        """Write a sealed batch; when this returns, all of it survives a crash of the process.

        A reader never sees a chat's row before all other rows of that chat up to its offset, nor a
        checkpoint before the rows that it promises.
        """
        ...

    async def deliver(self, markers: Mapping[tuple[ChatId, UserId], Seq]) -> None:
        """Move delivered markers forward; one that is behind the stored one changes nothing."""
        ...

    async def set_epoch(self, epoch: Epoch) -> None:
        """Say which making of the log the rows belong to from here on."""
        ...

    async def digest(self) -> str:
        """Return what two read models of the same log share, however it was folded: 64 hex digits.

        It covers every derived row; not what is no function of the log alone: checkpoints, the epoch, delivered
        markers, and which announcements were seen. Reads everything: for proofs, not for service.
        """
        ...

    # ── for the fold ────────────────────────────────────────────────────────────────────────────────

    async def epoch(self) -> Epoch | None:
        """Return the making of the log that the rows come from; None in a new store."""
        ...

    async def checkpoints(self) -> dict[int, Offset]:
        """Return how far each partition is folded; partitions that never were are absent."""
        ...

    async def rules_version(self) -> int:
        """Return the newest version of the rules that a committed `ops.rules` called for; 1 where none did."""
        ...

    async def chats(self, chats: Collection[ChatId]) -> dict[ChatId, Chat]:
        """Return chats with all their members, each exactly as of its row's offset; unknown ones are absent."""
        ...

    async def unannounced(self, partitions: Collection[int]) -> list[VoidRow]:
        """Return void sends of these partitions whose announcement was not folded yet, by offset."""
        ...

    # ── questions ───────────────────────────────────────────────────────────────────────────────────

    async def heads(self, chats: Collection[ChatId]) -> dict[ChatId, ChatRow]:
        """Return the rows of chats; unknown ones are absent."""
        ...

    async def members(self, chat: ChatId, *, after: tuple[Offset, UserId] | None, limit: int) -> list[MemberRow]:
        """Return present members behind a place, by offset of joining, then user id."""
        ...

    async def activity(self, chats: Collection[ChatId]) -> dict[ChatId, Offset]:
        """Return the offset of each chat's newest message, 0 where there is none; unknown chats are absent."""
        ...

    async def memberships(self, users: Collection[UserId]) -> dict[UserId, dict[ChatId, Offset]]:
        """Return the present memberships of people with the offset of joining; one who has none has an empty dict."""
        ...

    async def membership(self, user: UserId, *, chats: Collection[ChatId]) -> dict[ChatId, MembershipRow]:
        """Return the present memberships of one person in some chats; others are absent."""
        ...

    async def messages(self, chat: ChatId, *, first: int, last: int) -> list[SignalRow]:
        """Return the messages whose seq is from `first` to `last`, both included, ascending."""
        ...

    async def messages_at(self, places: Collection[tuple[ChatId, Seq]]) -> dict[ChatId, SignalRow]:
        """Return one message of each chat, by its seq; those that are not there are absent."""
        ...

    async def message(self, chat: ChatId, *, id: SignalId) -> SignalRow | None:
        """Return a message of a chat by its id; the first, should the log hold several."""
        ...

    async def last_messages(self, chats: Collection[ChatId], *, at: Offset) -> dict[ChatId, LastMessage]:
        """Return the newest message at or below an offset of each chat; chats without one are absent."""
        ...

    async def sent(self, user: UserId, *, id: SignalId) -> SignalRow | None:
        """Return what became of a person's signal; the first, should the log hold several."""
        ...

    async def signals(self, chat: ChatId, *, after: Offset, to: Offset, limit: int) -> list[SignalRow]:
        """Return the newest `limit` signals of a chat in (after, to] that hold, ascending by offset."""
        ...

    async def person_signals(self, user: UserId, *, after: Offset, to: Offset, limit: int) -> list[PersonRow]:
        """Return the newest `limit` signals in (after, to] that name a person, ascending by offset."""
        ...

    async def markers(self, places: Collection[tuple[ChatId, UserId]]) -> dict[tuple[ChatId, UserId], Seq]:
        """Return how far people have read; absent where they have read nothing."""
        ...

    async def delivered(self, places: Collection[tuple[ChatId, UserId]]) -> dict[tuple[ChatId, UserId], Seq]:
        """Return how far messages have reached people; absent where none has."""
        ...

    async def rooms(self, prefix: str, *, after: Listing | None, limit: int) -> list[Listing]:
        """Return listed rooms behind a place whose folded title begins with `prefix`, by folded title, then chat.

        One may be a title that the room had, or is about to have: what holds is the chat's row (`ChatRow.listed`).
        What this costs does not grow with how many rooms there are, what they are called, or were called once.
        """
        ...


class Store(Repository, Protocol):
    """A read model that is open."""

    async def watch(self) -> NoReturn:
        """Wait for the store to be found damaged: whoever asked then gets no answer, and nobody else should ask.

        Raises:
            StoreBroken: it is.
        """
        ...


class Ephemera(Protocol):
    """What other processes hear and nobody keeps: best effort, unordered, perhaps never."""

    async def folded(self, note: Folded) -> None:
        """Say how far this replica has folded."""
        ...

    async def delivered(self, note: DeliveredNote) -> None:
        """Say that messages have reached somebody."""
        ...
