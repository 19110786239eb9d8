"""The rows of the read model: what the fold writes and the queries read.

Rows are named tuples, because a driver takes and gives tuples and there are several for every message. Each
is a pure function of the log up to its offset, so that whoever folds the same prefix writes the same rows:
written twice they are one row, and of two for one key the one with the higher offset holds.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from petit.chat.domain.titles import listing
from petit.contracts.ids import BEFORE_LOG, ChatId, Offset, Seq, SignalId, Timestamp, UserId
from petit.contracts.rules import ChatState
from petit.contracts.signals import ChatKind, Role


class ChatRow(NamedTuple):
    """One chat as of its last signal: the row that is written last, so that all others of it are there."""

    chat: ChatId
    offset: Offset
    """The last signal of the chat, void ones included: a refold skips what is at or below it."""
    kind: ChatKind | None
    """None: there is no such chat; only void signals name it."""
    title: str | None
    about: str | None
    created_at: Timestamp
    head_seq: Seq
    last_offset: Offset
    """The offset of the newest message; 0 where there is none."""
    members_count: int
    signals: int
    """How many of the chat's signals were folded, void ones included: a store may cut partitions by it."""

    @property
    def listed(self) -> str | None:
        """The folded title under which anyone can find it; None unless it is a room with somebody in it."""
        return listing(self.kind, self.title, members=self.members_count)


class MemberRow(NamedTuple):
    """One interval in which somebody had one role in a chat; never deleted, only ended."""

    chat: ChatId
    joined_offset: Offset
    """Where the membership began."""
    user: UserId
    from_offset: Offset
    """Where the role began; the joining, unless the role changed since."""
    role: Role
    joined_at: Timestamp


class MemberEnd(NamedTuple):
    """The end of an interval: the role changed, or the member left."""

    chat: ChatId
    joined_offset: Offset
    user: UserId
    from_offset: Offset
    to_offset: Offset
    """The first offset at which it no longer holds."""


class MembershipRow(NamedTuple):
    """One chat of a person, as of the last change; one row for each chat that the person was ever in."""

    user: UserId
    chat: ChatId
    offset: Offset
    joined_offset: Offset | None
    """None: not a member any more."""
    role: Role


class SignalRow(NamedTuple):
    """A chat's signal as it was stored, and what the fold made of it. A message is one that took a seq."""

    offset: Offset
    chat: ChatId
    seq: Seq | None
    """The place of a message; None for everything else."""
    id: SignalId | None
    """None where nobody asks for it by its id: markers, announcements, and what is no signal."""
    by: UserId | None
    payload: str | bytes
    """The stored JSON; bytes where it is no signal."""
    to_members: bool
    also: str | None
    """Who sees it, member or not: a JSON array of user ids; None where nobody is named."""
    successor: UserId | None
    void: str | None
    """A `VoidReason`; None where it holds."""


class PersonRow(NamedTuple):
    """A signal that concerns one person by name, wherever it is stored."""

    user: UserId
    offset: Offset
    payload: str
    to_members: bool
    also: str | None
    successor: UserId | None


class RawRow(NamedTuple):
    """A signal of another scope (`pair`, `match`, `all`, `ops`), kept as it was stored."""

    scope: str
    key: str
    offset: Offset
    kind: str
    payload: bytes


class RoomRow(NamedTuple):
    """A room under one title that it has or had."""

    folded: str
    """The title as `titles.folded` makes it."""
    chat: ChatId
    offset: Offset
    listed: bool
    """False: the room has another title now, or nobody in it."""


class VoidRow(NamedTuple):
    """A send that was overtaken, and must be announced to its author."""

    partition: int
    offset: Offset
    chat: ChatId
    message: SignalId
    author: UserId
    reason: str


class AnnouncedRow(NamedTuple):
    """A void send whose announcement is in the log."""

    partition: int
    offset: Offset
    """Of the send."""


@dataclass(slots=True, kw_only=True)
class Chat:
    """A chat as the fold holds it in memory: the state that rules judge by, and what rows need besides."""

    state: ChatState
    last_offset: Offset = BEFORE_LOG
    """The offset of the newest message; 0 where there is none."""
    since: dict[UserId, Offset] = field(default_factory=dict)
    """Where present roles began, of the members whose role is not that of their joining."""
    signals: int = 0
    """How many of its signals were folded, void ones included."""

    def row(self) -> ChatRow:
        """Return the chat's row as of now."""
        state = self.state
        return ChatRow(
            state.chat,
            state.offset,
            state.kind,
            state.title,
            state.about,
            state.created_at,
            state.head_seq,
            self.last_offset,
            len(state.members),
            self.signals,
        )


@dataclass(slots=True, kw_only=True)
class Batch:
    """The rows of a stretch of the log: filled by the fold, then sealed, written in one go and never touched again."""

    touched: dict[ChatId, Chat] = field(default_factory=dict)
    chats: list[ChatRow] = field(default_factory=list)
    """The last state of each chat touched; filled by `seal`."""
    opened: list[MemberRow] = field(default_factory=list)
    ended: list[MemberEnd] = field(default_factory=list)
    memberships: dict[tuple[UserId, ChatId], MembershipRow] = field(default_factory=dict)
    signals: list[SignalRow] = field(default_factory=list)
    persons: list[PersonRow] = field(default_factory=list)
    raw: list[RawRow] = field(default_factory=list)
    markers: dict[tuple[ChatId, UserId], Seq] = field(default_factory=dict)
    """How far people have read; the highest ever given holds."""
    rooms: dict[tuple[str, ChatId], RoomRow] = field(default_factory=dict)
    voids: list[VoidRow] = field(default_factory=list)
    announced: list[AnnouncedRow] = field(default_factory=list)
    rules: dict[Offset, int] = field(default_factory=dict)
    """Versions of the rules, by the offset from which they hold."""
    checkpoints: dict[int, Offset] = field(default_factory=dict)
    """By partition: everything at or below is in the read model once this batch is."""

    def seal(self) -> None:
        """Take down the chats as they are now: whoever writes the rows does it while the fold goes on."""
        self.chats = [chat.row() for chat in self.touched.values()]
