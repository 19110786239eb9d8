"""What edges ask of the chat service, over NATS request/reply, and what it answers.

`OWNER` methods go to the owner of the chat's partition (`subjects.chat_owner`), `ANY` methods to any
replica (`subjects.chat_any`). Every request may say `min_offset`: the answer then reflects at least that
much of the log, or is the refusal `read.behind` after a bounded wait. Every answer says `as_of`, the lowest
offset that all it read from reflects. A request that no owner answers is retried by whoever asks, because
ownership moves within seconds; after a silence also while an owner is at work on it, so each may be done twice.
"""

from typing import ClassVar, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from petit.contracts.ids import BEFORE_FIRST, BEFORE_LOG, NEVER, ChatId, Offset, Seq, SignalId, Timestamp, UserId
from petit.contracts.problems import Problem
from petit.contracts.resources import Chat, Member, SeenBy
from petit.contracts.rules import VoidReason
from petit.contracts.signals import AnySignal, ChatKind, Role

T = TypeVar("T")
BACKLOG_LIMIT: Final = 1_000
"""Signals of one chat that a resume carries; beyond it the client gets a `gap` and pages."""


class _Wire(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="ignore")


class Ask(_Wire):
    """Any request."""

    min_offset: Offset = BEFORE_LOG
    traceparent: str | None = None
    """Which trace this belongs to (W3C Trace Context, 3.2), for logs; None where the client sent none."""


class Answer(_Wire, Generic[T]):
    """Any answer: a body, or why there is none."""

    as_of: Offset = BEFORE_LOG
    body: T | None = None
    problem: Problem | None = None
    retry_after: int | None = None
    """Whole seconds; with a problem that passes."""


# ── to the owner of a chat's partition ──────────────────────────────────────────────────────────────


class Propose(Ask):
    """`propose`: store this signal of the member family if the rules allow; answered by the fold's verdict.

    A retry with the same signal id gets the same verdict. Another content under the same id is `conflict.state`.
    """

    signal: AnySignal


class Proposed(_Wire):
    """The fold's verdict on a proposal."""

    offset: Offset
    """Where it is stored; for a refusal that the owner saw coming, its progress."""
    void: VoidReason | None = None
    """None: it holds."""
    repeated: bool = False
    """The signal was there before; `at` and `offset` are the first's."""
    at: Timestamp | None = None


class ChatAsk(Ask):
    """Any question about one chat by one viewer; `chat.not_found` unless the viewer may see it."""

    chat: ChatId
    viewer: UserId


class HistoryAsk(ChatAsk):
    """`history`: one of before, after, around, at (a seq); none is the newest. Answered by `History`."""

    before: Seq | None = None
    after: Seq | None = None
    around: Seq | None = None
    at: Seq | None = None
    limit: int = 50


class MessageAsk(ChatAsk):
    """`message` (answered by `Message`), and `views` (a page of `SeenBy`, by user id)."""

    message: SignalId
    after: UserId | None = None
    """For `views`: the last user of the page before."""
    limit: int = 50


class MembersAsk(ChatAsk):
    """`members`: longest-standing first (offset of joining, then user id). Answered by a page of `Member`."""

    after: tuple[Offset, UserId] | None = None
    """The place of the last member of the page before."""
    limit: int = 50


class MembersPage(_Wire):
    """Members, and the place of the last one where there are more."""

    items: tuple[Member, ...]
    next: tuple[Offset, UserId] | None = None


class ViewsPage(_Wire):
    """Who has seen a message, and the last user where there are more."""

    items: tuple[SeenBy, ...]
    next: UserId | None = None


class Delivered(Ask):
    """`delivered`: markers that moved, batched; max-merged by chat, announced on `live.delivered.<chat>`."""

    chat: ChatId
    markers: dict[UserId, Seq]


class DeliveredNote(_Wire):
    """What is published on `live.delivered.<chat>`: ephemeral."""

    chat: ChatId
    by: UserId
    seq: Seq


class SeedAsk(Ask):
    """`seed`: the state of one chat, for a mirror. Asked by services, so not about a viewer."""

    chat: ChatId


class SeedMember(_Wire):
    """One member in a seed."""

    user: UserId
    role: Role
    joined_offset: Offset
    joined_at: Timestamp


class Seed(_Wire):
    """A chat's whole state as of the answer's `as_of`; `kind` is None where there is no such chat."""

    chat: ChatId
    offset: Offset = BEFORE_LOG
    kind: ChatKind | None = None
    title: str | None = None
    about: str | None = None
    created_at: Timestamp = NEVER
    head_seq: Seq = BEFORE_FIRST
    members: tuple[SeedMember, ...] = ()


class BacklogAsk(Ask):
    """`backlog`: the *newest* `limit` placed signals of a chat in (after, to], for resuming streams."""

    chat: ChatId
    after: Offset
    to: Offset
    limit: int = BACKLOG_LIMIT + 1


class Placement(_Wire):
    """A stored signal and what the fold made of it: enough to write the frame that live readers got."""

    offset: Offset
    payload: str
    """The stored JSON."""
    seq: Seq | None = None
    to_members: bool = True
    also: tuple[UserId, ...] = ()
    successor: UserId | None = None


class Backlog(_Wire):
    """Signals ascending by offset; `complete` is False where older ones in the range were left out."""

    items: tuple[Placement, ...]
    complete: bool
    after_seq: Seq = BEFORE_FIRST
    """Of `backlog`: the seq of the chat's newest message at or below `after`; history pages on behind it."""


# ── to any replica ──────────────────────────────────────────────────────────────────────────────────


class MineAsk(Ask):
    """`mine`: the viewer's chats, latest activity first, as ordered at `as_of` (0: now). Answered by `MinePage`."""

    viewer: UserId
    ordered_at: Offset = BEFORE_LOG
    after: tuple[Offset, ChatId] | None = None
    """Activity and chat of the last item of the page before."""
    limit: int = 50


class MinePage(_Wire):
    """Chats, the offset that they are ordered at, and the place of the last one where there are more."""

    items: tuple[Chat, ...]
    ordered_at: Offset
    next: tuple[Offset, ChatId] | None = None


class RoomsAsk(Ask):
    """`rooms`: listed rooms whose title begins with `prefix` (case-folded), by title. Answered by `RoomsPage`."""

    viewer: UserId
    prefix: str = ""
    after: tuple[str, ChatId] | None = None
    """Folded title and chat of the last item of the page before."""
    limit: int = 50


class RoomsPage(_Wire):
    """Rooms, and the place of the last one where there are more."""

    items: tuple[Chat, ...]
    next: tuple[str, ChatId] | None = None


class SentAsk(Ask):
    """`sent`: what became of this person's signal with this id, whatever its chat. Answered by `SentBefore`."""

    user: UserId
    id: SignalId


class SentBefore(_Wire):
    """An earlier signal with the same id by the same person."""

    found: bool
    offset: Offset = BEFORE_LOG
    at: Timestamp = NEVER
    chat: ChatId = ChatId("")
    digest: str = ""
    """`signals.digest` of it."""
    nonce: str | None = None


class MembershipsAsk(Ask):
    """`memberships`: which chats these people are in now; many at once, one read each."""

    users: tuple[UserId, ...] = Field(max_length=1_000)


class Memberships(_Wire):
    """By person: chat and the offset of joining."""

    users: dict[UserId, dict[ChatId, Offset]]


class ChangedAsk(Ask):
    """`changed`: which of these chats have a signal after an offset."""

    chats: tuple[ChatId, ...]
    after: Offset


class Changed(_Wire):
    """The chats that have, with the offset of their last signal."""

    chats: dict[ChatId, Offset]


class PersonBacklogAsk(Ask):
    """`person_backlog`: signals in (after, to] that name a person, member or not (own `left`, `msg.void`)."""

    user: UserId
    after: Offset
    to: Offset
    limit: int = BACKLOG_LIMIT + 1


# ── to one notifier process ─────────────────────────────────────────────────────────────────────────


class RenewAsk(_Wire):
    """`rpc.notifier.<instance>.renew`: a verified token of the stream's person lasts longer. Answered by `Renewed`."""

    connection: str
    """As in `hello`: `<instance>-<n>`."""
    user: UserId
    expires_at: float
    """Unix time, seconds."""
    session: str = ""
    """The log-in of the new token (`sid`); empty if unknown."""


class Renewed(_Wire):
    """The stream goes on with the new token."""

    expires_in: int
    """Seconds."""


# ── between gateway and notifier ────────────────────────────────────────────────────────────────────


class TicketFor(_Wire):
    """What a ticket stands for: the value that the gateway puts into KV `TICKETS` and the notifier redeems, as JSON."""

    user: UserId
    session: str
    """The log-in (`sid`); empty if unknown."""
    expires_at: float
    """When the token that bought the ticket ends, and with it the stream: Unix time, seconds."""
    issued_at: float = 0.0
    """When that token was made: Unix time, seconds."""


# ── progress, and what clients write on a WebSocket ─────────────────────────────────────────────────


class Folded(_Wire):
    """What an owner publishes on `live.ctl.folded`: everything at or below `offset` is in the read model."""

    owner: str
    offset: Offset
    partitions: tuple[int, ...]


class Do(_Wire):
    """One thing that a client asked for on its WebSocket, verified as to who asks."""

    user: UserId
    session: str | None = None
    do: Literal["send", "view", "delivered"]
    text: str
    """The frame as the client wrote it: a JSON object of `do`, `ref`, `chat` and the fields of the REST body."""
    id: SignalId | None = None
    """What a send is stored under that brings neither `id` nor `nonce`: asked for again, it is the same message."""


class DoBatch(_Wire):
    """`rpc.gateway.do`: answered by `Done`, one for each, in order."""

    items: tuple[Do, ...]


class DoneItem(_Wire):
    """What the REST route would have answered."""

    status: int
    body: str | None = None
    """JSON on one line; None where there is no body."""
    offset: Offset | None = None


class Done(_Wire):
    """Answers, in the order of the batch."""

    items: tuple[DoneItem, ...]


OWNER: Final = ("propose", "chat", "members", "history", "message", "views", "delivered", "seed", "backlog")
"""Methods of the partition's owner, with `ChatAsk` for `chat` (answered by `Chat`)."""
ANY: Final = ("mine", "rooms", "sent", "memberships", "changed", "person_backlog")
"""Methods of any replica."""
