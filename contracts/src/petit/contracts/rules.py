"""The rules of a chat, as a pure fold of its signals: the same in chat, gateway and notifier, for ever.

`apply` moves a `ChatState` over one signal and says what became of it: `Placed` (with the `seq` that a
message takes, and whom it concerns) or `Void` (it broke a rule at its place in the log; it has no effect,
gets no seq and is never shown). History is never refused: the fold is total. No clock, no I/O, no chance:
whoever folds the same prefix of the log has the same state.

These are the rules of `ops.rules` version 1. A change of rules is a new version that takes effect at the
offset of an `ops.rules` signal; the old one stays, because old offsets are judged by it.

Rules, in short (API.md, section 2):

* A dm has exactly two members, cannot be left, joined, renamed or enlarged. Its id is `ids.dm_chat_id`.
* Groups hold 1,000 people, rooms 50,000. Anyone may join a room that has somebody in it; any member may invite.
* The creator is owner. Owners give roles; owners remove anyone, moderators remove members; both rename.
* When the last owner goes, the longest-standing moderator, else member, becomes owner (`Placed.successor`).
  Equally long-standing ones are ordered by user id. The last owner cannot step down while others are there.
* A message takes the next seq if its author is a member; nothing else takes one.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, assert_never

from petit.contracts.ids import (
    BEFORE_FIRST,
    BEFORE_LOG,
    NEVER,
    ChatId,
    Offset,
    Seq,
    SignalId,
    Timestamp,
    UserId,
    dm_chat_id,
)
from petit.contracts.problems import Code
from petit.contracts.signals import (
    ChatCreated,
    ChatKind,
    ChatSignal,
    ChatUpdated,
    Joined,
    Left,
    Msg,
    MsgVoid,
    Role,
    RoleChanged,
    Signal,
    UnknownSignal,
    View,
)

RULES_VERSION: Final = 1
"""The newest rules that this code knows."""
GROUP_SIZE: Final = 1_000
ROOM_SIZE: Final = 50_000
CAPACITY: Final[dict[ChatKind, int]] = {"dm": 2, "group": GROUP_SIZE, "room": ROOM_SIZE, "match": 2}
VIEW_AUDIENCE: Final = 32
"""Views are shown to others in chats of up to so many members."""
_DM_SIZE: Final = 2


class VoidReason(StrEnum):
    """Which rule a signal broke at its place in the log."""

    NO_CHAT = "no_chat"
    CHAT_EXISTS = "chat_exists"
    NOT_MEMBER = "not_member"
    NOT_JOINABLE = "not_joinable"
    ALREADY_MEMBER = "already_member"
    NO_SUCH_MEMBER = "no_such_member"
    FULL = "full"
    ROLE_REQUIRED = "role_required"
    FIXED = "fixed"
    """A dm's members and title do not change."""
    LAST_OWNER = "last_owner"
    MALFORMED = "malformed"


PROBLEM: Final[dict[VoidReason, Code]] = {
    VoidReason.NO_CHAT: Code.CHAT_NOT_FOUND,
    VoidReason.CHAT_EXISTS: Code.CONFLICT_STATE,
    VoidReason.NOT_MEMBER: Code.CHAT_NOT_FOUND,
    VoidReason.NOT_JOINABLE: Code.CHAT_NOT_FOUND,
    VoidReason.ALREADY_MEMBER: Code.CONFLICT_STATE,
    VoidReason.NO_SUCH_MEMBER: Code.USER_NOT_FOUND,
    VoidReason.FULL: Code.CHAT_FULL,
    VoidReason.ROLE_REQUIRED: Code.ROLE_REQUIRED,
    VoidReason.FIXED: Code.CONFLICT_STATE,
    VoidReason.LAST_OWNER: Code.CONFLICT_STATE,
    VoidReason.MALFORMED: Code.REQUEST_INVALID,
}
"""How a caller is told; a caller who is not in the chat learns only that there is no such chat."""


@dataclass(slots=True, kw_only=True)
class Member:
    """One person's present membership of a chat."""

    role: Role
    joined_offset: Offset
    """The offset of the `joined` or `chat.created` that began it."""
    joined_at: Timestamp


@dataclass(slots=True, kw_only=True)
class ChatState:
    """Everything that the rules need to know of one chat, as of `offset`. Only `apply` changes it."""

    chat: ChatId
    offset: Offset = BEFORE_LOG
    """The last signal of this chat that was applied."""
    kind: ChatKind | None = None
    """None: there is no such chat (yet)."""
    title: str | None = None
    about: str | None = None
    created_at: Timestamp = NEVER
    head_seq: Seq = BEFORE_FIRST
    """The seq of the newest message; 0 where there is none."""
    members: dict[UserId, Member] = field(default_factory=dict)

    @property
    def history(self) -> Literal["all", "joined"]:
        """From where on a member sees: everything, or what came since joining."""
        return "joined" if self.kind == "match" else "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A signal that holds, and whom it concerns."""

    seq: Seq | None = None
    """A message's place in its chat; None for everything else."""
    to_members: bool = True
    """Everybody who is a member after it sees it."""
    also: tuple[UserId, ...] = ()
    """People who see it whether they are members or not."""
    successor: UserId | None = None
    """Who became owner because the last one went."""


@dataclass(frozen=True, slots=True)
class Void:
    """A signal that broke a rule at its place in the log."""

    reason: VoidReason


Verdict = Placed | Void
_PLACED: Final = Placed()


def judge(state: ChatState, signal: ChatSignal | UnknownSignal) -> VoidReason | None:
    """Say which rule a signal would break if it came next; None if none. Changes nothing."""
    if isinstance(signal, MsgVoid):
        return None
    if isinstance(signal, ChatCreated):
        return _judge_created(state, signal)
    if state.kind is None:
        return VoidReason.NO_CHAT
    if isinstance(signal, Joined) and signal.data.how != "invite":
        return _judge_joined(state, signal)
    actor = state.members.get(signal.by)
    if actor is None:
        return VoidReason.NOT_MEMBER
    match signal:
        case Msg() | View() | UnknownSignal():
            return None
        case ChatUpdated():
            if state.kind == "dm":
                return VoidReason.FIXED
            return VoidReason.ROLE_REQUIRED if actor.role == "member" else None
        case Joined():
            return _judge_enlarged(state, signal.data.user)
        case Left():
            return _judge_left(state, actor, signal)
        case RoleChanged():
            return _judge_role(state, actor, signal)
        case _:
            assert_never(signal)


def apply(state: ChatState, signal: Signal, *, offset: Offset) -> Verdict:
    """Move a chat's state over the signal at `offset` and say what became of it.

    A signal at or below `state.offset` must not be given again: callers skip those. `ops.rules` is not a chat's.
    """
    state.offset = offset
    if isinstance(signal, Msg):  # the hot path: nothing but membership decides
        if signal.by not in state.members:
            return Void(VoidReason.NO_CHAT if state.kind is None else VoidReason.NOT_MEMBER)
        state.head_seq = Seq(state.head_seq + 1)
        return Placed(seq=state.head_seq)
    if signal.type == "ops.rules":
        return _PLACED
    reason = judge(state, signal)  # type: ignore[arg-type]  # narrowed by the line above, which mypy cannot see
    return Void(reason) if reason is not None else _place(state, signal, offset=offset)


def malformed(state: ChatState, *, offset: Offset) -> Verdict:
    """Move a chat's state over bytes that are no signal: void, like everything that breaks a rule."""
    state.offset = offset
    return Void(VoidReason.MALFORMED)


def _place(state: ChatState, signal: Signal, *, offset: Offset) -> Placed:
    match signal:
        case ChatCreated(by=by, at=at, data=data):
            state.kind, state.title, state.created_at = data.kind, data.title, at
            for user in (by, *data.members):
                role: Role = "owner" if user == by else "member"
                state.members.setdefault(user, Member(role=role, joined_offset=offset, joined_at=at))
            return _PLACED
        case ChatUpdated(data=data):
            if "title" in data.model_fields_set:
                state.title = data.title
            if "about" in data.model_fields_set:
                state.about = data.about
            return _PLACED
        case Joined(at=at, data=data):
            state.members[data.user] = Member(role="member", joined_offset=offset, joined_at=at)
            return _PLACED
        case Left(data=data):
            del state.members[data.user]
            return Placed(also=(data.user,), successor=_succeed(state))
        case RoleChanged(data=data):
            state.members[data.user].role = data.role
            return _PLACED
        case View(by=by):
            small = len(state.members) <= VIEW_AUDIENCE
            return _PLACED if small else Placed(to_members=False, also=(by,))
        case MsgVoid(by=by):
            return Placed(to_members=False, also=(by,))
        case _:
            return _PLACED


def _judge_created(state: ChatState, signal: ChatCreated) -> VoidReason | None:
    if state.kind is not None:
        return VoidReason.CHAT_EXISTS
    members = {signal.by, *signal.data.members}
    if signal.data.kind == "dm":
        others = members - {signal.by}
        if len(members) != _DM_SIZE or state.chat != dm_chat_id(signal.by, *others):
            return VoidReason.MALFORMED
    return VoidReason.FULL if len(members) > CAPACITY[signal.data.kind] else None


def _judge_joined(state: ChatState, signal: Joined) -> VoidReason | None:
    if state.kind == "dm" and signal.by in state.members:
        return VoidReason.FIXED
    if state.kind != "room" or not state.members or signal.data.user != signal.by:
        return VoidReason.ALREADY_MEMBER if signal.data.user in state.members else VoidReason.NOT_JOINABLE
    return _judge_enlarged(state, signal.data.user)


def _judge_enlarged(state: ChatState, user: UserId) -> VoidReason | None:
    if state.kind is None or state.kind in {"dm", "match"}:
        return VoidReason.FIXED
    if user in state.members:
        return VoidReason.ALREADY_MEMBER
    return VoidReason.FULL if len(state.members) >= CAPACITY[state.kind] else None


def _judge_left(state: ChatState, actor: Member, signal: Left) -> VoidReason | None:
    if state.kind == "dm":
        return VoidReason.FIXED
    target = state.members.get(signal.data.user)
    if target is None:
        return VoidReason.NO_SUCH_MEMBER
    if signal.data.user == signal.by:
        return None
    if actor.role == "owner" or (actor.role == "moderator" and target.role == "member"):
        return None
    return VoidReason.ROLE_REQUIRED


def _judge_role(state: ChatState, actor: Member, signal: RoleChanged) -> VoidReason | None:
    if state.kind == "dm":
        return VoidReason.FIXED
    if actor.role != "owner":
        return VoidReason.ROLE_REQUIRED
    target = state.members.get(signal.data.user)
    if target is None:
        return VoidReason.NO_SUCH_MEMBER
    owners = sum(member.role == "owner" for member in state.members.values())
    if target.role == "owner" and signal.data.role != "owner" and owners == 1:
        return VoidReason.LAST_OWNER
    return None


def _succeed(state: ChatState) -> UserId | None:
    """Make the longest-standing moderator, else member, an owner where none is left; say who."""
    if not state.members or any(member.role == "owner" for member in state.members.values()):
        return None
    heir = min(
        state.members,
        key=lambda user: (state.members[user].role != "moderator", state.members[user].joined_offset, user),
    )
    state.members[heir].role = "owner"
    return heir


def voided_send(signal: Signal, verdict: Verdict) -> SignalId | None:
    """Return the message that must be announced as void to its author; None for everything else."""
    return signal.id if isinstance(signal, Msg) and isinstance(verdict, Void) else None
